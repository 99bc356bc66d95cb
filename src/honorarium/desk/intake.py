"""Takes vouchers: judged one by one, written together, acknowledged when they are on the disk.

One thread per replica owns the books. What waits in its queue is judged, written in a single
transaction, and then answered: the more waits, the more shares the disk's one write. A session that
another replica has changed meanwhile is read anew and judged again, so any replica may take any
voucher, and what was acknowledged never falls back.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final

from sqlalchemy import Connection

from honorarium.desk.books import DeskBook, read_books
from honorarium.desk.clock import ChainClock
from honorarium.desk.readings import Reading, Readings, reading_of
from honorarium.errors import ChainError, InputError, SessionNotOpen
from honorarium.ids import SessionId
from honorarium.ledger import Ledger, LedgerUnusable, sessions
from honorarium.ledger.events import record_event
from honorarium.ledger.sessions import QUOTED, REVOKED, SessionNotKnown
from honorarium.protocol.documents import UNREADABLE
from honorarium.protocol.journal import Entry, EntryKind
from honorarium.protocol.keys import Key
from honorarium.protocol.signed import SignedAcknowledgement, SignedVoucher

AT_ONCE: Final = 1_000
"""So many requests share one transaction at most."""

BOOKS: Final = 20_000
"""So many books stay in memory; the one not used for longest makes room."""

RACES: Final = 20
"""So often a request is judged again because another replica was faster."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much a desk keeps of one session: so many `entries` of its journal, which are all judged
    again with each that is added; `notes` of its advisor; and records of this `weight` in the
    ledger, before it takes vouchers alone.
    """

    entries: int = 2_000
    notes: int = 2_000
    weight: int = 50_000


class TooMuchJournal(InputError):
    """A journal that grew beyond what any conversation needs."""

    def __init__(self, most: int, given: int) -> None:
        self.most, self.given = most, given
        super().__init__(
            f"the journal would have {given} entries, and a desk keeps {most} of a session; close "
            "the session and open another"
        )


class DeskBusy(ChainError):
    """Other replicas changed the session again and again. Nothing was acknowledged."""

    def __init__(self, session_id: bytes, times: int) -> None:
        self.session_id, self.times = session_id, times
        super().__init__(
            f"the session 0x{session_id.hex()} was changed by others {times} times while this "
            "request was judged; nothing was acknowledged: send it again"
        )


@dataclass(eq=False, slots=True)
class _Request:
    """One thing to do with one book. `looks`: it must not be answered from an old state."""

    session_id: SessionId
    act: Callable[[DeskBook], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    looks: bool = False
    result: Any = None
    error: BaseException | None = None

    def judge(self, book: DeskBook | None, broken: Exception | None) -> None:
        self.result = self.error = None
        try:
            if broken is not None:
                raise broken
            if book is None:
                raise SessionNotKnown(self.session_id)
            self.result = self.act(book)
        except Exception as error:  # whoever asked is told
            self.error = error

    def answer(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Intake:
    """The way into the books. Start it, then ask from any event loop.

    `key` countersigns what is durable; `readings` are told of every change; each
    session has `room`.
    """

    def __init__(
        self,
        ledger: Ledger,
        key: Key,
        clock: ChainClock,
        readings: Readings,
        room: Room = Room(),
    ) -> None:
        self._ledger, self._key, self._clock, self._readings = ledger, key, clock, readings
        self._room = room
        self._queue: SimpleQueue[_Request | None] = SimpleQueue()
        self._books: OrderedDict[bytes, DeskBook] = OrderedDict()
        self._thread: threading.Thread | None = None
        self.taken = 0
        """Vouchers that were acknowledged."""
        self.commits = 0
        """Transactions that were written."""

    def start(self) -> None:
        """Begins to work."""
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answers what waits, and ends."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    # ------------------------------------------------------------------ what may be asked

    async def take(
        self,
        session_id: SessionId,
        voucher: SignedVoucher,
        entries: Sequence[Entry] = (),
        after: int | None = None,
    ) -> SignedAcknowledgement:
        """Takes a voucher; returns the desk's countersignature, once the voucher is durable.

        Raises what `Book.accept` raises, SessionNotKnown, TooMuchJournal, LedgerUnusable, DeskBusy.
        """

        def act(book: DeskBook) -> DeskBook:
            self._must_fit(book, entries)
            _must_have_opened(book)
            book.accept(voucher, entries, after)
            return book

        accepted: SignedAcknowledgement = await self._ask(session_id, act)
        return accepted

    async def hear(
        self, session_id: SessionId, entries: Sequence[Entry], after: int | None = None
    ) -> Reading:
        """Takes entries that no voucher carries yet. Raises as `take`, and JournalRefused."""

        def act(book: DeskBook) -> Reading:
            self._must_fit(book, entries)
            self._must_have_room(book)
            _must_run(book)
            book.hear(entries, after)
            return self._reading(book)

        heard: Reading = await self._ask(session_id, act)
        return heard

    async def note(self, session_id: SessionId, kind: EntryKind, at: int | None = None) -> Reading:
        """The advisor's own count: ANSWERED, PAUSED or RESUMED; said again, it is as before.

        Raises as `take`, and JournalRefused.
        """

        def act(book: DeskBook) -> Reading:
            _must_run(book)
            if book.noted and book.noted[-1].kind is kind:
                return self._reading(book)
            self._must_have_room(book)
            if len(book.noted) >= self._room.notes:
                raise TooMuchJournal(self._room.notes, len(book.noted) + 1)
            {
                EntryKind.ANSWERED: book.answer,
                EntryKind.PAUSED: book.pause,
                EntryKind.RESUMED: book.resume,
            }[kind](at)
            return self._reading(book)

        noted: Reading = await self._ask(session_id, act)
        return noted

    async def count(
        self, session_id: SessionId, interactions: int, at: int | None = None
    ) -> Reading:
        """All interactions that the advisor gave so far; fewer than were told tell nothing.

        Raises as `take`, and TooManyUnits.
        """

        def act(book: DeskBook) -> Reading:
            _must_run(book)
            if (more := interactions - book.interactions) > 0:
                self._must_have_room(book)
                book.count(more, at)
            return self._reading(book)

        counted: Reading = await self._ask(session_id, act)
        return counted

    async def read(self, session_id: SessionId) -> Reading:
        """The reading as the ledger has it now. Raises SessionNotKnown, LedgerUnusable."""
        found: Reading = await self._ask(session_id, self._reading, looks=True)
        return found

    async def _ask(
        self, session_id: SessionId, act: Callable[[DeskBook], Any], *, looks: bool = False
    ) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.put(_Request(session_id, act, loop, future, looks))
        return await future

    def _reading(self, book: DeskBook) -> Reading:
        return reading_of(book, self._clock())

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            batch, over = self._next()
            try:
                self._work(batch)
            except Exception as error:  # whoever asked is told
                self._fail(batch, error)
            _deliver(batch)
            if over:
                return

    def _next(self) -> tuple[list[_Request], bool]:
        """What waits, at least one; and whether to end after it."""
        batch: list[_Request] = []
        first = self._queue.get()
        while first is not None:
            batch.append(first)
            if len(batch) == AT_ONCE or self._queue.empty():
                return batch, False
            first = self._queue.get()
        return batch, True

    def _work(self, batch: list[_Request]) -> None:
        pending = batch
        for _ in range(RACES):
            broken = self._load({each.session_id for each in pending})
            for request in pending:
                request.judge(self._books.get(request.session_id), broken.get(request.session_id))
            stale = self._write(pending)
            for session_id in stale:
                self._books.pop(session_id, None)
            pending = [each for each in pending if each.session_id in stale]
            if not pending:
                break
        for request in pending:
            request.error = DeskBusy(request.session_id, RACES)
        for request in batch:
            if isinstance(request.result, DeskBook) and request.error is None:
                request.result = self._acknowledge(request.result)

    def _load(self, wanted: set[SessionId]) -> dict[bytes, Exception]:
        """Reads the books that are not in memory. Why those are not that cannot be read."""
        for session_id in wanted & self._books.keys():
            self._books.move_to_end(session_id)
        broken: dict[bytes, Exception] = {}
        if missing := sorted(wanted - self._books.keys()):
            try:
                self._read(missing)
            except UNREADABLE as error:  # it must hold up no other
                if isinstance(error, LedgerUnusable):
                    raise
                for each in missing:
                    try:
                        self._read([each])
                    except UNREADABLE as alone:
                        if isinstance(alone, LedgerUnusable):
                            raise
                        broken[each] = alone
            while len(self._books) > max(BOOKS, len(wanted)):
                self._books.popitem(last=False)
        return broken

    def _read(self, session_ids: list[SessionId]) -> None:
        with self._ledger.read() as connection:
            self._books.update(read_books(connection, session_ids, self._clock))

    def _write(self, judged: list[_Request]) -> set[bytes]:
        """Makes it durable; the sessions that are not as they were thought to be."""
        now = self._clock()
        books = {each.session_id: self._books.get(each.session_id) for each in judged}
        changed = [book for book in books.values() if book is not None and book.changed]
        # In one order everywhere, or two replicas might wait for each other.
        changed.sort(key=lambda book: book.session_id)
        changes = [book.change(now) for book in changed]
        looked = {each.session_id for each in judged if each.looks or each.error is not None} - {
            change.session_id for change in changes
        }
        stale: set[bytes] = set()
        if changes:
            with self._ledger.write() as connection:
                stale = sessions.save(connection, changes)
                for book in changed:
                    if book.session_id not in stale:
                        for kind, body in book.news():
                            record_event(connection, kind, book.session_id, body)
                stale |= self._moved_on(connection, looked)
            self.commits += 1
        elif looked:
            with self._ledger.read() as connection:
                stale = self._moved_on(connection, looked)
        for book, change in zip(changed, changes, strict=True):
            if book.session_id not in stale:
                book.saved()
                self._readings.changed(book.session_id, only_reading=not change.records)
        return stale

    def _moved_on(self, connection: Connection, session_ids: set[SessionId]) -> set[bytes]:
        """Which of these books are not what the ledger has now."""
        return {
            session_id
            for session_id, seq in sessions.seqs(connection, session_ids).items()
            if (book := self._books.get(session_id)) is not None and book.seq != seq
        }

    def _acknowledge(self, book: DeskBook) -> SignedAcknowledgement:
        best = book.best
        assert best is not None
        digest = book.acknowledging(self._key.address).digest(best.units, best.journal)
        self.taken += 1
        return SignedAcknowledgement(best.units, best.journal, self._key.sign(digest))

    def _must_fit(self, book: DeskBook, entries: Sequence[Entry]) -> None:
        if entries and (total := len(book.told) + len(entries)) > self._room.entries:
            raise TooMuchJournal(self._room.entries, total)

    def _must_have_room(self, book: DeskBook) -> None:
        """What is no voucher can be said again and again, and is kept each time."""
        if book.weight >= self._room.weight:
            raise TooMuchJournal(self._room.weight, book.weight + 1)

    def _fail(self, batch: list[_Request], error: Exception) -> None:
        """Nothing is known to be durable, so the books are read anew."""
        for request in batch:
            self._books.pop(request.session_id, None)
            request.result, request.error = None, error


def _must_have_opened(book: DeskBook) -> None:
    if book.status in (QUOTED, REVOKED):
        raise SessionNotOpen(book.session_id)


def _must_run(book: DeskBook) -> None:
    _must_have_opened(book)
    if book.closed:
        raise SessionNotOpen(book.session_id)


def _deliver(batch: list[_Request]) -> None:
    """Wakes those who wait, each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
    for request in batch:
        by_loop.setdefault(request.loop, []).append(request)
    for loop, requests in by_loop.items():
        with suppress(RuntimeError):  # that loop has ended, and whoever waited with it
            loop.call_soon_threadsafe(_answer, requests)


def _answer(requests: list[_Request]) -> None:
    for request in requests:
        request.answer()
