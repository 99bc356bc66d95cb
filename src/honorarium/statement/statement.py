"""A statement: what an advisor earned in a period, by day, quarter and token.

Pure. Which day a payment belongs to is the date in the statement's time zone at its block's time;
the first and the last day both belong to the period. Amounts are base units, worths the currency's
smallest unit; a sum is always the sum of the rows that it stands under.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from honorarium.bill.text import zone_of
from honorarium.ids import ZERO_ADDRESS, Address, SessionId
from honorarium.money import Token
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.typed_data import Domain
from honorarium.statement.entries import Entries, Entry, Kind
from honorarium.statement.errors import BalanceDiffers, PeriodNotUsable
from honorarium.statement.rates import Rates
from honorarium.units import UnixTime


@dataclass(frozen=True, slots=True)
class Period:
    """From the first day to the last, both included, in a time zone."""

    first: dt.date
    last: dt.date
    zone: ZoneInfo

    @classmethod
    def of(cls, first: str | dt.date, last: str | dt.date, zone: str) -> Period:
        """Raises PeriodNotUsable, ZoneUnknown."""
        try:
            days = [dt.date.fromisoformat(d) if isinstance(d, str) else d for d in (first, last)]
        except ValueError as error:
            raise PeriodNotUsable(first, last, str(error)) from None
        if days[0] > days[1]:
            raise PeriodNotUsable(first, last, "it ends before it begins")
        if days[1] == dt.date.max:
            raise PeriodNotUsable(first, last, "no calendar has a day after the last one")
        return cls(days[0], days[1], zone_of(zone))

    def local(self, time: int) -> dt.datetime:
        """A time of the chain, by this zone's clock."""
        return dt.datetime.fromtimestamp(time, self.zone)

    def day(self, time: int) -> dt.date:
        """The day that a time of the chain belongs to."""
        return self.local(time).date()


@dataclass(frozen=True, slots=True)
class Worth:
    """What an entry was worth when it was paid, in the currency's smallest unit."""

    gross: int
    platform: int

    @property
    def net(self) -> int:
        """The rest."""
        return self.gross - self.platform


@dataclass(frozen=True, slots=True)
class Row:
    """An entry of the period, with its token, its local time and its worth if rates were given.

    A worth is there for fees, tips and gas: what is earned or spent, not what is moved.
    """

    entry: Entry
    token: Token
    local: dt.datetime
    tariff: Tariff | None
    """Of the session, if it is one of the advisor's."""
    worth: Worth | None

    @property
    def day(self) -> dt.date:
        """The local date."""
        return self.local.date()


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows of one token added up. Base units, and the currency's smallest unit."""

    token: Token
    sessions: int
    gross: int
    platform: int
    tips: int
    withdrawn: int
    gas: int
    other: int
    worth_gross: int
    worth_platform: int
    worth_tips: int
    worth_gas: int

    @property
    def net(self) -> int:
        """Fees without tips, less the platform's share."""
        return self.gross - self.platform

    @property
    def worth_net(self) -> int:
        """The same in the currency."""
        return self.worth_gross - self.worth_platform

    @property
    def change(self) -> int:
        """What changed of the balance in the escrow."""
        return self.net + self.other - self.withdrawn


@dataclass(frozen=True, slots=True)
class Quarter:
    """What DAC7 asks for of a seller, of one quarter and token (docs/statements.md).

    `consideration` = net fees + tips; `activities` is the number of sessions in respect of which
    something was paid; `fees` is what the platform kept.
    """

    year: int
    number: int
    token: Token
    whole: bool
    """All of its days lie in the period, and were over when the log was read."""
    activities: int
    consideration: int
    tips: int
    fees: int
    worth_consideration: int
    worth_tips: int
    worth_fees: int

    @property
    def name(self) -> str:
        """`2026-Q1`."""
        return f"{self.year}-Q{self.number}"


@dataclass(frozen=True, slots=True)
class Statement:
    """An advisor's period. Make one with `state`."""

    advisor: Address
    name: str
    domain: Domain
    period: Period
    rates: Rates | None
    rows: tuple[Row, ...]
    tokens: tuple[Token, ...]
    """Those with a row or a balance, in a fixed order."""
    opening: Mapping[Address, int]
    """What the escrow owed the advisor when the period began, by token."""
    left_out: int
    """Entries of the period in tokens that the advisor never agreed to be paid in."""
    until: UnixTime | None = None
    """The time up to which the log was read; None: beyond the period."""

    @property
    def complete_to(self) -> dt.date:
        """The last day of the period of which nothing can be missing; it may lie before `first`."""
        if self.until is None:
            return self.period.last
        return min(self.period.last, self.period.day(self.until) - dt.timedelta(1))

    @property
    def over(self) -> bool:
        """The log was read beyond the end of the period: no more entries can come."""
        return self.complete_to == self.period.last

    def sums(self, token: Token) -> Sums:
        """What the rows of a token add up to."""
        return _sums(token, [row for row in self.rows if row.token == token])

    def opening_of(self, token: Token) -> int:
        """What the escrow owed the advisor when the period began."""
        return self.opening.get(token.address, 0)

    def closing(self, token: Token) -> int:
        """What the escrow owed the advisor when the period ended."""
        return self.opening_of(token) + self.sums(token).change

    @property
    def quarters(self) -> tuple[Quarter, ...]:
        """By calendar quarter of the zone, and by token; none without income."""
        return tuple(_quarters(self))


def state(
    entries: Entries,
    tokens: Mapping[Address, Token],
    period: Period,
    domain: Domain,
    *,
    name: str = "",
    rates: Rates | None = None,
    balances: Mapping[Address, int] | None = None,
    until: UnixTime | None = None,
) -> Statement:
    """The statement of the entries' account.

    `tokens` are those to be stated: what came in others is counted and left out, since anybody can
    send anything. `balances` are what the contract owes now, after the last entry: they must be
    what the entries lead to. `until` is the time of the last block that was read: what the period
    has after it is still to come, and its quarters are not complete; None: the period is over.

    Raises RateMissing, BalanceDiffers.
    """
    for token, held in (balances or {}).items():
        if entries.balances.get(token, 0) != held:
            raise BalanceDiffers(entries.account, token, entries.balances.get(token, 0), held)
    stated = [e for e in entries.entries if e.token in tokens]
    inside = [e for e in stated if period.first <= period.day(e.time) <= period.last]
    if rates is not None:
        valued = [e for e in inside if e.income or e.kind is Kind.GAS]
        rates.must_cover((tokens[e.token], e.time) for e in valued)
    opening: dict[Address, int] = {}
    for entry in stated:
        if period.day(entry.time) < period.first:
            opening[entry.token] = opening.get(entry.token, 0) + entry.in_escrow
    rows = tuple(
        Row(
            entry=entry,
            token=tokens[entry.token],
            local=period.local(entry.time),
            tariff=_tariff(entry, entries),
            worth=_worth(entry, tokens[entry.token], rates),
        )
        for entry in inside
    )
    used = {row.token for row in rows} | {tokens[t] for t, held in opening.items() if held}
    return Statement(
        advisor=entries.account,
        name=name,
        domain=domain,
        period=period,
        rates=rates,
        rows=rows,
        tokens=tuple(sorted(used, key=lambda t: (t.address == ZERO_ADDRESS, t.address))),
        opening=opening,
        left_out=sum(
            e.token not in tokens and period.first <= period.day(e.time) <= period.last
            for e in entries.entries
        ),
        until=until,
    )


def _tariff(entry: Entry, entries: Entries) -> Tariff | None:
    terms = entries.terms.get(entry.session) if entry.session is not None else None
    return terms.tariff if terms is not None and terms.advisor == entries.account else None


def _worth(entry: Entry, token: Token, rates: Rates | None) -> Worth | None:
    if rates is None or not (entry.income or entry.kind is Kind.GAS):
        return None
    fiat = rates.at(token.address, entry.time)
    assert fiat is not None  # it was asked before
    if entry.kind is Kind.GAS:
        return Worth(fiat.value(-entry.amount, token), 0)
    return Worth(fiat.value(entry.gross, token), fiat.value(entry.platform, token))


def _sums(token: Token, rows: list[Row]) -> Sums:
    def of(kind: Kind) -> Iterator[Row]:
        return (row for row in rows if row.entry.kind is kind)

    def worth(kind: Kind, name: str) -> int:
        return sum(getattr(row.worth, name) for row in of(kind) if row.worth is not None)

    return Sums(
        token=token,
        sessions=len({row.entry.session for row in of(Kind.FEE)}),
        gross=sum(row.entry.gross for row in of(Kind.FEE)),
        platform=sum(row.entry.platform for row in of(Kind.FEE)),
        tips=sum(row.entry.amount for row in of(Kind.TIP)),
        withdrawn=-sum(row.entry.amount for row in of(Kind.WITHDRAWAL)),
        gas=-sum(row.entry.amount for row in of(Kind.GAS)),
        other=sum(row.entry.amount for row in of(Kind.OTHER)),
        worth_gross=worth(Kind.FEE, "gross"),
        worth_platform=worth(Kind.FEE, "platform"),
        worth_tips=worth(Kind.TIP, "gross"),
        worth_gas=worth(Kind.GAS, "gross"),
    )


def quarter_of(day: dt.date) -> tuple[int, int]:
    """The calendar quarter of a day: year, and 1 to 4."""
    return day.year, (day.month + 2) // 3


def _quarters(statement: Statement) -> Iterator[Quarter]:
    by: dict[tuple[int, int], dict[Token, list[Row]]] = {}
    for row in statement.rows:
        if row.entry.income:
            by.setdefault(quarter_of(row.day), {}).setdefault(row.token, []).append(row)
    for (year, number), per_token in sorted(by.items()):
        begins = dt.date(year, 3 * number - 2, 1)
        after = dt.date(year + number // 4, 3 * number % 12 + 1, 1)
        period = statement.period
        whole = period.first <= begins and after - dt.timedelta(1) <= statement.complete_to
        for token in statement.tokens:
            if token in per_token:
                yield _quarter(year, number, token, whole, per_token[token])


def _quarter(year: int, number: int, token: Token, whole: bool, rows: list[Row]) -> Quarter:
    sums = _sums(token, rows)
    return Quarter(
        year=year,
        number=number,
        token=token,
        whole=whole,
        activities=len(set(_sessions(rows))),
        consideration=sums.net + sums.tips,
        tips=sums.tips,
        fees=sums.platform,
        worth_consideration=sums.worth_net + sums.worth_tips,
        worth_tips=sums.worth_tips,
        worth_fees=sums.worth_platform,
    )


def _sessions(rows: Iterable[Row]) -> Iterator[SessionId]:
    """Those that were paid for. A tip may name any session: only the advisor's own count."""
    for row in rows:
        if row.entry.session is not None and (row.entry.kind is Kind.FEE or row.tariff):
            yield row.entry.session
