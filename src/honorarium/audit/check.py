"""Whether an event was allowed, by the rules ESC-n: asked before it is entered in the book.

One small function per rule; each takes the book as it was before the event. Pure: no chain, no
clock. Rules that compare with storage and with the tokens' own logs are in compare.py, consent
(ESC-11 and who rated) in consent.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


def check_esc_1(book: Book, entry: Entry) -> Iterator[Finding]:
    """A top-up adds money.

    That nothing leaves a balance that is not in it is in ledger.py, that the tokens really moved,
    and that the escrow holds what it owes, in compare.py.
    """
    event = entry.event
    if isinstance(event, ToppedUp):
        session = book.session(event.session_id)
        if session is not None and event.deposit <= session.deposit:
            yield finding_at(
                entry,
                "ESC-1",
                event.session_id,
                f"a deposit above {session.deposit}",
                event.deposit,
            )


def check_esc_2(book: Book, entry: Entry) -> Iterator[Finding]:
    """What is earned never falls, and never exceeds the deposit as it was at that time."""
    event = entry.event
    if not isinstance(event, _METERED):
        return
    session = book.session(event.session_id)
    if session is None:
        return
    if event.earned < session.earned:
        yield finding_at(
            entry, "ESC-2", event.session_id, f"earned at least {session.earned}", event.earned
        )
    if event.earned > session.deposit:
        yield finding_at(
            entry, "ESC-2", event.session_id, f"earned at most {session.deposit}", event.earned
        )


def check_esc_4(book: Book, entry: Entry) -> Iterator[Finding]:
    """After each settlement earned is max(before, min(tariff(units), deposit)), exactly."""
    event = entry.event
    if not isinstance(event, _METERED):
        return
    session = book.session(event.session_id)
    if session is None or session.over:
        return
    fee = session.terms.tariff.fee(event.units, session.deposit)
    expected = max(session.earned, fee)
    if event.earned != expected:
        yield finding_at(
            entry,
            "ESC-4",
            event.session_id,
            f"earned {expected} for {event.units} units",
            event.earned,
        )


def check_esc_5(book: Book, entry: Entry) -> Iterator[Finding]:
    """Units of a time tariff, before any cap, never exceed the time by more than the started unit.

    Time runs from the opening's block to this one's, or to the one in which somebody asked to
    close. Queue and pauses within that time are the journal's matter, not the chain's.
    """
    event = entry.event
    if isinstance(event, SessionOpened) and event.slot.opened_at != entry.time:
        yield finding_at(
            entry,
            "ESC-5",
            event.session_id,
            f"opened at {moment(entry.time)}",
            moment(event.slot.opened_at),
        )
    if not isinstance(event, _METERED) or event.units == 0:
        return
    session = book.session(event.session_id)
    if session is None or session.over:
        return
    unit = session.terms.tariff.unit_seconds
    if unit == 0:
        return
    until = session.closing_at or entry.time
    allowed = (until - session.opened_at) // unit + 1
    if event.units > allowed:
        yield finding_at(
            entry,
            "ESC-5",
            event.session_id,
            f"at most {allowed} units of {unit} s in {until - session.opened_at} s",
            event.units,
        )


def check_esc_6(book: Book, entry: Entry) -> Iterator[Finding]:
    """What is closed or revoked stays so: no event of it but a rating, an answer, and, in the very
    transaction that closed it, the credit of a refund. An id opens once.
    """
    event = entry.event
    if not isinstance(event, _ENDING_WITH_THE_SESSION):
        return
    name = type(event).__name__
    session = book.session(event.session_id)
    if event.session_id in book.revoked:
        yield finding_at(
            entry, "ESC-6", event.session_id, "no event after the quote was revoked", name
        )
    elif session is not None and session.status is Status.CLOSED:
        yield finding_at(
            entry,
            "ESC-6",
            event.session_id,
            f"no event after closing at {moment(session.closed_at)}",
            name,
        )
    elif session is not None and isinstance(event, _FIRST):
        yield finding_at(
            entry, "ESC-6", event.session_id, f"opened once, at {moment(session.opened_at)}", name
        )


def check_esc_7(book: Book, entry: Entry) -> Iterator[Finding]:
    """Leaving: only the client or the payer asks, once; the grace period is the terms'; nothing is
    added while it runs; a refund is credited to the payer, whole, in the transaction that closed.

    Whether a session that was being left ended before its grace was over needs the call that ended
    it (consent.py); that the refund arrived needs the token's log (compare.py).
    """
    event = entry.event
    match event:
        case CloseRequested():
            session = book.session(event.session_id)
            if session is None or session.over:
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
        case ToppedUp():
            session = book.session(event.session_id)
            if session is not None and session.status is Status.CLOSING:
                yield finding_at(
                    entry,
                    "ESC-7",
                    event.session_id,
                    f"no top-up after {moment(session.closing_at)}, when somebody asked to close",
                    f"a deposit of {event.deposit}",
                )
        case RefundCredited():
            session = book.session(event.session_id)
            if session is not None:
                yield from _refund_credited(session, entry, event)
        case _:
            pass


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


def check_esc_10(book: Book, entry: Entry) -> Iterator[Finding]:
    """A rating: of a closed session that earned something, by its client, once, 1 to 5, within 30
    days (inclusive); an answer: by its advisor, once, after the rating.

    That client and advisor really called or signed is asked in consent.py.
    """
    event = entry.event
    if not isinstance(event, _RATING):
        return
    session = book.session(event.session_id)
    if session is None:
        return
    if event.advisor != session.advisor:
        yield finding_at(
            entry,
            "ESC-10",
            event.session_id,
            f"advisor 0x{session.advisor.hex()}",
            f"0x{event.advisor.hex()}",
        )
    faults = _rating_faults if isinstance(event, Rated) else _answer_faults
    for expected, found in faults(session, entry):
        yield finding_at(entry, "ESC-10", event.session_id, expected, found)


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


def check_esc_11_known(book: Book, entry: Entry) -> Iterator[Finding]:
    """Every event of a session follows its opening: without one, nobody is known to have agreed."""
    event = entry.event
    if not isinstance(event, _AFTER_THE_OPENING):
        return
    if event.session_id not in book.sessions:
        yield finding_at(
            entry,
            "ESC-11",
            event.session_id,
            "an opening of this session before",
            f"{type(event).__name__} without one",
        )


def check_esc_17(book: Book, entry: Entry) -> Iterator[Finding]:
    """`settle` refuses a stale voucher: what it writes into the log raises what is earned."""
    event = entry.event
    if isinstance(event, Settled):
        session = book.session(event.session_id)
        if session is not None and not session.over and event.earned == session.earned:
            yield finding_at(
                entry, "ESC-17", event.session_id, f"earned above {session.earned}", event.earned
            )


Check = Callable[[Book, Entry], Iterator[Finding]]

EVENT_CHECKS: Final[Mapping[type[Event], tuple[Check, ...]]] = {
    SessionOpened: (check_esc_5, check_esc_6),
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
