"""Sessions as people ask for them: page by page, by party."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, or_, select

from honorarium.ids import Address
from honorarium.ledger.schema import readings, sessions
from honorarium.ledger.sessions import QUOTED


def page(
    connection: Connection,
    parties: dict[str, Address],
    status: str | None,
    before: int | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Sessions of these parties (advisor, client, payer), the newest first, below a position."""
    query = select(sessions).where(*(sessions.c[name] == who for name, who in parties.items()))
    if status is not None:
        query = query.where(sessions.c.status == status)
    if before is not None:
        query = query.where(sessions.c.position < before)
    query = query.order_by(sessions.c.position.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def quoted(
    connection: Connection, advisor: Address, client: Address, now: int, limit: int
) -> Sequence[RowMapping]:
    """Quotes for this client that nobody opened and that still hold, the newest first."""
    query = (
        select(sessions)
        .where(
            sessions.c.advisor == advisor,
            sessions.c.client == client,
            sessions.c.status == QUOTED,
            sessions.c.open_before > now,
        )
        .order_by(sessions.c.position.desc())
        .limit(limit)
    )
    return connection.execute(query).mappings().all()


def known(connection: Connection, account: Address) -> bool:
    """Whether the account is a party of any session or quote here."""
    for column in (sessions.c.client, sessions.c.payer, sessions.c.advisor):
        query = select(sessions.c.session_id).where(column == account).limit(1)
        if connection.execute(query).one_or_none() is not None:
            return True
    return False


def tokens_of(connection: Connection, account: Address) -> set[bytes]:
    """The tokens in which the account has sessions."""
    query = select(sessions.c.token).where(
        or_(
            sessions.c.client == account,
            sessions.c.payer == account,
            sessions.c.advisor == account,
        )
    )
    return set(connection.execute(query.distinct()).scalars())


def earning_rows(connection: Connection, advisor: Address) -> Sequence[RowMapping]:
    """What an advisor's sessions have earned, and the units in hand."""
    query = (
        select(
            sessions.c.status,
            sessions.c.token,
            sessions.c.deposit,
            sessions.c.earned,
            sessions.c.document,
            readings.c.units,
        )
        .join(readings, readings.c.session_id == sessions.c.session_id)
        .where(sessions.c.advisor == advisor, sessions.c.status != QUOTED)
    )
    return connection.execute(query).mappings().all()
