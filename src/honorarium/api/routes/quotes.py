"""Quotes: terms that the advisor signed."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, status
from fastapi.responses import Response
from sqlalchemy import Connection

from honorarium.api.deps import ASession, TheDoing, TheFront
from honorarium.api.models import QuoteModel, QuoteWanted, SentModel, Signed
from honorarium.api.routes.actions import relayed
from honorarium.api.views import quote_view
from honorarium.desk.once import Answer
from honorarium.desk.quotes import Wanted
from honorarium.ids import Address, Hash
from honorarium.ledger import sessions
from honorarium.ledger.sessions import SessionNotKnown

router = APIRouter(prefix="/v1/quotes", tags=["quotes"])


def _account(text: str) -> Address:
    return Address(bytes.fromhex(text[2:]))


@router.post(
    "",
    summary="Ask for a quote",
    status_code=status.HTTP_201_CREATED,
    response_model=QuoteModel,
)
async def post_quote(front: TheFront, do: TheDoing, body: QuoteWanted) -> Response:
    """The desk writes the terms; the advisor's agent signs them, or has signed such before.

    503 AdvisorAway if nobody signs now.
    """

    async def prepare() -> Any:
        client = _account(body.client)
        wanted = Wanted(
            advisor=_account(body.advisor),
            tariff=body.tariff,
            client=client,
            payer=client if body.payer is None else _account(body.payer),
            meter_key=_account(body.meter_key),
            context=None if body.context is None else Hash(bytes.fromhex(body.context[2:])),
        )
        quote = await front.quotes.offer(wanted)

        def commit(connection: Connection) -> Answer:
            session_id = front.quotes.keep(connection, quote)
            return Answer(201, quote_view(sessions.get(connection, session_id)))

        return commit

    return await do(prepare)


@router.get("/{session_id}", summary="Look a quote up", response_model=QuoteModel)
async def get_quote(front: TheFront, session_id: ASession) -> dict[str, Any]:
    """By the id of the session that it makes."""
    row = await front.session(session_id)
    if not row["document"]:  # it was forgotten
        raise SessionNotKnown(session_id)
    return quote_view(row)


@router.post("/{session_id}/revoke", summary="Revoke a quote", response_model=SentModel)
async def post_quote_revocation(
    front: TheFront, do: TheDoing, session_id: ASession, body: Signed
) -> Response:
    """By the advisor's or payer's signed Revocation: it can never be opened."""
    return await relayed(front, do, "revoke", body, session_id)
