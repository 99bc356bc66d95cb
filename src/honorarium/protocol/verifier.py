"""Who signed a reading, at the speed of libsecp256k1.

A desk checks thousands of readings a second, so a `Verifier` hashes once what is the same for every
reading of a session, and hands the rest to coincurve as bytes. The parity of a signature counts for
the contract, so it counts here: every check is a recovery, and none is a mere verification against
the known key, which would pass a signature that the contract refuses.
"""

from __future__ import annotations

from typing import Final

from coincurve import PublicKey

from honorarium.errors import BadSignature, WrongSignature
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.keys import HALF_ORDER, Signature, address_of
from honorarium.protocol.typed_data import TYPEHASH, Domain, check

_HALF_ORDER: Final = HALF_ORDER.to_bytes(32, "big")
_PARITY: Final = {0: b"\0", 1: b"\1"}
_recover: Final = PublicKey.from_signature_and_message


class Verifier:
    """Checks the readings of one session that one key signed, for one contract and chain.

    `message` is the type that was signed: Voucher or Acknowledgement. The signer's public key is
    learnt from the first signature that is theirs; from then on keys are compared, not hashed.
    """

    __slots__ = ("_domain", "_message", "_public", "_struct", "session_id", "signer")

    def __init__(self, message: str, session_id: SessionId, signer: Address, domain: Domain):
        self.session_id, self.signer = session_id, signer
        self._message = message
        self._struct = TYPEHASH[message] + session_id
        self._domain = b"\x19\x01" + domain.separator
        self._public: bytes | None = None

    def digest(self, units: int, journal: Hash) -> Hash:
        """What is signed for this reading, 32 bytes. Raises FieldNotUsable."""
        if type(units) is not int or not 0 <= units < 2**32 or len(journal) != 32:
            check(self._message, (self.session_id, units, journal))
        struct = keccak(self._struct + units.to_bytes(32, "big") + journal)
        return Hash(keccak(self._domain + struct))

    def verify(self, units: int, journal: Hash, signature: Signature) -> None:
        """Returns if the signer signed exactly this reading.

        Raises:
            WrongSignature: somebody else did, or it is a signature of something else.
            BadSignature: its s is above half the order, or nobody's key gives it.
            FieldNotUsable: the units or the journal have no room in the message.
        """
        digest = self.digest(units, journal)
        s = signature.s
        parity = _PARITY.get(signature.y_parity)
        if parity is None or len(s) != 32 or s > _HALF_ORDER:
            raise BadSignature(*_refused(signature))
        try:
            public = _recover(signature.r + s + parity, digest, None)
        except ValueError as error:
            raise BadSignature(signature.r + s + parity, f"no key gives it ({error})") from error
        if public.format() != self._public:
            self._meet(public)

    def _meet(self, public: PublicKey) -> None:
        found = address_of(public)
        if found != self.signer:
            raise WrongSignature(self._message.lower(), self.signer, found)
        self._public = public.format()


def _refused(signature: Signature) -> tuple[bytes, str]:
    data = signature.r + signature.s
    if signature.y_parity not in _PARITY:
        return data, f"its parity is {signature.y_parity}, neither 0 nor 1"
    if len(signature.s) != 32:
        return data, f"its s has {len(signature.s)} bytes, not 32"
    return data, "its s is above half the curve's order"
