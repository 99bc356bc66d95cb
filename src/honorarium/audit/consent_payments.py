"""Whether who paid in, drew out or tipped wanted that: deposits (ESC-11), withdrawals (ESC-1 for
what and where to, ESC-14 for the signature, its deadline and its number), tips (ESC-13).
"""

from __future__ import annotations

from collections.abc import Callable

from honorarium.audit.check import finding_at
from honorarium.audit.facts import Entry, Finding, Place, Transaction
from honorarium.audit.origin import Origins
from honorarium.audit.payments import DepositRow, PaymentRow, TipRow, WithdrawalRow, payment_of
from honorarium.audit.signed import Judged, Signed, authorized_payment
from honorarium.errors.refusals import moment
from honorarium.ids import ZERO_HASH, Address, Hash, SessionId
from honorarium.protocol.events import Deposited, Tipped, Withdrawn
from honorarium.protocol.messages import Withdrawal, deposit_nonce, tip_nonce
from honorarium.units import BaseUnits, UnixTime


class PaymentConsent:
    """Reads consent out of transactions to the escrow and the tip jar."""

    def __init__(
        self,
        place: Place,
        separator: Callable[[Address], bytes | None],
        origins: Origins,
    ) -> None:
        self._place, self._separator, self._origins = place, separator, origins
        self._numbers: dict[Address, int] = {}  # of each account's last signed withdrawal
        self._explained = Hash(b"")  # the last transaction whose one payment was met

    def check(self, entry: Entry) -> list[Judged]:
        """What speaks against the consent that this payment needs."""
        event, sent = entry.event, entry.transaction
        escrow = self._place.domain.contract
        rule, to, kind, session_id = {
            Deposited: ("ESC-11", escrow, DepositRow, None),
            Withdrawn: ("ESC-1", escrow, WithdrawalRow, None),
            Tipped: ("ESC-13", self._place.tip_jar, TipRow, None),
        }[type(event)]
        if sent is None:
            found = f"the node has no 0x{entry.tx_hash.hex()}"
            return [finding_at(entry, rule, session_id, "the transaction of this event", found)]
        row = payment_of(sent.data) if sent.to == to else None
        if row is None or not isinstance(row, kind) or entry.tx_hash == self._explained:
            return self._origins.elsewhere(entry, rule, session_id)
        judged = self._judge(entry, row, sent)
        if any(isinstance(each, Finding) for each in judged):
            return [self._origins.contradicted(entry, judged)]
        self._explained = entry.tx_hash
        if isinstance(row, WithdrawalRow) and row.account is not None:
            self._numbers[row.account] = row.nonce
        return judged

    def _judge(self, entry: Entry, row: PaymentRow, sent: Transaction) -> list[Judged]:
        event = entry.event
        match row, event:
            case DepositRow(), Deposited():
                return self._deposit(entry, event, row, sent)
            case WithdrawalRow(), Withdrawn():
                return self._withdrawal(entry, event, row, sent)
            case TipRow(), Tipped():
                return self._tip(entry, event, row, sent)
            case _:
                return []

    def _deposit(
        self, entry: Entry, event: Deposited, row: DepositRow, sent: Transaction
    ) -> list[Judged]:
        signed = Signed(entry, "ESC-11", None, sent.sender)
        _same(
            signed,
            (row.token, row.account, row.amount),
            (event.token, event.account, event.amount),
        )
        if row.paid is None:
            signed.must("depositor", event.from_, ZERO_HASH, b"")
            return signed.judged
        digest = authorized_payment(
            self._separator(row.token) or bytes(32),
            self._place.domain.contract,
            event.account,
            row.amount,
            deposit_nonce(row.token, row.account, row.salt),
            row.paid,
        )
        signed.must("depositor", event.account, digest, row.paid.signature)
        return signed.judged

    def _withdrawal(
        self, entry: Entry, event: Withdrawn, row: WithdrawalRow, sent: Transaction
    ) -> list[Judged]:
        money = Signed(entry, "ESC-1", None, sent.sender)
        _same(money, (row.token, row.amount, row.to), (event.token, event.amount, event.to))
        signed = Signed(entry, "ESC-14", None, sent.sender)
        if row.account is None:
            signed.must("account", event.account, ZERO_HASH, b"")
            return money.judged + signed.judged
        message = Withdrawal(
            row.account,
            row.token,
            BaseUnits(row.amount),
            row.to,
            row.nonce,
            UnixTime(row.deadline),
        )
        if row.account != event.account:
            signed.found(f"out of the balance of 0x{row.account.hex()}", _shown(event.account))
        digest = message.digest(self._place.domain)
        signed.must("account", event.account, digest, row.signature)
        if entry.time > row.deadline:
            until = moment(UnixTime(row.deadline))
            signed.found(f"the signature used by {until}", moment(entry.time))
        last = self._numbers.get(event.account)
        if last is not None and row.nonce <= last:
            signed.found(f"a withdrawal number above {last} of this account", row.nonce)
        return money.judged + signed.judged

    def _tip(self, entry: Entry, event: Tipped, row: TipRow, sent: Transaction) -> list[Judged]:
        signed = Signed(entry, "ESC-13", _session(event), sent.sender)
        _same(
            signed,
            (row.advisor, row.session_id, row.token, row.amount, row.memo),
            (event.advisor, event.session_id, event.token, event.amount, event.memo),
        )
        if row.paid is None:
            signed.must("tipper", event.tipper, ZERO_HASH, b"")
            return signed.judged
        if row.tipper != event.tipper:
            signed.found(f"from 0x{(row.tipper or b'').hex()}", _shown(event.tipper))
        digest = authorized_payment(
            self._separator(row.token) or bytes(32),
            self._place.tip_jar,
            event.tipper,
            row.amount,
            tip_nonce(row.token, row.advisor, row.session_id, row.memo, row.salt),
            row.paid,
        )
        signed.must("tipper", event.tipper, digest, row.paid.signature)
        return signed.judged


def _same(signed: Signed, agreed: tuple[object, ...], told: tuple[object, ...]) -> None:
    for one, other in zip(agreed, told, strict=True):
        if one != other:
            signed.found(f"{_shown(one)} as in the call", _shown(other))


def _session(event: Tipped) -> SessionId | None:
    return event.session_id if any(event.session_id) else None


def _shown(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
