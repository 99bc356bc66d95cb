"""What an advisor's agent is asked to sign, passed on through the ledger: the agent may be
connected to another replica than the one that was asked for the quote.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from honorarium.ids import Address
from honorarium.ledger.schema import metadata

asks: Final = Table(
    "asks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("advisor", LargeBinary(20), nullable=False),
    Column("terms", Text, nullable=False, comment="JSON, as in a quote"),
    Column("expires_at", BigInteger, nullable=False),
    Column("taken_by", String(40), comment="the connection that passes it on"),
    Column("signature", LargeBinary),
    Column("declined", String(200)),
    Index("ix_asks_advisor", "advisor", "taken_by"),
    Index("ix_asks_expires_at", "expires_at"),
)

agents: Final = Table(
    "agents",
    metadata,
    Column("connection", String(40), primary_key=True),
    Column("advisor", LargeBinary(20), nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("ix_agents_advisor", "advisor", "seen_at"),
    comment="The agents that are connected, to whichever replica.",
)


def seen(connection: Connection, name: str, advisor: Address, now: int, since: int) -> None:
    """An agent is connected now. Those that were not seen `since` then are forgotten."""
    connection.execute(delete(agents).where(agents.c.seen_at < since))
    known = connection.execute(
        update(agents).where(agents.c.connection == name).values(seen_at=now)
    )
    if not known.rowcount:
        connection.execute(insert(agents).values(connection=name, advisor=advisor, seen_at=now))


def gone(connection: Connection, name: str) -> None:
    """An agent hung up; what it was asked and did not answer waits for another one."""
    connection.execute(delete(agents).where(agents.c.connection == name))
    connection.execute(
        update(asks)
        .where(asks.c.taken_by == name, asks.c.signature.is_(None), asks.c.declined.is_(None))
        .values(taken_by=None)
    )


def present(connection: Connection, advisors: Collection[bytes], since: int) -> set[bytes]:
    """Which of these advisors have an agent that was seen `since` then."""
    query = select(agents.c.advisor).where(
        agents.c.advisor.in_(list(advisors)), agents.c.seen_at >= since
    )
    return set(connection.execute(query).scalars())


def waiting(connection: Connection, advisor: Address, now: int) -> int:
    """How many asks wait for this advisor's agent."""
    query = select(func.count()).where(
        asks.c.advisor == advisor,
        asks.c.expires_at > now,
        asks.c.signature.is_(None),
        asks.c.declined.is_(None),
    )
    return connection.execute(query).scalar_one()


def ask(
    connection: Connection, name: str, advisor: Address, terms: str, now: int, until: int
) -> None:
    """Asks; whoever holds the agent's connection takes it."""
    connection.execute(delete(asks).where(asks.c.expires_at <= now))
    connection.execute(insert(asks).values(id=name, advisor=advisor, terms=terms, expires_at=until))


def take(connection: Connection, name: str, advisor: Address, now: int) -> Sequence[Row[str, str]]:
    """What waits for this advisor, from now on with this connection: ids and terms."""
    return connection.execute(
        update(asks)
        .where(asks.c.advisor == advisor, asks.c.taken_by.is_(None), asks.c.expires_at > now)
        .values(taken_by=name)
        .returning(asks.c.id, asks.c.terms)
    ).all()


def waited_for(connection: Connection, advisors: Collection[bytes], now: int) -> Sequence[bytes]:
    """Of these advisors those for whom something waits that nobody has taken."""
    query = select(asks.c.advisor).where(
        asks.c.advisor.in_(list(advisors)), asks.c.taken_by.is_(None), asks.c.expires_at > now
    )
    return connection.execute(query.distinct()).scalars().all()


def answer(
    connection: Connection, name: str, taker: str, signature: bytes | None, declined: str | None
) -> bool:
    """What the agent says to an ask that this connection took. Whether it was waited for."""
    answered = connection.execute(
        update(asks)
        .where(asks.c.id == name, asks.c.taken_by == taker, asks.c.signature.is_(None))
        .values(signature=signature, declined=declined)
    )
    return answered.rowcount == 1


def answer_of(connection: Connection, name: str) -> tuple[bytes | None, str | None]:
    """The signature, or why the agent declined; both None while it is waited for."""
    row = connection.execute(
        select(asks.c.signature, asks.c.declined).where(asks.c.id == name)
    ).one_or_none()
    return (row.signature, row.declined) if row else (None, None)


def drop(connection: Connection, name: str) -> None:
    """Nobody waits for it any more."""
    connection.execute(delete(asks).where(asks.c.id == name))
