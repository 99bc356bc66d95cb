"""An account's money, entry by entry, out of the log: what it earned, was tipped, took out, paid.

Pure: no chain, no clock. The contract's arithmetic is done again, so that each entry knows what it
changed; whoever has the contract's balance can compare (`Entries.balances`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from honorarium.bill import platform_share
from honorarium.chain import LogRecord
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.protocol.events import (
    Deposited,
    RefundCredited,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
    Withdrawn,
)
from honorarium.protocol.terms import Terms
from honorarium.units import BlockNumber, UnixTime


class Kind(StrEnum):
    """What an entry is."""

    FEE = "fee"  # credited for units of a session
    TIP = "tip"  # straight to the wallet
    WITHDRAWAL = "withdrawal"  # out of the escrow
    GAS = "gas"  # paid to the chain for a transaction
    OTHER = "other"  # a deposit, a refund, a session paid from the balance, a platform's share


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, base units of `token`, at the time of its block.

    `gross` is what the client paid and `platform` the platform's share of it; `amount` is what the
    account got, or below zero gave: of a fee gross less platform. `party` is who paid or was paid.
    """

    kind: Kind
    time: UnixTime
    block: BlockNumber
    tx_hash: Hash
    token: Address
    amount: int
    gross: int = 0
    platform: int = 0
    session: SessionId | None = None
    party: Address | None = None
    units: int = 0
    text: str = ""

    @property
    def in_escrow(self) -> int:
        """What it changed of the account's balance in the escrow."""
        return 0 if self.kind in (Kind.TIP, Kind.GAS) else self.amount

    @property
    def income(self) -> bool:
        """Whether it is paid for advice."""
        return self.kind in (Kind.FEE, Kind.TIP)


@dataclass(slots=True)
class _Course:
    """A session as far as it went."""

    terms: Terms
    deposit: int
    from_balance: bool
    units: int = 0
    earned: int = 0


@dataclass(slots=True)
class Entries:
    """All entries of an account, in order, and what the escrow owes it after them."""

    account: Address
    entries: list[Entry] = field(default_factory=list)
    balances: dict[Address, int] = field(default_factory=lambda: defaultdict(int))
    terms: dict[SessionId, Terms] = field(default_factory=dict)
    """Of every session that the account has a part in."""

    @property
    def tokens(self) -> frozenset[Address]:
        """The tokens that the account agreed to be paid in."""
        return frozenset(t.token for t in self.terms.values() if t.advisor == self.account)


@dataclass(frozen=True, slots=True)
class Paid:
    """What a transaction of the account cost it, in wei."""

    tx_hash: Hash
    wei: int


def read_entries(
    records: Iterable[LogRecord], account: Address, paid: Iterable[Paid] = ()
) -> Entries:
    """The account's entries, out of log records in the chain's order, with their blocks' times.

    Records that do not concern the account are passed over. `paid` are the transactions that the
    account sent itself; those with a record here become entries of gas.
    """
    return _Reader(account, {each.tx_hash: each.wei for each in paid}).read(records)


class _Reader:
    def __init__(self, account: Address, paid: Mapping[Hash, int]) -> None:
        self._found = Entries(account)
        self._account, self._paid = account, dict(paid)
        self._courses: dict[SessionId, _Course] = {}

    def read(self, records: Iterable[LogRecord]) -> Entries:
        for record in records:
            wei = self._paid.pop(record.tx_hash, None)
            if wei is not None:
                self._add(record, Kind.GAS, ZERO_ADDRESS, -wei, text="for a transaction")
            self._enter(record)
        return self._found

    def _enter(self, record: LogRecord) -> None:
        event, account = record.event, self._account
        match event:
            case SessionOpened():
                self._open(record, event)
            case ToppedUp():
                self._top_up(record, event)
            case Settled() | SessionClosed():
                self._credit(record, event)
            case RefundCredited() if event.payer == account:
                course = self._courses[event.session_id]
                text = "a refund that the wallet did not take"
                self._other(record, course.terms.token, event.refund, text, event.session_id)
            case Deposited() if event.account == account:
                self._other(record, event.token, event.amount, "a deposit", party=event.from_)
            case Withdrawn() if event.account == account:
                kind, to = Kind.WITHDRAWAL, event.to
                self._add(record, kind, event.token, -event.amount, party=to)
            case Tipped() if event.advisor == account:
                named = event.session_id if any(event.session_id) else None
                amount = event.amount
                self._add(
                    record,
                    Kind.TIP,
                    event.token,
                    amount,
                    gross=amount,
                    session=named,
                    party=event.tipper,
                )
            case _:
                pass

    def _open(self, record: LogRecord, event: SessionOpened) -> None:
        terms = event.terms
        if self._account not in (terms.advisor, terms.payer, terms.fee_recipient):
            return
        course = _Course(terms, event.deposit, event.from_balance)
        self._courses[event.session_id] = course
        self._found.terms[event.session_id] = terms
        if event.from_balance and terms.payer == self._account:
            text = "paid for a session, from the balance"
            self._other(record, terms.token, -event.deposit, text, event.session_id)

    def _top_up(self, record: LogRecord, event: ToppedUp) -> None:
        course = self._courses.get(event.session_id)
        if course is None:
            return
        added, course.deposit = event.deposit - course.deposit, event.deposit
        if event.from_balance and course.terms.payer == self._account:
            text = "a top-up, from the balance"
            self._other(record, course.terms.token, -added, text, event.session_id)

    def _credit(self, record: LogRecord, event: Settled | SessionClosed) -> None:
        course = self._courses.get(event.session_id)
        if course is None:
            return
        terms, before = course.terms, course.earned
        gross = event.earned - before
        part = platform_share(event.earned, terms.fee_bps) - platform_share(before, terms.fee_bps)
        course.earned = event.earned
        if gross and terms.advisor == self._account:
            added = max(0, event.units - course.units)
            self._add(
                record,
                Kind.FEE,
                terms.token,
                gross - part,
                gross=gross,
                platform=part,
                session=event.session_id,
                party=terms.client,
                units=added,
            )
        course.units = max(course.units, event.units)
        if part and terms.fee_recipient == self._account:
            text = "a platform's share"
            self._other(record, terms.token, part, text, event.session_id, terms.advisor)
        refund = course.deposit - course.earned
        ended = isinstance(event, SessionClosed)
        if ended and refund and course.from_balance and terms.payer == self._account:
            self._other(record, terms.token, refund, "a refund", event.session_id)

    def _other(
        self,
        record: LogRecord,
        token: Address,
        amount: int,
        text: str,
        session: SessionId | None = None,
        party: Address | None = None,
    ) -> None:
        self._add(record, Kind.OTHER, token, amount, session=session, party=party, text=text)

    def _add(
        self,
        record: LogRecord,
        kind: Kind,
        token: Address,
        amount: int,
        *,
        gross: int = 0,
        platform: int = 0,
        session: SessionId | None = None,
        party: Address | None = None,
        units: int = 0,
        text: str = "",
    ) -> None:
        entry = Entry(
            kind=kind,
            time=record.time,
            block=record.block,
            tx_hash=record.tx_hash,
            token=token,
            amount=amount,
            gross=gross,
            platform=platform,
            session=session,
            party=party,
            units=units,
            text=text,
        )
        self._found.entries.append(entry)
        if entry.in_escrow:
            self._found.balances[token] += entry.in_escrow
