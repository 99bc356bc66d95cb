"""The meter on the client's side: counts units from a journal, and signs what it counted.

It has no clock: every moment is passed in, in whole unix seconds. What it signs never exceeds what
the deposit pays for, because a later top-up would make such a voucher worth more.
"""

from __future__ import annotations

from honorarium.errors import InputError
from honorarium.ids import Address
from honorarium.protocol.journal import Entry, EntryKind, Journal, billable_seconds
from honorarium.protocol.keys import Key
from honorarium.protocol.messages import Voucher
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, UnixTime


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
    journal (`answer`, `pause`, `resume`); for an interaction tariff `count` adds them.
    """

    def __init__(self, terms: Terms, domain: Domain, key: Key, deposit: BaseUnits) -> None:
        if key.address != terms.meter_key:
            raise WrongMeterKey(key.address, terms.meter_key)
        self.terms, self.deposit = terms, deposit
        self._domain, self._key = domain, key
        self.journal = Journal(terms.session_id(domain))
        self._counted = 0

    @property
    def funded_units(self) -> int:
        """The most units that this meter signs: what the cap allows and the deposit pays for."""
        low, high = 0, self.terms.tariff.max_units or 2**32 - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.terms.tariff.fee(middle) <= self.deposit:
                low = middle
            else:
                high = middle - 1
        return low

    def answer(self, at: int) -> None:
        """The advisor answers: from here on it counts. Raises JournalRefused."""
        self._note(EntryKind.ANSWERED, at)

    def pause(self, at: int) -> None:
        """Stops counting. Raises JournalRefused."""
        self._note(EntryKind.PAUSED, at)

    def resume(self, at: int) -> None:
        """Counts again. Raises JournalRefused."""
        self._note(EntryKind.RESUMED, at)

    def leave(self, at: int) -> None:
        """Somebody asked to close: no more time counts. Raises JournalRefused."""
        self._note(EntryKind.LEFT, at)

    def count(self, interactions: int = 1) -> None:
        """Adds interactions, for a tariff without time. Raises NotMetered."""
        if self.terms.tariff.unit_seconds:
            raise NotMetered(
                interactions, self.funded_units, "this tariff bills time; answer starts it"
            )
        if interactions < 0:
            raise NotMetered(interactions, self.funded_units, "a meter never counts down")
        self._counted += interactions

    def units(self, at: int) -> int:
        """The reading at this moment: started units whole, stopped at what is funded."""
        if self.terms.tariff.unit_seconds:
            seconds = billable_seconds(self.journal.entries, UnixTime(at))
            counted = self.terms.tariff.units_for(seconds)
        else:
            counted = self._counted
        return min(counted, self.funded_units)

    def read(self, at: int) -> SignedVoucher:
        """The reading at this moment, signed.

        Raises NotMetered if nothing counted yet: there is nothing to sign.
        """
        units = self.units(at)
        if units == 0:
            raise NotMetered(0, self.funded_units, "nothing counted yet; close without a voucher")
        voucher = Voucher(self.journal.session_id, units, self.journal.head)
        return SignedVoucher.sign(voucher, self._key, self._domain)

    def _note(self, kind: EntryKind, at: int) -> None:
        self.journal.append(Entry(UnixTime(at), kind))
