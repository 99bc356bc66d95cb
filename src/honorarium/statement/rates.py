"""Exchange rates that the user gives, and which of them applies to a payment.

A file of rates is CSV with the header `time,token,currency,rate`, in any order of lines:

    time      a date, or a date and time with its offset: 2026-01-05, 2026-01-05T14:30:00+01:00;
              a date begins at midnight of the statement's zone
    token     the token's address, or `coin`
    currency  ISO 4217
    rate      what one whole token is worth: a plain decimal

To a payment applies the last rate of its token that began at or before it, if that was not more
than 7 days earlier. Worth is rounded half up to the currency's smallest unit, payment by payment;
sums add up what was rounded.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from honorarium.bill import Fiat, RateNotUsable
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.money import Token
from honorarium.statement.errors import RateMissing, RatesUnreadable
from honorarium.units import UnixTime

LONGEST: Final = 7  # days that a rate holds at most: over every weekend with its holidays
COLUMNS: Final = ("time", "token", "currency", "rate")


@dataclass(frozen=True, slots=True)
class Rate:
    """From this moment on, one whole token is worth that."""

    since: UnixTime
    fiat: Fiat


class Rates:
    """The rates of one currency, by token. Make them with `read`."""

    def __init__(self, currency: str, source: str, rates: Iterable[tuple[Address, Rate]]) -> None:
        self.currency, self.source = currency, source
        self._rates: dict[Address, list[Rate]] = defaultdict(list)
        for token, rate in sorted(rates, key=lambda each: each[1].since):
            self._rates[token].append(rate)

    @classmethod
    def read(cls, path: Path, text: str, currency: str, zone: ZoneInfo) -> Rates:
        """The rates in `currency` out of the text of a file; others are passed over, but read.

        Raises RatesUnreadable, naming the line; two rates of one token at one time are refused.
        """
        lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
        found: dict[tuple[Address, str, UnixTime], Rate] = {}
        for number, line in enumerate(lines, start=1):
            if number == 1:
                if tuple(each.strip().lower() for each in line) != COLUMNS:
                    raise RatesUnreadable(path, 1, f"the header must be {','.join(COLUMNS)}")
                continue
            if not line:
                continue
            try:
                token, rate = _rate(line, path.name, zone)
            except (RateNotUsable, ValueError) as error:
                raise RatesUnreadable(path, number, str(error)) from None
            key = (token, rate.fiat.currency, rate.since)
            if key in found:
                raise RatesUnreadable(path, number, "this token has a rate at this time already")
            found[key] = rate
        mine = [(t, rate) for (t, named, _), rate in found.items() if named == currency]
        if not mine:
            others = ", ".join(sorted({named for _, named, _ in found})) or "no currency"
            why = f"there is no rate in {currency} in it, but in {others}"
            raise RatesUnreadable(path, None, why)
        return cls(currency, path.name, mine)

    @property
    def places(self) -> int:
        """The currency's decimals."""
        return next(iter(self._rates.values()))[0].fiat.places

    def at(self, token: Address, time: UnixTime) -> Fiat | None:
        """The rate that applies; None: there is none."""
        rates = self._rates.get(token, [])
        place = bisect_right(rates, time, key=lambda rate: rate.since)
        if not place or time - rates[place - 1].since >= LONGEST * 86_400:
            return None
        return rates[place - 1].fiat

    def must_cover(self, payments: Iterable[tuple[Token, UnixTime]]) -> None:
        """Raises RateMissing, with all that is missing."""
        missing = [(t.symbol, at) for t, at in payments if self.at(t.address, at) is None]
        if missing:
            raise RateMissing(self.currency, missing, LONGEST)


def _rate(line: list[str], source: str, zone: ZoneInfo) -> tuple[Address, Rate]:
    if len(line) != len(COLUMNS):
        raise ValueError(f"it has {len(line)} fields, not {len(COLUMNS)}")
    time, token, currency, rate = (each.strip() for each in line)
    at = _moment(time, zone)
    on = dt.datetime.fromtimestamp(at, zone).date()
    return _token(token), Rate(UnixTime(at), Fiat.of(currency, rate, on, source))


def _moment(text: str, zone: ZoneInfo) -> int:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        midnight = dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), zone)
        return int(midnight.timestamp())
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        wanted = "2026-01-05 or 2026-01-05T14:30:00+01:00"
        raise ValueError(f"{text!r} is no date or time such as {wanted}") from None
    if at.tzinfo is None:
        raise ValueError(f"the time {text} has no offset, such as Z or +01:00")
    return int(at.timestamp())


def _token(text: str) -> Address:
    if text == "coin":
        return ZERO_ADDRESS
    if not re.fullmatch("0x[0-9a-fA-F]{40}", text):
        raise ValueError(f"{text!r} is no token: give its address, or `coin`")
    return Address(bytes.fromhex(text[2:]))
