"""Who agreed to what in one session, and how anybody can see it: read anew from the calldata.

Pure, but for the tokens' domains, which the caller hands in as a function. A time is that of the
block: when a consent took effect, not when somebody signed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from honorarium.audit.calldata import (
    AnswerRow,
    Authorized,
    CloseRow,
    OpenRow,
    RateRow,
    rows_of,
    vouchers_of,
)
from honorarium.audit.consent import authorized_digest
from honorarium.bill import counted
from honorarium.chain import LogRecord, Transaction
from honorarium.errors import BadSignature
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Rated,
    SessionClosed,
    SessionOpened,
    Settled,
    ToppedUp,
)
from honorarium.protocol.keys import Signature, recover
from honorarium.protocol.messages import Answer, Closing, Opening, Rating, Voucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, UnixTime

_R = TypeVar("_R", OpenRow, CloseRow, RateRow, AnswerRow)


class Proof(Enum):
    """How a consent can be seen. The contract let every one of them pass."""

    SIGNATURE = "signed: the key was recovered from the transaction"
    CALL = "sent the transaction"
    CONTRACT = "not read here: the contract accepted it"
    OTHER_KEY = "signed by another key: only right if the party is a contract wallet"


@dataclass(frozen=True, slots=True)
class Consent:
    """One agreement that the session's money rests on."""

    role: str  # advisor, client, payer, meter
    party: Address
    what: str
    time: UnixTime
    tx_hash: Hash
    proof: Proof


Separator = Callable[[Address], bytes | None]
"""A token's EIP-712 domain separator; None: it has none."""


@dataclass(frozen=True, slots=True)
class _Reader:
    session_id: SessionId
    terms: Terms
    domain: Domain
    record: LogRecord
    sent: Transaction | None
    separator: Separator

    def consents(self) -> Iterator[Consent]:
        event, terms = self.record.event, self.terms
        match event:
            case SessionOpened():
                yield from self._opening()
            case ToppedUp():
                yield self._by("payer", terms.payer, "the top-up", self._called(terms.payer))
            case Settled() | SessionClosed():
                if event.units:
                    what = f"the meter reading of {counted(event.units, terms.tariff)}"
                    yield self._by("meter", terms.meter_key, what, self._voucher(event))
                if isinstance(event, SessionClosed):
                    yield from self._closing()
            case CloseRequested():
                role = "payer" if event.by == terms.payer != terms.client else "client"
                yield self._by(role, event.by, "leaving", self._called(event.by))
            case Rated():
                what = f"the rating, {event.score} of 5"
                rating = Rating(self.session_id, event.score, event.comment_hash)
                rated = self._row(RateRow)
                said = None if rated is None else rated.signature
                proof = self._proof(terms.client, rating.digest(self.domain), said)
                yield self._by("client", terms.client, what, proof)
            case Answered():
                answer = Answer(self.session_id, event.answer_hash)
                answered = self._row(AnswerRow)
                said = None if answered is None else answered.signature
                proof = self._proof(terms.advisor, answer.digest(self.domain), said)
                yield self._by("advisor", terms.advisor, "the answer", proof)
            case _:
                pass

    def _opening(self) -> Iterator[Consent]:
        terms, row = self.terms, self._row(OpenRow)
        by_id = Hash(self.session_id)
        said = None if row is None else row.advisor_signature
        proof = self._proof(terms.advisor, by_id, said)
        yield self._by("advisor", terms.advisor, "the quote: all of the terms", proof)
        if terms.client != terms.payer:
            said = None if row is None else row.client_signature
            proof = self._proof(terms.client, by_id, said)
            yield self._by("client", terms.client, "the terms", proof)
        if row is None:
            proof = Proof.CONTRACT
        elif isinstance(row.payer, Authorized):
            separator = self.separator(terms.token) or bytes(32)
            digest = authorized_digest(separator, self.domain, row, row.payer)
            proof = self._proof(terms.payer, digest, row.payer.signature)
        else:
            digest = Opening(terms, BaseUnits(row.deposit)).digest(self.domain)
            proof = self._proof(terms.payer, digest, row.payer or b"")
        yield self._by("payer", terms.payer, "the opening and its deposit", proof)

    def _closing(self) -> Iterator[Consent]:
        row, proof = self._row(CloseRow), Proof.CONTRACT
        if row is not None:
            if row.finalize:
                return  # anyone may, once the grace period is over
            closing = Closing(self.session_id, row.units, row.journal, UnixTime(row.deadline))
            digest = closing.digest(self.domain)
            proof = self._proof(self.terms.advisor, digest, row.advisor_signature)
        yield self._by("advisor", self.terms.advisor, "the closing", proof)

    def _voucher(self, event: Settled | SessionClosed) -> Proof:
        if self.sent is None or self.sent.to != self.domain.contract:
            return Proof.CONTRACT
        reading = Voucher(self.session_id, event.units, event.journal)
        for row in vouchers_of(self.sent.data):
            same = (row.units, row.journal) == (event.units, event.journal)
            if same and row.terms.session_id(self.domain) == self.session_id:
                digest = reading.digest(self.domain)
                return self._proof(self.terms.meter_key, digest, row.signature)
        return Proof.CONTRACT

    # ------------------------------------------------------------------ which call it was

    def _row(self, kind: type[_R]) -> _R | None:
        """The row of the calldata that did it; None if it is not in a call of the escrow."""
        if self.sent is None or self.sent.to != self.domain.contract:
            return None
        for row in rows_of(self.sent.data):
            if isinstance(row, kind) and row.terms.session_id(self.domain) == self.session_id:
                return row
        return None

    def _called(self, party: Address) -> Proof:
        sent = self.sent
        if sent is not None and (sent.to, sent.sender) == (self.domain.contract, party):
            return Proof.CALL
        return Proof.CONTRACT

    def _proof(self, party: Address, digest: Hash, signature: bytes | None) -> Proof:
        """`signature` None: it is not in the transaction's data; empty: the party called."""
        if not signature:
            return Proof.CONTRACT if signature is None else self._called(party)
        try:
            signer = recover(digest, Signature.from_bytes(signature))
        except BadSignature:
            return Proof.OTHER_KEY
        return Proof.SIGNATURE if signer == party else Proof.OTHER_KEY

    def _by(self, role: str, party: Address, what: str, proof: Proof) -> Consent:
        return Consent(role, party, what, self.record.time, self.record.tx_hash, proof)


def consents_of(
    session_id: SessionId,
    terms: Terms,
    domain: Domain,
    records: list[LogRecord],
    sent: Mapping[Hash, Transaction],
    separator: Separator,
) -> tuple[Consent, ...]:
    """Who agreed to what, in the order in which it took effect.

    `records` are the session's own, in order; `sent` the transactions that they came from. What a
    missing transaction would show is `Proof.CONTRACT`.
    """
    return tuple(
        consent
        for record in records
        for consent in _Reader(
            session_id, terms, domain, record, sent.get(record.tx_hash), separator
        ).consents()
    )
