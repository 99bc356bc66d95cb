"""The advisor: quotes, settles, closes, answers, withdraws.

`Advisor` blocks, `AsyncAdvisor` is for asyncio; both do the same by the same code.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from honorarium.chain import calls
from honorarium.chain.account import HOUR, Account, Agreed, AsyncAccount, terms_of
from honorarium.chain.calls import ClosingRow, Settlement, Tally
from honorarium.chain.contracts import Contracts, read_events
from honorarium.chain.gas import Fees
from honorarium.chain.receipts import TxReceipt
from honorarium.chain.relay import Relayable
from honorarium.chain.wire import blocking
from honorarium.errors import ContractError, SessionNotOpen, TransactionFailed
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash
from honorarium.money import Amount
from honorarium.protocol.events import RowSkipped, SessionClosed, Settled
from honorarium.protocol.messages import Answer, Closing, Revocation
from honorarium.protocol.moments import present
from honorarium.protocol.refusal import refusal
from honorarium.protocol.signed import Quote, SignedVoucher
from honorarium.protocol.signer import Signer, sign_terms
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.units import MAX_AMOUNT, Bps, Seconds, UnixTime

ROWS_AT_ONCE: Final = 50
"""So many sessions one transaction settles or closes."""


@dataclass(frozen=True, slots=True)
class Earned:
    """What a settlement or a closing brought. `earned` is the session's whole fee so far, the
    platform's share included.
    """

    units: int
    earned: Amount
    tx_hash: Hash
    gas_used: int


class AsyncAdvisor(AsyncAccount):
    """Somebody who advises, and earns."""

    # ------------------------------------------------------------------ quotes

    async def quote(
        self,
        client: Address,
        meter_key: Address,
        tariff: Tariff,
        *,
        token: Address | None = None,
        payer: Address | None = None,
        platform: Address = ZERO_ADDRESS,
        platform_bps: int = 0,
        holds: int = HOUR,
        close_grace: int = HOUR,
        context: Hash | None = None,
        salt: int = 0,
    ) -> Quote:
        """Terms for this client, signed.

        `token` None: the chain's test token; zero: its coin. `payer` None: the client. The offer
        `holds` so many seconds from now on; who leaves waits `close_grace` seconds.
        `context` commits to what else was agreed; None: 32 random bytes. `salt` makes terms differ
        that are else the same.

        Raises FieldNotUsable for a value that a field has no room for, and what the contract would
        refuse to open (InvalidParty, NothingToPay, ShareWithoutRecipient, GraceOutOfRange, ...).
        """
        now = present(await self.contracts.now(), int(time.time()))
        escrow = self.contracts.escrow
        terms = Terms(
            client=client,
            payer=payer or client,
            advisor=self.address,
            meter_key=meter_key,
            token=self._token(token),
            tariff=tariff,
            fee_bps=Bps(platform_bps),
            fee_recipient=platform,
            open_before=UnixTime(now + holds),
            close_grace=Seconds(close_grace),
            context=context or Hash(secrets.token_bytes(32)),
            salt=salt,
        )
        if (nonsense := refusal(terms, MAX_AMOUNT, escrow.contract, now)) is not None:
            raise nonsense
        return Quote(terms, await self._aside(lambda: sign_terms(self.signer, terms, escrow)))

    async def revoke(self, quote: Agreed, *, idempotency_key: str | None = None) -> TxReceipt:
        """Makes sure that a quote is never opened. Raises SessionExists if it was."""
        data, signing = calls.revoke(terms_of(quote), self.address), self.sign_revocation
        return await self._act(data, partial(signing, quote), idempotency_key)

    async def sign_revocation(self, quote: Agreed) -> Relayable:
        """As `revoke`, for anybody to send."""
        terms = terms_of(quote)
        signature = await self._sign(Revocation(terms.session_id(self.contracts.escrow)))
        return self._relayable("revoke", calls.revoke(terms, self.address, signature))

    # ------------------------------------------------------------------ earning

    async def settle(
        self, session: Agreed, voucher: SignedVoucher, *, idempotency_key: str | None = None
    ) -> Earned:
        """Takes what a voucher proves; the session goes on.

        Raises StaleVoucher, TooManyUnits, WrongSigner, SessionNotOpen.
        """
        return await self._settle(Settlement(terms_of(session), voucher), idempotency_key)

    async def _settle(self, row: Settlement, idempotency_key: str | None) -> Earned:
        data = calls.settle(row.terms, row.voucher)
        receipt = await self._act(data, self._unsigned("settle", data), idempotency_key)
        return await self._earned(row.terms, receipt)

    async def settle_all(
        self, rows: Sequence[Settlement], *, idempotency_key: str | None = None
    ) -> list[Earned | ContractError]:
        """Settles many sessions, 50 per transaction: what each row brought, or why it was skipped,
        in the order of the rows. A bad row holds nobody up. At a desk it is one after the other.
        """
        results: list[Earned | ContractError] = []
        if self.contracts.carrier is not None:
            for at, row in enumerate(rows):
                settling = self._settle(row, _part_of(idempotency_key, at))
                results.append(await _brought(settling))
            return results
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part, key = rows[start : start + ROWS_AT_ONCE], _part_of(idempotency_key, start)
            receipt = await self._send(None, calls.settle_batch(part), 0, key, None)
            results += await self._results([row.terms for row in part], receipt)
        return results

    async def close(
        self,
        session: Agreed,
        voucher: SignedVoucher | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Earned:
        """Takes what the last voucher proves, if there is one, and gives back the rest.

        Raises TooManyUnits, WrongSigner, SessionNotOpen.
        """
        terms, data = terms_of(session), calls.close(terms_of(session), voucher)

        async def signing() -> Relayable:
            row = await self.sign_closing(terms, voucher)
            return self._relayable("close", calls.close_for(row))

        return await self._earned(terms, await self._act(data, signing, idempotency_key))

    async def sign_closing(
        self, session: Agreed, voucher: SignedVoucher | None = None, *, valid_for: int = HOUR
    ) -> ClosingRow:
        """The advisor's consent to close on exactly this voucher, within `valid_for` seconds.

        Anybody may send it then: as a row of `close_all`.
        """
        terms = terms_of(session)
        units, journal = (voucher.units, voucher.journal) if voucher else (0, ZERO_HASH)
        deadline = UnixTime(await self.contracts.now() + valid_for)
        session_id = terms.session_id(self.contracts.escrow)
        signature = await self._sign(Closing(session_id, units, journal, deadline))
        return ClosingRow(terms, voucher, deadline, signature)

    async def close_all(
        self, rows: Sequence[ClosingRow], *, idempotency_key: str | None = None
    ) -> list[Earned | ContractError]:
        """Closes many sessions, 50 per transaction; results as of `settle_all`.

        A row without a signature closes a session of this account's own: look at what others hand
        in before you send it.
        """
        results: list[Earned | ContractError] = []
        if self.contracts.carrier is not None:
            for at, row in enumerate(rows):
                closing = self._close(row, _part_of(idempotency_key, at))
                results.append(await _brought(closing))
            return results
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part, key = rows[start : start + ROWS_AT_ONCE], _part_of(idempotency_key, start)
            receipt = await self._send(None, calls.close_batch(part), 0, key, None)
            results += await self._results([row.terms for row in part], receipt)
        return results

    async def _close(self, row: ClosingRow, idempotency_key: str | None) -> Earned:
        """One row, as it was signed, or with this account's own consent."""
        if not row.advisor_signature:
            return await self.close(row.terms, row.voucher, idempotency_key=idempotency_key)
        signed = self._relayable("close", calls.close_for(row))
        return await self._earned(
            row.terms, await self.relay(signed, idempotency_key=idempotency_key)
        )

    # ------------------------------------------------------------------ afterwards

    async def answer(
        self, session: Agreed, answer_hash: Hash, *, idempotency_key: str | None = None
    ) -> TxReceipt:
        """Answers a rating, once. Raises NotRated, AlreadyAnswered."""
        data = calls.answer(terms_of(session), answer_hash)
        signing = partial(self.sign_answer, session, answer_hash)
        return await self._act(data, signing, idempotency_key)

    async def sign_answer(self, session: Agreed, answer_hash: Hash) -> Relayable:
        """As `answer`, for anybody to send."""
        terms = terms_of(session)
        message = Answer(terms.session_id(self.contracts.escrow), answer_hash)
        signature = await self._sign(message)
        return self._relayable("answer", calls.answer(terms, answer_hash, signature))

    async def rating(self) -> Tally:
        """How often this advisor was rated, and the sum of the scores."""
        return await self.contracts.rating(self.address)

    # ------------------------------------------------------------------ within

    async def _earned(self, terms: Terms, receipt: TxReceipt) -> Earned:
        (result,) = await self._results([terms], receipt)
        if isinstance(result, ContractError):
            raise result
        return result

    async def _results(
        self, terms: Sequence[Terms], receipt: TxReceipt
    ) -> list[Earned | ContractError]:
        """What the log of one transaction says of each of these sessions."""
        escrow = self.contracts.escrow
        events = read_events(receipt, escrow.contract)
        skipped = {event.row: event.reason for event in events if isinstance(event, RowSkipped)}
        brought = [event for event in events if isinstance(event, Settled | SessionClosed)]
        results: list[Earned | ContractError] = []
        for row, each in enumerate(terms):
            if row in skipped:
                results.append(skipped[row])
                continue
            session_id = each.session_id(escrow)
            event = next((e for e in brought if e.session_id == session_id), None)
            if event is None:
                raise SessionNotOpen(session_id)
            brought.remove(event)
            token = await self.contracts.token(each.token)
            earned = token.amount(event.earned)
            results.append(Earned(event.units, earned, receipt.tx_hash, receipt.gas_used))
        return results


class Advisor(Account):
    """As AsyncAdvisor, for programs without an event loop."""

    core: AsyncAdvisor

    def __init__(
        self,
        contracts: Contracts,
        signer: Signer,
        *,
        fees: Fees = Fees(),
    ) -> None:
        self.core = AsyncAdvisor(contracts.core, signer, fees=fees)

    quote = blocking(AsyncAdvisor.quote)
    revoke = blocking(AsyncAdvisor.revoke)
    sign_revocation = blocking(AsyncAdvisor.sign_revocation)
    settle = blocking(AsyncAdvisor.settle)
    settle_all = blocking(AsyncAdvisor.settle_all)
    close = blocking(AsyncAdvisor.close)
    sign_closing = blocking(AsyncAdvisor.sign_closing)
    close_all = blocking(AsyncAdvisor.close_all)
    answer = blocking(AsyncAdvisor.answer)
    sign_answer = blocking(AsyncAdvisor.sign_answer)
    rating = blocking(AsyncAdvisor.rating)


async def _brought(trying: Awaitable[Earned]) -> Earned | ContractError:
    """What it brought, or why the contract refused it."""
    try:
        return await trying
    except ContractError as refused:
        return refused
    except TransactionFailed as failed:
        if failed.reason is None:
            raise
        return failed.reason


def _part_of(idempotency_key: str | None, start: int) -> str | None:
    """The key of the transaction that begins at this row."""
    return None if idempotency_key is None else f"{idempotency_key}/{start}"
