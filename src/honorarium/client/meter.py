"""The meter on the client's side: counts units from a journal, and signs what it counted.

Moments are whole unix seconds: passed in, or taken from the clock that the meter was given. What it
signs never exceeds what the deposit pays for, because a later top-up would make such a voucher
worth more.

Live, `tick` does everything: it signs each unit as it begins, but never more than one `increment`
beyond what the advisor acknowledged, and counts no more than one beyond what is signed, so that
neither side ever has more than that at stake. With a file, whatever it signs is on the disk before
anybody sees it, and a meter that comes back signs the same again, never something else. The key is
not in the file.
"""

from __future__ import annotations

from pathlib import Path

from honorarium.client.notices import (
    AdvisorSilent,
    FundsLow,
    FundsSpent,
    Held,
    Limit,
    Notice,
    OtherReading,
    Resumed,
    Stopped,
    Tick,
)
from honorarium.client.tally import Reading, Tally, header
from honorarium.errors import InputError
from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.onfailure import OnFailure
from honorarium.protocol.journal import Entry, EntryKind, Journal, billable_seconds
from honorarium.protocol.keys import Key
from honorarium.protocol.limits import PATIENCE, usable_deposit, usable_setting
from honorarium.protocol.messages import Voucher
from honorarium.protocol.moments import Clock, ClockWentBack, moment
from honorarium.protocol.records import read_bytes, read_session
from honorarium.protocol.signed import SignedAcknowledgement, SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.recordfile import RecordFile
from honorarium.units import MAX_UNITS, BaseUnits, UnixTime


class NotMetered(InputError):
    """A reading that this meter will not sign."""

    def __init__(self, units: int, funded: int, reason: str) -> None:
        self.units, self.funded, self.reason = units, funded, reason
        super().__init__(
            f"not metered ({units} more): {reason}" if units else f"nothing is signed: {reason}"
        )


class WrongMeterKey(InputError):
    """Terms that another key meters."""

    def __init__(self, own: Address, named: Address) -> None:
        self.own, self.named = own, named
        super().__init__(
            f"these terms are metered by 0x{named.hex()}, and the key at hand is 0x{own.hex()}; "
            "use the key that was named to the advisor, or ask for a quote that names this one"
        )


class Meter:
    """Meters one session with its own key.

    `deposit` is in base units; raise it after a top-up. For a time tariff the units follow from the
    journal (`answer`, `pause`, `resume`); for an interaction tariff `count` adds them. Wherever a
    moment `at` is asked for, None is the `clock`'s.

    `path` keeps the meter in a file: a new one, or the one of the same session, which it continues
    (the higher deposit counts). `patience` is how many seconds an advisor may be silent; None asks
    for no countersignatures, and then `tick` signs all that is due. `increment` is how many units
    `tick` signs at most beyond what is acknowledged: 1, or more where units are so short that a
    voucher and its answer need longer. `acknowledged_by` is the desk that the advisor named to
    acknowledge in their place; None: the advisor's own key does.

    Not for several threads at once.
    """

    def __init__(
        self,
        terms: Terms,
        domain: Domain,
        key: Key,
        deposit: BaseUnits,
        *,
        clock: Clock | None = None,
        path: Path | str | None = None,
        patience: int | None = PATIENCE,
        increment: int = 1,
        acknowledged_by: Address | None = None,
    ) -> None:
        """Raises WrongMeterKey, DepositNotUsable, SettingNotUsable.

        With a path also OtherSession, RecordRefused, RecordFileBusy, RecordNotKept.
        """
        if key.address != terms.meter_key:
            raise WrongMeterKey(key.address, terms.meter_key)
        self.terms, self.clock, self._key = terms, clock, key
        self.patience = None if patience is None else usable_setting("patience", patience)
        self.increment = usable_setting("increment", increment)
        self.acknowledged_by = acknowledged_by
        self._tally = Tally(terms, domain)
        self._tally.keep({"deposit": deposit})
        self._shown = 0  # entries that a tick gave out
        if path is not None:
            self._attach(RecordFile(path))

    @property
    def key(self) -> Key:
        """What signs the readings."""
        return self._key

    @classmethod
    def resume_from(cls, path: Path | str, key: Key, *, clock: Clock | None = None) -> Meter:
        """The meter that kept this file, as it was.

        Raises WrongMeterKey, RecordFileBusy, and RecordRefused if the file was changed or is none.
        """
        file = RecordFile(path)
        with OnFailure(file.release):
            with file.refusing(1):
                found = header(file.records[0] if file.records else {})
                terms, domain = read_session(found)
                patience, increment = found["patience"], found["increment"]
                desk = found.get("acknowledgedBy")
                acknowledged_by = None if desk is None else Address(read_bytes(desk, 20))
            meter = cls(
                terms,
                domain,
                key,
                BaseUnits(0),
                clock=clock,
                patience=patience,
                increment=increment,
                acknowledged_by=acknowledged_by,
            )
        meter._attach(file)
        return meter

    # ------------------------------------------------------------------------------ the reading

    @property
    def journal(self) -> Journal:
        """What happened; its head is what the next voucher carries."""
        return self._tally.journal

    @property
    def deposit(self) -> BaseUnits:
        """What the session is funded with, base units. Raise it once a top-up is on the chain.

        Raises DepositNotUsable, and stays as it was, for a lower one or no amount.
        """
        return self._tally.deposit

    @deposit.setter
    def deposit(self, deposit: int) -> None:
        if usable_deposit(self.deposit, deposit) != self.deposit:
            self._tally.keep({"deposit": deposit})

    @property
    def funded_units(self) -> int:
        """The most units that this meter signs: what the cap allows and the deposit pays for."""
        return self._tally.funded

    @property
    def signed_units(self) -> int:
        """The units of the last voucher; 0 before the first."""
        return self._tally.signed.units

    @property
    def exposure(self) -> int:
        """Units that are signed and not acknowledged. After ticks alone one increment at most."""
        return self._tally.signed.units - self._tally.accepted.units

    @property
    def acknowledgement(self) -> SignedAcknowledgement | None:
        """The advisor's last countersignature: keep it, it proves what they accepted."""
        return self._tally.acknowledgement

    def units(self, at: int | None = None) -> int:
        """The reading at this moment: started units whole, stopped at what is funded."""
        tariff, now = self.terms.tariff, moment(at, self.clock)
        counted = self._tally.counted
        if tariff.unit_seconds:
            counted = tariff.units_for(billable_seconds(self.journal.entries, UnixTime(now)))
        return min(counted, self.funded_units)

    def read(self, at: int | None = None) -> SignedVoucher:
        """The reading at this moment, signed: the client's own word, acknowledged or not.

        The same reading again is the same voucher. If the journal has grown since, the new one
        carries its new head, which leads on from the old one.

        Raises NotMetered if nothing counted yet: there is nothing to sign. ClockWentBack for fewer
        units than are signed already.
        """
        now = moment(at, self.clock)
        units = self.units(now)
        if units < self.signed_units:
            raise ClockWentBack(self._tally.signed.at, now)
        if units == 0:
            raise NotMetered(0, self.funded_units, "nothing counted yet; close without a voucher")
        return self._signed(self._tally.keep_reading(units, now))

    # ----------------------------------------------------------------------------- what happens

    def answer(self, at: int | None = None) -> None:
        """The advisor answers: from here on it counts. Raises JournalRefused."""
        self.note(EntryKind.ANSWERED, at)

    def pause(self, at: int | None = None) -> None:
        """Stops counting. Raises JournalRefused.

        A meter that paused by itself then stays paused until `resume`.
        """
        if self._tally.held:
            self._tally.keep({"held": False})
        else:
            self.note(EntryKind.PAUSED, at)

    def resume(self, at: int | None = None) -> None:
        """Counts again. A silent advisor is waited for anew. Raises JournalRefused."""
        self.note(EntryKind.RESUMED, at)

    @property
    def has_left(self) -> bool:
        """Whether somebody asked to close, as far as this meter was told."""
        return any(e.kind in (EntryKind.LEFT, EntryKind.CLOSED) for e in self.journal.entries)

    def leave(self, at: int | None = None) -> None:
        """Somebody asked to close: no more time counts. Raises JournalRefused.

        The chain's clock may lie behind the meter's. What is signed stays, so leaving never counts
        as earlier than what the meter has seen.
        """
        now = moment(at, self.clock)
        self.note(EntryKind.LEFT, max(now, self._tally.seen))

    def note(self, kind: EntryKind, at: int | None = None, note: Hash = ZERO_HASH) -> None:
        """Something happens; `note` commits to its details.

        Raises JournalRefused, ClockWentBack; the journal stays as it was.
        """
        # What is no whole number the journal refuses itself.
        now = moment(at, self.clock) if at is None or type(at) is int else at
        entry = Entry(UnixTime(now), kind, note)
        if self._tally.last <= now < self._tally.seen:  # earlier ones the journal refuses itself
            raise ClockWentBack(self._tally.seen, now)
        self._tally.keep_entry(entry)

    def count(self, interactions: int = 1) -> None:
        """Adds interactions, for a tariff without time. Raises NotMetered."""
        funded, counted = self.funded_units, self._tally.counted
        if self.terms.tariff.unit_seconds:
            raise NotMetered(interactions, funded, "this tariff bills time; answer starts it")
        if type(interactions) is not int:
            raise NotMetered(0, funded, f"{interactions!r} is no number of interactions")
        if interactions < 0:
            raise NotMetered(interactions, funded, "a meter never counts down")
        if counted + interactions > MAX_UNITS:
            reason = f"a reading has room for {MAX_UNITS} units, and {counted} are counted"
            raise NotMetered(interactions, funded, reason)
        if interactions:
            self._tally.keep({"counted": counted + interactions})

    # ------------------------------------------------------------------------------------- live

    def tick(self, at: int | None = None) -> Tick:
        """Looks at the clock, as often as one likes: pauses, resumes, warns, and signs what is due.

        Raises ClockWentBack, MomentNotUsable and RecordNotKept; nothing is signed then.
        """
        now = moment(at, self.clock)
        if now < self._tally.seen:
            raise ClockWentBack(self._tally.seen, now)
        self._tally.assure()
        notices = [*self._hold(now), *self._resumed(now), *self._warn(now)]
        voucher = self._next(now)
        self._tally.seen = now
        fresh = voucher is not None or len(self.journal.entries) > self._shown
        self._shown = len(self.journal.entries)
        after = self._tally.accepted.entries
        entries = self.journal.entries[after:] if fresh else ()
        return Tick(voucher, tuple(notices), entries, after)

    def again(self, *, whole: bool = False) -> Tick:
        """What the advisor has not acknowledged, to be sent once more: the very same voucher, and
        the entries that lead to it. Without one, the entries alone.

        `whole`: for somebody who has lost what they acknowledged. The last voucher, whoever has it,
        and the whole journal.
        """
        if whole:
            last = self._tally.signed
            entries = self.journal.entries
            if not last.units:
                return Tick(None, (), entries, 0)
            return Tick(self._signed(last), (), entries[: last.entries], 0)
        waiting, after = self._tally.waiting, self._tally.accepted.entries
        voucher = self._signed(waiting[-1]) if waiting else None
        until = waiting[-1].entries if waiting else len(self.journal.entries)
        return Tick(voucher, (), self.journal.entries[after:until], after)

    def acknowledge(self, accepted: SignedAcknowledgement) -> None:
        """Takes the countersignature of a reading. The same one again does nothing.

        Raises OtherReading if it is not of one that waits for it, WrongSignature and BadSignature
        if whoever acknowledges did not sign it for this session, contract and chain.
        """
        given = (accepted.units, accepted.journal)
        last, signed = self._tally.accepted, self._tally.signed
        waits = any((one.units, one.journal) == given for one in self._tally.waiting)
        if not waits and (given != (last.units, last.journal) or not last.units):
            raise OtherReading(signed.units, signed.journal, *given)
        accepted.verify(self.terms, self._tally.domain, self.acknowledged_by)
        if waits:
            self._tally.keep_acknowledgement(accepted)

    @property
    def silence(self) -> AdvisorSilent | None:
        """Since when the advisor owes an acknowledgement, whether patience is over or not."""
        if not self._tally.waiting:
            return None
        return AdvisorSilent(UnixTime(self._tally.asked), self.exposure)

    def release(self) -> None:
        """Lets go of the file, for another process to resume from. This meter signs no more."""
        if self._tally.file:
            self._tally.file.release()

    def _hold(self, now: int) -> list[Notice]:
        """Pauses at the instant at which something ended the count, and tells of it once."""
        reasons = self._reasons(now)
        if reasons and self._times:
            # Never before what is signed: the journal must bear every voucher out.
            ended = max(reasons[0][0], self._tally.last, self._tally.signed.at)
            self._tally.keep_entry(Entry(UnixTime(ended), EntryKind.PAUSED), held=True)
            # Of what comes later only the silence still holds: no time counted any more.
            reasons[1:] = [one for one in reasons[1:] if isinstance(one[1], AdvisorSilent)]
        found = [notice for _, notice in reasons if type(notice) not in self._tally.told]
        self._tally.told |= {type(notice) for notice in found} - {Held}
        return found

    def _reasons(self, now: int) -> list[tuple[int, Notice]]:
        """What ends the count until now, in order of time."""
        found: list[tuple[int, Notice]] = []
        stopped, silence, patience = self._stopped(now), self.silence, self.patience
        if stopped:
            found.append((stopped.at, stopped))
        if silence and self._patience_over(now) and patience is not None:
            found.append((silence.since + patience, silence))
        trusted = self._trusted_until()
        if trusted is not None and now > trusted:
            found.append((trusted, Held(UnixTime(trusted), self.signed_units)))
        return sorted(found, key=lambda reason: reason[0])

    def _resumed(self, now: int) -> list[Notice]:
        """Resumes what the meter itself paused, once nothing holds it any more."""
        tally, unit = self._tally, self.terms.tariff.unit_seconds
        if not tally.held or self._stopped(now) or self._patience_over(now):
            return []
        counted = billable_seconds(self.journal.entries)
        if tally.waiting and counted >= (self.signed_units + self.increment) * unit:
            return []
        self._tally.keep_entry(Entry(UnixTime(now), EntryKind.RESUMED))
        return [Resumed(UnixTime(now))]

    def _stopped(self, now: int) -> Stopped | None:
        """The instant at which the last funded unit was over, if it is."""
        unit, funded = self.terms.tariff.unit_seconds, self.funded_units
        if unit:
            left = funded * unit - billable_seconds(self.journal.entries)
            at = self._tally.last + (left if self._tally.runs else 0)
            over = self._tally.answered and at <= now and (self._tally.runs or left <= 0)
        else:
            over, at = self._tally.counted >= funded, now
        by = Limit.CAP if funded == (self.terms.tariff.max_units or MAX_UNITS) else Limit.DEPOSIT
        return Stopped(UnixTime(at), funded, by) if over else None

    def _trusted_until(self) -> int | None:
        """When the count reaches an increment beyond what is signed: there an advisor who looks
        after themselves stops, because no voucher came, so nothing counts from there on.
        """
        if not self._times or self.patience is None:
            return None
        trusted = (self.signed_units + self.increment) * self.terms.tariff.unit_seconds
        return self._tally.last + trusted - billable_seconds(self.journal.entries)

    def _patience_over(self, now: int) -> bool:
        return bool(
            self._tally.waiting
            and self.patience is not None
            and now >= self._tally.asked + self.patience
        )

    def _warn(self, now: int) -> list[Notice]:
        units, funded = self.units(now), self.funded_units
        found: list[Notice] = []
        if funded and 5 * units >= 4 * funded and self._tally.warned < 80:
            self._tally.keep({"warned": 80})
            found.append(FundsLow(units, funded))
        if funded and units == funded and self._tally.warned < 100:
            self._tally.keep({"warned": 100})
            found.append(FundsSpent(units, funded))
        return found

    def _next(self, now: int) -> SignedVoucher | None:
        due = self.units(now)
        if self.patience is not None:
            due = min(due, self.signed_units + (0 if self._tally.waiting else self.increment))
        if due <= self.signed_units:
            return None
        return self._signed(self._tally.keep_reading(due, now))

    @property
    def _times(self) -> bool:
        return self._tally.runs and self.terms.tariff.unit_seconds > 0

    def _signed(self, reading: Reading) -> SignedVoucher:
        self._tally.assure()
        voucher = Voucher(self.journal.session_id, reading.units, reading.journal)
        return SignedVoucher.sign(voucher, self._key, self._tally.domain)

    def _attach(self, file: RecordFile) -> None:
        options: dict[str, object] = {"patience": self.patience, "increment": self.increment}
        if self.acknowledged_by is not None:
            options["acknowledgedBy"] = "0x" + self.acknowledged_by.hex()
        self._tally.attach(file, options)
        # What a tick gave out before a crash may not have arrived: the next one gives it again.
        self._shown = self._tally.accepted.entries
