"""Money outside of sessions, as calldata of the escrow and the tip jar carries it: who agreed that
it moves. Read leniently, as in calldata.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from honorarium.audit.calldata import Authorized, Words, address, integer, selector
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
    token, account, amount = a.words(0, 3)
    return DepositRow(address(token), address(account), integer(amount), _NONE, None)


def _deposit_with_authorization(a: Words) -> PaymentRow:
    token, account, amount, salt, paid = a.words(0, 5)
    by = a.authorized(paid)
    return DepositRow(address(token), address(account), integer(amount), Hash(salt), by)


def _withdraw(a: Words) -> PaymentRow:
    token, amount, to = a.words(0, 3)
    return WithdrawalRow(None, address(token), integer(amount), address(to), 0, 0, b"")


def _withdraw_for(a: Words) -> PaymentRow:
    account, token, amount, to, nonce, deadline, signature = a.words(0, 7)
    return WithdrawalRow(
        address(account),
        address(token),
        integer(amount),
        address(to),
        integer(nonce),
        integer(deadline),
        a.content(signature),
    )


def _tip(a: Words) -> PaymentRow:
    advisor, session, token, amount, memo = a.words(0, 5)
    return TipRow(
        None,
        address(advisor),
        SessionId(session),
        address(token),
        integer(amount),
        Hash(memo),
        _NONE,
        None,
    )


def _tip_with_authorization(a: Words) -> PaymentRow:
    tipper, advisor, session, token, amount, memo, salt, paid = a.words(0, 8)
    return TipRow(
        address(tipper),
        address(advisor),
        SessionId(session),
        address(token),
        integer(amount),
        Hash(memo),
        Hash(salt),
        a.authorized(paid),
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
