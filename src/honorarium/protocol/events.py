"""What SessionEscrow and TipJar write into the log, as they wrote it.

Every event is a class of the same name with the same fields in snake case (`from` is `from_`).
Amounts are base units of the token, times unix seconds. `decode_log` reads the log of a whole
chain, so the classes' signatures are compiled once into readers of whole logs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from struct import Struct
from typing import Any, ClassVar, Final

from honorarium.errors import ContractError
from honorarium.errors.abi import read_tail, reader
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.slot import FROM_BALANCE_FLAG, OPEN_FLAG, Slot
from honorarium.protocol.terms import PACKED_WORDS, Terms, unpacked
from honorarium.units import BaseUnits, UnixTime


@dataclass(frozen=True, slots=True)
class Event:
    """An event of SessionEscrow or TipJar."""

    SIGNATURE: ClassVar[str]  # as in Solidity
    TOPIC: ClassVar[Hash]  # its hash: the first topic of every such log


# ----------------------------------------------------------------------------------- the ledger


@dataclass(frozen=True, slots=True)
class Deposited(Event):
    """Money came into an account's balance from outside."""

    SIGNATURE = (
        "Deposited(address indexed token,address indexed account,address from,uint256 amount)"
    )
    token: Address
    account: Address
    from_: Address
    amount: BaseUnits


@dataclass(frozen=True, slots=True)
class Withdrawn(Event):
    """Money left an account's balance."""

    SIGNATURE = "Withdrawn(address indexed token,address indexed account,address to,uint256 amount)"
    token: Address
    account: Address
    to: Address
    amount: BaseUnits


# --------------------------------------------------------------------------------- the sessions


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """A session began; `slot` is what is stored from now on."""

    SIGNATURE = (
        "SessionOpened(bytes32 indexed sessionId,address indexed advisor,PackedTerms terms,"
        "Slot slot)"
    )
    session_id: SessionId
    advisor: Address
    terms: Terms
    slot: Slot

    @property
    def deposit(self) -> BaseUnits:
        """What the session was funded with, base units."""
        return self.slot.deposit

    @property
    def from_balance(self) -> bool:
        """The deposit left the payer's balance, and what is unspent returns there."""
        return self.slot.from_balance


@dataclass(frozen=True, slots=True)
class ToppedUp(Event):
    """The whole deposit was raised to `deposit`."""

    SIGNATURE = "ToppedUp(bytes32 indexed sessionId,uint80 deposit,bool fromBalance)"
    session_id: SessionId
    deposit: BaseUnits
    from_balance: bool


@dataclass(frozen=True, slots=True)
class Settled(Event):
    """A voucher raised what is earned to `earned`, the platform's share included."""

    SIGNATURE = "Settled(bytes32 indexed sessionId,uint32 units,uint80 earned,bytes32 journal)"
    session_id: SessionId
    units: int
    earned: BaseUnits
    journal: Hash


@dataclass(frozen=True, slots=True)
class CloseRequested(Event):
    """The client or the payer leaves; the advisor may settle until `grace_ends`."""

    SIGNATURE = "CloseRequested(bytes32 indexed sessionId,address indexed by,uint40 graceEnds)"
    session_id: SessionId
    by: Address
    grace_ends: UnixTime


@dataclass(frozen=True, slots=True)
class SessionClosed(Event):
    """A session ended with `earned` in all; the rest of the deposit went back."""

    SIGNATURE = (
        "SessionClosed(bytes32 indexed sessionId,uint32 units,uint80 earned,bytes32 journal)"
    )
    session_id: SessionId
    units: int
    earned: BaseUnits
    journal: Hash


@dataclass(frozen=True, slots=True)
class RefundCredited(Event):
    """The wallet did not take the refund of a session just closed: it is in the payer's balance."""

    SIGNATURE = "RefundCredited(bytes32 indexed sessionId,address indexed payer,uint80 refund)"
    session_id: SessionId
    payer: Address
    refund: BaseUnits


@dataclass(frozen=True, slots=True)
class Revoked(Event):
    """These terms can never be opened."""

    SIGNATURE = "Revoked(bytes32 indexed sessionId,address indexed by)"
    session_id: SessionId
    by: Address


@dataclass(frozen=True, slots=True)
class RowSkipped(Event):
    """A row of a batch was left out; `reason` is the refusal of the same call alone."""

    SIGNATURE = "RowSkipped(uint256 indexed row,bytes32 indexed sessionId,bytes reason)"
    row: int
    session_id: SessionId
    reason: ContractError


# ---------------------------------------------------------------------------------- the ratings


@dataclass(frozen=True, slots=True)
class Rated(Event):
    """The client of a closed session gave a score."""

    SIGNATURE = (
        "Rated(bytes32 indexed sessionId,address indexed client,address indexed advisor,"
        "uint8 score,bytes32 commentHash)"
    )
    session_id: SessionId
    client: Address
    advisor: Address
    score: int
    comment_hash: Hash


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The advisor answered a rating."""

    SIGNATURE = "Answered(bytes32 indexed sessionId,address indexed advisor,bytes32 answerHash)"
    session_id: SessionId
    advisor: Address
    answer_hash: Hash


# ------------------------------------------------------------------------------------- the rest


@dataclass(frozen=True, slots=True)
class Tipped(Event):
    """An advisor received a tip; session (zero: none) and memo are the tipper's claim."""

    SIGNATURE = (
        "Tipped(address indexed advisor,address indexed tipper,bytes32 indexed sessionId,"
        "address token,uint256 amount,bytes32 memo)"
    )
    advisor: Address
    tipper: Address
    session_id: SessionId
    token: Address
    amount: BaseUnits
    memo: Hash


@dataclass(frozen=True, slots=True)
class EIP712DomainChanged(Event):
    """Declared by EIP-5267; the escrow never emits it."""

    SIGNATURE = "EIP712DomainChanged()"


ESCROW_EVENTS: Final[tuple[type[Event], ...]] = (
    Deposited,
    Withdrawn,
    SessionOpened,
    ToppedUp,
    Settled,
    CloseRequested,
    SessionClosed,
    RefundCredited,
    Revoked,
    RowSkipped,
    Rated,
    Answered,
    EIP712DomainChanged,
)
"""What the escrow writes into the log."""

TIP_JAR_EVENTS: Final[tuple[type[Event], ...]] = (Tipped,)
"""What the tip jar writes into the log."""

_Decoder = Callable[[bytes, bytes], Event]
"""Topics, one behind the other, and data in; the event out."""
_ON_THE_WIRE: Final = {
    "PackedTerms": f"({','.join(['bytes32'] * PACKED_WORDS)})",
    "Slot": "uint256",
}


def decode_log(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event of a log's topics and data; None if it is none of ours.

    Raises ValueError if it carries one of our topics but not exactly what belongs to it: other
    topics, other lengths, anything in unused bits. A contract of ours writes no such log.
    """
    for topic in topics:
        if len(topic) != 32:
            raise ValueError(f"topics have 32 bytes, not {len(topic)}")
    return decode_words(b"".join(topics), data)


def decode_words(topics: bytes, data: bytes) -> Event | None:
    """As `decode_log`, of topics that stand one behind the other."""
    decoder = _DECODERS.get(topics[:32])
    return decoder(topics, data) if decoder else None


def _compile(kind: type[Event]) -> _Decoder:
    """A reader of this event's logs. Sets its topic."""
    name, _, listed = kind.SIGNATURE.removesuffix(")").partition("(")
    parameters = [parameter.split() for parameter in listed.split(",") if parameter]
    types = [_ON_THE_WIRE.get(p[0], p[0]) for p in parameters]
    kind.TOPIC = Hash(keccak(f"{name}({','.join(types)})".encode()))

    indexed = [p[0] for p in parameters if "indexed" in p]
    plain = [p[0] for p in parameters if "indexed" not in p]
    if [bool("indexed" in p) for p in parameters] != [True] * len(indexed) + [False] * len(plain):
        raise TypeError(f"{name}: indexed fields come first")
    if len(parameters) != len(fields(kind)):
        raise TypeError(f"{name}: the class has other fields than its signature")

    expected = 32 * (1 + len(indexed))
    has_tail = plain == ["bytes"]
    static = indexed if has_tail else [*indexed, *plain]
    length = sum(_SIZES.get(one, 32) for one in static) - 32 * len(indexed)
    values, unused = _layout(static)
    read = [(at, _READ[one]) for at, one in enumerate(static) if one in _READ]

    def decode(topics: bytes, data: bytes) -> Event:
        if len(topics) != expected:
            raise ValueError(
                f"{name} has {expected // 32} topics of 32 bytes, not {len(topics)} bytes"
            )
        tail: tuple[Any, ...] = ()
        if has_tail:
            tail, data = (ContractError.decode(read_tail(data[:32], data[32:])),), b""
        if len(data) != length:
            raise ValueError(f"the data of {name} is {length} bytes, not {len(data)}")
        words = topics[32:] + data
        if int.from_bytes(words, "big") & unused:
            _refuse(static, words)
        found = list(values(words))
        for at, convert in read:
            found[at] = convert(found[at])
        return kind(*found, *tail)

    return decode


def _layout(types: Sequence[str]) -> tuple[Callable[[bytes], tuple[Any, ...]], int]:
    """How the values of these types are cut out of their words, and the bits that none of them has
    a use for.
    """
    formats, unused = [], 0
    for one in types:
        size = _SIZES.get(one, 32)
        bits = 8 * size if one not in _BITS else _BITS[one]
        formats.append(f"{size - -(-bits // 8)}x" + _FORMATS.get(bits, f"{bits // 8}s"))
        unused = unused << 8 * size | (1 << 8 * size) - (1 << bits)
    return Struct(">" + "".join(formats)).unpack, unused


def _refuse(types: Sequence[str], words: bytes) -> None:
    """Raises ValueError about the first word that has something where nothing belongs."""
    at = 0
    for one in types:
        size = _SIZES.get(one, 32)
        if one in _BITS:
            reader(one)(words[at : at + size])
        at += size


def _fresh_slot(data: bytes) -> Slot:
    slot = Slot.unpack(int.from_bytes(data, "big"))
    begun = slot.earned or slot.closing_or_closed_at or slot.score
    if begun or slot.flags not in (OPEN_FLAG, OPEN_FLAG | FROM_BALANCE_FLAG):
        raise ValueError(f"0x{data.hex()} is not the slot of a session that was just opened")
    return slot


_SIZES: Final = {"PackedTerms": 32 * PACKED_WORDS}
"""In bytes, of what is more than a word."""
_BITS: Final = {"address": 160, "bool": 1, **{f"uint{8 * size}": 8 * size for size in range(1, 33)}}
"""Of what may be less than its word."""
_FORMATS: Final = {1: "?", 8: "B", 16: "H", 32: "I", 64: "Q"}
_READ: Final[dict[str, Callable[[bytes], Any]]] = {
    "PackedTerms": unpacked,
    "Slot": _fresh_slot,
    **{
        one: int.from_bytes
        for one, bits in _BITS.items()
        if one != "address" and bits not in _FORMATS
    },
}
"""What `Struct` gives as bytes, and is none."""
_DECODERS: Final[dict[bytes, _Decoder]] = {}
for _kind in (*ESCROW_EVENTS, *TIP_JAR_EVENTS):
    _decoder = _compile(_kind)
    _DECODERS[_kind.TOPIC] = _decoder
