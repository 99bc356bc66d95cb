"""Random plays between a meter and a book: two clocks, a bad line, restarts, top-ups, pauses.

Both obey what they are told. Whatever happens, neither has more than one increment at stake.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from honorarium.advisor import NotFunded, VoucherBook
from honorarium.client import Meter, Tick
from honorarium.errors import JournalRefused, TooManyUnits
from honorarium.ids import Hash
from honorarium.protocol import SignedAcknowledgement, Tariff, allowed_units
from honorarium.units import BaseUnits, Seconds
from metering import ADVISOR, BEGAN, DOMAIN, METER, Watch, deliver, terms

UNIT = 7
PRICE = 10
TARIFFS = {
    "time": replace(Tariff.per_minute(PRICE, connect_fee=3), unit_seconds=Seconds(UNIT)),
    "interactions": Tariff.per_interaction(PRICE, connect_fee=3),
}


class Play(RuleBasedStateMachine):
    """One session. The advisor's clock is the chain's; the client's is wrong by `skew` seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.heads: dict[int, Hash] = {}
        self.up = self.back = True
        self.advising = False
        self.left = False
        self.late: list[SignedAcknowledgement] = []

    @initialize(
        kind=st.sampled_from(sorted(TARIFFS)),
        skew=st.integers(-3, 3),
        funded=st.integers(1, 6),
        patience=st.sampled_from((3, UNIT, 5 * UNIT)),
        increment=st.integers(1, 3),
        line=st.sampled_from(((True, True), (True, False), (False, False))),
        begins=st.sampled_from((0, UNIT + 2, 7 * UNIT)),
    )
    def open(
        self,
        kind: str,
        skew: int,
        funded: int,
        patience: int,
        increment: int,
        line: tuple[bool, bool],
        begins: int,
    ) -> None:
        """Something happens at once, or most plays would end before anything does."""
        self.tariff, self.skew, self.increment = TARIFFS[kind], skew, increment
        self.deposit = BaseUnits(3 + PRICE * funded)
        self.theirs, self.ours = Watch(0), Watch(skew)
        self.meter = Meter(
            terms(self.tariff),
            DOMAIN,
            METER,
            self.deposit,
            clock=self.ours,
            path=self.folder / "meter.jsonl",
            patience=patience,
            increment=increment,
        )
        self.book = VoucherBook(
            terms(self.tariff),
            DOMAIN,
            ADVISOR,
            self.deposit,
            BEGAN,
            clock=self.theirs,
            path=self.folder / "book.jsonl",
            patience=patience,
            increment=increment,
        )
        if self.tariff.unit_seconds:
            self.meter.answer()
            self.book.answer()
            self.advising = True
        self.the_line_changes(*line, begins)
        for _ in range(begins % 3 if not self.tariff.unit_seconds else 0):
            self.interact()

    def teardown(self) -> None:
        if hasattr(self, "book"):
            self.meter.release()
            self.book.release()
        shutil.rmtree(self.folder)

    # ---------------------------------------------------------------------------- what may happen

    @rule(seconds=st.integers(1, 4 * UNIT))
    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.theirs.seconds += 1
            self.ours.seconds += 1
            self.exchange()

    @rule(seconds=st.integers(2, 4 * UNIT))
    def sleep(self, seconds: int) -> None:
        """The client's device sleeps; the advisor looks on, second by second."""
        for _ in range(seconds):
            self.theirs.seconds += 1
            self.ours.seconds += 1
            self.obey()
        self.exchange()

    @rule(up=st.booleans(), back=st.booleans(), seconds=st.integers(0, 4 * UNIT))
    def the_line_changes(self, up: bool, back: bool, seconds: int) -> None:
        self.up, self.back = up, back
        self.pass_time(seconds)

    @rule()
    def hand_over_what_comes_late(self) -> None:
        for answer in self.late:
            waits = any(v and v.units == answer.units for v in (self.meter.again().voucher,))
            if waits:
                self.meter.acknowledge(answer)
        self.late.clear()

    @precondition(lambda self: not self.tariff.unit_seconds)
    @rule()
    def interact(self) -> None:
        """The advisor gives an interaction, if the book lets them; both count it."""
        if self.book.exposure().stop is None:
            self.book.count()
            self.meter.count()
            self.exchange()

    @precondition(lambda self: self.tariff.unit_seconds)
    @rule(go=st.booleans())
    def client_pauses_or_resumes(self, go: bool) -> None:
        try:
            (self.meter.resume if go else self.meter.pause)()
        except JournalRefused:
            return
        self.exchange()

    @rule(units=st.integers(1, 5), told=st.booleans())
    def top_up(self, units: int, told: bool) -> None:
        self.deposit = BaseUnits(self.deposit + PRICE * units)
        self.meter.deposit = self.deposit
        if told:
            self.book.deposit = self.deposit

    @rule()
    def the_book_hears_of_top_ups(self) -> None:
        self.book.deposit = self.deposit

    @rule()
    def the_meter_dies_and_comes_back(self) -> None:
        before = self.meter.again()
        self.meter.release()
        path = self.folder / "meter.jsonl"
        self.meter = Meter.resume_from(path, METER, clock=self.ours)
        assert self.meter.again() == before

    @rule()
    def the_book_dies_and_comes_back(self) -> None:
        before = (self.book.best, self.book.journal, self.book.exposure())
        self.book.release()
        self.book = VoucherBook.resume_from(self.folder / "book.jsonl", ADVISOR, clock=self.theirs)
        assert (self.book.best, self.book.journal, self.book.exposure()) == before

    @rule(cut=st.integers(1, 60))
    def the_meter_is_killed_in_the_midst_of_writing(self, cut: int) -> None:
        """A line that was never whole, and so was never given out."""
        self.meter.release()
        path = self.folder / "meter.jsonl"
        with path.open("ab") as file:
            file.write(b'{"voucher":{"units":99999,"journal":"0x0000000000000000000000'[:cut])
        self.meter = Meter.resume_from(path, METER, clock=self.ours)

    @rule()
    def in_the_end_both_agree(self) -> None:
        """With a good line and a little time everything that is signed is acknowledged."""
        self.up = self.back = True
        self.book.deposit = self.deposit
        for _ in range(4):
            self.theirs.seconds += 1
            self.ours.seconds += 1
            self.exchange()
            if self.skew <= 0:
                assert self.meter.exposure == 0
                assert self.book.units == self.meter.signed_units
        if self.book.best:
            answer = self.meter.acknowledgement
            assert answer is not None
            if self.skew <= 0:
                best = (self.book.best.units, self.book.best.journal)
                assert (answer.units, answer.journal) == best

    # --------------------------------------------------------------------------- what always holds

    @invariant()
    def neither_has_more_than_an_increment_at_stake(self) -> None:
        if hasattr(self, "book"):
            assert 0 <= self.meter.exposure <= self.increment
            assert self.book.exposure().units <= self.increment

    @invariant()
    def the_contract_would_take_what_is_in_hand(self) -> None:
        if hasattr(self, "book"):
            assert self.book.units <= allowed_units(self.tariff, self.theirs.seconds)
            assert self.tariff.fee(self.book.units) <= self.deposit

    @invariant()
    def the_book_knows_what_the_meter_signed_and_nothing_else(self) -> None:
        if hasattr(self, "book"):
            journal = self.book.journal
            assert journal == self.meter.journal.entries[: len(journal)]
            assert self.book.equivocation is None
            accepted = self.meter.acknowledgement
            known = accepted.units if accepted else 0
            assert known <= self.book.units <= self.meter.signed_units
            if self.book.best:
                assert self.heads[self.book.units] == self.book.best.journal

    # ------------------------------------------------------------------------------------ the line

    def exchange(self) -> None:
        tick = self.meter.tick()
        self.remember(tick)
        self.send(tick)
        if self.meter.silence and not tick.voucher:
            self.send(self.meter.again())
        self.obey()

    def send(self, tick: Tick) -> None:
        if not self.up:
            return
        try:
            answer = deliver(tick, self.book)
        except TooManyUnits:
            assert self.skew > 0  # the client's clock is ahead; it is sent again
            return
        except NotFunded:
            assert self.book.deposit < self.deposit
            return
        self.the_contract_would_take_what_is_in_hand()
        if answer and self.back:
            self.meter.acknowledge(answer)
            # In the same second: the next unit, if the answer let it go.
            following = self.meter.tick()
            self.remember(following)
            if following:
                self.send(following)
        elif answer:
            self.late.append(answer)

    def remember(self, tick: Tick) -> None:
        if tick.voucher:
            known = self.heads.setdefault(tick.voucher.units, tick.voucher.journal)
            assert known == tick.voucher.journal

    def obey(self) -> None:
        """The advisor stops when the book says so, and goes on when it doesn't."""
        if self.tariff.unit_seconds:
            stop = self.book.exposure().stop
            if self.advising and stop:
                self.book.pause()
            elif not self.advising and not stop:
                self.book.resume()
            self.advising = not stop


TestPlay = Play.TestCase
TestPlay.settings = settings(
    max_examples=int(os.environ.get("HONORARIUM_PLAYS", "60")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
