"""Money, time and shares as types.

Money is an integer of a token's base units, everywhere and always; time is unix seconds taken from
the chain or handed in. Decimal strings enter through `parse_amount` and leave through
`format_amount`, and nowhere else.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, NewType

from honorarium.errors import AmountNotExact

BaseUnits = NewType("BaseUnits", int)
"""An amount of money in the smallest unit of its token."""

Seconds = NewType("Seconds", int)
"""A length of time."""

UnixTime = NewType("UnixTime", int)
"""A moment: seconds since 1970-01-01T00:00:00Z, as in a block header."""

BlockNumber = NewType("BlockNumber", int)
"""A block's place in its chain."""

Bps = NewType("Bps", int)
"""A share in hundredths of a percent: 10,000 is the whole."""

WHOLE_SHARE: Final = Bps(10_000)
"""All of it."""

MAX_AMOUNT: Final = BaseUnits(2**80 - 1)
"""The largest deposit, fee or price: 80 bits, 1.2 million whole tokens of 18 decimals."""

MAX_UNITS: Final = 2**32 - 1
"""The largest meter reading: 32 bits."""


def parse_amount(text: str | Decimal | int, decimals: int) -> BaseUnits:
    """Whole tokens, written as a decimal, as base units of a token with `decimals` places.

    Exact or refused: `AmountNotExact` for floats, for what is not a plain non-negative number, and
    for dust below one base unit.
    """
    if isinstance(text, bool) or not isinstance(text, str | Decimal | int):
        raise AmountNotExact(repr(text), decimals, "give a decimal string such as '1.25'")
    try:
        value = Decimal(text.strip()) if isinstance(text, str) else Decimal(text)
    except InvalidOperation:
        raise AmountNotExact(repr(text), decimals, "it is not a decimal number") from None
    if not value.is_finite() or value.is_signed():
        raise AmountNotExact(str(text), decimals, "it must be zero or more, and finite")
    # Digits, not arithmetic: a Decimal context would round silently.
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    number = int("".join(map(str, digits)))
    shift = exponent + decimals
    if abs(shift) > 120:
        raise AmountNotExact(str(text), decimals, "it has too many places")
    if shift >= 0:
        return BaseUnits(number * 10**shift)
    amount, dust = divmod(number, 10**-shift)
    if dust:
        raise AmountNotExact(str(text), decimals, f"the token has only {decimals} decimals")
    return BaseUnits(amount)


def format_amount(amount: int, decimals: int) -> str:
    """Base units as whole tokens, exact, without trailing zeros: `1250000, 6` is `1.25`."""
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(decimals + 1, "0")
    if decimals == 0:
        return sign + digits
    whole, fraction = digits[:-decimals], digits[-decimals:].rstrip("0")
    return sign + whole + ("." + fraction if fraction else "")
