"""The client: takes a quote, pays a deposit, meters, leaves if need be, tips, rates.

`Client` blocks, `AsyncClient` is for asyncio; both do the same by the same code. Every method that
sends takes an `idempotency_key`: with the same key the same transaction is followed, across a crash
too, and never a second one sent.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from honorarium.chain import calls
from honorarium.chain.account import (
    HOUR,
    Account,
    Agreed,
    AsyncAccount,
    Payment,
    PaymentNotPossible,
    meant,
    terms_of,
)
from honorarium.chain.contracts import AsyncContracts, Contracts
from honorarium.chain.gas import Fees
from honorarium.chain.receipts import TxReceipt
from honorarium.chain.relay import Relayable
from honorarium.chain.wire import blocking
from honorarium.client.meter import Meter, WrongMeterKey
from honorarium.errors import SessionExists, SessionNotOpen, SignatureMissing
from honorarium.ids import ZERO_HASH, Hash, SessionId
from honorarium.money import Amount, Money
from honorarium.protocol.events import CloseRequested
from honorarium.protocol.keys import Key
from honorarium.protocol.limits import PATIENCE
from honorarium.protocol.messages import (
    Leaving,
    Opening,
    Rating,
    Revocation,
    TopUp,
    opening_nonce,
    tip_nonce,
    top_up_nonce,
)
from honorarium.protocol.moments import Clock
from honorarium.protocol.refusal import refusal
from honorarium.protocol.signed import Quote
from honorarium.protocol.signer import Signer, sign_terms
from honorarium.protocol.slot import Status
from honorarium.protocol.terms import Terms
from honorarium.units import BaseUnits, UnixTime


@dataclass(frozen=True)
class OpenSession:
    """A session of this client's that is open on the chain, with its meter."""

    id: SessionId
    terms: Terms
    opened_at: UnixTime
    meter: Meter


class AsyncClient(AsyncAccount):
    """Somebody who is advised, and pays.

    `meter_key` signs the readings; a new one is made if none is given. Keep it as long as sessions
    run: without it nobody can prove more units. `clock`, `patience` and `increment` are those of
    every session's `Meter`; in the folder `meters` each keeps a file, and survives a restart.
    """

    def __init__(
        self,
        contracts: AsyncContracts,
        signer: Signer,
        meter_key: Key | None = None,
        *,
        clock: Clock | None = None,
        meters: Path | None = None,
        patience: int | None = PATIENCE,
        increment: int = 1,
        fees: Fees = Fees(),
    ) -> None:
        super().__init__(contracts, signer, fees=fees)
        self.meter_key = meter_key or Key.generate()
        self._clock, self._meters = clock, meters
        self._patience, self._increment = patience, increment

    # ------------------------------------------------------------------ opening

    async def open(
        self,
        quote: Quote,
        deposit: Money | None = None,
        *,
        pay: Payment | None = None,
        idempotency_key: str | None = None,
    ) -> OpenSession:
        """Opens a session of this quote and funds it. Again with the same quote: the same session.

        `deposit` None: the fee for all units of the tariff, or the smallest deposit if the tariff
        has no cap. `pay` None: from the wallet; by authorization at a desk. Paid by approval from
        the wallet, tokens are approved on the way, for exactly the deposit, and only if terms and
        payer are such that it would open; if the contract then refuses all the same, the approval
        stays.

        Raises WrongSignature for a quote that the advisor's key did not sign, WrongMeterKey for one
        that names another meter key than this client's, and whatever the contract refuses, with its
        numbers (QuoteExpired, DepositTooSmall, SessionExists, ...).
        """
        if quote.terms.meter_key != self.meter_key.address:
            raise WrongMeterKey(self.meter_key.address, quote.terms.meter_key)
        await self.fund(quote, deposit, pay=pay, idempotency_key=idempotency_key)
        return await self.join(quote.terms)

    async def fund(
        self,
        quote: Quote,
        deposit: Money | None = None,
        *,
        client_signature: bytes = b"",
        pay: Payment | None = None,
        idempotency_key: str | None = None,
    ) -> SessionId:
        """Opens a session as its payer, for oneself or for a client who signed its terms too.

        As `open`, for a payer who is not the client: `client_signature` is the client's `consent`.
        """
        escrow, terms = self.contracts.escrow, quote.terms
        await self._verify(quote)
        session_id = terms.session_id(escrow)
        held = (await self.contracts.session(session_id)).status
        if held is Status.OPEN:
            return session_id
        if held is not Status.NONE:
            raise SessionExists(session_id)
        amount = await self._deposit(terms, deposit)
        pay = self._way(pay, amount.token)
        key = idempotency_key or f"open:{session_id.hex()}"
        content = meant("open", session_id, amount.base_units)
        if await self._followed(key, content) is not None:
            return session_id
        await self._must_open(terms, amount, client_signature)
        if pay in ("authorization", "balance"):
            signing = partial(
                self.sign_opening, quote, amount, client_signature=client_signature, pay=pay
            )
            await self._hand_over(signing, key, content)
            return session_id
        data = calls.open(terms, amount.base_units, quote.signature, client_signature)
        async with self._paying:
            value = await self._pay(amount, escrow.contract, pay)
            await self._send(None, data, value, key, content)
        return session_id

    async def sign_opening(
        self,
        quote: Quote,
        deposit: Money | None = None,
        *,
        client_signature: bytes = b"",
        pay: Payment = "authorization",
        valid_for: int = HOUR,
    ) -> Relayable:
        """As `fund`, for anybody to send: by EIP-3009 within `valid_for` seconds, or from the
        balance as long as the quote holds. Raises PaymentNotPossible for other ways to pay.
        """
        escrow, terms = self.contracts.escrow, quote.terms
        await self._verify(quote)
        amount = await self._deposit(terms, deposit)
        if pay == "balance":
            signature = await self._sign(Opening(terms, amount.base_units))
            row = calls.OpeningRow(
                terms, amount.base_units, quote.signature, client_signature, signature
            )
            return self._relayable("open", calls.open_from_balance(row))
        _must_be_signable(pay, amount)
        nonce = opening_nonce(terms.session_id(escrow))
        before, signature = await self._authorize(amount, escrow.contract, nonce, valid_for)
        values = (terms, amount.base_units, 0, before, signature, quote.signature, client_signature)
        return self._relayable("open", calls.open_with_authorization(*values))

    async def consent(self, quote: Quote) -> bytes:
        """The client's own signature of the terms, for a payer who is somebody else.

        Raises WrongSignature, and WrongMeterKey for a meter key that is not this client's.
        """
        await self._verify(quote)
        if quote.terms.meter_key != self.meter_key.address:
            raise WrongMeterKey(self.meter_key.address, quote.terms.meter_key)
        escrow = self.contracts.escrow
        return await self._aside(lambda: sign_terms(self.signer, quote.terms, escrow))

    async def join(self, quote: Agreed) -> OpenSession:
        """The session of these terms that is open already, whoever opened it, with its meter.

        Raises SessionNotOpen, WrongMeterKey; RecordFileBusy if another meter has its file.
        """
        terms, escrow = terms_of(quote), self.contracts.escrow
        session_id = terms.session_id(escrow)
        held = await self.contracts.session(session_id)
        if held.status is not Status.OPEN:
            raise SessionNotOpen(session_id)
        path = None
        if self._meters is not None:
            self._meters.mkdir(parents=True, exist_ok=True)
            path = self._meters / f"{session_id.hex()}.jsonl"
        meter = Meter(
            terms,
            escrow,
            self.meter_key,
            held.deposit,
            clock=self._clock,
            path=path,
            patience=self._patience,
            increment=self._increment,
            acknowledged_by=await self.contracts.acknowledger(terms),
        )
        return OpenSession(session_id, terms, held.opened_at, meter)

    async def revoke(self, quote: Agreed, *, idempotency_key: str | None = None) -> TxReceipt:
        """As the payer: makes sure that a quote is never opened. Raises SessionExists if it was."""
        data, signing = calls.revoke(terms_of(quote), self.address), self.sign_revocation
        return await self._act(data, partial(signing, quote), idempotency_key)

    async def sign_revocation(self, quote: Agreed) -> Relayable:
        """As `revoke`, for anybody to send."""
        terms = terms_of(quote)
        signature = await self._sign(Revocation(terms.session_id(self.contracts.escrow)))
        return self._relayable("revoke", calls.revoke(terms, self.address, signature))

    # ------------------------------------------------------------------ while it runs

    async def top_up(
        self,
        session: Agreed,
        deposit: Money,
        *,
        pay: Payment | None = None,
        idempotency_key: str | None = None,
    ) -> Amount:
        """Raises the whole deposit to `deposit`; the session's meter goes on that far.

        `pay` None: from the wallet; by authorization at a desk.
        Raises DepositNotRaised, AlreadyClosing, SessionNotOpen.
        """
        terms, session_id = terms_of(session), terms_of(session).session_id(self.contracts.escrow)
        raised = (await self.contracts.token(terms.token)).amount(deposit)
        pay = self._way(pay, raised.token)
        content = meant("top up", session_id, raised.base_units)
        if await self._followed(idempotency_key, content) is None:
            await self._top_up(terms, session_id, raised, pay, idempotency_key, content)
        if isinstance(session, OpenSession):
            session.meter.deposit = raised.base_units
        return raised

    async def _top_up(
        self,
        terms: Terms,
        session_id: SessionId,
        raised: Amount,
        pay: Payment,
        idempotency_key: str | None,
        content: Hash,
    ) -> None:
        held = await self.contracts.session(session_id)
        if held.status not in (Status.OPEN, Status.CLOSING):
            raise SessionNotOpen(session_id)
        signing = partial(self.sign_top_up, terms, raised, pay=pay)
        if pay == "balance":
            data = calls.top_up_from_balance(terms, raised.base_units)
            await self._act(data, signing, idempotency_key, content)
        elif pay == "authorization":
            await self._hand_over(signing, idempotency_key, content)
        else:
            async with self._paying:
                added = Amount(BaseUnits(max(0, raised.base_units - held.deposit)), raised.token)
                value = await self._pay(added, self.contracts.escrow.contract, pay)
                data = calls.top_up(terms, raised.base_units)
                await self._send(None, data, value, idempotency_key, content)

    async def sign_top_up(
        self,
        session: Agreed,
        deposit: Money,
        *,
        pay: Payment = "authorization",
        valid_for: int = HOUR,
    ) -> Relayable:
        """As `top_up`, for anybody to send, by EIP-3009 or from the balance.

        Raise the meter's `deposit` when it has happened, and not before.
        """
        terms, escrow = terms_of(session), self.contracts.escrow
        session_id = terms.session_id(escrow)
        raised = (await self.contracts.token(terms.token)).amount(deposit)
        if pay == "balance":
            signature = await self._sign(TopUp(session_id, raised.base_units))
            data = calls.top_up_from_balance(terms, raised.base_units, signature)
            return self._relayable("top up", data)
        _must_be_signable(pay, raised)
        held = await self.contracts.session(session_id)
        added = Amount(BaseUnits(max(0, raised.base_units - held.deposit)), raised.token)
        nonce = top_up_nonce(session_id, raised.base_units)
        before, signature = await self._authorize(added, escrow.contract, nonce, valid_for)
        values = (terms, raised.base_units, 0, before, signature)
        return self._relayable("top up", calls.top_up_with_authorization(*values))

    async def leave(self, session: Agreed, *, idempotency_key: str | None = None) -> UnixTime:
        """Asks to close, and stops the meter: the chain counts no more time either.

        The moment (unix seconds) from which on anybody may finalize, and the rest of the deposit
        comes back. Raises AlreadyClosing, SessionNotOpen; a desk to which it was said already says
        the same again.
        """
        terms = terms_of(session)
        data, signing = calls.request_close(terms, self.address), self.sign_leaving
        receipt = await self._act(data, partial(signing, terms), idempotency_key)
        grace_ends = self._event(receipt, CloseRequested).grace_ends
        if isinstance(session, OpenSession) and not session.meter.has_left:
            session.meter.leave(UnixTime(grace_ends - terms.close_grace))
        return grace_ends

    async def sign_leaving(self, session: Agreed) -> Relayable:
        """As `leave`, for anybody to send. Stop the meter yourself: `session.meter.leave(...)`."""
        terms = terms_of(session)
        signature = await self._sign(Leaving(terms.session_id(self.contracts.escrow)))
        return self._relayable("leave", calls.request_close(terms, self.address, signature))

    # ------------------------------------------------------------------ afterwards

    async def tip(
        self,
        session: Agreed,
        amount: Money,
        *,
        memo: Hash = ZERO_HASH,
        pay: Payment | None = None,
        idempotency_key: str | None = None,
    ) -> Amount:
        """Gives the session's advisor `amount` of its token, all of it to them, at any time.

        `pay` None: from the wallet; by authorization at a desk.
        """
        terms, jar = terms_of(session), self.contracts.tip_jar
        given = (await self.contracts.token(terms.token)).amount(amount)
        pay = self._way(pay, given.token)
        if pay == "balance":
            raise PaymentNotPossible(pay, str(given.token), "tips come from the wallet")
        session_id = terms.session_id(self.contracts.escrow)
        content = meant("tip", session_id, given.base_units, memo)
        if await self._followed(idempotency_key, content) is not None:
            return given
        if pay == "authorization":
            signing = partial(self.sign_tip, terms, given, memo=memo)
            await self._hand_over(signing, idempotency_key, content)
            return given
        async with self._paying:
            value = await self._pay(given, jar, pay)
            data = calls.tip(terms.advisor, session_id, terms.token, given.base_units, memo)
            await self._send(jar, data, value, idempotency_key, content)
        return given

    async def sign_tip(
        self,
        session: Agreed,
        amount: Money,
        *,
        memo: Hash = ZERO_HASH,
        valid_for: int = HOUR,
    ) -> Relayable:
        """As `tip`, by EIP-3009, for anybody to send within `valid_for` seconds."""
        terms, jar = terms_of(session), self.contracts.tip_jar
        session_id = terms.session_id(self.contracts.escrow)
        given = (await self.contracts.token(terms.token)).amount(amount)
        salt = Hash(secrets.token_bytes(32))
        nonce = tip_nonce(terms.token, terms.advisor, session_id, memo, salt)
        before, signature = await self._authorize(given, jar, nonce, valid_for)
        data = calls.tip_with_authorization(
            self.address,
            terms.advisor,
            session_id,
            terms.token,
            given.base_units,
            memo,
            salt,
            0,
            before,
            signature,
        )
        return self._relayable("tip", data, jar)

    async def rate(
        self,
        session: Agreed,
        score: int,
        comment_hash: Hash = ZERO_HASH,
        *,
        idempotency_key: str | None = None,
    ) -> TxReceipt:
        """Scores a closed session, 1 to 5, once, within 30 days.

        `comment_hash` commits to words that stay off the chain (`protocol.note_hash`).
        Raises ScoreOutOfRange, SessionNotClosed, NothingEarned, AlreadyRated, RatingWindowOver.
        """
        data = calls.rate(terms_of(session), score, comment_hash)
        signing = partial(self.sign_rating, session, score, comment_hash)
        return await self._act(data, signing, idempotency_key)

    async def sign_rating(
        self, session: Agreed, score: int, comment_hash: Hash = ZERO_HASH
    ) -> Relayable:
        """As `rate`, for anybody to send."""
        terms = terms_of(session)
        session_id = terms.session_id(self.contracts.escrow)
        signature = await self._sign(Rating(session_id, score, comment_hash))
        return self._relayable("rate", calls.rate(terms, score, comment_hash, signature))

    # ------------------------------------------------------------------ within

    async def _verify(self, quote: Quote) -> None:
        """A key's quote is checked here; a contract wallet's only the chain can check."""
        if not await self.contracts.node.code(quote.terms.advisor):
            quote.verify(self.contracts.escrow)

    async def _must_open(self, terms: Terms, amount: Amount, client_signature: bytes) -> None:
        """What the contract would refuse is refused before any money is approved for it."""
        if terms.payer != self.address:
            raise SignatureMissing(terms.payer)
        if terms.client != self.address and not client_signature:
            raise SignatureMissing(terms.client)
        escrow, now = self.contracts.escrow.contract, await self.contracts.now()
        if (nonsense := refusal(terms, amount.base_units, escrow, now)) is not None:
            raise nonsense

    async def _deposit(self, terms: Terms, given: Money | None) -> Amount:
        token = await self.contracts.token(terms.token)
        if given is not None:
            return token.amount(given)
        return token.amount(terms.whole_deposit())


class Client(Account):
    """As AsyncClient, for programs without an event loop."""

    core: AsyncClient

    def __init__(
        self,
        contracts: Contracts,
        signer: Signer,
        meter_key: Key | None = None,
        *,
        clock: Clock | None = None,
        meters: Path | None = None,
        patience: int | None = PATIENCE,
        increment: int = 1,
        fees: Fees = Fees(),
    ) -> None:
        self.core = AsyncClient(
            contracts.core,
            signer,
            meter_key,
            clock=clock,
            meters=meters,
            patience=patience,
            increment=increment,
            fees=fees,
        )

    @property
    def meter_key(self) -> Key:
        """What signs the readings of this client's sessions."""
        return self.core.meter_key

    open = blocking(AsyncClient.open)
    fund = blocking(AsyncClient.fund)
    sign_opening = blocking(AsyncClient.sign_opening)
    consent = blocking(AsyncClient.consent)
    join = blocking(AsyncClient.join)
    revoke = blocking(AsyncClient.revoke)
    sign_revocation = blocking(AsyncClient.sign_revocation)
    top_up = blocking(AsyncClient.top_up)
    sign_top_up = blocking(AsyncClient.sign_top_up)
    leave = blocking(AsyncClient.leave)
    sign_leaving = blocking(AsyncClient.sign_leaving)
    tip = blocking(AsyncClient.tip)
    sign_tip = blocking(AsyncClient.sign_tip)
    rate = blocking(AsyncClient.rate)
    sign_rating = blocking(AsyncClient.sign_rating)


def _must_be_signable(pay: Payment, amount: Amount) -> None:
    if pay != "authorization":
        reason = "only an authorization or the balance can be signed for others to send"
        raise PaymentNotPossible(pay, str(amount.token), reason)
