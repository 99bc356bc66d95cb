"""A meter that comes back from its file: the same readings, and never others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from honorarium.client import AdvisorSilent, Meter, WrongMeterKey
from honorarium.ids import Address
from honorarium.protocol import Domain, OtherSession, SignedVoucher, Tariff, Terms
from honorarium.recordfile import RecordFile, RecordFileBusy, RecordNotKept, RecordRefused
from honorarium.units import BaseUnits
from metering import DOMAIN, METER, MINUTES, STRANGER, Watch, accept, at, pay, terms
from test_recordfile import no_larger_than

MONEY = BaseUnits(1000)


def began(path: Path, watch: Watch, tariff: Tariff = MINUTES) -> Meter:
    return Meter(terms(tariff), DOMAIN, METER, MONEY, clock=watch, path=path)


def again(meter: Meter, path: Path) -> Meter:
    """The process dies, and another one goes on."""
    meter.release()
    return Meter.resume_from(path, METER, clock=meter.clock)


def state(meter: Meter) -> tuple[object, ...]:
    return (
        meter.terms,
        meter.journal.entries,
        meter.journal.head,
        meter.deposit,
        meter.funded_units,
        meter.signed_units,
        meter.exposure,
        meter.acknowledgement,
        meter.silence,
        meter.again().voucher,
        meter.patience,
        meter.increment,
    )


def life(meter: Meter, watch: Watch) -> list[SignedVoucher]:
    """Pauses, a top-up, a silence and an own word; every voucher that was given out."""
    given: list[SignedVoucher] = []

    def go(until: int, *, paid: bool = True) -> None:
        while watch.seconds < until:
            watch.seconds += 1
            tick = meter.tick()
            if tick.voucher:
                given.append(tick.voucher)
            if paid:
                pay(meter, tick)

    meter.answer()
    go(100)
    meter.pause()
    go(150)
    meter.resume()
    go(240)
    meter.deposit = BaseUnits(2000)
    go(500, paid=False)
    meter.acknowledge(accept(given[-1]))
    go(700)
    meter.leave()
    given.append(meter.read())
    return given


def short_life(meter: Meter, watch: Watch) -> list[SignedVoucher]:
    """A unit that is acknowledged, one that is held, a top-up, a leaving: one line of each kind."""
    meter.answer()
    given = []
    for watch.seconds, paid in ((1, True), (61, False), (400, True), (401, False)):
        tick = meter.tick()
        given += [tick.voucher] if tick.voucher else []
        if paid:
            meter.acknowledge(accept(given[-1]))
    meter.deposit = BaseUnits(2000)
    meter.leave()
    return [*given, meter.read()]


def test_a_meter_that_comes_back_is_the_one_that_went(tmp_path: Path) -> None:
    watch, path = Watch(), tmp_path / "meter.jsonl"
    meter = began(path, watch)
    life(meter, watch)
    before = state(meter)
    assert state(again(meter, path)) == before


def test_the_file_says_what_happened_line_by_line_and_never_the_key(tmp_path: Path) -> None:
    watch, path = Watch(), tmp_path / "meter.jsonl"
    life(began(path, watch), watch)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["file"] == "honorarium meter 1"
    assert lines[0]["session"] == "0x" + terms().session_id(DOMAIN).hex()
    kinds = {next(iter(line)) for line in lines[1:]}
    assert kinds == {"deposit", "entry", "voucher", "acknowledgement"}
    assert METER.secret().hex() not in path.read_text()


def test_cut_at_any_byte_it_goes_on_and_never_contradicts_what_the_rest_of_it_signed(
    tmp_path: Path,
) -> None:
    watch, path, torn = Watch(), tmp_path / "meter.jsonl", tmp_path / "torn.jsonl"
    meter = began(path, watch)
    given = {(v.units, v.journal): v for v in short_life(meter, watch)}
    meter.release()
    data = path.read_bytes()
    header, known = data.index(b"\n"), 0
    for length in range(header, len(data)):
        torn.write_bytes(data[:length])
        resumed = Meter.resume_from(torn, METER, clock=watch)
        assert resumed.signed_units >= known  # what once stood there whole is never forgotten
        known = resumed.signed_units
        voucher = resumed.again().voucher
        if voucher:
            assert voucher == given[voucher.units, voucher.journal]
            assert voucher.journal in heads(resumed)
        resumed.release()
    assert known == 3


def test_cut_before_its_session_was_on_the_disk_it_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "meter.jsonl"
    began(path, Watch()).release()
    header = path.read_bytes().splitlines()[0]
    for length in (0, 1, len(header) // 2, len(header) - 1):
        path.write_bytes(header[:length])
        with pytest.raises(RecordRefused, match="line 1"):
            Meter.resume_from(path, METER)
        began(path, Watch()).release()
        assert Meter.resume_from(path, METER).deposit == MONEY


def heads(meter: Meter) -> set[bytes]:
    entries = meter.journal.entries
    made = type(meter.journal)(meter.journal.session_id)
    return {made.head, *(made.append(entry) for entry in entries)}


def test_after_a_restart_the_same_voucher_is_given_out_again_and_no_other(tmp_path: Path) -> None:
    watch, path = Watch(1), tmp_path / "meter.jsonl"
    meter = began(path, watch)
    meter.answer(at(0))
    first = meter.tick().voucher
    assert first is not None
    meter = again(meter, path)
    assert meter.again().voucher == first == meter.read()
    assert meter.tick().voucher is None
    watch.seconds = 59
    assert meter.read() == first
    pay(meter, meter.again())
    watch.seconds = 61
    second = meter.tick().voucher
    assert second is not None
    assert again(meter, path).again().voucher == second


def test_entries_that_may_not_have_arrived_are_told_again(tmp_path: Path) -> None:
    watch, path = Watch(1), tmp_path / "meter.jsonl"
    meter = began(path, watch)
    meter.answer(at(0))
    told = meter.tick()
    assert not meter.tick()
    repeated = again(meter, path).tick()
    assert (repeated.entries, repeated.after) == (told.entries, told.after)


def test_counted_interactions_come_back(tmp_path: Path) -> None:
    watch, path = Watch(), tmp_path / "meter.jsonl"
    meter = began(path, watch, Tariff.per_interaction(100))
    meter.count(3)
    assert again(meter, path).units() == 3


def test_a_silence_outlasts_a_restart(tmp_path: Path) -> None:
    watch, path = Watch(1), tmp_path / "meter.jsonl"
    meter = began(path, watch)
    meter.answer(at(0))
    meter.tick()
    watch.seconds = 300
    meter = again(meter, path)
    assert AdvisorSilent(at(1), 1) in meter.tick().notices
    assert [entry.at for entry in meter.journal.entries] == [at(0), at(120)]


def test_warnings_are_given_once_however_often_it_comes_back(tmp_path: Path) -> None:
    watch, path = Watch(), tmp_path / "meter.jsonl"
    meter = Meter(terms(Tariff.per_interaction(1)), DOMAIN, METER, BaseUnits(2), path=path)
    meter.clock = watch
    meter.count(2)
    assert len(meter.tick().notices) == 3
    assert [type(n).__name__ for n in again(meter, path).tick().notices] == ["Stopped"]


def test_made_anew_with_its_file_it_continues_with_the_higher_deposit(tmp_path: Path) -> None:
    watch, path = Watch(1), tmp_path / "meter.jsonl"
    meter = began(path, watch)
    meter.answer(at(0))
    meter.deposit = BaseUnits(2000)
    meter.tick()
    meter.release()
    same = began(path, watch)
    assert (same.deposit, same.signed_units) == (2000, 1)
    same.release()
    raised = Meter(terms(), DOMAIN, METER, BaseUnits(3000), path=path)
    assert raised.deposit == 3000
    assert again(raised, path).deposit == 3000


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("chain", lambda t, d: (t, replace(d, chain_id=1))),
        ("contract", lambda t, d: (t, replace(d, contract=Address(b"\x12" * 20)))),
        ("domain", lambda t, d: (t, replace(d, version="2"))),
        ("terms", lambda t, d: (replace(t, salt=1), d)),
    ],
)
def test_a_file_of_another_session_is_refused_and_says_what_differs(
    tmp_path: Path, what: str, other: Callable[[Terms, Domain], tuple[Terms, Domain]]
) -> None:
    path = tmp_path / "meter.jsonl"
    began(path, Watch()).release()
    data = path.read_bytes()
    theirs, domain = other(terms(), DOMAIN)
    with pytest.raises(OtherSession, match=f"its {what} is") as refused:
        Meter(theirs, domain, METER, MONEY, path=path)
    assert refused.value.what == what
    assert path.read_bytes() == data
    began(path, Watch())  # it was let go of


def test_another_key_does_not_go_on_with_it(tmp_path: Path) -> None:
    path = tmp_path / "meter.jsonl"
    began(path, Watch()).release()
    with pytest.raises(WrongMeterKey):
        Meter.resume_from(path, STRANGER)
    Meter.resume_from(path, METER)


def test_a_changed_line_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "meter.jsonl"
    began(path, Watch()).release()
    path.write_bytes(path.read_bytes().replace(b'"deposit":1000', b'"deposit":9000'))
    with pytest.raises(RecordRefused) as refused:
        Meter.resume_from(path, METER)
    assert refused.value.line == 2
    with pytest.raises(RecordRefused):
        began(path, Watch())


@pytest.mark.parametrize(
    "record",
    [
        {"lunch": 1},
        {"voucher": {"units": 1, "journal": "0x" + "00" * 32}, "at": 5},
        {"voucher": []},
        {"entry": {"at": 1, "kind": "lunch", "note": "0x" + "00" * 32}},
        {"entry": {"at": 1.5, "kind": "answered", "note": "0x" + "00" * 32}},
        {"entry": {"at": 1, "kind": "resumed", "note": "0x" + "00" * 32}},
        {"acknowledgement": {"units": 1, "journal": "0x" + "00" * 32, "signature": "0x"}},
        {"deposit": 1},
        {"deposit": "a lot"},
    ],
)
def test_lines_that_no_meter_writes_are_refused_even_if_they_are_well_made(
    tmp_path: Path, record: dict[str, object]
) -> None:
    path = tmp_path / "meter.jsonl"
    began(path, Watch()).release()
    with RecordFile(path) as file:
        file.append(record)
    with pytest.raises(RecordRefused, match="line 3"):
        Meter.resume_from(path, METER)


def test_what_is_no_meters_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "meter.jsonl"
    with pytest.raises(RecordRefused, match="does not begin with 'honorarium meter 1'"):
        Meter.resume_from(path, METER)
    with RecordFile(path) as file:
        file.append({"file": "honorarium book 1"})
    with pytest.raises(RecordRefused, match="does not begin"):
        Meter.resume_from(path, METER)


def test_two_meters_never_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "meter.jsonl"
    first = began(path, Watch())
    with pytest.raises(RecordFileBusy):
        Meter.resume_from(path, METER)
    with pytest.raises(RecordFileBusy):
        began(path, Watch())
    first.release()
    Meter.resume_from(path, METER)


def test_on_a_full_disk_nothing_is_signed_not_even_again(tmp_path: Path) -> None:
    watch, path = Watch(), tmp_path / "meter.jsonl"
    meter = began(path, watch)
    meter.answer()
    watch.seconds = 1
    with no_larger_than(path.stat().st_size + 10), pytest.raises(RecordNotKept):
        meter.tick()
    for act in (meter.again, meter.read, meter.tick):
        with pytest.raises(RecordNotKept):
            act()
    resumed = again(meter, path)
    assert resumed.signed_units == 0
    assert resumed.tick().voucher is not None


def test_killed_at_any_moment_it_has_on_the_disk_whatever_it_gave_out(tmp_path: Path) -> None:
    """A process ticks as fast as it can, prints each voucher, and is killed in the midst of it."""
    path = tmp_path / "meter.jsonl"
    code = textwrap.dedent(
        """
        import sys
        sys.path[:0] = sys.argv[2:]
        from metering import *
        watch = Watch()
        seconds = terms(Tariff.per_second(1))
        meter = Meter(seconds, DOMAIN, METER, 10**6, clock=watch, path=sys.argv[1])
        meter.answer()
        while True:
            watch.seconds += 1
            tick = meter.tick()
            v = tick.voucher
            print(v.units, v.journal.hex(), v.signature.to_bytes().hex(), flush=True)
            meter.acknowledge(accept(v, meter.terms.tariff))
            if v.units % 7 == 0:
                meter.pause()
                meter.resume()
        """
    )
    folder = os.fspath(Path(__file__).parent)
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(path), folder], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    lines = [run.stdout.readline() for _ in range(40)]
    run.send_signal(signal.SIGKILL)
    lines += run.stdout.read().splitlines(keepends=True)
    run.wait()
    units, journal, signature = [line for line in lines if line.endswith("\n")][-1].split()
    resumed = Meter.resume_from(path, METER, clock=Watch(10**6))
    assert resumed.signed_units >= int(units) >= 40
    if resumed.signed_units == int(units) and resumed.exposure:
        voucher = resumed.again().voucher
        assert voucher is not None
        assert voucher.signature.to_bytes().hex() == signature
        assert voucher.journal.hex() == journal
    assert bytes.fromhex(journal) in heads(resumed)
