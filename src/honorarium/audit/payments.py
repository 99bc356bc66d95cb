"""Money outside of sessions, as calldata of the escrow and the tip jar carries it: who agreed that
it moves. Read leniently, as in calldata.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from honorarium.audit.calldata import Authorized, Words, selector
from honorarium.ids import Address, Hash, SessionId

_PAID: Final = "(uint256,uint256,bytes)"


@dataclass(frozen=True, slots=True)
class DepositRow:
    """Money for `account`'s balance: out of the caller's wallet, or (`paid`) out of its own."""

    token: Address
    account: Address
    amount: int
    salt: Hash
    paid: Authorized | None


@dataclass(frozen=True, slots=True)
class WithdrawalRow:
    """Money out of a balance: the caller's (`account` None), or of who signed."""

    account: Address | None
    token: Address
    amount: int
    to: Address
    nonce: int
    deadline: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class TipRow:
    """A tip: the caller's (`tipper` None), or of who signed."""

    tipper: Address | None
    advisor: Address
    session_id: SessionId
    token: Address
    amount: int
    memo: Hash
    salt: Hash
    paid: Authorized | None


PaymentRow = DepositRow | WithdrawalRow | TipRow

_NONE: Final = Hash(bytes(32))


def _deposit(a: Words) -> PaymentRow:
    return DepositRow(a.address(0), a.address(1), a.number(2), _NONE, None)


def _deposit_with_authorization(a: Words) -> PaymentRow:
    return DepositRow(a.address(0), a.address(1), a.number(2), Hash(a.word(3)), a.authorized(4))


def _withdraw(a: Words) -> PaymentRow:
    return WithdrawalRow(None, a.address(0), a.number(1), a.address(2), 0, 0, b"")


def _withdraw_for(a: Words) -> PaymentRow:
    return WithdrawalRow(
        a.address(0),
        a.address(1),
        a.number(2),
        a.address(3),
        a.number(4),
        a.number(5),
        a.bytes(6),
    )


def _tip(a: Words) -> PaymentRow:
    session, memo = SessionId(a.word(1)), Hash(a.word(4))
    return TipRow(None, a.address(0), session, a.address(2), a.number(3), memo, _NONE, None)


def _tip_with_authorization(a: Words) -> PaymentRow:
    return TipRow(
        a.address(0),
        a.address(1),
        SessionId(a.word(2)),
        a.address(3),
        a.number(4),
        Hash(a.word(5)),
        Hash(a.word(6)),
        a.authorized(7),
    )


_READERS: Final[dict[bytes, Callable[[Words], PaymentRow]]] = {
    selector("deposit(address,address,uint256)"): _deposit,
    selector(
        f"depositWithAuthorization(address,address,uint256,bytes32,{_PAID})"
    ): _deposit_with_authorization,
    selector("withdraw(address,uint256,address)"): _withdraw,
    selector("withdrawFor(address,address,uint256,address,uint256,uint256,bytes)"): _withdraw_for,
    selector("tip(address,bytes32,address,uint256,bytes32)"): _tip,
    selector(
        f"tipWithAuthorization(address,address,bytes32,address,uint256,bytes32,bytes32,{_PAID})"
    ): _tip_with_authorization,
}


def payment_of(data: bytes) -> PaymentRow | None:
    """The payment in this calldata; None if it is none of these calls, or cannot be read."""
    read = _READERS.get(bytes(data[:4]))
    if read is None:
        return None
    try:
        return read(Words(data, 4))
    except ValueError:
        return None
