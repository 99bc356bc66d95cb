"""Calls as sessions and steps: the sums against a computation of their own, order, times."""

from __future__ import annotations

import csv
import datetime as dt
import math
import tomllib
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from honorarium.replay import (
    JournalNote,
    Kind,
    Plan,
    PlannedSession,
    PlanSettingRefused,
    StepKind,
    Tariffs,
    load_tariffs,
    plan_calls,
)
from honorarium.units import Seconds, UnixTime

EXAMPLES = Path(__file__).parents[1] / "examples"
SAMPLE = EXAMPLES / "calls.csv"
HEADER = SAMPLE.read_text().splitlines()[0]
LIVES = {
    Kind.PAID: [StepKind.OPEN, StepKind.CLOSE],
    Kind.ZERO: [StepKind.OPEN, StepKind.CLOSE],
    Kind.ABANDONED: [StepKind.OPEN, StepKind.REQUEST_CLOSE, StepKind.FINALIZE],
}


@pytest.fixture(scope="module")
def tariffs() -> Tariffs:
    return load_tariffs(EXAMPLES / "tariffs.toml")


@pytest.fixture(scope="module")
def plan(tariffs: Tariffs) -> Iterator[Plan]:
    with plan_calls(SAMPLE, tariffs) as made:
        yield made


def only_session(folder: Path, tariffs: Tariffs, line: str) -> PlannedSession:
    path = folder / "calls.csv"
    path.write_text(f"{HEADER}\n{line}\n")
    with plan_calls(path, tariffs) as made:
        return made.session(0)


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp())


def expected_bill(
    record: dict[str, str], tables: dict[str, dict[str, str]]
) -> tuple[int, int, int]:
    """Deposit, fee and platform fee in millionths, unit by unit, from the two files alone."""
    table = tables.get(record["service"], tables["default"])

    def price(key: str) -> Fraction:
        return Fraction(table.get(key, "0")) * 10**6

    def fee(units: int) -> Fraction:
        total = price("connect_fee") if record["priority"] == "2" and units else Fraction(0)
        for unit in range(1, units + 1):
            if unit > int(table["max_units"]):
                break
            if table.get("step_units") and unit > int(table["step_units"]):
                total += price("step_price")
            elif unit > int(table.get("included_units", 0)):
                total += price("unit_price")
        return total

    seconds = int(record["service_seconds"]) if record["outcome"] == "AGENT" else 0
    each = int(table["unit_seconds"])
    units = math.ceil(Fraction(seconds, each)) if each else min(seconds, 1)
    share = math.floor(fee(units) * int(table["platform_bps"]) / 10_000)
    return int(fee(int(table["max_units"]))), int(fee(units)), share


def test_the_plans_sums_equal_a_computation_from_the_two_files_alone(plan: Plan) -> None:
    tables = tomllib.loads((EXAMPLES / "tariffs.toml").read_text())
    with SAMPLE.open(newline="") as file:
        records = list(csv.DictReader(file))
    bills = [
        expected_bill(record, tables)
        for record in records
        if (record["outcome"] == "AGENT" and record["agent"])
        or (record["outcome"] == "HANG" and int(record["queue_seconds"]))
    ]
    assert [(s.deposit, s.fee, s.platform_fee) for s in plan.sessions()] == bills
    totals = plan.totals
    assert totals.deposits == sum(deposit for deposit, _, _ in bills)
    assert totals.fees == sum(fee for _, fee, _ in bills)
    assert totals.platform_fees == sum(share for _, _, share in bills)
    assert totals.refunds == totals.deposits - totals.fees
    assert totals.fees > totals.platform_fees > 0


def test_the_sample_is_counted_by_kind_and_nothing_is_dropped(plan: Plan) -> None:
    totals = plan.totals
    kinds = (180, 1, 44, 20, 3, 2)
    assert kinds == (
        totals.paid,
        totals.zero,
        totals.abandoned,
        totals.robot_only,
        totals.phantom,
        totals.refused,
    )
    assert totals.calls == sum(kinds) == 250
    assert [call for call, _, _ in plan.refused()] == ["AA0107-2373", "AA0107-2374"]
    assert {(line, reason) for _, line, reason in plan.refused()} == {
        (37, "served without an agent's name"),
        (114, "served without an agent's name"),
    }
    assert [note for _, _, note in plan.notes()] == [
        "robot time -42 s counted as 0",
        "robot time -54 s counted as 0",
    ]


def test_a_call_longer_than_max_units_is_capped_and_spends_the_whole_deposit(plan: Plan) -> None:
    capped = [session for session in plan.sessions() if session.capped]
    assert len(capped) == plan.totals.capped == 1
    assert capped[0].units == 25 > capped[0].billing.tariff.max_units == 20
    assert capped[0].fee == capped[0].deposit
    assert capped[0].refund == 0


def test_every_session_lives_through_its_steps_in_order(plan: Plan) -> None:
    lives: dict[int, list[StepKind]] = {}
    moments: dict[tuple[int, StepKind], int] = {}
    for step in plan.steps():
        lives.setdefault(step.session, []).append(step.kind)
        moments[step.session, step.kind] = step.at
    for session in plan.sessions():
        expected = list(LIVES[session.kind])
        expected += [StepKind.RATE] if session.made_up.score else []
        expected += [StepKind.TIP] if session.made_up.tip else []
        assert lives[session.number] == expected
        assert moments[session.number, StepKind.OPEN] == session.opened_at
        if session.kind is Kind.ABANDONED:
            assert moments[session.number, StepKind.REQUEST_CLOSE] == session.left_at
            assert moments[session.number, StepKind.FINALIZE] == session.left_at + plan.close_grace
        else:
            assert moments[session.number, StepKind.CLOSE] == session.closed_at


def test_steps_come_by_time_then_file_order_then_order_of_life(plan: Plan) -> None:
    steps = list(plan.steps())
    keys = [(step.at, step.session, step.kind) for step in steps]
    assert keys == sorted(set(keys))
    assert [step.number for step in steps] == list(range(plan.count_steps()))
    assert (plan.first_at, plan.last_at) == (steps[0].at, steps[-1].at)


def test_steps_can_be_taken_up_in_the_middle(plan: Plan) -> None:
    assert list(plan.steps(300)) == list(plan.steps())[300:]


def test_a_paid_call_is_billed_from_start_to_end_of_service(
    tmp_path: Path, tariffs: Tariffs
) -> None:
    line = "A-1,c7,2,PS,1999-02-10,10:00:00,10,20,AGENT,10:00:30,10:02:01,91,agent-1"
    session = only_session(tmp_path, tariffs, line)
    assert (session.client, session.advisor) == ("customer:c7", "agent:agent-1")
    assert session.opened_at == at("1999-02-10T10:00:30")
    assert session.closed_at == session.left_at == at("1999-02-10T10:02:01")
    assert (session.units, session.fee, session.platform_fee) == (2, 3_300_000, 82_500)
    assert session.deposit == 16_500_000
    assert session.refund == 13_200_000
    assert [(note.name, note.at - session.opened_at) for note in session.journal] == [
        ("robot", -30),
        ("queue", -20),
        ("answered", 0),
        ("closed", 91),
    ]


def test_robot_and_queue_are_clipped_where_the_service_started_earlier(
    tmp_path: Path, tariffs: Tariffs
) -> None:
    line = "A-1,c7,0,TT,1999-02-10,10:00:00,9,62,AGENT,10:00:01,10:00:31,30,agent-1"
    session = only_session(tmp_path, tariffs, line)
    assert [(note.name, note.at - session.opened_at) for note in session.journal] == [
        ("robot", -1),
        ("queue", 0),
        ("answered", 0),
        ("closed", 30),
    ]


def test_journals_never_run_backwards(plan: Plan) -> None:
    for session in plan.sessions():
        moments = [note.at for note in session.journal]
        assert moments == sorted(moments)
        assert moments[-1] == session.left_at


def test_a_zero_call_opens_and_closes_when_the_queue_ends(plan: Plan) -> None:
    (zero,) = (session for session in plan.sessions() if session.kind is Kind.ZERO)
    assert zero.opened_at == zero.closed_at == at("1999-02-11T09:16:15")
    assert (zero.units, zero.fee, zero.refund) == (0, 0, zero.deposit)
    assert zero.advisor == "agent:agent-10"


def test_an_abandoned_call_is_left_after_its_queue_and_refunded_in_full(
    tmp_path: Path, tariffs: Tariffs
) -> None:
    line = "A-1,,0,NE,1999-02-10,10:00:00,-5,40,HANG,10:00:00,10:00:07,7,"
    session = only_session(tmp_path, tariffs, line)
    assert (session.client, session.advisor) == ("unidentified:A-1", "line:NE")
    assert session.opened_at == at("1999-02-10T10:00:00")
    assert session.left_at == at("1999-02-10T10:00:40")
    assert session.closed_at == at("1999-02-10T10:10:40")
    assert (session.fee, session.refund, session.units) == (0, session.deposit, 0)
    assert session.journal[-1] == JournalNote(session.left_at, "left")


def test_unidentified_callers_are_each_a_client_of_their_own(plan: Plan) -> None:
    unknown = [s.client for s in plan.sessions() if s.client.startswith("unidentified:")]
    assert len(unknown) == len(set(unknown)) > 50


def test_two_plans_of_the_same_files_are_equal_and_other_files_show(
    plan: Plan, tariffs: Tariffs, tmp_path: Path
) -> None:
    with plan_calls(SAMPLE, tariffs) as again:
        assert again.fingerprint == plan.fingerprint
        assert list(again.steps()) == list(plan.steps())
        assert list(again.sessions()) == list(plan.sessions())
    dearer = dict(tariffs.tables)
    dearer["NW"] = replace(dearer["NW"], platform_bps=dearer["NE"].platform_bps)
    changed = tmp_path / "calls.csv"
    changed.write_text(SAMPLE.read_text().replace("agent-10", "agent-11", 1))
    for other in (
        plan_calls(SAMPLE, replace(tariffs, tables=dearer)),
        plan_calls(SAMPLE, tariffs, close_grace=Seconds(601)),
        plan_calls(SAMPLE, tariffs, limit=249),
        plan_calls(changed, tariffs),
    ):
        with other:
            assert other.fingerprint != plan.fingerprint


def test_a_shifted_plan_is_the_same_whole_days_later(plan: Plan) -> None:
    later = plan.shift(3)
    assert later.days == 3
    assert later.totals == plan.totals
    assert [step.at for step in later.steps()] == [step.at + 259_200 for step in plan.steps()]
    first, moved = plan.session(0), later.session(0)
    assert moved.opened_at == first.opened_at + 259_200
    assert moved.closed_at == first.closed_at + 259_200
    assert moved.journal[0].at == first.journal[0].at + 259_200


def test_the_shift_is_the_fewest_days_that_start_after_the_chains_clock(plan: Plan) -> None:
    first = plan.first_at
    assert first is not None
    assert plan.days_to_follow(UnixTime(first - 1)) == 0
    assert plan.days_to_follow(first) == 1
    assert plan.days_to_follow(UnixTime(first + 86_399)) == 1
    assert plan.days_to_follow(UnixTime(first + 86_400)) == 2


def test_made_up_ratings_and_tips_are_only_for_calls_that_paid(plan: Plan) -> None:
    sessions = list(plan.sessions())
    rated = [session for session in sessions if session.made_up.score]
    tipped = [session for session in sessions if session.made_up.tip]
    assert len(rated) == plan.totals.ratings > 0
    assert len(tipped) == plan.totals.tipped > 0
    assert sum(session.made_up.tip for session in tipped) == plan.totals.tips
    assert all(session.fee > 0 and 1 <= session.made_up.score <= 5 for session in rated)
    assert all(session.made_up.score >= 4 for session in tipped)
    assert {session.made_up.tip for session in tipped} <= {1_000_000, 2_000_000, 5_000_000}


def test_made_up_ratings_depend_on_the_call_alone(plan: Plan, tariffs: Tariffs) -> None:
    with plan_calls(SAMPLE, tariffs, date=dt.date(1999, 2, 11)) as part:
        made_up = {session.call: session.made_up for session in plan.sessions()}
        assert all(session.made_up == made_up[session.call] for session in part.sessions())


def test_a_date_takes_the_calls_of_that_date_and_a_limit_the_first_of_those(
    tariffs: Tariffs,
) -> None:
    with plan_calls(SAMPLE, tariffs, date=dt.date(1999, 2, 11)) as day:
        assert day.totals.calls == 205
    with plan_calls(SAMPLE, tariffs, date=dt.date(1999, 2, 11), limit=10) as few:
        assert few.totals.calls == 10
        assert few.session(0).call == "AA0113-6109"
    with plan_calls(SAMPLE, tariffs, limit=0) as none:
        assert none.totals.calls == 0
        assert none.first_at is none.last_at is None
        assert none.days_to_follow(UnixTime(2_000_000_000)) == 0
    with plan_calls(SAMPLE, tariffs, limit=1_000) as all_of_them:
        assert all_of_them.totals.calls == 250


def test_a_refused_row_without_a_readable_date_belongs_to_every_date(
    tariffs: Tariffs, tmp_path: Path
) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(f"{HEADER}\nA-1,c1\n")
    with plan_calls(path, tariffs, date=dt.date(1999, 2, 11)) as made:
        assert list(made.refused()) == [("A-1", 2, "2 fields where there are 13 columns")]


def test_settings_out_of_range_are_refused_with_what_is_allowed(tariffs: Tariffs) -> None:
    with pytest.raises(PlanSettingRefused, match="limit is -1; it must be 0 or more"):
        plan_calls(SAMPLE, tariffs, limit=-1)
    for grace in (599, 604_801):
        with pytest.raises(PlanSettingRefused, match=f"close_grace is {grace}; .* 600 to 604800"):
            plan_calls(SAMPLE, tariffs, close_grace=Seconds(grace))


def test_a_session_that_is_not_there_is_an_index_error(plan: Plan) -> None:
    with pytest.raises(IndexError, match="no session 225"):
        plan.session(225)


def test_a_plan_of_many_calls_keeps_memory_flat(tariffs: Tariffs, tmp_path: Path) -> None:
    def peak(calls: int) -> int:
        path = tmp_path / f"{calls}.csv"
        with path.open("w") as file:
            file.write(HEADER + "\n")
            for number in range(calls):
                file.write(
                    f"B-{number},,0,PS,1999-02-10,10:00:00,10,0,AGENT,10:00:10,10:01:00,50,a\n"
                )
        tracemalloc.start()
        try:
            with plan_calls(path, tariffs) as made:
                for step in made.steps():
                    made.session(step.session)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(500)
    # What other threads and first uses allocate only adds.
    assert any(peak(4_000) < few + 200_000 for _ in range(3))
