"""The ledger, from an event loop: its work is done by threads."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from honorarium.ledger import Ledger

T = TypeVar("T")

THREADS: Final = 16


class Aside:
    """Reads and writes a ledger without holding up the event loop. Raises LedgerUnusable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._threads = ThreadPoolExecutor(THREADS, "ledger")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` finds in one state of the ledger."""
        return await self._do(lambda: self._read(work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` does is durable when this returns; if it raises, nothing of it stays."""
        return await self._do(lambda: self._write(work))

    def close(self) -> None:
        """Waits for what is being done."""
        self._threads.shutdown()

    async def _do(self, work: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(context.run, work))

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._ledger.read() as connection:
            return work(connection)

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self._ledger.write() as connection:
            return work(connection)
