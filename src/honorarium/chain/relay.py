"""What somebody signed and anybody may send.

Whoever relays lends the contracts their own address: where a signature is missing, the contracts
take the sender for the party. So nothing is relayed that could act for the relayer.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from honorarium.chain.abi import decode_call
from honorarium.chain.node import from_hex, to_hex
from honorarium.chain.receipts import TxReceipt
from honorarium.errors import HonorariumError, InputError
from honorarium.ids import Address
from honorarium.protocol.signer import Signer
from honorarium.protocol.terms import Terms

Part = tuple[Address, bytes]
"""A party, and the signature by which it agrees; empty: it has to be the sender."""


class NotRelayable(InputError):
    """An action that nobody should send for somebody else. Nothing was sent."""

    def __init__(self, action: str, reason: str) -> None:
        self.action, self.reason = action, reason
        super().__init__(f"the action {action!r} cannot be sent for somebody else: {reason}")


class RelayableUnreadable(InputError):
    """Text that is no signed action."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"this is no signed action: {reason}; give the text that `sign_...` made, whole"
        )


@dataclass(frozen=True, slots=True)
class Relayable:
    """What somebody signed, ready for anybody to send: `data` to the contract `to`.

    `action` says what it does: `open`, `leave`, ... Whoever sends it pays gas, and nothing else.
    """

    action: str
    to: Address
    data: bytes

    def to_json(self) -> str:
        """As text, for a file or a message."""
        fields = {"action": self.action, "to": to_hex(self.to), "data": to_hex(self.data)}
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads `to_json`. Raises RelayableUnreadable if it is none."""
        try:
            found = json.loads(text)
            to, data = from_hex(found["to"]), from_hex(found["data"])
            if len(to) != 20 or len(data) < 4:
                raise ValueError("an address has 20 bytes, and a call 4 or more")
            return cls(str(found["action"]), Address(to), data)
        except KeyError as error:
            raise RelayableUnreadable(f"it has no {error}") from None
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise RelayableUnreadable(str(error)) from None

    def must_not_act_for(self, relayer: Address) -> None:
        """Raises NotRelayable unless everything that it does was signed by whom it concerns, so
        that `relayer` gives nothing but gas.
        """
        try:
            name, values = decode_call(self.data)
        except ValueError as error:
            raise NotRelayable(self.action, str(error)) from None
        parts = _PARTS.get(name)
        if parts is None:
            raise NotRelayable(
                self.action, f"{name} does it for whoever sends it; have it signed with `sign_...`"
            )
        try:
            unsigned = [party for party, signature in parts(*values) if not signature]
        except (ValueError, TypeError, HonorariumError) as error:
            raise NotRelayable(self.action, f"its terms cannot be read ({error})") from None
        if relayer in unsigned:
            raise NotRelayable(
                self.action,
                f"it needs a signature of 0x{relayer.hex()} and has none, so it would be you who "
                "agrees, by sending it; if you do, call the method yourself",
            )


Signing = Callable[[], Awaitable[Relayable]]
"""How something is signed, should it come to that."""


class Carrier(Protocol):
    """Sends what accounts sign, and pays the gas: a desk."""

    async def carry(
        self, signer: Signer, signing: Signing, idempotency_key: str | None, content: bytes
    ) -> TxReceipt:
        """Has it signed and sent, and waits until it counts.

        With an `idempotency_key` that was used before for the same `content`, what was signed then
        is followed. Raises IdempotencyKeyReused, what the contract refuses, and what asking the
        carrier raises.
        """

    async def carried(
        self, signer: Signer, idempotency_key: str, content: bytes
    ) -> TxReceipt | None:
        """What was signed under this key is brought to its end; None if nothing was."""


def _terms(packed: Any) -> Terms:
    return Terms.unpack(list(packed))


def _opening(terms: Terms, payer: bytes, advisor: bytes, client: bytes) -> Iterator[Part]:
    yield terms.payer, payer
    yield terms.advisor, advisor
    if terms.client != terms.payer:
        yield terms.client, client


def _account(text: str) -> Address:
    return Address(from_hex(text))


_PARTS: Final[dict[str, Callable[..., Any]]] = {
    "depositWithAuthorization": lambda _t, account, _a, _s, paid: [(_account(account), paid[2])],
    "withdrawFor": lambda account, *rest: [(_account(account), rest[-1])],
    "openWithAuthorization": lambda terms, _d, paid, advisor, client: list(
        _opening(_terms(terms), paid[2], advisor, client)
    ),
    "openFromBalance": lambda row: list(_opening(_terms(row[0]), row[4], row[2], row[3])),
    "revoke": lambda _terms, by, signature: [(_account(by), signature)],
    "topUpWithAuthorization": lambda terms, _d, paid: [(_terms(terms).payer, paid[2])],
    "topUpFromBalance": lambda terms, _d, signature: [(_terms(terms).payer, signature)],
    "closeFor": lambda row: [(_terms(row[0]).advisor, row[3])],
    "requestClose": lambda _terms, by, signature: [(_account(by), signature)],
    "rate": lambda terms, _s, _c, signature: [(_terms(terms).client, signature)],
    "answer": lambda terms, _a, signature: [(_terms(terms).advisor, signature)],
    "tipWithAuthorization": lambda tipper, *rest: [(_account(tipper), rest[-1][2])],
}
"""By the contracts' function: whose signatures are in it."""
