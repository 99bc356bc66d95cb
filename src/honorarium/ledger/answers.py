"""What was answered to requests that carry an idempotency key, stored with their effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from honorarium.errors import InputError
from honorarium.ledger.schema import metadata

answers: Final = Table(
    "answers",
    metadata,
    Column("scope", LargeBinary(32), primary_key=True, comment="digest of who asks, and what"),
    Column("digest", LargeBinary(32), nullable=False, comment="of the request's body"),
    Column("holder", String(40), comment="who works on it"),
    Column("held_until", BigInteger, nullable=False),
    Column("status", Integer, comment="none while it is worked on"),
    Column("body", Text),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_answers_expires_at", "expires_at"),
)


class IdempotencyKeyTaken(InputError):
    """One idempotency key for two requests."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            f"the idempotency key {key!r} was sent with another request already; nothing was done: "
            "give each request a key of its own, and the same key only to send the very same again"
        )


class IdempotencyKeyBusy(InputError):
    """The same request is being worked on. `wait`: seconds after which to ask again."""

    def __init__(self, key: str, wait: int) -> None:
        self.key, self.wait = key, wait
        super().__init__(
            f"a request with the idempotency key {key!r} is being worked on; send it again in "
            f"{wait} seconds to get its answer"
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given."""

    status: int
    body: str


def claim(
    connection: Connection,
    scope: bytes,
    digest: bytes,
    key: str,
    holder: str,
    now: int,
    held_until: int,
    expires_at: int,
) -> Kept | None:
    """None: the holder may work on it, until then. Else what was answered.

    Raises IdempotencyKeyTaken, IdempotencyKeyBusy.
    """
    connection.execute(delete(answers).where(answers.c.expires_at <= now))
    try:
        with connection.begin_nested():
            connection.execute(
                insert(answers).values(
                    scope=scope,
                    digest=digest,
                    holder=holder,
                    held_until=held_until,
                    expires_at=expires_at,
                )
            )
        return None
    except IntegrityError:
        pass
    row = connection.execute(select(answers).where(answers.c.scope == scope)).one_or_none()
    if row is None:  # given up between the two
        raise IdempotencyKeyBusy(key, 1)
    if row.digest != digest:
        raise IdempotencyKeyTaken(key)
    if row.status is not None:
        return Kept(row.status, row.body)
    if row.held_until > now:
        raise IdempotencyKeyBusy(key, 1)
    taken = connection.execute(
        update(answers)
        .where(answers.c.scope == scope, answers.c.holder == row.holder, answers.c.status.is_(None))
        .values(holder=holder, held_until=held_until)
    )
    if taken.rowcount != 1:
        raise IdempotencyKeyBusy(key, 1)
    return None


def hold_on(connection: Connection, scope: bytes, holder: str, held_until: int) -> None:
    """The work takes longer."""
    connection.execute(
        update(answers)
        .where(answers.c.scope == scope, answers.c.holder == holder)
        .values(held_until=held_until)
    )


def keep(connection: Connection, scope: bytes, key: str, holder: str, answer: Kept) -> None:
    """Stores the answer, in the transaction of its effect. Raises IdempotencyKeyBusy if another one
    took the work over: then nothing of the transaction may stay.
    """
    kept = connection.execute(
        update(answers)
        .where(answers.c.scope == scope, answers.c.holder == holder, answers.c.status.is_(None))
        .values(status=answer.status, body=answer.body, holder=None)
    )
    if kept.rowcount != 1:
        raise IdempotencyKeyBusy(key, 1)


def give_up(connection: Connection, scope: bytes, holder: str) -> None:
    """Nothing came of it: the same key may be tried again."""
    connection.execute(
        delete(answers).where(
            answers.c.scope == scope, answers.c.holder == holder, answers.c.status.is_(None)
        )
    )
