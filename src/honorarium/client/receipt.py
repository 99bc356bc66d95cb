"""A receipt: what a client keeps of a session, worked out again from the session's log.

Nothing is believed that can be computed: the id from the terms, the fee from tariff and units, the
shares and the refund from the fee. It is pure: it reads no chain and no clock, and believes those
who collected the log (docs/receipts.md says what that means).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from honorarium.bill.lines import (
    Fiat,
    Line,
    Vat,
    fee_lines,
    platform_share,
    refund_place,
    tariff_words,
)
from honorarium.bill.log import Funding, Step, Tip, entries_to, read_log
from honorarium.bill.text import zone_of
from honorarium.chain import LogRecord
from honorarium.client import receipt_json, receipt_page
from honorarium.ids import Address, Hash, SessionId
from honorarium.money import Amount, Token
from honorarium.protocol.journal import EntryKind, Journal
from honorarium.protocol.slot import Status
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import UnixTime


@dataclass(frozen=True, slots=True)
class Contact:
    """Who somebody is beyond an address, by the word of whoever made the receipt."""

    name: str
    vat_id: str = ""
    lines: tuple[str, ...] = ()
    """Street, town, country, ...: a line each."""


@dataclass(frozen=True, slots=True)
class Rating:
    """The client's score, 1 to 5, and the hash of a comment (zero: none)."""

    score: int
    comment_hash: Hash


@dataclass(frozen=True)
class Receipt:
    """A session as its log proves it. Make one with `from_log`; times are unix seconds.

    While the session runs (`provisional`) fee, shares and refund are those of now.
    """

    session_id: SessionId
    domain: Domain
    token: Token
    tip_jar: Address | None
    terms: Terms
    status: Status
    units: int
    """The meter reading that the fee is computed from."""
    fee: Amount
    """What the session earned: the platform's share and the advisor's net."""
    fundings: tuple[Funding, ...]
    from_balance: bool
    refund_credited: bool
    opened_at: UnixTime
    answered_at: UnixTime | None
    """When the advisor answered, by the meter's journal; None if no journal was given."""
    closing_at: UnixTime | None
    grace_ends: UnixTime | None
    closed_at: UnixTime | None
    tips: tuple[Tip, ...]
    """From the client or the payer to the advisor, in any token."""
    tips_of_others: int
    """How many tips by strangers, or to strangers, name this session; they are not listed."""
    rating: Rating | None
    answer_hash: Hash | None
    steps: tuple[Step, ...]
    seller: Contact | None = None
    buyer: Contact | None = None
    vat: Vat | None = None
    fiat: Fiat | None = None
    zone: ZoneInfo | None = None

    @classmethod
    def from_log(
        cls,
        records: Iterable[LogRecord],
        session_id: SessionId,
        domain: Domain,
        token: Token,
        *,
        tip_jar: Address | None = None,
        journal: Journal | None = None,
    ) -> Receipt:
        """The receipt of a session, from log records in order, with the times of their blocks.

        Records of other sessions may be among them and are passed over. `domain` is the escrow's;
        `token` the one that the terms name. `tip_jar` is needed if there are tips. With the
        `journal` of the meter, the receipt tells when the advisor answered.

        Raises SessionUnknown, SessionRevoked; WrongDomain, WrongToken, ForeignRecord, TimeMissing
        for what does not belong to the session; LogContradicts where an event does not follow from
        the terms and the events before it; JournalChanged for a journal that does not lead to the
        head that was settled.
        """
        log = read_log(records, session_id, domain, token, tip_jar)
        reading = log.reading
        return cls(
            session_id=session_id,
            domain=domain,
            token=token,
            tip_jar=tip_jar,
            terms=log.terms,
            status=log.status,
            units=reading.units,
            fee=token.amount(log.earned),
            fundings=tuple(log.fundings),
            from_balance=log.from_balance,
            refund_credited=log.refund_credited,
            opened_at=log.opened_at,
            answered_at=_answered(journal, reading.journal, session_id),
            closing_at=log.closing_at or None,
            grace_ends=log.grace_ends or None,
            closed_at=log.closed_at or None,
            tips=tuple(log.tips),
            tips_of_others=log.tips_of_others,
            rating=Rating(log.score, log.comment_hash) if log.score else None,
            answer_hash=log.answer_hash,
            steps=log.steps,
        )

    # ------------------------------------------------------------------ what follows

    @property
    def provisional(self) -> bool:
        """The session still runs: more may be settled."""
        return self.status is not Status.CLOSED

    @property
    def deposit(self) -> Amount:
        """All that the payer put in."""
        return self.token.amount(self.fundings[-1].total)

    @property
    def refund(self) -> Amount:
        """The deposit less the fee."""
        return self.deposit - self.fee

    @property
    def refund_to(self) -> str:
        """`wallet` or `balance` of the payer, or `nobody` if nothing is left."""
        return refund_place(int(self.refund), self.from_balance or self.refund_credited)

    @property
    def platform_share(self) -> Amount:
        """The platform's part of the fee, rounded down to a base unit (ESC-15)."""
        return self.token.amount(platform_share(self.fee.base_units, self.terms.fee_bps))

    @property
    def advisor_net(self) -> Amount:
        """The rest of the fee, which is the advisor's."""
        return self.fee - self.platform_share

    @property
    def tipped(self) -> Amount:
        """The tips in the session's token."""
        own = (tip.amount for tip in self.tips if tip.token == self.token.address)
        return self.token.amount(sum(own))

    @property
    def total(self) -> Amount:
        """Fee and tips in the session's token."""
        return self.fee + self.tipped

    @property
    def lines(self) -> tuple[Line, ...]:
        """How the tariff makes the fee of the units; the amounts add up to it."""
        return fee_lines(self.terms.tariff, self.units, self.fee.base_units, self.token)

    @property
    def tariff_words(self) -> tuple[str, ...]:
        """The tariff in sentences."""
        return tariff_words(self.terms.tariff, self.token)

    # ------------------------------------------------------------------ what the user adds

    def with_contacts(
        self, *, seller: Contact | None = None, buyer: Contact | None = None
    ) -> Receipt:
        """With names beside the advisor's and the client's address."""
        return replace(self, seller=seller or self.seller, buyer=buyer or self.buyer)

    def with_vat(self, percent: str | Decimal | int, *, note: str = "") -> Receipt:
        """With the VAT that the fee contains, at `percent` of its net. Raises RateNotUsable.

        net = fee / (1 + percent / 100), rounded half up to a base unit; VAT = fee - net.
        """
        return replace(self, vat=Vat.of(percent, note))

    def with_fiat(
        self, currency: str, rate: str | Decimal | int, on: dt.date | str, source: str
    ) -> Receipt:
        """With the worth in `currency` (ISO 4217) at `rate` for a whole token, on a day, by a
        source; fee and tips are rounded half up, each on its own. Raises RateNotUsable.
        """
        return replace(self, fiat=Fiat.of(currency, rate, on, source))

    def with_zone(self, name: str) -> Receipt:
        """With times also in this zone, such as `Europe/Zurich`. Raises ZoneUnknown."""
        return replace(self, zone=zone_of(name))

    # ------------------------------------------------------------------ forms

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes: docs/receipts.md has the fields."""
        return receipt_json.as_dict(self)

    def to_json(self) -> str:
        """The receipt for machines, in the form that `version` names."""
        return receipt_json.as_json(self)

    def to_html(self) -> str:
        """The receipt for people: one page that needs nothing else, on screens and on paper."""
        return receipt_page.as_html(self)


def _answered(journal: Journal | None, head: Hash, session_id: SessionId) -> UnixTime | None:
    """When the advisor answered, if the journal leads to the head that the meter signed."""
    answers = [e.at for e in entries_to(head, journal, session_id) if e.kind is EntryKind.ANSWERED]
    return answers[-1] if answers else None
