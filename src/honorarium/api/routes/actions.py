"""Signed actions about a session: the desk sends them and pays the gas."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import Connection

from honorarium.api.deps import ASession, Doing, TheAdvisor, TheDesk, TheDoing, TheFront
from honorarium.api.models import SentModel, Signed, Wished
from honorarium.chain.node import to_hex
from honorarium.desk.front import Front
from honorarium.desk.once import Answer
from honorarium.desk.relay import Sent
from honorarium.errors import SessionNotOpen
from honorarium.ids import SessionId
from honorarium.ledger import sessions, settling
from honorarium.protocol.documents import read_quote

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["actions"])


def done(sent: Sent) -> Any:
    """What a request answers when its transaction is in a block."""

    def commit(_: Connection) -> Answer:
        return Answer(200, sent.json())

    return commit


async def relayed(
    front: Front, do: Doing, action: str, body: Signed, session_id: SessionId | None = None
) -> Response:
    """Sends a signed action, and answers with what became of it."""

    async def prepare() -> Any:
        signed = body.relayable.relayable()
        sent = await front.relay.send(action, signed, do.who, session_id)
        if session_id is not None:
            await front.caught_up(sent.block)
        return done(sent)

    return await do(prepare)


@router.post("/top-up", summary="Raise the deposit", response_model=SentModel)
async def post_top_up(
    front: TheFront, do: TheDoing, session_id: ASession, body: Signed
) -> Response:
    """By the payer's authorization, or TopUp from the balance."""
    return await relayed(front, do, "top-up", body, session_id)


@router.post("/close", summary="Close", response_model=SentModel)
async def post_close(front: TheFront, do: TheDoing, session_id: ASession, body: Signed) -> Response:
    """By the advisor's signed Closing, with the voucher that it names."""
    return await relayed(front, do, "close", body, session_id)


@router.post("/leave", summary="Ask to close", response_model=SentModel)
async def post_leave(front: TheFront, do: TheDoing, session_id: ASession, body: Signed) -> Response:
    """By the client's or payer's signed Leaving: the advisor has the grace period to settle."""
    return await relayed(front, do, "leave", body, session_id)


@router.post("/revoke", summary="Revoke the quote", response_model=SentModel)
async def post_revocation(
    front: TheFront, do: TheDoing, session_id: ASession, body: Signed
) -> Response:
    """As POST /v1/quotes/{session}/revoke."""
    return await relayed(front, do, "revoke", body, session_id)


@router.post("/tip", summary="Tip", response_model=SentModel)
async def post_tip(front: TheFront, do: TheDoing, session_id: ASession, body: Signed) -> Response:
    """By the tipper's authorization; all of it is the advisor's."""
    return await relayed(front, do, "tip", body, session_id)


@router.post("/rate", summary="Rate", response_model=SentModel)
async def post_rating(
    front: TheFront, do: TheDoing, session_id: ASession, body: Signed
) -> Response:
    """By the client's signed Rating, once, of a closed session."""
    return await relayed(front, do, "rate", body, session_id)


@router.post("/answer", summary="Answer a rating", response_model=SentModel)
async def post_answer(
    front: TheFront, do: TheDoing, session_id: ASession, body: Signed
) -> Response:
    """By the advisor's signed Answer, once."""
    return await relayed(front, do, "answer", body, session_id)


@router.post("/finalize", summary="End after the grace period", response_model=SentModel)
async def post_finalize(front: TheFront, do: TheDoing, session_id: ASession) -> Response:
    """Nobody needs to sign this; the unspent deposit goes back."""

    async def prepare() -> Any:
        row = await front.session(session_id)
        terms = read_quote(row["document"])[0].terms
        sent = await front.relay.finalize(terms, do.who)
        await front.caught_up(sent.block)
        return done(sent)

    return await do(prepare)


@router.post("/settle", status_code=202, summary="Settle now", response_model=Wished)
async def post_settle(
    front: TheFront, desk: TheDesk, do: TheDoing, session_id: ASession, advisor: TheAdvisor
) -> Response:
    """The advisor wants what the best voucher proves. Where it brings something, it is on the chain
    soon: the session's `settledUnits` tell.
    """

    async def prepare() -> Any:
        row, now = await front.session(session_id), int(time.time())
        if row["status"] not in (sessions.OPEN, sessions.CLOSING):
            raise SessionNotOpen(session_id)

        def commit(connection: Connection) -> Answer:
            settling.wish(connection, session_id, now)
            return Answer(202, {"session": to_hex(session_id), "wishedAt": now})

        return commit

    answer = await do(prepare)
    desk.settler.wake()
    return answer
