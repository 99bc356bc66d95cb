"""The audit itself: each event through the rules, into the book; the book against the chain."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from honorarium.audit.book import Book, TokenSums
from honorarium.audit.compare import (
    check_balances,
    check_movements,
    check_shares,
    check_slots,
    check_solvency,
    check_tallies,
    owed_to_sessions,
)
from honorarium.audit.facts import (
    Facts,
    Finding,
    Place,
    Questions,
    Severity,
    State,
    Token,
    Unproven,
)
from honorarium.audit.journals import Journals
from honorarium.audit.ledger import Ledger
from honorarium.audit.looks import (
    Ratings,
    Spans,
    Ties,
    near_cap,
    never_closed,
    one_payer,
    overlaps,
    related_rating,
    span_on_chain,
)
from honorarium.audit.part import Part, resolve
from honorarium.audit.rows import SessionRow, session_rows
from honorarium.audit.tables import Row
from honorarium.chain import Status
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.units import BlockNumber, UnixTime

RULES: Final = (
    "ESC-1",
    "ESC-2",
    "ESC-3",
    "ESC-4",
    "ESC-5",
    "ESC-6",
    "ESC-7",
    "ESC-10",
    "ESC-11",
    "ESC-12",
    "ESC-13",
    "ESC-14",
    "ESC-15",
    "ESC-16",
    "ESC-17",
)
"""What is checked."""

Table = Callable[[], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit found. No finding: the rules hold, within the limits that the checks state.

    `looks` is what breaks no rule and deserves a look. `tables` gives, as often as it is asked,
    the rows of sessions, settlements, tips, ratings and balances (rows.py).
    """

    place: Place
    counts: Mapping[str, int]
    sums: Mapping[Address, TokenSums]
    surplus: Mapping[Address, int]  # what the escrow holds beyond what it owes, base units
    balances: Mapping[Address, int]  # what storage owes all accounts together, base units
    tokens: Mapping[Address, Token]
    unproven: Unproven
    findings: list[Finding] = field(default_factory=list)
    looks: list[Finding] = field(default_factory=list)
    ratings: Mapping[Address, Mapping[str, int | str]] = field(default_factory=dict)
    at: tuple[BlockNumber, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        return not self.findings


def audit(
    facts: Facts,
    *,
    journals: Journals | None = None,
    trusted: Container[Address] | None = None,
) -> Verdict:
    """Reads the facts once, in order, and judges them; what reading them raises comes through.

    `journals`: evidence about when sessions were served. `trusted`: what rests on another token's
    word alone is only worth a look (None: every token in which a session was funded counts).
    """
    known = journals or Journals()
    part, ledger = Part(facts.place, facts.separator, known), Ledger()
    book, findings = part.book, part.findings
    waiting = [block for block in sorted(set(facts.at)) if block < facts.place.last]
    time = UnixTime(0)
    for entry in facts.entries:
        while waiting and entry.block > waiting[0]:
            _compare(facts, part, ledger, waiting.pop(0))
        part.take(entry)
        time = entry.time
    part.verify()
    for block in waiting:
        _compare(facts, part, ledger, block)
    state = _compare(facts, part, ledger, facts.place.last)

    tokens = [token for token in book.sums if token != ZERO_ADDRESS]
    escrow, jar = facts.place.domain.contract, facts.place.tip_jar
    transfers = facts.transfers(tokens)
    findings.extend(check_movements(escrow, jar, lambda: book.movements, book.tips, transfers))
    findings.extend(resolve(part.doubts, facts, part.unproven, part.resting))

    rows = list(session_rows(book))
    ratings: defaultdict[Address, Ratings] = defaultdict(Ratings)
    spans = spans_by(known, time)
    advisors = {row.advisor for row in rows}
    findings.extend(part.looks())
    findings.extend(overlaps(rows, spans))
    findings.extend(looks_of(rows, ratings, Ties(book.edges), advisors, time))
    owed = owed_to_sessions(book.sessions, state.slots)
    return conclude(
        facts.place,
        {**counts_of(book), "accounts": len(ledger.balances)},
        book.sums,
        owed,
        state,
        part.unproven,
        findings,
        {advisor: each.as_json() for advisor, each in ratings.items()},
        trusted,
        tuple(sorted({*facts.at, facts.place.last})),
        {
            "sessions": lambda: rows,
            "settlements": lambda: book.readings,
            "tips": lambda: book.tips,
            "ratings": lambda: book.ratings,
            "balances": lambda: balance_rows(ledger.balances),
        },
    )


def _compare(facts: Facts, part: Part, ledger: Ledger, block: BlockNumber) -> State:
    """The book so far against storage at a block."""
    book, findings = part.book, part.findings
    findings.extend(ledger.post(book.postings))
    book.postings.clear()
    for at in book.credited:
        ledger.balances[at] += 0
    state = facts.state(
        Questions(
            sessions=[*book.sessions, *book.revoked],
            accounts=list(ledger.balances),
            advisors=list(book.tallies),
            tokens=list(book.sums),
        ),
        block,
    )
    findings.extend(check_slots(book.sessions, book.revoked, state.slots, block))
    findings.extend(check_balances(ledger.balances, state.balances, block))
    owed = owed_to_sessions(book.sessions, state.slots)
    for (token, _), amount in state.balances.items():
        owed[token] += amount
    findings.extend(check_solvency(owed, state.tokens, block))
    findings.extend(check_tallies(book.tallies, state.tallies, block))
    findings.extend(
        check_shares(book.shares(), book.credited, ledger.balances, state.balances, block)
    )
    return state


# ---------------------------------------------------------------------- also for many parts


def spans_by(journals: Journals, now: UnixTime) -> Spans:
    """When a session was served: by its journal, else by the chain."""

    def spans(row: SessionRow) -> list[tuple[int, int]]:
        told = journals.spans(row.session_id)
        return list(span_on_chain(row, now) if told is None else told)

    return spans


def looks_of(
    rows: Iterable[SessionRow],
    ratings: defaultdict[Address, Ratings],
    ties: Ties,
    advisors: set[Address],
    now: UnixTime,
) -> Iterator[Finding]:
    """What deserves a look in sessions and in advisors' ratings, which `ratings` takes in."""
    for row in rows:
        if row.score:
            ratings[row.advisor].take(row)
        yield from near_cap(row)
        yield from never_closed(row, now)
        yield from related_rating(row, ties, advisors)
    for advisor in sorted(ratings):
        yield from one_payer(advisor, ratings[advisor])


def conclude(
    place: Place,
    counts: Mapping[str, int],
    sums: Mapping[Address, TokenSums],
    kept: Mapping[Address, int],
    state: State,
    unproven: Unproven,
    found: Iterable[Finding],
    ratings: Mapping[Address, Mapping[str, int | str]],
    trusted: Container[Address] | None,
    at: tuple[BlockNumber, ...],
    tables: Mapping[str, Table],
    balances: Mapping[Address, int] | None = None,
) -> Verdict:
    """The verdict. `kept`: what storage keeps for running sessions, by token; `balances`: what it
    owes to accounts, by token (None: the sum of the state's).
    """
    if balances is None:
        total: Counter[Address] = Counter()
        for (token, _), amount in state.balances.items():
            total[token] += amount
        balances = total
    findings, looks = split(sorted(found, key=_place), sums, trusted)
    return Verdict(
        place=place,
        counts=counts,
        sums=dict(sums),
        surplus={
            token: (state.tokens[token].held if token in state.tokens else 0)
            - kept.get(token, 0)
            - balances.get(token, 0)
            for token in sums
        },
        balances={token: balances.get(token, 0) for token in sums},
        tokens=dict(state.tokens),
        unproven=unproven,
        findings=findings,
        looks=looks,
        ratings=dict(sorted(ratings.items())),
        at=at,
        tables=tables,
    )


def _place(finding: Finding) -> tuple[object, ...]:
    """Where a finding stands in the list: in the chain's order, then what has no place in it."""
    somewhere = finding.block is not None and finding.log is not None
    session = finding.session or b""
    return (
        not somewhere,
        finding.block or 0,
        finding.log or 0,
        finding.rule,
        session,
        finding.about,
        finding.expected,
        finding.found,
    )


def split(
    found: Iterable[Finding],
    sums: Mapping[Address, TokenSums],
    trusted: Container[Address] | None,
) -> tuple[list[Finding], list[Finding]]:
    """Violations, and what deserves a look.

    What rests on the word of a token alone is the token's matter: anybody can deploy one that
    contradicts the escrow. It counts if the token is trusted.
    """
    findings: list[Finding] = []
    looks: list[Finding] = []
    for finding in found:
        token = finding.token
        if finding.severity is Severity.VIOLATION and token is not None:
            known = sums.get(token)
            funded = known is not None and known.deposits > 0
            if not (funded if trusted is None else token in trusted):
                finding = replace(finding, severity=Severity.LOOK)
        (findings if finding.severity is Severity.VIOLATION else looks).append(finding)
    return findings, looks


def counts_of(book: Book) -> dict[str, int]:
    standing = Counter(session.status for session in book.sessions.values())
    return {
        "events": book.counts.total(),
        "sessions": len(book.sessions),
        "open": standing[Status.OPEN],
        "closing": standing[Status.CLOSING],
        "closed": standing[Status.CLOSED],
        "revoked": len(book.revoked),
        "settlements": book.counts["Settled"],
        "ratings": book.counts["Rated"],
        "answers": book.counts["Answered"],
        "tips": book.counts["Tipped"],
        "rows_skipped": book.counts["RowSkipped"],
    }


def balance_rows(balances: Mapping[tuple[Address, Address], int]) -> Iterator[Row]:
    """Balances as rows of `rows.BALANCES`, by token and account."""
    for token, account in sorted(balances):
        yield token, account, balances[token, account]
