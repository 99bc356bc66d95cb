"""The pieces of work of an offline audit (offline.py): each runs in a process of its own, reads
what it needs from files, and gives back only what the others need.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from honorarium.audit.archive import TRANSACTIONS, Archive
from honorarium.audit.book import (
    At,
    TokenSums,
)
from honorarium.audit.compare import (
    check_balances,
    check_movements,
    check_slots,
    owed_to_sessions,
)
from honorarium.audit.facts import Doubt, Finding, Nested, Place, Unproven
from honorarium.audit.journals import Journals
from honorarium.audit.judge import balance_rows, counts_of, looks_of, spans_by
from honorarium.audit.ledger import Ledger
from honorarium.audit.looks import Ratings, Served, Ties, may_deserve, overlapping, served
from honorarium.audit.part import Part
from honorarium.audit.records import (
    Movement,
    Posting,
    TipMade,
)
from honorarium.audit.rows import SessionRow, session_rows
from honorarium.audit.source import LOG_COLUMNS, entries_of_rows, transfers_of_rows
from honorarium.audit.spill import (
    Spread,
    bucket_of,
    buckets_of,
    drop_spread,
    merge_sorted,
    read_part,
    read_sorted,
    read_spread,
    runs,
    slices,
    write_rows,
    write_sorted,
)
from honorarium.audit.tables import Row, Stored
from honorarium.ids import Address, SessionId
from honorarium.protocol.events import Deposited, RowSkipped, Tipped, Withdrawn
from honorarium.units import BlockNumber, UnixTime

TOGETHER: Final = 24_000
"""About so many logs are taken apart at once."""
RUNNING: Final = UnixTime(2**64 - 1)
"""The end of a span that runs on at the archive's last block, whose time no single piece knows."""


@dataclass(frozen=True)
class Plan:
    """What every piece must know. `at`: the blocks that are compared, the last one last.

    Sessions fall into `buckets`; what they leave for accounts, transactions and advisors is small,
    and falls into fewer `groups`: every group reads in every bucket's file.
    """

    archive: Path
    work: Path
    buckets: int
    groups: int
    writers: int
    at: tuple[BlockNumber, ...]
    place: Place
    separators: dict[Address, bytes | None]
    journals: Journals
    keep_rows: bool

    def file(self, name: str, number: int) -> Path:
        return self.work / f"{name}-{number}.arrow"

    def files(self, name: str) -> Iterator[Path]:
        """The files that the buckets of sessions left."""
        return (self.file(name, bucket) for bucket in range(self.buckets))

    def leave(self, name: str, bucket: int, rows: Iterable[Row], column: int) -> None:
        """Leaves rows for the groups that the keys in this column belong to."""
        write_sorted(self.file(name, bucket), rows, column, self.groups)

    def left(self, name: str, group: int) -> Iterator[Row]:
        """What the buckets of sessions left for this group, one behind the other."""
        return chain.from_iterable(read_sorted(path, group) for path in self.files(name))


# ---------------------------------------------------------------------- taking apart


def split_segments(plan: Plan, writer: int, numbers: Sequence[int]) -> None:
    """Logs and their transactions by session or account, transfers by transaction."""
    files = {segment.number: segment.files for segment in Archive.opened(plan.archive).segments}
    with (
        Spread(plan.work, "logs", writer) as logs,
        Spread(plan.work, "transactions", writer) as sent,
        Spread(plan.work, "transfers", writer) as transfers,
        plan.file("batches", writer).open("wb") as batches,
    ):
        for some in _together(numbers, {n: files[n]["logs"].rows for n in numbers}):

            def table(name: str, columns: list[str] | None = None, some: Any = some) -> Any:
                paths = [plan.archive / files[number][name].name for number in some]
                parts = [pq.read_table(path, columns=columns) for path in paths]
                return pa.concat_tables(parts).combine_chunks()

            _split_logs(
                plan, table("logs", LOG_COLUMNS), table("transactions"), logs, sent, batches
            )
            moved = table("transfers")
            for group, part in slices(moved, buckets_of(moved["tx_hash"], plan.groups)):
                transfers.add(group, part)


def _together(numbers: Sequence[int], logs: Mapping[int, int]) -> Iterator[list[int]]:
    """Neighbouring segments, as many as make a good piece of work."""
    some: list[int] = []
    for number in numbers:
        some.append(number)
        if sum(logs[each] for each in some) >= TOGETHER:
            yield some
            some = []
    if some:
        yield some


def _split_logs(
    plan: Plan, logs: Any, transactions: Any, to: Spread, sent: Spread, batches: IO[bytes]
) -> None:
    buckets = buckets_of(_keys(logs["topics"]), plan.buckets)
    for bucket, part in slices(logs, buckets):
        to.add(bucket, part)
    # A transaction goes to every bucket in which it has a log, once.
    at = pc.index_in(logs["tx_hash"], value_set=transactions["hash"].combine_chunks())
    pair = pc.add(pc.shift_left(buckets.cast(pa.int64()), 32), at.cast(pa.int64()))
    pairs = pc.unique(pc.drop_null(pair))
    pairs = pairs.take(pc.sort_indices(pairs))
    taken = pc.bit_wise_and(pairs, pa.scalar(2**32 - 1, pa.int64()))
    table = _without_batches(transactions, taken, batches)
    for bucket, part in runs(table, pc.shift_right(pairs, 32)):
        sent.add(bucket, part)


def _without_batches(transactions: Any, taken: Any, batches: IO[bytes]) -> Any:
    """The transactions that are taken, by their numbers. The calldata of those that several buckets
    take is written once, beside them: batches are long. Three columns are added: whether another
    bucket takes it before, where it begins there, and its size.
    """
    for name in list(TRANSACTIONS)[transactions.num_columns :]:  # the format before has fewer
        transactions = transactions.append_column(
            name, pa.nulls(transactions.num_rows, pa.binary())
        )
    counted = pc.value_counts(taken)
    several = pc.filter(counted.field("values"), pc.greater(counted.field("counts"), 1))
    written = transactions["data"].take(several).to_pylist()
    sizes = list(map(len, written))
    starts = list(accumulate(sizes, initial=batches.tell()))[:-1]
    batches.writelines(written)
    if written:
        short = pc.invert(pc.is_in(pa.array(range(transactions.num_rows)), value_set=several))
        data = pc.if_else(short, transactions["data"], pa.scalar(None, pa.binary()))
        transactions = transactions.set_column(_DATA, "data", data)
    table = transactions.take(taken)
    place = pc.index_in(taken, value_set=several)
    met: set[int] = set()
    checked = []
    for each in place.to_pylist():
        checked.append(each in met)
        if each is not None:
            met.add(each)
    for name, column in (
        ("checked", pa.array(checked, pa.bool_())),
        ("start", pa.array(starts, pa.int64()).take(place)),
        ("size", pa.array(sizes, pa.int64()).take(place)),
    ):
        table = table.append_column(name, column)
    return table


_DATA: Final = list(TRANSACTIONS).index("data")


def _sent(plan: Plan, bucket: int) -> Iterator[Row]:
    """The transactions of a bucket, each with its calldata."""
    for writer in range(plan.writers):
        with plan.file("batches", writer).open("rb") as batches:
            for row in read_part(plan.work, "transactions", bucket, writer):
                start, size = row[-2:]
                if start is not None:
                    data = os.pread(batches.fileno(), size, start)
                    row = (*row[:_DATA], data, *row[_DATA + 1 :])
                yield row


def _keys(topics: Any) -> Any:
    """What decides about a log's bucket: its session, else its account."""
    kind = pc.binary_slice(topics, 0, 32)
    first, second, third = (pc.binary_slice(topics, at, at + 32) for at in (32, 64, 96))
    by_second = pa.array([Deposited.TOPIC, Withdrawn.TOPIC, RowSkipped.TOPIC], pa.binary())
    rest = pc.if_else(pc.is_in(kind, value_set=by_second), second, first)
    return pc.if_else(pc.equal(kind, pa.scalar(bytes(Tipped.TOPIC), pa.binary())), third, rest)


def split_state(plan: Plan, states: dict[int, Stored]) -> None:
    """Slots by session and balances by account, of each block that is compared."""
    for block in plan.at:
        with pq.ParquetFile(plan.archive / states[block].name) as file:
            for kind, parts in (("slot", plan.buckets), ("balance", plan.groups)):
                with Spread(plan.work, f"{kind}-{block}", 0) as to:
                    for batch in file.iter_batches(100_000):
                        whole = pa.Table.from_batches([batch])
                        table = whole.filter(pc.equal(whole["kind"], kind))
                        for bucket, part in slices(table, buckets_of(table["key"], parts)):
                            to.add(bucket, part)


# ---------------------------------------------------------------------- sessions


@dataclass
class SessionsFound:
    """What buckets of sessions say to the whole."""

    counts: Counter[str] = field(default_factory=Counter)
    sums: dict[Address, TokenSums] = field(default_factory=lambda: defaultdict(TokenSums))
    unproven: Unproven = field(default_factory=Unproven)
    findings: list[Finding] = field(default_factory=list)
    doubts: list[Doubt | Nested] = field(default_factory=list)
    resting: set[SessionId] = field(default_factory=set)
    owed: dict[int, Counter[Address]] = field(default_factory=dict)
    shares: dict[int, Counter[At]] = field(default_factory=dict)
    credited: dict[int, Counter[At]] = field(default_factory=dict)
    tallies: dict[int, dict[Address, tuple[int, int]]] = field(default_factory=dict)
    edges: set[tuple[Address, Address]] = field(default_factory=set)
    advisors: set[Address] = field(default_factory=set)
    time: int = 0

    def add(self, other: SessionsFound) -> None:
        self.counts.update(other.counts)
        for token, sums in other.sums.items():
            self.sums[token].add(sums)
        self.unproven.add(other.unproven)
        self.findings.extend(other.findings)
        self.doubts.extend(other.doubts)
        self.resting |= other.resting
        for block in other.owed:
            self.owed.setdefault(block, Counter()).update(other.owed[block])
            for mine, theirs in (
                (self.shares, other.shares[block]),
                (self.credited, other.credited[block]),
            ):
                mine.setdefault(block, Counter()).update(theirs)
            tallies = self.tallies.setdefault(block, {})
            for advisor, (count, total) in other.tallies[block].items():
                known = tallies.get(advisor, (0, 0))
                tallies[advisor] = known[0] + count, known[1] + total
        self.edges |= other.edges
        self.advisors |= other.advisors
        self.time = max(self.time, other.time)


def judge_sessions(plan: Plan, bucket: int) -> SessionsFound:
    """Judges the sessions of a bucket, and leaves files for the steps that follow."""
    part = Part(plan.place, plan.separators.get, plan.journals)
    book, found = part.book, SessionsFound()
    entries = entries_of_rows(
        read_spread(plan.work, "logs", bucket, plan.writers),
        _sent(plan, bucket),
        plan.place,
    )
    waiting = list(plan.at)
    for entry in entries:
        while entry.block > waiting[0]:
            _compare_sessions(plan, bucket, part, found, waiting.pop(0))
        part.take(entry)
        found.time = entry.time
    part.verify()
    for block in waiting:
        _compare_sessions(plan, bucket, part, found, block)
    for name in ("logs", "transactions"):
        drop_spread(plan.work, name, bucket, plan.writers)
    part.findings.extend(part.looks())

    plan.leave("postings", bucket, book.postings, Posting._fields.index("account"))
    plan.leave("movements", bucket, book.movements, Movement._fields.index("tx_hash"))
    plan.leave("tips-moved", bucket, book.tips, TipMade._fields.index("tx_hash"))
    rows = list(session_rows(book))
    of_advisor = filter(may_deserve, rows)
    plan.leave("by-advisor", bucket, of_advisor, SessionRow._fields.index("advisor"))
    spans = spans_by(plan.journals, RUNNING)
    spent = sorted(span for row in rows for span in served(row, spans))
    plan.leave("served", bucket, spent, Served._fields.index("advisor"))
    if plan.keep_rows:
        write_rows(plan.file("sessions", bucket), rows)
        write_rows(plan.file("settlements", bucket), book.readings)
        write_rows(plan.file("tips", bucket), book.tips)
        write_rows(plan.file("ratings", bucket), book.ratings)
    found.counts.update(counts_of(book))
    found.sums, found.unproven, found.edges = book.sums, part.unproven, book.edges
    found.findings, found.doubts, found.resting = part.findings, part.doubts, part.resting
    found.advisors = {session.advisor for session in book.sessions.values()}
    return found


def _compare_sessions(
    plan: Plan, bucket: int, part: Part, found: SessionsFound, block: BlockNumber
) -> None:
    book = part.book
    slots = {
        key: int.from_bytes(value, "big")
        for _, key, value in read_spread(plan.work, f"slot-{block}", bucket, 1)
    }
    part.findings.extend(check_slots(book.sessions, book.revoked, slots, block))
    found.owed[block] = owed_to_sessions(book.sessions, slots)
    found.shares[block] = Counter(book.shares())
    found.credited[block] = Counter(book.credited)
    found.tallies[block] = dict(book.tallies)


# ---------------------------------------------------------------------- accounts, movements


@dataclass
class AccountsFound:
    """What groups of accounts say to the whole. `kept`: what storage owes them, by block and
    token; of platforms, what they must have and what they have.
    """

    count: int = 0
    findings: list[Finding] = field(default_factory=list)
    kept: dict[int, Counter[Address]] = field(default_factory=dict)
    of_recipients: dict[int, dict[At, int]] = field(default_factory=dict)
    found_of_recipients: dict[int, dict[At, int]] = field(default_factory=dict)

    def add(self, other: AccountsFound) -> None:
        self.count += other.count
        self.findings.extend(other.findings)
        for block in other.kept:
            self.kept.setdefault(block, Counter()).update(other.kept[block])
            self.of_recipients.setdefault(block, {}).update(other.of_recipients[block])
            self.found_of_recipients.setdefault(block, {}).update(other.found_of_recipients[block])


def judge_accounts(plan: Plan, group: int, recipients: frozenset[At]) -> AccountsFound:
    """Enters the postings of a group of accounts, and compares their balances with storage."""
    rows = merge_sorted(plan.files("postings"), group, itemgetter(0, 1))
    waiting = next(rows, None)

    def postings(until: BlockNumber) -> Iterator[Posting]:
        nonlocal waiting
        while waiting is not None and waiting[0] <= until:
            yield Posting(*waiting)
            waiting = next(rows, None)

    ledger, found = Ledger(), AccountsFound()
    mine = [at for at in recipients if bucket_of(at[1], plan.groups) == group]
    for block in plan.at:
        found.findings.extend(ledger.post(postings(block)))
        kept: dict[At, int] = {
            (Address(key[:20]), Address(key[20:])): int.from_bytes(value, "big")
            for _, key, value in read_spread(plan.work, f"balance-{block}", group, 1)
        }
        found.findings.extend(check_balances(ledger.balances, kept, block))
        found.kept[block] = Counter()
        for (token, _), amount in kept.items():
            found.kept[block][token] += amount
        found.of_recipients[block] = {at: ledger.balances.get(at, 0) for at in mine}
        found.found_of_recipients[block] = {at: kept.get(at, 0) for at in mine}
    found.count = len(ledger.balances.keys() | set(mine))
    if plan.keep_rows:
        for at_recipient in mine:
            ledger.balances[at_recipient] += 0
        write_rows(plan.file("balances", group), balance_rows(ledger.balances))
    return found


def judge_movements(plan: Plan, group: int) -> list[Finding]:
    """A group of transactions: what must have moved against what the tokens say."""
    tips = (TipMade(*row) for row in plan.left("tips-moved", group))
    transfers = transfers_of_rows(read_spread(plan.work, "transfers", group, plan.writers))
    escrow, jar = plan.place.domain.contract, plan.place.tip_jar

    def movements() -> Iterator[Movement]:
        return map(Movement._make, plan.left("movements", group))

    return list(check_movements(escrow, jar, movements, tips, transfers))


# ---------------------------------------------------------------------- advisors


@dataclass
class AdvisorsFound:
    """What groups of advisors say to the whole."""

    looks: list[Finding] = field(default_factory=list)
    ratings: dict[Address, dict[str, int | str]] = field(default_factory=dict)

    def add(self, other: AdvisorsFound) -> None:
        self.looks.extend(other.looks)
        self.ratings.update(other.ratings)


def judge_advisors(
    plan: Plan, group: int, ties: Ties, advisors: set[Address], now: UnixTime
) -> AdvisorsFound:
    """What deserves a look in the sessions of a group of advisors."""
    ratings: defaultdict[Address, Ratings] = defaultdict(Ratings)
    rows = (SessionRow(*row) for row in plan.left("by-advisor", group))
    looks = list(looks_of(rows, ratings, ties, advisors, now))
    looks.extend(overlapping(_served(plan, group, now)))
    return AdvisorsFound(looks, {advisor: each.as_json() for advisor, each in ratings.items()})


def _served(plan: Plan, group: int, now: UnixTime) -> Iterator[Served]:
    """The spans in which a group's advisors served, in their order."""
    for row in merge_sorted(plan.files("served"), group):
        span = Served(*row)
        if span.end == RUNNING:
            span = span._replace(end=now)
        if span.end > span.start:
            yield span
