"""What the log says of one session, or of one account."""

from __future__ import annotations

from honorarium.chain.logs import LogRecord, Topics, collect_async
from honorarium.chain.node import AsyncNode
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.events import (
    Deposited,
    Event,
    RowSkipped,
    SessionOpened,
    Tipped,
    Withdrawn,
)
from honorarium.units import BlockNumber


async def session_history(
    node: AsyncNode, escrow: Address, tip_jar: Address, session_id: SessionId, first: BlockNumber
) -> list[LogRecord]:
    """The events of a session, tips and skipped rows included, in the chain's order."""
    last = (await node.block()).number
    wanted = Hash(session_id)
    asked: tuple[tuple[Address, Topics], ...] = (
        (escrow, (None, wanted)),
        (escrow, (RowSkipped.TOPIC, None, wanted)),
        (tip_jar, (Tipped.TOPIC, None, None, wanted)),
    )
    found: list[LogRecord] = []
    for contract, topics in asked:
        async for record in collect_async(node, [contract], first, last, topics=topics):
            found.append(record)
    return sorted(found, key=lambda record: (record.block, record.index))


async def account_history(
    node: AsyncNode, escrow: Address, tip_jar: Address, account: Address, first: BlockNumber
) -> list[LogRecord]:
    """The events of an account: of its sessions, whatever its part in them, its balances, tips."""
    last = (await node.block()).number
    sessions: set[SessionId] = set()
    found: list[LogRecord] = []
    async for record in collect_async(node, [escrow, tip_jar], first, last):
        if isinstance(record.event, SessionOpened) and account in _parties(record.event):
            sessions.add(record.event.session_id)
        if _concerns(record.event, account, sessions):
            found.append(record)
    return found


def _parties(event: SessionOpened) -> tuple[Address, ...]:
    terms = event.terms
    return (terms.client, terms.payer, terms.advisor, terms.fee_recipient)


def _concerns(event: Event, account: Address, sessions: set[SessionId]) -> bool:
    if isinstance(event, Deposited | Withdrawn):
        return account == event.account
    if isinstance(event, Tipped) and account in (event.advisor, event.tipper):
        return True
    return getattr(event, "session_id", None) in sessions
