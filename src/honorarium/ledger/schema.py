"""The tables of the ledger.

Amounts are base units as decimal text, because 80 bits fit no integer of a database. Addresses,
hashes and ids are bytes; moments are unix seconds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

from honorarium.units import BaseUnits


class BaseUnitsText(TypeDecorator[int]):
    """Base units of a token, exact however many."""

    impl = String(80)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> BaseUnits | None:
        return None if value is None else BaseUnits(int(value))


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# BigInteger primary keys do not count by themselves on SQLite.
Counter = BigInteger().with_variant(Integer, "sqlite")


def of_session(*, primary_key: bool = False) -> Column[bytes]:
    """The session of a row, which is forgotten with it."""
    session = ForeignKey("sessions.session_id", ondelete="CASCADE")
    return Column("session_id", LargeBinary(32), session, primary_key=primary_key, nullable=False)


facts = Table(
    "facts",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    comment="What the whole ledger is of: the chain, its first block, the contracts.",
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", LargeBinary(32), primary_key=True),
    Column("advisor", LargeBinary(20), nullable=False),
    Column("client", LargeBinary(20), nullable=False),
    Column("payer", LargeBinary(20), nullable=False),
    Column("token", LargeBinary(20), nullable=False),
    Column("document", Text, nullable=False, comment="the quote, as people send it to each other"),
    Column("status", String(8), nullable=False, comment="quoted, open, closing, closed, revoked"),
    Column("deposit", BaseUnitsText, nullable=False),
    Column("earned", BaseUnitsText, nullable=False, comment="on chain, the platform's share too"),
    Column("settled_units", BigInteger, nullable=False, comment="on chain"),
    Column("opened_at", BigInteger),
    Column("closing_at", BigInteger),
    Column("closed_at", BigInteger),
    Column("opened_block", BigInteger),
    Column("open_before", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("wished_at", BigInteger, comment="the advisor asked to settle"),
    Column("position", Counter, unique=True, nullable=False, comment="the order of cursors"),
    Index("ix_sessions_advisor", "advisor", "position"),
    Index("ix_sessions_client", "client", "position"),
    Index("ix_sessions_payer", "payer", "position"),
    Index("ix_sessions_status", "status", "changed_at"),
)

readings = Table(
    "readings",
    metadata,
    of_session(primary_key=True),
    # Every change of what a book knows raises it; whoever wrote last is who had read it last.
    Column("seq", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("journal", LargeBinary(32)),
    Column("signature", LargeBinary(65)),
    Column("taken_at", BigInteger, nullable=False),
    comment="The best voucher of each session.",
)

records = Table(
    "records",
    metadata,
    of_session(primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("record", JSON, nullable=False),
    comment="What else the books know: entries, deposits, the advisor's own count, evidence.",
)
