"""The advisors' agents: programs that hold an advisor's key, connected to some replica.

What one is asked to sign goes through the ledger, so any replica can ask.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from honorarium.desk.aside import Aside
from honorarium.errors import HonorariumError, InputError
from honorarium.ids import Address
from honorarium.ledger import asks

POLL: Final = 0.1
"""So often (seconds) a replica looks for what its agents are asked through others."""

BEAT: Final = 2.0
GONE_AFTER: Final = 8
"""An agent that no replica has seen for so many seconds is away."""

WAITING: Final = 50
"""So many asks may wait for one advisor's agent."""

LINES: Final = 20
"""So many agents one advisor may have at once."""

LONGEST_SIGNATURE: Final = 8_192

_log = structlog.get_logger("honorarium.agents")


class TooManyAsks(InputError):
    """More quotes are asked for than the advisor's agent signs."""

    def __init__(self, advisor: bytes, waiting: int, wait: int) -> None:
        self.advisor, self.waiting, self.wait = advisor, waiting, wait
        super().__init__(
            f"{waiting} quotes wait for the agent of 0x{advisor.hex()} already; ask again in "
            f"{wait} seconds"
        )


class TooManyAgents(InputError):
    """More agents of one advisor than are of use."""

    def __init__(self, advisor: bytes, most: int) -> None:
        self.advisor, self.most = advisor, most
        super().__init__(
            f"0x{advisor.hex()} has {most} agents connected already; end the others first"
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """Something to sign: the terms, as JSON of a quote."""

    id: str
    terms: str


@dataclass(eq=False)
class Line:
    """The connection of one agent."""

    advisor: Address
    name: str = field(default_factory=lambda: secrets.token_hex(12))
    asked: asyncio.Queue[Ask] = field(default_factory=asyncio.Queue)


class Agents:
    """The agents that are connected here, and the way to those that are elsewhere."""

    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._lines: dict[Address, list[Line]] = {}
        self._answers: dict[str, asyncio.Event] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to look."""
        self._tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._beat())]

    async def stop(self) -> None:
        """Looks no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connected(self) -> int:
        """How many are connected here."""
        return sum(len(lines) for lines in self._lines.values())

    # ------------------------------------------------------------------ the agent's side

    @asynccontextmanager
    async def line(self, advisor: Address) -> AsyncIterator[Line]:
        """An agent is connected. Raises TooManyAgents."""
        mine: list[Line] = self._lines.setdefault(advisor, [])
        if len(mine) >= LINES:
            raise TooManyAgents(advisor, LINES)
        line = Line(advisor)
        mine.append(line)
        try:
            await self._seen([line])
            self._wake.set()
            yield line
        finally:
            mine.remove(line)
            if not mine:
                self._lines.pop(advisor, None)
            with suppress(HonorariumError):
                await self._aside.write(lambda c: asks.gone(c, line.name))

    async def answered(
        self, line: Line, ask_id: str, signature: bytes | None, declined: str | None
    ) -> None:
        """What an agent says; what nobody waits for any more is dropped."""
        if signature is not None and len(signature) > LONGEST_SIGNATURE:
            declined, signature = f"a signature of {len(signature)} bytes", None
        why = None if declined is None else declined[:200]
        await self._aside.write(lambda c: asks.answer(c, ask_id, line.name, signature, why))
        if (waiting := self._answers.get(ask_id)) is not None:
            waiting.set()

    # ------------------------------------------------------------------ asking

    async def away(self, advisors: Collection[Address]) -> set[Address]:
        """Which of these advisors have no agent anywhere."""
        since = int(time.time()) - GONE_AFTER
        there = await self._aside.read(lambda c: asks.present(c, advisors, since))
        return {each for each in advisors if each not in there}

    async def ask(
        self, advisor: Address, terms: str, seconds: float
    ) -> tuple[bytes | None, str | None]:
        """The signature, or why the agent declined; both None if none answered in time.

        Raises TooManyAsks.
        """
        ask_id, now = secrets.token_hex(12), int(time.time())
        answered = self._answers[ask_id] = asyncio.Event()
        try:
            await self._aside.write(lambda c: _ask(c, ask_id, advisor, terms, now, seconds))
            self._wake.set()
            until, pause = time.monotonic() + seconds, 0.05
            while time.monotonic() < until:
                with suppress(TimeoutError):
                    await asyncio.wait_for(answered.wait(), pause)
                found = await self._aside.read(lambda c: asks.answer_of(c, ask_id))
                if found != (None, None):
                    return found
                answered.clear()
                pause = min(2 * pause, 0.2)
            return None, None
        finally:
            self._answers.pop(ask_id, None)
            with suppress(HonorariumError):
                await asyncio.shield(self._aside.write(lambda c: asks.drop(c, ask_id)))

    # ------------------------------------------------------------------ within

    async def _look(self) -> None:
        while True:
            if not self._lines:
                await self._wake.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL)
            self._wake.clear()
            try:
                await self._pass_on()
            except HonorariumError as error:  # the ledger may be away for a moment
                _log.warning("agents wait", reason=str(error))
            except Exception as error:  # whatever it is, the next one may be passed on
                _log.error("agents wait", exc_info=error)

    async def _pass_on(self) -> None:
        now = int(time.time())
        here = list(self._lines)
        waiting = await self._aside.read(lambda c: asks.waited_for(c, here, now))
        for advisor in waiting:
            lines = self._lines.get(Address(advisor))
            if not lines:
                continue
            line = min(lines, key=lambda each: each.asked.qsize())
            taken = await self._aside.write(
                partial(asks.take, name=line.name, advisor=line.advisor, now=now)
            )
            for ask_id, terms in taken:
                line.asked.put_nowait(Ask(ask_id, terms))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            lines = [line for several in self._lines.values() for line in several]
            if lines:
                with suppress(HonorariumError):
                    await self._seen(lines)

    async def _seen(self, lines: Iterable[Line]) -> None:
        now, known = int(time.time()), list(lines)

        def write(connection: Connection) -> None:
            for line in known:
                asks.seen(connection, line.name, line.advisor, now, now - GONE_AFTER)

        await self._aside.write(write)


def _ask(
    connection: Connection, ask_id: str, advisor: Address, terms: str, now: int, seconds: float
) -> None:
    waiting = asks.waiting(connection, advisor, now)
    if waiting >= WAITING:
        raise TooManyAsks(advisor, waiting, 2)
    asks.ask(connection, ask_id, advisor, terms, now, now + int(seconds) + 1)
