"""How much gas the relayer has spent for whom, day by day."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from honorarium.ids import Address
from honorarium.ledger.schema import metadata

KEPT_DAYS: Final = 30

spending: Final = Table(
    "spending",
    metadata,
    Column("day", BigInteger, primary_key=True, comment="days since 1970 (UTC)"),
    Column("account", LargeBinary(20), primary_key=True),
    Column("gwei", BigInteger, nullable=False),
    comment="What the relayer's transactions for an account may have cost.",
)


def reserve(connection: Connection, account: Address, day: int, gwei: int, budget: int) -> bool:
    """Whether `gwei` more are within the account's budget of the day; then they are counted."""
    where = (spending.c.day == day, spending.c.account == account)
    try:
        with connection.begin_nested():
            connection.execute(insert(spending).values(day=day, account=account, gwei=0))
        connection.execute(delete(spending).where(spending.c.day < day - KEPT_DAYS))
    except IntegrityError:
        pass
    counted = connection.execute(
        update(spending)
        .where(*where, spending.c.gwei + gwei <= budget)
        .values(gwei=spending.c.gwei + gwei)
    )
    return counted.rowcount == 1


def give_back(connection: Connection, account: Address, day: int, gwei: int) -> None:
    """So much of what was reserved was not needed."""
    connection.execute(
        update(spending)
        .where(spending.c.day == day, spending.c.account == account)
        .values(gwei=spending.c.gwei - gwei)
    )


def of(connection: Connection, account: Address, day: int) -> int:
    """What was spent for an account on a day, in gwei."""
    query = select(spending.c.gwei).where(spending.c.day == day, spending.c.account == account)
    return connection.execute(query).scalar_one_or_none() or 0
