"""A session between a meter and a book, with a clock that the test holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from honorarium.advisor import VoucherBook
from honorarium.client import Meter, Tick
from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.protocol import (
    Acknowledgement,
    Domain,
    Entry,
    EntryKind,
    Key,
    SignedAcknowledgement,
    SignedVoucher,
    Tariff,
    Terms,
    Voucher,
    head_of,
)
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

DOMAIN = Domain(1337, Address(b"\x11" * 20))
METER, ADVISOR, STRANGER = (Key.from_bytes(bytes((n,)) * 32) for n in (7, 9, 8))
BEGAN = UnixTime(1_800_000_000)
MINUTES = Tariff.per_minute(100)


@dataclass
class Watch:
    """A clock that stands until it is moved; seconds since the session opened."""

    seconds: int = 0

    def __call__(self) -> int:
        return BEGAN + self.seconds


def terms(tariff: Tariff = MINUTES) -> Terms:
    return Terms(
        client=Address(b"\x01" * 20),
        payer=Address(b"\x01" * 20),
        advisor=ADVISOR.address,
        meter_key=METER.address,
        token=ZERO_ADDRESS,
        tariff=tariff,
        fee_bps=Bps(0),
        fee_recipient=ZERO_ADDRESS,
        open_before=UnixTime(BEGAN + 60),
        close_grace=Seconds(600),
        context=Hash(b"\x03" * 32),
        salt=0,
    )


def at(seconds: int) -> UnixTime:
    return UnixTime(BEGAN + seconds)


ANSWERED = Entry(at(0), EntryKind.ANSWERED)
PAUSED, RESUMED = Entry(at(90), EntryKind.PAUSED), Entry(at(100), EntryKind.RESUMED)


def book(
    watch: Watch | None = None,
    tariff: Tariff = MINUTES,
    deposit: int = 10_000,
    *,
    path: Path | None = None,
    patience: int = 120,
    increment: int = 1,
) -> VoucherBook:
    return VoucherBook(
        terms(tariff),
        DOMAIN,
        ADVISOR,
        BaseUnits(deposit),
        BEGAN,
        clock=watch or Watch(3600),
        path=path,
        patience=patience,
        increment=increment,
    )


def signed(units: int, *entries: Entry, tariff: Tariff = MINUTES) -> SignedVoucher:
    session_id = terms(tariff).session_id(DOMAIN)
    return SignedVoucher.sign(
        Voucher(session_id, units, head_of(session_id, entries)), METER, DOMAIN
    )


def accept(voucher: SignedVoucher, tariff: Tariff = MINUTES) -> SignedAcknowledgement:
    """What the advisor's key signs for a reading."""
    session_id = terms(tariff).session_id(DOMAIN)
    accepted = Acknowledgement(session_id, voucher.units, voucher.journal)
    return SignedAcknowledgement.sign(accepted, ADVISOR, DOMAIN)


def pay(meter: Meter, tick: Tick) -> None:
    """The advisor acknowledges at once."""
    if tick.voucher:
        meter.acknowledge(accept(tick.voucher, meter.terms.tariff))


def deliver(tick: Tick, book: VoucherBook) -> SignedAcknowledgement | None:
    """What a tick gave out reaches the advisor; their answer, if it carried a voucher."""
    if tick.voucher:
        return book.take(tick.voucher, tick.entries, tick.after)
    if tick.entries:
        book.hear(tick.entries, tick.after)
    return None
