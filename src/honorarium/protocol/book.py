"""The book of one session's vouchers: what is taken, what is refused, what is at stake.

Its state is made of records: the same when they happen and when they are read again. Who keeps a
book durably keeps its records: the advisor's `VoucherBook` in a file, the desk in a database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from honorarium.errors import (
    AlreadyClosing,
    InputError,
    JournalChanged,
    JournalIncomplete,
    JournalRefused,
    SessionNotOpen,
    TooManyUnits,
)
from honorarium.ids import Hash
from honorarium.protocol.exposure import (
    ClientSilent,
    Equivocated,
    Exposure,
    Left,
    Paused,
    Stop,
    Stopped,
    Unpaid,
    advised,
    moment_of,
    seconds_in,
)
from honorarium.protocol.journal import Entry, EntryKind, Journal, genesis
from honorarium.protocol.limits import (
    PATIENCE,
    allowed_units,
    funded_units,
    usable_deposit,
    usable_setting,
)
from honorarium.protocol.moments import Clock, moment
from honorarium.protocol.records import (
    entry_record,
    read_bytes,
    read_entry,
    read_signature,
    reading_record,
)
from honorarium.protocol.signed import SignedVoucher, voucher_verifier
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import MAX_UNITS, BaseUnits, UnixTime

Record = Mapping[str, Any]
"""One thing that a book knows, as JSON has it."""


class NotFunded(InputError):
    """A voucher beyond what the deposit pays for: part of it would never be paid."""

    def __init__(self, funded: int, given: int) -> None:
        self.funded, self.given = funded, given
        super().__init__(
            f"the voucher states {given} units, and {funded} are funded; have the payer top up, "
            "and tell the book of it once the chain has it"
        )


class Superseded(InputError):
    """A voucher that brings nothing: a better one is in hand."""

    def __init__(self, in_hand: int, given: int) -> None:
        self.in_hand, self.given = in_hand, given
        super().__init__(
            f"the voucher states {given} units, and one of {in_hand} is in hand; send a newer one"
        )


class Equivocation(InputError):
    """The meter signed two journals of one session that exclude each other.

    Both vouchers are the evidence; whichever has more units can still be settled.
    """

    def __init__(self, known: SignedVoucher, given: SignedVoucher) -> None:
        self.known, self.given = known, given
        super().__init__(
            f"the meter signed {known.units} units with the journal 0x{known.journal.hex()}, and "
            f"{given.units} units with 0x{given.journal.hex()}, which does not lead on from it or "
            "to it; stop advising, keep both, and close with the better one"
        )


class Book:
    """Judges the vouchers of one session.

    `deposit` is in base units, `opened_at` the chain's time of the opening. Wherever a moment `at`
    is asked for, None is the `clock`'s; it should show the time that the chain shows. `increment`
    is how many units are given on trust, `patience` how many seconds a begun unit waits for its
    voucher before the client counts as silent.

    Every change is a record that `_keep` gets; `_apply` alone changes anything.
    """

    def __init__(
        self,
        terms: Terms,
        domain: Domain,
        deposit: BaseUnits,
        opened_at: int,
        *,
        clock: Clock | None = None,
        patience: int = PATIENCE,
        increment: int = 1,
    ) -> None:
        """Raises DepositNotUsable, MomentNotUsable, SettingNotUsable."""
        self.terms, self.clock = terms, clock
        self.opened_at = UnixTime(moment(opened_at, None))
        self.patience = usable_setting("patience", patience)
        self.increment = usable_setting("increment", increment)
        self._domain = domain
        self._verifier = voucher_verifier(terms, domain)
        session_id = terms.session_id(domain)
        self.best: SignedVoucher | None = None
        """The voucher to settle."""
        self.equivocation: Equivocation | None = None
        """The first proof that the meter signed what excludes itself."""
        self.ended: UnixTime | None = None
        """When the chain says that somebody asked to close, or that it was closed."""
        self.closed = False
        self._deposit, self._funded = BaseUnits(0), 0
        self._told: tuple[Entry, ...] = ()  # the client's journal, signed or not
        self._heads = [genesis(session_id)]  # of every beginning of the signed journal
        self._own = Journal(session_id)  # what the advisor noted
        self._counted: list[tuple[int, int]] = []  # (when, interactions so far)
        self._apply({"deposit": deposit})

    # ------------------------------------------------------------------------------- the vouchers

    def accept(
        self,
        voucher: SignedVoucher,
        entries: Sequence[Entry] = (),
        after: int | None = None,
        at: int | None = None,
    ) -> None:
        """Takes a voucher and the entries that lead to its head. The best one again does nothing.

        `entries` stand behind the first `after` ones of the client's journal; None: behind those
        that the best voucher commits to.

        Raises, and changes nothing:
            WrongSignature, BadSignature, FieldNotUsable: the meter did not sign it.
            Superseded: a better one is in hand.
            Equivocation: it excludes the one in hand. Kept as evidence.
            JournalRefused, JournalChanged: the entries can't be, or don't lead to its head.
            TooManyUnits: more than the time since opening allows (ESC-5).
            NotFunded: more than the deposit pays for.
            AlreadyClosing, SessionNotOpen: the chain says that it has ended.
        """
        now = moment(at, self.clock)
        self._verifier.verify(voucher.units, voucher.journal, voucher.signature)
        if self.best and (voucher.units, voucher.journal) == (self.best.units, self.best.journal):
            return
        self._must_go_on()
        if voucher.units <= self.units:
            self._refuse_old(voucher)
        journal = self._led_to(voucher, entries, after, now)
        allowed = allowed_units(self.terms.tariff, now - self.opened_at)
        if voucher.units > allowed:
            raise TooManyUnits(allowed, voucher.units)
        if voucher.units > self.funded_units:
            raise NotFunded(self.funded_units, voucher.units)
        self._took(voucher, journal, len(self._heads) - 1)

    def hear(
        self, entries: Sequence[Entry], after: int | None = None, at: int | None = None
    ) -> None:
        """Takes entries that no voucher carries yet, so that a pause is known before the next one.

        They are the client's word: they count for the exposure, and for nothing else. None: behind
        all that was told. Raises JournalRefused.
        """
        now = moment(at, self.clock)
        told = self._joined(entries, len(self._told) if after is None else after, now)
        signed = len(self._heads) - 1
        if told[:signed] != self._told[:signed]:
            raise JournalRefused(
                f"what is told behind {after} entries", f"{signed} entries are signed, and differ"
            )
        if told != self._told[: len(told)]:
            self._keep({"told": [entry_record(entry) for entry in told[signed:]]})

    @property
    def units(self) -> int:
        """Units in hand: those of the best voucher."""
        return self.best.units if self.best else 0

    @property
    def journal(self) -> tuple[Entry, ...]:
        """The entries that the best voucher commits to."""
        return self._told[: len(self._heads) - 1]

    @property
    def deposit(self) -> BaseUnits:
        """What the session is funded with, base units. Raises DepositNotUsable for a lower one."""
        return self._deposit

    @deposit.setter
    def deposit(self, deposit: int) -> None:
        if usable_deposit(self._deposit, deposit) != self._deposit:
            self._keep({"deposit": deposit})

    @property
    def funded_units(self) -> int:
        """The most units that are paid: what the cap allows and the deposit pays for."""
        return self._funded

    @property
    def told(self) -> tuple[Entry, ...]:
        """The client's journal as far as it was told, signed or not."""
        return self._told

    @property
    def noted(self) -> tuple[Entry, ...]:
        """What the advisor noted: the own count."""
        return self._own.entries

    def end(self, at: int, *, closed: bool = False) -> None:
        """The chain says that somebody asked to close at `at`, or that it was closed then."""
        if (self.ended, self.closed) != (at, closed):
            self._keep({"ended": moment(at, None), "closed": closed})

    def go_on(self) -> None:
        """The chain undid what ended it."""
        if self.ended is not None:
            self._keep({"ended": None, "closed": False})

    # ------------------------------------------------------------------------------ the own count

    def answer(self, at: int | None = None) -> None:
        """The advisor begins to advise. Raises JournalRefused."""
        self._note(EntryKind.ANSWERED, at)

    def pause(self, at: int | None = None) -> None:
        """The advisor stops for a while, as when the book says so. Raises JournalRefused."""
        self._note(EntryKind.PAUSED, at)

    def resume(self, at: int | None = None) -> None:
        """The advisor goes on. Raises JournalRefused."""
        self._note(EntryKind.RESUMED, at)

    def count(self, interactions: int = 1, at: int | None = None) -> None:
        """Interactions that were given, for a tariff without time. Raises TooManyUnits."""
        now = moment(at, self.clock)
        usable_setting("interactions", interactions)
        total = self.interactions + interactions
        if total > MAX_UNITS:
            raise TooManyUnits(MAX_UNITS, total)
        self._keep({"counted": total, "at": now})

    def exposure(self, at: int | None = None) -> Exposure:
        """What is at stake at this moment, and whether to stop advising."""
        now, tariff = moment(at, self.clock), self.terms.tariff
        unit, funded, in_hand = tariff.unit_seconds, self.funded_units, self.units
        if unit:
            spans = advised(self._own.entries, self._told, now)
            seconds = seconds_in(spans)
            begun, over = min(tariff.units_for(seconds), MAX_UNITS), seconds // unit
            since = moment_of(spans, in_hand * unit)
        else:
            begun = over = self.interactions
            since = next((when for when, total in self._counted if total > in_hand), None)
        delivered = min(begun, funded)
        unpaid = max(0, delivered - in_hand)
        fee = tariff.fee
        amount = fee(delivered) - fee(in_hand) if unpaid else 0
        stop = self._ended() or (Stopped(funded) if begun and over >= funded else None)
        if not stop and unpaid and since is not None and now >= since + self.patience:
            stop = ClientSilent(UnixTime(since), unpaid)
        if not stop and over - in_hand >= self.increment:
            stop = Unpaid(unpaid, self.increment)
        if not stop and unit and self._told and self._told[-1].kind is EntryKind.PAUSED:
            # The book would not count what is given now, and the client may resume unheard.
            stop = Paused(self._told[-1].at)
        return Exposure(delivered, in_hand, BaseUnits(amount), stop)

    @property
    def interactions(self) -> int:
        return self._counted[-1][1] if self._counted else 0

    def _ended(self) -> Stop | None:
        if self.equivocation:
            return Equivocated()
        if self.ended is not None:
            return Left(self.ended)
        ends = (EntryKind.LEFT, EntryKind.CLOSED)
        return next((Left(entry.at) for entry in self._told if entry.kind in ends), None)

    # -------------------------------------------------------------------------------- the journal

    def _refuse_old(self, voucher: SignedVoucher) -> None:
        """Returns only for the units in hand with a journal that may be a longer one."""
        # The signed journal is known whole, so an honest meter's older head is one of its heads.
        if voucher.journal in self._heads:
            raise Superseded(self.units, voucher.units)
        if voucher.units < self.units:
            self._convict(voucher)

    def _led_to(
        self, voucher: SignedVoucher, entries: Sequence[Entry], after: int | None, now: int
    ) -> tuple[Entry, ...]:
        """The journal that the voucher commits to, and that leads on from the one in hand."""
        signed = len(self._heads) - 1
        if not entries and after in (None, signed) and voucher.journal == self._heads[-1]:
            return self._told[:signed]  # nothing happened since
        journal = self._joined(entries, signed if after is None else after, now)
        head = Journal(self._own.session_id, journal).head
        if head != voucher.journal:
            raise JournalChanged(voucher.journal, head, len(journal))
        if journal[:signed] != self._told[:signed]:
            self._convict(voucher)
        return journal

    def _joined(self, entries: Sequence[Entry], after: int, now: int) -> tuple[Entry, ...]:
        if type(after) is not int or after < 0:
            raise JournalRefused(f"{len(entries)} entries", f"there is no place behind {after!r}")
        if after > len(self._told):
            raise JournalIncomplete(len(entries), after, len(self._told))
        for entry in entries:
            if entry.at > now + self.patience:
                raise JournalRefused(
                    str(entry), f"it is {entry.at - now} seconds ahead of the advisor's clock"
                )
        joined = (*self._told[:after], *entries)
        Journal(self._own.session_id, joined)
        return joined

    def _convict(self, voucher: SignedVoucher) -> None:
        assert self.best is not None  # nothing excludes the empty journal
        found = Equivocation(self.best, voucher)
        if self.equivocation is None:  # one proof is enough, and a file is not for flooding
            both = [
                reading_record(one.units, one.journal, one.signature)
                for one in (self.best, voucher)
            ]
            self._keep({"equivocation": both})
        raise found

    def _must_go_on(self) -> None:
        if self.closed:
            raise SessionNotOpen(self._own.session_id)
        if self.ended is not None:
            raise AlreadyClosing(self._own.session_id, self.ended)

    def _note(self, kind: EntryKind, at: int | None) -> None:
        entry = Entry(UnixTime(moment(at, self.clock)), kind)
        self._keep({"own": entry_record(entry)})

    # -------------------------------------------------------------------------------- the records

    def _keep(self, record: Record) -> None:
        """Something happens. Whoever keeps the records extends this."""
        self._apply(record)

    def _took(self, voucher: SignedVoucher, journal: tuple[Entry, ...], known: int) -> None:
        """As `_keep` of `voucher_record`, for what happens most; `known` entries were signed."""
        self._advance(voucher, journal)

    def _apply(self, record: Record) -> None:
        """What a record does to the book; the same when it happens and when it is read again."""
        signed = self._told[: len(self._heads) - 1]
        if "voucher" in record:
            added = tuple(map(read_entry, record["entries"]))
            self._advance(_voucher(record["voucher"]), (*signed, *added))
        elif "told" in record:
            told = (*signed, *map(read_entry, record["told"]))
            Journal(self._own.session_id, told)
            self._told = told
        elif "own" in record:
            self._own.append(read_entry(record["own"]))
        elif "counted" in record:
            self._counted.append((int(record["at"]), int(record["counted"])))
        elif "deposit" in record:
            self._deposit = usable_deposit(self._deposit, record["deposit"])
            self._funded = funded_units(self.terms.tariff, self._deposit)
        elif "ended" in record:
            ended = record["ended"]
            self.ended = None if ended is None else UnixTime(ended)
            self.closed = bool(record["closed"])
        elif "equivocation" in record:
            known, given = map(_voucher, record["equivocation"])
            self.equivocation = Equivocation(known, given)
        else:
            raise ValueError(f"{', '.join(record)}: no book writes that")

    def _advance(self, voucher: SignedVoucher, journal: tuple[Entry, ...]) -> None:
        heads = self._heads
        if len(journal) >= len(heads):
            signed = Journal(self._own.session_id, journal[: len(heads) - 1])
            heads = heads + [signed.append(entry) for entry in journal[len(heads) - 1 :]]
        if heads[-1] != voucher.journal or voucher.units < self.units:
            raise ValueError("its voucher does not follow from the lines before")
        # What was told beyond the voucher still holds, unless the voucher says something else.
        if self._told[: len(journal)] != journal:
            self._told = journal
        self._heads, self.best = heads, voucher
        # Of what is paid, only the last count is needed.
        unpaid = [one for one in self._counted if one[1] > voucher.units]
        self._counted = unpaid or self._counted[-1:]


def voucher_record(voucher: SignedVoucher, added: Sequence[Entry]) -> Record:
    """A voucher that was taken, and the entries that it added to the signed journal."""
    reading = reading_record(voucher.units, voucher.journal, voucher.signature)
    return {"voucher": reading, "entries": [entry_record(entry) for entry in added]}


def _voucher(found: Mapping[str, Any]) -> SignedVoucher:
    journal = Hash(read_bytes(found["journal"], 32))
    return SignedVoucher(found["units"], journal, read_signature(found["signature"]))
