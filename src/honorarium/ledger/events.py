"""What happened, told to those who asked to be told: events, webhooks, deliveries."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from honorarium.ids import Address
from honorarium.ledger.schema import Counter, metadata, sessions

KINDS: Final = (
    "session.quoted",
    "session.opened",
    "session.topped_up",
    "session.warning",
    "session.settled",
    "session.closing",
    "session.closed",
    "session.tipped",
    "session.rated",
    "session.answered",
    "session.revoked",
    "session.undone",
    "session.equivocated",
)
"""What a webhook can be told of."""

WAITING: Final = "waiting"
DELIVERED: Final = "delivered"
FAILED: Final = "failed"

events: Final = Table(
    "events",
    metadata,
    Column("id", Counter, primary_key=True, autoincrement=True),
    Column("kind", String(40), nullable=False),
    Column("session_id", LargeBinary(32)),
    Column("body", Text, nullable=False, comment="JSON"),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_events_session_id", "session_id", "id"),
    sqlite_autoincrement=True,
)

webhooks: Final = Table(
    "webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account", LargeBinary(20), nullable=False),
    Column("url", Text, nullable=False),
    Column("kinds", Text, nullable=False, comment="between commas; empty: all"),
    Column("secret", String(80), nullable=False, comment="deliveries are signed with it"),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_webhooks_account", "account", "created_at"),
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", Counter, primary_key=True, autoincrement=True),
    Column(
        "webhook",
        String(40),
        ForeignKey("webhooks.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("event", Counter, ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("status", String(10), nullable=False, comment="waiting, delivered, failed"),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("claimed_until", BigInteger, nullable=False),
    Column("answered", Integer, comment="the last HTTP status"),
    Column("problem", String(200), comment="why the last attempt failed"),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_deliveries_due", "status", "next_at"),
    Index("ix_deliveries_webhook", "webhook", "id"),
    sqlite_autoincrement=True,
)


def record_event(
    connection: Connection,
    kind: str,
    session_id: bytes | None,
    body: Mapping[str, Any],
    accounts: Collection[bytes] = (),
) -> int:
    """Something happened, and the webhooks of those whom it concerns will be told: the parties of
    the session, and `accounts`. In the transaction of its effect. The event's number.
    """
    assert kind in KINDS, kind
    now = int(time.time())
    event_id: int = connection.execute(
        insert(events)
        .values(kind=kind, session_id=session_id, body=json.dumps(body), created_at=now)
        .returning(events.c.id)
    ).scalar_one()
    concerned: list[Any] = [webhooks.c.account.in_([bytes(each) for each in accounts])]
    if session_id is not None:
        for party in (sessions.c.advisor, sessions.c.client, sessions.c.payer):
            of_session = select(party).where(sessions.c.session_id == session_id)
            concerned.append(webhooks.c.account == of_session.scalar_subquery())
    query = select(webhooks.c.id).where(
        webhooks.c.disabled.is_(False),
        or_(webhooks.c.kinds == "", webhooks.c.kinds.contains(f",{kind},", autoescape=True)),
        or_(*concerned),
    )
    # None of them is removed before this is written (SQLite's writers are alone anyway).
    query = query.with_for_update(read=True, key_share=True)
    rows = [
        {
            "webhook": webhook,
            "event": event_id,
            "status": WAITING,
            "attempts": 0,
            "next_at": now,
            "claimed_until": 0,
            "changed_at": now,
        }
        for webhook in connection.execute(query).scalars()
    ]
    if rows:
        connection.execute(insert(deliveries), rows)
    return event_id


# ---------------------------------------------------------------------- webhooks


def add_webhook(
    connection: Connection,
    webhook_id: str,
    account: Address,
    url: str,
    kinds: Sequence[str],
    secret: str,
    now: int,
) -> None:
    """A new webhook. No `kinds`: it is told everything."""
    connection.execute(
        insert(webhooks).values(
            id=webhook_id,
            account=account,
            url=url,
            kinds=f",{','.join(kinds)}," if kinds else "",
            secret=secret,
            disabled=False,
            created_at=now,
        )
    )


def webhooks_of(connection: Connection, account: Address) -> Sequence[RowMapping]:
    """An account's webhooks, the oldest first."""
    query = select(webhooks).where(webhooks.c.account == account)
    return connection.execute(query.order_by(webhooks.c.created_at, webhooks.c.id)).mappings().all()


def find_webhook(connection: Connection, webhook_id: str, account: Address) -> RowMapping | None:
    """An account's webhook; None if it is not theirs."""
    query = select(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.account == account)
    return connection.execute(query).mappings().one_or_none()


def count_webhooks(connection: Connection, account: Address) -> int:
    """How many an account has."""
    query = select(func.count()).where(webhooks.c.account == account)
    return connection.execute(query).scalar_one()


def drop_webhook(connection: Connection, webhook_id: str, account: Address) -> bool:
    """Whether there was such a webhook; it is told nothing any more."""
    if find_webhook(connection, webhook_id, account) is None:
        return False
    connection.execute(delete(deliveries).where(deliveries.c.webhook == webhook_id))
    connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
    return True


def disable(connection: Connection, webhook_id: str, now: int) -> None:
    """Whoever is there wants to hear no more."""
    connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(disabled=True))
    connection.execute(
        update(deliveries)
        .where(deliveries.c.webhook == webhook_id, deliveries.c.status == WAITING)
        .values(status=FAILED, changed_at=now, problem="the webhook was turned off")
    )


# ---------------------------------------------------------------------- deliveries


def due(connection: Connection, now: int, limit: int) -> Sequence[int]:
    """Deliveries whose time has come: of each webhook the first one, where nobody works on another
    of it. So a webhook that is slow holds up no other.
    """
    busy = select(deliveries.c.webhook).where(
        deliveries.c.status == WAITING, deliveries.c.claimed_until > now
    )
    query = (
        select(func.min(deliveries.c.id))
        .where(
            deliveries.c.status == WAITING,
            deliveries.c.next_at <= now,
            deliveries.c.claimed_until <= now,
            deliveries.c.webhook.not_in(busy),
        )
        .group_by(deliveries.c.webhook)
        .order_by(func.min(deliveries.c.next_at))
    )
    return connection.execute(query.limit(limit)).scalars().all()


def claim(
    connection: Connection, delivery_ids: Sequence[int], now: int, until: int
) -> Sequence[RowMapping]:
    """Of these deliveries those that nobody else has claimed, with all that they need."""
    won = [
        delivery_id
        for delivery_id in delivery_ids
        if connection.execute(
            update(deliveries)
            .where(
                deliveries.c.id == delivery_id,
                deliveries.c.status == WAITING,
                deliveries.c.claimed_until <= now,
            )
            .values(claimed_until=until)
        ).rowcount
    ]
    query = (
        select(
            deliveries.c.id,
            deliveries.c.attempts,
            webhooks.c.id.label("webhook"),
            webhooks.c.url,
            webhooks.c.secret,
            events.c.id.label("event"),
            events.c.kind,
            events.c.session_id,
            events.c.body,
            events.c.created_at,
        )
        .join(webhooks, webhooks.c.id == deliveries.c.webhook)
        .join(events, events.c.id == deliveries.c.event)
        .where(deliveries.c.id.in_(won))
        .order_by(deliveries.c.id)
    )
    return connection.execute(query).mappings().all() if won else []


def attempted(connection: Connection, delivery_id: int, now: int, values: dict[str, Any]) -> None:
    """What became of an attempt."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(attempts=deliveries.c.attempts + 1, claimed_until=0, changed_at=now, **values)
    )


def postpone(connection: Connection, webhook_id: str, until: int) -> None:
    """Whoever is there does not listen: what else they are to be told waits as long."""
    connection.execute(
        update(deliveries)
        .where(
            deliveries.c.webhook == webhook_id,
            deliveries.c.status == WAITING,
            deliveries.c.next_at < until,
        )
        .values(next_at=until)
    )


def deliveries_of(
    connection: Connection, webhook_id: str, before: int | None, limit: int
) -> Sequence[RowMapping]:
    """What a webhook was told, the newest first, below a number."""
    query = (
        select(deliveries, events.c.kind, events.c.session_id)
        .join(events, events.c.id == deliveries.c.event)
        .where(deliveries.c.webhook == webhook_id)
    )
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit)).mappings().all()
