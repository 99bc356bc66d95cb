"""What a live meter tells the client, beside vouchers. Times are unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from honorarium.errors import InputError
from honorarium.ids import Hash
from honorarium.protocol.journal import Entry
from honorarium.protocol.signed import SignedVoucher
from honorarium.units import UnixTime


class Limit(Enum):
    """What ends the units that a meter signs."""

    CAP = "the tariff's cap"
    DEPOSIT = "the deposit"


@dataclass(frozen=True, slots=True)
class FundsLow:
    """Four fifths of the funded units have begun: once for each deposit.

    Exactly from the first second of unit number ceil(4/5 of the funded ones) on.
    """

    units: int
    funded: int


@dataclass(frozen=True, slots=True)
class FundsSpent:
    """The last funded unit has begun: once for each deposit. Top up now, or come to an end."""

    units: int
    funded: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The last funded unit is over, since `at`: no more counts. After a top-up it goes on."""

    at: UnixTime
    units: int
    by: Limit


@dataclass(frozen=True, slots=True)
class AdvisorSilent:
    """A voucher of `since` is not acknowledged, and the meter's patience is over.

    `units` are signed and not acknowledged: what is at stake. No time counts from the end of the
    patience on, until the acknowledgement comes. Ask the advisor; send `Meter.again()`; if nothing
    helps, leave.
    """

    since: UnixTime
    units: int


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing counts since `at`: an increment beyond the `signed` units was over.

    The acknowledgement of the last voucher is missing, or nobody asked the meter for a while: a
    device slept, a process was dead, a clock was set ahead. An advisor who looks after themselves
    stopped there too. It counts again as soon as the next voucher can be signed.
    """

    at: UnixTime
    signed: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The meter paused by itself, and counts again from `at`."""

    at: UnixTime


Notice = FundsLow | FundsSpent | Stopped | AdvisorSilent | Held | Resumed


@dataclass(frozen=True, slots=True)
class Tick:
    """What is new: a voucher if units are due, and what the client should know.

    `entries` are what the advisor needs besides: the journal behind its first `after` entries,
    from the last acknowledged reading on. Empty if nothing new happened.
    """

    voucher: SignedVoucher | None
    notices: tuple[Notice, ...]
    entries: tuple[Entry, ...]
    after: int

    def __bool__(self) -> bool:
        return bool(self.voucher or self.notices or self.entries)


class OtherReading(InputError):
    """An acknowledgement of a reading that this meter is not waiting for."""

    def __init__(self, units: int, journal: Hash, given: int, given_journal: Hash) -> None:
        self.units, self.journal = units, journal
        self.given, self.given_journal = given, given_journal
        super().__init__(
            f"the acknowledgement is of {given} units and the journal 0x{given_journal.hex()}; "
            f"the last reading has {units} units and 0x{journal.hex()}: send `Meter.again()`, and "
            "take the acknowledgement of exactly that"
        )
