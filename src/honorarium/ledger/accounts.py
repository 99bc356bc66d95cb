"""Who has signed in: nonces that may be signed once, and the tokens that were given for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from honorarium.ids import Address
from honorarium.ledger.schema import metadata

nonces: Final = Table(
    "nonces",
    metadata,
    Column("nonce", String(40), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("ix_nonces_expires_at", "expires_at"),
    comment="What the desk gave out to be signed, once.",
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True, comment="of the token, which nobody keeps"),
    Column("account", LargeBinary(20), nullable=False),
    Column("nonce", String(40), nullable=False, comment="what was signed for it"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_tokens_expires_at", "expires_at"),
)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose token it is, what they signed for it, and until when it counts (unix seconds)."""

    account: Address
    nonce: str
    expires_at: int


def give_nonce(connection: Connection, nonce: str, now: int, expires_at: int) -> None:
    """Keeps a nonce, and forgets those whose time is over."""
    connection.execute(delete(nonces).where(nonces.c.expires_at <= now))
    connection.execute(insert(nonces).values(nonce=nonce, expires_at=expires_at))


def use_nonce(connection: Connection, nonce: str, now: int) -> bool:
    """Whether the nonce was given out and nobody used it yet; from now on it is used."""
    used = connection.execute(
        update(nonces)
        .where(nonces.c.nonce == nonce, nonces.c.expires_at > now, nonces.c.used_at.is_(None))
        .values(used_at=now)
    )
    return used.rowcount == 1


def add_token(
    connection: Connection, token_hash: bytes, account: Address, nonce: str, now: int, until: int
) -> None:
    """Keeps the hash of a token, and forgets those whose time is over."""
    connection.execute(delete(tokens).where(tokens.c.expires_at <= now))
    try:
        with connection.begin_nested():
            connection.execute(
                insert(tokens).values(
                    hash=token_hash, account=account, nonce=nonce, created_at=now, expires_at=until
                )
            )
    except IntegrityError:
        pass  # the same sign-in again


def find_token(connection: Connection, token_hash: bytes, now: int) -> SignedIn | None:
    """Whose token has this hash; None if nobody's, or its time is over."""
    row = connection.execute(
        select(tokens.c.account, tokens.c.nonce, tokens.c.expires_at).where(
            tokens.c.hash == token_hash, tokens.c.expires_at > now
        )
    ).one_or_none()
    return SignedIn(Address(row.account), row.nonce, row.expires_at) if row else None


def drop_token(connection: Connection, token_hash: bytes) -> None:
    """The token counts no more."""
    connection.execute(delete(tokens).where(tokens.c.hash == token_hash))
