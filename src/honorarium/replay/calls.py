"""A call centre's records, read row by row.

Each row of the file becomes one of three things, and nothing is dropped:

- a `PhantomRow`, which the records themselves say to ignore;
- a `RefusedRow`, with its line and the reason;
- a `Call`, of kind paid, zero, abandoned or robot_only.

A fault of a row refuses that row. A fault of the file (missing, wrong columns, not UTF-8, a damaged
archive) is a `CallsFileError`, because then no row can be trusted.

One line of text is one row: labels hold no line breaks, so an unbalanced quotation mark spoils its
own line and no other. Blank lines are no rows. Columns may stand in any order.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, NoReturn

from honorarium.errors import InputError
from honorarium.units import Seconds, UnixTime

COLUMNS: Final = (
    "call",
    "customer",
    "priority",
    "service",
    "date",
    "vru_entry",
    "vru_seconds",
    "queue_seconds",
    "outcome",
    "service_start",
    "service_end",
    "service_seconds",
    "agent",
)
DAY: Final = 86_400
CLOCK_ROUNDING: Final = Seconds(1)
"""How far service_seconds may exceed the time between start and end.

Start and end are rounded to whole seconds. One second more still fits what a session's clock
allows, whatever the tariff's unit: ceil((t + 1) / unit) = floor(t / unit) + 1.
"""

_LONGEST_LINE: Final = 65_536
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,9}")
_GZIP_MAGIC: Final = b"\x1f\x8b"


class Kind(StrEnum):
    """What a row is, in the order in which the rules are asked."""

    PHANTOM = "phantom"
    """Ignored, whatever else the row holds: only its outcome is read."""
    REFUSED = "refused"
    """Malformed, or served by an agent without a name."""
    PAID = "paid"
    """Served by an agent for more than 0 seconds."""
    ZERO = "zero"
    """Served by an agent for 0 seconds."""
    ABANDONED = "abandoned"
    """Hung up after queueing, whatever its service time."""
    ROBOT_ONLY = "robot_only"
    """Hung up without queueing: free, no session."""


class CallsFileError(InputError):
    """A file of calls that cannot be read. `line` is 1-based, None if no line is to blame."""

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        self.path, self.reason, self.line = path, reason, line
        where = f"{path}, line {line}" if line else str(path)
        super().__init__(f"{where}: {reason}")


class WrongColumns(CallsFileError):
    """The first line of a file of calls does not name its columns."""

    def __init__(self, path: Path, missing: tuple[str, ...], extra: tuple[str, ...]) -> None:
        self.missing, self.extra = missing, extra
        faults = [f"missing: {', '.join(missing)}"] if missing else []
        faults += [f"not known or twice: {', '.join(map(repr, extra))}"] if extra else []
        super().__init__(
            path, f"wrong columns ({'; '.join(faults)}); a file of calls has {','.join(COLUMNS)}", 1
        )


@dataclass(frozen=True, slots=True)
class PhantomRow:
    """A row that the records say to ignore. `date` is None where it cannot be read."""

    line: int
    call: str
    date: dt.date | None

    @property
    def kind(self) -> Kind:
        return Kind.PHANTOM


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that makes no session. `date` is None where it cannot be read."""

    line: int
    call: str
    date: dt.date | None
    reason: str

    @property
    def kind(self) -> Kind:
        return Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed record. Times are unix seconds, the recorded times of day read as UTC.

    `robot_at`: the robot answered. `queue_at`: the robot was done. `queue_end`: a human's turn, or
    the hang-up. `service_start`, `service_end`: the human's part, only of paid calls; it may start
    before `queue_end`. `customer` is empty for an unidentified caller, `agent` for hang-ups.
    `notes` says what was corrected or looks odd.
    """

    line: int
    call: str
    kind: Kind
    customer: str
    priority: int
    service: str
    date: dt.date
    robot_at: UnixTime
    queue_at: UnixTime
    queue_end: UnixTime
    service_start: UnixTime | None
    service_end: UnixTime | None
    service_seconds: Seconds
    agent: str
    notes: tuple[str, ...]

    @property
    def queue_seconds(self) -> Seconds:
        return Seconds(self.queue_end - self.queue_at)


Row = Call | PhantomRow | RefusedRow


def read_calls(path: Path) -> Iterator[Row]:
    """The rows of a CSV file of calls, plain or gzip (told by its content), in file order.

    Memory stays flat: call ids already seen are kept in a temporary file. The first well-formed row
    of an id has it; later ones are refused. Raises `CallsFileError`, `WrongColumns` among them.
    """
    with closing(_SeenCalls()) as seen:
        order: list[str] | None = None
        for line, text in _lines(path):
            fields = _split(text)
            if order is None:
                order = _header(path, fields)
            elif text.strip():
                yield _row(line, fields, order, seen)
        if order is None:
            raise CallsFileError(path, f"it is empty; the first line names {','.join(COLUMNS)}")


class _SeenCalls:
    """Which line had a call id first; on disk, so that long files need no memory."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # "" is a temporary file of SQLite's
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("BEGIN")
        self._db.execute("CREATE TABLE seen (call TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def first_line(self, call: str, line: int) -> int:
        """The line that holds `call`: an earlier one, or else `line`, from now on."""
        if self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (call, line)).rowcount:
            return line
        found = self._db.execute("SELECT line FROM seen WHERE call = ?", (call,)).fetchone()
        return int(found[0])

    def close(self) -> None:
        self._db.close()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without their line ends, decoded. Raises `CallsFileError`."""
    line = 0
    try:
        with _open(path) as file:
            while raw := file.readline(_LONGEST_LINE + 1):
                line += 1
                if len(raw) > _LONGEST_LINE:
                    raise CallsFileError(
                        path, f"the line is longer than {_LONGEST_LINE} bytes: not calls", line
                    )
                # A byte order mark may stand at the very start and nowhere else.
                yield line, raw.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CallsFileError(
            path, f"byte {error.start + 1} of the line is not UTF-8; save the file as UTF-8", line
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CallsFileError(path, f"damaged gzip archive: {error}", line + 1) from None
    except FileNotFoundError:
        raise CallsFileError(path, "there is no such file") from None
    except OSError as error:
        raise CallsFileError(path, f"it cannot be read: {error.strerror or error}") from None


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    with path.open("rb") as file:
        magic = file.read(2)
    if magic == _GZIP_MAGIC:
        return gzip.open(path, "rb")
    if path.suffix == ".gz":
        raise CallsFileError(path, "named .gz, but it is not a gzip archive")
    return path.open("rb")


def _split(text: str) -> list[str] | str:
    """The trimmed fields of one line, or what is wrong with its quotation marks."""
    try:
        return [field.strip() for fields in csv.reader([text], strict=True) for field in fields]
    except csv.Error as error:
        return f"not a line of CSV: {error}"


def _header(path: Path, fields: list[str] | str) -> list[str]:
    names = [fields] if isinstance(fields, str) else fields
    missing = tuple(name for name in COLUMNS if name not in names)
    extra = tuple(
        name for at, name in enumerate(names) if name not in COLUMNS or name in names[:at]
    )
    if missing or extra:
        raise WrongColumns(path, missing, extra)
    return names


class _Malformed(Exception):
    """A field that cannot be used; becomes the reason of a `RefusedRow`."""


def _row(line: int, fields: list[str] | str, order: list[str], seen: _SeenCalls) -> Row:
    if isinstance(fields, str):
        return RefusedRow(line, "", None, fields)
    if len(fields) != len(order):
        at = order.index("call")
        call = fields[at] if at < len(fields) else ""
        reason = f"{len(fields)} fields where there are {len(order)} columns"
        return RefusedRow(line, call, None, reason)
    record = dict(zip(order, fields, strict=True))
    try:
        date: dt.date | None = _date(record)
    except _Malformed:
        date = None
    if record["outcome"] == "PHANTOM":
        return PhantomRow(line, record["call"], date)
    try:
        found = _call(line, record)
        first = seen.first_line(found.call, line)
        if first != line:
            raise _Malformed(f"call {found.call} was already in line {first}")
        return found
    except _Malformed as fault:
        return RefusedRow(line, record["call"], date, str(fault))


def _call(line: int, record: dict[str, str]) -> Call:
    outcome = record["outcome"]
    if outcome not in ("AGENT", "HANG"):
        raise _Malformed(f"outcome {outcome!r} is none of AGENT, HANG, PHANTOM")
    if outcome == "AGENT" and not record["agent"]:
        raise _Malformed("served without an agent's name")
    if not record["call"]:
        raise _Malformed("the call has no id")
    for name in ("call", "customer", "service", "agent"):
        if not record[name].isprintable():
            raise _Malformed(f"{name} {record[name]!r} holds unprintable characters")
    date = _date(record)
    notes: list[str] = []
    robot = _integer(record, "vru_seconds", least=-DAY)
    if robot < 0:
        notes.append(f"robot time {robot} s counted as 0")
    midnight = int(dt.datetime.combine(date, dt.time(), dt.UTC).timestamp())
    robot_at = midnight + _time_of_day(record, "vru_entry")
    queue_at = robot_at + max(robot, 0)
    queue_end = queue_at + _integer(record, "queue_seconds")
    seconds = _integer(record, "service_seconds")
    start, end = _time_of_day(record, "service_start"), _time_of_day(record, "service_end")
    service: tuple[int, int] | None = None
    if outcome == "HANG":
        kind = Kind.ABANDONED if queue_end > queue_at else Kind.ROBOT_ONLY
    elif seconds == 0:
        kind = Kind.ZERO
    else:
        kind = Kind.PAID
        service = _service(midnight, robot_at, start, end, seconds, notes)
    return Call(
        line=line,
        call=record["call"],
        kind=kind,
        customer=record["customer"],
        priority=_integer(record, "priority"),
        service=record["service"],
        date=date,
        robot_at=UnixTime(robot_at),
        queue_at=UnixTime(queue_at),
        queue_end=UnixTime(queue_end),
        service_start=UnixTime(service[0]) if service else None,
        service_end=UnixTime(service[1]) if service else None,
        service_seconds=Seconds(seconds),
        agent=record["agent"],
        notes=tuple(notes),
    )


def _service(
    midnight: int, robot_at: int, start: int, end: int, seconds: int, notes: list[str]
) -> tuple[int, int]:
    """Start and end of a paid call's service, on the days they belong to.

    Times of day carry no date. A start more than half a day before the robot answered is past
    midnight: the next day. One that is a little before is a clock that disagrees, and is kept. An
    end before the start is past midnight.
    """
    if start == end == 0:
        raise _Malformed(
            f"{seconds} service seconds, but service_start and service_end are missing"
        )
    started = midnight + start
    if robot_at - started > DAY // 2:
        started += DAY
    elif started < robot_at:
        notes.append(f"service starts {robot_at - started} s before the robot answered")
    between = (end - start) % DAY
    if seconds > between + CLOCK_ROUNDING:
        raise _Malformed(
            f"service_seconds {seconds}, but only {between} s lie between service_start and "
            "service_end: a session cannot bill more time than has passed"
        )
    if between - seconds > DAY // 2:
        raise _Malformed(
            f"service_end lies {DAY - between} s before service_start, service_seconds {seconds}"
        )
    if seconds != between:
        notes.append(f"service_seconds {seconds}, but {between} s between its start and end")
    return started, started + between


def _date(record: dict[str, str]) -> dt.date:
    text = record["date"]
    if not _DATE.fullmatch(text):
        raise _Malformed(f"date {text!r} is not of the form YYYY-MM-DD")
    try:
        date = dt.date.fromisoformat(text)
    except ValueError:
        raise _Malformed(f"date {text!r} is not in the calendar") from None
    if date.year < 1970:
        raise _Malformed(f"date {text!r} is before 1970, where a chain's time begins")
    return date


def _time_of_day(record: dict[str, str], name: str) -> Seconds:
    """Seconds since midnight."""
    found = _TIME.fullmatch(record[name])
    if not found or int(found[1]) > 23:
        raise _Malformed(f"{name} {record[name]!r} is not a time of day H:MM:SS")
    return Seconds(int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]))


def _integer(record: dict[str, str], name: str, least: int = 0) -> int:
    text = record[name]
    if not _INTEGER.fullmatch(text):
        raise _Malformed(f"{name} {text!r} is not a whole number")
    if not least <= int(text) <= DAY:
        _refuse_range(name, int(text), least)
    return int(text)


def _refuse_range(name: str, value: int, least: int) -> NoReturn:
    raise _Malformed(f"{name} {value} is not within {least} and {DAY}")
