"""Plots of bars, as SVG that stands in a page: sideways in per cent, so that they fit a phone, a
desktop and paper with letters of the same size. Colours are the page's (classes, no styles).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

HEIGHT: Final = 190
_TOP: Final = 22
_FOOT: Final = 24
_LANE: Final = 11


class Point(NamedTuple):
    """One bar: its value, what stands under it, and what a pointer is told."""

    value: int
    label: str
    tip: str


class Span(NamedTuple):
    """A bar of a timeline."""

    start: int
    end: int
    tip: str


def bars(points: Sequence[Point], title: str, top: str, *, every: int = 1) -> Markup:
    """Upright bars over a line. `top` is the largest value in words; every so many-th bar has its
    label.
    """
    most = max((point.value for point in points), default=0) or 1
    room, width = HEIGHT - _TOP - _FOOT, 100 / max(1, len(points))
    ground = HEIGHT - _FOOT
    parts = [
        _line(0, _TOP, 100, _TOP, "grid"),
        _text(0, _TOP - 6, top, "start"),
        _line(0, ground, 100, ground, "axis"),
    ]
    for place, point in enumerate(points):
        height = max(1.5, room * point.value / most) if point.value else 0
        left = place * width
        gap = width * (0.16 if len(points) < 40 else 0.06)
        parts.append(_bar("bar", left + gap, ground - height, width - 2 * gap, height, point.tip))
        if place % every == 0:
            middle = left + width / 2
            parts.append(_label(middle, HEIGHT - 8, point.label))
    return _svg(HEIGHT, title, parts)


def rows(points: Sequence[Point], title: str) -> Markup:
    """Bars that lie, each with its label before and its value behind it."""
    most = max((point.value for point in points), default=0) or 1
    line, parts = 30, []
    for place, point in enumerate(points):
        y = 6 + place * line
        parts.append(_text(0, y + 15, point.label, "start"))
        width = 62 * point.value / most
        parts.append(_bar("bar", 18, y, max(0.4, width) if point.value else 0, 20, point.tip))
        parts.append(_text(19.5 + width, y + 15, f"{point.value:,}", "start"))
    return _svg(12 + line * len(points), title, parts)


def timeline(spans: Sequence[Span], title: str, first: str, last: str) -> Markup:
    """Bars along time, in as many lanes as run at once. `first` and `last`: its ends in words."""
    begin = min(span.start for span in spans)
    length = max(1, max(span.end for span in spans) - begin)
    lanes: list[int] = []
    parts: list[Markup] = []
    for span in sorted(spans):
        lane = next((n for n, free in enumerate(lanes) if free <= span.start), len(lanes))
        if lane == len(lanes):
            lanes.append(0)
        lanes[lane] = span.end
        parts.append(
            _bar(
                "bar" if lane == 0 else "bar over",
                100 * (span.start - begin) / length,
                4 + lane * _LANE,
                max(0.25, 100 * (span.end - span.start) / length),
                _LANE - 2,
                span.tip,
            )
        )
    ground = 6 + len(lanes) * _LANE
    parts += [
        _line(0, ground, 100, ground, "axis"),
        _text(0, ground + 15, first, "start"),
        _text(100, ground + 15, last, "end"),
    ]
    return _svg(ground + 20, title, parts)


def _svg(height: float, title: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg role="img" width="100%" height="{:.0f}" aria-label="{}">').format(
        height, title
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def _bar(kind: str, x: float, y: float, width: float, height: float, tip: str) -> Markup:
    return Markup(
        '<rect class="{}" x="{:.3f}%" y="{:.1f}" width="{:.3f}%" height="{:.1f}">'
        "<title>{}</title></rect>"
    ).format(kind, x, y, width, height, tip)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{}%" y1="{:.1f}" x2="{}%" y2="{:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def _label(x: float, y: float, text: str) -> Markup:
    anchor = "start" if x < 4 else "end" if x > 96 else "middle"
    return _text(0 if anchor == "start" else 100 if anchor == "end" else x, y, text, anchor)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.3f}%" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, text
    )
