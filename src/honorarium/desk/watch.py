"""Follows the chain, so that the ledger says what the chain says.

One replica watches, and another takes its place when it dies. New blocks tell which sessions were
touched; their slots are read at the block and written beside its hash, in one transaction. When the
chain changes its mind, the hashes tell where, and what was read since then is read again.

Somebody who leaves is heard at once. Money counts when it is final: an opening or a top-up is only
believed `confirmations` blocks deep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from honorarium.chain import AsyncContracts, calls
from honorarium.chain.logs import LogRecord, collect_async
from honorarium.chain.node import BlockHead, block_head
from honorarium.desk.clock import ChainClock
from honorarium.desk.seen import Changed, Seen, session_of, write_sessions
from honorarium.errors import ChainError, ChainReset, NodeError
from honorarium.ids import Hash, SessionId
from honorarium.ledger import Ledger, blocks, settling
from honorarium.ledger.locks import Locks
from honorarium.protocol.events import SessionClosed, Settled

log = logging.getLogger(__name__)

KEPT: Final = 256
"""So many blocks behind the final one are remembered: a deeper change of mind is read from the
deployment on."""

AT_ONCE: Final = 5_000
"""So many blocks are read and written together."""

SHORT: Final = 5
"""So many times a chain that got shorter is looked at before that is believed."""

WATCHER: Final = "watcher"
"""The lock of who watches."""


@dataclass(frozen=True, slots=True)
class _Past:
    """What the ledger knows of the chain."""

    hashes: Mapping[int, bytes]
    final: int

    @property
    def tip(self) -> int:
        return max(self.hashes, default=self.final)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is new since `fork`: what the log says (`firm`: what of it is final now), and the
    sessions that it concerns.
    """

    fork: int
    head: BlockHead
    final: int
    fresh: list[LogRecord]
    firm: list[LogRecord]
    hashes: dict[int, bytes]
    touches: set[tuple[int, bytes]]
    lost: set[bytes]
    seen: list[Seen]


class Watcher:
    """Keeps the sessions' rows true. `changed` is told of every session whose row is different now,
    `urgent` when somebody asked to close. Start it on the event loop of `contracts`.

    `confirmations`: so many blocks, its own included, make final what a block says.
    """

    def __init__(
        self,
        ledger: Ledger,
        contracts: AsyncContracts,
        locks: Locks,
        clock: ChainClock,
        *,
        confirmations: int = 1,
        every: float = 1.0,
        changed: Callable[[bytes], object] = lambda _: None,
        urgent: Callable[[], object] = lambda: None,
    ) -> None:
        self._ledger, self._contracts, self._locks, self._clock = ledger, contracts, locks, clock
        self._node = contracts.node
        self._confirmations, self._every = max(1, confirmations), every
        self._changed, self._urgent = changed, urgent
        self._task: asyncio.Task[None] | None = None
        self._short = 0
        self.watches = False
        """Whether it is this replica that watches."""
        self.problem: ChainError | None = None
        """What keeps it from following just now."""
        self.behind = 0
        """So many blocks were not read yet when it looked last."""

    async def start(self) -> None:
        """Begins to follow, in the background."""
        self._task = asyncio.create_task(self._follow(), name="watcher")

    async def stop(self) -> None:
        """Ends; another replica may watch."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await asyncio.to_thread(self._locks.drop, WATCHER)
        self.watches = False

    async def _follow(self) -> None:
        while True:
            try:
                more = await self.look()
                self.problem = None
            except ChainError as error:  # the node or the database may come back
                more = False
                if str(error) != str(self.problem):
                    log.warning("the chain cannot be followed: %s", error)
                self.problem = error
            except Exception:
                more = False
                log.exception("following the chain")
            if not more:
                await asyncio.sleep(self._every)

    async def look(self) -> bool:
        """Reads what is new, if it is this replica that watches. Whether there is more.

        Raises ChainReset, NodeUnreachable, NodeError, UnreadableLog, LedgerUnusable.
        """
        head = await self._node.block()
        self._clock.saw(head.timestamp)
        self.watches = await asyncio.to_thread(self._locks.take, WATCHER)
        if not self.watches:
            return False
        past = await asyncio.to_thread(self._past)
        fork = await self._fork(past, head)
        self.behind = head.number - fork
        if fork == head.number and past.hashes and self._nothing_new(past, fork):
            return False
        last = min(head.number, fork + AT_ONCE)
        if last < head.number:
            head = await self._node.block(last)
        await self._read(past, fork, head)
        return self.behind > AT_ONCE

    def _nothing_new(self, past: _Past, fork: int) -> bool:
        """Whether it is best to wait. A node that was further may be one of several, of which this
        one is behind; if it stays so, the blocks are gone.
        """
        self._short = self._short + 1 if fork < past.tip else 0
        return self._short < SHORT

    # ------------------------------------------------------------------ where it stands

    def _past(self) -> _Past:
        with self._ledger.read() as connection:
            final = blocks.final(connection)
            first = self._contracts.manifest.block - 1
            return _Past(blocks.known(connection), first if final is None else final)

    async def _fork(self, past: _Past, head: BlockHead) -> int:
        """The last block up to which the chain is still the one that was read."""
        if not past.hashes:
            return past.tip
        numbers = sorted(past.hashes, reverse=True)
        at, span = 0, 1
        while at < len(numbers):
            asked = [n for n in numbers[at : at + span] if n <= head.number]
            for number, found in zip(asked, await self._hashes(asked), strict=True):
                if found == past.hashes[number]:
                    return number
            at, span = at + span, 64
            await self._node.must_be_the_same_chain()
        genesis = await self._node.genesis_hash()
        if head.number < numbers[-1]:
            raise ChainReset(genesis, genesis)
        log.error("the chain changed its mind beyond block %d; all is read again", numbers[-1])
        return self._contracts.manifest.block - 1

    async def _hashes(self, numbers: Iterable[int]) -> list[bytes | None]:
        asked = [("eth_getBlockByNumber", [hex(number), False]) for number in numbers]
        found = await self._node.batch(asked)
        return [block_head(each).hash if each else None for each in found]

    # ------------------------------------------------------------------ what is new

    async def _read(self, past: _Past, fork: int, head: BlockHead) -> None:
        final = max(head.number - self._confirmations + 1, 0)
        old_final = min(past.final, fork)  # what was final and is undone becomes final again
        fresh = await self._logs(fork + 1, head.number)
        firm = fresh
        if (old_final, final) != (fork, head.number):
            firm = await self._logs(old_final + 1, final)
        oldest = max(fork + 1, final - KEPT)
        numbers = range(oldest, head.number + 1)
        hashes = dict(zip(numbers, await self._hashes(numbers), strict=True))
        if hashes[head.number] != head.hash:
            raise NodeError("eth_getLogs", 0, "the chain changed while it was read")

        lost: set[bytes] = set()
        if fork < past.tip:
            lost = await asyncio.to_thread(self._lost, fork)
            log.warning("blocks %d to %d undone: %d sessions", fork + 1, past.tip, len(lost))
        touches = [(each.block, one) for each in fresh if (one := session_of(each.event))]
        ids = {one for _, one in touches} | lost
        ids |= {one for each in firm if (one := session_of(each.event))}
        ours = sorted(await asyncio.to_thread(self._ours, ids))
        lost &= set(ours)
        units = await self._settled_again(lost, head)
        for event in (each.event for each in fresh):
            if isinstance(event, Settled | SessionClosed):
                units[event.session_id] = max(units.get(event.session_id, 0), event.units)
        seen = await self._slots(ours, head.number, final, units)
        known = set(ours)
        found = _Found(
            fork=fork,
            head=head,
            final=final,
            fresh=[each for each in fresh if session_of(each.event) in known],
            firm=[each for each in firm if session_of(each.event) in known],
            hashes={number: each for number, each in hashes.items() if each},
            touches={(n, one) for n, one in touches if one in known and n >= oldest},
            lost=lost,
            seen=seen,
        )
        changed = await asyncio.to_thread(self._write, past, found)
        for each in changed:
            self._changed(each.session_id)
        if any(each.left for each in changed):
            self._urgent()

    async def _logs(self, first: int, last: int) -> list[LogRecord]:
        contracts = [self._contracts.escrow.contract, self._contracts.tip_jar]
        found = collect_async(self._node, contracts, first, last, times=False)
        return [record async for record in found]

    async def _settled_again(self, lost: set[bytes], head: BlockHead) -> dict[bytes, int]:
        """What the log still says to be settled of sessions whose blocks are undone."""
        units = dict.fromkeys(lost, 0)
        ordered = [Hash(one) for one in sorted(lost)]
        for start in range(0, len(ordered), 100):
            topics = ((Settled.TOPIC, SessionClosed.TOPIC), ordered[start : start + 100])
            first, contracts = self._contracts.manifest.block, [self._contracts.escrow.contract]
            async for record in collect_async(
                self._node, contracts, first, head.number, topics=topics, times=False
            ):
                event = record.event
                if isinstance(event, Settled | SessionClosed):
                    units[event.session_id] = max(units[event.session_id], event.units)
        return units

    async def _slots(
        self, ours: list[bytes], head: int, final: int, units: Mapping[bytes, int]
    ) -> list[Seen]:
        asked = [calls.session(self._contracts.escrow.contract, SessionId(one)) for one in ours]
        now = await self._node.read_all(asked, head)
        if final == head:
            firm = now
        elif final < self._contracts.manifest.block:
            firm = [calls.NO_SESSION] * len(asked)
        else:
            firm = await self._node.read_all(asked, final)
        return [
            Seen(SessionId(one), slot, sure, units.get(one))
            for one, slot, sure in zip(ours, now, firm, strict=True)
        ]

    # ------------------------------------------------------------------ the ledger

    def _lost(self, fork: int) -> set[bytes]:
        with self._ledger.read() as connection:
            return blocks.touched_behind(connection, fork)

    def _ours(self, session_ids: set[bytes]) -> set[bytes]:
        with self._ledger.read() as connection:
            return blocks.of_ours(connection, session_ids)

    def _write(self, past: _Past, found: _Found) -> list[Changed]:
        with self._ledger.write() as connection:
            if blocks.known(connection) != past.hashes:
                return []  # another replica watches now, and was faster
            if found.fork < past.tip:
                blocks.forget_behind(connection, found.fork)
                settling.undone(connection, found.lost, found.fork)
            changed = write_sessions(
                connection,
                found.seen,
                found.lost,
                found.fresh,
                found.firm,
                found.head.timestamp,
            )
            oldest = found.final - KEPT
            blocks.seen(connection, found.hashes, found.touches, found.final, oldest)
        return changed
