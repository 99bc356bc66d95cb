"""A session's meter on a line to the desk: vouchers go out, acknowledgements and notes come in.

The line may break at any time: the meter goes on, pauses by itself where the desk stays silent
(`Meter.tick`), and what was not acknowledged is sent once more as soon as the line is back. A desk
that lost what it acknowledged, because it was restored from an older copy, is given all of it anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Self

from honorarium.chain.wire import Silence, blocking, drive
from honorarium.client.client import OpenSession
from honorarium.client.meter import Meter
from honorarium.client.notices import OtherReading, Stopped, Tick
from honorarium.errors import (
    AlreadyClosing,
    InputError,
    JournalIncomplete,
    JournalRefused,
    RateLimited,
    SessionNotOpen,
)
from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.protocol.journal import Entry, EntryKind
from honorarium.protocol.records import entry_record, reading_record
from honorarium.remote import AsyncDesk, Desk, DeskUnreachable
from honorarium.remote.desk import read_acknowledgement
from honorarium.remote.problems import read_problem
from honorarium.remote.routes import session_path
from honorarium.remote.web import Socket

ANSWER: Final = 5.0
"""So many seconds `tick` waits for the desk's answer; later ones the next tick takes."""

AGAIN: Final = 1.0
"""So many seconds at least lie between two attempts to reach the desk."""

_RUNS: Final = (EntryKind.ANSWERED, EntryKind.RESUMED)


class OtherAcknowledger(InputError):
    """A meter that takes acknowledgements of somebody else than this desk."""

    def __init__(self, desk: Address, meter: Address | None) -> None:
        self.desk, self.meter = desk, meter
        whose = "the advisor's own key" if meter is None else "0x" + meter.hex()
        super().__init__(
            f"this meter takes acknowledgements of {whose}, and the desk signs with "
            f"0x{desk.hex()}; take the session from `Client(desk, ...).join(quote)`"
        )


class AsyncLiveMeter:
    """The meter of a session, on a line to the desk. Use it as a context.

    `session` is what a client of this desk has opened or joined. Where the meter has no clock, this
    machine's counts. When the advisor answers, the meter starts; when they pause, it pauses, and
    what paused it so resumes with them. `answer` are the seconds that `tick` waits for the desk.

    Its methods raise what the desk refuses (TooManyUnits, NotFunded, AlreadyClosing, ...); a line
    that breaks raises nothing, see `trouble`.
    """

    def __init__(self, desk: AsyncDesk, session: OpenSession, *, answer: float = ANSWER) -> None:
        self.desk, self.session, self.meter = desk, session, session.meter
        self.trouble: DeskUnreachable | None = None
        """Why the desk is not reached at the moment; None: it is."""
        self._answer = answer
        self._socket: Socket | None = None
        self._gave_all = False  # on this line
        self._tried = 0.0
        self._heard = 0  # notes of the advisor
        self._notes: list[EntryKind] = []  # and those that wait
        self._paused_by_note = False

    async def __aenter__(self) -> Self:
        desk = await self.desk.acknowledger(self.session.terms)
        assert desk is not None
        if self.meter.acknowledged_by != desk:
            raise OtherAcknowledger(desk, self.meter.acknowledged_by)
        await self._connect()
        if self.trouble is not None:
            raise self.trouble
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the line; the meter stays as it is."""
        if self._socket is not None:
            socket, self._socket = self._socket, None
            await socket.close()

    # ------------------------------------------------------------------ what happens

    async def tick(self, at: int | None = None) -> Tick:
        """Looks at the clock: takes what came, signs what is due, and has it acknowledged.

        As `Meter.tick`; call it a few times a second.
        """
        await self._reach()
        await self._hear(0.0)
        self._follow(at)
        tick = self.meter.tick(self._at(at))
        await self._tell(tick)
        return tick

    async def run(
        self,
        *,
        every: float = 0.25,
        seconds: float | None = None,
        each: Callable[[Tick], object] = lambda tick: None,
    ) -> Tick:
        """Ticks, until nothing is funded any more, somebody has left, or `seconds` are over.

        `each` sees every tick; the last one is returned.
        """
        began = time.monotonic()
        while True:
            tick = await self.tick()
            each(tick)
            over = seconds is not None and time.monotonic() - began >= seconds
            if over or self.meter.has_left or any(isinstance(one, Stopped) for one in tick.notices):
                return tick
            await self._pause(every)

    async def answer(self, at: int | None = None) -> Tick:
        """The advisor answers: from here on it counts. Needed where they note nothing."""
        return await self.note(EntryKind.ANSWERED, at)

    async def pause(self, at: int | None = None) -> Tick:
        """Stops counting, and tells the desk at once."""
        self.meter.pause(self._at(at))
        self._paused_by_note = False
        return await self.tick(at)

    async def resume(self, at: int | None = None) -> Tick:
        """Counts again, and tells the desk at once."""
        self.meter.resume(self._at(at))
        self._paused_by_note = False
        return await self.tick(at)

    async def note(self, kind: EntryKind, at: int | None = None, note: Hash = ZERO_HASH) -> Tick:
        """Something happens (a bot hands over to a human, ...), and the desk hears of it."""
        self.meter.note(kind, self._at(at), note)
        return await self.tick(at)

    async def count(self, interactions: int = 1, at: int | None = None) -> Tick:
        """Adds interactions, for a tariff without time, and has them acknowledged."""
        self.meter.count(interactions)
        return await self.tick(at)

    async def again(self) -> None:
        """Sends once more what the desk has not acknowledged, a `meter.read()` of one's own too."""
        await self._reach()
        await self._tell(self.meter.again())

    def _at(self, at: int | None) -> int | None:
        return int(time.time()) if at is None and self.meter.clock is None else at

    # ------------------------------------------------------------------ the line

    async def _reach(self) -> None:
        """Makes sure that there is a line, if that was not tried just now."""
        if self._socket is None and time.monotonic() - self._tried >= AGAIN:
            await self._connect()

    async def _connect(self) -> None:
        self._tried = time.monotonic()
        path = session_path(self.session.id, "meter")
        try:
            # What it tells beside vouchers counts because the meter's key has signed in.
            self._socket = await self.desk.api.listen(path, signer=self.meter.key)
        except DeskUnreachable as unreachable:
            self.trouble = unreachable
            return
        except RateLimited as limited:
            self.trouble = DeskUnreachable(self.desk.api.url, str(limited))
            return
        self.trouble, self._gave_all = None, False
        waiting = self.meter.again()
        await self._tell(waiting)
        if waiting.voucher is None and self.meter.signed_units:
            # Acknowledged it was; the desk says whether it still has it, and what leads to it.
            known = self.meter.again(whole=True)
            with suppress(AlreadyClosing, SessionNotOpen):
                await self._tell(replace(known, entries=(), after=len(known.entries)))

    async def _tell(self, tick: Tick) -> None:
        """Sends what is new, and waits a while for the answer."""
        if self._socket is None or (tick.voucher is None and not tick.entries):
            return
        try:
            await self._socket.send(json.dumps(frame_of(tick)))
        except Silence as silence:
            await self._lose(silence)
            return
        until = time.monotonic() + self._answer
        while (left := until - time.monotonic()) > 0:
            if await self._hear(left, one=True) or self.trouble is not None:
                return

    async def _hear(self, timeout: float, *, one: bool = False) -> bool:
        """Takes what the desk says within so many seconds; `one`: until it answers, and whether."""
        while self._socket is not None:
            try:
                text = await self._socket.receive(timeout)
            except Silence as silence:
                await self._lose(silence)
                return False
            if text is None:
                return False
            if await self._heed(text) and one:
                return True
        return False

    async def _pause(self, seconds: float) -> None:
        """Waits for the next tick; not longer than until the desk says something."""
        if self._socket is None:
            await self.desk.node.wire.sleep(seconds)
            return
        try:
            text = await self._socket.receive(seconds)
        except Silence as silence:
            await self._lose(silence)
            return
        if text is not None:
            await self._heed(text)

    async def _lose(self, silence: Silence) -> None:
        self.trouble = DeskUnreachable(self.desk.api.url, silence.reason)
        await self.close()

    async def _heed(self, text: str) -> bool:
        """As `_take`. A desk that does not know what went before is told everything, once."""
        try:
            return self._take(text)
        except JournalIncomplete:
            if self._gave_all or self._socket is None:
                raise
        self._gave_all = True
        try:
            await self._socket.send(json.dumps(frame_of(self.meter.again(whole=True))))
        except Silence as silence:
            await self._lose(silence)
        return False

    def _take(self, text: str) -> bool:
        """One frame of the desk; whether it answers what was sent."""
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise DeskUnreachable(self.desk.api.url, "it says what is no JSON")
        if "problem" in found:
            problem = read_problem(found["problem"])
            # Who has left may still sign what was due until then; a desk takes it no more.
            if self.meter.has_left and isinstance(problem, AlreadyClosing | SessionNotOpen):
                return True
            raise problem
        if "note" in found:
            self._noted(found)
            return False
        if "acknowledgement" in found:
            accepted = read_acknowledgement(found["acknowledgement"])
            try:
                self.meter.acknowledge(accepted)
            except OtherReading:
                # Of an older reading, whose answer came late.
                if accepted.units >= self.meter.signed_units:
                    raise
        return True

    # ------------------------------------------------------------------ the advisor's notes

    def _noted(self, found: Mapping[str, Any]) -> None:
        """A new line tells all notes once more; each counts once."""
        number = found.get("number", self._heard)
        if number < self._heard:
            return
        self._heard = number + 1
        for kind in EntryKind:
            if kind.text == found["note"].get("kind"):
                self._notes.append(kind)

    def _follow(self, at: int | None) -> None:
        """The meter does what the advisor noted last. It counts by its own clock all the same."""
        notes, self._notes = self._notes, []
        if not notes or self.meter.has_left:
            return
        if not any(entry.kind is EntryKind.ANSWERED for entry in self.meter.journal.entries):
            if EntryKind.ANSWERED not in notes:
                return
            self._try(self.meter.answer, at)
        last = notes[-1]
        if last is EntryKind.PAUSED and _runs(self.meter):
            self._paused_by_note = self._try(self.meter.pause, at)
        elif last is EntryKind.RESUMED and self._paused_by_note:
            self._paused_by_note = False
            self._try(self.meter.resume, at)

    def _try(self, change: Callable[[int | None], None], at: int | None) -> bool:
        """Whether the journal took it; what it holds already it does not take twice."""
        try:
            change(self._at(at))
        except JournalRefused:
            return False
        return True


class LiveMeter:
    """As AsyncLiveMeter, for programs without an event loop."""

    core: AsyncLiveMeter

    def __init__(self, desk: Desk, session: OpenSession, *, answer: float = ANSWER) -> None:
        self.core = AsyncLiveMeter(desk.core, session, answer=answer)

    def __enter__(self) -> Self:
        drive(self.core.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def meter(self) -> Meter:
        """The meter itself."""
        return self.core.meter

    @property
    def trouble(self) -> DeskUnreachable | None:
        """Why the desk is not reached at the moment; None: it is."""
        return self.core.trouble

    close = blocking(AsyncLiveMeter.close)
    tick = blocking(AsyncLiveMeter.tick)
    run = blocking(AsyncLiveMeter.run)
    answer = blocking(AsyncLiveMeter.answer)
    pause = blocking(AsyncLiveMeter.pause)
    resume = blocking(AsyncLiveMeter.resume)
    note = blocking(AsyncLiveMeter.note)
    count = blocking(AsyncLiveMeter.count)
    again = blocking(AsyncLiveMeter.again)


def frame_of(tick: Tick) -> dict[str, Any]:
    """What a meter sends to a desk."""
    entries: list[Entry] = list(tick.entries)
    frame: dict[str, Any] = {"entries": [entry_record(each) for each in entries]}
    frame["after"] = tick.after
    if tick.voucher is not None:
        voucher = tick.voucher
        frame["voucher"] = reading_record(voucher.units, voucher.journal, voucher.signature)
    return frame


def _runs(meter: Meter) -> bool:
    kinds = [entry.kind for entry in meter.journal.entries]
    moving = [kind for kind in kinds if kind in (*_RUNS, EntryKind.PAUSED)]
    return bool(moving) and moving[-1] in _RUNS
