"""What travels between client and advisor: a quote one way, vouchers the other."""

from __future__ import annotations

from dataclasses import dataclass

from honorarium.errors import WrongSignature
from honorarium.ids import Hash, SessionId
from honorarium.protocol.keys import Key, Signature, recover
from honorarium.protocol.messages import Voucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain


@dataclass(frozen=True, slots=True)
class Quote:
    """Terms that the advisor offers, with their signature: 64 or 65 bytes, or a wallet's."""

    terms: Terms
    signature: bytes

    @classmethod
    def sign(cls, terms: Terms, advisor: Key, domain: Domain) -> Quote:
        """The advisor's offer."""
        return cls(terms, advisor.sign(terms.session_id(domain)).packed())

    def session_id(self, domain: Domain) -> SessionId:
        """The id that a session of this quote will have."""
        return self.terms.session_id(domain)

    def verify(self, domain: Domain) -> None:
        """Raises WrongSignature unless the advisor's key signed these terms for this escrow.

        A contract wallet's signature can only be checked on chain.
        """
        signer = recover(self.session_id(domain), Signature.from_bytes(self.signature))
        if signer != self.terms.advisor:
            raise WrongSignature("quote", self.terms.advisor, signer)


@dataclass(frozen=True, slots=True)
class SignedVoucher:
    """A reading with the meter key's signature, as it travels beside its terms."""

    units: int
    journal: Hash
    signature: Signature

    @classmethod
    def sign(cls, voucher: Voucher, meter: Key, domain: Domain) -> SignedVoucher:
        """The meter's reading."""
        return cls(voucher.units, voucher.journal, meter.sign(voucher.digest(domain)))

    def verify(self, terms: Terms, domain: Domain) -> None:
        """Raises WrongSignature unless the terms' meter key signed this reading for this escrow."""
        voucher = Voucher(terms.session_id(domain), self.units, self.journal)
        signer = recover(voucher.digest(domain), self.signature)
        if signer != terms.meter_key:
            raise WrongSignature("voucher", terms.meter_key, signer)
