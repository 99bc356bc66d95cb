"""A fee as lines that add up to it, a tariff in words, and what VAT and exchange rates make of it.

Pure arithmetic. On the chain only one thing is rounded: the platform's share, down to a base unit
(ESC-15). Here two more are, half up, in the finest unit there is: the net of a VAT rate, and money
in another currency. Half up is what the other side of a bill, its bookkeeping and a pocket
calculator do; half even is for long sums, and here nothing rounded is summed up that was not
rounded on its own line.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from honorarium.bill.errors import RateNotUsable
from honorarium.money import Token
from honorarium.protocol.tariff import Tariff
from honorarium.units import WHOLE_SHARE, BaseUnits, format_amount

LineKind = Literal["connection", "included", "units", "step", "cap", "deposit"]

_UNITS: Final = {0: "interaction", 1: "second", 60: "minute", 3600: "hour", 86_400: "day"}

# ISO 4217: the currencies that have other than two decimals.
_PLACES: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


# ------------------------------------------------------------------------------------- the fee


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a fee. `price` and `amount` in base units; `amount` is below zero where a limit
    took something off.
    """

    kind: LineKind
    text: str
    quantity: int | None
    price: BaseUnits | None
    amount: int


def platform_share(earned: int, bps: int) -> BaseUnits:
    """The platform's part of all that was earned, rounded down to a base unit (ESC-15)."""
    return BaseUnits(earned * bps // WHOLE_SHARE)


def refund_place(refund: int, credited: bool) -> str:
    """Where a refund went: `wallet` or (`credited`) `balance` of the payer; `nobody` if nothing is
    left.
    """
    if not refund:
        return "nobody"
    return "balance" if credited else "wallet"


def fee_lines(tariff: Tariff, units: int, fee: int, token: Token) -> tuple[Line, ...]:
    """How the tariff makes `fee` of `units`: the amounts add up to it, exactly.

    `fee` is what was earned for these units, so it is the tariff's fee, or less if the deposit
    stopped it.
    """
    if units == 0:
        return ()
    t, words = tariff, units_name(tariff)
    used = min(units, t.max_units) if t.max_units else units
    before_step = min(used, t.step_units) if t.step_units else used
    free, beyond = min(before_step, t.included_units), used - before_step
    paid = before_step - free
    lines: list[Line] = []

    def line(kind: LineKind, text: str, quantity: int, price: int) -> None:
        if quantity:
            lines.append(Line(kind, text, quantity, BaseUnits(price), quantity * price))

    if t.connect_fee:
        lines.append(Line("connection", "Connection fee", None, None, t.connect_fee))
    line("included", f"Included {words}, free", free, 0)
    line("units", words[0].upper() + words[1:], paid, t.unit_price)
    line(
        "step",
        f"{words[0].upper()}{words[1:]} beyond the first {t.step_units:,}",
        beyond,
        t.step_price,
    )
    line("cap", f"Beyond the agreed {counted(t.max_units, t)}, not charged", units - used, 0)
    cut = t.fee(units) - fee
    if cut:
        text = f"Not charged: the deposit of {money_words(fee, token)} stopped it"
        lines.append(Line("deposit", text, None, None, -cut))
    return tuple(lines)


# ------------------------------------------------------------------------------------- in words


def unit_name(tariff: Tariff) -> str:
    """What the tariff counts, one of it: `minute`, `interaction`, `30-second unit`."""
    seconds = tariff.unit_seconds
    if seconds in _UNITS:
        return _UNITS[seconds]
    return f"{seconds // 60}-minute unit" if seconds % 60 == 0 else f"{seconds}-second unit"


def units_name(tariff: Tariff) -> str:
    """Many of them: `minutes`."""
    return unit_name(tariff) + "s"


def counted(units: int, tariff: Tariff) -> str:
    """`1 minute`, `12 minutes`."""
    return f"{units:,} {unit_name(tariff) if units == 1 else units_name(tariff)}"


def with_places(amount: int, decimals: int, places: int = 2) -> str:
    """Base units as people write money: exact, with thousands apart and at least `places` places
    (where the token has so many): `1,250.00`.
    """
    whole, _, fraction = format_amount(abs(amount), decimals).partition(".")
    fraction = fraction.ljust(min(decimals, places), "0")
    return ("-" if amount < 0 else "") + f"{int(whole):,}" + ("." + fraction if fraction else "")


def money_words(amount: int, token: Token) -> str:
    """`1,250.00 tUSD`."""
    return f"{with_places(amount, token.decimals)} {token.symbol}"


def tariff_words(tariff: Tariff, token: Token) -> tuple[str, ...]:
    """The tariff as a client reads it, a sentence for each thing that was agreed."""
    t, unit = tariff, unit_name(tariff)
    each = f"for each started {unit}" if t.unit_seconds > 1 else f"for each {unit}"
    said: list[str] = []
    if t.connect_fee:
        fee = money_words(t.connect_fee, token)
        said.append(f"{fee} connection fee, due with the first {unit}.")
    if t.included_units == 1:
        said.append(f"The first {unit} is included.")
    elif t.included_units:
        said.append(f"The first {counted(t.included_units, t)} are included.")
    price = money_words(t.unit_price, token)
    if t.step_units and not 0 < t.max_units <= t.step_units:
        said.append(f"{price} {each}, up to {unit} {t.step_units:,}.")
        said.append(
            f"{money_words(t.step_price, token)} {each} from {unit} {t.step_units + 1:,} on."
        )
    else:
        said.append(f"{price} {each}.")
    if t.max_units:
        said.append(f"No more than {counted(t.max_units, t)} can be charged.")
    else:
        said.append("No more than the deposit can be charged.")
    if t.unit_seconds:
        said.append("Counting starts when the advisor answers.")
    return tuple(said)


# ---------------------------------------------------------------------------------- VAT, fiat


def half_up(value: Fraction) -> int:
    """The nearest whole number; of two equally near ones the larger. `value` is not negative."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


@dataclass(frozen=True, slots=True)
class Vat:
    """Value added tax that a fee contains: `percent` on top of its net. `note`: why, if special."""

    percent: Decimal
    note: str = ""

    @classmethod
    def of(cls, percent: str | Decimal | int, note: str = "") -> Vat:
        """Raises RateNotUsable for floats, what is no plain number from 0 to 100, and fractions
        such as 0.19, which are shares and not percents.
        """
        rate = _plain("VAT rate", percent, "give percents, such as '19' or '8.1'", places=6)
        if rate > 100 or 0 < rate < 1:
            raise RateNotUsable(
                "VAT rate", percent, "it is 0, or 1 to 100 percent; 19 percent are '19', not '0.19'"
            )
        return cls(rate, note)

    def split(self, gross: int) -> tuple[int, int]:
        """Net and VAT of what was paid, which contains both: net = gross / (1 + rate), half up,
        and the VAT is the rest, so that they add up.
        """
        net = half_up(Fraction(gross) / (1 + Fraction(self.percent) / 100))
        return net, gross - net


@dataclass(frozen=True, slots=True)
class Fiat:
    """What a token was worth: `rate` units of `currency` for a whole token, `on` that day."""

    currency: str
    rate: Decimal
    on: dt.date
    source: str

    @classmethod
    def of(cls, currency: str, rate: str | Decimal | int, on: dt.date | str, source: str) -> Fiat:
        """Raises RateNotUsable for what is no currency code, a float, zero, no date, no source."""
        if not re.fullmatch("[A-Z]{3}", currency):
            raise RateNotUsable("currency", currency, "give its ISO 4217 code, such as 'EUR'")
        price = _plain("exchange rate", rate, "give the price of a whole token, such as '0.92'")
        if price == 0:
            raise RateNotUsable("exchange rate", rate, "it must be above zero")
        if not source.strip():
            raise RateNotUsable("source of an exchange rate", source, "say who published the rate")
        return cls(currency, price, _day(on), source)

    @property
    def places(self) -> int:
        """The currency's decimals (ISO 4217)."""
        return _PLACES.get(self.currency, 2)

    def value(self, base_units: int, token: Token) -> int:
        """The worth in the currency's smallest unit, half up."""
        whole = Fraction(base_units, 10**token.decimals)
        return half_up(whole * Fraction(self.rate) * 10**self.places)


def _plain(what: str, given: object, wanted: str, places: int = 18) -> Decimal:
    if isinstance(given, Decimal):
        text = f"{given:f}" if given.is_finite() and abs(given.adjusted()) < 40 else str(given)
    elif isinstance(given, str):
        text = given.strip()
    elif isinstance(given, int) and not isinstance(given, bool):
        text = str(given)
    else:
        raise RateNotUsable(what, given, f"{wanted} (text, Decimal or int: a float is not exact)")
    if not re.fullmatch(rf"[0-9]{{1,18}}(\.[0-9]{{1,{places}}})?", text):
        raise RateNotUsable(what, given, f"{wanted}, with at most {places} decimals")
    return Decimal(text)


def _day(given: object) -> dt.date:
    if isinstance(given, str):
        try:
            return dt.date.fromisoformat(given)
        except ValueError:
            pass
    elif isinstance(given, dt.date) and not isinstance(given, dt.datetime):
        return given
    raise RateNotUsable("day of an exchange rate", given, "give a date, such as '2026-01-31'")
