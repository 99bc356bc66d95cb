"""Random values that like to stand at the edges, for comparisons of many rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import (
    LONGEST_GRACE,
    LONGEST_QUOTE,
    LONGEST_UNIT,
    SHORTEST_GRACE,
    Terms,
)
from honorarium.units import MAX_UNITS, WHOLE_SHARE, BaseUnits, Bps, Seconds, UnixTime


class Draw(random.Random):
    """A seeded source of protocol values."""

    def uint(self, bits: int) -> int:
        """Of every size up to `bits` bits; every fourth one at an end."""
        most = (1 << bits) - 1
        if self.random() < 0.25:
            return self.choice((0, 1, most))
        return self.getrandbits(self.randint(1, bits))

    def near(self, bits: int, *edges: int) -> int:
        """At an edge or right beside it, within `bits` bits."""
        return min(max(self.choice(edges) + self.choice((-1, 0, 1)), 0), (1 << bits) - 1)

    def within(self, low: int, high: int) -> int:
        """From `low` to `high`; every third one at an end."""
        return self.choice((low, high)) if self.random() < 0.33 else self.randint(low, high)

    def chance(self, share: float) -> bool:
        return self.random() < share

    def hash(self) -> Hash:
        return Hash(self.choice((bytes(32), b"\xff" * 32)) if self.chance(0.1) else self._bytes(32))

    def address(self) -> Address:
        edge = self.chance(0.05)
        return Address(self.choice((bytes(20), b"\xff" * 20)) if edge else self._bytes(20))

    def _bytes(self, count: int) -> bytes:
        return self.getrandbits(8 * count).to_bytes(count, "big")

    # ------------------------------------------------------------------ terms

    def any_terms(self) -> Terms:
        """Any bits, without sense."""
        return Terms(
            client=self.address(),
            payer=self.address(),
            advisor=self.address(),
            meter_key=self.address(),
            token=self.address(),
            tariff=Tariff(
                connect_fee=BaseUnits(self.uint(80)),
                unit_price=BaseUnits(self.uint(80)),
                unit_seconds=Seconds(self.uint(32)),
                included_units=self.uint(32),
                step_units=self.uint(32),
                step_price=BaseUnits(self.uint(80)),
                max_units=self.uint(32),
            ),
            fee_bps=Bps(self.uint(16)),
            fee_recipient=self.address(),
            open_before=UnixTime(self.uint(40)),
            close_grace=Seconds(self.uint(24)),
            context=self.hash(),
            salt=self.uint(96),
        )

    def sensible_tariff(self) -> Tariff:
        """One that opens, if the deposit does."""
        included = self.choice((0, 0, 1, self.uint(32))) % MAX_UNITS
        step = self.choice((0, included + 1, self.within(included + 1, MAX_UNITS)))
        cap = self.choice((0, included + 1, self.within(included + 1, MAX_UNITS), self.uint(32)))
        connect_fee = self.uint(80)
        if connect_fee == 0 and cap and cap <= included:
            cap = 0
        unit_price = self.uint(80)
        if connect_fee == 0 and unit_price == 0:
            unit_price = 1
        return Tariff(
            connect_fee=BaseUnits(connect_fee),
            unit_price=BaseUnits(unit_price),
            unit_seconds=Seconds(self.choice((0, 1, 60, self.within(0, LONGEST_UNIT)))),
            included_units=included,
            step_units=step,
            step_price=BaseUnits(self.uint(80) if step else 0),
            max_units=cap,
        )

    def small_tariff(self) -> Tariff:
        """Few different numbers, so that equal bounds and zero prices come up often."""
        return Tariff(
            connect_fee=BaseUnits(self.randrange(2)),
            unit_price=BaseUnits(self.randrange(2)),
            unit_seconds=Seconds(60),
            included_units=self.randrange(4),
            step_units=self.randrange(4),
            step_price=BaseUnits(self.randrange(2)),
            max_units=self.randrange(4),
        )

    def sensible_terms(self, time: int) -> Terms:
        """Terms that open at `time`, with parties that are nobody's in particular."""
        return replace(
            self.any_terms(),
            client=(client := Address(self._bytes(20))),
            payer=client if self.chance(0.5) else Address(self._bytes(20)),
            advisor=Address(self._bytes(20)),
            meter_key=Address(self._bytes(20)),
            tariff=self.sensible_tariff(),
            fee_bps=Bps(self.choice((0, self.within(0, WHOLE_SHARE)))),
            fee_recipient=Address(self._bytes(20)),
            open_before=UnixTime(self.within(time + 1, time + LONGEST_QUOTE)),
            close_grace=Seconds(self.within(SHORTEST_GRACE, LONGEST_GRACE)),
        )

    def spoiled(self, terms: Terms, time: int, escrow: Address) -> Terms:
        """The same terms with something at or beyond a limit, or in somebody else's place."""
        t = terms.tariff
        parties: Sequence[Address] = (
            ZERO_ADDRESS,
            escrow,
            terms.client,
            terms.payer,
            terms.advisor,
            terms.meter_key,
            terms.fee_recipient,
        )
        of_tariff: dict[str, Any] = {
            "connect_fee": 0,
            "unit_price": 0,
            "unit_seconds": self.near(32, LONGEST_UNIT, MAX_UNITS),
            "included_units": self.near(32, t.step_units, t.max_units, MAX_UNITS),
            "step_units": self.near(32, 0, t.included_units, t.max_units, MAX_UNITS),
            "step_price": self.choice((0, self.uint(80))),
            "max_units": self.near(32, 0, t.included_units, t.step_units, MAX_UNITS),
        }
        others: dict[str, Any] = {
            "fee_bps": self.near(16, 0, WHOLE_SHARE, 2**16),
            "close_grace": self.near(24, 0, SHORTEST_GRACE, LONGEST_GRACE, 2**24),
            "open_before": self.near(40, time, time + LONGEST_QUOTE),
            **{
                name: self.choice(parties)
                for name in ("client", "payer", "advisor", "meter_key", "token", "fee_recipient")
            },
        }
        name = self.choice((*of_tariff, *others))
        if name in of_tariff:
            return replace(terms, tariff=replace(t, **{name: of_tariff[name]}))
        return replace(terms, **{name: others[name]})
