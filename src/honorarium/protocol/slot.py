"""A session as one word of the escrow's storage holds it (contracts/libraries/Slot.sol)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from honorarium.units import BaseUnits, UnixTime

OPEN_FLAG: Final = 1
FROM_BALANCE_FLAG: Final = 2
ANSWERED_FLAG: Final = 4
REVOKED_FLAG: Final = 8


class Status(IntEnum):
    """Where a session stands; the numbers are the contract's."""

    NONE = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3
    REVOKED = 4


@dataclass(frozen=True, slots=True)
class Slot:
    """The fields of the word. Amounts are base units, times unix seconds; 0: not yet."""

    deposit: BaseUnits
    earned: BaseUnits
    opened_at: UnixTime
    closing_or_closed_at: UnixTime
    score: int
    flags: int

    @classmethod
    def unpack(cls, word: int) -> Slot:
        """From the highest bit: deposit 80, earned 80, openedAt 40, closingAt or closedAt 40,
        score 8, flags 8.
        """
        return cls(
            deposit=BaseUnits(word >> 176),
            earned=BaseUnits(word >> 96 & (1 << 80) - 1),
            opened_at=UnixTime(word >> 56 & (1 << 40) - 1),
            closing_or_closed_at=UnixTime(word >> 16 & (1 << 40) - 1),
            score=word >> 8 & 0xFF,
            flags=word & 0xFF,
        )

    def pack(self) -> int:
        """The word."""
        times = self.opened_at << 56 | self.closing_or_closed_at << 16
        return self.deposit << 176 | self.earned << 96 | times | self.score << 8 | self.flags

    @property
    def status(self) -> Status:
        """Where the session stands."""
        if self.flags & OPEN_FLAG:
            return Status.CLOSING if self.closing_or_closed_at else Status.OPEN
        if self.flags & REVOKED_FLAG:
            return Status.REVOKED
        return Status.CLOSED if self.pack() else Status.NONE

    @property
    def from_balance(self) -> bool:
        """The deposit left the payer's balance, and what is unspent returns there."""
        return bool(self.flags & FROM_BALANCE_FLAG)

    @property
    def answered(self) -> bool:
        """The advisor answered the rating."""
        return bool(self.flags & ANSWERED_FLAG)
