"""What the chain says of sessions, written into the ledger's rows and told to the books."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from honorarium.chain.calls import Session, Status
from honorarium.chain.logs import LogRecord
from honorarium.ids import SessionId
from honorarium.ledger import sessions
from honorarium.ledger.events import record_event
from honorarium.ledger.schema import sessions as table
from honorarium.ledger.sessions import CLOSED, CLOSING, OPEN, QUOTED, REVOKED
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Event,
    Rated,
    Revoked,
    RowSkipped,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
)

_STATUS: Final = {
    Status.NONE: QUOTED,
    Status.OPEN: OPEN,
    Status.CLOSING: CLOSING,
    Status.CLOSED: CLOSED,
    Status.REVOKED: REVOKED,
}
_WHEN_FINAL: Final[Mapping[type[Event], str]] = {
    SessionOpened: "session.opened",
    ToppedUp: "session.topped_up",
    Settled: "session.settled",
    SessionClosed: "session.closed",
    Tipped: "session.tipped",
    Rated: "session.rated",
    Answered: "session.answered",
    Revoked: "session.revoked",
}
_AT_ONCE: Final[Mapping[type[Event], str]] = {CloseRequested: "session.closing"}
_AMOUNTS: Final = ("deposit", "earned", "amount")


@dataclass(frozen=True, slots=True)
class Seen:
    """A session as the escrow holds it `now`, at the latest block, and as it is for certain, at the
    last final one. `units`: at least so many are settled; None: nothing new about them.
    """

    session_id: SessionId
    now: Session
    firm: Session
    units: int | None


@dataclass(frozen=True, slots=True)
class Changed:
    """A session whose row is different now. `left`: somebody has just asked to close it."""

    session_id: bytes
    left: bool


def session_of(event: Event) -> bytes | None:
    """The session whose state an event changes."""
    return None if isinstance(event, RowSkipped) else getattr(event, "session_id", None)


def write_sessions(
    connection: Connection,
    seen: Iterable[Seen],
    lost: Collection[bytes],
    fresh: Iterable[LogRecord],
    firm: Sequence[LogRecord],
    now: int,
) -> list[Changed]:
    """Brings rows and books up to what was seen, and tells whoever wants to be told.

    `lost` sessions stood in blocks that are undone: what is not seen any more is taken back.
    `fresh` is what the log says anew, `firm` what is final now.
    """
    wanted = {each.session_id: each for each in seen}
    opened = {
        each.event.session_id: each.block for each in firm if isinstance(each.event, SessionOpened)
    }
    changed = []
    for row in _rows(connection, list(wanted)):
        one = row["session_id"]
        values = _values(row, wanted[one], undone=one in lost)
        if one in opened:
            values["opened_block"] = opened[one]
        different = {name: value for name, value in values.items() if row[name] != value}
        if not different:
            continue
        sessions.change(connection, one, now, **different)
        if different.keys() & {"status", "deposit", "opened_at", "closing_at", "closed_at"}:
            sessions.tell(connection, one, *_news(different, values))
        if one in lost:
            taken_back = {name: _plain(name, row[name]) for name in different}
            record_event(connection, "session.undone", one, {"was": taken_back})
        changed.append(Changed(one, different.get("status") == CLOSING))
    _announce(connection, fresh, _AT_ONCE)
    _announce(connection, firm, _WHEN_FINAL)
    return changed


def _rows(connection: Connection, session_ids: Sequence[bytes]) -> Iterable[RowMapping]:
    session_ids = sorted(session_ids)  # in one order everywhere, or two would wait for each other
    for start in range(0, len(session_ids), 500):
        part = session_ids[start : start + 500]
        query = select(table).where(table.c.session_id.in_(part)).order_by(table.c.session_id)
        yield from connection.execute(query).mappings().all()


def _values(row: RowMapping, seen: Seen, *, undone: bool) -> dict[str, Any]:
    """What the row has to say."""
    now, firm = seen.now, seen.firm
    believed = firm.status not in (Status.NONE, Status.REVOKED)
    settled = seen.units or 0
    return {
        # An opening is believed when it is final; what happened to the session since then, at once.
        "status": _STATUS[now.status if believed else firm.status],
        "deposit": firm.deposit,
        "earned": now.earned if believed else 0,
        "settled_units": settled if undone else max(row["settled_units"], settled),
        "opened_at": firm.opened_at or None,
        "closing_at": _closing_at(row, now) if believed else None,
        "closed_at": (now.closed_at or None) if believed else None,
    }


def _closing_at(row: RowMapping, now: Session) -> int | None:
    """A closed session does not tell when somebody had asked to close it."""
    known: int | None = row["closing_at"]
    return known if now.status is Status.CLOSED else now.closing_at or None


def _news(different: Mapping[str, Any], values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a book has to learn beside the row, which it reads anew."""
    if not different.keys() & {"status", "closing_at", "closed_at"}:
        return []
    closed = values["status"] in (CLOSED, REVOKED)
    ended = values["closed_at"] if closed else values["closing_at"]
    return [{"ended": ended, "closed": closed}]


def _announce(
    connection: Connection, records: Iterable[LogRecord], kinds: Mapping[type[Event], str]
) -> None:
    for each in records:
        if (kind := kinds.get(type(each.event))) is not None:
            told = {"block": each.block, "transaction": "0x" + each.tx_hash.hex()}
            record_event(connection, kind, session_of(each.event), told | _body(each.event))


def _body(event: Event) -> dict[str, Any]:
    """The event's own values, as JSON has them."""
    readers: Callable[[Any], Iterable[Any]] = fields
    names = [each.name for each in readers(event)]
    left_out = ("session_id", "terms", "slot")
    body = {n: _plain(n, getattr(event, n)) for n in names if n not in left_out}
    if isinstance(event, SessionOpened):
        body["deposit"] = str(event.deposit)
    return body


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value) if name in _AMOUNTS else value
