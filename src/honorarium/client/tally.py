"""What a meter knows, made of records: the same when they happen and when they are read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from honorarium.client.notices import AdvisorSilent, Notice, Stopped
from honorarium.ids import ZERO_HASH, Hash
from honorarium.onfailure import OnFailure
from honorarium.protocol.journal import Entry, EntryKind, Journal
from honorarium.protocol.limits import funded_units, usable_deposit
from honorarium.protocol.records import (
    check_session,
    entry_record,
    read_bytes,
    read_entry,
    read_signature,
    reading_record,
    session_record,
)
from honorarium.protocol.signed import SignedAcknowledgement
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.recordfile import Record, RecordFile
from honorarium.units import MAX_UNITS, BaseUnits

FILE: Final = "honorarium meter 1"
"""What the first line of a meter's file calls it."""

_STARTS: Final = (EntryKind.ANSWERED, EntryKind.RESUMED)
_ENDS: Final = (EntryKind.PAUSED, EntryKind.LEFT, EntryKind.CLOSED)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was signed, when, and behind how many entries."""

    units: int
    journal: Hash
    at: int
    entries: int


class Tally:
    """A meter's knowledge of one session, in memory and, once `attach`ed, in a file.

    Records are applied first and written then: after a RecordNotKept the file takes nothing more,
    and a meter whose file takes nothing signs nothing.
    """

    def __init__(self, terms: Terms, domain: Domain) -> None:
        self.terms, self.domain = terms, domain
        self.journal = Journal(terms.session_id(domain))
        self.deposit = BaseUnits(0)
        self.funded = 0  # units that the deposit pays for, within the cap
        self.counted = 0  # interactions
        self.signed = self.accepted = Reading(0, ZERO_HASH, 0, 0)  # the last ones
        self.waiting: list[Reading] = []  # signed and not acknowledged, in order
        self.asked = 0  # since when the first of them waits
        self.acknowledgement: SignedAcknowledgement | None = None
        self.held = False  # paused, by the meter itself
        self.runs = False  # time counts
        self.answered = False
        self.warned = 0  # per cent of the funded units
        self.told: set[type[Notice]] = set()  # what is said once
        self.seen = 0  # the latest moment of all
        self.file: RecordFile | None = None

    @property
    def last(self) -> int:
        """When the last entry was, 0 before the first."""
        entries = self.journal.entries
        return entries[-1].at if entries else 0

    def keep(self, record: Record) -> None:
        """Applies a record, and puts it on the disk. Raises RecordNotKept."""
        self._apply(record)
        if self.file:
            self.file.append(record)

    def assure(self) -> None:
        """Raises RecordNotKept if what it knows may not be on the disk."""
        if self.file:
            self.file.append()

    def keep_entry(self, entry: Entry, *, held: bool = False) -> None:
        """Something happened. Raises JournalRefused, RecordNotKept."""
        self.keep({"entry": entry_record(entry)} | ({"held": True} if held else {}))

    def keep_reading(self, units: int, at: int) -> Reading:
        """A reading that is about to be signed; the last one again is not written again."""
        known = self.signed
        if (units, self.journal.head) != (known.units, known.journal):
            self.keep({"voucher": reading_record(units, self.journal.head), "at": at})
        return self.signed

    def keep_acknowledgement(self, accepted: SignedAcknowledgement) -> None:
        """The advisor's countersignature of a reading that waits for it."""
        record = reading_record(accepted.units, accepted.journal, accepted.signature)
        self.keep({"acknowledgement": record})

    # --------------------------------------------------------------------------------- the file

    def attach(self, file: RecordFile, options: Mapping[str, Any]) -> None:
        """Continues what the file says, or begins it with the `options` of the meter.

        Raises OtherSession, RecordRefused, RecordNotKept; the file is released then.
        """
        with OnFailure(file.release):
            if file.records:
                self._continue(file)
            else:
                session = session_record(self.terms, self.domain)
                history = [{"entry": entry_record(entry)} for entry in self.journal.entries]
                header = {"file": FILE, **session, **options}
                file.append(header, {"deposit": self.deposit}, *history)
        self.file = file

    def _continue(self, file: RecordFile) -> None:
        known, self.deposit = self.deposit, BaseUnits(0)
        with file.refusing(1):
            found = header(file.records[0])
            where = Path(file.path).name
        check_session(where, found, self.terms, self.domain)
        for line, record in enumerate(file.records[1:], start=2):
            with file.refusing(line):
                self._apply(record)
        if known > self.deposit:
            self._apply({"deposit": known})
            file.append({"deposit": known})

    # -------------------------------------------------------------------------------- the records

    def _apply(self, record: Mapping[str, Any]) -> None:
        if "entry" in record:
            self._entry(read_entry(record["entry"]))
            self.held = self.held or "held" in record
        elif "voucher" in record:
            self._voucher(record["voucher"], record["at"])
        elif "acknowledgement" in record:
            self._acknowledgement(record["acknowledgement"])
        elif "deposit" in record:
            self._deposit(record["deposit"])
        elif "counted" in record:
            self.counted = int(record["counted"])
        elif "warned" in record:
            self.warned = int(record["warned"])
        elif "held" in record:
            self.held = bool(record["held"])
        else:
            raise ValueError(f"{', '.join(record)}: no meter writes that")

    def _entry(self, entry: Entry) -> None:
        self.journal.append(entry)
        if entry.kind in _STARTS or entry.kind in _ENDS:
            self.runs, self.held = entry.kind in _STARTS, False
        self.answered = self.answered or entry.kind is EntryKind.ANSWERED
        self.seen = max(self.seen, entry.at)
        if entry.kind is EntryKind.RESUMED and self.waiting:
            self.asked = max(self.asked, entry.at)
            self.told.discard(AdvisorSilent)

    def _voucher(self, found: Mapping[str, Any], at: int) -> None:
        head, units = Hash(read_bytes(found["journal"], 32)), found["units"]
        if head != self.journal.head or not self.signed.units <= units <= MAX_UNITS:
            raise ValueError("its voucher does not follow from the lines before")
        self.signed = Reading(units, head, at, len(self.journal.entries))
        if not self.waiting:
            self.asked = at
        self.waiting.append(self.signed)
        self.seen = max(self.seen, at)

    def _acknowledgement(self, found: Mapping[str, Any]) -> None:
        units, journal = found["units"], Hash(read_bytes(found["journal"], 32))
        place = [(one.units, one.journal) for one in self.waiting].index((units, journal))
        signature = read_signature(found["signature"])
        self.acknowledgement = SignedAcknowledgement(units, journal, signature)
        self.accepted = self.waiting[place]
        del self.waiting[: place + 1]
        if self.waiting:
            self.asked = self.waiting[0].at
        self.told.discard(AdvisorSilent)

    def _deposit(self, given: int) -> None:
        self.deposit, before = usable_deposit(self.deposit, given), self.funded
        self.funded = funded_units(self.terms.tariff, self.deposit)
        if self.funded > before:
            self.warned = 0
            self.told.discard(Stopped)


def header(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first record of a meter's file. Raises ValueError if it is another one."""
    if record.get("file") != FILE:
        raise ValueError(f"it does not begin with {FILE!r}")
    return record
