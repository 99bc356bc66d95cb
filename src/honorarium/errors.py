"""The error tree.

HonorariumError
├── InputError               what was handed in cannot be used
│   ├── AmountNotExact
│   └── BadSignature
└── ...

Every error keeps the numbers it speaks of as attributes, in the order of its fields, and its
message says what was wrong and what to do.
"""

from __future__ import annotations


class HonorariumError(Exception):
    """Whatever this package refuses or fails at."""


class InputError(HonorariumError):
    """What was handed in cannot be used as it is."""


class AmountNotExact(InputError):
    """A price or amount that is not an exact number of base units."""

    def __init__(self, given: str, decimals: int, reason: str) -> None:
        self.given, self.decimals, self.reason = given, decimals, reason
        super().__init__(
            f"{given} is not an exact amount of a token with {decimals} decimals: {reason}"
        )


class BadSignature(InputError):
    """Bytes that are no signature, or not one that counts."""

    def __init__(self, given: bytes, reason: str) -> None:
        self.given, self.reason = given, reason
        super().__init__(f"0x{given.hex()} is not a usable signature: {reason}")
