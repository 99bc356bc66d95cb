"""A session's log, read and checked: every event must follow from the terms and those before it.

What the contract computes is computed again here, with the rules' numbers (docs/rules.md). Pure: no
chain, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from eth_utils.address import to_checksum_address

from honorarium.bill.errors import (
    ForeignRecord,
    LogContradicts,
    SessionRevoked,
    SessionUnknown,
    TimeMissing,
    WrongDomain,
    WrongToken,
)
from honorarium.bill.lines import counted, money_words
from honorarium.chain import LogRecord
from honorarium.errors import JournalChanged
from honorarium.errors.refusals import moment
from honorarium.ids import ZERO_HASH, Address, Hash, SessionId
from honorarium.money import Token
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Rated,
    RefundCredited,
    Revoked,
    RowSkipped,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
)
from honorarium.protocol.journal import Entry, Journal
from honorarium.protocol.slot import Status
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, BlockNumber, Seconds, UnixTime

RATING_WINDOW: Final = Seconds(30 * 86_400)
_LAST_TIME: Final = 253_000_000_000  # in the year 9987: beyond it calendars end


class Did(NamedTuple):
    """What a transaction did: the event's name, and it in words."""

    event: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction of the session, and all that it did to it."""

    tx_hash: Hash
    block: BlockNumber
    time: UnixTime
    did: tuple[Did, ...]


@dataclass(frozen=True, slots=True)
class Funding:
    """Money that the payer put in: `amount` more, so that the whole deposit was `total`."""

    amount: BaseUnits
    total: BaseUnits
    from_balance: bool
    time: UnixTime
    tx_hash: Hash


@dataclass(frozen=True, slots=True)
class Tip:
    """Money beside the tariff, for the advisor, from the client or the payer."""

    tipper: Address
    token: Address
    amount: BaseUnits
    memo: Hash
    time: UnixTime
    tx_hash: Hash


class _Reading(NamedTuple):
    units: int
    fee: BaseUnits  # never above the deposit of then
    journal: Hash


class SessionLog:
    """What a session's events make of it, entered one by one. Raises as `read_log` says."""

    def __init__(
        self, session_id: SessionId, domain: Domain, token: Token, tip_jar: Address | None
    ) -> None:
        self.session_id, self.domain, self.token = session_id, domain, token
        self.tip_jar = tip_jar
        self.status = Status.NONE
        self.deposit = self.earned = BaseUnits(0)
        self.opened_at = self.closing_at = self.grace_ends = self.closed_at = UnixTime(0)
        self.from_balance = self.refund_credited = False
        self.score, self.comment_hash = 0, ZERO_HASH
        self.answer_hash: Hash | None = None
        self.fundings: list[Funding] = []
        self.tips: list[Tip] = []
        self.tips_of_others = 0
        self._done: list[tuple[LogRecord, str]] = []
        self._tipped: list[tuple[LogRecord, Tipped]] = []
        self._readings = [_Reading(0, BaseUnits(0), ZERO_HASH)]
        self._closed_in = ZERO_HASH
        self._revoked: tuple[Address, UnixTime] | None = None

    @property
    def reading(self) -> _Reading:
        """The reading that gives what was earned; of several, the highest.

        With the deposits as they were then: a later top-up makes no old reading worth more by
        itself, and a closing may bring an older reading, or none.
        """
        return max((r for r in reversed(self._readings) if r.fee == self.earned), key=_units)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The transactions in order, each with all that it did."""
        steps: list[Step] = []
        for record, text in sorted(self._done, key=_place):
            did = Did(type(record.event).__name__, text)
            if steps and steps[-1].tx_hash == record.tx_hash:
                steps[-1] = replace(steps[-1], did=(*steps[-1].did, did))
            else:
                steps.append(Step(record.tx_hash, record.block, record.time, (did,)))
        return tuple(steps)

    def end(self, records: int) -> None:
        """Looks at the tips. Raises SessionRevoked or SessionUnknown if there was no session."""
        if self.status is Status.NONE:
            if self._revoked is not None:
                raise SessionRevoked(self.session_id, *self._revoked)
            raise SessionUnknown(self.session_id, records)
        for record, tipped in self._tipped:
            self._tip(record, tipped)

    def enter(self, record: LogRecord, records: int) -> None:
        event = record.event
        home = self.tip_jar if isinstance(event, Tipped) else self.domain.contract
        if record.address != home:
            raise ForeignRecord(type(event).__name__, home, record.address)
        if isinstance(event, Tipped):
            self._tipped.append((record, event))  # even before the opening: the terms come first
            return
        if isinstance(event, Revoked):
            self._expect(record, "ESC-6", "the state before a revocation", "NONE", self.status.name)
            self._revoked = event.by, record.time
            return
        if isinstance(event, SessionOpened):
            self._open(record, event)
            return
        if self.status is Status.NONE:
            raise SessionUnknown(self.session_id, records)
        match event:
            case ToppedUp():
                self._top_up(record, event)
            case Settled():
                self._running(record)
                before = self.earned
                self._earn(record, event)
                if self.earned == before:
                    raise LogContradicts(
                        "ESC-2", "what was earned", f"above {before}", before, record
                    )
                units = counted(event.units, self.terms.tariff)
                self._did(record, f"Settled {units}: {self._text(self.earned)} earned in all")
            case CloseRequested():
                self._request_close(record, event)
            case SessionClosed():
                self._close(record, event)
            case RefundCredited():
                self._credit_refund(record, event)
            case Rated():
                self._rate(record, event)
            case Answered():
                self._answer(record, event)
            case _:
                pass

    # ------------------------------------------------------------------ the life of a session

    def _open(self, record: LogRecord, event: SessionOpened) -> None:
        known = "REVOKED" if self._revoked else self.status.name
        self._expect(record, "ESC-6", "the state before the opening", "NONE", known)
        computed = event.terms.session_id(self.domain)
        if computed != self.session_id:
            raise WrongDomain(self.session_id, computed, self.domain)
        if event.terms.token != self.token.address:
            raise WrongToken(event.terms.token, self.token.address)
        self.terms: Terms = event.terms
        self._same_party(record, "advisor", event.advisor)
        self._expect(record, "ESC-5", "the opening's time", record.time, event.slot.opened_at)
        self.status, self.opened_at = Status.OPEN, record.time
        self.from_balance = event.from_balance
        self._fund(record, event.deposit, event.from_balance)
        source = self._source(event.from_balance)
        self._did(record, f"Opened, with a deposit of {self._text(event.deposit)} from {source}")

    def _top_up(self, record: LogRecord, event: ToppedUp) -> None:
        self._expect(record, "ESC-7", "the state before a top-up", "OPEN", self.status.name)
        before = self.deposit
        if event.deposit <= before:
            raise LogContradicts(
                "ESC-1", "the deposit after a top-up", f"above {before}", event.deposit, record
            )
        self._fund(record, event.deposit, event.from_balance)
        added, source = self._text(event.deposit - before), self._source(event.from_balance)
        self._did(record, f"Topped up by {added} from {source}, to {self._text(event.deposit)}")

    def _request_close(self, record: LogRecord, event: CloseRequested) -> None:
        self._expect(record, "ESC-7", "the state before leaving", "OPEN", self.status.name)
        who = {self.terms.payer: "payer", self.terms.client: "client"}.get(event.by)
        if who is None:
            wanted = f"0x{self.terms.client.hex()} or 0x{self.terms.payer.hex()}"
            raise LogContradicts("ESC-7", "who left", wanted, f"0x{event.by.hex()}", record)
        ends = record.time + self.terms.close_grace
        self._expect(record, "ESC-7", "the end of the grace period", ends, event.grace_ends)
        self.status, self.closing_at, self.grace_ends = (
            Status.CLOSING,
            record.time,
            event.grace_ends,
        )
        until = moment(event.grace_ends).partition(" (")[0]
        self._did(record, f"The {who} asked to close; the advisor may settle until {until}")

    def _close(self, record: LogRecord, event: SessionClosed) -> None:
        self._running(record)
        self._earn(record, event)
        self.status, self.closed_at = Status.CLOSED, record.time
        self._closed_in = record.tx_hash
        refund = self._text(self.deposit - self.earned)
        self._did(record, f"Closed with {self._text(self.earned)} earned; refund {refund}")

    def _credit_refund(self, record: LogRecord, event: RefundCredited) -> None:
        given = f"0x{record.tx_hash.hex()}"
        self._expect(record, "ESC-6", "where it is credited", f"0x{self._closed_in.hex()}", given)
        self._expect(
            record,
            "ESC-6",
            "a refund already in a balance",
            False,
            self.from_balance or self.refund_credited,
        )
        self._same_party(record, "payer", event.payer)
        self._expect(record, "ESC-7", "the refund", self.deposit - self.earned, event.refund)
        self.refund_credited = True
        refund = self._text(event.refund)
        self._did(record, f"The wallet did not take {refund}: credited to the payer's balance")

    def _rate(self, record: LogRecord, event: Rated) -> None:
        self._expect(record, "ESC-10", "the state before a rating", "CLOSED", self.status.name)
        self._expect(record, "ESC-10", "the score before a rating", 0, self.score)
        self._same_party(record, "client", event.client)
        self._same_party(record, "advisor", event.advisor)
        if not 1 <= event.score <= 5:
            raise LogContradicts("ESC-10", "the score", "1 to 5", event.score, record)
        if self.earned == 0:
            raise LogContradicts("ESC-10", "what a rated session earned", "above 0", 0, record)
        ends = self.closed_at + RATING_WINDOW
        if record.time > ends:
            raise LogContradicts(
                "ESC-10", "the rating's time", f"at most {ends}", record.time, record
            )
        self.score, self.comment_hash = event.score, event.comment_hash
        self._did(record, f"The client rated it {event.score} of 5")

    def _answer(self, record: LogRecord, event: Answered) -> None:
        self._expect(record, "ESC-10", "a rating before the answer", True, self.score > 0)
        self._expect(record, "ESC-10", "answers before it", 0, int(self.answer_hash is not None))
        self._same_party(record, "advisor", event.advisor)
        self.answer_hash = event.answer_hash
        self._did(record, "The advisor answered the rating")

    def _tip(self, record: LogRecord, event: Tipped) -> None:
        """Anybody may name any session in a tip: what others gave is counted, and left out."""
        who = {self.terms.payer: "payer", self.terms.client: "client"}.get(event.tipper)
        if event.advisor != self.terms.advisor or who is None:
            self.tips_of_others += 1
            return
        self.tips.append(
            Tip(event.tipper, event.token, event.amount, event.memo, record.time, record.tx_hash)
        )
        ours = event.token == self.token.address
        amount = (
            self._text(event.amount)
            if ours
            else f"{event.amount} base units of token {to_checksum_address(event.token)}"
        )
        self._did(record, f"The {who} tipped the advisor {amount}")

    # ------------------------------------------------------------------ checks

    def _running(self, record: LogRecord) -> None:
        if self.status is Status.CLOSED:
            raise LogContradicts(
                "ESC-6", f"a {type(record.event).__name__} after closing", "none", "there", record
            )

    def _earn(self, record: LogRecord, event: Settled | SessionClosed) -> None:
        tariff = self.terms.tariff
        if tariff.unit_seconds and event.units:
            passed = max(0, (self.closing_at or record.time) - self.opened_at)
            allowed = passed // tariff.unit_seconds + 1
            if event.units > allowed:
                raise LogContradicts(
                    "ESC-5", "the units", f"at most {allowed}", event.units, record
                )
        fee = tariff.fee(event.units, self.deposit)
        earned = max(self.earned, fee)
        self._expect(record, "ESC-4", f"earned for {event.units} units", earned, event.earned)
        self.earned = earned
        if event.units:
            self._readings.append(_Reading(event.units, fee, event.journal))

    def _fund(self, record: LogRecord, total: BaseUnits, from_balance: bool) -> None:
        added = BaseUnits(total - self.deposit)
        self.fundings.append(Funding(added, total, from_balance, record.time, record.tx_hash))
        self.deposit = total

    def _same_party(self, record: LogRecord, name: str, found: Address) -> None:
        expected: Address = getattr(self.terms, name)
        self._expect(record, "ESC-11", f"the {name}", f"0x{expected.hex()}", f"0x{found.hex()}")

    def _expect(
        self, record: LogRecord, rule: str, what: str, expected: object, found: object
    ) -> None:
        if expected != found:
            raise LogContradicts(rule, what, expected, found, record)

    # ------------------------------------------------------------------ words

    def _text(self, amount: int) -> str:
        return money_words(amount, self.token)

    def _source(self, from_balance: bool) -> str:
        return "the payer's balance" if from_balance else "the payer's wallet"

    def _did(self, record: LogRecord, text: str) -> None:
        self._done.append((record, text))


def _units(reading: _Reading) -> int:
    return reading.units


def _place(done: tuple[LogRecord, str]) -> tuple[int, int]:
    return done[0].block, done[0].index


def read_log(
    records: Iterable[LogRecord],
    session_id: SessionId,
    domain: Domain,
    token: Token,
    tip_jar: Address | None,
) -> SessionLog:
    """The session's own records, out of all of them, entered and checked.

    Raises SessionUnknown, SessionRevoked, WrongDomain, WrongToken, ForeignRecord, TimeMissing, and
    LogContradicts for events that cannot follow each other.
    """
    log, seen = SessionLog(session_id, domain, token, tip_jar), 0
    last: tuple[int, int] | None = None
    for seen, record in enumerate(records, start=1):
        event = record.event
        if getattr(event, "session_id", None) != session_id or isinstance(event, RowSkipped):
            continue
        place = (record.block, record.index)
        if last is not None and place <= last:
            raise LogContradicts("log", "the place of a record", f"after {last}", place, record)
        if not 0 < record.time < _LAST_TIME:
            raise TimeMissing(record.block, record.time)
        last = place
        log.enter(record, seen)
    log.end(seen)
    return log


def entries_to(head: Hash, journal: Journal | None, session_id: SessionId) -> tuple[Entry, ...]:
    """The journal's entries up to the head that the meter signed; none without either.

    Raises JournalChanged if they do not lead there.
    """
    if journal is None or head == ZERO_HASH:
        return ()
    growing = Journal(session_id)
    for entry in journal.entries:
        if growing.head == head:
            break
        growing.append(entry)
    if growing.head != head:
        raise JournalChanged(head, journal.head, len(journal.entries))
    return growing.entries
