"""How far a reading may go: what the deposit pays for, and what the chain's clock allows."""

from __future__ import annotations

from typing import Final

from honorarium.errors import InputError
from honorarium.protocol.tariff import Tariff
from honorarium.units import MAX_AMOUNT, MAX_UNITS, BaseUnits, Seconds

PATIENCE: Final = Seconds(120)
"""How long the other side's silence is tolerated if nobody says otherwise."""


class DepositNotUsable(InputError):
    """A deposit that a session cannot have: deposits only rise, and have 80 bits."""

    def __init__(self, held: int, given: object, reason: str) -> None:
        self.held, self.given, self.reason = held, given, reason
        super().__init__(f"the deposit is {held} base units and cannot become {given!r}: {reason}")


class SettingNotUsable(InputError):
    """A setting of a meter or a book that is no whole number from 1 on."""

    def __init__(self, name: str, given: object) -> None:
        self.name, self.given = name, given
        super().__init__(f"{name} is a whole number from 1 to {MAX_UNITS}, not {given!r}")


def funded_units(tariff: Tariff, deposit: int) -> int:
    """The most units whose fee `deposit` base units cover, within the cap.

    A meter never signs more: a later top-up would make such a voucher worth more.
    """
    low, high = 0, tariff.max_units or MAX_UNITS
    while low < high:
        middle = (low + high + 1) // 2
        if tariff.fee(middle) <= deposit:
            low = middle
        else:
            high = middle - 1
    return low


def allowed_units(tariff: Tariff, seconds: int) -> int:
    """The most units that the contract takes `seconds` after the session opened (ESC-5)."""
    if tariff.unit_seconds == 0:
        return MAX_UNITS
    return 1 + max(0, seconds) // tariff.unit_seconds


def usable_deposit(held: int, given: int) -> BaseUnits:
    """`given` base units, if a deposit of `held` can become that. Raises DepositNotUsable."""
    if type(given) is not int or not 0 <= given <= MAX_AMOUNT:
        raise DepositNotUsable(held, given, f"it is whole base units from 0 to {MAX_AMOUNT}")
    if given < held:
        raise DepositNotUsable(held, given, "a deposit never falls")
    return BaseUnits(given)


def usable_setting(name: str, given: int) -> int:
    """`given`, if it is a whole number from 1 on. Raises SettingNotUsable."""
    if type(given) is not int or not 1 <= given <= MAX_UNITS:
        raise SettingNotUsable(name, given)
    return given
