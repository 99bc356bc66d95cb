"""Advisors who enrolled, and their tariffs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from honorarium.ids import Address
from honorarium.ledger.schema import Counter, metadata

_POSITIONS: Final = 0x686F6E71

advisors: Final = Table(
    "advisors",
    metadata,
    Column("address", LargeBinary(20), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("available", Boolean, nullable=False),
    Column("message", Text, nullable=False, comment="what they signed to enrol (EIP-4361)"),
    Column("signature", LargeBinary, nullable=False),
    Column("acknowledger", LargeBinary(20), nullable=False, comment="who that says may answer"),
    Column("enrolled_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("position", Counter, unique=True, nullable=False, comment="the order of cursors"),
)

tariffs: Final = Table(
    "tariffs",
    metadata,
    Column(
        "advisor",
        LargeBinary(20),
        ForeignKey("advisors.address", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("name", String(40), primary_key=True),
    Column("document", Text, nullable=False, comment="JSON, as the advisor gave it"),
    Column("changed_at", BigInteger, nullable=False),
)


def find(connection: Connection, address: Address) -> RowMapping | None:
    """The row of an advisor; None if they never enrolled here."""
    query = select(advisors).where(advisors.c.address == address)
    return connection.execute(query).mappings().one_or_none()


def put(connection: Connection, address: Address, now: int, values: Mapping[str, Any]) -> None:
    """Enrols an advisor, or changes what is known of them."""
    if connection.dialect.name == "postgresql":
        # One after the other, so that a cursor never passes a position that is still to come.
        connection.execute(select(func.pg_advisory_xact_lock(_POSITIONS)))
    changed = connection.execute(
        update(advisors).where(advisors.c.address == address).values(changed_at=now, **values)
    )
    if changed.rowcount:
        return
    last = connection.execute(select(func.coalesce(func.max(advisors.c.position), 0))).scalar_one()
    connection.execute(
        insert(advisors).values(
            address=address, enrolled_at=now, changed_at=now, position=last + 1, **values
        )
    )


def page(
    connection: Connection, after: int, limit: int, available: bool | None
) -> Sequence[RowMapping]:
    """Advisors behind a position, in the order in which they enrolled."""
    query = select(advisors).where(advisors.c.position > after)
    if available is not None:
        query = query.where(advisors.c.available == available)
    return connection.execute(query.order_by(advisors.c.position).limit(limit)).mappings().all()


def tariff_rows(connection: Connection, addresses: Sequence[bytes]) -> Sequence[RowMapping]:
    """The tariffs of these advisors, by name."""
    query = select(tariffs).where(tariffs.c.advisor.in_(addresses)).order_by(tariffs.c.name)
    return connection.execute(query).mappings().all()


def put_tariff(connection: Connection, advisor: Address, name: str, text: str, now: int) -> None:
    """Sets a tariff of an advisor who enrolled. Sessions and quotes keep what they agreed on."""
    drop_tariff(connection, advisor, name)
    with suppress(IntegrityError), connection.begin_nested():  # somebody else set it just now
        connection.execute(
            insert(tariffs).values(advisor=advisor, name=name, document=text, changed_at=now)
        )


def drop_tariff(connection: Connection, advisor: Address, name: str) -> bool:
    """Whether there was such a tariff."""
    where = (tariffs.c.advisor == advisor, tariffs.c.name == name)
    return connection.execute(delete(tariffs).where(*where)).rowcount == 1
