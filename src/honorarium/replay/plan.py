"""Calls as sessions: everything a replay will do, in order, before it touches a chain.

A plan is a function of the call file, the tariff file and the settings, and of nothing else: made
again after a crash it is the same plan, step for step. It is kept in a temporary file of SQLite, so
its memory does not grow with the calls.

What a call becomes:

- paid: open at service_start, close at service_end with the units of service_seconds;
- zero: open and close when the queue ends, no units;
- abandoned: open on entering the queue; queue_seconds later the client asks to close, and after
  the grace period the session is finalized: full refund. Nobody served it, so its advisor is the
  service's own line;
- robot_only, phantom, refused: no session.

The records hold no ratings and no tips. They are made up, from the SHA-256 of "honorarium replay:"
and the call id, bytes b0 to b3, for paid calls with a fee: rated if b0 < 102 (about 40 %), with
score 5 if b1 < 128, 4 if b1 < 192, 3 if b1 < 224, 2 if b1 < 240, else 1, 60 seconds after the
close; a call rated 4 or 5 is tipped if b2 < 77 (about 30 % of them), 1, 2 or 5 whole tokens by
b3 mod 3, 120 seconds after the close.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Final, Self

from honorarium.errors import InputError
from honorarium.onfailure import OnFailure
from honorarium.replay.calls import DAY, Call, Kind, PhantomRow, RefusedRow, Row, read_calls
from honorarium.replay.tariffs import ServiceTariff, Tariffs
from honorarium.units import BaseUnits, Seconds, UnixTime

SHORTEST_GRACE: Final = Seconds(600)
LONGEST_GRACE: Final = Seconds(7 * DAY)
RATED_AFTER: Final = Seconds(60)
TIPPED_AFTER: Final = Seconds(120)

_SCHEMA: Final = """
CREATE TABLE sessions (
  number INTEGER PRIMARY KEY, line INTEGER, call TEXT, kind TEXT, customer TEXT, agent TEXT,
  service TEXT, priority INTEGER, robot_at INTEGER, queue_at INTEGER, queued INTEGER,
  opened_at INTEGER, left_at INTEGER, seconds INTEGER
);
CREATE TABLE steps (at INTEGER, session INTEGER, kind INTEGER, PRIMARY KEY (at, session, kind))
  WITHOUT ROWID;
CREATE TABLE refused (line INTEGER PRIMARY KEY, call TEXT, reason TEXT);
CREATE TABLE notes (line INTEGER, call TEXT, note TEXT);
"""


class PlanSettingRefused(InputError):
    """A setting of a replay outside of what is allowed."""

    def __init__(self, setting: str, given: int, allowed: str) -> None:
        self.setting, self.given, self.allowed = setting, given, allowed
        super().__init__(f"{setting} is {given}; it must be {allowed}")


class StepKind(IntEnum):
    """What happens to a session, in the order of its life."""

    OPEN = 0
    CLOSE = 1
    REQUEST_CLOSE = 2
    FINALIZE = 3
    RATE = 4
    TIP = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do at one moment: `number` is its place in the plan, from 0."""

    number: int
    at: UnixTime
    kind: StepKind
    session: int


@dataclass(frozen=True, slots=True)
class JournalNote:
    """What the journal says happened to the caller, and when."""

    at: UnixTime
    name: str


@dataclass(frozen=True, slots=True)
class MadeUp:
    """A rating and a tip that no record holds. `score` 0 = not rated; `tip` 0 = not tipped."""

    score: int
    tip: BaseUnits


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """One call as a session. Money in base units, times in unix seconds.

    `number` counts the sessions in file order, from 0. `client` and `advisor` name the parties:
    `customer:LABEL`, or `unidentified:CALL` for a caller of its own; `agent:LABEL`, or
    `line:SERVICE` where nobody served. `closed_at` is the close, for an abandoned call the moment
    from which it may be finalized; `left_at` is when the client hung up. `units` are those of
    the seconds served; `capped` says that the tariff's max_units lies below them.
    """

    number: int
    line: int
    call: str
    kind: Kind
    client: str
    advisor: str
    billing: ServiceTariff
    opened_at: UnixTime
    left_at: UnixTime
    closed_at: UnixTime
    units: int
    capped: bool
    deposit: BaseUnits
    fee: BaseUnits
    platform_fee: BaseUnits
    journal: tuple[JournalNote, ...]
    made_up: MadeUp

    @property
    def refund(self) -> BaseUnits:
        return BaseUnits(self.deposit - self.fee)


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts, and sums in base units, of a whole plan.

    `calls` is the sum of the six kinds; `deposits` = `fees` + `refunds`; `platform_fees` are part
    of `fees`. `ratings` and `tipped` count, `tips` is a sum; all three are made up.
    """

    calls: int
    paid: int
    zero: int
    abandoned: int
    robot_only: int
    phantom: int
    refused: int
    capped: int
    deposits: BaseUnits
    fees: BaseUnits
    platform_fees: BaseUnits
    refunds: BaseUnits
    tips: BaseUnits
    tipped: int
    ratings: int


class Plan:
    """A replay's sessions and steps. Made by `plan_calls`; close it, or use it in a `with`.

    `fingerprint` is equal for equal plans: a replay that continues compares it, so that it never
    goes on with another file, tariff or setting.
    """

    def __init__(
        self,
        store: sqlite3.Connection,
        tariffs: Tariffs,
        close_grace: Seconds,
        totals: Totals,
        fingerprint: str,
        days: int = 0,
    ) -> None:
        self._store, self._tariffs, self._days = store, tariffs, days
        self.close_grace, self.totals, self.fingerprint = close_grace, totals, fingerprint

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the temporary file, for the shifted views of this plan too."""
        self._store.close()

    @property
    def decimals(self) -> int:
        """Of the token in which prices and sums are given."""
        return self._tariffs.decimals

    @property
    def days(self) -> int:
        """By how many whole days all times are later than recorded."""
        return self._days

    @property
    def first_at(self) -> UnixTime | None:
        """When the first step happens; None in a plan without sessions."""
        return self._bound("MIN")

    @property
    def last_at(self) -> UnixTime | None:
        """When the last step happens; None in a plan without sessions."""
        return self._bound("MAX")

    def _bound(self, function: str) -> UnixTime | None:
        (at,) = self._store.execute(f"SELECT {function}(at) FROM steps").fetchone()
        return None if at is None else UnixTime(at + self._days * DAY)

    def days_to_follow(self, clock: UnixTime) -> int:
        """The fewest days to shift this plan by, so that it starts after `clock`."""
        first = self.first_at
        return 0 if first is None or first > clock else (clock - first) // DAY + 1

    def shift(self, days: int) -> Plan:
        """The same plan, `days` whole days later; shares this plan's temporary file."""
        return Plan(
            self._store,
            self._tariffs,
            self.close_grace,
            self.totals,
            self.fingerprint,
            self._days + days,
        )

    def count_steps(self) -> int:
        (count,) = self._store.execute("SELECT COUNT(*) FROM steps").fetchone()
        return int(count)

    def steps(self, first: int = 0) -> Iterator[Step]:
        """Steps by time, then file order, then order of life, from step number `first` on.

        Read as they are asked for; `session` can be called in between.
        """
        found = self._store.execute(
            "SELECT at, kind, session FROM steps ORDER BY at, session, kind LIMIT -1 OFFSET ?",
            (first,),
        )
        for number, (at, kind, session) in enumerate(found, first):
            yield Step(number, UnixTime(at + self._days * DAY), StepKind(kind), session)

    def session(self, number: int) -> PlannedSession:
        """The session of this number. Raises `IndexError` if the plan has none."""
        found = self._store.execute("SELECT * FROM sessions WHERE number = ?", (number,)).fetchone()
        if found is None:
            raise IndexError(f"the plan has no session {number}")
        return self._session(_Record(*found))

    def sessions(self) -> Iterator[PlannedSession]:
        """All sessions in file order, read as they are asked for."""
        for found in self._store.execute("SELECT * FROM sessions ORDER BY number"):
            yield self._session(_Record(*found))

    def refused(self) -> Iterator[tuple[str, int, str]]:
        """Refused rows in file order: call, line, reason."""
        yield from self._store.execute("SELECT call, line, reason FROM refused ORDER BY line")

    def notes(self) -> Iterator[tuple[str, int, str]]:
        """What was corrected or looks odd, in file order: call, line, note."""
        yield from self._store.execute("SELECT call, line, note FROM notes ORDER BY rowid")

    def _session(self, record: _Record) -> PlannedSession:
        return _planned(record, self._tariffs, self.close_grace, self._days * DAY)


def plan_calls(
    path: Path,
    tariffs: Tariffs,
    *,
    date: dt.date | None = None,
    limit: int | None = None,
    close_grace: Seconds = SHORTEST_GRACE,
) -> Plan:
    """The plan of a file of calls.

    With `date` only the rows of that date; a row whose date cannot be read belongs to every date,
    so that its refusal is always told. With `limit` the first so many rows of those. Raises
    `CallsFileError` before anything is done, `PlanSettingRefused` for a negative limit or a grace
    outside 10 minutes to 7 days.
    """
    if limit is not None and limit < 0:
        raise PlanSettingRefused("limit", limit, "0 or more")
    if not SHORTEST_GRACE <= close_grace <= LONGEST_GRACE:
        allowed = f"from {SHORTEST_GRACE} to {LONGEST_GRACE} seconds"
        raise PlanSettingRefused("close_grace", close_grace, allowed)
    rows = (row for row in read_calls(path) if date is None or row.date in (None, date))
    # Autocommit and no journal: the file is temporary, and nobody reads it after a crash.
    store = sqlite3.connect("", isolation_level=None)
    with OnFailure(store.close):
        store.execute("PRAGMA journal_mode = OFF")
        store.executescript(_SCHEMA)
        store.execute("BEGIN")
        builder = _Builder(store, tariffs, close_grace)
        for row in islice(rows, limit):
            builder.add(row)
        store.execute("COMMIT")
    return Plan(store, tariffs, close_grace, builder.totals(), builder.fingerprint())


@dataclass(frozen=True, slots=True)
class _Record:
    """A row of the sessions table: no money in it, because 80 bits do not fit SQLite."""

    number: int
    line: int
    call: str
    kind: str
    customer: str
    agent: str
    service: str
    priority: int
    robot_at: int
    queue_at: int
    queued: int
    opened_at: int
    left_at: int
    seconds: int


class _Builder:
    def __init__(self, store: sqlite3.Connection, tariffs: Tariffs, close_grace: Seconds) -> None:
        self._store, self._tariffs, self._grace = store, tariffs, close_grace
        self._kinds = dict.fromkeys(Kind, 0)
        self._sessions = self._capped = self._tipped = self._ratings = 0
        self._deposits = self._fees = self._platform_fees = self._tips = 0
        self._hash = hashlib.sha256()
        tables = [(name, astuple(found)) for name, found in sorted(tariffs.tables.items())]
        self._digest([close_grace, tariffs.decimals, tables])

    def add(self, row: Row) -> None:
        self._kinds[row.kind] += 1
        if isinstance(row, PhantomRow):
            self._digest([row.line, row.kind])
        elif isinstance(row, RefusedRow):
            self._digest([row.line, row.kind, row.reason])
            self._store.execute(
                "INSERT INTO refused VALUES (?, ?, ?)", (row.line, row.call, row.reason)
            )
        else:
            self._store.executemany(
                "INSERT INTO notes VALUES (?, ?, ?)",
                [(row.line, row.call, note) for note in row.notes],
            )
            if row.kind is Kind.ROBOT_ONLY:
                self._digest([row.line, row.kind])
            else:
                self._add_session(row)

    def _add_session(self, call: Call) -> None:
        record = _record(self._sessions, call)
        self._sessions += 1
        self._digest(astuple(record))
        marks = ", ".join("?" * 14)
        self._store.execute(f"INSERT INTO sessions VALUES ({marks})", astuple(record))
        session = _planned(record, self._tariffs, self._grace, 0)
        self._store.executemany(
            "INSERT INTO steps VALUES (?, ?, ?)",
            [(at, session.number, int(kind)) for at, kind in _life(session)],
        )
        self._capped += session.capped
        self._deposits += session.deposit
        self._fees += session.fee
        self._platform_fees += session.platform_fee
        self._ratings += session.made_up.score > 0
        self._tipped += session.made_up.tip > 0
        self._tips += session.made_up.tip

    def _digest(self, facts: object) -> None:
        self._hash.update(json.dumps(facts).encode() + b"\n")

    def fingerprint(self) -> str:
        return self._hash.hexdigest()

    def totals(self) -> Totals:
        return Totals(
            calls=sum(self._kinds.values()),
            paid=self._kinds[Kind.PAID],
            zero=self._kinds[Kind.ZERO],
            abandoned=self._kinds[Kind.ABANDONED],
            robot_only=self._kinds[Kind.ROBOT_ONLY],
            phantom=self._kinds[Kind.PHANTOM],
            refused=self._kinds[Kind.REFUSED],
            capped=self._capped,
            deposits=BaseUnits(self._deposits),
            fees=BaseUnits(self._fees),
            platform_fees=BaseUnits(self._platform_fees),
            refunds=BaseUnits(self._deposits - self._fees),
            tips=BaseUnits(self._tips),
            tipped=self._tipped,
            ratings=self._ratings,
        )


def _record(number: int, call: Call) -> _Record:
    if call.kind is Kind.ABANDONED:
        opened_at, left_at = call.queue_at, call.queue_end
    elif call.service_start is not None and call.service_end is not None:
        opened_at, left_at = call.service_start, call.service_end
    else:
        opened_at = left_at = call.queue_end
    return _Record(
        number=number,
        line=call.line,
        call=call.call,
        kind=call.kind.value,
        customer=call.customer,
        agent=call.agent,
        service=call.service,
        priority=call.priority,
        robot_at=call.robot_at,
        queue_at=call.queue_at,
        queued=call.queue_seconds,
        opened_at=opened_at,
        left_at=left_at,
        seconds=call.service_seconds if call.kind is Kind.PAID else 0,
    )


def _planned(record: _Record, tariffs: Tariffs, grace: int, later: int) -> PlannedSession:
    kind = Kind(record.kind)
    billing = tariffs.tariff_for(record.service, record.priority)
    units = billing.tariff.units_for(record.seconds) if kind is Kind.PAID else 0
    fee = billing.tariff.fee(units)
    client = f"customer:{record.customer}" if record.customer else f"unidentified:{record.call}"
    abandoned = kind is Kind.ABANDONED
    return PlannedSession(
        number=record.number,
        line=record.line,
        call=record.call,
        kind=kind,
        client=client,
        advisor=f"line:{record.service}" if abandoned else f"agent:{record.agent}",
        billing=billing,
        opened_at=UnixTime(record.opened_at + later),
        left_at=UnixTime(record.left_at + later),
        closed_at=UnixTime(record.left_at + later + (grace if abandoned else 0)),
        units=units,
        capped=units > billing.tariff.max_units,
        deposit=billing.deposit,
        fee=fee,
        platform_fee=billing.platform_fee(fee),
        journal=tuple(_journal(record, kind, later)),
        made_up=_make_up(record.call, fee, tariffs.decimals),
    )


def _journal(record: _Record, kind: Kind, later: int) -> Iterator[JournalNote]:
    """Robot and queue, free of charge, then what came of it.

    A service may have started before robot and queue had ended; then they end with its start.
    """
    answered = record.opened_at if kind is Kind.PAID else record.left_at

    def note(at: int, name: str) -> JournalNote:
        return JournalNote(UnixTime(at + later), name)

    yield note(min(record.robot_at, answered), "robot")
    if record.queued:
        yield note(min(record.queue_at, answered), "queue")
    if kind is Kind.PAID:
        yield note(answered, "answered")
    yield note(record.left_at, "left" if kind is Kind.ABANDONED else "closed")


def _make_up(call: str, fee: int, decimals: int) -> MadeUp:
    """The stated rule at the top of this module."""
    drawn = hashlib.sha256(f"honorarium replay:{call}".encode()).digest()
    rated, graded, tipped, amount = drawn[:4]
    if fee == 0 or rated >= 102:
        return MadeUp(0, BaseUnits(0))
    score = 5 - sum(graded >= bound for bound in (128, 192, 224, 240))
    if score < 4 or tipped >= 77:
        return MadeUp(score, BaseUnits(0))
    return MadeUp(score, BaseUnits((1, 2, 5)[amount % 3] * 10**decimals))


def _life(session: PlannedSession) -> Iterator[tuple[int, StepKind]]:
    yield session.opened_at, StepKind.OPEN
    if session.kind is Kind.ABANDONED:
        yield session.left_at, StepKind.REQUEST_CLOSE
        yield session.closed_at, StepKind.FINALIZE
    else:
        yield session.closed_at, StepKind.CLOSE
    if session.made_up.score:
        yield session.closed_at + RATED_AFTER, StepKind.RATE
    if session.made_up.tip:
        yield session.closed_at + TIPPED_AFTER, StepKind.TIP
