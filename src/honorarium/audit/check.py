"""Whether an event was allowed, by the rules ESC-n: asked before it is entered in the book.

One small function per rule; each takes the book as it was before the event. Pure: no chain, no
clock. Rules that compare with storage and with the tokens' own logs are in compare.py, consent
(ESC-11 and who rated) in consent.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from honorarium.audit.book import Book, SessionRecord
from honorarium.audit.facts import Entry, Finding
from honorarium.chain import Status
from honorarium.errors.refusals import moment
from honorarium.ids import SessionId
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Event,
    Rated,
    RefundCredited,
    Revoked,
    SessionClosed,
    SessionOpened,
    Settled,
    ToppedUp,
)
from honorarium.units import Seconds, UnixTime

RATING_WINDOW: Final = Seconds(30 * 86_400)

_METERED: Final = (Settled, SessionClosed)
_RATING: Final = (Rated, Answered)
_FIRST: Final = (SessionOpened, Revoked)
_ENDING_WITH_THE_SESSION: Final = (*_METERED, *_FIRST, ToppedUp, CloseRequested)
_AFTER_THE_OPENING: Final = (*_METERED, *_RATING, ToppedUp, CloseRequested, RefundCredited)


def finding_at(
    entry: Entry, rule: str, session: SessionId | None, expected: object, found: object
) -> Finding:
    """A finding about this event."""
    return Finding(rule, session, str(expected), str(found), entry.block, entry.log, entry.tx_hash)


Check = Callable[[Book, Entry, SessionRecord | None], Iterable[Finding]]
"""What speaks against an event; the session is the event's, as it was before (None: there is none).
"""


def check_esc_1(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """A top-up adds money.

    That nothing leaves a balance that is not in it is in ledger.py, that the tokens really moved,
    and that the escrow holds what it owes, in compare.py.
    """
    event = entry.event
    assert isinstance(event, ToppedUp)
    if session is None or event.deposit > session.deposit:
        return ()
    expected = f"a deposit above {session.deposit}"
    return [finding_at(entry, "ESC-1", event.session_id, expected, event.deposit)]


def check_esc_2(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """What is earned never falls, and never exceeds the deposit as it was at that time."""
    event = entry.event
    assert isinstance(event, _METERED)
    if session is None or session.earned <= event.earned <= session.deposit:
        return ()
    findings = []
    if event.earned < session.earned:
        expected = f"earned at least {session.earned}"
        findings.append(finding_at(entry, "ESC-2", event.session_id, expected, event.earned))
    if event.earned > session.deposit:
        expected = f"earned at most {session.deposit}"
        findings.append(finding_at(entry, "ESC-2", event.session_id, expected, event.earned))
    return findings


def check_esc_4(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """After each settlement earned is max(before, min(tariff(units), deposit)), exactly."""
    event = entry.event
    assert isinstance(event, _METERED)
    if session is None or session.over:
        return ()
    fee = session.terms.tariff.fee(event.units, session.deposit)
    earned = max(session.earned, fee)
    if event.earned == earned:
        return ()
    expected = f"earned {earned} for {event.units} units"
    return [finding_at(entry, "ESC-4", event.session_id, expected, event.earned)]


def check_esc_5_start(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """Time runs from the opening's block."""
    event = entry.event
    assert isinstance(event, SessionOpened)
    opened_at = event.slot.opened_at
    if opened_at == entry.time:
        return ()
    expected = f"opened at {moment(entry.time)}"
    return [finding_at(entry, "ESC-5", event.session_id, expected, moment(opened_at))]


def check_esc_5(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """Units of a time tariff, before any cap, never exceed the time by more than the started unit.

    Time runs to this event's block, or to the one in which somebody asked to close. Queue and
    pauses within that time are the journal's matter, not the chain's.
    """
    event = entry.event
    assert isinstance(event, _METERED)
    if event.units == 0 or session is None or session.over:
        return ()
    unit = session.terms.tariff.unit_seconds
    if unit == 0:
        return ()
    time = (session.closing_at or entry.time) - session.opened_at
    allowed = time // unit + 1
    if event.units <= allowed:
        return ()
    expected = f"at most {allowed} units of {unit} s in {time} s"
    return [finding_at(entry, "ESC-5", event.session_id, expected, event.units)]


def check_esc_6(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """What is closed or revoked stays so: no event of it but a rating, an answer, and, in the very
    transaction that closed it, the credit of a refund. An id opens once.
    """
    event = entry.event
    assert isinstance(event, _ENDING_WITH_THE_SESSION)
    if event.session_id in book.revoked:
        expected = "no event after the quote was revoked"
    elif session is None:
        return ()
    elif session.over:
        expected = f"no event after closing at {moment(session.closed_at)}"
    elif isinstance(event, _FIRST):
        expected = f"opened once, at {moment(session.opened_at)}"
    else:
        return ()
    return [finding_at(entry, "ESC-6", event.session_id, expected, type(event).__name__)]


def check_esc_7(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """Leaving: only the client or the payer asks, once; the grace period is the terms'; nothing is
    added while it runs; a refund is credited to the payer, whole, in the transaction that closed.

    Whether a session that was being left ended before its grace was over needs the call that ended
    it (consent.py); that the refund arrived needs the token's log (compare.py).
    """
    if session is None:
        return ()
    match entry.event:
        case CloseRequested() as event:
            return _leaving(session, entry, event)
        case ToppedUp() as event if session.status is Status.CLOSING:
            expected = f"no top-up after {moment(session.closing_at)}, when somebody asked to close"
            found = f"a deposit of {event.deposit}"
            return [finding_at(entry, "ESC-7", event.session_id, expected, found)]
        case RefundCredited() as event:
            return _refund_credited(session, entry, event)
        case _:
            return ()


def _leaving(session: SessionRecord, entry: Entry, event: CloseRequested) -> Iterator[Finding]:
    if session.over:
        return
    if session.status is Status.CLOSING:
        yield finding_at(
            entry,
            "ESC-7",
            event.session_id,
            f"asked to close once, at {moment(session.closing_at)}",
            f"again at {moment(entry.time)}",
        )
        return
    if event.by not in (session.client, session.payer):
        yield finding_at(
            entry,
            "ESC-7",
            event.session_id,
            f"asked by client 0x{session.client.hex()} or payer 0x{session.payer.hex()}",
            f"0x{event.by.hex()}",
        )
    ends = UnixTime(entry.time + session.terms.close_grace)
    if event.grace_ends != ends:
        yield finding_at(
            entry,
            "ESC-7",
            event.session_id,
            f"grace until {moment(ends)}",
            moment(event.grace_ends),
        )


def _refund_credited(
    session: SessionRecord, entry: Entry, event: RefundCredited
) -> Iterator[Finding]:
    if session.closed_in != entry.tx_hash or session.refund_credited or session.from_balance:
        yield finding_at(
            entry,
            "ESC-6",
            event.session_id,
            "a refund credited once, in the transaction that closed, to who paid from a wallet",
            f"credited in 0x{entry.tx_hash.hex()}",
        )
    if event.payer != session.payer or event.refund != session.refund:
        yield finding_at(
            entry,
            "ESC-7",
            event.session_id,
            f"{session.refund} credited to payer 0x{session.payer.hex()}",
            f"{event.refund} to 0x{event.payer.hex()}",
        )


def check_esc_10(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """A rating: of a closed session that earned something, by its client, once, 1 to 5, within 30
    days (inclusive); an answer: by its advisor, once, after the rating.

    That client and advisor really called or signed is asked in consent.py.
    """
    event = entry.event
    assert isinstance(event, _RATING)
    if session is None:
        return ()
    faults = _rating_faults if isinstance(event, Rated) else _answer_faults
    told = list(faults(session, entry))
    if event.advisor != session.advisor:
        told.append((f"advisor 0x{session.advisor.hex()}", f"0x{event.advisor.hex()}"))
    return [finding_at(entry, "ESC-10", event.session_id, *each) for each in told]


def _rating_faults(session: SessionRecord, entry: Entry) -> Iterator[tuple[str, str]]:
    """What was expected, and what was found instead."""
    event = entry.event
    assert isinstance(event, Rated)
    window_ends = UnixTime(session.closed_at + RATING_WINDOW)
    if event.client != session.client:
        yield f"rated by client 0x{session.client.hex()}", f"0x{event.client.hex()}"
    if not 1 <= event.score <= 5:
        yield "a score of 1 to 5", str(event.score)
    if not session.over:
        yield "a closed session", session.status.name.lower()
    if session.earned <= 0:
        yield "a session that earned something", "earned 0"
    if session.score:
        yield "one rating", f"a second one after {session.score}"
    if session.over and entry.time > window_ends:
        yield f"rated by {moment(window_ends)}", moment(entry.time)


def _answer_faults(session: SessionRecord, entry: Entry) -> Iterator[tuple[str, str]]:
    if not session.score:
        yield "an answer to a rating", "no rating"
    if session.answered:
        yield "one answer", "a second one"


def check_esc_11_known(
    book: Book, entry: Entry, session: SessionRecord | None
) -> Iterable[Finding]:
    """Every event of a session follows its opening: without one, nobody is known to have agreed."""
    if session is not None:
        return ()
    event = entry.event
    assert isinstance(event, _AFTER_THE_OPENING)
    expected = "an opening of this session before"
    found = f"{type(event).__name__} without one"
    return [finding_at(entry, "ESC-11", event.session_id, expected, found)]


def check_esc_17(book: Book, entry: Entry, session: SessionRecord | None) -> Iterable[Finding]:
    """`settle` refuses a stale voucher: what it writes into the log raises what is earned."""
    event = entry.event
    assert isinstance(event, Settled)
    if session is None or session.over or event.earned != session.earned:
        return ()
    expected = f"earned above {session.earned}"
    return [finding_at(entry, "ESC-17", event.session_id, expected, event.earned)]


EVENT_CHECKS: Final[Mapping[type[Event], tuple[Check, ...]]] = {
    SessionOpened: (check_esc_5_start, check_esc_6),
    Revoked: (check_esc_6,),
    ToppedUp: (check_esc_1, check_esc_6, check_esc_7, check_esc_11_known),
    Settled: (
        check_esc_2,
        check_esc_4,
        check_esc_5,
        check_esc_6,
        check_esc_11_known,
        check_esc_17,
    ),
    CloseRequested: (check_esc_6, check_esc_7, check_esc_11_known),
    SessionClosed: (check_esc_2, check_esc_4, check_esc_5, check_esc_6, check_esc_11_known),
    RefundCredited: (check_esc_7, check_esc_11_known),
    Rated: (check_esc_10, check_esc_11_known),
    Answered: (check_esc_10, check_esc_11_known),
}
"""What is asked about an event, before it is entered."""
