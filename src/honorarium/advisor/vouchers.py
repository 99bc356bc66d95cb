"""The advisor's book of one session's vouchers: takes them, keeps the best, countersigns it.

What the book takes the contract will take too, once as much time has passed on the chain as on the
advisor's clock. A voucher is acknowledged only when it is on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from honorarium.errors import InputError
from honorarium.ids import Address
from honorarium.onfailure import OnFailure
from honorarium.protocol.book import Book, Record, voucher_record
from honorarium.protocol.journal import Entry
from honorarium.protocol.keys import Key
from honorarium.protocol.limits import PATIENCE
from honorarium.protocol.messages import Acknowledgement
from honorarium.protocol.moments import Clock
from honorarium.protocol.records import check_session, read_session, session_record
from honorarium.protocol.signed import SignedAcknowledgement, SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.recordfile import RecordFile
from honorarium.units import BaseUnits

_FILE: Final = "honorarium book 1"


class WrongAdvisorKey(InputError):
    """Terms of another advisor."""

    def __init__(self, own: Address, named: Address) -> None:
        self.own, self.named = own, named
        super().__init__(
            f"the advisor of these terms is 0x{named.hex()}, and the key at hand is "
            f"0x{own.hex()}; vouchers are acknowledged with the advisor's own key"
        )


class VoucherBook(Book):
    """Takes the vouchers of one session for its advisor, and countersigns them.

    `key` is the advisor's, `deposit` base units (raise it once a top-up is final on the chain),
    `opened_at` the chain's time of the opening. Wherever a moment `at` is asked for, None is the
    `clock`'s; it should show the time that the chain shows.

    `path` keeps the book in a file: a new one, or the one of the same session, which it continues.
    `increment` is how many units are given on trust, `patience` how many seconds a begun unit waits
    for its voucher before the client counts as silent.

    Not for several threads at once.
    """

    def __init__(
        self,
        terms: Terms,
        domain: Domain,
        key: Key,
        deposit: BaseUnits,
        opened_at: int,
        *,
        clock: Clock | None = None,
        path: Path | str | None = None,
        patience: int = PATIENCE,
        increment: int = 1,
    ) -> None:
        """Raises WrongAdvisorKey, DepositNotUsable, MomentNotUsable, SettingNotUsable.

        With a path also OtherSession, RecordRefused, RecordFileBusy, RecordNotKept.
        """
        if key.address != terms.advisor:
            raise WrongAdvisorKey(key.address, terms.advisor)
        super().__init__(
            terms,
            domain,
            deposit,
            opened_at,
            clock=clock,
            patience=patience,
            increment=increment,
        )
        self._key = key
        self._file: RecordFile | None = None
        if path is not None:
            self._attach(RecordFile(path))

    @classmethod
    def resume_from(cls, path: Path | str, key: Key, *, clock: Clock | None = None) -> VoucherBook:
        """The book that kept this file, as it was.

        Raises WrongAdvisorKey, RecordFileBusy, and RecordRefused if the file was changed or is
        none.
        """
        file = RecordFile(path)
        with OnFailure(file.release):
            with file.refusing(1):
                found = _header(file.records[0] if file.records else {})
                terms, domain = read_session(found)
                opened, patience = found["openedAt"], found["patience"]
                increment = found["increment"]
            book = cls(
                terms,
                domain,
                key,
                BaseUnits(0),
                opened,
                clock=clock,
                patience=patience,
                increment=increment,
            )
        book._attach(file)
        return book

    # ------------------------------------------------------------------------------- the vouchers

    def take(
        self,
        voucher: SignedVoucher,
        entries: Sequence[Entry] = (),
        after: int | None = None,
        at: int | None = None,
    ) -> SignedAcknowledgement:
        """As `accept`; returns the countersignature. The same voucher again gets the same answer.

        Raises what `accept` raises, and RecordNotKept: it is not on the disk; the book takes
        nothing more.
        """
        self.accept(voucher, entries, after, at)
        return self._acknowledged()

    def release(self) -> None:
        """Lets go of the file, for another process to resume from. This book takes no more."""
        if self._file:
            self._file.release()

    def _acknowledged(self) -> SignedAcknowledgement:
        assert self.best is not None
        if self._file:
            self._file.append()  # raises if the voucher may not be on the disk
        accepted = Acknowledgement(self._own.session_id, self.best.units, self.best.journal)
        return SignedAcknowledgement.sign(accepted, self._key, self._domain)

    # -------------------------------------------------------------------------------- the records

    def _keep(self, record: Record) -> None:
        super()._keep(record)
        if self._file:
            self._file.append(record)

    def _took(self, voucher: SignedVoucher, journal: tuple[Entry, ...], known: int) -> None:
        super()._took(voucher, journal, known)
        if self._file:
            self._file.append(voucher_record(voucher, journal[known:]))

    def _attach(self, file: RecordFile) -> None:
        with OnFailure(file.release):
            if file.records:
                self._continue(file)
            else:
                session = session_record(self.terms, self._domain)
                options = {
                    "openedAt": self.opened_at,
                    "patience": self.patience,
                    "increment": self.increment,
                }
                file.append({"file": _FILE, **session, **options}, {"deposit": self._deposit})
        self._file = file

    def _continue(self, file: RecordFile) -> None:
        known, self._deposit = self._deposit, BaseUnits(0)
        with file.refusing(1):
            found = _header(file.records[0])
        check_session(file.path.name, found, self.terms, self._domain)
        for line, record in enumerate(file.records[1:], start=2):
            with file.refusing(line):
                self._apply(record)
        if self.best:
            # It is what will be settled: a file that somebody wrote anew is found here.
            with file.refusing(len(file.records)):
                self.best.verify(self.terms, self._domain)
        if known > self._deposit:
            self._apply({"deposit": known})
            file.append({"deposit": known})


def _header(record: Mapping[str, Any]) -> Mapping[str, Any]:
    if record.get("file") != _FILE:
        raise ValueError(f"it does not begin with {_FILE!r}")
    return record
