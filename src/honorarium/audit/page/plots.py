"""The plots of the report, each with the table behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from markupsafe import Markup

from honorarium.audit.page.model import LENGTHS, ReportModel, TokenNamed, Total
from honorarium.audit.page.svg import Point, Span, bars, rows, timeline
from honorarium.audit.page.words import length, money, symbol
from honorarium.bill.text import checksummed, hexed, utc, when
from honorarium.ids import Address
from honorarium.units import UnixTime

DAY: Final = 24
LAST_DAY: Final = 2_900_000
"""In the year 9909. Beyond the calendar's end no date can be named: what is audited may lie."""
MOST_PIECES: Final = 60
"""Hours."""


class Row(NamedTuple):
    """A row of a table: texts, of which the first is its head."""

    cells: tuple[str, ...]
    kind: str = ""


class Table(NamedTuple):
    """A table with its heads; those from `numbers` on stand to the right."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    numbers: int = 1


class Figure(NamedTuple):
    """A plot and the table behind it."""

    title: str
    note: str
    plot: Markup
    table: Table


def figures_of(m: ReportModel) -> Iterable[Figure]:
    if not m.hours:
        return
    yield _over_time(m)
    for each in m.tokens[:2]:
        if each.fees:
            yield _fees(m, each.token)
    if sum(m.lengths):
        yield _lengths(m)
    if sum(m.scores):
        points = [
            Point(count, f"{score} of 5", f"{count:,} ratings of {score}")
            for score, count in reversed(list(enumerate(m.scores, start=1)))
        ]
        table = Table(("Score", "Ratings"), tuple(Row((p.label, f"{p.value:,}")) for p in points))
        yield Figure("Ratings", "by clients of closed sessions", rows(points, "Ratings"), table)
    yield from _overlaps(m)


class _Scale(NamedTuple):
    """How finely time is cut, in hours, and how a piece is called."""

    hours: int
    name: str
    label: Callable[[int], str]


def _scale(m: ReportModel) -> _Scale:
    hours = [hour for hour, _ in m.hours]
    span = max(hours) - min(hours)
    if span <= 60:
        return _Scale(1, "hour", lambda n: f"{_at(n):%H:%M}")
    if span <= 100 * DAY:
        return _Scale(DAY, "day", lambda n: f"{_date(n):%d %b}")
    if span <= 700 * DAY:
        return _Scale(7 * DAY, "week", lambda n: f"{_date(7 * n):%d %b %y}")
    days = 30 * -(-span // (MOST_PIECES * 30 * DAY))
    return _Scale(days * DAY, f"{days} days", lambda n: f"{_date(days * n):%b %Y}")


def _pieces(
    m: ReportModel, value: Callable[[Total], int], of: Address | None = None
) -> tuple[_Scale, list[tuple[int, int]]]:
    """A value for each piece of time from the first to the last, empty ones too."""
    scale = _scale(m)
    found: dict[int, int] = {}
    for (hour, token), total in m.hours.items():
        if of is None or of == token:
            found[hour // scale.hours] = found.get(hour // scale.hours, 0) + value(total)
    pieces = [hour // scale.hours for hour, _ in m.hours]
    return scale, [(n, found.get(n, 0)) for n in range(min(pieces), max(pieces) + 1)]


def _upright(
    title: str,
    note: str,
    head: str,
    scale: _Scale,
    pieces: list[tuple[int, int]],
    words: Callable[[int], str],
) -> Figure:
    whole = [(_from(n, scale), scale.label(n), v) for n, v in pieces]
    points = [Point(v, label, f"{begin}: {words(v)}") for begin, label, v in whole]
    top = words(max(v for _, _, v in whole))
    every = -(-len(points) // 6)
    table = Table(
        (f"From (UTC), one {scale.name}", head),
        tuple(Row((begin, words(v))) for begin, _, v in whole),
    )
    return Figure(title, note, bars(points, title, top, every=every), table)


def _over_time(m: ReportModel) -> Figure:
    scale, pieces = _pieces(m, lambda total: total.sessions)
    note = f"opened in each {scale.name}, UTC"
    return _upright("Sessions", note, "Sessions", scale, pieces, lambda v: f"{v:,}")


def _fees(m: ReportModel, token: TokenNamed) -> Figure:
    scale, pieces = _pieces(m, lambda total: total.fees, token.address)
    note = f"of the sessions that opened in each {scale.name}, in {symbol(token)}"
    return _upright("Fees", note, "Fees", scale, pieces, lambda v: money(token, v))


def _lengths(m: ReportModel) -> Figure:
    names = [f"< {_short(cut)}" for cut in LENGTHS] + [f"≥ {_short(LENGTHS[-1])}"]
    used = max(n for n, count in enumerate(m.lengths) if count) + 1
    shown = list(zip(names, m.lengths, strict=True))[: max(used, 4)]
    points = [Point(count, name, f"{name}: {count:,} sessions") for name, count in shown]
    table = Table(("Open for", "Sessions"), tuple(Row((n, f"{count:,}")) for n, count in shown))
    top = f"{max(m.lengths):,}"
    note = "from the opening to the close, or to leaving"
    return Figure("Length of sessions", note, bars(points, "Length of sessions", top), table)


def _overlaps(m: ReportModel) -> Iterable[Figure]:
    """For each advisor the longest run of sessions that overlap, so that bars can be told apart."""
    for advisor, found in list(m.overlaps.items())[:6]:
        run: list[tuple[int, int, str]] = []
        best: list[tuple[int, int, str]] = []
        until = 0
        for each in found:
            if run and each.start >= until:
                run = []
                until = 0
            run.append((each.start, each.end, hexed(each.session)))
            until = max(until, each.end)
            if len(run) > len(best):
                best = list(run)
        if len(best) < 2:
            continue
        spans = [
            Span(
                begin, end, f"{session[:12]}\u2026, {when(UnixTime(begin))}, {length(end - begin)}"
            )
            for begin, end, session in best
        ]
        first, last = min(s.start for s in spans), max(s.end for s in spans)
        name = checksummed(advisor)
        title = f"Overlaps of {name[:8]}\u2026{name[-4:]}"
        note = f"{len(best)} of {len(found)} sessions that ran beside another of this advisor"
        plot = timeline(spans, title, when(UnixTime(first)), when(UnixTime(last)))
        table = Table(
            ("Session", "Opened (UTC)", "Open for"),
            tuple(
                Row((session, when(UnixTime(begin)), length(end - begin)))
                for begin, end, session in best
            ),
        )
        yield Figure(title, note, plot, table)


def _short(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds >= 3600 else f"{seconds // 60} min"


def _at(hour: int) -> dt.datetime:
    return utc(UnixTime(min(hour, LAST_DAY * DAY) * 3600))


def _date(day: int) -> dt.date:
    return _at(day * DAY).date()


def day_of(day: int) -> str:
    """A day in words."""
    return f"{_date(day)}" if day < LAST_DAY else f"{day:,} days after 1970"


def _from(piece: int, scale: _Scale) -> str:
    if scale.hours >= DAY:
        return day_of(piece * scale.hours // DAY)
    return f"{_at(piece):%Y-%m-%d %H:%M}"
