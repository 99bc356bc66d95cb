"""The tariff file: what a call of each service costs.

TOML with one table per service type and `[default]` for the others. Prices are decimal strings of
the token. Of a table's keys `unit_seconds`, `unit_price` and `max_units` are required; a missing
other one is zero. `max_units` must be above zero here, because the deposit is the fee for it.

The connect fee is for priority customers (priority 2); all others get the same tariff with a
connect fee of zero. So a table must make sense both ways.

`unit_seconds = 0` bills interactions: a served call is one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from honorarium.errors import AmountNotExact, InputError
from honorarium.protocol.tariff import Tariff
from honorarium.units import (
    MAX_AMOUNT,
    MAX_UNITS,
    WHOLE_SHARE,
    BaseUnits,
    Bps,
    Seconds,
    format_amount,
    parse_amount,
)

DEFAULT: Final = "default"
PRIORITY: Final = 2
"""The priority whose calls pay the connect fee."""

REQUIRED: Final = ("unit_seconds", "unit_price", "max_units")
_PRICES: Final = ("unit_price", "connect_fee", "step_price")
_LIMITS: Final = {
    "unit_seconds": (0, 86_400),
    "included_units": (0, MAX_UNITS),
    "step_units": (0, MAX_UNITS),
    "max_units": (1, MAX_UNITS),
    "platform_bps": (0, WHOLE_SHARE),
}
KEYS: Final = (*_LIMITS, *_PRICES)


class TariffFileError(InputError):
    """A tariff file that cannot be used; `table` and `key` are None where none is to blame."""

    def __init__(
        self,
        path: Path,
        reason: str,
        table: str | None = None,
        key: str | None = None,
        value: object = None,
    ) -> None:
        self.path, self.reason, self.table, self.key, self.value = path, reason, table, key, value
        where = str(path) if table is None else f"{path}, [{table}]"
        what = reason if key is None else f"{key} = {_toml(value)}: {reason}"
        super().__init__(f"{where}: {what}")


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class ServiceTariff:
    """What one call is billed by: the tariff and the platform's share of the fee.

    `table` is the table of the file that it comes from.
    """

    table: str
    tariff: Tariff
    platform_bps: Bps

    @property
    def deposit(self) -> BaseUnits:
        """What a session starts with: the fee for `max_units`."""
        return self.tariff.fee(self.tariff.max_units)

    def platform_fee(self, fee: int) -> BaseUnits:
        """The platform's part of `fee`, rounded down to a base unit (ESC-15)."""
        return BaseUnits(fee * self.platform_bps // WHOLE_SHARE)


@dataclass(frozen=True, slots=True)
class Tariffs:
    """A whole tariff file, checked. `tables` always holds `default`."""

    decimals: int
    tables: Mapping[str, ServiceTariff]

    def tariff_for(self, service: str, priority: int) -> ServiceTariff:
        """What a call of this service and priority is billed by; never fails."""
        found = self.tables.get(service, self.tables[DEFAULT])
        if priority == PRIORITY or not found.tariff.connect_fee:
            return found
        return replace(found, tariff=replace(found.tariff, connect_fee=BaseUnits(0)))


def load_tariffs(path: Path, decimals: int = 6) -> Tariffs:
    """The tariffs of a TOML file; prices in whole tokens of `decimals` decimals.

    Raises `TariffFileError` for every mistake, with the table, the key, the value and what is
    allowed: a tariff that loads is one that the contract opens.
    """
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise TariffFileError(path, "there is no such file; name one with --tariffs") from None
    except OSError as error:
        raise TariffFileError(path, f"it cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise TariffFileError(path, f"byte {error.start + 1} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise TariffFileError(path, f"not TOML: {error}") from None
    if DEFAULT not in content:
        raise TariffFileError(path, f"there is no table [{DEFAULT}] for services without their own")
    return Tariffs(
        decimals, {name: _table(path, name, given, decimals) for name, given in content.items()}
    )


def _table(path: Path, name: str, given: object, decimals: int) -> ServiceTariff:
    if not isinstance(given, dict):
        raise TariffFileError(path, f"{name} stands outside of a table; write [{name}] with keys")
    for key, value in given.items():
        if key not in KEYS:
            reason = f"there is no such key; keys are {', '.join(KEYS)}"
            raise TariffFileError(path, reason, name, key, value)
    for key in REQUIRED:
        if key not in given:
            raise TariffFileError(path, f"{key} is missing", name)
    numbers = {key: _number(path, name, key, given.get(key, 0)) for key in _LIMITS}
    prices = {key: _price(path, name, key, given.get(key, "0"), decimals) for key in _PRICES}
    tariff = Tariff(
        connect_fee=prices["connect_fee"],
        unit_price=prices["unit_price"],
        unit_seconds=Seconds(numbers["unit_seconds"]),
        included_units=numbers["included_units"],
        step_units=numbers["step_units"],
        step_price=prices["step_price"],
        max_units=numbers["max_units"],
    )
    _refuse_senseless(path, name, given, tariff, decimals)
    return ServiceTariff(name, tariff, Bps(numbers["platform_bps"]))


def _number(path: Path, table: str, key: str, value: object) -> int:
    least, most = _LIMITS[key]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        reason = f"it must be a whole number from {least} to {most}"
        raise TariffFileError(path, reason, table, key, value)
    return value


def _price(path: Path, table: str, key: str, value: object, decimals: int) -> BaseUnits:
    if not isinstance(value, str):
        reason = 'it must be a decimal string in quotation marks, such as "1.25"'
        raise TariffFileError(path, reason, table, key, value)
    try:
        price = parse_amount(value, decimals)
    except AmountNotExact as error:
        raise TariffFileError(path, error.reason, table, key, value) from None
    if price > MAX_AMOUNT:
        reason = f"it is above the largest amount, {format_amount(MAX_AMOUNT, decimals)}"
        raise TariffFileError(path, reason, table, key, value)
    return price


def _refuse_senseless(
    path: Path, table: str, given: Mapping[str, object], tariff: Tariff, decimals: int
) -> None:
    """Terms that the contract would refuse to open, for priority customers and for the others."""

    def refuse(key: str, reason: str) -> None:
        raise TariffFileError(path, reason, table, key, given.get(key))

    if 0 < tariff.step_units <= tariff.included_units:
        refuse("step_units", f"the step must lie beyond included_units = {tariff.included_units}")
    if tariff.step_price and not tariff.step_units:
        refuse("step_price", "a step price needs step_units, the units after which it applies")
    if tariff.max_units <= tariff.included_units:
        refuse(
            "max_units",
            f"it must be above included_units = {tariff.included_units}: callers without priority "
            "pay no connect fee, so all of their units would be free",
        )
    if replace(tariff, connect_fee=BaseUnits(0)).fee(tariff.max_units) == 0:
        refuse(
            "unit_price",
            f"nothing to pay in {tariff.max_units} units for callers without priority, who pay no "
            "connect fee; give unit_price, or a step_price that max_units reaches",
        )
    deposit = tariff.fee(tariff.max_units)
    if deposit > MAX_AMOUNT:
        refuse(
            "max_units",
            f"the deposit, the fee for max_units, would be {format_amount(deposit, decimals)}; "
            f"the largest amount is {format_amount(MAX_AMOUNT, decimals)}",
        )
