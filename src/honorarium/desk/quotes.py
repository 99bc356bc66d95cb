"""Quotes: the desk writes the terms, the advisor's own agent signs them.

The desk never holds an advisor's key. Who has no agent running can hand in quotes signed before.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from honorarium.chain import AsyncContracts
from honorarium.chain.signatures import signed
from honorarium.desk.agents import Agents, TooManyAsks
from honorarium.desk.aside import Aside
from honorarium.desk.clock import ChainClock
from honorarium.desk.enrol import Enrolment, must_be
from honorarium.errors import ChainError, InputError, QuoteExpired, WrongSignature
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.ledger import listing, sessions
from honorarium.ledger.accounts import SignedIn
from honorarium.ledger.events import record_event
from honorarium.protocol.documents import DocumentUnreadable, read_quote, write_quote
from honorarium.protocol.keys import Signature, recover
from honorarium.protocol.offer import Offer
from honorarium.protocol.refusal import refusal
from honorarium.protocol.signed import Quote
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import MAX_AMOUNT

__all__ = ["AdvisorAway", "AdvisorDeclined", "Quotes", "TooManyAsks", "Wanted"]


class AdvisorAway(ChainError):
    """Nobody signs for this advisor now."""

    def __init__(self, advisor: bytes, reason: str, wait: int) -> None:
        self.advisor, self.reason, self.wait = advisor, reason, wait
        super().__init__(
            f"0x{advisor.hex()} is away: {reason}; ask again in {wait} seconds, or ask another "
            "advisor; as the advisor, start the agent, or hand in quotes signed in advance"
        )


class AdvisorDeclined(InputError):
    """The advisor's agent does not sign this."""

    def __init__(self, advisor: bytes, reason: str) -> None:
        self.advisor, self.reason = advisor, reason
        super().__init__(
            f"the agent of 0x{advisor.hex()} declined the quote: {reason}; ask for other terms"
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A quote that somebody asks for. `context` None: 32 random bytes."""

    advisor: Address
    tariff: str
    client: Address
    payer: Address
    meter_key: Address
    context: Hash | None


class Quotes:
    """Where quotes come from, and what is known of them."""

    def __init__(
        self,
        aside: Aside,
        contracts: AsyncContracts,
        clock: ChainClock,
        enrolment: Enrolment,
        agents: Agents,
        seconds: float,
    ) -> None:
        self._aside, self._contracts, self._clock = aside, contracts, clock
        self._enrolment, self._agents, self._seconds = enrolment, agents, seconds

    @property
    def domain(self) -> Domain:
        """Where quotes count."""
        return self._contracts.escrow

    async def offer(self, wanted: Wanted) -> Quote:
        """A quote that the advisor has signed.

        Raises AdvisorNotKnown, TariffNotKnown, AdvisorAway, AdvisorDeclined, TooManyAsks,
        WrongSignature if the agent signed with another key, and what the contract would refuse.
        """
        advisor = wanted.advisor
        offer = await self._aside.read(lambda c: self._enrolment.offer(c, advisor, wanted.tariff))
        now = self._clock()
        terms = offer.terms(
            advisor,
            wanted.client,
            wanted.payer,
            wanted.meter_key,
            now=now,
            context=wanted.context or Hash(secrets.token_bytes(32)),
            salt=secrets.randbits(96),
        )
        if (found := refusal(terms, MAX_AMOUNT, self.domain.contract, now)) is not None:
            raise found
        if await self._agents.away([advisor]):
            return await self._in_advance(wanted, offer)
        signature, declined = await self._agents.ask(advisor, self.terms_json(terms), self._seconds)
        if declined is not None:
            raise AdvisorDeclined(advisor, declined)
        if signature is None:
            reason = f"the agent did not answer within {self._seconds:g} seconds"
            raise AdvisorAway(advisor, reason, 30)
        quote = Quote(terms, signature)
        await self.must_be_signed(quote)
        return quote

    async def _in_advance(self, wanted: Wanted, offer: Offer) -> Quote:
        """The one that holds longest of those that the advisor signed before."""

        def find(connection: Connection) -> list[str]:
            rows = listing.quoted(
                connection, wanted.advisor, wanted.client, int(self._clock()), 200
            )
            return [row["document"] for row in rows]

        best: Quote | None = None
        for text in await self._aside.read(find):
            quote, _ = read_quote(text)
            if _fits(quote.terms, wanted, offer) and (
                best is None or quote.terms.open_before > best.terms.open_before
            ):
                best = quote
        if best is None:
            reason = "no agent is connected, and no quote was signed in advance for this"
            raise AdvisorAway(wanted.advisor, reason, 30)
        return best

    async def read(self, document: Mapping[str, Any]) -> Quote:
        """A quote as somebody hands it in, if its advisor is one of this desk's and signed it.

        Raises DocumentUnreadable, AdvisorNotKnown, TokenNotSettled, WrongSignature, and what the
        contract would refuse, but for QuoteExpired: it may have been opened in time.
        """
        quote, domain = read_quote(json.dumps(document))
        if domain != self.domain:
            here = f"chain {self.domain.chain_id} and contract 0x{self.domain.contract.hex()}"
            raise DocumentUnreadable("quote", f"it is not for {here}")
        await self._aside.read(lambda c: self._enrolment.get(c, quote.terms.advisor))
        self._enrolment.policy.must_settle(quote.terms.token)
        found = refusal(quote.terms, MAX_AMOUNT, domain.contract, self._clock())
        if found is not None and not isinstance(found, QuoteExpired):
            raise found
        await self.must_be_signed(quote)
        return quote

    async def must_be_signed(self, quote: Quote) -> None:
        """Raises WrongSignature unless the advisor signed it, by key or as a contract."""
        advisor, session_id = quote.terms.advisor, quote.session_id(self.domain)
        if await signed(self._contracts.node, advisor, Hash(session_id), quote.signature):
            return
        signer = ZERO_ADDRESS
        if len(quote.signature) in (64, 65):
            signer = recover(session_id, Signature.from_bytes(quote.signature))
        raise WrongSignature("quote", advisor, signer)

    def keep(self, connection: Connection, quote: Quote) -> SessionId:
        """Keeps a quote, in the transaction of its answer."""
        now, session_id = int(time.time()), quote.session_id(self.domain)
        if sessions.find(connection, session_id) is None:
            sessions.add(connection, quote, self.domain, now)
            record_event(connection, "session.quoted", session_id, {"status": sessions.QUOTED})
        return session_id

    def keep_in_advance(
        self, connection: Connection, who: SignedIn, advisor: Address, quote: Quote
    ) -> SessionId:
        """Keeps a quote that its advisor hands in. Raises NotAllowed, QuoteExpired."""
        must_be(who, advisor)
        must_be(who, quote.terms.advisor)
        if quote.terms.open_before <= self._clock():
            raise QuoteExpired(quote.terms.open_before, self._clock())
        return self.keep(connection, quote)

    def terms_json(self, terms: Terms) -> str:
        """The terms as a quote's document has them."""
        return json.dumps(self.document(Quote(terms, b""))["terms"])

    def document(self, quote: Quote) -> dict[str, Any]:
        """The quote as an object of JSON."""
        found: dict[str, Any] = json.loads(write_quote(quote, self.domain))
        return found


def _fits(terms: Terms, wanted: Wanted, offer: Offer) -> bool:
    parties = (terms.client, terms.payer, terms.meter_key)
    return (
        parties == (wanted.client, wanted.payer, wanted.meter_key)
        and offer.covers(terms)
        and wanted.context in (None, terms.context)
    )
