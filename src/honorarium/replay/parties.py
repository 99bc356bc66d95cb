"""Who the people of the records are on chain, and what they sign.

The records know labels. Every label gets a key, derived from the label alone: this is a replay, its
money is play money, and whoever runs it again gets the same addresses. A caller who was not
identified is a client of their own; every session has a meter key of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash, SessionId
from honorarium.protocol.journal import Entry, EntryKind, Journal
from honorarium.protocol.keys import Key
from honorarium.protocol.messages import (
    Closing,
    Leaving,
    Rating,
    ReceiveWithAuthorization,
    Voucher,
    opening_nonce,
    tip_nonce,
)
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.replay.plan import PlannedSession
from honorarium.units import BaseUnits, Seconds, UnixTime

QUOTE_HOLDS: Final = Seconds(3600)
"""How long after the opening the advisor's quote would have held."""

CLOSING_HOLDS: Final = Seconds(3600)

_KINDS: Final = {
    "robot": EntryKind.ROBOT,
    "queue": EntryKind.QUEUED,
    "answered": EntryKind.ANSWERED,
    "left": EntryKind.LEFT,
    "closed": EntryKind.CLOSED,
}


@lru_cache(maxsize=4096)
def key_of(label: str) -> Key:
    """The key of a person of the records. Anybody can compute it: play money only."""
    return Key.from_bytes(_digest("key", label))


def _digest(purpose: str, label: str) -> bytes:
    return hashlib.sha256(f"honorarium replay {purpose}:{label}".encode()).digest()


@dataclass(frozen=True)
class Stage:
    """Where a replay plays: the contracts' domains and the token."""

    escrow: Domain
    tip_jar: Address
    token: Domain
    platform: Key
    close_grace: Seconds


@dataclass(frozen=True)
class Part:
    """A planned session with its terms, keys and id on a given stage."""

    stage: Stage
    planned: PlannedSession
    terms: Terms
    session_id: SessionId
    client: Key
    advisor: Key
    meter: Key

    def quote(self) -> bytes:
        """The advisor's signature of the terms."""
        return self.advisor.sign(self.session_id).packed()

    def opening_payment(self) -> tuple[UnixTime, bytes]:
        """Until when the client's wallet may be asked for the deposit, and their signature."""
        valid_before = self.terms.open_before
        nonce = opening_nonce(self.session_id)
        return valid_before, self._pay(
            self.stage.escrow.contract, self.planned.deposit, valid_before, nonce
        )

    def tip_payment(self) -> tuple[UnixTime, Hash, bytes]:
        """Valid until, salt and signature of the tip."""
        salt = Hash(_digest("tip", self.planned.call))
        valid_before = UnixTime(self.planned.closed_at + QUOTE_HOLDS)
        nonce = tip_nonce(
            self.terms.token, self.terms.advisor, self.session_id, Hash(bytes(32)), salt
        )
        return (
            valid_before,
            salt,
            self._pay(self.stage.tip_jar, self.planned.made_up.tip, valid_before, nonce),
        )

    def _pay(self, to: Address, value: BaseUnits, valid_before: UnixTime, nonce: Hash) -> bytes:
        message = ReceiveWithAuthorization(
            self.client.address, to, value, UnixTime(0), valid_before, nonce
        )
        return self.client.sign(message.digest(self.stage.token)).packed()

    def journal(self) -> Journal:
        """What happened to the caller: robot and queue, free, then the human or the hang-up."""
        journal = Journal(self.session_id)
        for note in self.planned.journal:
            journal.append(Entry(note.at, _KINDS[note.name]))
        return journal

    def voucher(self) -> SignedVoucher | None:
        """The meter's last reading; None if nothing was served."""
        return self.reading(self.planned.units) if self.planned.units else None

    def reading(self, units: int) -> SignedVoucher:
        """The meter's reading of so many units, with the whole journal."""
        voucher = Voucher(self.session_id, units, self.journal().head)
        return SignedVoucher.sign(voucher, self.meter, self.stage.escrow)

    def closing(self) -> tuple[UnixTime, bytes]:
        """The advisor's consent to close on that voucher: deadline and signature."""
        deadline = UnixTime(self.planned.closed_at + CLOSING_HOLDS)
        journal = self.journal().head if self.planned.units else ZERO_HASH
        message = Closing(self.session_id, self.planned.units, journal, deadline)
        return deadline, self.advisor.sign(message.digest(self.stage.escrow)).packed()

    def leaving(self) -> bytes:
        """The client's wish to close."""
        return self.client.sign(Leaving(self.session_id).digest(self.stage.escrow)).packed()

    def rating(self) -> tuple[Hash, bytes]:
        """Hash of the made-up comment, and the client's signature of score and hash."""
        comment = Hash(_digest("comment", self.planned.call))
        message = Rating(self.session_id, self.planned.made_up.score, comment)
        return comment, self.client.sign(message.digest(self.stage.escrow)).packed()


def cast(stage: Stage, planned: PlannedSession) -> Part:
    """The session of the records with everybody in their part."""
    client, advisor = key_of(planned.client), key_of(planned.advisor)
    meter = Key.from_bytes(_digest("meter", planned.call))
    bps = planned.billing.platform_bps
    terms = Terms(
        client=client.address,
        payer=client.address,
        advisor=advisor.address,
        meter_key=meter.address,
        token=stage.token.contract,
        tariff=planned.billing.tariff,
        fee_bps=bps,
        fee_recipient=stage.platform.address if bps else ZERO_ADDRESS,
        open_before=UnixTime(planned.opened_at + QUOTE_HOLDS),
        close_grace=stage.close_grace,
        context=Hash(_digest("context", planned.call)),
        salt=0,
    )
    return Part(stage, planned, terms, terms.session_id(stage.escrow), client, advisor, meter)
