"""What is settled by which transaction: batches, their rows, and the claims that keep them apart.

A session is claimed by one batch at most. The batch's name is also the idempotency key under which
its transaction lies in the outbox, so whoever goes on with it sends the very same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    RowMapping,
    Select,
    String,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from honorarium.ledger.insert_new import insert_new
from honorarium.ledger.schema import BaseUnitsText, metadata, of_session, readings, sessions
from honorarium.ledger.sessions import CLOSING, OPEN

BUSY: Final = "busy"
DONE: Final = "done"
FAILED: Final = "failed"

CLAIMED: Final = "claimed"
SETTLED: Final = "settled"
SKIPPED: Final = "skipped"
UNDONE: Final = "undone"

replicas = Table(
    "replicas",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    comment="The processes of the desk. Each holds a lock of its name while it lives.",
)

batches = Table(
    "batches",
    metadata,
    Column("batch", String(40), primary_key=True),
    Column("replica", String(40), nullable=False, comment="who works on it"),
    Column("state", String(6), nullable=False, comment="busy, done, failed"),
    Column("transaction_hash", LargeBinary(32)),
    Column("block", BigInteger),
    Column("gas_used", BigInteger),
    Column("gas_price", BaseUnitsText, comment="wei per gas"),
    Column("problem", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_batches_state", "state", "replica"),
    comment="Settlements: one transaction each.",
)

settlements = Table(
    "settlements",
    metadata,
    Column("batch", String(40), ForeignKey("batches.batch"), primary_key=True),
    Column("row", Integer, primary_key=True),
    of_session(),
    Column("units", BigInteger, nullable=False),
    Column("journal", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(65), nullable=False),
    Column("before", BaseUnitsText, nullable=False, comment="what was earned before"),
    Column("reason", String(10), nullable=False, comment="why it was settled just then"),
    Column("outcome", String(8), nullable=False, comment="claimed, settled, skipped, undone"),
    Column("brought", BaseUnitsText, comment="base units, the platform's share too"),
    Column("refusal", Text, comment="why it was skipped"),
    Column("done_at", BigInteger),
    Index("ix_settlements_session_id", "session_id", "done_at"),
    comment="One row of a batch each.",
)

claims = Table(
    "claims",
    metadata,
    of_session(primary_key=True),
    Column("batch", String(40), ForeignKey("batches.batch"), nullable=False),
    Index("ix_claims_batch", "batch"),
    comment="Sessions that a batch is settling just now.",
)

_wished = sessions.c.wished_at.is_not(None)
Index("ix_sessions_wished_at", sessions.c.wished_at, sqlite_where=_wished, postgresql_where=_wished)


@dataclass(frozen=True, slots=True)
class Claim:
    """A reading that a batch is to settle."""

    session_id: bytes
    units: int
    journal: bytes
    signature: bytes
    before: int
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row: `units` and base units `earned` by now, or the `refusal`, in words."""

    session_id: bytes
    units: int = 0
    earned: int = 0
    refusal: str | None = None


# ---------------------------------------------------------------------- what may be settled


def _worth_a_look(now: int, rest: int) -> list[Any]:
    """Open sessions with units that are not on chain, which no batch has, and which were not
    skipped with the same units less than `rest` seconds ago.
    """
    skipped = exists().where(
        settlements.c.session_id == sessions.c.session_id,
        settlements.c.outcome == SKIPPED,
        settlements.c.units == readings.c.units,
        settlements.c.done_at > now - rest,
    )
    return [
        sessions.c.status.in_((OPEN, CLOSING)),
        readings.c.units > sessions.c.settled_units,
        ~exists().where(claims.c.session_id == sessions.c.session_id),
        ~skipped,
    ]


_LOOK: Final = (
    sessions.c.session_id,
    sessions.c.token,
    sessions.c.status,
    sessions.c.deposit,
    sessions.c.earned,
    sessions.c.closing_at,
    sessions.c.wished_at,
    readings.c.units,
    readings.c.journal,
    readings.c.signature,
    readings.c.taken_at,
)


def _look(now: int, rest: int) -> Select[Any]:
    joined = select(*_LOOK).join(readings, readings.c.session_id == sessions.c.session_id)
    return joined.where(*_worth_a_look(now, rest))


def urgent(connection: Connection, now: int, rest: int, limit: int) -> Sequence[RowMapping]:
    """Sessions that somebody leaves, or whose advisor wants their money now."""
    query = _look(now, rest).where(or_(sessions.c.status == CLOSING, _wished))
    return connection.execute(query.order_by(sessions.c.closing_at).limit(limit)).mappings().all()


def candidates(
    connection: Connection, now: int, rest: int, after: bytes, limit: int
) -> Sequence[RowMapping]:
    """Sessions that may be settled, in the order of their ids, behind `after`."""
    query = _look(now, rest).where(sessions.c.session_id > after)
    return connection.execute(query.order_by(sessions.c.session_id).limit(limit)).mappings().all()


def documents(connection: Connection, session_ids: Sequence[bytes]) -> Mapping[bytes, str]:
    """The quotes of these sessions."""
    query = select(sessions.c.session_id, sessions.c.document)
    found = connection.execute(query.where(sessions.c.session_id.in_(session_ids)))
    return {row.session_id: row.document for row in found}


# ---------------------------------------------------------------------- batches


def claim(
    connection: Connection, batch: str, replica: str, wanted: Iterable[Claim], now: int
) -> list[Claim]:
    """Those of the readings that nobody else has claimed or settled: the rows of a new batch. With
    none of them there is no batch.
    """
    by_id = {each.session_id: each for each in wanted}
    query = _look(now, 0).with_only_columns(sessions.c.session_id)
    free = connection.execute(query.where(sessions.c.session_id.in_(by_id))).scalars()
    asked = [{"session_id": one, "batch": batch} for one in sorted(free)]
    if not asked:
        return []
    connection.execute(
        insert(batches).values(
            batch=batch, replica=replica, state=BUSY, created_at=now, changed_at=now
        )
    )
    statement = insert_new(connection, claims, claims.c.session_id).values(asked)
    won = [by_id[one] for one in sorted(connection.execute(statement).scalars())]
    if not won:
        connection.execute(delete(batches).where(batches.c.batch == batch))
        return []
    rows = [
        {
            "batch": batch,
            "row": row,
            "session_id": each.session_id,
            "units": each.units,
            "journal": each.journal,
            "signature": each.signature,
            "before": each.before,
            "reason": each.reason,
            "outcome": CLAIMED,
        }
        for row, each in enumerate(won)
    ]
    connection.execute(insert(settlements), rows)
    return won


def rows_of(connection: Connection, batch: str) -> Sequence[RowMapping]:
    """The rows that a batch still has to settle, with the quotes of their sessions, in order."""
    query = (
        select(
            settlements.c.session_id,
            settlements.c.units,
            settlements.c.journal,
            settlements.c.signature,
            sessions.c.document,
        )
        .join(sessions, sessions.c.session_id == settlements.c.session_id)
        .where(settlements.c.batch == batch, settlements.c.outcome == CLAIMED)
    )
    return connection.execute(query.order_by(settlements.c.row)).mappings().all()


def works(connection: Connection, batch: str, replica: str) -> bool:
    """A replica goes on with a batch. Whether there is anything left to do."""
    mine = and_(batches.c.batch == batch, batches.c.state == BUSY)
    return connection.execute(update(batches).where(mine).values(replica=replica)).rowcount == 1


def found_before(connection: Connection, batch: str, earned: Mapping[bytes, int]) -> None:
    """What the chain says to be earned already, just before a batch is sent."""
    for session_id, before in earned.items():
        mine = and_(settlements.c.batch == batch, settlements.c.session_id == session_id)
        connection.execute(update(settlements).where(mine).values(before=before))


def set_outcomes(connection: Connection, batch: str, outcomes: Iterable[Outcome], now: int) -> None:
    """What became of rows of a batch; their sessions can be claimed again."""
    # In one order everywhere, or two transactions would wait for each other.
    for each in sorted(outcomes, key=lambda one: one.session_id):
        mine = and_(settlements.c.batch == batch, settlements.c.session_id == each.session_id)
        values: dict[str, Any] = {"outcome": SKIPPED, "refusal": each.refusal}
        if each.refusal is None:
            before = connection.execute(select(settlements.c.before).where(mine)).scalar_one()
            brought = max(0, each.earned - before)
            values = {"outcome": SETTLED, "refusal": None, "brought": brought}
        connection.execute(update(settlements).where(mine).values(done_at=now, **values))
        one = sessions.c.session_id == each.session_id
        connection.execute(update(sessions).where(one).values(wished_at=None))
        # The watcher will see the same; until then nobody shall think there is more to settle.
        connection.execute(
            update(sessions)
            .where(one, sessions.c.settled_units < each.units)
            .values(settled_units=each.units, earned=each.earned, changed_at=now)
        )
        claimed = and_(claims.c.session_id == each.session_id, claims.c.batch == batch)
        connection.execute(delete(claims).where(claimed))


def finish(
    connection: Connection,
    batch: str,
    outcomes: Iterable[Outcome],
    now: int,
    *,
    state: str = DONE,
    **values: Any,
) -> bool:
    """A batch is at its end; all its sessions can be claimed again. Whether it was not before.

    `values`: transaction_hash, block, gas_used, gas_price, problem.
    """
    busy = and_(batches.c.batch == batch, batches.c.state == BUSY)
    changed = update(batches).where(busy).values(state=state, changed_at=now, **values)
    if connection.execute(changed).rowcount == 0:
        return False
    set_outcomes(connection, batch, outcomes, now)
    connection.execute(delete(claims).where(claims.c.batch == batch))
    return True


def busy(connection: Connection, replica: str) -> int:
    """So many batches a replica works on."""
    mine = and_(batches.c.replica == replica, batches.c.state == BUSY)
    return connection.execute(select(func.count()).select_from(batches).where(mine)).scalar_one()


def wish(connection: Connection, session_id: bytes, now: int) -> None:
    """The advisor wants the session to be settled now."""
    one = sessions.c.session_id == session_id
    connection.execute(update(sessions).where(one).values(wished_at=now))


def undone(connection: Connection, session_ids: Iterable[bytes], fork: int) -> None:
    """What was settled behind block `fork` is not on the chain any more."""
    behind = select(batches.c.batch).where(batches.c.block > fork)
    connection.execute(
        update(settlements)
        .where(
            settlements.c.session_id.in_(list(session_ids)),
            settlements.c.batch.in_(behind),
            settlements.c.outcome == SETTLED,
        )
        .values(outcome=UNDONE)
    )


# ---------------------------------------------------------------------- replicas


def join(connection: Connection, name: str, now: int) -> None:
    """A replica of this name lives. Again does nothing."""
    connection.execute(insert_new(connection, replicas), {"name": name, "started_at": now})


def others(connection: Connection, name: str) -> Sequence[str]:
    """The names of all other replicas that nobody has buried."""
    query = select(replicas.c.name).where(replicas.c.name != name)
    return connection.execute(query.order_by(replicas.c.started_at)).scalars().all()


def left_by(connection: Connection, name: str) -> Sequence[str]:
    """The batches that a replica has not brought to their end."""
    mine = and_(batches.c.replica == name, batches.c.state == BUSY)
    return connection.execute(select(batches.c.batch).where(mine)).scalars().all()


def bury(connection: Connection, name: str) -> None:
    """A replica is dead, and others have what it was doing."""
    connection.execute(delete(replicas).where(replicas.c.name == name))
