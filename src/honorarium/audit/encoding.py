"""Headers, transactions and receipts as the bytes that a chain hashes: read, and made of JSON-RPC.

Reading checks form, not truth: whether the bytes are a chain's is asked elsewhere (verify.py). What
is made here is compared with the hash or root that it must have by whoever makes it (collect.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar

import rlp
from rlp.codec import encode_raw

from honorarium.errors import BadSignature
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash
from honorarium.protocol.keys import Signature, recover
from honorarium.units import BlockNumber, UnixTime

S = TypeVar("S")
T = TypeVar("T")

Item = bytes | Sequence[Any]
"""What RLP holds: bytes, or a list of items."""


class NotEncodable(ValueError):
    """A kind of transaction or receipt that is not known here."""


def _strictly(read: Callable[[S], T]) -> Callable[[S], T]:
    """The reader, raising ValueError for whatever somebody made up: lists where bytes belong."""

    @wraps(read)
    def reader(data: S) -> T:
        try:
            return read(data)
        except (TypeError, AttributeError, IndexError, OverflowError) as error:
            raise ValueError(f"it has another form ({type(error).__name__})") from None

    return reader


# ---------------------------------------------------------------------- headers

_HEADER: Final = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", 0),
    ("number", 0),
    ("gasLimit", 0),
    ("gasUsed", 0),
    ("timestamp", 0),
    ("extraData", None),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", 0),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", 0),
    ("excessBlobGas", 0),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
"""The fields of a header in order; how long each is: 0 a number, None any length."""

_FIRST_FORK: Final = 15  # so many fields a header has at least; forks added the others


@dataclass(frozen=True, slots=True)
class Header:
    """What evidence needs of a block's header."""

    hash: Hash
    parent: Hash
    number: BlockNumber
    time: UnixTime
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes


@_strictly
def read_header(data: bytes) -> Header:
    """A header's RLP. Raises ValueError if it is none."""
    fields = _decoded(data)
    if not isinstance(fields, list) or len(fields) < _FIRST_FORK:
        raise ValueError("it has not the fields of a block's header")
    for field, (name, length) in zip(fields, _HEADER, strict=False):
        if not isinstance(field, bytes) or (length and len(field) != length):
            raise ValueError(f"its {name} is not of {length} bytes")
        if length == 0:
            _int(field)
    return Header(
        hash=Hash(keccak(data)),
        parent=Hash(fields[0]),
        number=BlockNumber(_int(fields[8])),
        time=UnixTime(_int(fields[11])),
        state_root=fields[3],
        transactions_root=fields[4],
        receipts_root=fields[5],
    )


def header_of(found: Mapping[str, Any]) -> bytes:
    """The RLP of a block's header as JSON-RPC shows it: the one that has the block's hash.

    Raises NotEncodable if none has. Nodes show fields of forks that the header has not.
    """
    there = [(name, length) for name, length in _HEADER if found.get(name) is not None]
    fields = [_field(found[name], length) for name, length in there]
    for count in range(len(fields), _FIRST_FORK - 1, -1):
        data = _rlp(fields[:count])
        if keccak(data) == _hex(found["hash"]):
            return data
    raise NotEncodable(f"the header of block {int(found['number'], 16)} has not the block's hash")


# ---------------------------------------------------------------------- transactions

_LEGACY: Final = ("nonce", "gasPrice", "gas", "to", "value", "input")
_FIELDS: Final[dict[int, tuple[str, ...]]] = {
    1: ("chainId", "nonce", "gasPrice", "gas", "to", "value", "input", "accessList"),
    2: (
        *("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value"),
        *("input", "accessList"),
    ),
    3: (
        *("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value"),
        *("input", "accessList", "maxFeePerBlobGas", "blobVersionedHashes"),
    ),
    4: (
        *("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value"),
        *("input", "accessList", "authorizationList"),
    ),
}
"""What is signed, by the transaction's type (EIP-2930, 1559, 4844, 7702); parity, r, s follow."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What evidence needs of a transaction. `sender` is whose signature it carries."""

    hash: Hash
    sender: Address
    to: Address | None
    value: int
    data: bytes
    chain_id: int | None  # None: it says none, as before EIP-155


@_strictly
def read_transaction(data: bytes) -> Signed:
    """A transaction as it is broadcast. Raises ValueError if it is none that is known here."""
    return _signed(*_taken_apart(data), Hash(keccak(data)))


@_strictly
def sender_head_tail(found: Mapping[str, Any]) -> tuple[Address, bytes, bytes]:
    """Who signed a transaction of JSON-RPC's form, and what stands before and behind its calldata.

    Raises ValueError if it is none that `read_transaction` reads.
    """
    kind, fields, raw = _written(found)
    return _signed(kind, fields, Hash(_hex(found["hash"]))).sender, *_around(raw, kind, fields)


def transaction_of(found: Mapping[str, Any]) -> bytes:
    """A transaction as it was broadcast, from JSON-RPC's form.

    Raises NotEncodable for a kind that is not known here, or if the result has not its hash.
    """
    return _written(found)[2]


def _taken_apart(data: bytes) -> tuple[int, list[Item]]:
    """Type and fields of a transaction as it is broadcast: what is signed, then parity, r and s."""
    kind = data[0] if data and data[0] < 0x80 else 0
    fields = _decoded(data[1:] if kind else data)
    if not isinstance(fields, list) or len(fields) != len(_names(kind)) + 3:
        raise ValueError("it has not the fields of a transaction")
    return kind, fields


def _written(found: Mapping[str, Any]) -> tuple[int, list[Item], bytes]:
    """Type and fields of a transaction of JSON-RPC's form, and the bytes that were broadcast."""
    kind = int(found.get("type") or "0x0", 16)
    parity = found.get("yParity") if kind and found.get("yParity") is not None else found["v"]
    fields = [_WRITERS.get(name, _field)(found.get(name)) for name in _names(kind)]
    fields += map(_field, (parity, found["r"], found["s"]))
    raw = _typed(kind, fields)
    if keccak(raw) != _hex(found["hash"]):
        raise NotEncodable(f"transaction {found['hash']} has another hash than its fields")
    return kind, fields, raw


def _signed(kind: int, fields: Sequence[Item], tx_hash: Hash) -> Signed:
    names = _names(kind)
    content, (v, r, s) = fields[: len(names)], map(_int, fields[-3:])
    by = dict(zip(names, content, strict=True))
    chain_id: int | None
    if kind:
        chain_id, parity, signed = _int(by["chainId"]), v, content
    elif v >= 35:
        chain_id, parity = (v - 35) // 2, (v - 35) % 2
        signed = [*content, _minimal(chain_id), b"", b""]
    else:
        chain_id, parity, signed = None, v - 27, content
    to, calldata = _plain_bytes(by["to"]), _plain_bytes(by["input"])
    if parity not in (0, 1) or len(to) not in (0, 20):
        raise ValueError("its signature or its recipient has no possible form")
    signature = Signature(r.to_bytes(32, "big"), s.to_bytes(32, "big"), parity)
    try:
        sender = recover(keccak(_typed(kind, signed)), signature)
    except BadSignature as error:
        raise ValueError(f"no account sent it: {error.reason}") from None
    return Signed(
        hash=tx_hash,
        sender=sender,
        to=Address(to) if to else None,
        value=_int(by["value"]),
        data=calldata,
        chain_id=chain_id,
    )


def _around(raw: bytes, kind: int, fields: Sequence[Item]) -> tuple[bytes, bytes]:
    place = _names(kind).index("input")
    end = len(raw) - sum(len(_rlp(field)) for field in fields[place + 1 :])
    return raw[: end - len(fields[place])], raw[end:]


def _names(kind: int) -> tuple[str, ...]:
    """What is signed of a transaction of this type."""
    if kind and kind not in _FIELDS:
        raise NotEncodable(f"it is a transaction of type {kind}")
    return _FIELDS[kind] if kind else _LEGACY


def _typed(kind: int, fields: Sequence[Item]) -> bytes:
    return bytes((kind,)) + _rlp(fields) if kind else _rlp(fields)


def recipient_in(head: bytes) -> bytes:
    """To whom a transaction goes that begins so, up to its calldata; no bytes: it creates a
    contract. Raises ValueError.
    """
    kind = head[0] if head and head[0] < 0x80 else 0
    if kind and kind not in _FIELDS:
        raise NotEncodable(f"it is a transaction of type {kind}")
    try:
        at = 1 if kind else 0
        if head[at] < 0xC0:
            raise ValueError("it has not the fields of a transaction")
        at += 1 + max(0, head[at] - 0xF7)  # the list's length
        for _ in range(_BEFORE_RECIPIENT[kind]):
            at += _SHORT[head[at]]
        return head[at + 1 : at + _SHORT[head[at]]]
    except IndexError:
        raise ValueError("it has not the fields of a transaction") from None


_BEFORE_RECIPIENT: Final = {
    kind: names.index("to") for kind, names in {0: _LEGACY, **_FIELDS}.items()
}
"""So many fields stand before it."""
_SHORT: Final = [max(1, first - 0x7F) for first in range(0xB8)]
"""How long a short field is, by its first byte."""


# ---------------------------------------------------------------------- receipts


@dataclass(frozen=True, slots=True)
class Log:
    """One log of a receipt."""

    address: Address
    topics: tuple[Hash, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction."""

    ok: bool
    logs: tuple[Log, ...]


@_strictly
def read_receipt(data: bytes) -> Outcome:
    """A receipt as the receipts root commits to it. Raises ValueError if it is none."""
    typed = bool(data) and data[0] < 0x80
    fields = _decoded(data[1:] if typed else data)
    if not isinstance(fields, list) or len(fields) != 4 or fields[0] not in (b"", b"\x01"):
        raise ValueError("it has not the fields of a receipt")
    logs = []
    for address, topics, content in fields[3]:
        if len(address) != 20 or any(len(topic) != 32 for topic in topics):
            raise ValueError("a log of it has no possible form")
        hashes = tuple(Hash(_plain_bytes(topic)) for topic in topics)
        logs.append(Log(Address(_plain_bytes(address)), hashes, _plain_bytes(content)))
    return Outcome(fields[0] == b"\x01", tuple(logs))


def receipt_of(found: Mapping[str, Any]) -> bytes:
    """A receipt as the receipts root commits to it, from JSON-RPC's form.

    Raises NotEncodable for a kind that is not known here.
    """
    kind = int(found.get("type") or "0x0", 16)
    if kind and kind not in _FIELDS:
        raise NotEncodable(f"the receipt of {found['transactionHash']} is of type {kind}")
    logs = [
        [_hex(log["address"]), [_hex(topic) for topic in log["topics"]], _hex(log["data"])]
        for log in found["logs"]
    ]
    numbers = (_field(found["status"]), _field(found["cumulativeGasUsed"]))
    data = _rlp([*numbers, _hex(found["logsBloom"]), logs])
    return bytes((kind,)) + data if kind else data


# ---------------------------------------------------------------------- RLP


@_strictly
def read_account(data: bytes) -> tuple[bytes, bytes]:
    """An account's storage root and code hash, from the state's RLP. Raises ValueError."""
    fields = _decoded(data)
    if not isinstance(fields, list) or len(fields) != 4 or len(fields[2]) + len(fields[3]) != 64:
        raise ValueError("it has not the fields of an account")
    return _plain_bytes(fields[2]), _plain_bytes(fields[3])


@_strictly
def read_word(data: bytes) -> int:
    """A word of storage, from the state's RLP; 0 if it is empty. Raises ValueError."""
    found = _decoded(data) if data else b""
    if not isinstance(found, bytes) or len(found) > 32:
        raise ValueError("it is no word of storage")
    return _int(found)


def index_key(index: int) -> bytes:
    """Where a transaction, or its receipt, stands in its block's tree."""
    return _rlp(_minimal(index))


def _plain_bytes(item: Item) -> bytes:
    """The item, which has to be no list."""
    if not isinstance(item, bytes):
        raise ValueError("there is a list where bytes belong")
    return item


def _rlp(item: Item) -> bytes:
    return bytes(encode_raw(item))


def _decoded(data: bytes) -> Any:
    try:
        return rlp.decode(data)
    except (rlp.exceptions.RLPException, RecursionError) as error:
        raise ValueError(f"it is no RLP ({type(error).__name__})") from None


def _field(text: str | None, length: int | None = 0) -> bytes:
    """A value of JSON-RPC: a number in the fewest bytes, or (`length` not 0) bytes as they are."""
    if text is None:
        return b""
    return _minimal(int(text, 16)) if length == 0 else _hex(text)


def _bytes_field(text: str | None) -> bytes:
    return _hex(text) if text else b""


def _access_list(found: Any) -> list[Any]:
    return [
        [_hex(one["address"]), [_hex(key) for key in one["storageKeys"]]] for one in found or ()
    ]


def _authorizations(found: Any) -> list[Any]:
    return [
        [
            _field(one["chainId"]),
            _hex(one["address"]),
            *(_field(one[name]) for name in ("nonce", "yParity", "r", "s")),
        ]
        for one in found or ()
    ]


_WRITERS: Final[dict[str, Callable[[Any], Any]]] = {
    "to": _bytes_field,
    "input": _bytes_field,
    "accessList": _access_list,
    "authorizationList": _authorizations,
    "blobVersionedHashes": lambda found: [_hex(each) for each in found or ()],
}
"""The fields that are no numbers."""


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _int(data: Item) -> int:
    if not isinstance(data, bytes) or data[:1] == b"\0" or len(data) > 32:
        raise ValueError("a number in it is not written as RLP writes numbers")
    return int.from_bytes(data, "big")


def _hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
