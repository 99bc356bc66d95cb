"""What a bundle's papers prove: vouchers, the journal behind them, acknowledgements.

They are signed by the meter's key and the advisor's, so they prove what those said; whether it is
true no signature shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from honorarium.audit.evidence.bundle import Bundle
from honorarium.audit.evidence.found import Statement, claimed, off, proven
from honorarium.audit.evidence.ground import Ground
from honorarium.bill import SessionLog, counted
from honorarium.bill.text import checksummed, when
from honorarium.errors import HonorariumError
from honorarium.ids import Hash
from honorarium.protocol.events import SessionClosed, Settled
from honorarium.protocol.journal import Entry, EntryKind, Journal, billable_seconds
from honorarium.protocol.signed import SignedAcknowledgement, SignedVoucher
from honorarium.units import UnixTime


class Papers:
    """The papers of one session, held against its log."""

    def __init__(self, bundle: Bundle, ground: Ground, log: SessionLog) -> None:
        self.bundle, self.ground, self.log = bundle, ground, log
        self.terms, self.domain = bundle.terms, bundle.domain
        self.settled: dict[int, Hash] = {
            record.event.units: record.event.journal
            for record in ground.records
            if isinstance(record.event, Settled | SessionClosed) and record.event.units
        }

    def statements(self) -> Iterator[Statement]:
        yield from self._vouchers()
        yield from self._journal()
        yield from self._acknowledgements()

    def _vouchers(self) -> Iterator[Statement]:
        tariff, settled = self.terms.tariff, self.log.reading.units
        readings = dict(self.settled)
        for voucher in self.bundle.vouchers:
            units = counted(voucher.units, tariff)
            if not self._signed(voucher):
                yield off("voucher", f"the voucher of {units} is not signed by the meter's key")
                continue
            if readings.setdefault(voucher.units, voucher.journal) != voucher.journal:
                yield off(
                    "voucher",
                    f"the meter signed two journals for {units}: 0x{voucher.journal.hex()} and "
                    f"0x{readings[voucher.units].hex()}; one of them is false",
                )
            more = f", of which {settled:,} are settled" if voucher.units > settled else ""
            yield proven(
                "voucher",
                f"The voucher in this file, {units}{more}, with the journal up to the head "
                f"0x{voucher.journal.hex()[:16]}..., is signed by the meter's key "
                f"{checksummed(self.terms.meter_key)}.",
            )
        if settled and settled not in {voucher.units for voucher in self.bundle.vouchers}:
            yield claimed(
                "voucher",
                f"That the meter signed the {counted(settled, tariff)} that were settled: the "
                "voucher is not in this file; that the escrow accepted it is proven.",
                "the escrow, whose code asks for it",
            )

    def _signed(self, paper: SignedVoucher | SignedAcknowledgement) -> bool:
        try:
            paper.verify(self.terms, self.domain)
        except HonorariumError:
            return False
        return True

    def _journal(self) -> Iterator[Statement]:
        entries, vouchers = self.bundle.journal, self.bundle.vouchers
        if entries is None:
            if self.log.reading.units or vouchers:
                yield claimed(
                    "journal",
                    "What happened between opening and closing (queue, answer, pauses): the "
                    "vouchers commit to a journal, which is not in this file.",
                    "nobody here: the client's meter and the advisor's book have it",
                )
            return
        if not vouchers:
            yield off("journal", "a journal is given, and no voucher that commits to it")
            return
        try:
            heads = _heads(Journal(self.bundle.session_id), entries)
        except HonorariumError as error:
            yield off("journal", str(error))
            return
        newest = vouchers[-1]
        signed = {(v.units, v.journal) for v in vouchers} | set(self.settled.items())
        strays = [units for units, head in sorted(signed) if head not in heads]
        if newest.journal != heads[-1] or strays:
            which = f"{strays[0]:,}" if strays else f"{newest.units:,}"
            yield off(
                "journal",
                f"these {len(entries)} entries do not lead to the head that the meter signed with "
                f"{which} units: one was changed, added, left out or moved",
            )
            return
        told = "; ".join(f"{_kind(entry)} {when(entry.at)}" for entry in entries) or "nothing yet"
        yield proven("journal", f"The meter signed this journal, entry for entry: {told}.")
        yield from self._counted_again(entries, newest)
        accepted = any(self._signed(each) for each in self.bundle.acknowledgements)
        yield claimed(
            "journal",
            "That things happened as the journal says, and when.",
            "the client's meter" + (", and the advisor who accepted it" if accepted else ""),
        )

    def _counted_again(
        self, entries: tuple[Entry, ...], newest: SignedVoucher
    ) -> Iterator[Statement]:
        tariff, log = self.terms.tariff, self.log
        if not tariff.unit_seconds:
            return
        until = log.closing_at or log.closed_at or self.ground.headers[-1].time
        last = entries[-1].at if entries else log.opened_at
        seconds = billable_seconds(entries, UnixTime(max(until, last)))
        units = tariff.units_for(seconds)
        if newest.units > units + 1:  # clocks of chain and meter are never quite the same
            yield off(
                "journal",
                f"the meter signed {counted(newest.units, tariff)}, and its journal has no more "
                f"than {counted(units, tariff)} in it ({seconds:,} seconds)",
            )
        else:
            yield proven(
                "journal",
                f"Queue and pauses left out, at most {seconds:,} seconds count by this journal: "
                f"{counted(units, tariff)}; signed are {newest.units:,}.",
            )

    def _acknowledgements(self) -> Iterator[Statement]:
        tariff = self.terms.tariff
        for each in self.bundle.acknowledgements:
            units = counted(each.units, tariff)
            if not self._signed(each):
                yield off("acknowledgement", f"the acknowledgement of {units} is not the advisor's")
                continue
            yield proven(
                "acknowledgement",
                f"The advisor signed that {units} and the journal up to 0x"
                f"{each.journal.hex()[:16]}... are right.",
            )


def _heads(journal: Journal, entries: Iterable[Entry]) -> list[Hash]:
    """The head before the first entry, and after each. Raises JournalRefused."""
    return [journal.head, *(journal.append(entry) for entry in entries)]


def _kind(entry: Entry) -> str:
    words = {EntryKind.ROBOT: "a robot talked", EntryKind.DATA_ACCESSED: "data accessed"}
    return words.get(entry.kind, entry.kind.text.replace("_", " "))
