"""The meter, live: what a tick signs, where it pauses, what it warns of, and who owes what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from honorarium.client import (
    AdvisorSilent,
    FundsLow,
    FundsSpent,
    Held,
    Limit,
    Meter,
    NotMetered,
    OtherReading,
    Resumed,
    Stopped,
)
from honorarium.errors import BadSignature, JournalRefused, WrongSignature
from honorarium.ids import Hash
from honorarium.protocol import (
    Acknowledgement,
    ClockWentBack,
    DepositNotUsable,
    EntryKind,
    MomentNotUsable,
    SettingNotUsable,
    SignedAcknowledgement,
    Tariff,
)
from honorarium.units import MAX_AMOUNT, MAX_UNITS, BaseUnits
from metering import ADVISOR, BEGAN, DOMAIN, METER, MINUTES, STRANGER, Watch, accept, at, pay, terms

K = EntryKind


def live(
    tariff: Tariff = MINUTES,
    deposit: int = 10_000,
    *,
    patience: int | None = 120,
    increment: int = 1,
) -> tuple[Meter, Watch]:
    watch = Watch()
    meter = Meter(
        terms(tariff),
        DOMAIN,
        METER,
        BaseUnits(deposit),
        clock=watch,
        patience=patience,
        increment=increment,
    )
    if tariff.unit_seconds:
        meter.answer()
    return meter, watch


def run(meter: Meter, watch: Watch, until: int, *, paid: bool = True) -> list[tuple[int, object]]:
    """Ticks every second; (second, voucher's units or notice), in order."""
    found: list[tuple[int, object]] = []
    while watch.seconds <= until:
        tick = meter.tick()
        found += [(watch.seconds, notice) for notice in tick.notices]
        if tick.voucher:
            tick.voucher.verify(meter.terms, DOMAIN)
            found.append((watch.seconds, tick.voucher.units))
        if paid:
            pay(meter, tick)
        watch.seconds += 1
    watch.seconds = until
    return found


def kinds(meter: Meter) -> list[tuple[int, EntryKind]]:
    return [(entry.at - BEGAN, entry.kind) for entry in meter.journal.entries]


# ------------------------------------------------------------------------------------- what is due


def test_each_unit_is_signed_in_the_first_second_of_it_and_never_twice() -> None:
    meter, watch = live()
    assert run(meter, watch, 181) == [(1, 1), (61, 2), (121, 3), (181, 4)]
    assert not meter.tick()
    assert kinds(meter) == [(0, K.ANSWERED)]


def test_ticks_at_any_rhythm_sign_the_same_units_as_ticks_every_second() -> None:
    often, watch = live()
    run(often, watch, 600)
    seldom, watch = live()
    for watch.seconds in range(0, 601, 60):
        pay(seldom, seldom.tick())
    assert seldom.signed_units == 10 == often.signed_units
    assert kinds(seldom) == kinds(often)


def test_an_interaction_is_signed_when_it_is_counted_one_by_one() -> None:
    meter, _ = live(Tariff.per_interaction(250), 1000)
    assert not meter.tick()
    meter.count(3)
    for units in (1, 2, 3):
        tick = meter.tick()
        assert tick.voucher is not None
        assert tick.voucher.units == units
        assert meter.tick().voucher is None
        pay(meter, tick)
    assert meter.tick().voucher is None


def test_a_tick_carries_the_entries_that_the_advisor_needs_for_the_head() -> None:
    meter, watch = live()
    watch.seconds = 1
    first = meter.tick()
    assert ([entry.kind for entry in first.entries], first.after) == ([K.ANSWERED], 0)
    assert not meter.tick()
    pay(meter, first)
    watch.seconds = 20
    meter.pause()
    watch.seconds = 30
    paused = meter.tick()
    assert ([entry.kind for entry in paused.entries], paused.after) == ([K.PAUSED], 1)
    assert paused.voucher is None
    meter.resume()
    watch.seconds = 90
    second = meter.tick()
    assert second.voucher is not None
    assert ([entry.kind for entry in second.entries], second.after) == ([K.PAUSED, K.RESUMED], 1)


def test_without_countersigning_a_tick_signs_all_that_is_due() -> None:
    meter, watch = live(patience=None)
    watch.seconds = 301
    tick = meter.tick()
    assert tick.voucher is not None
    assert tick.voucher.units == 6
    assert kinds(meter) == [(0, K.ANSWERED)]


# ------------------------------------------------------------------------- the limits and the end


def test_it_warns_as_four_fifths_and_the_last_unit_begin_and_stops_as_that_ends() -> None:
    meter, watch = live(deposit=1099)  # ten minutes, and almost an eleventh
    found = run(meter, watch, 700)
    assert [one for one in found if not isinstance(one[1], int)] == [
        (421, FundsLow(8, 10)),
        (541, FundsSpent(10, 10)),
        (600, Stopped(at(600), 10, Limit.DEPOSIT)),
    ]
    assert kinds(meter) == [(0, K.ANSWERED), (600, K.PAUSED)]
    assert meter.signed_units == 10


@pytest.mark.parametrize(
    ("funded", "low"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 5), (10, 8), (11, 9)]
)
def test_four_fifths_are_rounded_up_to_a_whole_unit(funded: int, low: int) -> None:
    meter, _ = live(Tariff.per_interaction(1), funded)
    for units in range(1, funded + 1):
        meter.count()
        notices = meter.tick().notices
        assert (FundsLow(units, funded) in notices) == (units == low)
        assert (FundsSpent(units, funded) in notices) == (units == funded)


def test_at_the_tariffs_cap_it_stops_for_good() -> None:
    meter, watch = live(replace(MINUTES, max_units=2), 10_000)
    found = run(meter, watch, 200)
    assert found[-1] == (120, Stopped(at(120), 2, Limit.CAP))
    meter.deposit = BaseUnits(20_000)
    assert run(meter, watch, 300) == []


def test_after_a_top_up_it_goes_on_from_that_moment_and_warns_anew() -> None:
    meter, watch = live(deposit=200)
    run(meter, watch, 500)
    meter.deposit = BaseUnits(400)
    found = run(meter, watch, 700)
    assert found == [
        (500, Resumed(at(500))),
        (501, 3),
        (561, FundsLow(4, 4)),
        (561, FundsSpent(4, 4)),
        (561, 4),
        (620, Stopped(at(620), 4, Limit.DEPOSIT)),
    ]


def test_a_leap_of_the_clock_costs_no_more_than_one_unit() -> None:
    meter, watch = live(deposit=10_000)
    run(meter, watch, 70)
    watch.seconds = 10**8
    tick = meter.tick()
    assert tick.notices == (Held(at(180), 2), Resumed(at(10**8)))
    assert tick.voucher is not None
    assert tick.voucher.units == 3
    pay(meter, tick)
    assert not meter.tick()


# ------------------------------------------------------------------------------------- the silence


def test_it_never_signs_a_second_unit_before_the_first_is_acknowledged() -> None:
    meter, watch = live()
    watch.seconds = 1
    first = meter.tick()
    run(meter, watch, 110, paid=False)
    assert (meter.signed_units, meter.exposure) == (1, 1)
    assert meter.again().voucher == first.voucher
    pay(meter, first)
    assert meter.exposure == 0
    second = meter.tick()
    assert second.voucher is not None
    assert second.voucher.units == 2
    assert meter.again().voucher == second.voucher


def test_a_silent_advisors_time_ends_with_the_unit_on_trust_until_the_answer_comes() -> None:
    meter, watch = live(patience=150)
    watch.seconds = 1
    first = meter.tick()
    found = run(meter, watch, 500, paid=False)
    assert found == [(121, Held(at(120), 1)), (151, AdvisorSilent(at(1), 1))]
    assert meter.silence == AdvisorSilent(at(1), 1)
    assert meter.units() == 2
    pay(meter, first)
    tick = meter.tick()
    assert tick.notices == (Resumed(at(500)),)
    assert tick.voucher is not None
    assert tick.voucher.units == 2
    assert kinds(meter) == [(0, K.ANSWERED), (120, K.PAUSED), (500, K.RESUMED)]


@pytest.mark.parametrize(("second", "silent"), [(30, False), (31, True)])
def test_patience_ends_at_the_exact_second_and_with_it_the_count(second: int, silent: bool) -> None:
    meter, watch = live(patience=30)
    watch.seconds = 1
    meter.tick()
    watch.seconds = second
    assert meter.tick().notices == ((AdvisorSilent(at(1), 1),) if silent else ())
    watch.seconds = 60
    meter.tick()
    assert kinds(meter)[1:] == [(31, K.PAUSED)]


def test_whoever_resumes_by_hand_waits_for_the_advisor_anew() -> None:
    meter, watch = live(patience=30)
    watch.seconds = 1
    meter.tick()
    watch.seconds = 40
    meter.tick()
    meter.resume()
    assert run(meter, watch, 69, paid=False) == []
    assert run(meter, watch, 71, paid=False) == [(70, AdvisorSilent(at(40), 1))]


def test_a_pause_by_hand_outlasts_the_answer_of_a_silent_advisor() -> None:
    meter, watch = live(patience=30)
    watch.seconds = 1
    first = meter.tick()
    watch.seconds = 40
    meter.tick()
    meter.pause()
    pay(meter, first)
    assert run(meter, watch, 300) == []
    meter.resume()
    assert run(meter, watch, 400)[0] == (330, 2)


def test_a_larger_increment_lets_short_units_travel_together() -> None:
    meter, watch = live(Tariff.per_second(1), increment=10)
    watch.seconds = 1
    first = meter.tick()
    assert first.voucher is not None
    assert first.voucher.units == 1
    watch.seconds = 9
    assert not meter.tick()
    pay(meter, first)
    second = meter.tick()
    assert second.voucher is not None
    assert (second.voucher.units, meter.exposure) == (9, 8)


def test_an_interaction_advisor_who_is_silent_is_told_of_once() -> None:
    meter, watch = live(Tariff.per_interaction(1), 100)
    meter.count()
    meter.tick()
    assert run(meter, watch, 300, paid=False) == [(120, AdvisorSilent(at(0), 1))]


# ----------------------------------------------------------------------------- countersignatures


def test_an_acknowledgement_of_other_values_is_refused_with_both() -> None:
    meter, watch = live()
    watch.seconds = 1
    voucher = meter.tick().voucher
    assert voucher is not None
    for other in (replace(voucher, units=2), replace(voucher, journal=Hash(b"\5" * 32))):
        with pytest.raises(OtherReading) as refused:
            meter.acknowledge(accept(other))
        assert (refused.value.units, refused.value.given) == (1, other.units)
        assert (refused.value.journal, refused.value.given_journal) == (
            voucher.journal,
            other.journal,
        )
    assert meter.exposure == 1


def test_an_acknowledgement_before_any_voucher_is_of_no_reading() -> None:
    meter, _ = live()
    nothing = Acknowledgement(meter.journal.session_id, 0, Hash(bytes(32)))
    with pytest.raises(OtherReading):
        meter.acknowledge(SignedAcknowledgement.sign(nothing, ADVISOR, DOMAIN))


def test_an_acknowledgement_by_another_key_or_for_another_chain_is_refused() -> None:
    meter, watch = live()
    watch.seconds = 1
    voucher = meter.tick().voucher
    assert voucher is not None
    accepted = Acknowledgement(meter.journal.session_id, voucher.units, voucher.journal)
    for key, domain in (
        (STRANGER, DOMAIN),
        (METER, DOMAIN),
        (ADVISOR, replace(DOMAIN, chain_id=1)),
    ):
        with pytest.raises(WrongSignature, match="acknowledgement"):
            meter.acknowledge(SignedAcknowledgement.sign(accepted, key, domain))
    good = accept(voucher)
    with pytest.raises(BadSignature):
        meter.acknowledge(replace(good, signature=replace(good.signature, s=b"\xff" * 32)))
    with pytest.raises(WrongSignature):  # the voucher's own signature acknowledges nothing
        meter.acknowledge(SignedAcknowledgement(voucher.units, voucher.journal, voucher.signature))
    assert (meter.exposure, meter.acknowledgement) == (1, None)
    meter.acknowledge(good)
    meter.acknowledge(good)  # a copy that comes late
    assert (meter.exposure, meter.acknowledgement) == (0, good)


def test_the_clients_own_word_needs_no_answer_and_the_tick_waits_for_one() -> None:
    meter, watch = live()
    watch.seconds = 100
    word = meter.read()
    assert word.units == 2
    assert meter.read() == word
    watch.seconds = 119
    assert meter.tick().voucher is None
    meter.acknowledge(accept(word))
    watch.seconds = 121
    assert meter.tick().voucher is not None


def test_the_same_units_are_signed_again_only_with_a_journal_that_leads_on() -> None:
    meter, watch = live()
    watch.seconds = 30
    before = meter.read()
    meter.leave()
    after = meter.read(at(900))
    assert (before.units, after.units) == (1, 1)
    assert before.journal != after.journal == meter.journal.head


# --------------------------------------------------------------------------------- what is refused


def test_a_clock_that_goes_back_is_refused_with_both_times_and_nothing_is_lost() -> None:
    meter, watch = live()
    run(meter, watch, 100)
    watch.seconds = 90
    with pytest.raises(ClockWentBack) as refused:
        meter.tick()
    assert (refused.value.seen, refused.value.given) == (at(100), at(90))
    with pytest.raises(ClockWentBack):
        meter.pause()
    with pytest.raises(ClockWentBack):
        meter.read(at(30))
    watch.seconds = 121
    tick = meter.tick()
    assert tick.voucher is not None
    assert tick.voucher.units == 3


def test_leaving_never_counts_as_earlier_than_what_was_signed() -> None:
    meter, watch = live()
    run(meter, watch, 100)
    meter.leave(at(50))  # the chain's clock lies behind
    assert kinds(meter)[-1] == (100, K.LEFT)
    assert meter.read(at(500)).units == 2


@pytest.mark.parametrize("moment", [1.5, float("nan"), "1", True, -1, 2**40, 10**30])
def test_what_is_no_moment_is_refused_by_its_value(moment: Any) -> None:
    meter, _ = live()
    for act in (meter.tick, meter.read, meter.units, meter.leave):
        with pytest.raises(MomentNotUsable, match="whole unix seconds"):
            act(moment)
    with pytest.raises((MomentNotUsable, JournalRefused)):
        meter.pause(moment)
    assert kinds(meter) == [(0, K.ANSWERED)]


def test_a_clock_that_gives_no_whole_seconds_is_refused() -> None:
    half: Any = 1.5
    meter = Meter(terms(), DOMAIN, METER, BaseUnits(100), clock=lambda: half)
    with pytest.raises(MomentNotUsable, match=r"1\.5"):
        meter.tick()


def test_without_a_clock_a_moment_must_be_passed_in() -> None:
    meter = Meter(terms(), DOMAIN, METER, BaseUnits(100))
    with pytest.raises(MomentNotUsable, match="there is no clock"):
        meter.tick()
    meter.answer(at(0))
    assert meter.tick(at(1)).voucher is not None


@pytest.mark.parametrize("deposit", [9_999, -1, MAX_AMOUNT + 1, 2.0, "5", None, True])
def test_a_deposit_never_falls_and_is_whole_base_units(deposit: Any) -> None:
    meter, _ = live(deposit=10_000)
    with pytest.raises(DepositNotUsable) as refused:
        meter.deposit = deposit
    assert (refused.value.held, refused.value.given) == (10_000, deposit)
    assert (meter.deposit, meter.funded_units) == (10_000, 100)


def test_a_reading_has_room_for_32_bits_and_no_more() -> None:
    meter, _ = live(Tariff.per_interaction(0, connect_fee=1), 1, patience=None)
    meter.count(MAX_UNITS)
    assert meter.read(at(0)).units == MAX_UNITS == 2**32 - 1
    with pytest.raises(NotMetered, match=str(MAX_UNITS)):
        meter.count()
    strange: Any
    for strange in (1.0, True, None, "1"):
        with pytest.raises(NotMetered, match="no number"):
            meter.count(strange)


@pytest.mark.parametrize("value", [0, -1, 1.5, 2**32, True, "1"])
def test_patience_and_increment_are_whole_numbers_from_1_on(value: Any) -> None:
    for name in ("patience", "increment"):
        with pytest.raises(SettingNotUsable) as refused:
            live(**{name: value})
        assert (refused.value.name, refused.value.given) == (name, value)


def test_a_voucher_sent_again_carries_the_entries_up_to_its_head_and_none_beyond() -> None:
    meter, watch = live()
    watch.seconds = 1
    first = meter.tick()
    watch.seconds = 300
    held = meter.tick()
    assert [entry.kind for entry in held.entries] == [K.ANSWERED, K.PAUSED]
    repeated = meter.again()
    assert (repeated.voucher, repeated.entries) == (first.voucher, first.entries)
