"""Random terms as rows for `TermsRows.read`, and what the package finds in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from draws import Draw
from honorarium.errors import (
    CapWithinFreeUnits,
    ContractError,
    DepositTooSmall,
    InvalidParty,
    NothingToPay,
    Party,
    TermsNotCanonical,
)
from honorarium.ids import Address
from honorarium.protocol.refusal import refusal
from honorarium.protocol.terms import LONGEST_QUOTE, Terms
from honorarium.protocol.typed_data import Domain, word
from honorarium.units import MAX_AMOUNT, MAX_UNITS, BaseUnits, UnixTime

READINGS = 4
AFTER_THE_FORM = (NothingToPay, CapWithinFreeUnits, DepositTooSmall, InvalidParty)
"""What the contract looks at after it has looked at the bits that are always zero."""


@dataclass(frozen=True)
class TermsRow:
    """Terms, and the circumstances in which they are priced and refused."""

    terms: Terms
    units: tuple[int, ...]
    deposit: BaseUnits
    escrow: Address
    time: UnixTime
    stray: tuple[int, int]
    """What stands in the lowest 16 bits of the payer's and the advisor's word."""
    spelled: bool
    """A payer who is the client is written out instead of as zero."""

    def words(self) -> tuple[bytes, ...]:
        """The packed terms with what strays in them."""
        packed = list(self.terms.pack())
        for at, bits in zip((1, 2), self.stray, strict=True):
            packed[at] = packed[at][:30] + bits.to_bytes(2, "big")
        if self.spelled:
            packed[1] = self.terms.payer + packed[1][20:]
        return tuple(packed)

    def encode(self) -> bytes:
        """A `TermsRows.Row`."""
        return b"".join(self.words()) + joined(*self.units, self.deposit, self.escrow, self.time)

    def refusal(self) -> ContractError | None:
        """What the contract must say of these terms."""
        found = refusal(self.terms, self.deposit, self.escrow, self.time)
        if any(self.stray) and (found is None or isinstance(found, AFTER_THE_FORM)):
            return TermsNotCanonical(*self.words()[1:3])
        if self.spelled and self.terms.payer == self.terms.client:
            later = isinstance(found, InvalidParty) and found.args[0] is not Party.CLIENT
            if found is None or later:
                return TermsNotCanonical(*self.words()[1:3])
        return found

    def expected(self, domain: Domain) -> bytes:
        """A `TermsRows.Found`, as the package computes it."""
        terms, words = self.terms, self.words()
        if words == terms.pack():
            assert Terms.unpack(words) == terms
        assert Terms.unpack(words, canonical=False) == terms
        fees = [terms.tariff.fee(units) for units in self.units]
        found = joined(
            *unpacked(terms),
            terms.struct_hash(),
            terms.session_id(domain),
            terms.smallest_deposit(),
            *fees,
            *fees,  # the library's, and the escrow's
        )
        return found + encoded_refusal(self.refusal())


def joined(*values: int | bytes) -> bytes:
    """ABI words, one after the other."""
    return b"".join(map(word, values))


def unpacked(terms: Terms) -> tuple[int | bytes, ...]:
    """The readable terms in the order of their EIP-712 type."""
    t = terms.tariff
    return (
        terms.client,
        terms.payer,
        terms.advisor,
        terms.meter_key,
        terms.token,
        t.connect_fee,
        t.unit_price,
        t.unit_seconds,
        t.included_units,
        t.step_units,
        t.step_price,
        t.max_units,
        terms.fee_bps,
        terms.fee_recipient,
        terms.open_before,
        terms.close_grace,
        terms.context,
        terms.salt,
    )


def encoded_refusal(error: ContractError | None) -> bytes:
    """A `Refusal`: the length of the revert data, and four words of it."""
    data = b"" if error is None else error.SELECTOR + joined(*error.args)
    return word(len(data)) + data.ljust(128, b"\0")


def draw_rows(draw: Draw, domain: Domain) -> Iterator[TermsRow]:
    """Endless rows: any bits, terms that open, and such that nearly do."""
    while True:
        time = UnixTime(draw.choice((1_700_000_000, draw.uint(40))) % (2**40 - LONGEST_QUOTE))
        elsewhere = draw.address()  # but no contract is at zero
        escrow = draw.choice((domain.contract, elsewhere if any(elsewhere) else domain.contract))
        if draw.chance(0.2):
            terms = draw.any_terms()
        else:
            terms = draw.sensible_terms(time)
            if draw.chance(0.3):
                terms = replace(terms, tariff=draw.small_tariff())
            for _ in range(draw.choice((0, 1, 1, 2, 3))):
                terms = draw.spoiled(terms, time, escrow)
        if not any(terms.payer):
            terms = replace(terms, payer=terms.client)  # packed, nobody means the client
        t = terms.tariff
        edges = (0, t.included_units, t.step_units, t.max_units, MAX_UNITS)
        smallest = terms.smallest_deposit()
        yield TermsRow(
            terms=terms,
            units=(*(draw.near(32, *edges) for _ in range(READINGS - 1)), draw.uint(32)),
            deposit=BaseUnits(
                draw.choice((draw.near(80, smallest), draw.uint(80), MAX_AMOUNT, MAX_AMOUNT))
            ),
            escrow=escrow,
            time=time,
            stray=(draw.uint(16), draw.uint(16)) if draw.chance(0.04) else (0, 0),
            spelled=draw.chance(0.04),
        )
