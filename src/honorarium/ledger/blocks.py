"""What the desk has seen of the chain: the latest blocks, and which sessions they touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    Table,
    delete,
    select,
    update,
)

from honorarium.ledger.insert_new import insert_new
from honorarium.ledger.schema import Counter, facts, metadata, sessions

FINAL_BLOCK = "final_block"

blocks = Table(
    "blocks",
    metadata,
    Column("number", Counter, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    comment="The latest blocks, to tell when the chain has changed its mind.",
)

touched = Table(
    "touched",
    metadata,
    Column("number", BigInteger, primary_key=True),
    Column("session_id", LargeBinary(32), primary_key=True),
    Index("ix_touched_session_id", "session_id"),
    comment="The sessions of which the latest blocks say something.",
)


def known(connection: Connection) -> dict[int, bytes]:
    """The hashes of the latest blocks, by number."""
    return {row.number: row.hash for row in connection.execute(select(blocks))}


def final(connection: Connection) -> int | None:
    """Up to here everything was taken for final; None: nothing was read yet."""
    found = connection.execute(select(facts.c.value).where(facts.c.name == FINAL_BLOCK)).scalar()
    return None if found is None else int(found)


def touched_behind(connection: Connection, fork: int) -> set[bytes]:
    """The sessions that the blocks behind `fork` touched."""
    query = select(touched.c.session_id).where(touched.c.number > fork).distinct()
    return set(connection.execute(query).scalars())


def forget_behind(connection: Connection, fork: int) -> None:
    """The blocks behind `fork` are undone."""
    connection.execute(delete(touched).where(touched.c.number > fork))
    connection.execute(delete(blocks).where(blocks.c.number > fork))


def seen(
    connection: Connection,
    hashes: Mapping[int, bytes],
    touches: Iterable[tuple[int, bytes]],
    final_block: int,
    oldest: int,
) -> None:
    """Remembers blocks and what they touched, and forgets those before `oldest`."""
    if rows := [{"number": number, "hash": block_hash} for number, block_hash in hashes.items()]:
        connection.execute(insert_new(connection, blocks), rows)
    if pairs := [{"number": number, "session_id": one} for number, one in touches]:
        connection.execute(insert_new(connection, touched), pairs)
    connection.execute(delete(blocks).where(blocks.c.number < oldest))
    connection.execute(delete(touched).where(touched.c.number < oldest))
    connection.execute(insert_new(connection, facts), {"name": FINAL_BLOCK, "value": ""})
    named = facts.c.name == FINAL_BLOCK
    connection.execute(update(facts).where(named).values(value=str(final_block)))


def of_ours(connection: Connection, session_ids: Collection[bytes]) -> set[bytes]:
    """Those among these sessions that the desk knows."""
    found: set[bytes] = set()
    wanted = list(session_ids)
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        query = select(sessions.c.session_id).where(sessions.c.session_id.in_(part))
        found.update(connection.execute(query).scalars())
    return found
