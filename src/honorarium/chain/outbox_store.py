"""Where an outbox lies: what it asks of a store, and the store that is a file of SQLite's."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from honorarium.errors import OutboxUnusable
from honorarium.onfailure import OnFailure

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sent (
    nonce   INTEGER NOT NULL,
    attempt INTEGER NOT NULL,           -- 0, then one more for every replacement
    hash    BLOB    NOT NULL UNIQUE,
    raw     BLOB    NOT NULL,
    purpose TEXT,                       -- the idempotency key, if one was given
    content BLOB,                       -- the digest of what it was given for
    fate    TEXT    NOT NULL DEFAULT 'open',
        -- open, mined, passed over (another attempt was mined), or void (it can never count)
    signed  REAL    NOT NULL,           -- when, by this machine's clock
    told    INTEGER NOT NULL DEFAULT 0, -- whether a node has taken it
    PRIMARY KEY (nonce, attempt, hash)
);
CREATE INDEX IF NOT EXISTS sent_fate ON sent (fate, nonce);
CREATE UNIQUE INDEX IF NOT EXISTS sent_purpose ON sent (purpose)
    WHERE purpose IS NOT NULL AND attempt = 0 AND fate <> 'void';
CREATE TABLE IF NOT EXISTS counted (nonce INTEGER NOT NULL);
"""

WAIT: Final = 60.0
"""So many seconds another program may hold the outbox: its wallet may have to ask somebody."""


class Store(Protocol):
    """Two tables, `sent` and `counted`, of which an outbox sees the rows of one account on one
    chain. Its statements are of the SQL that all databases share, with `:named` values.

    Whatever fails raises OutboxUnusable.
    """

    mine: str
    """The condition that picks the account's rows, for every WHERE."""

    def rows(self, query: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """What a SELECT finds."""

    def insert(self, table: str, values: Mapping[str, object]) -> None:
        """A new row of the account's; within `writing`."""

    def run(self, statement: str, values: Mapping[str, object]) -> None:
        """An UPDATE; within `writing`."""

    def writing(self) -> AbstractContextManager[None]:
        """Alone with the account's rows, among all programs; all of it is stored, or nothing. What
        is raised within comes out as it is.
        """

    def close(self) -> None:
        """Lets go of the file or the connections. Again is fine."""


class FileStore:
    """A file of SQLite's, for one account on one chain; None: in memory.

    Several programs and threads may have the same file open at once. Raises OutboxUnusable.
    """

    mine: str = "1 = 1"

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._translated():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(
                path or ":memory:", timeout=WAIT, isolation_level=None, check_same_thread=False
            )
        self._closing = weakref.finalize(self, self._db.close)
        with OnFailure(self._closing):
            self._set_up()

    def _set_up(self) -> None:
        with self._translated():
            if self.path is not None:
                self._remember_on_disk()
            if "content" in self._columns():
                return  # without waiting for whoever writes just now
            self._db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            if "content" not in self._columns():  # a file of an older version
                self._db.execute("ALTER TABLE sent ADD COLUMN content BLOB")
            self._db.execute("COMMIT")

    def _columns(self) -> set[str]:
        return {row[1] for row in self._db.execute("PRAGMA table_info(sent)")}

    def _remember_on_disk(self) -> None:
        until = time.monotonic() + WAIT
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                # While another program does the same, SQLite refuses at once instead of waiting.
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
        self._db.execute("PRAGMA synchronous = FULL")  # stored means: survives the power

    def rows(self, query: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        with self._lock, self._translated():
            return self._db.execute(query, values).fetchall()

    def insert(self, table: str, values: Mapping[str, object]) -> None:
        places = ", ".join(f":{name}" for name in values)
        self.run(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", values)

    def run(self, statement: str, values: Mapping[str, object]) -> None:
        with self._translated():
            self._db.execute(statement, values)

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._lock:
            self.run("BEGIN IMMEDIATE", {})
            with OnFailure(self._undo):
                yield
                self.run("COMMIT", {})

    def _undo(self) -> None:
        if self._db.in_transaction:  # SQLite may have undone it by itself
            self.run("ROLLBACK", {})

    def close(self) -> None:
        with self._lock:
            self._closing()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutboxUnusable(self.path, str(error)) from error
