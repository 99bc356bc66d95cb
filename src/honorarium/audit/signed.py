"""Whether a party signed, with what speaks against it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from honorarium.audit.calldata import Authorized
from honorarium.audit.check import finding_at
from honorarium.audit.envelope import sent_by_another
from honorarium.audit.facts import Claimed, Doubt, Entry, Finding, Nested
from honorarium.errors import BadSignature
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.keys import KnownKeys
from honorarium.protocol.typed_data import TYPEHASH, Domain

_KEYS: Final = KnownKeys()
_RECEIVE: Final = TYPEHASH["ReceiveWithAuthorization"]


class Unverified(NamedTuple):
    """A signature that somebody has to look at: many of them one after the other, which is quicker
    than between all else.
    """

    entry: Entry
    rule: str
    session_id: SessionId | None
    name: str
    party: Address
    digest: Hash
    signature: bytes
    by_key: bool  # a contract's signature does not count

    def verified(self) -> Finding | Doubt | None:
        """What speaks against it; None: the party signed."""
        why = _refused(self.party, self.digest, self.signature)
        if why is None:
            return None
        expected = _consent(self.name, self.party)
        finding = finding_at(self.entry, self.rule, self.session_id, expected, why)
        return finding if self.by_key else Doubt(self.party, finding)


Judged = Finding | Doubt | Nested | Claimed | Unverified


def verified(judged: Iterable[Judged]) -> list[Judged]:
    """The same once the signatures were looked at."""
    seen = (each.verified() if isinstance(each, Unverified) else each for each in judged)
    return [each for each in seen if each is not None]


class Signed:
    """The judgement of one call: `judged` grows by what is missing, and by signatures to look at.
    `sender` sent it; None: calling is no consent.
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
            self._called(name, party)
            return
        self._asked(name, party, digest, signature, by_key=False)

    def _called(self, name: str, party: Address) -> None:
        """`party` sent the transaction, by its own signature."""
        if self._sender != party:
            caller = b"" if self._sender is None else self._sender
            self.found(_consent(name, party), f"no signature, and 0x{caller.hex()} called")
            return
        sent = self._entry.transaction
        if sent is None or sent.head is None:
            self.judged.append(Claimed("unsigned_callers"))
        elif (why := sent_by_another(sent, party)) is not None:
            self.found(_consent(name, party), why)

    def must_by_key(self, name: str, party: Address, digest: Hash, signature: bytes) -> None:
        """The same where a contract's signature does not count."""
        self._asked(name, party, digest, signature, by_key=True)

    def _asked(
        self, name: str, party: Address, digest: Hash, signature: bytes, *, by_key: bool
    ) -> None:
        at = self._entry, self._rule, self._session_id
        self.judged.append(Unverified(*at, name, party, digest, signature, by_key))


def _consent(name: str, party: Address) -> str:
    return f"consent of {name} 0x{party.hex()}"


def _refused(party: Address, digest: Hash, signature: bytes) -> str | None:
    try:
        signer = _KEYS.signer(digest, signature, party)
    except BadSignature as error:
        return str(error)
    return None if signer == party else f"a signature by 0x{signer.hex()}"


def typed_digest(domain: Domain, name: str, *values: int | bytes) -> Hash:
    """EIP-712: what is signed for a message of this type, numbers and hashes in their order.

    As `Message.digest`, but values are taken as the calldata has them: one that is too wide for its
    field gives a digest that nobody signed, where a message would be refused.
    """
    return Hash(keccak(b"\x19\x01" + domain.separator + hashed(name, *values)))


def hashed(name: str, *values: int | bytes) -> bytes:
    """EIP-712 hashStruct of numbers and 32-byte words, as they are."""
    words = TYPEHASH[name]
    for value in values:
        words += value if isinstance(value, bytes) else value.to_bytes(32, "big")
    return keccak(words)


def digest_under(separator: bytes, struct: bytes) -> Hash:
    """EIP-712: what is signed for a struct of this hash in the domain of this separator."""
    return Hash(keccak(b"\x19\x01" + separator + struct))


def authorized_payment(
    separator: bytes, to: Address, payer: Address, value: int, nonce: Hash, paid: Authorized
) -> Hash:
    """The EIP-3009 digest of a payment to `to`, under the token's own domain."""
    words = [
        payer.rjust(32, b"\0"),
        to.rjust(32, b"\0"),
        value.to_bytes(32, "big", signed=value < 0),
        paid.valid_after.to_bytes(32, "big"),
        paid.valid_before.to_bytes(32, "big"),
        nonce,
    ]
    return digest_under(separator, keccak(_RECEIVE + b"".join(words)))
