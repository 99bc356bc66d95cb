"""An outbox in the ledger: the replicas of a desk share the relayer's key, and so its nonces.

What it promises stands at `honorarium.chain.Outbox`; this is a store for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    insert,
    text,
)
from sqlalchemy.exc import IntegrityError

from honorarium.errors import OutboxUnusable
from honorarium.hashing import keccak
from honorarium.ids import Address
from honorarium.ledger.engine import Ledger, LedgerUnusable
from honorarium.ledger.schema import metadata

WAIT: Final = 60_000
"""So many milliseconds another replica may hold the account's rows."""

sent = Table(
    "sent",
    metadata,
    Column("chain", String(80), primary_key=True),
    Column("account", LargeBinary(20), primary_key=True),
    Column("nonce", BigInteger, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("hash", LargeBinary(32), primary_key=True),
    Column("raw", LargeBinary, nullable=False),
    Column("purpose", String(200), comment="the idempotency key, if one was given"),
    Column("content", LargeBinary(32), comment="the digest of what it was given for"),
    Column(
        "fate",
        String(6),
        nullable=False,
        server_default="open",
        comment="open, mined, passed (another attempt was mined), void (it can never count)",
    ),
    Column("signed", Float, nullable=False, comment="when, by the replica's clock"),
    Column("told", Integer, nullable=False, server_default="0", comment="a node has taken it"),
    Index("ix_sent_hash", "hash", "account", "chain", unique=True),
    Index("ix_sent_fate", "account", "chain", "fate", "nonce"),
    comment="The transactions of the relayer, signed, before and after they are sent.",
)
_first = and_(sent.c.purpose.is_not(None), sent.c.attempt == 0, sent.c.fate != "void")
Index(
    "ix_sent_purpose",
    sent.c.account,
    sent.c.chain,
    sent.c.purpose,
    unique=True,
    sqlite_where=_first,
    postgresql_where=_first,
)

counted = Table(
    "counted",
    metadata,
    Column("chain", String(80), primary_key=True),
    Column("account", LargeBinary(20), primary_key=True),
    Column("nonce", BigInteger, nullable=False, comment="none below is free"),
)

_TABLES: Final = {"sent": sent, "counted": counted}


class LedgerStore:
    """The rows of one account on one chain, for an `Outbox` over them. `chain` names the chain so
    that no other has the name. For threads. Raises OutboxUnusable.
    """

    mine: str = "chain = :chain AND account = :account"

    def __init__(self, ledger: Ledger, account: Address, chain: str) -> None:
        self._ledger = ledger
        self._own: dict[str, object] = {"chain": chain, "account": bytes(account)}
        digest = keccak(b"outbox" + account + chain.encode())
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._local = threading.local()

    def rows(self, query: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        with self._translated(), self._connection() as connection:
            found = connection.execute(text(query), {**values, **self._own})
            return [tuple(row) for row in found]

    def insert(self, table: str, values: Mapping[str, object]) -> None:
        with self._translated(), self._connection() as connection:
            connection.execute(insert(_TABLES[table]).values(**values, **self._own))

    def run(self, statement: str, values: Mapping[str, object]) -> None:
        with self._translated(), self._connection() as connection:
            connection.execute(text(statement), {**values, **self._own})

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._translated(), self._ledger.write() as connection:
            if not self._ledger.is_sqlite:  # SQLite's writers are alone anyway
                connection.execute(text(f"SET LOCAL lock_timeout = {WAIT}"))
                held = text("SELECT pg_advisory_xact_lock(:key)")
                connection.execute(held, {"key": self._key})
            self._local.connection = connection
            try:
                yield
            finally:
                self._local.connection = None

    def close(self) -> None:
        """The ledger is closed by whoever opened it."""

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """The transaction that this thread is in, or a look from outside of one."""
        held: Connection | None = getattr(self._local, "connection", None)
        if held is not None:
            yield held
        else:
            with self._ledger.read() as connection:
                yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except LedgerUnusable as error:
            raise OutboxUnusable(error.place, error.reason) from error
        except IntegrityError as error:  # of a row that another outbox of this account wrote
            raise OutboxUnusable(self._ledger.place, str(error.orig).strip()) from error
