"""The client: takes a quote, pays a deposit, meters, leaves if need be, rates."""

from __future__ import annotations

from dataclasses import dataclass

from honorarium.chain import Contracts, calls
from honorarium.client.meter import Meter, WrongMeterKey
from honorarium.errors import SessionNotOpen
from honorarium.ids import ZERO_HASH, Address, Hash, SessionId
from honorarium.protocol.keys import Key
from honorarium.protocol.signed import Quote
from honorarium.protocol.terms import Terms
from honorarium.units import BaseUnits, UnixTime


@dataclass(frozen=True)
class OpenSession:
    """A session that this client opened, with its meter."""

    id: SessionId
    terms: Terms
    opened_at: UnixTime
    meter: Meter


class Client:
    """Somebody who is advised and pays from their own wallet.

    `meter_key` signs the readings; a new one is made if none is given. Keep it as long as sessions
    run: without it nobody can prove more units.
    """

    def __init__(self, contracts: Contracts, key: Key, meter_key: Key | None = None) -> None:
        self._contracts, self._sender = contracts, contracts.sender(key)
        self.address: Address = key.address
        self.meter_key = meter_key or Key.generate()

    def open(self, quote: Quote, deposit: int | None = None) -> OpenSession:
        """Opens a session of this quote and funds it from the wallet.

        `deposit` in base units; None: the fee for all units of the tariff, or the smallest deposit
        if the tariff has no cap. Tokens are approved on the way, for exactly the deposit.

        Raises WrongSignature for a quote that the advisor's key did not sign, WrongMeterKey for one
        that names another meter key than this client's, and whatever the contract refuses, with its
        numbers (QuoteExpired, DepositTooSmall, SessionExists, ...); the approval stays then.
        """
        terms, escrow = quote.terms, self._contracts.escrow
        quote.verify(escrow)
        if terms.meter_key != self.meter_key.address:
            raise WrongMeterKey(self.meter_key.address, terms.meter_key)
        if deposit is None:
            cap = terms.tariff.max_units
            deposit = terms.tariff.fee(cap) if cap else terms.smallest_deposit()
        coin = not any(terms.token)
        if not coin:
            self._sender.transact(terms.token, calls.approve(escrow.contract, deposit))
        receipt = self._sender.transact(
            escrow.contract,
            calls.open(terms, deposit, quote.signature),
            value=deposit if coin else 0,
        )
        return OpenSession(
            terms.session_id(escrow),
            terms,
            self._contracts.node.block(receipt.block).timestamp,
            Meter(terms, escrow, self.meter_key, BaseUnits(deposit)),
        )

    def top_up(self, session: OpenSession, deposit: int) -> None:
        """Raises the whole deposit to `deposit` base units, from the wallet.

        Raises DepositNotRaised, AlreadyClosing, SessionNotOpen.
        """
        terms, escrow = session.terms, self._contracts.escrow.contract
        held = calls.session(self._contracts.node, escrow, session.id)
        if held.status not in (calls.Status.OPEN, calls.Status.CLOSING):
            raise SessionNotOpen(session.id)
        added = max(0, deposit - held.deposit)
        coin = not any(terms.token)
        if not coin:
            self._sender.transact(terms.token, calls.approve(escrow, added))
        self._sender.transact(escrow, calls.top_up(terms, deposit), value=added if coin else 0)
        session.meter.deposit = BaseUnits(deposit)

    def leave(self, session: OpenSession) -> None:
        """Asks to close, and stops the meter: the chain counts no more time either.

        After the terms' close_grace anybody may finalize, and the rest of the deposit comes back.

        Raises AlreadyClosing, SessionNotOpen.
        """
        self._act(calls.request_close(session.terms, self.address))
        session.meter.leave(self._contracts.now())

    def finalize(self, session: OpenSession) -> None:
        """Ends a session whose grace is over. Raises GraceRunning, NotClosing, SessionNotOpen."""
        self._act(calls.finalize(session.terms))

    def rate(self, terms: Terms, score: int, comment_hash: Hash = ZERO_HASH) -> None:
        """Scores a closed session, 1 to 5, once, within 30 days.

        Raises ScoreOutOfRange, SessionNotClosed, NothingEarned, AlreadyRated, RatingWindowOver.
        """
        self._act(calls.rate(terms, score, comment_hash))

    def tip(self, session: OpenSession, amount: int, memo: Hash = ZERO_HASH) -> None:
        """Gives the session's advisor `amount` base units of its token, all of it to them."""
        terms, jar = session.terms, self._contracts.tip_jar
        coin = not any(terms.token)
        if not coin:
            self._sender.transact(terms.token, calls.approve(jar, amount))
        data = calls.tip(terms.advisor, session.id, terms.token, amount, memo)
        self._sender.transact(jar, data, value=amount if coin else 0)

    def _act(self, data: bytes) -> None:
        self._sender.transact(self._contracts.escrow.contract, data)
