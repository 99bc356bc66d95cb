"""What is signed, beside the terms: one small class per message.

Every message knows its EIP-712 name and fields, hashes itself (`struct_hash`), and shows itself to
a wallet (`message`). `Domain.digest(message.struct_hash())` is what is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from honorarium.hashing import keccak
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import TYPES, Domain, struct_hash, word
from honorarium.units import BaseUnits, UnixTime


class Message:
    """A signed message whose fields stand in the order of its EIP-712 type."""

    __slots__ = ()
    TYPE: ClassVar[str]

    def values(self) -> tuple[int | bytes, ...]:
        """The fields' values, in order."""
        raise TypeError("only a message of a type has values")

    def struct_hash(self) -> bytes:
        """EIP-712 hashStruct, 32 bytes."""
        return struct_hash(self.TYPE, *self.values())

    def digest(self, domain: Domain) -> Hash:
        """What is signed, 32 bytes."""
        return domain.digest(self.struct_hash())

    def message(self) -> dict[str, Any]:
        """Names and values as a wallet shows them."""
        return {
            field: "0x" + value.hex() if isinstance(value, bytes) else value
            for (_, field), value in zip(TYPES[self.TYPE], self.values(), strict=True)
        }

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The JSON for `eth_signTypedData_v4`."""
        return domain.typed_data(self.TYPE, self.message())


@dataclass(frozen=True, slots=True)
class Opening(Message):
    """The payer: open these terms with this deposit (base units) from my balance."""

    TYPE: ClassVar[str] = "Opening"
    terms: Terms
    deposit: BaseUnits

    def values(self) -> tuple[int | bytes, ...]:
        return (self.terms.struct_hash(), self.deposit)

    def message(self) -> dict[str, Any]:
        return {"terms": self.terms.message(), "deposit": self.deposit}


@dataclass(frozen=True, slots=True)
class Voucher(Message):
    """The meter: so many units so far, and this is the head of the journal."""

    TYPE: ClassVar[str] = "Voucher"
    session_id: SessionId
    units: int
    journal: Hash

    def values(self) -> tuple[int | bytes, ...]:
        return (self.session_id, self.units, self.journal)


@dataclass(frozen=True, slots=True)
class Acknowledgement(Message):
    """The advisor, off chain: I accept so many units and the journal that led to this head."""

    TYPE: ClassVar[str] = "Acknowledgement"
    session_id: SessionId
    units: int
    journal: Hash

    def values(self) -> tuple[int | bytes, ...]:
        return (self.session_id, self.units, self.journal)


@dataclass(frozen=True, slots=True)
class Closing(Message):
    """The advisor: close on the voucher of exactly this reading, until the deadline (inclusive).

    Without a voucher the units are 0 and the journal is the zero hash.
    """

    TYPE: ClassVar[str] = "Closing"
    session_id: SessionId
    units: int
    journal: Hash
    deadline: UnixTime

    def values(self) -> tuple[int | bytes, ...]:
        return (self.session_id, self.units, self.journal, self.deadline)


@dataclass(frozen=True, slots=True)
class Leaving(Message):
    """The client or the payer: I ask to close."""

    TYPE: ClassVar[str] = "Leaving"
    session_id: SessionId

    def values(self) -> tuple[int | bytes, ...]:
        return (self.session_id,)


@dataclass(frozen=True, slots=True)
class Revocation(Message):
    """The advisor or the payer: these terms shall never open."""

    TYPE: ClassVar[str] = "Revocation"
    session_id: SessionId

    def values(self) -> tuple[int | bytes, ...]:
        return (self.session_id,)


@dataclass(frozen=True, slots=True)
class Rating(Message):
    """The client: a score of 1 to 5 for a closed session."""

    TYPE: ClassVar[str] = "Rating"
    session_id: SessionId
    score: int
    comment_hash: Hash

    def values(self) -> tuple[int | bytes, ...]:
        return (self.session_id, self.score, self.comment_hash)


@dataclass(frozen=True, slots=True)
class Answer(Message):
    """The advisor: the one answer to a rating."""

    TYPE: ClassVar[str] = "Answer"
    session_id: SessionId
    answer_hash: Hash

    def values(self) -> tuple[int | bytes, ...]:
        return (self.session_id, self.answer_hash)


@dataclass(frozen=True, slots=True)
class TopUp(Message):
    """The payer: raise the whole deposit to this, from my balance."""

    TYPE: ClassVar[str] = "TopUp"
    session_id: SessionId
    deposit: BaseUnits

    def values(self) -> tuple[int | bytes, ...]:
        return (self.session_id, self.deposit)


@dataclass(frozen=True, slots=True)
class Withdrawal(Message):
    """An account: pay out of my balance, until the deadline (inclusive)."""

    TYPE: ClassVar[str] = "Withdrawal"
    account: Address
    token: Address
    amount: BaseUnits
    to: Address
    nonce: int
    deadline: UnixTime

    def values(self) -> tuple[int | bytes, ...]:
        return (self.account, self.token, self.amount, self.to, self.nonce, self.deadline)


@dataclass(frozen=True, slots=True)
class ReceiveWithAuthorization(Message):
    """A payer, in the domain of the token: `to` may fetch this much from my wallet (EIP-3009).

    Valid after `valid_after` and before `valid_before`, both exclusive. The nonce says what for.
    """

    TYPE: ClassVar[str] = "ReceiveWithAuthorization"
    payer: Address
    to: Address
    value: BaseUnits
    valid_after: UnixTime
    valid_before: UnixTime
    nonce: Hash

    def values(self) -> tuple[int | bytes, ...]:
        return (self.payer, self.to, self.value, self.valid_after, self.valid_before, self.nonce)


@dataclass(frozen=True, slots=True)
class Permit(Message):
    """An owner, in the domain of the token: `spender` may take this much, until the deadline.

    EIP-2612. The nonce is the token's count of the owner's permits.
    """

    TYPE: ClassVar[str] = "Permit"
    owner: Address
    spender: Address
    value: BaseUnits
    nonce: int
    deadline: UnixTime

    def values(self) -> tuple[int | bytes, ...]:
        return (self.owner, self.spender, self.value, self.nonce, self.deadline)


def opening_nonce(session_id: SessionId) -> Hash:
    """The nonce of an EIP-3009 authorization that opens this session and nothing else."""
    return Hash(session_id)


def top_up_nonce(session_id: SessionId, deposit: BaseUnits) -> Hash:
    """The nonce of an authorization that raises this session's deposit to `deposit`."""
    return Hash(keccak(session_id + word(deposit)))


def deposit_nonce(token: Address, account: Address, salt: Hash) -> Hash:
    """The nonce of an authorization that fills the account's own balance."""
    return Hash(keccak(keccak(b"Deposit") + word(token) + word(account) + salt))


def tip_nonce(
    token: Address, advisor: Address, session_id: SessionId, memo: Hash, salt: Hash
) -> Hash:
    """The nonce of an authorization that tips this advisor for this session with this memo."""
    return Hash(keccak(keccak(b"Tip") + word(token) + word(advisor) + session_id + memo + salt))
