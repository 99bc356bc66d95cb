"""The books of the sessions that run, as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.ledger import sessions
from honorarium.ledger.sessions import CLOSED, Change
from honorarium.protocol.book import Book, Record, voucher_record
from honorarium.protocol.documents import read_quote
from honorarium.protocol.journal import Entry
from honorarium.protocol.keys import Signature
from honorarium.protocol.moments import Clock
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.verifier import Verifier


class DeskBook(Book):
    """The book of one session, in the memory of one replica.

    `seq` is the ledger's count of changes when it was read or written last, `fresh` what has
    happened since. `weight` is how much of its records the ledger keeps: one for each entry.
    """

    weight = 0
    _warned: tuple[int, int] = (0, 0)  # percent, of so many funded units

    def __init__(self, row: Mapping[str, Any], told: Iterable[Record], clock: Clock) -> None:
        quote, domain = read_quote(row["document"])
        super().__init__(quote.terms, domain, row["deposit"], row["opened_at"] or 0, clock=clock)
        self.session_id = quote.session_id(domain)
        self.domain = domain
        self.status: str = row["status"]
        self.seq: int = row["seq"]
        for record in told:
            self._apply(record)
        if row["signature"] is not None and row["units"] >= self.units:
            best = SignedVoucher(
                row["units"], Hash(row["journal"]), Signature.from_bytes(row["signature"])
            )
            if self.status == CLOSED and best.journal != self._heads[-1]:
                self.best = best  # its journal was forgotten (see `keep`); its head remains
            else:
                self._advance(best, self.journal)
        if self.status == CLOSED and not self.closed:
            self._apply({"ended": row["closed_at"] or 0, "closed": True})
        self.fresh: list[Record] = []
        self._saved = self.best
        self._acknowledged: Verifier | None = None

    def acknowledging(self, desk: Address) -> Verifier:
        """What makes the digests that the desk signs."""
        if self._acknowledged is None:
            self._acknowledged = Verifier("Acknowledgement", self.session_id, desk, self.domain)
        return self._acknowledged

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.fresh) or self.best is not self._saved

    def change(self, now: int) -> Change:
        """What has happened, for the ledger."""
        best = self.best
        return Change(
            self.session_id,
            self.seq,
            self.seq + 1,
            self.units,
            best.journal if best else ZERO_HASH,
            best.signature.to_bytes() if best else None,
            now,
            list(self.fresh),
        )

    def saved(self) -> None:
        """The ledger has it."""
        self.seq += 1
        self.fresh.clear()
        self._saved = self.best

    def _keep(self, record: Record) -> None:
        super()._keep(record)
        self.fresh.append(record)

    def _took(self, voucher: SignedVoucher, journal: tuple[Entry, ...], known: int) -> None:
        super()._took(voucher, journal, known)
        if len(journal) > known:  # the reading itself has a row of its own
            self.weight += len(journal) - known
            self.fresh.append(voucher_record(voucher, journal[known:]))
        percent, funded = warning_of(self.units, self.funded_units), self.funded_units
        if percent is not None and self._warned != (percent, funded):
            self._keep({"warned": percent, "funded": funded})

    def _apply(self, record: Record) -> None:
        self.weight += len(record.get("told") or record.get("entries") or (record,))
        if "warned" in record:
            self._warned = (record["warned"], record["funded"])
        else:
            super()._apply(record)

    def news(self) -> list[tuple[str, dict[str, Any]]]:
        """What others are told of what is fresh: the kind of event, and what it says."""
        told: list[tuple[str, dict[str, Any]]] = []
        for record in self.fresh:
            if "warned" in record:
                percent, funded = record["warned"], record["funded"]
                body = {"percent": percent, "units": self.units, "fundedUnits": funded}
                told.append(("session.warning", body))
            elif "equivocation" in record:
                told.append(("session.equivocated", {"units": self.units}))
        return told


def warning_of(used: int, funded: int) -> int | None:
    """80 or 100, once so many percent of the funded units are used up."""
    if not funded or 5 * used < 4 * funded:
        return None
    return 100 if used >= funded else 80


def read_books(
    connection: Connection, session_ids: Sequence[bytes], clock: Clock
) -> dict[bytes, DeskBook]:
    """The books of these sessions; those that the ledger does not know are left out."""
    rows = sessions.reading_rows(connection, session_ids)
    told = sessions.record_rows(connection, session_ids)
    return {
        row["session_id"]: DeskBook(dict(row), told.get(row["session_id"], ()), clock)
        for row in rows
    }
