"""What a desk keeps of people, and for how long.

What is on the chain is there for ever, under the addresses that everybody sees. The desk has more:
the quote, the journal, who signed in, whom to tell. That can be forgotten; what remains, the id of
the session, its units and the head of its journal, proves what was agreed to whoever still has the
other half, and names nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, or_, select, update

from honorarium.errors import InputError
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.ledger import Ledger
from honorarium.ledger.accounts import nonces, tokens
from honorarium.ledger.answers import answers
from honorarium.ledger.asks import asks
from honorarium.ledger.events import events, webhooks
from honorarium.ledger.schema import readings, records, sessions
from honorarium.ledger.sessions import CLOSED, CLOSING, ERASED, OPEN, QUOTED, REVOKED
from honorarium.ledger.spending import spending

DAY: Final = 86_400


class SessionsRunning(InputError):
    """Somebody who is to be forgotten has sessions that are not over."""

    def __init__(self, account: Address, running: int) -> None:
        self.account, self.running = account, running
        super().__init__(
            f"0x{account.hex()} has {running} sessions that are not closed yet; close them first, "
            "or their money could not be settled"
        )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was removed."""

    sessions: int
    records: int


def prune(ledger: Ledger, now: int, days: int) -> Forgotten:
    """Forgets the journals of sessions that closed more than `days` days ago, quotes that nobody
    opened since, and what else has expired.
    """
    before = now - days * DAY
    with ledger.write() as connection:
        old = select(sessions.c.session_id).where(
            or_(
                sessions.c.closed_at < before,
                sessions.c.status.in_([QUOTED, REVOKED]) & (sessions.c.open_before < before),
            )
        )
        gone = connection.execute(delete(records).where(records.c.session_id.in_(old))).rowcount
        unopened = connection.execute(
            delete(sessions).where(
                sessions.c.status.in_([QUOTED, REVOKED]), sessions.c.open_before < before
            )
        ).rowcount
        connection.execute(delete(events).where(events.c.created_at < before))
        connection.execute(delete(answers).where(answers.c.expires_at < now))
        connection.execute(delete(asks).where(asks.c.expires_at < now))
        connection.execute(delete(nonces).where(nonces.c.expires_at < now))
        connection.execute(delete(tokens).where(tokens.c.expires_at < now))
    return Forgotten(unopened, gone)


def erase(ledger: Ledger, account: Address) -> Forgotten:
    """Forgets a client or payer: journals, quotes, tokens, webhooks, stored answers.

    Raises SessionsRunning while money is at stake.
    """
    with ledger.write() as connection:
        theirs = or_(sessions.c.client == account, sessions.c.payer == account)
        running = connection.execute(
            select(sessions.c.session_id).where(theirs, sessions.c.status.in_([OPEN, CLOSING]))
        ).all()
        if running:
            raise SessionsRunning(account, len(running))
        found = connection.execute(select(sessions.c.session_id).where(theirs)).scalars().all()
        gone = connection.execute(delete(records).where(records.c.session_id.in_(found))).rowcount
        connection.execute(delete(sessions).where(theirs, sessions.c.status.in_([QUOTED, REVOKED])))
        for column in (sessions.c.client, sessions.c.payer):
            _unname(connection, column.name, account)
        connection.execute(  # what a replica has in memory is old now
            update(readings).where(readings.c.session_id.in_(found)).values(seq=readings.c.seq + 1)
        )
        connection.execute(delete(events).where(events.c.session_id.in_(found)))
        connection.execute(delete(tokens).where(tokens.c.account == account))
        connection.execute(delete(webhooks).where(webhooks.c.account == account))
        connection.execute(delete(spending).where(spending.c.account == account))
        connection.execute(
            delete(answers).where(func.lower(answers.c.body).contains(account.hex()))
        )
    return Forgotten(len(found), gone)


def _unname(connection: Connection, column: str, account: Address) -> None:
    connection.execute(
        update(sessions)
        .where(sessions.c[column] == account, sessions.c.status == CLOSED)
        .values({column: ZERO_ADDRESS, "document": ERASED})
    )
