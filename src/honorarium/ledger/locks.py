"""Locks that fall with the process that holds them, however it ends.

On PostgreSQL they are advisory locks of a session, on SQLite locks on files beside the database. So
a name that can be taken belongs to nobody alive.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from honorarium.hashing import keccak
from honorarium.ledger.engine import Ledger, LedgerUnusable

_NOTICE: Final = (
    # A machine that vanished without a word is noticed within seconds, too.
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)


class _Holder(Protocol):
    def take(self, name: str) -> bool: ...
    def drop(self, name: str) -> None: ...
    def alive(self) -> bool: ...
    def close(self) -> None: ...


class Locks:
    """The locks of one replica. For threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._guard = threading.Lock()
        self._held: set[str] = set()
        self._holder: _Holder = _Files(ledger) if ledger.is_sqlite else _Session(ledger)

    def take(self, name: str) -> bool:
        """Whether the name is this replica's now, or was already. Raises LedgerUnusable."""
        with self._guard:
            self._notice_loss()
            if name not in self._held:
                if not self._holder.take(name):
                    return False
                self._held.add(name)
            return True

    def drop(self, name: str) -> None:
        """Gives a name back."""
        with self._guard:
            if name in self._held:
                self._held.discard(name)
                self._holder.drop(name)

    def close(self) -> None:
        """Gives all back."""
        with self._guard:
            self._held.clear()
            self._holder.close()

    def _notice_loss(self) -> None:
        if self._held and not self._holder.alive():
            self._held.clear()


class _Files:
    """A file for each name; the kernel unlocks it when its process ends."""

    def __init__(self, ledger: Ledger) -> None:
        self._folder = Path(f"{make_url(ledger.url).database}.locks")
        self._open: dict[str, int] = {}

    def take(self, name: str) -> bool:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            file = os.open(self._path(name), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LedgerUnusable(str(self._folder), str(error)) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._open[name] = file
        return True

    def drop(self, name: str) -> None:
        os.close(self._open.pop(name))

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _path(self, name: str) -> Path:
        return self._folder / name.replace("/", "-")


class _Session:
    """A connection that is kept for its locks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection: Connection | None = None

    def take(self, name: str) -> bool:
        with self._ledger.translated():
            return bool(self._ask("SELECT pg_try_advisory_lock(:key)", name))

    def drop(self, name: str) -> None:
        try:
            self._ask("SELECT pg_advisory_unlock(:key)", name)
        except SQLAlchemyError:
            self.close()  # and with the connection every lock

    def alive(self) -> bool:
        try:
            self._ask("SELECT :key", "")
        except SQLAlchemyError:
            self.close()
            return False
        return True

    def close(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                # At once: the server notices an ended connection a moment later.
                self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
            with suppress(SQLAlchemyError):
                self._connection.invalidate()  # never back into the pool: it may hold locks
                self._connection.close()
            self._connection = None

    def _ask(self, query: str, name: str) -> object:
        if self._connection is None:
            self._connection = self._ledger.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
            for setting in _NOTICE:
                self._connection.execute(text(setting))
        key = int.from_bytes(keccak(b"lock" + name.encode())[:8], "big", signed=True)
        return self._connection.execute(text(query), {"key": key}).scalar_one()
