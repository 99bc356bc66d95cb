"""What is at stake for an advisor, by their book, and when to stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.advisor import ClientSilent, Exposure, Left, Paused, Stopped, Unpaid
from honorarium.client import Meter
from honorarium.errors import JournalRefused, TooManyUnits
from honorarium.protocol import Entry, EntryKind, Journal, Tariff
from honorarium.protocol.exposure import Span, advised, moment_of, seconds_in
from honorarium.units import MAX_UNITS, BaseUnits, UnixTime
from metering import ANSWERED, DOMAIN, METER, PAUSED, Watch, at, book, deliver, signed, terms

K = EntryKind
SESSION = terms().session_id(DOMAIN)


def test_a_unit_is_at_stake_from_its_first_second_until_its_voucher_comes() -> None:
    watch = Watch(0)
    mine = book(watch)
    mine.answer()
    assert mine.exposure() == Exposure(0, 0, BaseUnits(0), None)
    watch.seconds = 1
    assert mine.exposure() == Exposure(1, 0, BaseUnits(100), None)
    mine.take(signed(1, ANSWERED), [ANSWERED])
    assert mine.exposure() == Exposure(1, 1, BaseUnits(0), None)
    watch.seconds = 61
    assert (mine.exposure().units, mine.exposure().amount) == (1, 100)


@pytest.mark.parametrize(("increment", "second"), [(1, 60), (3, 180)])
def test_advice_stops_as_the_increment_on_trust_ends(increment: int, second: int) -> None:
    watch = Watch(0)
    mine = book(watch, increment=increment, patience=10_000)
    mine.answer()
    watch.seconds = second - 1
    assert mine.exposure().stop is None
    watch.seconds = second
    assert mine.exposure().stop == Unpaid(increment, increment)
    assert mine.exposure().units == increment
    mine.take(signed(1, ANSWERED), [ANSWERED])
    assert mine.exposure().stop is None


@pytest.mark.parametrize(("second", "silent"), [(89, False), (90, True)])
def test_a_client_is_silent_when_patience_ends_for_a_begun_unit(second: int, silent: bool) -> None:
    watch = Watch(0)
    mine = book(watch, patience=30)
    mine.answer()
    mine.take(signed(1, ANSWERED), [ANSWERED])
    watch.seconds = second
    assert mine.exposure().stop == (ClientSilent(at(60), 1) if silent else None)


def test_a_pause_that_the_client_tells_of_costs_nothing_and_is_no_silence() -> None:
    watch = Watch(90)
    mine = book(watch)
    mine.answer(at(0))
    mine.take(signed(2, ANSWERED), [ANSWERED])
    mine.hear([PAUSED])
    watch.seconds = 10_000
    assert mine.exposure() == Exposure(2, 2, BaseUnits(0), Paused(PAUSED.at))


def test_nothing_is_given_before_the_client_is_heard_to_go_on() -> None:
    """The meter of a topped-up session resumes by itself, and the line may be down just then."""
    watch = Watch(0)
    mine = book(watch, deposit=199)
    mine.answer()
    mine.take(signed(1, ANSWERED), [ANSWERED])
    watch.seconds = 60
    assert mine.exposure().stop == Stopped(1)
    mine.pause()
    mine.hear([Entry(at(60), K.PAUSED)])
    mine.deposit = BaseUnits(599)
    watch.seconds = 600
    assert mine.exposure() == Exposure(1, 1, BaseUnits(0), Paused(at(60)))
    mine.hear([Entry(at(61), K.RESUMED)])
    assert mine.exposure() == Exposure(1, 1, BaseUnits(0), None)
    mine.resume()
    watch.seconds = 659
    assert mine.exposure().units == 1


def test_a_client_who_says_that_nobody_answered_is_not_believed() -> None:
    watch = Watch(0)
    mine = book(watch)
    mine.answer()
    watch.seconds = 50
    mine.hear([Entry(at(50), K.ANSWERED)])
    watch.seconds = 61
    assert mine.exposure().delivered == 2


def test_an_advisor_who_notes_nothing_counts_by_the_clients_journal() -> None:
    mine = book(Watch(95))
    assert mine.exposure() == Exposure(0, 0, BaseUnits(0), None)
    mine.hear([ANSWERED, PAUSED])
    assert mine.exposure().delivered == 2


def test_an_advisor_who_paused_gives_nothing_on_trust() -> None:
    watch = Watch(0)
    mine = book(watch)
    mine.answer()
    watch.seconds = 60
    mine.pause()
    watch.seconds = 500
    assert mine.exposure().units == 1
    assert mine.exposure().stop == ClientSilent(at(0), 1)
    mine.resume()
    with pytest.raises(JournalRefused):
        mine.resume()


def test_advice_stops_with_the_last_funded_unit_and_when_somebody_left() -> None:
    watch = Watch(0)
    mine = book(watch, deposit=299)
    mine.answer()
    mine.take(signed(1, ANSWERED), [ANSWERED])
    watch.seconds = 119
    mine.take(signed(2, ANSWERED))
    assert mine.exposure().stop is None
    watch.seconds = 120
    assert mine.exposure() == Exposure(2, 2, BaseUnits(0), Stopped(2))
    mine.hear([Entry(at(120), K.LEFT)])
    assert mine.exposure().stop == Left(at(120))


def test_an_interaction_is_at_stake_until_its_voucher_comes_and_the_next_waits_for_it() -> None:
    watch, tariff = Watch(5), Tariff.per_interaction(250, connect_fee=40)
    mine = book(watch, tariff)
    assert mine.exposure() == Exposure(0, 0, BaseUnits(0), None)
    mine.count()
    assert mine.exposure() == Exposure(1, 0, BaseUnits(290), Unpaid(1, 1))
    watch.seconds = 125
    assert mine.exposure().stop == ClientSilent(at(5), 1)
    mine.take(signed(1, tariff=tariff))
    assert mine.exposure() == Exposure(1, 1, BaseUnits(0), None)
    mine.count()
    assert mine.exposure().amount == 250
    with pytest.raises(TooManyUnits):
        mine.count(MAX_UNITS)


kinds = st.sampled_from((K.ANSWERED, K.PAUSED, K.RESUMED, K.LEFT))


@st.composite
def notes(draw: st.DrawFn) -> list[Entry]:
    """Entries in the order of time that can follow each other, within 40 seconds."""
    journal = Journal(SESSION)
    for moment in sorted(draw(st.lists(st.integers(0, 40), max_size=6))):
        try:
            journal.append(Entry(UnixTime(moment), draw(kinds)))
        except JournalRefused:
            continue
    return list(journal.entries)


@given(notes(), notes(), st.integers(0, 50))
def test_the_own_count_is_what_counting_every_second_gives(
    own: list[Entry], told: list[Entry], until: int
) -> None:
    def last(entries: list[Entry], second: int) -> EntryKind | None:
        return next((e.kind for e in reversed(entries) if e.at <= second), None)

    def counts(second: int) -> bool:
        if not own:
            return last(told, second) in (K.ANSWERED, K.RESUMED)
        theirs = last(told, second) not in (K.PAUSED, K.LEFT)
        return theirs and last(own, second) in (K.ANSWERED, K.RESUMED)

    spans: list[Span] = advised(own, told, until)
    seconds = [second for second in range(until) if counts(second)]
    assert [s for start, end in spans for s in range(start, end)] == seconds
    assert seconds_in(spans) == len(seconds)
    for number, second in enumerate(seconds):
        assert moment_of(spans, number) == second
    assert moment_of(spans, len(seconds)) is None


def test_what_a_meter_ticks_its_book_takes() -> None:
    watch = Watch(0)
    meter = Meter(terms(), DOMAIN, METER, BaseUnits(1000), clock=watch)
    mine = book(watch, deposit=1000)
    meter.answer()
    mine.answer()
    for watch.seconds in range(700):
        if watch.seconds == 130:
            meter.pause()
        if watch.seconds == 170:
            meter.resume()
        answer = deliver(meter.tick(), mine)
        if answer:
            meter.acknowledge(answer)
        assert mine.exposure().units == meter.exposure == 0
    assert (mine.units, mine.journal) == (10, meter.journal.entries[:-1])
    assert isinstance(mine.exposure().stop, Stopped)
    assert mine.best is not None
    assert meter.acknowledgement is not None
    assert mine.take(mine.best).journal == meter.acknowledgement.journal
