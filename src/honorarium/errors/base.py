"""The root of the error tree, and what is wrong with input."""

from __future__ import annotations

import re
from typing import Any, ClassVar

_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")


class HonorariumError(Exception):
    """Whatever this package refuses or fails at."""

    slug: ClassVar[str] = "honorarium-error"
    """The name in words, `deposit-too-small`: the type of the problem that a service answers."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.slug = slug_of(cls.__name__)

    def __reduce__(self) -> tuple[Any, ...]:
        """Told in another process as it is: a pool's worker may raise it."""
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[HonorariumError], args: tuple[Any, ...]) -> HonorariumError:
    """An error with these arguments of `Exception`, which are its message."""
    error = kind.__new__(kind)
    error.args = args
    return error


def slug_of(name: str) -> str:
    """A class's name in words: `DepositTooSmall` is `deposit-too-small`."""
    return _WORD_ENDS.sub("-", name).lower()


class InputError(HonorariumError):
    """What was handed in cannot be used as it is."""


class AmountNotExact(InputError):
    """A price or amount that is not an exact number of base units."""

    def __init__(self, given: str, decimals: int, reason: str) -> None:
        self.given, self.decimals, self.reason = given, decimals, reason
        super().__init__(
            f"{given} is not an exact amount of a token with {decimals} decimals: {reason}"
        )


class TokensDiffer(InputError):
    """Amounts of two tokens where one is meant."""

    def __init__(self, expected: str, given: str) -> None:
        self.expected, self.given = expected, given
        super().__init__(
            f"an amount of {given} where {expected} is counted; give the amount in that token"
        )


class FieldNotUsable(InputError):
    """A value that the field of a signed message has no room for, or that is of another kind."""

    def __init__(self, message: str, field: str, given: object, wanted: str) -> None:
        self.message, self.field, self.given, self.wanted = message, field, given, wanted
        shown = "0x" + given.hex() if isinstance(given, bytes) else repr(given)
        super().__init__(f"{field} of {message} is {shown}; it must be {wanted}")


class BadSignature(InputError):
    """Bytes that are no signature, or not one that counts."""

    def __init__(self, given: bytes, reason: str) -> None:
        self.given, self.reason = given, reason
        super().__init__(f"0x{given.hex()} is not a usable signature: {reason}")


class WrongSignature(InputError):
    """A signature that is somebody else's, or of something else. `what`: quote, voucher, ..."""

    def __init__(self, what: str, expected: bytes, found: bytes) -> None:
        self.what, self.expected, self.found = what, expected, found
        super().__init__(
            f"the {what} is not signed by 0x{expected.hex()}: over these values the signature "
            f"would be 0x{found.hex()}'s; have 0x{expected.hex()} sign exactly these values for "
            "this contract and chain"
        )


class JournalRefused(InputError):
    """An entry that cannot follow what the journal says already."""

    def __init__(self, entry: str, reason: str) -> None:
        self.entry, self.reason = entry, reason
        super().__init__(f"{entry} cannot go into the journal: {reason}")


class JournalIncomplete(JournalRefused):
    """Entries that do not join what is known of the journal: some between are not."""

    def __init__(self, entries: int, after: int, known: int) -> None:
        self.entries, self.after, self.known = entries, after, known
        super().__init__(
            f"{entries} entries behind {after}", f"{known} are known; send those between"
        )


class JournalChanged(InputError):
    """Entries that do not lead to the head that was signed."""

    def __init__(self, expected: bytes, found: bytes, entries: int) -> None:
        self.expected, self.found, self.entries = expected, found, entries
        super().__init__(
            f"these {entries} journal entries lead to the head 0x{found.hex()}, not to "
            f"0x{expected.hex()}: an entry was changed, added, left out or moved, or they belong "
            "to another session; ask for the journal that the meter signed"
        )
