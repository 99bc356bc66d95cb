"""Behaviour that is allowed and deserves a look. Pure.

    overlap         one advisor billed in two sessions at the same time
    near-cap        time billed up to the tariff's cap, or nearly
    never-closed    open for more than a day, or left, and nobody finalized it
    related-rating  a rating from somebody whom money or a party ties to the advisor
    one-payer       most of an advisor's ratings come from sessions that one account paid
    equivocation    two heads of a journal for the same units
    journal         a journal that does not fit what was settled (journals.py)

When a session was served only its journal says. Without one it is the time in which units could
count: from the opening to the close, or to the moment somebody asked to close.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, NamedTuple

from honorarium.audit.book import (
    SessionRecord,
)
from honorarium.audit.facts import Finding, Severity
from honorarium.audit.records import (
    Head,
)
from honorarium.audit.rows import SessionRow
from honorarium.errors.refusals import moment
from honorarium.ids import Address, Hash, SessionId
from honorarium.units import BlockNumber, UnixTime

NEAR_CAP_PERCENT: Final = 95
OPEN_TOO_LONG: Final = 86_400
"""Seconds."""
CROWD: Final = 20
"""Of more sessions at once, pairs say no more than their number: and there are many pairs."""
FEW_RATINGS: Final = 5
"""With fewer, nobody's share of them says anything."""

Span = tuple[int, int]
"""From, to (exclusive), unix seconds."""
Spans = Callable[[SessionRow], Sequence[Span]]


def _look(rule: str, row: SessionRow, expected: str, found: str) -> Finding:
    return Finding(
        rule,
        row.session_id,
        expected,
        found,
        BlockNumber(row.opened_block),
        row.opened_log,
        row.opened_tx,
        severity=Severity.LOOK,
    )


def span_on_chain(row: SessionRow, now: UnixTime) -> Sequence[Span]:
    """In which time the session's units can have counted; none if none did."""
    if not row.units:
        return ()
    end = row.closing_at or row.closed_at or now
    return ((row.opened_at, end),) if end > row.opened_at else ()


class Served(NamedTuple):
    """A span in which a session was served; spans are taken in this order of their fields."""

    start: int
    opened_block: int
    opened_log: int
    end: int
    advisor: Address
    session_id: SessionId
    opened_tx: Hash


def served(row: SessionRow, spans: Spans) -> Iterator[Served]:
    """The spans in which a session was served."""
    for start, end in spans(row):
        yield Served(
            start,
            row.opened_block,
            row.opened_log,
            end,
            row.advisor,
            row.session_id,
            row.opened_tx,
        )


def overlaps(rows: Iterable[SessionRow], spans: Spans) -> Iterator[Finding]:
    """Every pair of sessions of one advisor that were served at the same time, but for crowds."""
    return overlapping(sorted(span for row in rows for span in served(row, spans)))


def overlapping(spans: Iterable[Served]) -> Iterator[Finding]:
    """The same of sorted spans: only those that run at the same time are held in memory. A session
    that begins beside a crowd is told once, with how many they were.
    """
    running: dict[Address, list[tuple[int, Served]]] = defaultdict(list)  # heaps, by end
    pairs: dict[tuple[SessionId, SessionId], tuple[Served, Served]] = {}
    together: Counter[tuple[SessionId, SessionId]] = Counter()
    crowded: dict[SessionId, tuple[int, Served]] = {}
    for span in spans:
        beside = running[span.advisor]
        while beside and beside[0][0] <= span.start:
            heappop(beside)
        if len(beside) > CROWD:
            before, _ = crowded.get(span.session_id, (0, span))
            if len(beside) > before:
                crowded[span.session_id] = len(beside), span
        else:
            for _, other in beside:
                if other.session_id != span.session_id:
                    key = other.session_id, span.session_id
                    together[key] += min(other.end, span.end) - span.start
                    pairs.setdefault(key, (other, span))
        heappush(beside, (span.end, span))
    for count, span in crowded.values():
        yield _overlap(span, f"{count} others when it began, at {moment(span.start)}", "")
    for key, (other, span) in pairs.items():
        found = f"{together[key]} s in both, from {moment(span.start)} on"
        yield _overlap(span, found, f", session 0x{other.session_id.hex()}")


def _overlap(span: Served, found: str, beside: str) -> Finding:
    return Finding(
        "overlap",
        span.session_id,
        "one session of this advisor at a time",
        found,
        BlockNumber(span.opened_block),
        span.opened_log,
        span.opened_tx,
        f"advisor 0x{span.advisor.hex()}{beside}",
        Severity.LOOK,
    )


def near_cap(row: SessionRow) -> Iterator[Finding]:
    """Time up to the cap is what a meter that nobody stopped looks like."""
    if _is_near_cap(row):
        yield _look(
            "near-cap",
            row,
            f"fewer than {NEAR_CAP_PERCENT} % of the {row.max_units} units that the tariff counts",
            str(row.units),
        )


def _is_near_cap(row: SessionRow) -> bool:
    cap = row.max_units
    return bool(row.unit_seconds and cap and row.units * 100 >= cap * NEAR_CAP_PERCENT)


def never_closed(row: SessionRow, now: UnixTime) -> Iterator[Finding]:
    """Money that waits for somebody."""
    if row.status == "open" and now - row.opened_at > OPEN_TOO_LONG:
        yield _look("never-closed", row, "closed within a day", f"open for {now - row.opened_at} s")
    elif row.status == "closing" and now >= row.closing_at + row.close_grace:
        ended = moment(row.closing_at + row.close_grace)
        yield _look(
            "never-closed", row, f"finalized after {ended}", f"not finalized at {moment(now)}"
        )


def equivocations(session_id: SessionId, session: SessionRecord) -> Iterator[Finding]:
    """Two heads for the same units: the meter signed two stories."""
    told: dict[int, Head] = {}
    for head in session.heads:
        before = told.setdefault(head.units, head)
        if before.journal != head.journal:
            yield Finding(
                "equivocation",
                session_id,
                f"journal 0x{before.journal.hex()} at {head.units} units, as in block "
                f"{before.block}",
                f"0x{head.journal.hex()}",
                head.block,
                head.log,
                head.tx_hash,
                severity=Severity.LOOK,
            )


def may_deserve(row: SessionRow) -> bool:
    """Whether the looks at a session's row can tell anything, or its rating counts."""
    return bool(row.score) or row.status != "closed" or _is_near_cap(row)


# ---------------------------------------------------------------------- ratings


@dataclass(slots=True)
class Ratings:
    """An advisor's ratings, and what they weigh. `net` in base units of all tokens together, which
    says something only where they are alike.
    """

    count: int = 0
    total: int = 0  # of the scores
    net: int = 0  # what the rated sessions brought the advisor
    weighted: int = 0  # score times net, summed up
    payers: Counter[Address] = field(default_factory=Counter)  # how often each
    scores: Counter[Address] = field(default_factory=Counter)  # the sum of each one's

    def take(self, row: SessionRow) -> None:
        self.count += 1
        self.total += row.score
        self.net += row.net
        self.weighted += row.score * row.net
        self.payers[row.payer] += 1
        self.scores[row.payer] += row.score

    def as_json(self) -> dict[str, int | str]:
        """Averages to two places, rounded down."""
        by_payer = [self.scores[payer] * 100 // count for payer, count in self.payers.items()]
        return {
            "count": self.count,
            "average": _hundredths(self.total * 100, self.count),
            "average_by_net_fee": _hundredths(self.weighted * 100, self.net),
            "payers": len(self.payers),
            "average_by_payer": _hundredths(sum(by_payer), len(by_payer)),
        }


def _hundredths(total: int, count: int) -> str:
    whole, part = divmod(total // count if count else 0, 100)
    return f"{whole}.{part:02}"


def one_payer(advisor: Address, ratings: Ratings) -> Iterator[Finding]:
    """Ratings that mostly come from one purse."""
    if ratings.count < FEW_RATINGS:
        return
    [(most, given)] = ratings.payers.most_common(1)
    if given * 2 > ratings.count:
        yield Finding(
            "one-payer",
            None,
            f"at most half of {ratings.count} ratings from one payer",
            f"{given} from 0x{most.hex()}",
            about=f"advisor 0x{advisor.hex()}",
            severity=Severity.LOOK,
        )


class Ties:
    """Who is tied to whom by money that went through the escrow: a balance filled for somebody, or
    drawn to somebody's account; directly, or over one account between them.
    """

    def __init__(self, edges: Iterable[tuple[Address, Address]]) -> None:
        self._next: dict[Address, set[Address]] = defaultdict(set)
        for one, other in edges:
            self._next[one].add(other)
            self._next[other].add(one)

    def between(self, one: Address, other: Address) -> str | None:
        """The tie in words; None: there is none."""
        if one == other:
            return "the same account"
        near = self._next.get(one, set())
        if other in near:
            return "money went between them"
        shared = near & self._next.get(other, set())
        return f"both dealt with 0x{min(shared).hex()}" if shared else None


def related_rating(
    row: SessionRow, ties: Ties, advisors: Mapping[Address, object] | set[Address]
) -> Iterator[Finding]:
    """A rating by somebody who is not independent of whom they rate."""
    if not row.score:
        return
    for name, party in (("client", row.client), ("payer", row.payer)):
        for whom, other in (("advisor", row.advisor), ("fee recipient", row.fee_recipient)):
            if not any(other):
                continue
            tie = ties.between(party, other)
            if tie is not None and not (tie.startswith("both") and whom == "fee recipient"):
                yield _look(
                    "related-rating",
                    row,
                    f"a rating from a {name} with no tie to the {whom}",
                    f"{tie}: {name} 0x{party.hex()}, {whom} 0x{other.hex()}",
                )
                return
    if row.client in advisors:
        yield _look(
            "related-rating",
            row,
            "a rating from a client who is no advisor here",
            f"client 0x{row.client.hex()} advises too",
        )
