"""The fee against computations that look at every unit, or count them as sets."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.errors import FieldNotUsable
from honorarium.money import COIN
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.units import MAX_UNITS, BaseUnits, Seconds
from protocol_values import tariffs, terms

small = st.integers(0, 40)
small_tariffs = st.builds(
    Tariff,
    connect_fee=small.map(BaseUnits),
    unit_price=small.map(BaseUnits),
    unit_seconds=small.map(Seconds),
    included_units=small,
    step_units=small,
    step_price=small.map(BaseUnits),
    max_units=small,
).filter(lambda t: t.step_units == 0 or t.step_units > t.included_units)

readings = st.one_of(st.sampled_from((0, 1, MAX_UNITS)), st.integers(0, MAX_UNITS))


def unit_by_unit(tariff: Tariff, units: int) -> int:
    """What a bill that lists every unit would add up to."""
    due = 0
    for number in range(1, units + 1):
        if number == 1:
            due += tariff.connect_fee
        if tariff.max_units and number > tariff.max_units:
            break
        if tariff.step_units and number > tariff.step_units:
            due += tariff.step_price
        elif number > tariff.included_units:
            due += tariff.unit_price
    return due


@given(small_tariffs, st.integers(0, 100))
def test_the_fee_is_the_sum_of_its_units(tariff: Tariff, units: int) -> None:
    assert tariff.fee(units) == unit_by_unit(tariff, units)


@given(tariffs, readings)
def test_the_fee_of_large_readings_is_the_size_of_the_sets_of_units(
    tariff: Tariff, units: int
) -> None:
    infinity = 2**40
    used = range(1, min(units, tariff.max_units or infinity) + 1)
    stepped = used[(tariff.step_units or infinity) :]
    plain = used[: len(used) - len(stepped)][tariff.included_units :]
    expected = len(plain) * tariff.unit_price + len(stepped) * tariff.step_price
    if used:
        expected += tariff.connect_fee
    assert tariff.fee(units) == expected


@given(tariffs, readings, readings)
def test_more_units_never_cost_less(tariff: Tariff, one: int, other: int) -> None:
    assert tariff.fee(min(one, other)) <= tariff.fee(max(one, other))


@given(tariffs, readings, st.integers(0, 2**80 - 1))
def test_the_deposit_limits_the_fee(tariff: Tariff, units: int, deposit: int) -> None:
    assert tariff.fee(units, deposit) == min(deposit, tariff.fee(units))


@pytest.mark.parametrize("units", [-1, MAX_UNITS + 1])
def test_a_reading_outside_32_bits_is_refused(units: int) -> None:
    tariff = Tariff(BaseUnits(1), BaseUnits(1), Seconds(1), 0, 0, BaseUnits(0), 0)
    with pytest.raises(ValueError, match=str(units)):
        tariff.fee(units)


def test_the_fee_at_every_boundary() -> None:
    tariff = Tariff(BaseUnits(100), BaseUnits(10), Seconds(60), 3, 5, BaseUnits(7), 8)
    fees = [tariff.fee(units) for units in range(11)]
    assert fees == [0, 100, 100, 100, 110, 120, 127, 134, 141, 141, 141]


@given(st.integers(1, 86_400), st.integers(0, 10**7))
def test_started_units_count_whole(unit_seconds: int, seconds: int) -> None:
    tariff = Tariff(BaseUnits(0), BaseUnits(1), Seconds(unit_seconds), 0, 0, BaseUnits(0), 0)
    assert tariff.units_for(seconds) == ceil(Fraction(seconds, unit_seconds))


def test_an_interaction_is_one_unit_however_long() -> None:
    tariff = Tariff(BaseUnits(0), BaseUnits(1), Seconds(0), 0, 0, BaseUnits(0), 0)
    assert [tariff.units_for(seconds) for seconds in (0, 1, 9_999)] == [1, 1, 1]


@given(terms, small_tariffs)
def test_the_smallest_deposit_pays_for_the_first_unit_that_costs_something(
    value: Terms, tariff: Tariff
) -> None:
    with_fee = [tariff.fee(units) - tariff.connect_fee for units in range(1, 200)]
    first = next((fee for fee in with_fee if fee), 0)
    smallest = replace(value, tariff=tariff).smallest_deposit()
    assert smallest == tariff.connect_fee + first


def test_a_unit_of_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(FieldNotUsable, match="second, minute, hour, interaction"):
        Tariff.of(COIN, "1", per="day")  # type: ignore[arg-type]  # what is tested
