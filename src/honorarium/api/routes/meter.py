"""What a running session's meter sends, and what is seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Literal, Self

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from honorarium.api.deps import (
    AParty,
    ASession,
    MaybeCaller,
    TheAdvisor,
    TheCaller,
    TheDesk,
    TheDoing,
    TheFront,
    network,
)
from honorarium.api.frames import (
    Sent,
    acknowledgement_frame,
    entry_frames,
    read_sent,
    reading_frame,
)
from honorarium.api.problems import problem_of, refuse
from honorarium.desk import Desk, Reading
from honorarium.desk.front import Front
from honorarium.desk.limits import TooManyRequests
from honorarium.errors import HonorariumError, JournalRefused, TooManyUnits
from honorarium.ids import SessionId
from honorarium.ledger.accounts import SignedIn
from honorarium.protocol import EntryKind
from honorarium.protocol.documents import DocumentUnreadable

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["meter"])

LOOK_AGAIN: Final = 1.0
"""So often (seconds) a stream looks whether time alone has changed what it shows."""

BEAT: Final = 15.0
"""So often (seconds) a quiet stream says that it is there."""


async def answered(desk: Desk, session_id: SessionId, sent: Sent) -> dict[str, Any]:
    """What the desk answers to one message of a meter, once it is durable."""
    if sent.voucher is None:
        heard = await desk.intake.hear(session_id, sent.entries, sent.after)
        return {"heard": len(heard.told)}
    try:
        accepted = await desk.intake.take(session_id, sent.voucher, sent.entries, sent.after)
    except (TooManyUnits, JournalRefused):
        # On a chain of recorded days only a block tells that time has passed.
        if not await desk.clock.refresh(desk.contracts.node):
            raise
        accepted = await desk.intake.take(session_id, sent.voucher, sent.entries, sent.after)
    return {"acknowledgement": acknowledgement_frame(accepted, desk.address)}


# ---------------------------------------------------------------------- over HTTP


class EntryModel(BaseModel):
    """One thing that happened in a session."""

    model_config = ConfigDict(extra="forbid")

    at: int = Field(ge=0, lt=2**40, description="unix seconds", examples=[1_790_000_000])
    kind: str = Field(description="as in the journal: answered, paused, resumed, handed_over, ...")
    note: str = Field("0x" + "00" * 32, description="32 bytes: commits to details; zero: none")


class VoucherModel(BaseModel):
    """A signed reading, and the journal entries that lead to its head."""

    model_config = ConfigDict(extra="forbid")

    units: int = Field(ge=0, lt=2**32, description="units so far, all together", examples=[3])
    journal: str = Field(description="the head of the journal, 32 bytes")
    signature: str = Field(description="the meter key's signature of the Voucher, 65 bytes")
    entries: list[EntryModel] = Field(default_factory=list, max_length=1000)
    after: int | None = Field(
        None, ge=0, description="how many entries come before them; none: those signed already"
    )


class EntriesModel(BaseModel):
    """Journal entries that no voucher carries yet."""

    model_config = ConfigDict(extra="forbid")

    entries: list[EntryModel] = Field(min_length=1, max_length=1000)
    after: int | None = Field(None, ge=0)


class NoteModel(BaseModel):
    """What the advisor notes: the own count, which shows what is at stake."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["answered", "paused", "resumed", "interaction"]
    at: int | None = Field(None, ge=0, lt=2**40, description="unix seconds; none: now")
    interactions: int | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="of an interaction: how many were given so far, all together",
    )

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if (self.kind == "interaction") != (self.interactions is not None):
            raise ValueError("`interactions` goes with the kind interaction, and only with it")
        return self


class AcknowledgementModel(BaseModel):
    """The desk has the voucher on its disk, and countersigns it."""

    units: int
    journal: str
    signature: str
    by: str


class VoucherTaken(BaseModel):
    """The answer to a voucher."""

    acknowledgement: AcknowledgementModel


class EntriesHeard(BaseModel):
    """The answer to entries: how many the desk knows now."""

    heard: int


class ReadingModel(BaseModel):
    """What a session's meter shows. Amounts are base units as decimal text."""

    session: str
    status: str
    at: int
    units: int = Field(description="of the best voucher")
    fundedUnits: int  # noqa: N815 - as in JSON
    fee: str
    deposit: str
    depositLeft: str  # noqa: N815 - as in JSON
    delivered: int = Field(description="units by the advisor's own count")
    exposure: int = Field(description="delivered units without a voucher")
    atStake: str = Field(description="what they cost")  # noqa: N815 - as in JSON
    stop: str | None = Field(description="why not to advise on")
    warning: int | None = Field(description="80 or 100: percent of the funded units are used up")
    journal: str
    entries: int
    notes: list[EntryModel]


@router.post("/vouchers", summary="Hand in a voucher", response_model=VoucherTaken)
async def post_voucher(
    desk: TheDesk, do: TheDoing, session_id: ASession, body: VoucherModel
) -> Response:
    """Answers when the voucher is durable. The same voucher again gets the same answer."""
    given = body.model_dump()
    sent = read_sent(
        {
            "voucher": {name: given[name] for name in ("units", "journal", "signature")},
            "entries": given["entries"],
            "after": given["after"],
        }
    )
    return await do.harmless(lambda: answered(desk, session_id, sent))


@router.post("/entries", summary="Tell what happened", response_model=EntriesHeard)
async def post_entries(
    desk: TheDesk,
    front: TheFront,
    do: TheDoing,
    who: TheCaller,
    session_id: ASession,
    body: EntriesModel,
) -> Response:
    """What the client's meter noted between two vouchers: a pause, a handover from bot to human.
    For the client, the payer, or the meter's own key.
    """
    await front.must_tell(who, session_id)
    sent = read_sent(body.model_dump())
    return await do.harmless(lambda: answered(desk, session_id, sent))


@router.post("/notes", summary="Keep the advisor's own count", response_model=ReadingModel)
async def post_note(
    desk: TheDesk, do: TheDoing, session_id: ASession, body: NoteModel, advisor: TheAdvisor
) -> Response:
    """The advisor answers, pauses, resumes; or gave interactions. Said again, it is as before."""

    async def note() -> dict[str, Any]:
        if body.interactions is not None:
            reading = await desk.intake.count(session_id, body.interactions, body.at)
        else:
            reading = await desk.intake.note(session_id, EntryKind[body.kind.upper()], body.at)
        return reading_frame(reading)

    return await do.harmless(note)


@router.get("/reading", summary="Look at the meter", response_model=ReadingModel)
async def get_reading(desk: TheDesk, session_id: ASession, party: AParty) -> dict[str, Any]:
    """Units, fee so far, what the deposit still holds, what is at stake."""
    return reading_frame(await desk.intake.read(session_id))


# ---------------------------------------------------------------------- live


@router.websocket("/meter")
async def meter(
    socket: WebSocket, desk: TheDesk, front: TheFront, who: MaybeCaller, session_id: ASession
) -> None:
    """A client's meter, live: vouchers and entries in, acknowledgements and notes out.

    A voucher is its own proof, and nothing else is told than what the advisor noted; only entries
    alone need a sign-in, as with POST.
    """
    try:
        reading = await desk.intake.read(session_id)
    except HonorariumError as error:
        await refuse(socket, error)
        return
    await socket.accept()
    told = asyncio.create_task(_tell_notes(socket, desk, session_id, reading))
    try:
        while True:
            reply = await _reply(desk, front, who, session_id, await _frame(socket))
            await socket.send_text(orjson.dumps(reply).decode())
            if "acknowledgement" not in reply:  # it costs as much as a request, and counts as one
                front.limits.count("requests", network(socket))
    except WebSocketDisconnect:
        pass
    except TooManyRequests as error:
        await socket.send_text(orjson.dumps({"problem": problem_of(error)}).decode())
        await socket.close(1008, type(error).slug)
    finally:
        told.cancel()


async def _reply(
    desk: Desk, front: Front, who: SignedIn | None, session_id: SessionId, text: str | bytes
) -> dict[str, Any]:
    try:
        sent = read_sent(_object(text))
        if sent.voucher is None:
            await front.must_tell(who, session_id)
        return await answered(desk, session_id, sent)
    except HonorariumError as error:
        return {"problem": problem_of(error)}


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError as error:
        raise DocumentUnreadable("voucher", str(error)) from None
    if not isinstance(found, dict):
        raise DocumentUnreadable("voucher", "it is no object of JSON")
    return found


async def _frame(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    given: str | bytes = message.get("text") or message.get("bytes") or b""
    return given


async def _tell_notes(
    socket: WebSocket, desk: Desk, session_id: SessionId, reading: Reading
) -> None:
    """The advisor answered, paused, resumed: the client's meter starts and stops by it."""
    told = 0
    with desk.readings.follow(session_id, vouchers=False) as changed:
        while True:
            for number, entry in enumerate(entry_frames(reading.noted[told:]), start=told):
                await socket.send_text(orjson.dumps({"note": entry, "number": number}).decode())
            told = len(reading.noted)
            await changed.wait()
            changed.clear()
            reading = await desk.intake.read(session_id)


async def _readings(desk: Desk, session_id: SessionId) -> AsyncIterator[dict[str, Any] | None]:
    """The reading now and at every change; None where nothing has changed for a while."""
    last: dict[str, Any] | None = None
    quiet = 0.0
    with desk.readings.follow(session_id) as changed:
        while True:
            frame = reading_frame(await desk.intake.read(session_id))
            if {**frame, "at": 0} != last:
                last, quiet = {**frame, "at": 0}, 0.0
                yield frame
            elif quiet >= BEAT:
                quiet = 0.0
                yield None
            changed.clear()
            try:
                await asyncio.wait_for(changed.wait(), LOOK_AGAIN)
            except TimeoutError:
                quiet += LOOK_AGAIN
            if frame["status"] == "closed":
                return


@router.websocket("/stream")
async def stream(socket: WebSocket, desk: TheDesk, session_id: ASession, party: AParty) -> None:
    """The reading, at once and whenever it changes."""
    await socket.accept()

    async def send() -> None:
        async for frame in _readings(desk, session_id):
            if frame is not None:
                await socket.send_text(orjson.dumps(frame).decode())
        await socket.close(1000, "the session is closed")

    sending = asyncio.create_task(send())
    try:
        while True:
            await _frame(socket)  # nothing is asked here; only that it ends is heard
    except WebSocketDisconnect:
        pass
    finally:
        sending.cancel()


@router.get(
    "/events",
    summary="Follow the meter (server-sent events)",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "one reading each"}},
)
async def events(desk: TheDesk, session_id: ASession, party: AParty) -> StreamingResponse:
    """The reading as an event, at once and whenever it changes; a comment while it does not."""
    await desk.intake.read(session_id)  # what is wrong with it is said before the stream begins

    async def lines() -> AsyncIterator[bytes]:
        async for frame in _readings(desk, session_id):
            if frame is None:
                yield b": nothing new\n\n"
            else:
                yield b"event: reading\ndata: " + orjson.dumps(frame) + b"\n\n"

    return StreamingResponse(
        lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )
