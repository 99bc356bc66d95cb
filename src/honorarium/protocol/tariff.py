"""The price schedule of a session, and the fee it gives for a meter reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from honorarium.errors import FieldNotUsable
from honorarium.money import Money, Token
from honorarium.units import MAX_UNITS, BaseUnits, Seconds

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "interaction": 0}


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a session costs. Prices in base units of the session's token.

    A unit is `unit_seconds` of advice (60 = per started minute), or one interaction if
    `unit_seconds` is 0. The first `included_units` are free; beyond `step_units` the price per unit
    is `step_price` (0 = no step). The meter stops at `max_units` (0 = only the deposit stops it).
    """

    connect_fee: BaseUnits
    unit_price: BaseUnits
    unit_seconds: Seconds
    included_units: int
    step_units: int
    step_price: BaseUnits
    max_units: int

    @classmethod
    def of(
        cls,
        token: Token,
        price: Money,
        *,
        per: Literal["second", "minute", "hour", "interaction"] | int = "minute",
        connect_fee: Money = 0,
        included_units: int = 0,
        step_units: int = 0,
        step_price: Money = 0,
        max_units: int = 0,
    ) -> Tariff:
        """A tariff in whole tokens: `Tariff.of(token, "1.50", per="minute", max_units=60)`.

        `per` is what a unit is: a word, or seconds; started units count whole. Prices are text or
        Decimals of whole tokens, integers of base units, or Amounts. Raises AmountNotExact for
        floats and dust, TokensDiffer for an amount of another token, FieldNotUsable for
        another word.
        """
        if isinstance(per, str) and per not in _SECONDS:
            raise FieldNotUsable("Tariff", "per", per, f"{', '.join(_SECONDS)}, or seconds")
        seconds = _SECONDS[per] if isinstance(per, str) else per
        return cls(
            connect_fee=token.amount(connect_fee).base_units,
            unit_price=token.amount(price).base_units,
            unit_seconds=Seconds(seconds),
            included_units=included_units,
            step_units=step_units,
            step_price=token.amount(step_price).base_units,
            max_units=max_units,
        )

    @classmethod
    def per_minute(cls, price: int, *, connect_fee: int = 0, max_units: int = 0) -> Tariff:
        """`price` base units for each started minute."""
        return cls._flat(price, 60, connect_fee, max_units)

    @classmethod
    def per_second(cls, price: int, *, connect_fee: int = 0, max_units: int = 0) -> Tariff:
        """`price` base units for each second."""
        return cls._flat(price, 1, connect_fee, max_units)

    @classmethod
    def per_interaction(cls, price: int, *, connect_fee: int = 0, max_units: int = 0) -> Tariff:
        """`price` base units for each interaction."""
        return cls._flat(price, 0, connect_fee, max_units)

    @classmethod
    def _flat(cls, price: int, seconds: int, connect_fee: int, max_units: int) -> Tariff:
        return cls(
            connect_fee=BaseUnits(connect_fee),
            unit_price=BaseUnits(price),
            unit_seconds=Seconds(seconds),
            included_units=0,
            step_units=0,
            step_price=BaseUnits(0),
            max_units=max_units,
        )

    def fee(self, units: int, deposit: int | None = None) -> BaseUnits:
        """The fee for `units`, in base units; never above `deposit` if one is given.

        With I = included, S = step or infinity, u = min(units, max or infinity): 0 for no units,
        else connect_fee + unit_price * max(0, min(u, S) - I) + step_price * max(0, u - S).
        The contract's `fee` gives the same number for every 32-bit reading.
        """
        if not 0 <= units <= MAX_UNITS:
            raise ValueError(f"a meter reading is 0 to {MAX_UNITS} units, not {units}")
        if units == 0:
            return BaseUnits(0)
        used = min(units, self.max_units) if self.max_units else units
        before_step = min(used, self.step_units) if self.step_units else used
        fee = (
            self.connect_fee
            + self.unit_price * max(0, before_step - self.included_units)
            + self.step_price * (used - before_step)
        )
        return BaseUnits(fee if deposit is None else min(fee, deposit))

    def units_for(self, seconds: int) -> int:
        """How many units `seconds` of advice are: started units count whole.

        An interaction tariff (unit_seconds 0) counts one interaction.
        """
        if self.unit_seconds == 0:
            return 1
        return -(-seconds // self.unit_seconds)
