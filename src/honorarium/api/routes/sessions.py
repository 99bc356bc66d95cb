"""Sessions: opening them, and what became of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, status
from fastapi.responses import Response
from sqlalchemy import Connection

from honorarium.api.deps import (
    AParty,
    ASession,
    MaybeCaller,
    TheCaller,
    TheDoing,
    TheFront,
    address_of,
)
from honorarium.api.models import JournalPage, Opened, Opening, SessionModel, SessionPage
from honorarium.api.pages import APage
from honorarium.api.problems import RequestNotUsable
from honorarium.api.views import session_view
from honorarium.audit.evidence import Given, evidence_of_async
from honorarium.desk.enrol import must_be
from honorarium.desk.once import Answer
from honorarium.desk.relay import Sent
from honorarium.ids import SessionId
from honorarium.ledger import listing, sessions
from honorarium.protocol.records import entry_record

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

AParticipant = Annotated[str | None, Query(max_length=42, description="an account's address")]


@router.post(
    "",
    summary="Open a session",
    status_code=status.HTTP_201_CREATED,
    response_model=Opened,
    responses={202: {"model": Opened, "description": "It is not open yet: ask again, or wait."}},
)
async def post_session(front: TheFront, do: TheDoing, body: Opening) -> Response:
    """By what the payer signed (an authorization, or an Opening from the balance), which the desk
    sends; or by telling of a transaction that was sent already.
    """
    if (body.relayable is None) == (body.transaction is None):
        why = "give either `relayable` or `transaction`"
        raise RequestNotUsable([{"where": "body", "why": why}])

    async def prepare() -> Any:
        quote = await front.quotes.read(body.quote)
        session_id: SessionId = quote.session_id(front.quotes.domain)
        await front.aside.write(lambda c: front.quotes.keep(c, quote))
        sent: Sent | None = None
        block: int | None
        if body.relayable is not None:
            signed = body.relayable.relayable()
            sent = await front.relay.send("open", signed, do.who, session_id)
            block = sent.block
        else:
            block = await front.block_of(body.transaction or "")
        if block is not None:
            await front.caught_up(block)

        def commit(connection: Connection) -> Answer:
            row = sessions.get(connection, session_id)
            body = {"session": session_view(row), "sent": None if sent is None else sent.json()}
            return Answer(202 if row["status"] == sessions.QUOTED else 201, body)

        return commit

    return await do(prepare)


@router.get("", summary="List one's sessions", response_model=SessionPage)
async def get_sessions(
    front: TheFront,
    who: TheCaller,
    page: APage,
    advisor: AParticipant = None,
    client: AParticipant = None,
    payer: AParticipant = None,
    state: Annotated[
        Literal["quoted", "open", "closing", "closed", "revoked"] | None, Query(alias="status")
    ] = None,
) -> dict[str, Any]:
    """Those in which the signed-in account is the advisor, the client or the payer: name it as one
    of them (else: as the client).
    """
    named = {"advisor": advisor, "client": client, "payer": payer}
    given = {name: address_of(text) for name, text in named.items() if text is not None}
    parties = given or {"client": who.account}
    if who.account not in parties.values():
        must_be(who, next(iter(parties.values())))
    rows = await front.aside.read(
        lambda c: listing.page(c, parties, state, page.after, page.limit + 1)
    )
    return page.of([session_view(row) for row in rows], [row["position"] for row in rows])


@router.get("/{session_id}", summary="Look a session up", response_model=SessionModel)
async def get_session(front: TheFront, who: MaybeCaller, session_id: ASession) -> dict[str, Any]:
    """What the chain says of it; for its parties, when they are signed in, the meter's best voucher
    too.
    """
    row = await front.session(session_id)
    party = who is not None and who.account in (row["advisor"], row["client"], row["payer"])
    book = await front.book(session_id) if party and row["document"] else None
    return session_view(row, book)


@router.get("/{session_id}/journal", summary="Read the journal", response_model=JournalPage)
async def get_journal(
    front: TheFront, party: AParty, session_id: ASession, page: APage
) -> dict[str, Any]:
    """What the client's meter told, in order; the first `signed` entries are under a voucher."""
    book = await front.book(session_id)
    after = page.after or 0
    items = [entry_record(entry) for entry in book.told[after : after + page.limit + 1]]
    positions = list(range(after + 1, after + 1 + len(items)))
    head = book.best.journal if book.best else bytes(32)
    return {
        **page.of(items, positions),
        "signed": len(book.journal),
        "head": "0x" + head.hex(),
    }


@router.get(
    "/{session_id}/evidence",
    summary="Get the evidence",
    response_class=Response,
    responses={
        200: {
            "content": {"application/json": {"schema": {"type": "object"}}},
            "description": "As src/honorarium/audit/evidence/evidence.schema.json says.",
        }
    },
)
async def get_evidence(front: TheFront, party: AParty, session_id: ASession) -> Response:
    """One file that anybody verifies offline, with `honorarium verify`: terms, receipts and the
    session's state with their proofs to block headers, the best voucher, the journal.
    """
    book = await front.book(session_id)
    both = book.equivocation
    given = Given(
        vouchers=(book.best,) if book.best else (),
        equivocation=(both.known, both.given) if both else (),
        journals=(book.told,) if book.told else (),
    )
    bundle = await evidence_of_async(front.contracts, session_id, given)
    return Response(bundle.to_text(), media_type="application/json")
