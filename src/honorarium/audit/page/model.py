"""What the report page says: totals of bounded size, made of one pass over the sessions.

However many sessions there are, the model holds hours, advisors, tariffs, tokens and the findings:
no session stays in memory, but for those that overlap and are drawn. Amounts are base units.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from honorarium.audit.facts import Finding, Place
from honorarium.ids import Address, SessionId
from honorarium.protocol.tariff import Tariff
from honorarium.units import BaseUnits, Seconds

DRAWN: Final = 240
"""So many overlapping sessions are drawn at most; all of them stand in the findings."""

LENGTHS: Final = (60, 120, 300, 600, 1200, 1800, 3600, 7200)
"""The histogram of lengths is cut at these seconds."""

_ID: Final = re.compile(r"0x([0-9a-f]{64})")


class SessionLike(Protocol):
    """What the page asks of a session; the rows of an audit's `sessions` have it."""

    @property
    def session_id(self) -> SessionId: ...
    @property
    def advisor(self) -> Address: ...
    @property
    def token(self) -> Address: ...
    @property
    def connect_fee(self) -> int: ...
    @property
    def unit_price(self) -> int: ...
    @property
    def unit_seconds(self) -> int: ...
    @property
    def included_units(self) -> int: ...
    @property
    def step_units(self) -> int: ...
    @property
    def step_price(self) -> int: ...
    @property
    def max_units(self) -> int: ...
    @property
    def opened_at(self) -> int: ...
    @property
    def closing_at(self) -> int: ...
    @property
    def closed_at(self) -> int: ...
    @property
    def units(self) -> int: ...
    @property
    def earned(self) -> int: ...
    @property
    def platform_fee(self) -> int: ...
    @property
    def score(self) -> int: ...


class TipLike(Protocol):
    """What the page asks of a tip."""

    @property
    def time(self) -> int: ...
    @property
    def advisor(self) -> Address: ...
    @property
    def token(self) -> Address: ...
    @property
    def amount(self) -> int: ...


class TokenNamed(NamedTuple):
    """A token as the page writes it. `decimals` None: it does not say, so base units are shown."""

    address: Address
    symbol: str
    decimals: int | None


class TokenSum(NamedTuple):
    """What the sessions of one token came to: deposits = fees + refunds + open."""

    token: TokenNamed
    deposits: int
    fees: int
    platform: int
    refunds: int
    open: int
    tips: int
    surplus: int


@dataclass(slots=True)
class Total:
    """Sessions added up. `fees` with the platform's part of them."""

    sessions: int = 0
    seconds: int = 0
    units: int = 0
    fees: int = 0
    platform: int = 0
    tips: int = 0
    ratings: int = 0
    scores: int = 0

    def add(self, other: Total) -> None:
        """The same of others too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Bar(NamedTuple):
    """A session of the overlap timeline."""

    session: SessionId
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReportModel:
    """All that the page shows. Make one with `model_of`."""

    ok: bool
    place: Place
    first_time: int
    last_time: int
    rules: Sequence[str]
    counts: Mapping[str, int]
    unproven: Mapping[str, int]
    tokens: Sequence[TokenSum]
    hours: Mapping[tuple[int, Address], Total]
    """By unix hour and token, of the sessions that opened in it, and the tips given in it."""
    advisors: Mapping[tuple[Address, Address], Total]
    """By advisor and token."""
    services: Mapping[tuple[Tariff, Address], Total]
    """By tariff and token."""
    lengths: Sequence[int]
    """How many sessions were open for less than LENGTHS[i] seconds; the last: longer."""
    scores: Sequence[int]
    """How many ratings of 1 to 5."""
    overlaps: Mapping[Address, Sequence[Bar]]
    """By advisor, in order of time."""
    findings: Sequence[Finding]
    looks: Sequence[Finding]

    def named(self, token: Address) -> TokenNamed:
        """A token of these sums."""
        for each in self.tokens:
            if each.token.address == token:
                return each.token
        return TokenNamed(token, f"0x{token.hex()[:8]}\u2026", None)


@dataclass(slots=True)
class _Tally:
    """The totals as they grow."""

    wanted: frozenset[SessionId]
    hours: dict[Any, Total] = field(default_factory=dict)
    advisors: dict[Any, Total] = field(default_factory=dict)
    services: dict[Any, Total] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=lambda: [0] * (len(LENGTHS) + 1))
    scores: Counter[int] = field(default_factory=Counter)
    overlaps: dict[Address, list[Bar]] = field(default_factory=dict)
    first: int = 0
    last: int = 0

    def session(self, row: SessionLike) -> None:
        """Written out: it runs once for each session."""
        opened, token, closed = row.opened_at, row.token, row.closed_at
        earned, platform, score, units = row.earned, row.platform_fee, row.score, row.units
        end = row.closing_at or closed
        seconds = max(0, end - opened) if end else 0
        tariff = (
            row.connect_fee,
            row.unit_price,
            row.unit_seconds,
            row.included_units,
            row.step_units,
            row.step_price,
            row.max_units,
        )
        for totals, key in (
            (self.hours, (opened // 3600, token)),
            (self.advisors, (row.advisor, token)),
            (self.services, (tariff, token)),
        ):
            total = totals.get(key)
            if total is None:
                total = totals[key] = Total()
            total.sessions += 1
            total.seconds += seconds
            total.units += units
            total.fees += earned
            total.platform += platform
            if score:
                total.ratings += 1
                total.scores += score
        if end:
            self.lengths[bisect_right(LENGTHS, seconds)] += 1
        if score:
            self.scores[score] += 1
        if row.session_id in self.wanted:
            bar = Bar(row.session_id, opened, end or opened)
            self.overlaps.setdefault(row.advisor, []).append(bar)
        self.first = min(self.first or opened, opened)
        self.last = max(self.last, closed, opened)

    def tip(self, row: TipLike) -> None:
        one = Total(tips=row.amount)
        self.hours.setdefault((row.time // 3600, row.token), Total()).add(one)
        self.advisors.setdefault((row.advisor, row.token), Total()).add(one)
        self.first = min(self.first or row.time, row.time)
        self.last = max(self.last, row.time)


def model_of(
    *,
    ok: bool,
    place: Place,
    rules: Sequence[str],
    counts: Mapping[str, int],
    unproven: Mapping[str, int],
    tokens: Sequence[TokenSum],
    sessions: Iterable[SessionLike],
    tips: Iterable[TipLike],
    findings: Sequence[Finding],
    looks: Sequence[Finding],
) -> ReportModel:
    """The page's model; `sessions` and `tips` are read once and may be streams."""
    tally = _Tally(_drawn(looks))
    for row in sessions:
        tally.session(row)
    for tip in tips:
        tally.tip(tip)
    return ReportModel(
        ok=ok,
        place=place,
        first_time=tally.first,
        last_time=tally.last,
        rules=rules,
        counts=counts,
        unproven=unproven,
        tokens=tokens,
        hours=tally.hours,
        advisors=tally.advisors,
        services={(_tariff(*of), token): n for (of, token), n in tally.services.items()},
        lengths=tally.lengths,
        scores=[tally.scores[score] for score in range(1, 6)],
        overlaps={
            advisor: sorted(bars, key=lambda bar: bar.start)
            for advisor, bars in sorted(tally.overlaps.items(), key=lambda each: -len(each[1]))
        },
        findings=findings,
        looks=looks,
    )


def _drawn(looks: Iterable[Finding]) -> frozenset[SessionId]:
    """The sessions of the first overlaps."""
    found: dict[SessionId, None] = {}
    for look in looks:
        if look.rule != "overlap" or look.session is None:
            continue
        for session in (look.session, *_ids(look.about)):
            if len(found) < DRAWN:
                found[session] = None
    return frozenset(found)


def _ids(text: str) -> list[SessionId]:
    return [SessionId(bytes.fromhex(digits)) for digits in _ID.findall(text)]


def _tariff(
    connect: int, price: int, seconds: int, included: int, step: int, beyond: int, most: int
) -> Tariff:
    return Tariff(
        BaseUnits(connect),
        BaseUnits(price),
        Seconds(seconds),
        included,
        step,
        BaseUnits(beyond),
        most,
    )
