"""The audit's own ledger: what the sessions, balances and ratings must be, from events alone.

It believes every event and works out what follows. Whether an event was allowed is asked before it
is entered (check.py), and whether the contract came to the same result, after the last one
(compare.py). An event of a session that is over, or was never opened, is not entered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from honorarium.audit.facts import Entry, Questions
from honorarium.chain import Status
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Deposited,
    Rated,
    RefundCredited,
    Revoked,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
    Withdrawn,
)
from honorarium.protocol.terms import Terms
from honorarium.units import WHOLE_SHARE, BlockNumber, UnixTime

NEVER: Final = UnixTime(0)


def share_of(earned: int, bps: int) -> int:
    """The platform's part of all that was earned so far, rounded down (ESC-15)."""
    return earned * bps // WHOLE_SHARE


@dataclass(slots=True)
class SessionRecord:
    """A session as its events made it. Once it is over the terms are let go of."""

    client: Address
    payer: Address
    advisor: Address
    token: Address
    terms: Terms | None
    status: Status
    deposit: int
    earned: int
    opened_at: UnixTime
    from_balance: bool
    bps: int
    recipient: Address  # of the platform's part
    closing_at: UnixTime = NEVER
    closed_at: UnixTime = NEVER
    closed_in: Hash | None = None
    refund_credited: bool = False
    score: int = 0
    answered: bool = False

    @property
    def refund(self) -> int:
        """What is not earned of the deposit."""
        return self.deposit - self.earned


class Movement(NamedTuple):
    """Tokens that must have gone to the escrow or left it in this transaction."""

    tx_hash: Hash
    token: Address
    sender: Address
    recipient: Address
    amount: int


class Cause(NamedTuple):
    """Why tokens must have moved."""

    rule: str
    session: SessionId | None
    block: BlockNumber
    log: int


@dataclass(slots=True)
class TokenSums:
    """What the sessions of one token came to, in base units. deposits = fees + refunds + open."""

    deposits: int = 0
    fees: int = 0  # the platform's part included
    platform_fees: int = 0
    refunds: int = 0
    open: int = 0  # deposits of running sessions, less what they earned
    tips: int = 0
    paid_in: int = 0  # all that came into the escrow
    paid_out: int = 0


@dataclass(slots=True)
class Book:
    """All that follows from the events entered so far."""

    escrow: Address
    sessions: dict[SessionId, SessionRecord] = field(default_factory=dict)
    revoked: dict[SessionId, UnixTime] = field(default_factory=dict)
    balances: dict[tuple[Address, Address], int] = field(default_factory=lambda: defaultdict(int))
    recipients: set[tuple[Address, Address]] = field(default_factory=set)
    tallies: dict[Address, tuple[int, int]] = field(default_factory=dict)
    movements: dict[Movement, list[Cause]] = field(default_factory=lambda: defaultdict(list))
    sums: dict[Address, TokenSums] = field(default_factory=lambda: defaultdict(TokenSums))
    counts: Counter[str] = field(default_factory=Counter)
    credited: dict[tuple[Address, Address], int] = field(default_factory=lambda: defaultdict(int))
    """What a platform was credited as such, step by step, for ESC-15."""
    _accounts: dict[Address, Address] = field(default_factory=dict)

    def session(self, session_id: SessionId) -> SessionRecord | None:
        return self.sessions.get(session_id)

    def balance(self, token: Address, account: Address) -> int:
        return self.balances.get((token, account), 0)

    def questions(self, signers: set[Address]) -> Questions:
        """What must be read from the chain to compare it with this book."""
        return Questions(
            sessions=[*self.sessions, *self.revoked],
            accounts=list(self.balances),
            advisors=list(self.tallies),
            tokens=list(self.sums),
            signers=signers,
        )

    # ------------------------------------------------------------------ entering

    def enter(self, entry: Entry) -> None:
        """What follows from one event."""
        event = entry.event
        self.counts[type(event).__name__] += 1
        match event:
            case Deposited():
                self._credit(event.token, event.account, event.amount)
                self._moved_in(entry, event.token, event.from_, event.amount, None)
            case Withdrawn():
                self._credit(event.token, event.account, -event.amount)
                self._moved_out(entry, event.token, event.to, event.amount, "ESC-1", None)
            case SessionOpened():
                self._open(entry, event)
            case Revoked():
                if event.session_id not in self.sessions:
                    self.revoked.setdefault(event.session_id, entry.time)
            case Tipped():
                self.sums[event.token].tips += event.amount
            case ToppedUp() | Settled() | CloseRequested() | SessionClosed():
                session = self.sessions.get(event.session_id)
                if session is not None and session.terms is not None:
                    self._enter_running(entry, session)
            case RefundCredited():
                self._credit_refund(entry, event)
            case Rated():
                self._rate(event)
            case Answered():
                session = self.sessions.get(event.session_id)
                if session is not None:
                    session.answered = True
            case _:
                pass  # RowSkipped: nothing happened

    def _open(self, entry: Entry, event: SessionOpened) -> None:
        if event.session_id in self.sessions or event.session_id in self.revoked:
            return
        terms, known = event.terms, self._known
        session = SessionRecord(
            client=known(terms.client),
            payer=known(terms.payer),
            advisor=known(terms.advisor),
            token=known(terms.token),
            terms=terms,
            status=Status.OPEN,
            deposit=event.deposit,
            earned=0,
            opened_at=entry.time,
            from_balance=event.from_balance,
            bps=terms.fee_bps,
            recipient=known(terms.fee_recipient),
        )
        self.sessions[event.session_id] = session
        if terms.fee_bps:
            self.recipients.add((session.token, session.recipient))
            self.balances[session.token, session.recipient] += 0
        self._fund(entry, event.session_id, session, event.deposit, event.from_balance)

    def _fund(
        self,
        entry: Entry,
        session_id: SessionId,
        session: SessionRecord,
        amount: int,
        from_balance: bool,
    ) -> None:
        sums = self.sums[session.token]
        sums.deposits += amount
        sums.open += amount
        if from_balance:
            self._credit(session.token, session.payer, -amount)
        else:
            self._moved_in(entry, session.token, session.payer, amount, session_id)

    def _enter_running(self, entry: Entry, session: SessionRecord) -> None:
        event = entry.event
        match event:
            case ToppedUp():
                added = event.deposit - session.deposit
                session.deposit = event.deposit
                self._fund(entry, event.session_id, session, added, event.from_balance)
            case Settled():
                self._earn(session, event.earned)
            case CloseRequested():
                if session.status is Status.OPEN:
                    session.status, session.closing_at = Status.CLOSING, entry.time
            case SessionClosed():
                self._earn(session, event.earned)
                session.status, session.closed_at = Status.CLOSED, entry.time
                session.closed_in, session.terms = entry.tx_hash, None
                self._refund(entry, event.session_id, session)

    def _earn(self, session: SessionRecord, earned: int) -> None:
        token, bps = session.token, session.bps
        part = share_of(earned, bps) - share_of(session.earned, bps)
        if part:
            self._credit(token, session.recipient, part)
            self.credited[token, session.recipient] += part
        rest = earned - session.earned - part
        if rest:
            self._credit(token, session.advisor, rest)
        sums = self.sums[token]
        sums.fees += earned - session.earned
        sums.open -= earned - session.earned
        sums.platform_fees += part
        session.earned = earned

    def _refund(self, entry: Entry, session_id: SessionId, session: SessionRecord) -> None:
        refund, sums = session.refund, self.sums[session.token]
        sums.refunds += refund
        sums.open -= refund
        if refund == 0:
            return
        if session.from_balance:
            self._credit(session.token, session.payer, refund)
        else:
            self._moved_out(entry, session.token, session.payer, refund, "ESC-7", session_id)

    def _credit_refund(self, entry: Entry, event: RefundCredited) -> None:
        session = self.sessions.get(event.session_id)
        if session is None or session.status is not Status.CLOSED or session.refund_credited:
            return
        session.refund_credited = True
        self._credit(session.token, self._known(event.payer), event.refund)
        if session.token == ZERO_ADDRESS:
            self.sums[session.token].paid_out -= event.refund
            return
        pushed = Movement(entry.tx_hash, session.token, self.escrow, session.payer, session.refund)
        if self.movements.get(pushed):
            self.movements[pushed].pop()
            self.sums[session.token].paid_out -= session.refund

    def _rate(self, event: Rated) -> None:
        session = self.sessions.get(event.session_id)
        if session is None:
            return
        session.score = event.score
        advisor = self._known(event.advisor)
        count, total = self.tallies.get(advisor, (0, 0))
        self.tallies[advisor] = (count + 1, total + event.score)

    # ------------------------------------------------------------------ money

    def _credit(self, token: Address, account: Address, amount: int) -> None:
        self.balances[self._known(token), self._known(account)] += amount

    def _moved_in(
        self, entry: Entry, token: Address, sender: Address, amount: int, session: SessionId | None
    ) -> None:
        self.sums[token].paid_in += amount
        if token != ZERO_ADDRESS:
            moved = Movement(entry.tx_hash, token, sender, self.escrow, amount)
            self.movements[moved].append(Cause("ESC-1", session, entry.block, entry.index))

    def _moved_out(
        self,
        entry: Entry,
        token: Address,
        recipient: Address,
        amount: int,
        rule: str,
        session: SessionId | None,
    ) -> None:
        self.sums[token].paid_out += amount
        if token != ZERO_ADDRESS:
            moved = Movement(entry.tx_hash, token, self.escrow, recipient, amount)
            self.movements[moved].append(Cause(rule, session, entry.block, entry.index))

    def _known(self, account: Address) -> Address:
        """The same address as one object: a day has thousands of sessions and few accounts."""
        return self._accounts.setdefault(account, account)
