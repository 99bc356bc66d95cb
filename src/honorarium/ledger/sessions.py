"""Sessions as the desk knows them: offered, open, ending, over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, RowMapping, bindparam, func, insert, select, update

from honorarium.errors import InputError
from honorarium.ids import ZERO_HASH, SessionId
from honorarium.ledger.schema import readings, records, sessions
from honorarium.protocol.documents import write_quote
from honorarium.protocol.signed import Quote
from honorarium.protocol.typed_data import Domain

QUOTED: Final = "quoted"
OPEN: Final = "open"
CLOSING: Final = "closing"
CLOSED: Final = "closed"
REVOKED: Final = "revoked"

ERASED: Final = ""
"""The document of a session whose client or payer was forgotten."""

_POSITIONS: Final = 0x686F6E70


class SessionNotKnown(InputError):
    """A session that this desk has never heard of."""

    def __init__(self, session_id: bytes) -> None:
        self.session_id = session_id
        super().__init__(
            f"this desk knows no session 0x{session_id.hex()}; ask it for a quote first, or hand "
            "in the quote when you tell of the opening"
        )


def add(connection: Connection, quote: Quote, domain: Domain, now: int) -> SessionId:
    """Keeps a quote, and an empty reading for its session. Again does nothing."""
    terms, session_id = quote.terms, quote.session_id(domain)
    if find(connection, session_id) is not None:
        return session_id
    if connection.dialect.name == "postgresql":
        # One after the other, so that a cursor never passes a position that is still to come.
        connection.execute(select(func.pg_advisory_xact_lock(_POSITIONS)))
        if find(connection, session_id) is not None:
            return session_id
    position = connection.execute(select(func.coalesce(func.max(sessions.c.position), 0)))
    connection.execute(
        insert(sessions).values(
            session_id=session_id,
            advisor=terms.advisor,
            client=terms.client,
            payer=terms.payer,
            token=terms.token,
            document=write_quote(quote, domain),
            status=QUOTED,
            deposit=0,
            earned=0,
            settled_units=0,
            open_before=terms.open_before,
            created_at=now,
            changed_at=now,
            position=position.scalar_one() + 1,
        )
    )
    connection.execute(
        insert(readings).values(
            session_id=session_id, seq=0, units=0, journal=ZERO_HASH, signature=None, taken_at=now
        )
    )
    return session_id


def find(connection: Connection, session_id: bytes) -> RowMapping | None:
    """The row of a session; None if it is not known."""
    found = connection.execute(select(sessions).where(sessions.c.session_id == session_id))
    return found.mappings().one_or_none()


def get(connection: Connection, session_id: bytes) -> RowMapping:
    """The row of a session. Raises SessionNotKnown."""
    found = find(connection, session_id)
    if found is None:
        raise SessionNotKnown(session_id)
    return found


def change(connection: Connection, session_id: bytes, now: int, **values: Any) -> None:
    """Sets columns of a session's row."""
    connection.execute(
        update(sessions).where(sessions.c.session_id == session_id).values(changed_at=now, **values)
    )


# ---------------------------------------------------------------------- what the books know


def reading_rows(connection: Connection, session_ids: Iterable[bytes]) -> list[RowMapping]:
    """Sessions with their readings, for a book each."""
    query = (
        select(
            sessions.c.session_id,
            sessions.c.document,
            sessions.c.status,
            sessions.c.opened_at,
            sessions.c.closing_at,
            sessions.c.closed_at,
            sessions.c.deposit,
            readings.c.seq,
            readings.c.units,
            readings.c.journal,
            readings.c.signature,
        )
        .join(readings, readings.c.session_id == sessions.c.session_id)
        .where(sessions.c.session_id.in_(list(session_ids)), sessions.c.document != ERASED)
    )
    return list(connection.execute(query).mappings())


def seqs(connection: Connection, session_ids: Iterable[bytes]) -> dict[bytes, int]:
    """How often each of these was changed."""
    query = select(readings.c.session_id, readings.c.seq).where(
        readings.c.session_id.in_(list(session_ids))
    )
    return {row.session_id: row.seq for row in connection.execute(query)}


def record_rows(connection: Connection, session_ids: Iterable[bytes]) -> Mapping[bytes, list[Any]]:
    """The records of these sessions, in the order in which they happened."""
    found: dict[bytes, list[Any]] = {}
    query = (
        select(records.c.session_id, records.c.record)
        .where(records.c.session_id.in_(list(session_ids)))
        .order_by(records.c.session_id, records.c.seq)
    )
    for session_id, several in connection.execute(query):
        found.setdefault(session_id, []).extend(several)
    return found


def tell(connection: Connection, session_id: bytes, *told: Mapping[str, Any]) -> None:
    """Adds records to what the books of all replicas know of a session.

    A book that was read before finds out when it is written next (see `save`).
    """
    raised = connection.execute(
        update(readings)
        .where(readings.c.session_id == session_id)
        .values(seq=readings.c.seq + 1)
        .returning(readings.c.seq)
    ).scalar_one()
    connection.execute(insert(records).values(session_id=session_id, seq=raised, record=list(told)))


@dataclass(frozen=True, slots=True)
class Change:
    """What a book learnt since `known`: its reading, and the records to add."""

    session_id: bytes
    known: int
    seq: int
    units: int
    journal: bytes
    signature: bytes | None
    taken_at: int
    records: list[Any]

    def row(self) -> dict[str, Any]:
        """As the parameters of the statement."""
        return {
            "of": self.session_id,
            "known": self.known,
            "seq": self.seq,
            "units": self.units,
            "journal": self.journal,
            "signature": self.signature,
            "taken_at": self.taken_at,
        }


_SAVE: Final = (
    update(readings)
    .where(readings.c.session_id == bindparam("of"), readings.c.seq == bindparam("known"))
    .values(
        seq=bindparam("seq"),
        units=bindparam("units"),
        journal=bindparam("journal"),
        signature=bindparam("signature"),
        taken_at=bindparam("taken_at"),
    )
)


@lru_cache(maxsize=8)
def _statement(dialect: Dialect) -> tuple[str, list[str] | None]:
    """`_SAVE` as the driver takes it, and the order of its parameters; None: by name."""
    compiled = _SAVE.compile(dialect=dialect)
    return str(compiled), compiled.positiontup


def _save(connection: Connection, rows: list[dict[str, Any]]) -> int:
    """How many rows were written. Straight to the driver: it happens for every voucher."""
    statement, order = _statement(connection.dialect)
    given: Any = rows if order is None else [tuple(row[name] for name in order) for row in rows]
    return connection.exec_driver_sql(statement, given).rowcount


def save(connection: Connection, changes: Sequence[Change]) -> set[bytes]:
    """Writes what books have learnt. Returns the sessions that somebody else has changed since they
    were read: of those nothing is written.
    """
    if not changes:
        return set()
    rows = [change.row() for change in changes]
    stale: set[bytes] = set()
    with connection.begin_nested() as attempt:
        written = _save(connection, rows)
        if written != len(rows):
            attempt.rollback()
    if written != len(rows):
        stale = {row["of"] for row in rows if _save(connection, [row]) != 1}
    fresh = [
        {"session_id": change.session_id, "seq": change.seq, "record": change.records}
        for change in changes
        if change.records and change.session_id not in stale
    ]
    if fresh:
        connection.execute(insert(records), fresh)
    return stale
