"""The advisor's place at a desk: enrolled, with tariffs, and a program that signs quotes.

The desk never holds the advisor's key. What it wants signed comes here, and is signed only if the
advisor's own policy agrees.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from honorarium.advisor.advisor import Advisor, AsyncAdvisor
from honorarium.chain.account import Agreed, terms_of
from honorarium.chain.deploy import shown
from honorarium.chain.wire import Silence, blocking
from honorarium.errors import HonorariumError
from honorarium.ids import Address
from honorarium.money import Amount
from honorarium.onfailure import AsyncOnFailure
from honorarium.protocol import EntryKind, Quote, SignedVoucher, Signer, Terms, sign_terms
from honorarium.protocol.documents import UNREADABLE, read_terms, write_quote
from honorarium.protocol.moments import present
from honorarium.protocol.offer import Offer
from honorarium.protocol.sign_in import enrolment_statement
from honorarium.remote import AsyncDesk, Desk, DeskUnreachable, Earnings, Enrolled
from honorarium.remote.api import read_or_refuse
from honorarium.remote.problems import DeskRefused, read_problem
from honorarium.remote.routes import session_path
from honorarium.remote.values import account
from honorarium.remote.web import Socket
from honorarium.units import BaseUnits

Policy = Callable[[Terms], str | None]
"""Why terms are not signed; None: they are."""

LOOK: Final = 0.5
"""So often (seconds) a serving agent looks whether it should end."""

READY: Final = 10.0
"""So long (seconds) the desk has to say that it knows who serves."""

SLACK: Final = 300
"""So many seconds a desk's clock may differ from the chain's."""


class AsyncAgent(AsyncAdvisor):
    """An advisor at a desk: whatever an advisor does, and what a desk needs of one.

    `offers` are the advisor's tariffs by their names. `policy` has the last word on what `serve`
    signs; by itself an agent signs what one of its `offers` covers, and nothing else.
    """

    def __init__(
        self,
        desk: AsyncDesk,
        signer: Signer,
        offers: Mapping[str, Offer] | None = None,
        *,
        policy: Policy | None = None,
    ) -> None:
        super().__init__(desk, signer)
        self.desk = desk
        self.offers = dict(offers or {})
        self._policy = policy
        self._path = f"/v1/advisors/{shown(self.address)}"

    # ------------------------------------------------------------------ enrolled

    async def enrol(self, name: str, *, available: bool = True) -> Enrolled:
        """Enrols, and sets the `offers`. Again changes the name, and whether sessions are taken.

        One signature signs in, and lets the desk acknowledge vouchers for this advisor: clients
        check it. Raises what `AsyncApi.call` raises, and what the contract would refuse of an
        offer.
        """
        desk = (await self.desk.facts()).acknowledger
        signed = await self.desk.api.sign_in(self.signer, enrolment_statement(desk))
        consent = {"message": signed.message, "signature": "0x" + signed.signature.hex()}
        await self._put("", {"name": name, "available": available, "enrolment": consent})
        for each, offer in self.offers.items():
            await self.offer(each, offer)
        return await self.desk.advisor(self.address)

    async def available(self, available: bool) -> None:
        """Whether new sessions are taken."""
        await self._put("", {"available": available})

    async def offer(self, name: str, offer: Offer) -> None:
        """Sets a tariff, or changes it; what was quoted stays as it was."""
        await self._put(f"/tariffs/{name}", offer.document())
        self.offers[name] = offer

    async def drop_offer(self, name: str) -> None:
        """Removes a tariff."""
        await self.desk.api.call("DELETE", f"{self._path}/tariffs/{name}", signer=self.signer)
        self.offers.pop(name, None)

    async def _put(self, below: str, body: dict[str, Any]) -> None:
        await self.desk.api.call("PUT", self._path + below, body, signer=self.signer)

    # ------------------------------------------------------------------ quotes

    async def sign_ahead(self, quote: Quote) -> None:
        """Leaves a quote with the desk, to be given to its client when this program is away."""
        document = json.loads(write_quote(quote, self.contracts.escrow))
        path = f"{self._path}/quotes"
        await self.desk.api.call("POST", path, {"quote": document}, signer=self.signer)

    async def serve(
        self,
        until: Callable[[], bool] = lambda: False,
        *,
        each: Callable[[Terms, str | None], object] = lambda terms, declined: None,
        line: Callable[[DeskUnreachable | None], object] = lambda trouble: None,
    ) -> None:
        """Signs quotes as clients ask for them, until `until` says so (looked at all the time).

        `each` sees the terms, and why they were declined. A line that breaks is made anew, and a
        sign-in that the desk has forgotten too; `line` sees the trouble when it is down, and None
        when it is there again. Raises what the desk refuses, as AdvisorNotKnown for an advisor who
        is not enrolled.
        """
        pause, down = 0.25, False
        while not until():
            try:
                socket = await self._hang_on()
            except DeskUnreachable as trouble:
                if not down:
                    line(trouble)
                down = True
                await self.desk.node.wire.sleep(pause)
                pause = min(2 * pause, 8.0)
                continue
            if down:
                line(None)
            pause, down = 0.25, False
            try:
                await self._sign_for(socket, until, each)
            except Silence:
                continue
            finally:
                await socket.close()

    async def _hang_on(self) -> Socket:
        """A line on which the desk may ask. Raises DeskUnreachable, and what the desk refuses."""
        try:
            return await self._begin()
        except DeskRefused as refused:
            if refused.status != 401:
                raise
            self.desk.api.forget(self.signer)  # the desk did already, or its time is over
            return await self._begin()

    async def _begin(self) -> Socket:
        token = await self.desk.api.token(self.signer)
        socket = await self.desk.api.listen("/v1/agent")
        async with AsyncOnFailure(socket.close):
            try:
                await socket.send(json.dumps({"token": token}))
                text = await socket.receive(READY)
                if text is None:
                    raise Silence(f"it is not ready within {READY:g} seconds")
                if problem := _object(text).get("problem"):
                    raise read_problem(problem)
            except Silence as silence:
                raise DeskUnreachable(self.desk.api.url, silence.reason) from None
        return socket

    async def _sign_for(
        self, socket: Socket, until: Callable[[], bool], each: Callable[[Terms, str | None], object]
    ) -> None:
        while not until():
            text = await socket.receive(LOOK)
            if text is None:
                continue
            found = _object(text)
            if "problem" in found:
                raise read_problem(found["problem"])
            if "sign" in found:
                await socket.send(json.dumps(await self._answer(found, each)))

    async def _answer(
        self, asked: Mapping[str, Any], each: Callable[[Terms, str | None], object]
    ) -> dict[str, str]:
        try:
            terms = read_terms(asked["sign"])
        except UNREADABLE as error:
            return {"id": asked["id"], "declined": f"the terms cannot be read ({error})"}
        try:
            declined = await self._refusal(terms)
            signed = b"" if declined else await self._sign_quote(terms)
        except HonorariumError as error:  # a wallet's owner who says no, say
            declined, signed = str(error), b""
        each(terms, declined)
        if declined:
            return {"id": asked["id"], "declined": declined}
        return {"id": asked["id"], "signature": "0x" + signed.hex()}

    async def _refusal(self, terms: Terms) -> str | None:
        if terms.advisor != self.address:
            return "they name another advisor"
        fitting = [offer for offer in self.offers.values() if offer.covers(terms)]
        if not fitting:
            return "no offer of mine covers them"
        now = present(await self.contracts.now(), int(time.time()))
        if terms.open_before > now + max(offer.holds for offer in fitting) + SLACK:
            return f"they would hold until {terms.open_before}, longer than my offer"
        return self._policy(terms) if self._policy else None

    async def _sign_quote(self, terms: Terms) -> bytes:
        escrow = self.contracts.escrow
        return await self._aside(lambda: sign_terms(self.signer, terms, escrow))

    # ------------------------------------------------------------------ sessions

    async def note(self, session: Agreed, kind: EntryKind, at: int | None = None) -> None:
        """Answers, pauses or resumes: the desk counts for the advisor, and the client's meter
        hears of it. Said again, it is as before.
        """
        await self._note(session, {"kind": kind.text}, at)

    async def count(self, session: Agreed, interactions: int, at: int | None = None) -> None:
        """All interactions that were given so far, for a tariff without time."""
        await self._note(session, {"kind": "interaction", "interactions": interactions}, at)

    async def _note(self, session: Agreed, body: dict[str, Any], at: int | None) -> None:
        session_id = terms_of(session).session_id(self.contracts.escrow)
        if at is not None:
            body["at"] = at
        path = session_path(session_id, "notes")
        await self.desk.api.call("POST", path, body, signer=self.signer)

    async def voucher(self, session: Agreed) -> SignedVoucher | None:
        """The best voucher that the desk has of this session: what `close` needs."""
        return await self.desk.voucher(terms_of(session), self.signer)

    async def earnings(self) -> dict[Address, Earnings]:
        """What was earned at this desk, by token."""
        path = f"{self._path}/earnings"
        (found,) = read_or_refuse(
            await self.desk.api.call("GET", path, signer=self.signer), "earnings"
        )
        earned: dict[Address, Earnings] = {}
        for each in found:
            token = await self.contracts.token(account(each["token"]))
            amounts = [
                Amount(BaseUnits(int(each[name])), token)
                for name in ("pending", "settled", "withdrawable")
            ]
            earned[token.address] = Earnings(*amounts)
        return earned


class Agent(Advisor):
    """As AsyncAgent, for programs without an event loop."""

    core: AsyncAgent

    def __init__(
        self,
        desk: Desk,
        signer: Signer,
        offers: Mapping[str, Offer] | None = None,
        *,
        policy: Policy | None = None,
    ) -> None:
        self.core = AsyncAgent(desk.core, signer, offers, policy=policy)

    enrol = blocking(AsyncAgent.enrol)
    available = blocking(AsyncAgent.available)
    offer = blocking(AsyncAgent.offer)
    drop_offer = blocking(AsyncAgent.drop_offer)
    sign_ahead = blocking(AsyncAgent.sign_ahead)
    serve = blocking(AsyncAgent.serve)
    note = blocking(AsyncAgent.note)
    count = blocking(AsyncAgent.count)
    voucher = blocking(AsyncAgent.voucher)
    earnings = blocking(AsyncAgent.earnings)


def _object(text: str) -> dict[str, Any]:
    """A frame of the desk. Raises Silence for what is none: another line may do better."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Silence("it says what is no object of JSON", lost=True)
    return found
