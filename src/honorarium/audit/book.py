"""The audit's own ledger: what the sessions, balances and ratings must be, from events alone.

It believes every event and works out what follows. Whether an event was allowed is asked before it
is entered (check.py), and whether the contract came to the same result, afterwards (ledger.py,
compare.py). An event of a session that is over, or was never opened, is not entered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from honorarium.audit.facts import Entry
from honorarium.audit.records import (
    Head,
    Movement,
    Posting,
    RatingMade,
    Reading,
    TipMade,
)
from honorarium.chain import Status
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash, SessionId
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Deposited,
    Event,
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
NOWHERE: Final = BlockNumber(0)


def share_of(earned: int, bps: int) -> int:
    """The platform's part of all that was earned so far, rounded down (ESC-15)."""
    return earned * bps // WHOLE_SHARE


@dataclass(slots=True)
class SessionRecord:
    """A session as its events made it."""

    terms: Terms
    status: Status
    deposit: int
    opened_at: UnixTime
    from_balance: bool
    opened_block: BlockNumber
    opened_log: int
    opened_in: Hash
    earned: int = 0
    units: int = 0  # of the highest reading that was credited
    journal: Hash = ZERO_HASH  # its head at that reading
    closing_at: UnixTime = NEVER
    closed_at: UnixTime = NEVER
    closed_block: BlockNumber = NOWHERE
    closed_in: Hash | None = None
    refund_credited: bool = False
    score: int = 0
    rated_at: UnixTime = NEVER
    answered: bool = False
    heads: tuple[Head, ...] = ()

    @property
    def over(self) -> bool:
        return self.status is Status.CLOSED

    @property
    def client(self) -> Address:
        return self.terms.client

    @property
    def payer(self) -> Address:
        return self.terms.payer

    @property
    def advisor(self) -> Address:
        return self.terms.advisor

    @property
    def token(self) -> Address:
        return self.terms.token

    @property
    def bps(self) -> int:
        return self.terms.fee_bps

    @property
    def recipient(self) -> Address:
        """Of the platform's part."""
        return self.terms.fee_recipient

    @property
    def refund(self) -> int:
        """What is not earned of the deposit."""
        return self.deposit - self.earned


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

    def add(self, other: TokenSums) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


At = tuple[Address, Address]
"""A balance: token and account."""


@dataclass(slots=True)
class Book:
    """All that follows from the events entered so far.

    `postings`, `readings`, `tips` and `ratings` only grow; whoever reads them may empty them.
    """

    escrow: Address
    sessions: dict[SessionId, SessionRecord] = field(default_factory=dict)
    revoked: dict[SessionId, UnixTime] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    tips: list[TipMade] = field(default_factory=list)
    ratings: list[RatingMade] = field(default_factory=list)
    tallies: dict[Address, tuple[int, int]] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    sums: dict[Address, TokenSums] = field(default_factory=lambda: defaultdict(TokenSums))
    counts: Counter[str] = field(default_factory=Counter)
    credited: dict[At, int] = field(default_factory=lambda: defaultdict(int))
    """What a platform was credited as such, step by step, for ESC-15."""
    edges: set[tuple[Address, Address]] = field(default_factory=set)
    """Who filled whose balance, and who drew to whose account, where these are two."""

    def session(self, session_id: SessionId) -> SessionRecord | None:
        return self.sessions.get(session_id)

    def shares(self) -> dict[At, int]:
        """What every platform must have been credited, by the sessions' last earned sums."""
        whole: dict[At, int] = defaultdict(int)
        for session in self.sessions.values():
            if session.bps:
                part = share_of(session.earned, session.bps)
                whole[session.token, session.recipient] += part
        return whole

    # ------------------------------------------------------------------ entering

    def enter(self, entry: Entry) -> None:
        """What follows from one event."""
        event = entry.event
        kind = type(event)
        self.counts[kind.__name__] += 1
        enter = _ENTER.get(kind)
        if enter is not None:  # of a row that was skipped nothing follows
            enter(self, entry, event)

    def _deposited(self, entry: Entry, event: Deposited) -> None:
        self._post(entry, None, event.token, event.account, event.amount, "")
        self._moved_in(entry, event.token, event.from_, event.amount, None)
        if event.from_ != event.account:
            self.edges.add((event.from_, event.account))

    def _withdrawn(self, entry: Entry, event: Withdrawn) -> None:
        self._post(entry, None, event.token, event.account, -event.amount, "a withdrawal")
        self._moved_out(entry, event.token, event.to, event.amount, "ESC-1", None)
        if event.to != event.account:
            self.edges.add((event.account, event.to))

    def _revoked(self, entry: Entry, event: Revoked) -> None:
        if event.session_id not in self.sessions:
            self.revoked.setdefault(event.session_id, entry.time)

    def _tipped(self, entry: Entry, event: Tipped) -> None:
        self.sums[event.token].tips += event.amount
        self.tips.append(
            TipMade(
                entry.block,
                entry.log,
                entry.time,
                entry.tx_hash,
                event.session_id,
                event.tipper,
                event.advisor,
                event.token,
                event.amount,
                event.memo,
            )
        )

    def _opened(self, entry: Entry, event: SessionOpened) -> None:
        if event.session_id in self.sessions or event.session_id in self.revoked:
            return
        session = SessionRecord(
            event.terms,
            Status.OPEN,
            event.deposit,
            entry.time,
            event.from_balance,
            entry.block,
            entry.log,
            entry.tx_hash,
        )
        self.sessions[event.session_id] = session
        if event.terms.fee_bps:
            self.credited[session.token, session.recipient] += 0
        self._fund(entry, event.session_id, session, event.deposit, event.from_balance)

    def _fund(
        self,
        entry: Entry,
        session_id: SessionId,
        session: SessionRecord,
        amount: int,
        from_balance: bool,
    ) -> None:
        terms = session.terms
        sums = self.sums[terms.token]
        sums.deposits += amount
        sums.open += amount
        if from_balance:
            self._post(entry, session_id, terms.token, terms.payer, -amount, "a deposit")
        else:
            self._moved_in(entry, terms.token, terms.payer, amount, session_id)

    def _topped_up(self, entry: Entry, event: ToppedUp) -> None:
        session = self._running(event.session_id)
        if session is not None:
            added = event.deposit - session.deposit
            session.deposit = event.deposit
            self._fund(entry, event.session_id, session, added, event.from_balance)

    def _settled(self, entry: Entry, event: Settled) -> None:
        session = self._running(event.session_id)
        if session is not None:
            self._read(entry, session, event, closing=False)

    def _leaves(self, entry: Entry, event: CloseRequested) -> None:
        session = self._running(event.session_id)
        if session is not None and session.status is Status.OPEN:
            session.status, session.closing_at = Status.CLOSING, entry.time

    def _closed(self, entry: Entry, event: SessionClosed) -> None:
        session = self._running(event.session_id)
        if session is None:
            return
        self._read(entry, session, event, closing=True)
        session.status, session.closed_at = Status.CLOSED, entry.time
        session.closed_in, session.closed_block = entry.tx_hash, entry.block
        refund, sums = session.refund, self.sums[session.token]
        sums.refunds += refund
        sums.open -= refund
        if refund == 0:
            return
        if session.from_balance:
            self._post(entry, event.session_id, session.token, session.payer, refund, "a refund")
        else:
            self._moved_out(entry, session.token, session.payer, refund, "ESC-7", event.session_id)

    def _running(self, session_id: SessionId) -> SessionRecord | None:
        session = self.sessions.get(session_id)
        return None if session is None or session.over else session

    def _read(
        self,
        entry: Entry,
        session: SessionRecord,
        event: Settled | SessionClosed,
        *,
        closing: bool,
    ) -> None:
        """Credits what a reading brings, and notes it."""
        session_id, units, earned = event.session_id, event.units, event.earned
        if units:
            self.readings.append(
                Reading(
                    session_id,
                    entry.block,
                    entry.log,
                    entry.time,
                    entry.tx_hash,
                    units,
                    earned,
                    event.journal,
                    closing,
                )
            )
            head = Head(units, event.journal, entry.time, entry.block, entry.log, entry.tx_hash)
            session.heads = (*session.heads, head)
        if units >= session.units and units:
            session.units, session.journal = units, event.journal
        if earned == session.earned:
            return
        terms = session.terms
        token, bps = terms.token, terms.fee_bps
        part = share_of(earned, bps) - share_of(session.earned, bps)
        if part:
            self._post(entry, session_id, token, terms.fee_recipient, part, "a fee")
            self.credited[token, terms.fee_recipient] += part
        rest = earned - session.earned - part
        if rest:
            self._post(entry, session_id, token, terms.advisor, rest, "a fee")
        sums = self.sums[token]
        sums.fees += earned - session.earned
        sums.open -= earned - session.earned
        sums.platform_fees += part
        session.earned = earned

    def _credit_refund(self, entry: Entry, event: RefundCredited) -> None:
        session = self.sessions.get(event.session_id)
        if session is None or session.status is not Status.CLOSED or session.refund_credited:
            return
        session.refund_credited = True
        token = session.token
        self._post(entry, event.session_id, token, event.payer, event.refund, "a refund")
        if token == ZERO_ADDRESS:
            self.sums[token].paid_out -= event.refund
            return
        for at in range(len(self.movements) - 1, -1, -1):
            pushed = self.movements[at]
            if pushed.tx_hash != entry.tx_hash:
                break
            if pushed.session == event.session_id and pushed.sender == self.escrow:
                del self.movements[at]
                self.sums[token].paid_out -= session.refund
                break

    def _rated(self, entry: Entry, event: Rated) -> None:
        session = self.sessions.get(event.session_id)
        if session is None:
            return
        session.score, session.rated_at = event.score, entry.time
        count, total = self.tallies.get(event.advisor, (0, 0))
        self.tallies[event.advisor] = (count + 1, total + event.score)
        self.ratings.append(
            RatingMade(
                entry.block,
                entry.log,
                entry.time,
                entry.tx_hash,
                event.session_id,
                event.client,
                event.advisor,
                event.score,
                event.comment_hash,
            )
        )

    def _answered(self, entry: Entry, event: Answered) -> None:
        session = self.sessions.get(event.session_id)
        if session is not None:
            session.answered = True

    # ------------------------------------------------------------------ money

    def _post(
        self,
        entry: Entry,
        session: SessionId | None,
        token: Address,
        account: Address,
        amount: int,
        what: str,
    ) -> None:
        self.postings.append(
            Posting(entry.block, entry.log, entry.tx_hash, session, token, account, amount, what)
        )

    def _moved_in(
        self, entry: Entry, token: Address, sender: Address, amount: int, session: SessionId | None
    ) -> None:
        self.sums[token].paid_in += amount
        if token != ZERO_ADDRESS:
            self._move(entry, token, sender, self.escrow, amount, "ESC-1", session)

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
            self._move(entry, token, self.escrow, recipient, amount, rule, session)

    def _move(
        self,
        entry: Entry,
        token: Address,
        sender: Address,
        recipient: Address,
        amount: int,
        rule: str,
        session: SessionId | None,
    ) -> None:
        self.movements.append(
            Movement(
                entry.tx_hash,
                token,
                sender,
                recipient,
                amount,
                rule,
                session,
                entry.block,
                entry.log,
            )
        )


_ENTER: Final[dict[type[Event], Callable[[Book, Entry, Any], None]]] = {
    Deposited: Book._deposited,
    Withdrawn: Book._withdrawn,
    SessionOpened: Book._opened,
    Revoked: Book._revoked,
    Tipped: Book._tipped,
    ToppedUp: Book._topped_up,
    Settled: Book._settled,
    CloseRequested: Book._leaves,
    SessionClosed: Book._closed,
    RefundCredited: Book._credit_refund,
    Rated: Book._rated,
    Answered: Book._answered,
}
