"""Files of records: what was written is read, what was changed is refused, what was torn is not."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from honorarium.recordfile import RecordFile, RecordFileBusy, RecordNotKept, RecordRefused

RECORDS: list[dict[str, Any]] = [
    {"first": 1},
    {"text": 'äöü \n ,"check":"0"}'},
    {"list": [1, None, {"a": "b"}]},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with RecordFile(tmp_path / "records.jsonl") as file:
        file.append(*RECORDS)
    return tmp_path / "records.jsonl"


def read(path: Path) -> list[object]:
    with RecordFile(path) as file:
        return list(file.records)


def test_what_was_written_is_read_in_order_and_only_by_its_owner(path: Path) -> None:
    assert read(path) == RECORDS
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_cut_at_any_byte_is_read_to_its_last_whole_line_and_goes_on(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        # A line without its newline is whole: only the newline was cut off.
        whole = data[: length + 1].count(b"\n")
        assert read(path) == RECORDS[:whole]
        with RecordFile(path) as file:
            file.append({"later": length})
        assert read(path) == [*RECORDS[:whole], {"later": length}]


def test_every_changed_byte_of_every_line_is_found(path: Path) -> None:
    data = path.read_bytes()
    for place in range(len(data) - 1):
        path.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
        with pytest.raises(RecordRefused):
            read(path)
        assert path.stat().st_size == len(data)  # a refused file stays as it is


def test_lines_left_out_or_moved_are_found(path: Path) -> None:
    first, second, third = path.read_bytes().splitlines(keepends=True)
    for lines in ([second, third], [first, third], [first, third, second], [first, first]):
        path.write_bytes(b"".join(lines))
        with pytest.raises(RecordRefused, match="cannot be used"):
            read(path)


def test_a_file_that_never_was_one_is_refused_with_its_line(path: Path) -> None:
    path.write_text("hello\n")
    with pytest.raises(RecordRefused) as refused:
        read(path)
    assert (refused.value.line, refused.value.reason) == (1, "it is no record")


def test_two_cannot_write_at_once_in_one_process_or_in_two(path: Path) -> None:
    code = (
        "import sys; from honorarium.recordfile import *\n"
        "try: RecordFile(sys.argv[1])\n"
        "except RecordFileBusy: print('busy')\n"
        "else: print('free')"
    )

    def other() -> str:
        run = [sys.executable, "-c", code, str(path)]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()

    with RecordFile(path):
        with pytest.raises(RecordFileBusy, match="another process"):
            RecordFile(path)
        assert other() == "busy"
    assert other() == "free"


@contextmanager
def no_larger_than(size: int) -> Iterator[None]:
    """Files of this process grow no larger: what a full disk does, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 20, 60])
def test_after_a_record_that_had_no_room_nothing_is_taken_and_the_rest_survives(
    path: Path, room: int
) -> None:
    with RecordFile(path) as file:
        with (
            no_larger_than(path.stat().st_size + room),
            pytest.raises(RecordNotKept, match="takes no more records"),
        ):
            file.append({"one": 1}, {"two": 2})
        with pytest.raises(RecordNotKept):
            file.append({"three": 3})
        with pytest.raises(RecordNotKept):
            file.append()
    # What had room whole may stand there: nobody was told of it.
    assert read(path) == [*RECORDS, {"one": 1}][: 3 + (room == 60)]


def test_a_released_file_takes_nothing_and_can_be_released_again(path: Path) -> None:
    file = RecordFile(path)
    file.release()
    file.release()
    with pytest.raises(RecordNotKept, match="released"):
        file.append({"more": 1})
    assert read(path) == RECORDS
