"""What other replicas do to sessions that somebody follows at this one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy import func, select

from honorarium.desk.readings import Readings
from honorarium.ledger import Ledger, LedgerUnusable, sessions
from honorarium.ledger.settling import replicas

CHUNK = 1_000
"""So many sessions are asked for at once."""


class Elsewhere:
    """Wakes followers of sessions that the ledger knows changed. Start it on an event loop.

    It looks every so many seconds (`every`), and only while there are other replicas.
    """

    def __init__(self, ledger: Ledger, readings: Readings, every: float = 1.0) -> None:
        self._ledger, self._readings, self._every = ledger, readings, every
        self._seen: dict[bytes, int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look."""
        self._task = asyncio.create_task(self._run(), name="elsewhere")

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            if followed := self._readings.followed():
                with suppress(LedgerUnusable):  # it comes back, and is looked at then
                    for session_id in await asyncio.to_thread(self._look, followed):
                        self._readings.changed(session_id)

    def _look(self, followed: list[bytes]) -> list[bytes]:
        found: dict[bytes, int] = {}
        with self._ledger.read() as connection:
            if connection.execute(select(func.count()).select_from(replicas)).scalar_one() < 2:
                return []
            for start in range(0, len(followed), CHUNK):
                found |= sessions.seqs(connection, followed[start : start + CHUNK])
        news = [one for one, seq in found.items() if self._seen.get(one) != seq]
        self._seen = found
        return news
