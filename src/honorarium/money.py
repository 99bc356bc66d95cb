"""Amounts of money that know their token.

Money comes in as text or a Decimal of whole tokens (`"1.50"`), as an integer of base units, or as
an `Amount`; it goes out as an `Amount`. Floats and dust are refused, and amounts of different
tokens never meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from honorarium.errors import AmountNotExact, TokensDiffer
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.units import BaseUnits, format_amount, parse_amount


@dataclass(frozen=True, slots=True)
class Token:
    """What money is counted in: an ERC-20, or the chain's own coin (address zero).

    `symbol` is for people, and makes no difference; the contract at `address` decides.
    """

    address: Address
    symbol: str = field(compare=False)
    decimals: int

    @property
    def is_coin(self) -> bool:
        """Whether it is the chain's own coin."""
        return self.address == ZERO_ADDRESS

    def amount(self, given: Money) -> Amount:
        """`given` of this token: an `int` counts base units, text and Decimals whole tokens.

        Raises AmountNotExact for floats, negative numbers and dust, TokensDiffer for an amount of
        another token.
        """
        if isinstance(given, Amount):
            if given.token != self:
                raise TokensDiffer(str(self), str(given.token))
            return given
        if isinstance(given, int) and not isinstance(given, bool):
            if given < 0:
                raise AmountNotExact(str(given), self.decimals, "it must be zero or more")
            return Amount(BaseUnits(given), self)
        return Amount(parse_amount(given, self.decimals), self)

    def __str__(self) -> str:
        return self.symbol if self.is_coin else f"{self.symbol} at 0x{self.address.hex()}"


@dataclass(frozen=True, slots=True)
class Amount:
    """So many `base_units` of a `token`; shown as whole tokens, exactly: `1.5 tUSD`."""

    base_units: BaseUnits
    token: Token

    @property
    def whole(self) -> Decimal:
        """The amount in whole tokens, exact whatever the decimal context."""
        return Decimal(self.text)

    @property
    def text(self) -> str:
        """The amount in whole tokens, without the symbol: `1.5`."""
        return format_amount(self.base_units, self.token.decimals)

    def __str__(self) -> str:
        return f"{self.text} {self.token.symbol}"

    def __int__(self) -> int:
        return self.base_units

    def __bool__(self) -> bool:
        return self.base_units != 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(BaseUnits(self.base_units + self._same(other)), self.token)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(BaseUnits(self.base_units - self._same(other)), self.token)

    def __lt__(self, other: Amount) -> bool:
        return self.base_units < self._same(other)

    def __le__(self, other: Amount) -> bool:
        return self.base_units <= self._same(other)

    def __gt__(self, other: Amount) -> bool:
        return self.base_units > self._same(other)

    def __ge__(self, other: Amount) -> bool:
        return self.base_units >= self._same(other)

    def _same(self, other: Amount) -> int:
        if other.token != self.token:
            raise TokensDiffer(str(self.token), str(other.token))
        return other.base_units


Money = int | str | Decimal | Amount
"""What is taken as money: base units (int), whole tokens (text, Decimal), or an Amount."""

COIN: Final = Token(ZERO_ADDRESS, "ETH", 18)
"""The chain's own coin, by the name that most chains give it."""
