"""The advisor: quotes, settles, closes, answers, withdraws."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from honorarium.chain import Contracts, Receipt, calls, read_events
from honorarium.errors import SessionNotOpen
from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.protocol.events import SessionClosed, Settled
from honorarium.protocol.keys import Key
from honorarium.protocol.signed import Quote, SignedVoucher
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Earned:
    """What a settlement or a closing brought. `earned` is the session's whole fee, base units."""

    units: int
    earned: BaseUnits
    tx_hash: Hash
    gas_used: int


class Advisor:
    """Somebody who advises, and earns."""

    def __init__(self, contracts: Contracts, key: Key) -> None:
        self._contracts, self._key = contracts, key
        self._sender = contracts.sender(key)
        self.address: Address = key.address

    def quote(
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
    ) -> Quote:
        """Terms for this client, signed.

        `token` None: the chain's test token; zero: its coin. `payer` None: the client. The offer
        `holds` so many seconds from the latest block on; who leaves waits `close_grace` seconds.
        `context` commits to what else was agreed; None: 32 random bytes.
        """
        terms = Terms(
            client=client,
            payer=payer or client,
            advisor=self.address,
            meter_key=meter_key,
            token=self._contracts.default_token() if token is None else token,
            tariff=tariff,
            fee_bps=Bps(platform_bps),
            fee_recipient=platform,
            open_before=UnixTime(self._contracts.now() + holds),
            close_grace=Seconds(close_grace),
            context=context or Hash(secrets.token_bytes(32)),
            salt=0,
        )
        return Quote.sign(terms, self._key, self._contracts.escrow)

    def revoke(self, terms: Terms) -> None:
        """Makes sure that a quote is never opened. Raises SessionExists if it was."""
        self._act(calls.revoke(terms, self.address))

    def settle(self, terms: Terms, voucher: SignedVoucher) -> Earned:
        """Takes what a voucher proves; the session goes on.

        Raises StaleVoucher, TooManyUnits, WrongSigner, SessionNotOpen.
        """
        return self._earned(terms, self._act(calls.settle(terms, voucher)))

    def close(self, terms: Terms, voucher: SignedVoucher | None = None) -> Earned:
        """Takes what the last voucher proves, if there is one, and gives back the rest.

        Raises TooManyUnits, WrongSigner, SessionNotOpen.
        """
        return self._earned(terms, self._act(calls.close(terms, voucher)))

    def answer(self, terms: Terms, answer_hash: Hash) -> None:
        """Answers a rating, once. Raises NotRated, AlreadyAnswered."""
        self._act(calls.answer(terms, answer_hash))

    def balance(self, token: Address) -> BaseUnits:
        """What the escrow owes the advisor, in base units."""
        return BaseUnits(self._contracts.balance(token, self.address))

    def withdraw(
        self, token: Address, amount: int | None = None, to: Address | None = None
    ) -> None:
        """Pays out `amount` base units (None: everything) to `to` (None: the own wallet).

        Raises BalanceTooSmall, ZeroAmount, PaymentFailed.
        """
        amount = self.balance(token) if amount is None else amount
        self._act(calls.withdraw(token, amount, to or self.address))

    def _act(self, data: bytes) -> Receipt:
        return self._sender.transact(self._contracts.escrow.contract, data)

    def _earned(self, terms: Terms, receipt: Receipt) -> Earned:
        session_id = terms.session_id(self._contracts.escrow)
        for event in read_events(receipt, self._contracts.escrow.contract):
            if isinstance(event, SessionClosed | Settled) and event.session_id == session_id:
                return Earned(event.units, event.earned, receipt.tx_hash, receipt.gas_used)
        raise SessionNotOpen(session_id)
