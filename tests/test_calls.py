"""The reader of call records: every kind, every refusal, every broken file."""

from __future__ import annotations

import datetime as dt
import gzip
from collections import Counter
from pathlib import Path

import pytest

from honorarium.replay import Call, CallsFileError, Kind, RefusedRow, WrongColumns, read_calls
from honorarium.replay.calls import COLUMNS, Row

SAMPLE = Path(__file__).parents[1] / "examples" / "calls.csv"
PAID = {
    "call": "A-1",
    "customer": "c1",
    "priority": "2",
    "service": "PS",
    "date": "1999-02-10",
    "vru_entry": "10:00:00",
    "vru_seconds": "10",
    "queue_seconds": "20",
    "outcome": "AGENT",
    "service_start": "10:00:30",
    "service_end": "10:02:00",
    "service_seconds": "90",
    "agent": "agent-1",
}
HANG = {
    **PAID,
    "outcome": "HANG",
    "service_start": "0:00:00",
    "service_end": "0:00:00",
    "service_seconds": "0",
    "agent": "",
}


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp())


def line_of(record: dict[str, str]) -> str:
    return ",".join(record[name] for name in COLUMNS)


def file_of(folder: Path, *lines: str) -> Path:
    path = folder / "calls.csv"
    path.write_text("\n".join((",".join(COLUMNS), *lines)) + "\n", encoding="utf-8")
    return path


def only_row(folder: Path, record: dict[str, str], **changes: str) -> Row:
    (row,) = read_calls(file_of(folder, line_of({**record, **changes})))
    return row


def only_call(folder: Path, record: dict[str, str], **changes: str) -> Call:
    row = only_row(folder, record, **changes)
    assert isinstance(row, Call), row
    return row


def reason(folder: Path, record: dict[str, str], **changes: str) -> str:
    row = only_row(folder, record, **changes)
    assert isinstance(row, RefusedRow), row
    assert row.line == 2
    return row.reason


def test_the_sample_holds_every_kind_of_call() -> None:
    assert Counter(row.kind for row in read_calls(SAMPLE)) == {
        Kind.PAID: 180,
        Kind.ZERO: 1,
        Kind.ABANDONED: 44,
        Kind.ROBOT_ONLY: 20,
        Kind.PHANTOM: 3,
        Kind.REFUSED: 2,
    }


def test_the_sample_zipped_reads_like_the_sample(tmp_path: Path) -> None:
    zipped = tmp_path / "calls.csv.gz"
    zipped.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    assert list(read_calls(zipped)) == list(read_calls(SAMPLE))


def test_a_paid_call_has_all_of_its_times_in_utc(tmp_path: Path) -> None:
    call = only_call(tmp_path, PAID)
    assert (call.kind, call.line, call.notes) == (Kind.PAID, 2, ())
    assert call.robot_at == at("1999-02-10T10:00:00")
    assert call.queue_at == at("1999-02-10T10:00:10")
    assert call.queue_end == at("1999-02-10T10:00:30")
    assert call.service_start == at("1999-02-10T10:00:30")
    assert call.service_end == at("1999-02-10T10:02:00")
    assert (call.service_seconds, call.queue_seconds) == (90, 20)


def test_a_phantom_is_ignored_before_anything_else_is_asked(tmp_path: Path) -> None:
    row = only_row(tmp_path, PAID, outcome="PHANTOM", agent="", vru_entry="noon", date="never")
    assert row.kind is Kind.PHANTOM
    assert row.date is None


def test_a_call_served_without_an_agents_name_is_refused(tmp_path: Path) -> None:
    assert reason(tmp_path, PAID, agent="") == "served without an agent's name"
    assert reason(tmp_path, PAID, agent="", service_seconds="0") == "served without an agent's name"


def test_a_call_served_for_no_time_is_zero_whatever_its_service_times(tmp_path: Path) -> None:
    for time in ("0:00:00", "9:00:00"):
        call = only_call(
            tmp_path, PAID, service_start=time, service_end="0:00:00", service_seconds="0"
        )
        assert call.kind is Kind.ZERO
        assert call.service_start is None
        assert call.queue_end == at("1999-02-10T10:00:30")


def test_a_hang_up_after_queueing_is_abandoned_whatever_its_service_time(tmp_path: Path) -> None:
    assert only_call(tmp_path, HANG).kind is Kind.ABANDONED
    with_service = only_call(tmp_path, {**PAID, "outcome": "HANG"})
    assert with_service.kind is Kind.ABANDONED
    assert with_service.service_start is None


def test_a_hang_up_without_queue_is_robot_only(tmp_path: Path) -> None:
    assert only_call(tmp_path, HANG, queue_seconds="0").kind is Kind.ROBOT_ONLY


def test_a_negative_robot_time_counts_as_zero_and_is_noted(tmp_path: Path) -> None:
    call = only_call(tmp_path, PAID, vru_seconds="-65")
    assert call.queue_at == call.robot_at
    assert call.notes == ("robot time -65 s counted as 0",)


@pytest.mark.parametrize(
    ("vru_entry", "start", "end", "seconds", "started", "ended"),
    [
        ("23:50:32", "23:50:41", "0:00:32", "591", "1999-02-10T23:50:41", "1999-02-11T00:00:32"),
        ("23:59:56", "0:00:29", "0:00:58", "29", "1999-02-11T00:00:29", "1999-02-11T00:00:58"),
        ("23:59:56", "0:00:00", "0:00:58", "58", "1999-02-11T00:00:00", "1999-02-11T00:00:58"),
        ("23:59:00", "23:59:30", "0:00:00", "30", "1999-02-10T23:59:30", "1999-02-11T00:00:00"),
        ("0:00:00", "0:00:00", "0:01:00", "60", "1999-02-10T00:00:00", "1999-02-10T00:01:00"),
    ],
)
def test_times_past_midnight_are_of_the_next_day(
    tmp_path: Path, vru_entry: str, start: str, end: str, seconds: str, started: str, ended: str
) -> None:
    call = only_call(
        tmp_path,
        PAID,
        vru_entry=vru_entry,
        service_start=start,
        service_end=end,
        service_seconds=seconds,
    )
    assert call.service_start == at(started)
    assert call.service_end == at(ended)


def test_a_service_before_the_robot_by_a_little_is_kept_on_its_day_and_noted(
    tmp_path: Path,
) -> None:
    call = only_call(tmp_path, PAID, vru_entry="10:00:35")
    assert call.service_start == at("1999-02-10T10:00:30")
    assert call.notes == ("service starts 5 s before the robot answered",)


def test_service_seconds_may_exceed_start_to_end_by_one_second_and_no_more(tmp_path: Path) -> None:
    assert only_call(tmp_path, PAID, service_seconds="91").notes == (
        "service_seconds 91, but 90 s between its start and end",
    )
    assert "service_seconds 92, but only 90 s" in reason(tmp_path, PAID, service_seconds="92")


def test_fewer_service_seconds_than_passed_are_kept_and_noted(tmp_path: Path) -> None:
    call = only_call(tmp_path, PAID, service_seconds="60")
    assert call.service_seconds == 60
    assert call.notes == ("service_seconds 60, but 90 s between its start and end",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outcome": "agent"}, "outcome 'agent' is none of AGENT, HANG, PHANTOM"),
        ({"call": ""}, "the call has no id"),
        ({"customer": "c\x07"}, "customer 'c\\x07' holds unprintable characters"),
        ({"priority": "high"}, "priority 'high' is not a whole number"),
        ({"priority": "-1"}, "priority -1 is not within 0 and 86400"),
        ({"date": "10.02.1999"}, "date '10.02.1999' is not of the form YYYY-MM-DD"),
        ({"date": "1999-02-29"}, "date '1999-02-29' is not in the calendar"),
        ({"date": "1969-12-31"}, "date '1969-12-31' is before 1970"),
        ({"vru_entry": "24:00:00"}, "vru_entry '24:00:00' is not a time of day"),
        ({"service_start": "10:60:00"}, "service_start '10:60:00' is not a time of day"),
        ({"service_end": ""}, "service_end '' is not a time of day"),
        ({"vru_seconds": "1.5"}, "vru_seconds '1.5' is not a whole number"),
        ({"queue_seconds": "-3"}, "queue_seconds -3 is not within 0 and 86400"),
        ({"queue_seconds": "86401"}, "queue_seconds 86401 is not within"),
        ({"service_seconds": "-90"}, "service_seconds -90 is not within"),
        ({"service_seconds": "٩٠"}, "service_seconds '٩٠' is not a whole number"),
        ({"service_start": "0:00:00", "service_end": "0:00:00"}, "service_end are missing"),
        ({"service_end": "10:00:20"}, "service_end lies 10 s before service_start"),
    ],
)
def test_a_malformed_row_is_refused_with_what_is_wrong(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    assert said in reason(tmp_path, PAID, **changes)


def test_a_second_row_of_a_call_is_refused_and_names_the_first(tmp_path: Path) -> None:
    other = line_of({**PAID, "call": "A-2"})
    *_, last = read_calls(file_of(tmp_path, line_of(PAID), other, line_of(HANG)))
    assert last == RefusedRow(4, "A-1", dt.date(1999, 2, 10), "call A-1 was already in line 2")


def test_phantoms_and_refused_rows_do_not_use_up_a_call_id(tmp_path: Path) -> None:
    phantom, refused = {**PAID, "outcome": "PHANTOM"}, {**PAID, "agent": ""}
    rows = read_calls(file_of(tmp_path, *map(line_of, (phantom, refused, PAID))))
    assert [row.kind for row in rows] == [Kind.PHANTOM, Kind.REFUSED, Kind.PAID]


def test_a_spoiled_line_is_refused_alone_and_lines_count_from_one(tmp_path: Path) -> None:
    lines = ['"' + line_of(PAID), "A-2,c1", "", line_of(PAID) + ",x", line_of(PAID)]
    first, second, third, fourth = read_calls(file_of(tmp_path, *lines))
    assert isinstance(first, RefusedRow)
    assert isinstance(second, RefusedRow)
    assert isinstance(third, RefusedRow)
    assert (first.line, second.line, third.line, fourth.line) == (2, 3, 5, 6)
    assert first.reason.startswith("not a line of CSV")
    assert (second.call, second.reason) == ("A-2", "2 fields where there are 13 columns")
    assert third.reason == "14 fields where there are 13 columns"
    assert fourth.kind is Kind.PAID


def test_columns_may_stand_in_any_order_after_a_byte_order_mark_with_any_line_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "calls.csv"
    names = sorted(COLUMNS)
    text = ",".join(names) + "\r\n" + ",".join(PAID[name] for name in names) + "\r\n"
    path.write_bytes(text.encode("utf-8-sig"))
    assert list(read_calls(path)) == [only_call(tmp_path, PAID)]


def test_wrong_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(",".join((*COLUMNS[1:], "queue", "agent")) + "\n")
    with pytest.raises(WrongColumns) as caught:
        list(read_calls(path))
    assert caught.value.missing == ("call",)
    assert caught.value.extra == ("queue", "agent")
    assert caught.value.line == 1
    assert str(path) in str(caught.value)


def broken(path: Path, content: bytes) -> CallsFileError:
    path.write_bytes(content)
    with pytest.raises(CallsFileError) as caught:
        list(read_calls(path))
    assert str(path) in str(caught.value)
    return caught.value


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    header = (",".join(COLUMNS) + "\n").encode()
    error = broken(tmp_path / "calls.csv", header + line_of(PAID).encode() + b"\nA-2,\xe9t\xe9\n")
    assert error.line == 3
    assert "byte 5 of the line is not UTF-8" in error.reason
    assert broken(tmp_path / "wide.csv", ",".join(COLUMNS).encode("utf-16")).line == 1


def test_a_file_named_gz_that_is_none_is_refused(tmp_path: Path) -> None:
    error = broken(tmp_path / "calls.csv.gz", SAMPLE.read_bytes())
    assert "not a gzip archive" in error.reason


def test_a_cut_or_spoiled_archive_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(SAMPLE.read_bytes())
    assert "damaged" in broken(tmp_path / "cut.csv.gz", whole[: len(whole) // 2]).reason
    spoiled = whole[:-8] + bytes(8)  # the checksum and the length
    assert "damaged" in broken(tmp_path / "spoiled.csv.gz", spoiled).reason


def test_an_empty_file_and_a_file_without_line_ends_are_refused(tmp_path: Path) -> None:
    assert "empty" in broken(tmp_path / "empty.csv", b"").reason
    assert "longer than 65536 bytes" in broken(tmp_path / "endless.csv", b"x" * 70_000).reason


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CallsFileError, match="no such file"):
        list(read_calls(tmp_path / "none.csv"))
    with pytest.raises(CallsFileError, match="cannot be read"):
        list(read_calls(tmp_path))


def test_a_header_alone_is_no_calls(tmp_path: Path) -> None:
    assert list(read_calls(file_of(tmp_path))) == []
