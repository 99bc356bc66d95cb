"""Vouchers, entries and readings as they travel: the same over HTTP and WebSocket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from honorarium.chain.deploy import shown
from honorarium.desk import Reading
from honorarium.ids import Address, Hash
from honorarium.protocol import Entry, SignedAcknowledgement, SignedVoucher
from honorarium.protocol.documents import UNREADABLE, DocumentUnreadable, reason_of
from honorarium.protocol.records import (
    entry_record,
    read_bytes,
    read_entry,
    read_signature,
    reading_record,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client's meter sends: a voucher, or entries alone, behind the first `after` ones."""

    voucher: SignedVoucher | None
    entries: tuple[Entry, ...]
    after: int | None


def read_sent(found: Mapping[str, Any]) -> Sent:
    """One message of a meter. Raises DocumentUnreadable."""
    try:
        given = found.get("voucher")
        entries = tuple([read_entry(entry) for entry in found.get("entries") or ()])
        after = found.get("after")
        if after is not None and type(after) is not int:
            raise ValueError(f"after is a number of entries, not {after!r}")
        if given is None and not entries:
            raise ValueError("it has neither a voucher nor entries")
        return Sent(None if given is None else _voucher(given), entries, after)
    except UNREADABLE as error:
        raise DocumentUnreadable("voucher", reason_of(error)) from None


def _voucher(given: Mapping[str, Any]) -> SignedVoucher:
    units = given["units"]
    if type(units) is not int:
        raise ValueError(f"{units!r} is no meter reading")
    journal = Hash(read_bytes(given["journal"], 32))
    return SignedVoucher(units, journal, read_signature(given["signature"]))


def acknowledgement_frame(accepted: SignedAcknowledgement, desk: Address) -> dict[str, Any]:
    """The desk's countersignature."""
    record = reading_record(accepted.units, accepted.journal, accepted.signature)
    return {**record, "by": _shown(desk)}


_shown = lru_cache(maxsize=8)(shown)  # in every acknowledgement, and always the same


def entry_frames(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Entries of a journal."""
    return [entry_record(entry) for entry in entries]


def reading_frame(reading: Reading) -> dict[str, Any]:
    """What a session's meter shows; amounts as text, because not every reader keeps 80 bits."""
    return {
        "session": "0x" + reading.session_id.hex(),
        "status": reading.status,
        "at": reading.at,
        "units": reading.units,
        "fundedUnits": reading.funded,
        "fee": str(reading.fee),
        "deposit": str(reading.deposit),
        "depositLeft": str(reading.left),
        "delivered": reading.delivered,
        "exposure": reading.exposure,
        "atStake": str(reading.at_stake),
        "stop": reading.stop,
        "warning": reading.warning,
        "journal": "0x" + reading.journal.hex(),
        "entries": len(reading.told),
        "notes": entry_frames(reading.noted),
    }
