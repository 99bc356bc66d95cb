"""What travels between client and advisor: quotes, vouchers, countersignatures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from honorarium.errors import WrongSignature
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.keys import Key, Signature, recover
from honorarium.protocol.messages import Acknowledgement, Voucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.protocol.verifier import Verifier


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
        """Raises WrongSignature unless the terms' meter key signed this reading for this escrow.

        Raises BadSignature for one that is nobody's, FieldNotUsable for a reading without room.
        """
        voucher_verifier(terms, domain).verify(self.units, self.journal, self.signature)


@dataclass(frozen=True, slots=True)
class SignedAcknowledgement:
    """A reading that the advisor accepted, with the signature of the advisor, or of the desk that
    the advisor named to acknowledge in their place.
    """

    units: int
    journal: Hash
    signature: Signature

    @classmethod
    def sign(cls, accepted: Acknowledgement, key: Key, domain: Domain) -> SignedAcknowledgement:
        """The countersignature, with the advisor's key or their desk's."""
        return cls(accepted.units, accepted.journal, key.sign(accepted.digest(domain)))

    def verify(self, terms: Terms, domain: Domain, signer: Address | None = None) -> None:
        """Raises WrongSignature unless `signer` accepted this reading for this escrow; None: the
        terms' advisor.

        Raises BadSignature for one that is nobody's, FieldNotUsable for a reading without room.
        """
        verifier = acknowledgement_verifier(terms, domain, signer)
        verifier.verify(self.units, self.journal, self.signature)


# As many sessions as run at once on one service; what falls out is computed again.
@lru_cache(maxsize=4096)
def voucher_verifier(terms: Terms, domain: Domain) -> Verifier:
    """Checks what the terms' meter key signs, session after session at full speed."""
    return Verifier("Voucher", terms.session_id(domain), terms.meter_key, domain)


@lru_cache(maxsize=4096)
def acknowledgement_verifier(
    terms: Terms, domain: Domain, signer: Address | None = None
) -> Verifier:
    """Checks what the terms' advisor signs, or `signer` in their place."""
    who = terms.advisor if signer is None else signer
    return Verifier("Acknowledgement", terms.session_id(domain), who, domain)
