"""Transactions: built and signed here, sent, and followed to their receipt.

A sender is one account's voice. What it signs goes into an `Outbox` before it is broadcast; any
number of senders of one account may work at once, in one program or in several, if they share the
outbox's file. A transaction that gets stuck is offered more under the same nonce.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from honorarium.chain.node import AsyncNode, Node, from_hex, to_hex
from honorarium.chain.outbox import Outbox, OutboxUnusable, SignedTransaction
from honorarium.chain.signing import content_of, fields_of, signed_by
from honorarium.chain.wire import blocking, drive
from honorarium.errors import (
    ChainError,
    ContractError,
    FateUnknown,
    FeeTooHigh,
    GraceRunning,
    InputError,
    NodeError,
    NodeUnreachable,
    NonceTaken,
    RateLimited,
    TooManyUnits,
    TransactionFailed,
)
from honorarium.ids import Address, Hash
from honorarium.protocol.signer import Signer, TransactionFields
from honorarium.units import BlockNumber, UnixTime

T = TypeVar("T")

TIP: Final = 1_000_000_000
"""What a gas unit offers to whoever makes the block, in wei."""

FEES_KEPT: Final = 200
FEES_KEPT_SECONDS: Final = 60.0
"""After so many transactions, or so long, the base fee is asked for again."""

BUMP_PERCENT: Final = 25
"""A replacement offers so much more; nodes want at least 10."""

GONE_AFTER: Final = 1.0
"""So many seconds after signing a transaction a program must have sent it, or it is gone."""

MOST: Final = 10**18
"""What one transaction may cost altogether if nobody says otherwise, in wei: a coin, as nodes
themselves limit what they pass on."""

MOST_VARIABLE: Final = "HONORARIUM_MOST_FEE"

TAKEN_AGAIN: Final = 20
"""So often a nonce is taken anew if programs with another outbox were faster."""


@dataclass(frozen=True, slots=True)
class TxReceipt:
    """What became of a transaction. `gas_used` in gas, `gas_price` in wei per gas."""

    tx_hash: Hash
    block: BlockNumber
    ok: bool
    gas_used: int
    gas_price: int
    contract: Address | None
    logs: tuple[dict[str, Any], ...]  # as the node writes them; see `logs.decode`


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


class AsyncSender:
    """Sends for the account of `signer`.

    `outbox` None: one in memory, for this sender alone; what a crash interrupts is then not known
    to the next program. What is in the outbox may count, even if whoever waited for it was
    interrupted: with an `idempotency_key` the next attempt follows it.
    """

    def __init__(
        self,
        node: AsyncNode,
        signer: Signer,
        *,
        outbox: Outbox | None = None,
        fees: Fees = Fees(),
    ) -> None:
        self.node, self.signer, self.fees = node, signer, fees
        self.outbox = Outbox() if outbox is None else outbox
        self.address: Address = signer.address
        self._fresh: set[Hash] = set()  # signed here, and never sent
        self._no_more: set[int] = set()  # nonces for which the wallet signs no second time
        self._offer: dict[str, int] = {}
        self._offer_uses, self._offer_until = 0, 0.0

    # ------------------------------------------------------------------ step by step

    async def sign(
        self,
        to: Address | None,
        data: bytes,
        *,
        value: int = 0,
        gas: int | None = None,
        idempotency_key: str | None = None,
        content: bytes | None = None,
    ) -> SignedTransaction:
        """The next transaction of the account, signed and stored, and not sent yet.

        `gas` None: as much as the node estimates and a fifth more; then a call that a contract
        refuses raises its ContractError here, and takes no nonce. `to` None creates a contract.
        With an `idempotency_key` that was used before: the transaction that was signed then.
        `content` is a digest of what is done, if trying it again gives other bytes (a new deadline,
        say); None: of `to`, `data` and `value`. Raises IdempotencyKeyReused if the key was used for
        something else, FeeTooHigh if it could cost more than `fees.most`.
        """
        if content is None:
            content = content_of(to, data, value)
        if idempotency_key is not None:
            known = await self._aside(lambda: self.outbox.of_purpose(idempotency_key, content))
            if known is not None:
                return known
        if gas is None:
            gas = await self._estimate(to, data, value)
        if not await self._aside(self.outbox.counted):
            await self._count()
        fields: TransactionFields = {
            "chainId": await self.node.chain_id(),
            "gas": gas,
            "value": value,
            "data": data,
            **await self._fees(),
        }
        if to is not None:
            fields["to"] = to
        self._must_be_affordable(fields)
        signed, fresh = await self._aside(
            lambda: self.outbox.take(
                lambda nonce: signed_by(self.signer, {**fields, "nonce": nonce}),
                idempotency_key,
                content,
            )
        )
        if fresh:
            self._fresh.add(signed.hash)
        return signed

    async def submit(self, signed: SignedTransaction, at: UnixTime | None = None) -> Hash:
        """Broadcasts it; on a local chain its block can be `at` a time. Again is fine: what the
        node knows already is not sent twice.

        Raises NodeError if the node refuses it, FateUnknown if no answer came or the node asks to
        be left alone: it is in the outbox, and may still be sent.
        """
        try:
            await self._broadcast(signed, at)
        except (NodeUnreachable, RateLimited) as error:
            await self._must_not_be_reset()
            raise FateUnknown(signed.hash) from error
        with suppress(OutboxUnusable):  # it is sent; whoever signs next is told about the file
            await self._aside(partial(self.outbox.told, signed.hash))
        return signed.hash

    async def _broadcast(self, signed: SignedTransaction, at: UnixTime | None) -> None:
        # Any chain refuses what it has, but Ganache 7 takes nonce 0 again and again, and to
        # another one it may never answer.
        fresh = signed.hash in self._fresh and signed.nonce != 0
        self._fresh.discard(signed.hash)
        if not fresh and await self._known(signed.hash):
            return
        try:
            if at is not None:
                await self.node.send_at(at, signed.raw)
            else:
                await self.node.request("eth_sendRawTransaction", [to_hex(signed.raw)])
        except (NodeError, ContractError):
            try:
                known = await self._known(signed.hash)
            except NodeError as error:
                raise FateUnknown(signed.hash) from error
            if not known:
                raise

    async def send(
        self,
        to: Address | None,
        data: bytes,
        value: int = 0,
        gas: int | None = None,
        *,
        idempotency_key: str | None = None,
        content: bytes | None = None,
    ) -> Hash:
        """Signs and broadcasts; the hash by which `receipt` finds it.

        Raises as `sign` and `submit` do. If somebody else used the nonce, another one is taken.
        """
        for again in range(TAKEN_AGAIN):
            signed = await self.sign(
                to,
                data,
                value=value,
                gas=gas,
                idempotency_key=idempotency_key,
                content=content,
            )
            if idempotency_key is not None and await self._aside(
                partial(self.outbox.decided, signed)
            ):
                return signed.hash  # done long ago, perhaps; not every node remembers that
            try:
                await self._let_older_ones_go_first(signed.nonce)
                return await self.submit(signed)
            except FateUnknown as unknown:
                if unknown.tx_hash == signed.hash:
                    raise
                raise FateUnknown(signed.hash) from unknown  # of one that must go first
            except (NodeUnreachable, RateLimited) as error:
                raise FateUnknown(signed.hash) from error
            except (NodeError, ContractError) as error:
                if await self._was_it_taken_after_all(signed):
                    return signed.hash
                # Refused outright: it cannot count, and its nonce is free or somebody else's.
                await self._aside(partial(self.outbox.void, signed))
                self._offer_uses = 0
                await self._count()
                taken = isinstance(error, NodeError) and _nonce_is_taken(error)
                if not taken or again == TAKEN_AGAIN - 1:
                    raise
        raise AssertionError("the last round raises")

    # ------------------------------------------------------------------ what became of it

    async def receipt(self, tx_hash: Hash) -> TxReceipt:
        """Waits until the transaction, or one that replaced it, is in a block.

        Meanwhile it sees to it that the account's older transactions, whoever signed them into the
        same outbox, are with the node too, and that a stuck one is offered more.

        Raises FateUnknown if patience ends first, NonceTaken if it can never count, ChainReset.
        """
        began = time.monotonic()
        pause, look_after = 0.01, 2.0
        while True:
            waited, silence = time.monotonic() - began, None
            signed, hashes = await self._aside(partial(self._hashes, tx_hash))
            try:
                for found in await receipts_of(self.node, hashes):
                    if found is not None:
                        if signed is not None:
                            with suppress(OutboxUnusable):  # it is mined, noted down or not
                                await self._aside(partial(self.outbox.mined, found.tx_hash))
                        return found
                if signed is not None and waited > look_after:
                    look_after = waited + 2.0
                    await self._look_after(signed, waited)
            except (NodeUnreachable, RateLimited, NodeError, FateUnknown) as error:
                silence = error  # it is sent, whatever the node says now; it may come back
            if waited > self.fees.patience:
                raise FateUnknown(tx_hash) from silence
            await self.node.wire.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _hashes(self, tx_hash: Hash) -> tuple[SignedTransaction | None, list[Hash]]:
        """What a receipt may be found under."""
        signed = self.outbox.find(tx_hash)
        if signed is None:
            return None, [tx_hash]
        return signed, [each.hash for each in self.outbox.family(signed)]

    async def transact(
        self,
        to: Address | None,
        data: bytes,
        value: int = 0,
        gas: int | None = None,
        *,
        idempotency_key: str | None = None,
        content: bytes | None = None,
    ) -> TxReceipt:
        """Sends and waits. Raises TransactionFailed, with the contract's reason, if it failed;
        then nothing was changed, and the same `idempotency_key` tries it again.
        """
        try:
            tx_hash = await self.send(
                to, data, value, gas, idempotency_key=idempotency_key, content=content
            )
        except FateUnknown as unknown:
            tx_hash = Hash(unknown.tx_hash)  # it is in the outbox: looked after like any other
        return await self._succeeded(await self.receipt(tx_hash))

    async def followed(self, idempotency_key: str, content: bytes) -> TxReceipt | None:
        """The receipt of what was signed under this key already; None if nothing was.

        Raises as `transact`, which goes on with it in the same way, but needs to know how to do it.
        """
        known = await self._aside(lambda: self.outbox.of_purpose(idempotency_key, content))
        if known is None:
            return None
        try:
            if not await self._aside(partial(self.outbox.decided, known)):
                await self._let_older_ones_go_first(known.nonce)
                await self.submit(known)
        except (NodeError, ContractError):
            if not await self._was_it_taken_after_all(known):
                await self._aside(partial(self.outbox.void, known))
                return None  # it never counts, so it may be done anew
        except (FateUnknown, NodeUnreachable, RateLimited):
            pass  # looked after like any other
        return await self._succeeded(await self.receipt(known.hash))

    async def _succeeded(self, receipt: TxReceipt) -> TxReceipt:
        if receipt.ok:
            return receipt
        with suppress(OutboxUnusable):
            await self._aside(partial(self.outbox.release, receipt.tx_hash))
        reason = None
        with suppress(ChainError):  # that it failed is known, whatever the node says of why
            reason = await reason_of_async(self.node, receipt.tx_hash)
        raise TransactionFailed(receipt.tx_hash, reason)

    async def resume(self) -> int:
        """Sends again what an interrupted program signed and the node does not know; how many."""
        latest = await self.node.transaction_count(self.address)
        return await self._send_again(latest, limit=-1)

    # ------------------------------------------------------------------ looking after the outbox

    async def _let_older_ones_go_first(self, nonce: int) -> None:
        """Not every node keeps a transaction whose turn is later. Whoever signed an older one is
        given a moment to send it; after that they are gone, and it is sent for them.
        """
        last, since = None, 0.0
        while (older := await self._aside(partial(self.outbox.untold_before, nonce))) is not None:
            signed, age = older
            if signed.hash != last:
                last, since = signed.hash, time.monotonic()
            # This machine's clock may have been set back since it was signed.
            if min(age, GONE_AFTER) + (time.monotonic() - since) < GONE_AFTER:
                await self.node.wire.sleep(0.005)
            else:
                await self._send_for_another(signed)

    async def _send_for_another(self, signed: SignedTransaction) -> None:
        try:
            await self.submit(signed)
        except (NodeError, ContractError):
            if await self._is_in_a_block(signed):
                await self._aside(partial(self.outbox.told, signed.hash))
            else:  # it never counts, and must not hold up the others
                await self._aside(partial(self.outbox.void, signed))
                await self._count()

    async def _look_after(self, waiting: SignedTransaction, waited: float) -> None:
        latest = await self.node.transaction_count(self.address)
        if latest > waiting.nonce:
            await self._must_not_be_taken(waiting)
            return
        last = await self._aside(self.outbox.last_mined)
        if last is not None and latest <= last.nonce:
            # The chain forgot what it had: reorganised, and the same transactions count again.
            await self.node.must_be_the_same_chain()
            await self._aside(partial(self.outbox.unmined, latest))
        if not await self._aside(partial(self.outbox.attempts, latest)):
            await self._fill(latest)
        await self._send_again(latest)
        if waited > self.fees.stuck_after:
            await self._offer_more(latest)

    async def _must_not_be_taken(self, waiting: SignedTransaction) -> None:
        """The nonce counted: for an attempt of ours, or the account was used from elsewhere."""
        family = await self._aside(partial(self.outbox.family, waiting))
        asked: list[tuple[str, list[Any]]] = [
            ("eth_getTransactionCount", [to_hex(self.address), "latest"])
        ]
        asked += [("eth_getTransactionReceipt", [to_hex(each.hash)]) for each in family]
        for _ in range(3):  # nodes behind a balancer differ for a moment; one message is for one
            count, *found = await self.node.batch(asked)
            if any(found) or int(count, 16) <= waiting.nonce:
                return
            await self.node.wire.sleep(1.0)
        if await self._aside(partial(self.outbox.decided, waiting)):
            return  # it was seen in a block; this node does not remember old receipts
        for each in family:
            await self._aside(partial(self.outbox.void, each))
        await self._count()
        raise NonceTaken(waiting.hash, waiting.nonce)

    async def _fill(self, nonce: int) -> None:
        """A nonce that nobody has any more, because the node refused its transaction: nothing
        later can count before it does, so it pays nothing to oneself.
        """
        if await self.node.transaction_count(self.address, "pending") > nonce:
            return  # somebody else's, on its way
        fields: TransactionFields = {
            "chainId": await self.node.chain_id(),
            "gas": 21_000,
            "value": 0,
            "data": b"",
            "to": self.address,
            "nonce": nonce,
            **await self._fees(),
        }
        if _dearest(fields) > _most(self.fees):
            return  # cheaper later, or never: what waits was sent, and its fate stays open
        await self._aside(lambda: self.outbox.fill(nonce, lambda _: signed_by(self.signer, fields)))

    async def _send_again(self, latest: int, limit: int = 50) -> int:
        again = 0
        for nonce in await self._aside(partial(self.outbox.open_nonces, latest, limit)):
            attempts = await self._aside(partial(self.outbox.attempts, nonce))
            if not attempts or await self._known(attempts[-1].hash):
                continue
            try:
                await self.submit(attempts[-1])
                again += 1
            except (NodeError, ContractError):
                continue  # whoever waits for it is told when patience ends
        return again

    async def _offer_more(self, nonce: int) -> None:
        """The oldest open transaction once more, for more, if that can be why it waits."""
        attempts = await self._aside(partial(self.outbox.attempts, nonce))
        if not attempts or nonce in self._no_more:
            return
        old = attempts[-1]
        fields = fields_of(old.raw)
        self._offer_uses = 0
        wanted = await self._fees()
        offered = {name: fields[name] for name in wanted if name in fields}
        if not offered:
            return
        raised = {
            name: max(amount, offered[name] * (100 + BUMP_PERCENT) // 100 + 1)
            for name, amount in wanted.items()
            if name != "type"
        }
        limit = self.fees.limit
        if limit is not None and any(amount > limit for amount in raised.values()):
            return
        fields = {**fields, **raised}
        if _dearest(fields) > _most(self.fees):
            return
        try:
            new = await self._aside(
                lambda: self.outbox.replace(old, lambda _: signed_by(self.signer, fields))
            )
        except OutboxUnusable:
            raise
        except Exception:  # the wallet's owner may decline: what was sent before may still count
            self._no_more.add(nonce)
            return
        try:
            await self.submit(new)
        except (NodeError, ContractError):
            # Not taken: the older attempt may still count, this one never does.
            if not await self._is_in_a_block(new):
                await self._aside(partial(self.outbox.void, new))

    async def _must_not_be_reset(self) -> None:
        """A node that does not answer may be another one now. Raises ChainReset."""
        with suppress(NodeUnreachable, RateLimited, NodeError):
            await self.node.must_be_the_same_chain()

    # ------------------------------------------------------------------ within

    async def _aside(self, work: Callable[[], T]) -> T:
        """The outbox waits for the disk, and for whoever else has it: never on an event loop."""
        return await self.node.wire.aside(work)

    async def _count(self) -> None:
        count = await self.node.transaction_count(self.address, "pending")
        await self._aside(partial(self.outbox.count_from, count))

    async def _estimate(self, to: Address | None, data: bytes, value: int) -> int:
        wanted = {"from": to_hex(self.address), "data": to_hex(data), "value": hex(value)}
        if to is not None:
            wanted["to"] = to_hex(to)
        try:
            found = await self._number("eth_estimateGas", [wanted])
        except (TooManyUnits, GraceRunning) as early:
            found = await self._estimate_later(wanted, early)
        return found * 6 // 5

    async def _number(self, method: str, params: Sequence[Any] = ()) -> int:
        found = await self.node.request(method, params)
        try:
            value = int(found, 16)
        except (ValueError, TypeError):
            value = -1
        if value < 0:
            reason = f"{method} was not answered as JSON-RPC demands ({str(found)[:40]!r})"
            raise NodeUnreachable(self.node.url, reason)
        return value

    async def _estimate_later(self, wanted: dict[str, str], early: ContractError) -> int:
        """The estimate for the next block, where the latest one is too old to allow the call.

        The chain's clock moves with its blocks. Ganache asks no other block's clock, so there an
        empty one is made: it is a local chain.
        """
        if (await self.node.client()).startswith("Ganache"):
            await self.node.request("evm_mine")
            return await self._number("eth_estimateGas", [wanted])
        try:
            return await self._number("eth_estimateGas", [wanted, "pending"])
        except NodeError:
            raise early from None

    async def _fees(self) -> dict[str, int]:
        if self._offer_uses == 0 or time.monotonic() > self._offer_until:
            self._offer = await self._ask_fees()
            self._offer_uses = FEES_KEPT
            self._offer_until = time.monotonic() + FEES_KEPT_SECONDS
        self._offer_uses -= 1
        return self._offer

    async def _ask_fees(self) -> dict[str, int]:
        limit = self.fees.limit
        base_fee = 0 if self.fees.legacy else (await self.node.block()).base_fee
        if self.fees.legacy or (self.fees.legacy is None and base_fee == 0):
            price = await self._number("eth_gasPrice")
            return {"gasPrice": price if limit is None else min(price, limit)}
        # Twice the base fee outlasts six full blocks; what is not needed is not charged.
        most = 2 * base_fee + self.fees.tip
        most = most if limit is None else min(most, limit)
        tip = min(self.fees.tip, most)
        return {"type": 2, "maxPriorityFeePerGas": tip, "maxFeePerGas": most}

    def _must_be_affordable(self, fields: TransactionFields) -> None:
        cost, most = _dearest(fields), _most(self.fees)
        if cost > most:
            raise FeeTooHigh(fields["gas"], cost // fields["gas"], most)

    async def _known(self, tx_hash: Hash) -> bool:
        return (await self.node.request("eth_getTransactionByHash", [to_hex(tx_hash)])) is not None

    async def _is_in_a_block(self, signed: SignedTransaction) -> bool:
        family = await self._aside(partial(self.outbox.family, signed))
        return any(await receipts_of(self.node, [each.hash for each in family]))

    async def _was_it_taken_after_all(self, signed: SignedTransaction) -> bool:
        """Whether a transaction counted that the node refuses now."""
        try:
            return await self._is_in_a_block(signed)
        except (NodeUnreachable, RateLimited, NodeError) as error:
            raise FateUnknown(signed.hash) from error


class Sender:
    """As AsyncSender, for programs without an event loop."""

    def __init__(
        self,
        node: Node,
        signer: Signer,
        *,
        outbox: Outbox | None = None,
        fees: Fees = Fees(),
    ) -> None:
        self.node = node
        self.core = AsyncSender(node.core, signer, outbox=outbox, fees=fees)

    @property
    def address(self) -> Address:
        """The account that pays for gas."""
        return self.core.address

    @property
    def signer(self) -> Signer:
        """Who signs its transactions."""
        return self.core.signer

    @property
    def outbox(self) -> Outbox:
        """What was signed and is not certain yet."""
        return self.core.outbox

    sign = blocking(AsyncSender.sign)
    submit = blocking(AsyncSender.submit)
    send = blocking(AsyncSender.send)
    receipt = blocking(AsyncSender.receipt)
    transact = blocking(AsyncSender.transact)
    followed = blocking(AsyncSender.followed)
    resume = blocking(AsyncSender.resume)


# ---------------------------------------------------------------------- receipts


def read_receipt(found: dict[str, Any]) -> TxReceipt:
    """A receipt as JSON-RPC writes it."""
    created = found.get("contractAddress")
    return TxReceipt(
        tx_hash=Hash(from_hex(found["transactionHash"])),
        block=BlockNumber(int(found["blockNumber"], 16)),
        ok=int(found["status"], 16) == 1,
        gas_used=int(found["gasUsed"], 16),
        gas_price=int(found.get("effectiveGasPrice") or "0x0", 16),
        contract=Address(from_hex(created)) if created else None,
        logs=tuple(found["logs"]),
    )


async def receipts_of(node: AsyncNode, hashes: Iterable[Hash]) -> list[TxReceipt | None]:
    """Many receipts, in batches; None for what is in no block."""
    wanted = list(hashes)
    answers = await node.batch([("eth_getTransactionReceipt", [to_hex(each)]) for each in wanted])
    try:
        read = [read_receipt(found) if found else None for found in answers]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NodeUnreachable(node.url, f"a receipt cannot be read ({error})") from error
    for tx_hash, receipt in zip(wanted, read, strict=True):
        if receipt is not None and receipt.tx_hash != tx_hash:
            raise NodeUnreachable(node.url, "it answers with another transaction's receipt")
    return read


def receipts(node: Node, hashes: Iterable[Hash]) -> list[TxReceipt | None]:
    """Many receipts, in batches; None for what is in no block."""
    return drive(receipts_of(node.core, hashes))


async def reason_of_async(node: AsyncNode, tx_hash: Hash) -> ContractError | None:
    """Why a transaction failed: the same call again, on the state before its block.

    None if it cannot be told: it does not fail there, or the node kept no such state. A reason that
    depends on the block's time, or on others in the same block, may differ.
    """
    found = await node.request("eth_getTransactionByHash", [to_hex(tx_hash)])
    if not found or not found.get("blockNumber"):
        return None
    call = {"from": found["from"], "data": found["input"], "value": found["value"]}
    call["gas"] = found["gas"]
    if found.get("to"):
        call["to"] = found["to"]
    number = int(found["blockNumber"], 16)
    # The block itself has the right time; before it, nothing of it has happened yet.
    for block in (number - 1, number):
        try:
            await node.request("eth_call", [call, hex(block)])
        except ContractError as reason:
            return reason
        except NodeError:
            continue
    return None


def reason_of(node: Node, tx_hash: Hash) -> ContractError | None:
    """As `reason_of_async`, for programs without an event loop."""
    return drive(reason_of_async(node.core, tx_hash))


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


def _nonce_is_taken(error: NodeError) -> bool:
    said = error.message.lower()
    return "nonce" in said or "underpriced" in said or "already" in said
