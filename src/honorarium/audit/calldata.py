"""Who consented, as the escrow's calldata carries it: read leniently, like the contract does.

The rows of a batch are read one by one, because a row that the contract skipped must not hide its
neighbours; padding and order of the dynamic parts are not looked at, as the contract does not
either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from honorarium.ids import ZERO_HASH, Hash
from honorarium.protocol.terms import PACKED_WORDS, Terms

_PACKED: Final = f"({','.join(['bytes32'] * PACKED_WORDS)})"
_VOUCHER: Final = "(uint32,bytes32,bytes32,bytes32)"
_OPENING: Final = f"({_PACKED},uint80,bytes,bytes,bytes)"
_CLOSING: Final = f"({_PACKED},{_VOUCHER},uint40,bytes)"


class Unreadable(ValueError):
    """Calldata that ends before what it promises."""


@dataclass(frozen=True, slots=True)
class Authorized:
    """The payer's EIP-3009 authorization."""

    valid_after: int
    valid_before: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class OpenRow:
    """One opening. How the payer consents: by calling (None), by an authorization, or by a
    signature of `Opening` (bytes; empty: by calling).
    """

    terms: Terms
    deposit: int
    advisor_signature: bytes
    client_signature: bytes
    payer: Authorized | bytes | None


@dataclass(frozen=True, slots=True)
class CloseRow:
    """One close by the advisor, or (`finalize`) by anyone."""

    terms: Terms
    units: int
    journal: Hash
    deadline: int
    advisor_signature: bytes
    finalize: bool = False


@dataclass(frozen=True, slots=True)
class RateRow:
    """A rating."""

    terms: Terms
    score: int
    comment_hash: Hash
    signature: bytes


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer to a rating."""

    terms: Terms
    answer_hash: Hash
    signature: bytes


Row = OpenRow | CloseRow | RateRow | AnswerRow


@dataclass(frozen=True, slots=True)
class VoucherRow:
    """A voucher on which units were credited; `signature` is the meter's, r ‖ vs (EIP-2098)."""

    terms: Terms
    units: int
    journal: Hash
    signature: bytes


class _Words:
    """Arguments from `base` on: words, and the dynamic parts that they point to."""

    def __init__(self, data: bytes, base: int) -> None:
        self.data, self.base = data, base

    def word(self, index: int) -> bytes:
        at = self.base + 32 * index
        found = self.data[at : at + 32]
        if len(found) != 32:
            raise Unreadable(f"calldata ends within the word at {at}")
        return found

    def number(self, index: int) -> int:
        return int.from_bytes(self.word(index), "big")

    def at(self, index: int) -> _Words:
        """The dynamic part that word `index` points to."""
        offset = self.number(index)
        if self.base + offset > len(self.data):
            raise Unreadable(f"an offset of {offset} is beyond the calldata")
        return _Words(self.data, self.base + offset)

    def bytes(self, index: int) -> bytes:
        part = self.at(index)
        length, start = part.number(0), part.base + 32
        if start + length > len(self.data):
            raise Unreadable(f"{length} bytes are beyond the calldata")
        return self.data[start : start + length]

    def terms(self, index: int, *, opening: bool = False) -> Terms:
        """Raises ValueError if a session should open with terms that are not canonical."""
        words = [self.word(index + i) for i in range(PACKED_WORDS)]
        return Terms.unpack(words, canonical=opening)

    def flat_rows(self, words: int) -> Iterator[_Words]:
        """The elements of the array, of so many words each, that the first word points to."""
        array = self.at(0)
        count = array.number(0)
        if count * 32 * words > len(self.data):
            raise Unreadable(f"{count} rows are beyond the calldata")
        for index in range(count):
            yield _Words(self.data, array.base + 32 + 32 * words * index)

    def rows(self) -> Iterator[_Words]:
        """The elements of the array of dynamic structs that the first word points to."""
        array = self.at(0)
        count = array.number(0)
        if count * 32 > len(self.data):
            raise Unreadable(f"{count} rows are beyond the calldata")
        inner = _Words(self.data, array.base + 32)
        for index in range(count):
            yield inner.at(index)


def _open(a: _Words) -> Row:
    return OpenRow(a.terms(0, opening=True), a.number(7), a.bytes(8), a.bytes(9), None)


def _open_with_authorization(a: _Words) -> Row:
    paid = a.at(8)
    authorized = Authorized(paid.number(0), paid.number(1), paid.bytes(2))
    return OpenRow(a.terms(0, opening=True), a.number(7), a.bytes(9), a.bytes(10), authorized)


def _opening(a: _Words) -> Row:
    return OpenRow(a.terms(0, opening=True), a.number(7), a.bytes(8), a.bytes(9), a.bytes(10))


def _settlement(a: _Words) -> Row:
    return CloseRow(a.terms(0), a.number(7), Hash(a.word(8)), 0, b"")


def _closing(a: _Words) -> Row:
    return CloseRow(a.terms(0), a.number(7), Hash(a.word(8)), a.number(11), a.bytes(12))


def _finalize(a: _Words) -> Row:
    return CloseRow(a.terms(0), 0, ZERO_HASH, 0, b"", finalize=True)


def _rate(a: _Words) -> Row:
    return RateRow(a.terms(0), a.number(7), Hash(a.word(8)), a.bytes(9))


def _answer(a: _Words) -> Row:
    return AnswerRow(a.terms(0), Hash(a.word(7)), a.bytes(8))


def _voucher(a: _Words) -> VoucherRow:
    return VoucherRow(a.terms(0), a.number(7), Hash(a.word(8)), a.word(9) + a.word(10))


def _one(read: Callable[[_Words], Row]) -> Callable[[_Words], Iterator[Row]]:
    def rows(arguments: _Words) -> Iterator[Row]:
        yield read(arguments)

    return rows


def _single(read: Callable[[_Words], Row]) -> Callable[[_Words], Iterator[Row]]:
    def rows(arguments: _Words) -> Iterator[Row]:
        yield read(arguments.at(0))

    return rows


def _many(read: Callable[[_Words], Row]) -> Callable[[_Words], Iterator[Row]]:
    def rows(arguments: _Words) -> Iterator[Row]:
        for row in arguments.rows():
            try:
                yield read(row)
            except ValueError:
                continue  # the contract skipped it, or the whole call failed

    return rows


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


_READERS: Final[dict[bytes, Callable[[_Words], Iterator[Row]]]] = {
    _selector(f"open({_PACKED},uint80,bytes,bytes)"): _one(_open),
    _selector(f"openWithAuthorization({_PACKED},uint80,(uint256,uint256,bytes),bytes,bytes)"): _one(
        _open_with_authorization
    ),
    _selector(f"openFromBalance({_OPENING})"): _single(_opening),
    _selector(f"openBatch({_OPENING}[])"): _many(_opening),
    _selector(f"close(({_PACKED},{_VOUCHER}))"): _one(_settlement),
    _selector(f"closeFor({_CLOSING})"): _single(_closing),
    _selector(f"closeBatch({_CLOSING}[])"): _many(_closing),
    _selector(f"finalize({_PACKED})"): _one(_finalize),
    _selector(f"rate({_PACKED},uint8,bytes32,bytes)"): _one(_rate),
    _selector(f"answer({_PACKED},bytes32,bytes)"): _one(_answer),
}


def rows_of(data: bytes) -> list[Row]:
    """What this calldata of the escrow consents to; empty if it is none of these calls, or cannot
    be read.
    """
    read = _READERS.get(bytes(data[:4]))
    if read is None:
        return []
    try:
        return list(read(_Words(data, 4)))
    except ValueError:
        return []


_SETTLEMENT: Final = f"({_PACKED},{_VOUCHER})"
_SETTLEMENT_WORDS: Final = PACKED_WORDS + 4

_VOUCHERS: Final[dict[bytes, Callable[[_Words], Iterator[_Words]]]] = {
    _selector(f"settle({_SETTLEMENT})"): lambda a: iter((a,)),
    _selector(f"settleBatch({_SETTLEMENT}[])"): lambda a: a.flat_rows(_SETTLEMENT_WORDS),
    _selector(f"close({_SETTLEMENT})"): lambda a: iter((a,)),
    _selector(f"closeFor({_CLOSING})"): lambda a: iter((a.at(0),)),
    _selector(f"closeBatch({_CLOSING}[])"): lambda a: a.rows(),
}


def vouchers_of(data: bytes) -> list[VoucherRow]:
    """The vouchers in this calldata of the escrow; empty if it is none of these calls, or cannot be
    read. A close without a voucher has one of 0 units that nobody signed.
    """
    read = _VOUCHERS.get(bytes(data[:4]))
    if read is None:
        return []
    try:
        return [_voucher(row) for row in read(_Words(data, 4))]
    except ValueError:
        return []
