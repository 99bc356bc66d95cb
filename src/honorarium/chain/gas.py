"""What a transaction takes: how much gas, at which price, and how much at most."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from honorarium.chain.node import AsyncNode, to_hex
from honorarium.errors import (
    ContractError,
    FeeTooHigh,
    GraceRunning,
    InputError,
    NodeError,
    NodeUnreachable,
    TooManyUnits,
)
from honorarium.ids import Address
from honorarium.protocol.signer import TransactionFields

TIP: Final = 1_000_000_000
"""What a gas unit offers to whoever makes the block, in wei."""

FEES_KEPT: Final = 200
FEES_KEPT_SECONDS: Final = 60.0
"""After so many transactions, or so long, the base fee is asked for again."""

MOST: Final = 10**18
"""What one transaction may cost altogether if nobody says otherwise, in wei: a coin, as nodes
themselves limit what they pass on."""

MOST_VARIABLE: Final = "HONORARIUM_MOST_FEE"

LOST_AFTER: Final = 10.0
"""After so many seconds without an answer an estimate is asked for again."""

BUMP_PERCENT: Final = 25
"""A replacement offers so much more; nodes want at least 10."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What is offered for gas, and for how long one waits.

    `tip` and `limit` in wei per gas: at most `limit` is ever offered, None: whatever it takes.
    `most` is the wei that one transaction may cost altogether, None: HONORARIUM_MOST_FEE, else a
    whole coin; without it a node that names absurd prices, or a token that burns gas, would empty
    the account. `legacy` None: EIP-1559 where the chain has it. A transaction that is in no block
    after `stuck_after` seconds is offered more; `patience` seconds a receipt is waited for.
    """

    tip: int = TIP
    limit: int | None = None
    most: int | None = None
    legacy: bool | None = None
    stuck_after: float = 30.0
    patience: float = 120.0


class Offers:
    """What one account offers for gas: asked of the node, and kept for a while."""

    def __init__(self, node: AsyncNode, fees: Fees) -> None:
        self._node, self._fees = node, fees
        self._offer: dict[str, int] = {}
        self._uses, self._until = 0, 0.0

    def forget(self) -> None:
        """The next offer is asked for anew."""
        self._uses = 0

    async def now(self) -> dict[str, int]:
        """The fields of a transaction that say what is offered."""
        if self._uses == 0 or time.monotonic() > self._until:
            self._offer = await self._ask()
            self._uses = FEES_KEPT
            self._until = time.monotonic() + FEES_KEPT_SECONDS
        self._uses -= 1
        return self._offer

    async def _ask(self) -> dict[str, int]:
        limit = self._fees.limit
        base_fee = 0 if self._fees.legacy else (await self._node.block()).base_fee
        if self._fees.legacy or (self._fees.legacy is None and base_fee == 0):
            price = await _number(self._node, "eth_gasPrice")
            return {"gasPrice": price if limit is None else min(price, limit)}
        # Twice the base fee outlasts six full blocks; what is not needed is not charged.
        most = 2 * base_fee + self._fees.tip
        most = most if limit is None else min(most, limit)
        tip = min(self._fees.tip, most)
        return {"type": 2, "maxPriorityFeePerGas": tip, "maxFeePerGas": most}


def affordable(fields: TransactionFields, fees: Fees) -> bool:
    """Whether a transaction costs at most what its owner allows."""
    return _dearest(fields) <= _most(fees)


def must_be_affordable(fields: TransactionFields, fees: Fees) -> None:
    """Raises FeeTooHigh for a transaction that could cost more than its owner allows."""
    if not affordable(fields, fees):
        raise FeeTooHigh(fields["gas"], _dearest(fields) // fields["gas"], _most(fees))


def raised(
    fields: TransactionFields, wanted: dict[str, int], fees: Fees
) -> TransactionFields | None:
    """The same transaction, offering `wanted` now, and more than before; None if it offers nothing
    of the kind, or more would be above what its owner allows.
    """
    offered = {name: fields[name] for name in wanted if name in fields}
    if not offered:
        return None
    more = {
        name: max(amount, offered[name] * (100 + BUMP_PERCENT) // 100 + 1)
        for name, amount in wanted.items()
        if name != "type"
    }
    if fees.limit is not None and any(amount > fees.limit for amount in more.values()):
        return None
    again: TransactionFields = {**fields, **more}
    return again if affordable(again, fees) else None


async def estimate(
    node: AsyncNode, sender: Address, to: Address | None, data: bytes, value: int
) -> int:
    """As much gas as the node estimates, and a fifth more. Raises what the contract refuses."""
    wanted = {"from": to_hex(sender), "data": to_hex(data), "value": hex(value)}
    if to is not None:
        wanted["to"] = to_hex(to)
    try:
        found = await _estimate(node, wanted)
    except (TooManyUnits, GraceRunning) as early:
        found = await _estimate_later(node, wanted, early)
    return found * 6 // 5


async def _estimate_later(node: AsyncNode, wanted: dict[str, str], early: ContractError) -> int:
    """The estimate for the next block, where the latest one is too old to allow the call.

    The chain's clock moves with its blocks. Ganache asks no other block's clock, so there an empty
    one is made: it is a local chain.
    """
    if (await node.client()).startswith("Ganache"):
        await node.request("evm_mine")
        return await _estimate(node, wanted)
    try:
        return await _estimate(node, wanted, "pending")
    except NodeError:
        raise early from None


async def _estimate(node: AsyncNode, *wanted: dict[str, str] | str) -> int:
    """Ganache 7 loses an estimate now and then, while it makes a block: it never answers, and to
    the same question at once.
    """
    return await _number(node, "eth_estimateGas", wanted, again_after=LOST_AFTER)


async def _number(
    node: AsyncNode,
    method: str,
    params: Sequence[Any] = (),
    *,
    again_after: float | None = None,
) -> int:
    found = await node.request(method, params, again_after=again_after)
    try:
        value = int(found, 16)
    except (ValueError, TypeError):
        value = -1
    if value < 0:
        reason = f"{method} was not answered as JSON-RPC demands ({str(found)[:40]!r})"
        raise NodeUnreachable(node.url, reason)
    return value


def _most(fees: Fees) -> int:
    """What one transaction may cost, in wei."""
    if fees.most is not None:
        return fees.most
    named = os.environ.get(MOST_VARIABLE, "").strip()
    if named and not (named.isascii() and named.isdigit()):
        raise InputError(f"{MOST_VARIABLE} is {named[:40]!r}; give whole wei, as digits")
    return int(named) if named else MOST


def _dearest(fields: TransactionFields) -> int:
    """What a transaction costs at most, in wei, beside what it pays."""
    return int(fields["gas"]) * int(fields.get("maxFeePerGas") or fields["gasPrice"])
