"""Moments, as meters and books take them: whole unix seconds, passed in or read from a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from honorarium.errors import InputError
from honorarium.units import UnixTime

Clock = Callable[[], int]
"""Unix seconds, whole."""

WEEK: Final = 604_800

END_OF_TIME: Final = 2**40
"""The first second that no message has room for."""


class MomentNotUsable(InputError):
    """A time that is no moment, or none at all where there is no clock."""

    def __init__(self, given: object, reason: str) -> None:
        self.given, self.reason = given, reason
        super().__init__(f"{given!r} is no usable moment: {reason}")


class ClockWentBack(InputError):
    """A moment before one that was seen already. Nothing was changed."""

    def __init__(self, seen: int, given: int) -> None:
        self.seen, self.given = seen, given
        super().__init__(
            f"it is {given}, and it was {seen} before: the clock went back by {seen - given} "
            "seconds; nothing was changed: set the clock right, or wait"
        )


def moment(at: int | None, clock: Clock | None) -> int:
    """`at`, or the clock's time if it is None. Raises MomentNotUsable."""
    if at is None:
        if clock is None:
            raise MomentNotUsable(None, "there is no clock; pass the moment in, or give a clock")
        at = clock()
    if type(at) is not int or not 0 <= at < END_OF_TIME:
        raise MomentNotUsable(at, f"give whole unix seconds from 0 to {END_OF_TIME - 1}")
    return at


def present(latest: int, machine: int) -> UnixTime:
    """Now, as the next block will see it: the machine's time, or the latest block's where that is
    later or far earlier, because a chain of recorded days lives in the past.
    """
    return UnixTime(machine if 0 < machine - latest < WEEK else latest)
