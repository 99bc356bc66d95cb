"""The client's meter: what it counts, where it stops, what it refuses to sign."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.client import Meter, NotMetered, WrongMeterKey
from honorarium.errors import JournalRefused
from honorarium.protocol import Tariff
from honorarium.units import BaseUnits
from metering import BEGAN, DOMAIN, METER, STRANGER, at, terms


def meter(tariff: Tariff, deposit: int) -> Meter:
    return Meter(terms(tariff), DOMAIN, METER, BaseUnits(deposit))


def test_nothing_counts_before_the_advisor_answers() -> None:
    waiting = meter(Tariff.per_minute(100), 1000)
    assert waiting.units(at(500)) == 0
    with pytest.raises(NotMetered, match="nothing counted yet"):
        waiting.read(at(500))


@pytest.mark.parametrize(("seconds", "units"), [(0, 0), (1, 1), (60, 1), (61, 2), (600, 10)])
def test_a_started_minute_counts_whole_at_the_exact_second(seconds: int, units: int) -> None:
    running = meter(Tariff.per_minute(100), 10_000)
    running.answer(at(5))
    assert running.units(at(5 + seconds)) == units


def test_it_stops_at_the_last_unit_that_the_deposit_pays() -> None:
    running = meter(Tariff.per_minute(100), 399)
    running.answer(at(0))
    assert running.funded_units == 3
    assert running.read(at(100_000)).units == 3


def test_after_a_top_up_it_goes_on_counting() -> None:
    running = meter(Tariff.per_minute(100), 399)
    running.answer(at(0))
    assert running.units(at(100_000)) == 3
    running.deposit = BaseUnits(700)
    assert running.units(at(100_000)) == 7


def test_it_stops_at_the_cap_however_much_is_deposited() -> None:
    running = meter(Tariff.per_second(1, max_units=30), 10**9)
    running.answer(at(0))
    assert running.units(at(29)) == 29
    assert running.units(at(31)) == 30


def test_pauses_do_not_count_and_cannot_overlap() -> None:
    running = meter(Tariff.per_second(1), 10**6)
    running.answer(at(0))
    running.pause(at(10))
    with pytest.raises(JournalRefused):
        running.pause(at(12))
    assert running.units(at(500)) == 10
    running.resume(at(500))
    assert running.units(at(505)) == 15


def test_time_that_is_no_whole_second_is_refused_and_changes_nothing() -> None:
    running = meter(Tariff.per_second(1), 10**6)
    with pytest.raises(JournalRefused, match="whole unix seconds"):
        running.answer(BEGAN + 1.5)  # type: ignore[arg-type]  # what is tested
    running.answer(at(0))
    assert running.read(at(7)).units == 7


def test_when_somebody_leaves_no_more_time_counts() -> None:
    running = meter(Tariff.per_second(1), 10**6)
    running.answer(at(0))
    running.leave(at(10))
    assert running.read(at(500)).units == 10


def test_interactions_are_counted_by_hand_and_only_there() -> None:
    counting = meter(Tariff.per_interaction(250), 1000)
    counting.count()
    counting.count(2)
    assert counting.read(at(0)).units == 3
    with pytest.raises(NotMetered, match="never counts down"):
        counting.count(-1)
    with pytest.raises(NotMetered, match="bills time"):
        meter(Tariff.per_minute(1), 10).count()


def test_a_key_that_is_not_in_the_terms_meters_nothing() -> None:
    with pytest.raises(WrongMeterKey, match=METER.address.hex()):
        Meter(terms(Tariff.per_minute(1)), DOMAIN, STRANGER, BaseUnits(10))


def test_what_it_reads_it_signs_with_the_head_of_its_journal() -> None:
    running = meter(Tariff.per_minute(100), 10_000)
    running.answer(at(0))
    reading = running.read(at(70))
    assert reading.units == 2
    assert reading.journal == running.journal.head
    reading.verify(running.terms, DOMAIN)


@given(
    price=st.integers(1, 10**6),
    connect=st.integers(0, 10**6),
    included=st.integers(0, 50),
    step=st.integers(0, 100),
    cap=st.integers(0, 200),
    deposit=st.integers(0, 10**8),
)
def test_funded_units_are_the_most_whose_fee_the_deposit_covers(
    price: int, connect: int, included: int, step: int, cap: int, deposit: int
) -> None:
    tariff = replace(
        Tariff.per_minute(price, connect_fee=connect, max_units=cap),
        included_units=included,
        step_units=step,
        step_price=BaseUnits(price // 2) if step else BaseUnits(0),
    )
    running = meter(tariff, deposit)
    funded = running.funded_units
    assert tariff.fee(funded) <= deposit
    if funded < (cap or 2**32 - 1):
        assert tariff.fee(funded + 1) > deposit
