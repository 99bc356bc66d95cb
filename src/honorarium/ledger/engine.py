"""The database of a desk: SQLite by default, PostgreSQL for several replicas.

What is committed survives the power: SQLite writes its log through to the disk before it says so,
and PostgreSQL does by default.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from honorarium.errors import ChainError

WAIT: Final = 30.0
"""So many seconds another process may hold a SQLite ledger."""

MIGRATIONS: Final = Path(__file__).with_name("migrations")
_MIGRATING: Final = 0x686F6E6F
"""The advisory lock under which one process at a time migrates a PostgreSQL ledger."""


class LedgerUnusable(ChainError):
    """The ledger's database does not answer, or cannot write. Nothing was acknowledged."""

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(
            f"the ledger {place} cannot be used: {reason}; nothing of this request was kept; mend "
            "the database (is it running, is there room on its disk?) and send the request again"
        )


class LedgerTooNew(ChainError):
    """A ledger that a newer version of this package wrote."""

    def __init__(self, place: str, found: str, known: str) -> None:
        self.place, self.found, self.known = place, found, known
        super().__init__(
            f"the ledger {place} has revision {found}, and this version knows up to {known}; "
            "install the version that wrote it, or a newer one"
        )


class Ledger:
    """One database. `url` as SQLAlchemy has it, or the path of a SQLite file.

    For threads: every `read` or `write` has a connection of its own. Raises LedgerUnusable.
    """

    def __init__(self, url: str) -> None:
        self.url = full_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        self.place = make_url(self.url).render_as_string(hide_password=True)
        self._lock = threading.Lock()
        self.engine = self._connect()

    def _connect(self) -> Engine:
        if self.is_sqlite:
            engine = create_engine(self.url, connect_args={"timeout": WAIT})
            event.listen(engine, "connect", _prepare)
            event.listen(engine, "begin", _begin)
            return engine
        return create_engine(
            self.url,
            pool_size=10,
            max_overflow=20,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5},
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the ledger from beginning to end."""
        with self.translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: all of it is durable when the block ends, or nothing of it."""
        with (
            self.translated(),
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What the database refuses is raised as LedgerUnusable."""
        try:
            yield
        except IntegrityError:
            raise  # what the caller may have meant to find out
        except DBAPIError as error:
            raise LedgerUnusable(self.place, _in_a_line(error.orig)) from error
        except SQLAlchemyError as error:
            raise LedgerUnusable(self.place, _in_a_line(error)) from error

    def is_there(self) -> bool:
        """Whether somebody set it up already."""
        if self._file is not None and not self._file.is_file():
            return False  # to look would make it
        with self.read() as connection:
            return MigrationContext.configure(connection).get_current_revision() is not None

    @property
    def _file(self) -> Path | None:
        database = make_url(self.url).database
        return Path(database) if self.is_sqlite and database and database != ":memory:" else None

    def set_up(self) -> None:
        """Makes the tables, or brings those of an older version up to date. Again does nothing.

        Raises LedgerTooNew for one that a newer version wrote.
        """
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock, self.translated(), self.engine.connect() as opened:
            # One process after the other: on SQLite by being the one that writes.
            connection = opened.execution_options(writes=True)
            script = ScriptDirectory(str(MIGRATIONS))
            known = script.get_current_head()
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATING})
            try:
                found = MigrationContext.configure(connection).get_current_revision()
                if found is not None and found not in {
                    each.revision for each in script.walk_revisions()
                }:
                    raise LedgerTooNew(self.place, found, str(known))
                if found != known:
                    config = Config()
                    config.set_main_option("script_location", str(MIGRATIONS))
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")
                connection.commit()
            finally:
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATING})
                    connection.commit()

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _in_a_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())


def full_url(given: str) -> str:
    """The database's address as SQLAlchemy has it. Raises LedgerUnusable."""
    if "://" not in given:
        return f"sqlite:///{given}"
    try:
        url = make_url(given)
    except ArgumentError as error:
        raise LedgerUnusable("of this address", str(error)) from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise LedgerUnusable(
            url.render_as_string(hide_password=True), "it is neither SQLite nor PostgreSQL"
        )
    return url.render_as_string(hide_password=False)


# ---------------------------------------------------------------------- SQLite


def _prepare(raw: Any, _: Any) -> None:
    raw.isolation_level = None  # transactions begin where `_begin` says so
    until = time.monotonic() + WAIT
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
            break
        except Exception as error:
            # While another process does the same, SQLite refuses at once instead of waiting.
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
