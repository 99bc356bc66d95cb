"""How each amount of one session came about, worked out again from its log.

Pure, and nothing is believed that can be computed: the fee from tariff and units, the shares and
the refund from the fee, who signed from the transactions' data (signers.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from honorarium.audit.signers import Consent, Separator, consents_of
from honorarium.bill import (
    Line,
    SessionLog,
    entries_to,
    fee_lines,
    platform_share,
    read_log,
    refund_place,
)
from honorarium.chain import LogRecord, Transaction
from honorarium.ids import Address, Hash, SessionId
from honorarium.money import Token
from honorarium.protocol.events import SessionClosed, Settled
from honorarium.protocol.journal import EntryKind, Journal
from honorarium.protocol.slot import Status
from honorarium.protocol.typed_data import Domain
from honorarium.units import WHOLE_SHARE, BaseUnits, Seconds, UnixTime

_NAMES = {
    EntryKind.ROBOT: "a robot talks",
    EntryKind.QUEUED: "the client waits",
    EntryKind.ANSWERED: "the advisor advises",
    EntryKind.PAUSED: "paused",
    EntryKind.RESUMED: "the advisor advises",
}
_COUNTED = (EntryKind.ANSWERED, EntryKind.RESUMED)


@dataclass(frozen=True, slots=True)
class Reading:
    """A meter reading that the contract took, and what it made of it. Amounts in base units, in
    all so far; `added` is what this reading brought.
    """

    time: UnixTime
    tx_hash: Hash
    units: int
    earned: BaseUnits
    added: BaseUnits
    platform: BaseUnits
    closing: bool

    @property
    def advisor(self) -> BaseUnits:
        """The rest of what was earned."""
        return BaseUnits(self.earned - self.platform)


@dataclass(frozen=True, slots=True)
class Share:
    """The platform's part of a fee: fee * bps / 10000, rounded down to a base unit (ESC-15).

    What rounding took off, `lost` ten-thousandths of a base unit, is the advisor's.
    """

    bps: int
    amount: BaseUnits
    lost: int


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The contract's bound on a time tariff (ESC-5): no more units than had begun since the
    opening, whoever signed them.
    """

    since: UnixTime
    until: UnixTime
    allowed: int
    billed: int

    @property
    def seconds(self) -> Seconds:
        """How long the session was open, as far as units count."""
        return Seconds(self.until - self.since)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the session by the journal: what the client's meter asserted, and signed."""

    what: str
    since: UnixTime
    until: UnixTime
    counted: bool

    @property
    def seconds(self) -> Seconds:
        """How long it took."""
        return Seconds(self.until - self.since)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A session's amounts, each with what it was made of. Make one with `explain`."""

    session_id: SessionId
    domain: Domain
    token: Token
    log: SessionLog
    lines: tuple[Line, ...]
    """By phase of the tariff; the amounts add up to the fee."""
    readings: tuple[Reading, ...]
    share: Share
    limit: TimeLimit | None
    """None: the tariff counts interactions."""
    stretches: tuple[Stretch, ...]
    """By the journal, if one was given."""
    consents: tuple[Consent, ...]

    @property
    def provisional(self) -> bool:
        """The session still runs: more may be settled."""
        return self.log.status is not Status.CLOSED

    @property
    def fee(self) -> BaseUnits:
        """What the session earned: the platform's share and the advisor's net."""
        return self.log.earned

    @property
    def net(self) -> BaseUnits:
        """The advisor's part of the fee."""
        return BaseUnits(self.fee - self.share.amount)

    @property
    def refund(self) -> BaseUnits:
        """The deposit less the fee."""
        return BaseUnits(self.log.deposit - self.fee)

    @property
    def refund_to(self) -> str:
        """`wallet` or `balance` of the payer, or `nobody` if nothing is left."""
        return refund_place(self.refund, self.log.from_balance or self.log.refund_credited)


def explain(
    records: Iterable[LogRecord],
    session_id: SessionId,
    domain: Domain,
    token: Token,
    *,
    tip_jar: Address | None = None,
    sent: Mapping[Hash, Transaction],
    separator: Separator,
    journal: Journal | None = None,
) -> Explanation:
    """How each amount of the session came about.

    `records` in order, with the times of their blocks (others' are passed over); `sent` the
    transactions that they came from; `separator` gives a token's EIP-712 domain separator. With the
    meter's `journal` it tells what happened between the units.

    Raises what `bill.read_log` raises, and JournalChanged for a journal that does not lead to the
    head that was settled.
    """
    kept = [r for r in records if getattr(r.event, "session_id", None) == session_id]
    log = read_log(kept, session_id, domain, token, tip_jar)
    terms, units, fee = log.terms, log.reading.units, log.earned
    lost = fee * terms.fee_bps % WHOLE_SHARE
    return Explanation(
        session_id=session_id,
        domain=domain,
        token=token,
        log=log,
        lines=fee_lines(terms.tariff, units, fee, token),
        readings=_readings(kept, terms.fee_bps),
        share=Share(terms.fee_bps, platform_share(fee, terms.fee_bps), lost),
        limit=_limit(log),
        stretches=_stretches(journal, log, session_id),
        consents=consents_of(session_id, terms, domain, kept, sent, separator),
    )


def _readings(records: list[LogRecord], bps: int) -> tuple[Reading, ...]:
    readings: list[Reading] = []
    before = 0
    for record in records:
        event = record.event
        if not isinstance(event, Settled | SessionClosed):
            continue
        readings.append(
            Reading(
                time=record.time,
                tx_hash=record.tx_hash,
                units=event.units,
                earned=event.earned,
                added=BaseUnits(event.earned - before),
                platform=platform_share(event.earned, bps),
                closing=isinstance(event, SessionClosed),
            )
        )
        before = event.earned
    return tuple(readings)


def _limit(log: SessionLog) -> TimeLimit | None:
    """With the time that had passed when the session stopped counting, or its last event."""
    size = log.terms.tariff.unit_seconds
    if not size:
        return None
    until = log.closing_at or log.closed_at or max(step.time for step in log.steps)
    allowed = (until - log.opened_at) // size + 1
    return TimeLimit(log.opened_at, until, allowed, log.reading.units)


def _stretches(
    journal: Journal | None, log: SessionLog, session_id: SessionId
) -> tuple[Stretch, ...]:
    """The journal up to the head that the meter signed last, cut where its state changes."""
    entries = entries_to(log.reading.journal, journal, session_id)
    marks = [e for e in entries if e.kind in _NAMES or e.kind in (EntryKind.LEFT, EntryKind.CLOSED)]
    ends = [*(mark.at for mark in marks[1:]), max(entries[-1].at, marks[-1].at) if marks else 0]
    return tuple(
        Stretch(_NAMES[mark.kind], mark.at, UnixTime(end), mark.kind in _COUNTED)
        for mark, end in zip(marks, ends, strict=False)
        if mark.kind in _NAMES
    )
