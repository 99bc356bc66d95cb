"""Random lives of sessions as rows for `LifeRows.live`, and what the package expects of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from draws import Draw
from honorarium.audit.book import share_of
from honorarium.errors import BalanceTooSmall, ContractError, InvalidRecipient, ZeroAmount
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash, SessionId
from honorarium.protocol.keys import Key
from honorarium.protocol.messages import (
    Answer,
    Closing,
    Leaving,
    Message,
    Opening,
    Rating,
    ReceiveWithAuthorization,
    Revocation,
    TopUp,
    Voucher,
    Withdrawal,
    deposit_nonce,
    opening_nonce,
    tip_nonce,
    top_up_nonce,
)
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain, word
from honorarium.units import MAX_AMOUNT, MAX_UNITS, BaseUnits, UnixTime
from terms_rows import encoded_refusal, joined

MOST_AT_ONCE: Final = 2**128 - 1
"""The largest amount that the contracts take in at once."""

STEPS: Final = (
    "none",
    "deposit",
    "revoke",
    "open",
    "top up",
    "settle",
    "request close",
    "close",
    "rate",
    "answer",
    "tip",
)
"""As in `LifeRows.Step`."""

NO_PAPER: Final = bytes(4 * 32)
NO_READING: Final = bytes(4 * 32)
CLOSED: Final = 3


@dataclass
class Scene:
    """Where lives are played: contracts, wallets that sign anything, tokens, meters, a moment.

    `nonces` are of the wallets' next withdrawals; they go on from row to row.
    """

    domain: Domain
    jar: Address
    wallets: Sequence[Address]
    tokens: Sequence[Address]
    meters: Mapping[Address, Key]
    time: UnixTime
    nonces: dict[Address, int]


@dataclass(frozen=True)
class LifeRow:
    """One life: what travels, and what must come of it."""

    terms: Terms
    encoded: bytes
    expected: bytes
    signed: Mapping[tuple[str, str], bytes]
    """(Type of the message, step that asks for it) to what stands for its signature in `encoded`:
    the digest, for vouchers the meter's (r, vs)."""


def draw_life(draw: Draw, scene: Scene) -> LifeRow:
    """A life whose steps all succeed, if both sides agree on every digest and every amount."""
    return _Life(draw, scene).row()


class _Life:
    """Writes one row: signs each message, and keeps the books beside the contract."""

    def __init__(self, draw: Draw, scene: Scene) -> None:
        self.draw, self.scene = draw, scene
        self.terms = self._draw_terms()
        self.id = self.terms.session_id(scene.domain)
        self.signed: dict[tuple[str, str], bytes] = {("Terms", "open"): self.id}
        self.gained: Counter[Address] = Counter()
        self.from_balance = draw.chance(0.5)
        self.deposit = self._draw_deposit()
        self.earned = 0
        self.score = 0

    def row(self) -> LifeRow:
        parts = [b"".join(self.terms.pack()), self.id]
        parts += [self._revoking(), self._paying(), self._settling(), self._ending()]
        withdrawing, refused = self._withdrawing()
        parts += [withdrawing, self._tipping()]
        return LifeRow(self.terms, b"".join(parts), self._expected(refused), self.signed)

    def _expected(self, refused: ContractError | None) -> bytes:
        """A `LifeRows.Found`: no step failed; the withdrawal; the ledger; the session."""
        terms, time = self.terms, self.scene.time
        gained = (self.gained[a] for a in (terms.advisor, terms.payer, terms.fee_recipient))
        return (
            word(STEPS.index("none"))
            + encoded_refusal(None)
            + encoded_refusal(refused)
            + joined(*(amount % 2**256 for amount in gained))
            + joined(CLOSED, self.deposit, self.earned, time, 0, time)
            + joined(self.from_balance, self.score, self.score != 0)
        )

    # ------------------------------------------------------------------ what is drawn

    def _draw_terms(self) -> Terms:
        draw, scene = self.draw, self.scene
        client, advisor = draw.sample(list(scene.wallets), 2)
        while (terms := draw.sensible_terms(scene.time)).smallest_deposit() > MAX_AMOUNT:
            pass
        someone = draw.choice(list(scene.wallets))
        return replace(
            terms,
            client=client,
            payer=draw.choice((client, someone)),
            advisor=advisor,
            meter_key=draw.choice(list(scene.meters)),
            token=draw.choice(list(scene.tokens)),
            fee_recipient=draw.choice((terms.fee_recipient, someone, advisor)),
        )

    def _draw_deposit(self) -> int:
        draw, smallest = self.draw, self.terms.smallest_deposit()
        whole_fee = self.terms.tariff.fee(self._draw_units() or 1)
        fitting = min(max(whole_fee, smallest), MAX_AMOUNT)
        return draw.choice((smallest, fitting, draw.within(smallest, MAX_AMOUNT)))

    def _draw_units(self) -> int:
        """No time passes within a row: a time tariff has one unit at most."""
        t, draw = self.terms.tariff, self.draw
        if t.unit_seconds:
            return draw.randrange(2)
        edges = (0, t.included_units, t.step_units, t.max_units, MAX_UNITS)
        return draw.choice((draw.near(32, *edges), draw.uint(32)))

    # ------------------------------------------------------------------ what is signed

    def _sign(self, step: str, message: Message) -> bytes:
        """What an echo wallet takes for a signature: the digest."""
        digest = message.digest(self.scene.domain)
        self.signed[message.TYPE, step] = digest
        return digest

    def _paper(self, step: str, to: Address, payer: Address, value: int, nonce: Hash) -> bytes:
        """A `Paper`: an authorization, in the domain of a token that calls itself anything."""
        draw = self.draw
        domain = Domain(draw.uint(256), draw.address(), f"Token {draw.uint(16)}", "2")
        after, before = UnixTime(draw.uint(256)), UnixTime(draw.uint(256))
        message = ReceiveWithAuthorization(payer, to, BaseUnits(value), after, before, nonce)
        digest = message.digest(domain)
        self.signed[message.TYPE, step] = digest
        return joined(domain.separator, after, before, digest)

    def _reading(self, step: str, units: int) -> bytes:
        """A `Reading`, signed by the meter."""
        self.head = ZERO_HASH
        if units == 0:
            return NO_READING
        voucher = Voucher(self.id, units, self.draw.hash())
        meter = self.scene.meters[self.terms.meter_key]
        signature = meter.sign(voucher.digest(self.scene.domain)).packed()
        self.signed[voucher.TYPE, step] = signature
        self.head = voucher.journal
        return joined(units, voucher.journal) + signature

    # ------------------------------------------------------------------ the steps

    def _revoking(self) -> bytes:
        other = replace(self.terms, context=self.draw.hash())
        while other == self.terms:
            other = replace(self.terms, context=self.draw.hash())
        by = self.draw.choice((self.terms.advisor, self.terms.payer))
        digest = self._sign("revoke", Revocation(other.session_id(self.scene.domain)))
        return joined(other.context, by, digest)

    def _paying(self) -> bytes:
        """A `Paying`: a deposit into the balance, the opening, and perhaps a top-up."""
        draw, terms, escrow = self.draw, self.terms, self.scene.domain.contract
        first = BaseUnits(self.deposit)
        if self.from_balance:
            opening = self._sign("open", Opening(terms, first)) + NO_PAPER
            self.gained[terms.payer] -= first
        else:
            paper = self._paper("open", escrow, terms.payer, first, opening_nonce(self.id))
            opening = bytes(32) + paper
        raised, from_balance, top_up = 0, False, bytes(32) + NO_PAPER
        if first < MAX_AMOUNT and draw.chance(0.5):
            raised, from_balance = draw.within(first + 1, MAX_AMOUNT), draw.chance(0.5)
            whole = BaseUnits(raised)
            if from_balance:
                top_up = self._sign("top up", TopUp(self.id, whole)) + NO_PAPER
                self.gained[terms.payer] -= raised - first
            else:
                nonce = top_up_nonce(self.id, whole)
                top_up = bytes(32) + self._paper(
                    "top up", escrow, terms.payer, raised - first, nonce
                )
            self.deposit = raised
        needed = max(1, -self.gained[terms.payer])
        stock, salt = draw.within(needed, MOST_AT_ONCE), draw.hash()
        self.gained[terms.payer] += stock
        nonce = deposit_nonce(terms.token, terms.payer, salt)
        paper = self._paper("deposit", escrow, terms.payer, stock, nonce)
        return (
            joined(stock, salt)
            + paper
            + joined(first, self.from_balance)
            + opening
            + joined(raised, from_balance)
            + top_up
        )

    def _settling(self) -> bytes:
        """Two `Reading`s: one to settle, one to close with."""
        units = self._draw_units()
        if self.terms.tariff.fee(units) == 0:
            units = 0  # a reading that brings nothing is only good for closing
        readings = self._reading("settle", units)
        self._earn(units)
        self.last = self._draw_units()
        readings += self._reading("close", self.last)
        self._earn(self.last)
        if self.from_balance:
            self.gained[self.terms.payer] += self.deposit - self.earned
        return readings

    def _earn(self, units: int) -> None:
        terms = self.terms
        earned = max(self.earned, terms.tariff.fee(units, self.deposit))
        part = share_of(earned, terms.fee_bps) - share_of(self.earned, terms.fee_bps)
        self.gained[terms.fee_recipient] += part
        self.gained[terms.advisor] += earned - self.earned - part
        self.earned = earned

    def _ending(self) -> bytes:
        """An `Ending`: perhaps somebody leaves; the closing; perhaps a rating and its answer."""
        draw, terms = self.draw, self.terms
        leaving = bytes(64)
        if draw.chance(0.5):
            leaver = draw.choice((terms.client, terms.payer))
            leaving = joined(leaver, self._sign("request close", Leaving(self.id)))
        deadline = UnixTime(draw.within(self.scene.time, 2**40 - 1))
        closing = joined(
            deadline, self._sign("close", Closing(self.id, self.last, self.head, deadline))
        )
        rating = bytes(5 * 32)
        if self.earned and draw.chance(0.7):
            self.score = draw.randint(1, 5)
            comment, answer = draw.hash(), draw.hash()
            rated = self._sign("rate", Rating(self.id, self.score, comment))
            answered = self._sign("answer", Answer(self.id, answer))
            rating = joined(self.score, comment, rated, answer, answered)
        return leaving + closing + rating

    def _withdrawing(self) -> tuple[bytes, ContractError | None]:
        """A `Withdrawing` of what was just gained, or of anything from a balance that is empty."""
        draw, scene, terms = self.draw, self.scene, self.terms
        account = draw.choice((terms.payer, terms.advisor))
        deadline = UnixTime(draw.within(scene.time, 2**256 - 1))
        nonce = scene.nonces[account]
        refused: ContractError | None = None
        if self.gained[account] > 0 and draw.chance(0.5):
            token, to = terms.token, Address(draw.randbytes(20))
            amount = draw.within(1, self.gained[account])
            self.gained[account] -= amount
            scene.nonces[account] += 1
        else:
            token, amount = draw.address(), draw.uint(256)
            to = draw.choice((draw.address(), scene.domain.contract))
            if amount == 0:
                refused = ZeroAmount()
            elif to in (ZERO_ADDRESS, scene.domain.contract):
                refused = InvalidRecipient(to)
            else:
                refused = BalanceTooSmall(account, amount, 0)
        message = Withdrawal(account, token, BaseUnits(amount), to, nonce, deadline)
        self._sign("withdraw", message)
        return joined(*message.values(), self.signed[message.TYPE, "withdraw"]), refused

    def _tipping(self) -> bytes:
        draw, terms = self.draw, self.terms
        tipper = draw.choice([one for one in self.scene.wallets if one != terms.advisor])
        session_id = SessionId(draw.choice((self.id, draw.randbytes(32))))
        amount, memo, salt = draw.within(1, MOST_AT_ONCE), draw.hash(), draw.hash()
        nonce = tip_nonce(terms.token, terms.advisor, session_id, memo, salt)
        paper = self._paper("tip", self.scene.jar, tipper, amount, nonce)
        return joined(tipper, session_id, amount, memo, salt) + paper
