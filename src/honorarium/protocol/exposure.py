"""What an advisor has at stake: units by their own count, minus units in hand.

The own count is the time that the advisor noted (`answer`, `pause`, `resume`), without what the
client's journal calls a pause; if the advisor noted nothing, the client's journal alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from honorarium.protocol.journal import Entry, EntryKind
from honorarium.units import BaseUnits, UnixTime

Span = tuple[int, int]
"""From one moment to another, unix seconds; what begins at the end is not in it."""

_STARTS = (EntryKind.ANSWERED, EntryKind.RESUMED)
_ENDS = (EntryKind.PAUSED, EntryKind.LEFT, EntryKind.CLOSED)


@dataclass(frozen=True, slots=True)
class Unpaid:
    """A whole increment was given on trust, and anything more would be beyond: await a voucher.

    For a time tariff from the second on at which the last of the unpaid units is over.
    """

    units: int
    increment: int


@dataclass(frozen=True, slots=True)
class ClientSilent:
    """A unit began at `since`, and patience ended without a voucher for it; `units` are unpaid.

    Stop, and pause the book. Ask the client. If nothing comes, close the session with the best
    voucher: it loses nothing by waiting until then, but the terms' close grace runs once the client
    leaves.
    """

    since: UnixTime
    units: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The last funded unit is over: whatever follows is never paid, unless the payer tops up."""

    funded: int


@dataclass(frozen=True, slots=True)
class Paused:
    """The client's journal says that it is paused, so no time counts: wait until it resumes."""

    since: UnixTime


@dataclass(frozen=True, slots=True)
class Left:
    """The client's journal says that somebody asked to close. Settle before grace ends."""

    at: UnixTime


@dataclass(frozen=True, slots=True)
class Equivocated:
    """The meter signed two journals that exclude each other; the book keeps both vouchers."""


Stop = Unpaid | ClientSilent | Stopped | Paused | Left | Equivocated


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is at stake at a moment, and why to stop advising, if so.

    `delivered` counts started units up to what is funded; `amount` is what the unpaid ones cost, in
    base units.
    """

    delivered: int
    in_hand: int
    amount: BaseUnits
    stop: Stop | None

    @property
    def units(self) -> int:
        """Units delivered and not in hand: one is normal while a voucher travels."""
        return max(0, self.delivered - self.in_hand)


def advised(own: Sequence[Entry], told: Sequence[Entry], until: int) -> list[Span]:
    """When advice was given, by the own count, until a moment."""
    if not own:
        return _spans(told, until, _STARTS, _ENDS)
    return _without(_spans(own, until, _STARTS, _ENDS), _spans(told, until, _ENDS, _STARTS))


def seconds_in(spans: Iterable[Span]) -> int:
    """How long they are together."""
    return sum(end - start for start, end in spans)


def moment_of(spans: Iterable[Span], seconds: int) -> int | None:
    """When so many seconds had passed within the spans and more followed; None: never."""
    for start, end in spans:
        if seconds < end - start:
            return start + seconds
        seconds -= end - start
    return None


def _spans(
    entries: Sequence[Entry],
    until: int,
    starts: tuple[EntryKind, ...],
    ends: tuple[EntryKind, ...],
) -> list[Span]:
    found: list[Span] = []
    began: int | None = None
    for entry in entries:
        if entry.kind in starts and began is None:
            began = entry.at
        elif entry.kind in ends and began is not None:
            found.append((began, entry.at))
            began = None
    if began is not None:
        found.append((began, until))
    # The other side's clock may be ahead: nothing lies after `until`.
    return [(start, min(end, until)) for start, end in found if start < min(end, until)]


def _without(spans: list[Span], holes: list[Span]) -> list[Span]:
    """What is left of the spans; both are in order, and in neither one lies within another."""
    found: list[Span] = []
    at = 0
    for start, end in spans:
        while at < len(holes) and holes[at][1] <= start:
            at += 1
        here = at  # the last hole may reach into the next span
        while here < len(holes) and holes[here][0] < end:
            first, last = holes[here]
            if start < first:
                found.append((start, first))
            start = max(start, last)
            here += 1
        if start < end:
            found.append((start, end))
        at = max(at, here - 1)
    return found
