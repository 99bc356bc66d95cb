"""Advisors: who they are, whether they are there, what they charge; and their agents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, WebSocket, WebSocketDisconnect, status
from fastapi.responses import Response
from sqlalchemy import Connection, RowMapping

from honorarium.api.deps import LONGEST_TOKEN, AnAddress, TheCaller, TheDoing, TheFront
from honorarium.api.models import (
    AdvisorChange,
    AdvisorModel,
    AdvisorPage,
    EarningsModel,
    OfferModel,
    QuoteGiven,
    QuoteModel,
    TariffName,
)
from honorarium.api.pages import APage
from honorarium.api.problems import problem_of
from honorarium.api.views import quote_view
from honorarium.chain.deploy import shown
from honorarium.desk.agents import Line
from honorarium.desk.enrol import must_be
from honorarium.desk.front import Front
from honorarium.desk.once import Answer
from honorarium.desk.sign_in import NotSignedIn
from honorarium.errors import HonorariumError
from honorarium.ids import Address
from honorarium.ledger import advisors as table
from honorarium.ledger import sessions
from honorarium.protocol.offer import Offer

router = APIRouter(prefix="/v1", tags=["advisors"])

TOKEN_SECONDS: Final = 10.0
"""So long an agent has to say who it is."""

ATariff = Annotated[TariffName, Path(description="The tariff's name.", examples=["standard"])]


async def _views(front: Front, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    addresses = [Address(row["address"]) for row in rows]
    tariffs = await front.aside.read(lambda c: table.tariff_rows(c, addresses))
    away = await front.agents.away(addresses)
    return [
        {
            "advisor": shown(address),
            "name": row["name"],
            "available": row["available"],
            "away": address in away,
            "acknowledger": shown(Address(row["acknowledger"])),
            "enrolment": {"message": row["message"], "signature": "0x" + row["signature"].hex()},
            "tariffs": {
                each["name"]: json.loads(each["document"])
                for each in tariffs
                if each["advisor"] == address
            },
        }
        for row, address in zip(rows, addresses, strict=True)
    ]


@router.get("/advisors", summary="List the advisors", response_model=AdvisorPage)
async def get_advisors(
    front: TheFront, page: APage, available: Annotated[bool | None, Query()] = None
) -> dict[str, Any]:
    """In the order in which they enrolled."""
    after = page.after or 0
    rows = await front.aside.read(lambda c: table.page(c, after, page.limit + 1, available))
    positions = [row["position"] for row in rows]
    return page.of(await _views(front, rows), positions)


@router.get("/advisors/{address}", summary="Look an advisor up", response_model=AdvisorModel)
async def get_advisor(front: TheFront, address: AnAddress) -> dict[str, Any]:
    """With the tariffs, and what was signed to enrol: so a client can check that the desk speaks
    for this advisor.
    """
    row = await front.aside.read(lambda c: front.enrolment.get(c, address))
    return (await _views(front, [row]))[0]


@router.put("/advisors/{address}", summary="Enrol, or change", response_model=AdvisorModel)
async def put_advisor(
    front: TheFront, who: TheCaller, address: AnAddress, body: AdvisorChange
) -> dict[str, Any]:
    """The first time with `enrolment`: a message with the desk's enrolment statement. It may be the
    message that made the token.
    """
    must_be(who, address)
    message = None
    if body.enrolment is not None:
        signature = bytes.fromhex(body.enrolment.signature[2:])
        message = await front.sign_ins.read(body.enrolment.message, signature)
    row = await front.aside.write(
        lambda c: front.enrolment.put(c, who, address, body.name, body.available, message)
    )
    return (await _views(front, [row]))[0]


@router.put("/advisors/{address}/tariffs/{name}", summary="Set a tariff", response_model=OfferModel)
async def put_tariff(
    front: TheFront, who: TheCaller, address: AnAddress, name: ATariff, body: OfferModel
) -> dict[str, Any]:
    """What was agreed before keeps its price."""
    must_be(who, address)
    offer = Offer.of(body.model_dump(by_alias=True))
    await front.contracts.token(offer.token)  # it is one
    await front.aside.write(lambda c: front.enrolment.put_tariff(c, who, address, name, offer))
    return offer.document()


@router.delete(
    "/advisors/{address}/tariffs/{name}",
    summary="Remove a tariff",
    status_code=status.HTTP_204_NO_CONTENT,
)
async def delete_tariff(
    front: TheFront, who: TheCaller, address: AnAddress, name: ATariff
) -> Response:
    """What was agreed stays."""
    await front.aside.write(lambda c: front.enrolment.drop_tariff(c, who, address, name))
    return Response(status_code=204)


@router.post(
    "/advisors/{address}/quotes",
    summary="Hand in a quote signed in advance",
    status_code=status.HTTP_201_CREATED,
    response_model=QuoteModel,
)
async def post_advance_quote(
    front: TheFront, who: TheCaller, do: TheDoing, address: AnAddress, body: QuoteGiven
) -> Response:
    """It is given to the client whom it names, while no agent is connected."""

    async def prepare() -> Any:
        must_be(who, address)
        quote = await front.quotes.read(body.quote)

        def commit(connection: Connection) -> Answer:
            session_id = front.quotes.keep_in_advance(connection, who, address, quote)
            return Answer(201, quote_view(sessions.get(connection, session_id)))

        return commit

    return await do(prepare)


@router.get(
    "/advisors/{address}/earnings", summary="What an advisor earned", response_model=EarningsModel
)
async def get_earnings(front: TheFront, who: TheCaller, address: AnAddress) -> dict[str, Any]:
    """By token: pending by vouchers in hand, settled on the chain, withdrawable now."""
    must_be(who, address)
    return {
        "advisor": shown(address),
        "earnings": [
            {
                "token": shown(each.token.address),
                "symbol": each.token.symbol,
                "decimals": each.token.decimals,
                "pending": str(each.pending),
                "settled": str(each.settled),
                "withdrawable": str(each.withdrawable),
            }
            for each in await front.earnings(address)
        ],
    }


# ---------------------------------------------------------------------- the agent


@router.websocket("/agent")
async def agent(socket: WebSocket, front: TheFront) -> None:
    """The advisor's own program, which signs quotes. The first frame is `{"token"}`."""
    await socket.accept()
    try:
        try:
            advisor = await _who(socket, front)
            async with front.agents.line(advisor) as line:
                await _say(socket, {"ready": True})
                await _serve(socket, front, line)
        except HonorariumError as error:
            await _say(socket, {"problem": problem_of(error)})
            await socket.close(1008, type(error).slug[:120])
    except (WebSocketDisconnect, RuntimeError):
        pass  # it hung up, perhaps in the middle of an answer


async def _who(socket: WebSocket, front: Front) -> Address:
    try:
        found = await asyncio.wait_for(_frame(socket), TOKEN_SECONDS)
    except TimeoutError:
        raise NotSignedIn(f"no token came within {TOKEN_SECONDS:g} seconds") from None
    token = found.get("token")
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        raise NotSignedIn('the first frame has to be {"token": ...}')
    who = await front.aside.read(lambda c: front.sign_ins.whose(c, token))
    await front.aside.read(lambda c: front.enrolment.get(c, who.account))
    return who.account


async def _serve(socket: WebSocket, front: Front, line: Line) -> None:
    asking = asyncio.create_task(_ask(socket, line))
    try:
        while True:
            found = await _frame(socket)
            ask_id, signature, declined = (found.get(n) for n in ("id", "signature", "declined"))
            if not isinstance(ask_id, str):
                continue
            signed = _bytes(signature)
            why = None if signed is not None else _words(declined)
            await front.agents.answered(line, ask_id, signed, why)
    finally:
        asking.cancel()


async def _ask(socket: WebSocket, line: Line) -> None:
    while True:
        ask = await line.asked.get()
        await _say(socket, {"id": ask.id, "sign": orjson.loads(ask.terms)})


async def _frame(socket: WebSocket) -> dict[str, Any]:
    """The next frame's object; an empty one for what is none."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        found = orjson.loads(message.get("text") or message.get("bytes") or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _say(socket: WebSocket, said: dict[str, Any]) -> None:
    await socket.send_text(orjson.dumps(said).decode())


def _bytes(given: Any) -> bytes | None:
    if not isinstance(given, str) or not given.startswith("0x"):
        return None
    try:
        return bytes.fromhex(given[2:])
    except ValueError:
        return None


def _words(given: Any) -> str:
    text = given if isinstance(given, str) else "it gave no signature in hex, and no reason"
    return "".join(c for c in text if c.isprintable())[:200] or "without a reason"
