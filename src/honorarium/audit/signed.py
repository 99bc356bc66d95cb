"""Whether a party signed: a key recovered anew, with what speaks against it."""

from __future__ import annotations

from eth_hash.auto import keccak

from honorarium.audit.calldata import Authorized
from honorarium.audit.check import finding_at
from honorarium.audit.facts import Doubt, Entry, Finding
from honorarium.errors import BadSignature, FieldNotUsable
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.keys import Signature, recover
from honorarium.protocol.messages import ReceiveWithAuthorization
from honorarium.units import BaseUnits, UnixTime

Judged = Finding | Doubt


class Signed:
    """The judgement of one call: `judged` grows by what is missing. `sender` sent it; None: calling
    is no consent.
    """

    __slots__ = ("_entry", "_rule", "_sender", "_session_id", "judged")

    def __init__(
        self, entry: Entry, rule: str, session_id: SessionId | None, sender: Address | None
    ) -> None:
        self._entry, self._rule = entry, rule
        self._session_id, self._sender = session_id, sender
        self.judged: list[Judged] = []

    def found(self, expected: object, found: object) -> None:
        self.judged.append(finding_at(self._entry, self._rule, self._session_id, expected, found))

    def must(self, name: str, party: Address, digest: Hash, signature: bytes) -> None:
        """`party` signed the digest, or sent the transaction without a signature."""
        if not signature:
            if self._sender != party:
                caller = b"" if self._sender is None else self._sender
                self.found(_consent(name, party), f"no signature, and 0x{caller.hex()} called")
            return
        why = _refused(party, digest, signature)
        if why is not None:
            finding = finding_at(
                self._entry, self._rule, self._session_id, _consent(name, party), why
            )
            self.judged.append(Doubt(party, finding))

    def must_by_key(self, name: str, party: Address, digest: Hash, signature: bytes) -> None:
        """The same where a contract's signature does not count."""
        why = _refused(party, digest, signature)
        if why is not None:
            self.found(_consent(name, party), why)


def _consent(name: str, party: Address) -> str:
    return f"consent of {name} 0x{party.hex()}"


def _refused(party: Address, digest: Hash, signature: bytes) -> str | None:
    try:
        signer = recover(digest, Signature.from_bytes(signature))
    except BadSignature as error:
        return str(error)
    return None if signer == party else f"a signature by 0x{signer.hex()}"


def digest_under(separator: bytes, hashed: bytes) -> Hash:
    """EIP-712: what is signed for a struct of hash `hashed` in the domain of this separator."""
    return Hash(keccak(b"\x19\x01" + separator + hashed))


def authorized_payment(
    separator: bytes, to: Address, payer: Address, value: int, nonce: Hash, paid: Authorized
) -> Hash:
    """The EIP-3009 digest of a payment to `to`, under the token's own domain; nobody's for an
    amount that no token can move.
    """
    message = ReceiveWithAuthorization(
        payer, to, BaseUnits(value), UnixTime(paid.valid_after), UnixTime(paid.valid_before), nonce
    )
    try:
        return digest_under(separator, message.struct_hash())
    except FieldNotUsable:
        return Hash(bytes(32))
