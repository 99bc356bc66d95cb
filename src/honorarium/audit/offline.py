"""An audit of an archive alone: no node is asked, and every core works.

Small archives are audited in one go. Large ones in three steps, each of them many pieces of work of
which one is in memory on every core at a time, so that memory does not grow with the sessions:

    split     logs and transactions by session (or account), transfers by transaction
    sessions  each bucket of sessions is judged like a small chain: signatures, fees, slots
    accounts  what the buckets found, brought together: balances by account, movements by
              transaction, overlaps and ratings by advisor
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from heapq import merge
from itertools import chain
from multiprocessing import forkserver, get_context
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import pyarrow as pa

from honorarium.audit.archive import Archive
from honorarium.audit.compare import check_shares, check_solvency, check_tallies
from honorarium.audit.errors import StateNotKept
from honorarium.audit.facts import Facts, Finding, Questions, State
from honorarium.audit.journals import Journals
from honorarium.audit.judge import Verdict, audit, conclude
from honorarium.audit.looks import Ties
from honorarium.audit.part import resolve
from honorarium.audit.pieces import (
    AccountsFound,
    AdvisorsFound,
    Plan,
    SessionsFound,
    judge_accounts,
    judge_advisors,
    judge_movements,
    judge_sessions,
    split_segments,
    split_state,
)
from honorarium.audit.rows import SessionRow
from honorarium.audit.source import entries_of, happened_in, transfers_of
from honorarium.audit.spill import read_rows_of
from honorarium.audit.state import said_of_rows, state_of_rows
from honorarium.audit.tables import Row
from honorarium.ids import Address
from honorarium.units import BlockNumber, UnixTime

SMALL: Final = 50_000
"""With fewer logs, starting processes takes longer than the audit."""
BUCKET: Final = 4_000
"""So many sessions are in memory at once, on each core: about 60 MB."""
MOST_BUCKETS: Final = 256
GROUPS: Final = 32
"""So many groups share what the sessions leave: each opens a file of every bucket."""

T = TypeVar("T")
P = ParamSpec("P")
Progress = Callable[[str, int, int], None]


def facts_of(archive: Archive, at: Iterable[int] = ()) -> Facts:
    """The facts that an archive holds. Raises StateNotKept if a block's storage is not in it."""
    last = archive.last
    blocks = [BlockNumber(block) for block in at]
    for block in (*blocks, last):
        if block not in archive.contents.states:
            raise StateNotKept(archive.folder, block, sorted(archive.contents.states))
    separators, codes = said_of_rows(archive.state_rows(last, "separator", "code"))

    def state(questions: Questions, block: BlockNumber) -> State:
        return state_of_rows(archive.state_rows(block))

    return Facts(
        place=archive.place,
        entries=entries_of(archive),
        separator=separators.get,
        transfers=lambda tokens: transfers_of(archive, set(tokens)),
        state=state,
        code=lambda account, block: codes.get((account, block), False),
        happened=happened_in(archive),
        at=tuple(blocks),
    )


def audit_archive(
    archive: Archive,
    *,
    at: Iterable[int] = (),
    journals: Journals | None = None,
    trusted: Container[Address] | None = None,
    jobs: int | None = None,
    buckets: int | None = None,
    keep_rows: bool = True,
    progress: Progress | None = None,
) -> Verdict:
    """The verdict over an archive, the same as `audit` would give over its facts.

    `jobs`: processes (None: one for each core); `buckets` overrides into how many pieces the
    sessions are taken apart. Without `keep_rows` the verdict has no tables. Raises StateNotKept and
    UnreadableLog.
    """
    facts = facts_of(archive, at)
    if buckets is None and archive.count("logs") < SMALL:
        return audit(facts, journals=journals, trusted=trusted)
    workers = jobs or os.cpu_count() or 1
    count = buckets or _buckets(archive)
    folder = tempfile.TemporaryDirectory(prefix="honorarium-audit-")
    plan = Plan(
        archive=archive.folder,
        work=Path(folder.name),
        buckets=count,
        groups=min(count, GROUPS),
        writers=workers,
        at=tuple(sorted({*facts.at, facts.place.last})),
        place=facts.place,
        separators=said_of_rows(archive.state_rows(facts.place.last, "separator"))[0],
        journals=journals or Journals(),
        keep_rows=keep_rows,
    )
    run = _Run(plan, archive, facts, trusted, progress or (lambda what, done, total: None))
    if workers == 1:
        run.split(_Inline())
        verdict = run.verdict(_Inline())
    else:
        # While a first process loads what the workers need, threads split: Arrow does that work.
        forkserver.set_forkserver_preload(["honorarium.audit.pieces"])
        forkserver.ensure_running()
        with _systems_memory(), ThreadPoolExecutor(workers) as threads:
            run.split(threads)
        with ProcessPoolExecutor(workers, get_context("forkserver"), _begin) as pool:
            verdict = run.verdict(pool)
    run.hold(folder)
    return verdict


def _begin() -> None:
    """What a worker does first. Pieces are small and make no cycles: looking for them would take a
    tenth of the time.
    """
    gc.disable()
    pa.set_memory_pool(pa.system_memory_pool())


@contextmanager
def _systems_memory() -> Iterator[None]:
    """Arrow takes memory from the system: its own allocator keeps 70 MB that nobody needs more."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def _buckets(archive: Archive) -> int:
    wanted = archive.count("logs") // (4 * BUCKET)  # a session has about four events
    return min(MOST_BUCKETS, max(2, 1 << max(0, wanted - 1).bit_length()))


class _Inline(Executor):
    """Does at once what it is given."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class _Run:
    def __init__(
        self,
        plan: Plan,
        archive: Archive,
        facts: Facts,
        trusted: Container[Address] | None,
        tell: Progress,
    ) -> None:
        self._plan, self._archive, self._facts = plan, archive, facts
        self._trusted, self._tell = trusted, tell
        self._held: list[object] = []

    def hold(self, folder: object) -> None:
        """The folder of the rows lives as long as the verdict's tables."""
        self._held.append(folder)

    def split(self, pool: Executor) -> None:
        """Takes the archive apart, into files."""
        plan = self._plan
        work = len(self._archive.segments) + 1
        spread = [
            pool.submit(split_segments, plan, number, part)
            for number, part in enumerate(self._shares(plan.writers))
        ]
        spread.append(pool.submit(split_state, plan, self._archive.contents.states))
        for done, each in enumerate(spread):
            each.result()
            self._tell("split", min(work, (done + 1) * work // len(spread)), work)

    def verdict(self, pool: Executor) -> Verdict:
        """Judges what was split."""
        plan = self._plan
        found = SessionsFound()
        for part in self._all(pool, "sessions", plan.buckets, judge_sessions):
            found.add(part)
        findings = found.findings
        findings.extend(resolve(found.doubts, self._facts, found.unproven, found.resting))

        recipients = frozenset(chain.from_iterable(found.credited.values()))
        ties, now, groups = Ties(found.edges), UnixTime(found.time), plan.groups
        of_accounts = self._all(pool, "accounts", groups, judge_accounts, recipients)
        of_movements = self._all(pool, "movements", groups, judge_movements)
        of_advisors = self._all(pool, "advisors", groups, judge_advisors, ties, found.advisors, now)
        accounts, advisors = AccountsFound(), AdvisorsFound()
        for kept in of_accounts:
            accounts.add(kept)
        findings.extend(accounts.findings)
        findings.extend(chain.from_iterable(of_movements))
        for seen in of_advisors:
            advisors.add(seen)
        findings.extend(advisors.looks)
        findings.extend(self._whole(found, accounts))

        last = plan.at[-1]
        state = State({}, {}, {}, found_tokens(self._archive, last))
        return conclude(
            plan.place,
            {**found.counts, "accounts": accounts.count},
            found.sums,
            found.owed[last],
            state,
            found.unproven,
            findings,
            advisors.ratings,
            self._trusted,
            plan.at,
            self._tables() if plan.keep_rows else {},
            accounts.kept[last],
        )

    def _shares(self, parts: int) -> list[list[int]]:
        """The segments, by number, cut into spans of about as many logs."""
        segments = self._archive.segments
        total = self._archive.count("logs")
        shares: list[list[int]] = [[] for _ in range(parts)]
        seen = 0
        for segment in segments:
            shares[min(parts - 1, seen * parts // max(1, total))].append(segment.number)
            seen += segment.files["logs"].rows
        return shares

    def _all(
        self, pool: Executor, what: str, parts: int, work: Callable[..., T], *more: Any
    ) -> Iterator[T]:
        """What all parts of this work give, in their order; they are begun at once."""
        tasks = [pool.submit(work, self._plan, part, *more) for part in range(parts)]

        def results() -> Iterator[T]:
            for done, task in enumerate(tasks):
                yield task.result()
                tasks[done] = Future()  # lets go of the result
                self._tell(what, done + 1, len(tasks))

        return results()

    def _whole(self, found: SessionsFound, accounts: AccountsFound) -> Iterator[Finding]:
        """What only all buckets together can say, at each block that is compared."""
        for block in self._plan.at:
            state = state_of_rows(self._archive.state_rows(block, "tally", "token"))
            owed = Counter(found.owed[block])
            owed.update(accounts.kept[block])
            yield from check_solvency(owed, state.tokens, block)
            yield from check_tallies(found.tallies[block], state.tallies, block)
            yield from check_shares(
                found.shares[block],
                found.credited[block],
                accounts.of_recipients[block],
                accounts.found_of_recipients[block],
                block,
            )

    def _tables(self) -> dict[str, Callable[[], Iterable[Row]]]:
        """The rows that buckets of sessions and groups of accounts left, in the chain's order."""
        by_log = itemgetter(0, 1)
        orders: dict[str, Callable[[Row], Any]] = {
            "sessions": lambda row: (row[_OPENED], row[_OPENED + 1]),
            "settlements": itemgetter(1, 2),
            "tips": by_log,
            "ratings": by_log,
            "balances": by_log,
        }

        def table(name: str) -> Callable[[], Iterable[Row]]:
            def rows() -> Iterator[Row]:
                plan = self._plan  # and so the folder lives as long as its rows are asked for
                parts = plan.groups if name == "balances" else plan.buckets
                files = (plan.file(name, part) for part in range(parts))
                yield from merge(*map(read_rows_of, files), key=orders[name])

            return rows

        return {name: table(name) for name in orders}


_OPENED: Final = SessionRow._fields.index("opened_block")


def found_tokens(archive: Archive, block: BlockNumber) -> Any:
    """What the tokens said at a block."""
    return state_of_rows(archive.state_rows(block, "token")).tokens
