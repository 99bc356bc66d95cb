"""Who consented, as the escrow's calldata carries it: read leniently, like the contract does.

The rows of a batch are read one by one, because a row that the contract skipped must not hide its
neighbours; padding and order of the dynamic parts are not looked at, as the contract does not
either.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple, TypeGuard

from honorarium.hashing import keccak
from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.protocol.terms import PACKED_WORDS, Terms, unpacked

_PACKED: Final = f"({','.join(['bytes32'] * PACKED_WORDS)})"
_VOUCHER: Final = "(uint32,bytes32,bytes32,bytes32)"
_OPENING: Final = f"({_PACKED},uint80,bytes,bytes,bytes)"
_CLOSING: Final = f"({_PACKED},{_VOUCHER},uint40,bytes)"
_SETTLEMENT: Final = f"({_PACKED},{_VOUCHER})"
_SETTLEMENT_WORDS: Final = PACKED_WORDS + 4
_SALT: Final = 32 * 5
"""Where a row has the recipient of the platform's part, and the salt: there is one way to write
these, and hardly two sessions have both alike.
"""
_WORDS: Final = [struct.Struct("32s" * count).unpack_from for count in range(9)]
integer: Final[Callable[[bytes], int]] = int.from_bytes  # big endian


class Unreadable(ValueError):
    """Calldata that ends before what it promises."""


class Authorized(NamedTuple):
    """The payer's EIP-3009 authorization."""

    valid_after: int
    valid_before: int
    signature: bytes


class OpenRow(NamedTuple):
    """One opening. How the payer consents: by calling (None), by an authorization, or by a
    signature of `Opening` (bytes; empty: by calling).
    """

    terms: Terms
    deposit: int
    advisor_signature: bytes
    client_signature: bytes
    payer: Authorized | bytes | None


class CloseRow(NamedTuple):
    """One close by the advisor, or (`finalize`) by anyone. `signature` is the meter's, r ‖ vs
    (EIP-2098), under the units and the journal; a close without a voucher has 0 units.
    """

    terms: Terms
    units: int
    journal: Hash
    deadline: int
    advisor_signature: bytes
    finalize: bool = False
    signature: bytes = b""


class RateRow(NamedTuple):
    """A rating."""

    terms: Terms
    score: int
    comment_hash: Hash
    signature: bytes


class AnswerRow(NamedTuple):
    """An answer to a rating."""

    terms: Terms
    answer_hash: Hash
    signature: bytes


class ByRow(NamedTuple):
    """What `by` asks for: to leave a session (`revoke`: never to open it)."""

    terms: Terms
    by: Address
    signature: bytes
    revoke: bool


class TopUpRow(NamedTuple):
    """A larger deposit; how the payer consents as in `OpenRow`."""

    terms: Terms
    deposit: int
    payer: Authorized | bytes | None


class VoucherRow(NamedTuple):
    """A voucher that was settled; `signature` is the meter's, r ‖ vs (EIP-2098)."""

    terms: Terms
    units: int
    journal: Hash
    signature: bytes


Row = OpenRow | CloseRow | RateRow | AnswerRow | ByRow | TopUpRow | VoucherRow


class Words:
    """Arguments from `base` on: words, and the dynamic parts that they point to."""

    __slots__ = ("base", "data")

    def __init__(self, data: bytes, base: int) -> None:
        self.data, self.base = data, base

    def words(self, first: int, count: int) -> tuple[bytes, ...]:
        """So many words, beginning with word `first`."""
        at = self.base + 32 * first
        try:
            return _WORDS[count](self.data, at)
        except struct.error:
            raise Unreadable(f"calldata ends within the {count} words from {at} on") from None

    def number(self, index: int) -> int:
        [word] = self.words(index, 1)
        return integer(word)

    def at(self, word: bytes) -> Words:
        """The dynamic part that a word points to."""
        base = self.base + integer(word)
        if base > len(self.data):
            raise Unreadable(f"an offset of {integer(word)} is beyond the calldata")
        return Words(self.data, base)

    def content(self, word: bytes) -> bytes:
        """The bytes that a word points to."""
        data, at = self.data, self.base + integer(word)
        start = at + 32
        end = start + integer(data[at:start])
        if end > len(data):
            raise Unreadable(f"{end - start} bytes are beyond the calldata")
        return data[start:end]

    def terms(self, *, opening: bool = False) -> Terms:
        """The terms that come first. Raises ValueError if a session should open with terms that are
        not canonical.
        """
        packed = self.data[self.base : self.base + 32 * PACKED_WORDS]
        try:
            return unpacked(packed)  # as they nearly always are
        except ValueError:
            if opening:
                raise
            return unpacked(packed, False)

    def authorized(self, word: bytes) -> Authorized:
        """The EIP-3009 authorization that a word points to."""
        paid = self.at(word)
        valid_after, valid_before, signature = paid.words(0, 3)
        return Authorized(integer(valid_after), integer(valid_before), paid.content(signature))

    def settlements(self) -> Iterator[Words]:
        """The elements of the array of settlements, which are static, that the first word points
        to.
        """
        array, size = self.at(*self.words(0, 1)), 32 * _SETTLEMENT_WORDS
        count = array.number(0)
        if count * size > len(self.data):
            raise Unreadable(f"{count} rows are beyond the calldata")
        for index in range(count):
            yield Words(self.data, array.base + 32 + size * index)

    def rows(self) -> Iterator[Words]:
        """The elements of the array of dynamic structs that the first word points to."""
        array = self.at(*self.words(0, 1))
        count = array.number(0)
        if count * 32 > len(self.data):
            raise Unreadable(f"{count} rows are beyond the calldata")
        data, base, end = self.data, array.base + 32, len(self.data)
        for at in range(base, base + 32 * count, 32):
            offset = integer(data[at : at + 32])
            if base + offset > end:
                raise Unreadable(f"an offset of {offset} is beyond the calldata")
            yield Words(data, base + offset)


def _open(a: Words) -> Row:
    deposit, advisor, client = a.words(PACKED_WORDS, 3)
    terms = a.terms(opening=True)
    return OpenRow(terms, integer(deposit), a.content(advisor), a.content(client), None)


def _open_with_authorization(a: Words) -> Row:
    deposit, paid, advisor, client = a.words(PACKED_WORDS, 4)
    terms, payer = a.terms(opening=True), a.authorized(paid)
    return OpenRow(terms, integer(deposit), a.content(advisor), a.content(client), payer)


def _opening(a: Words) -> Row:
    deposit, advisor, client, payer = a.words(PACKED_WORDS, 4)
    terms = a.terms(opening=True)
    return OpenRow(terms, integer(deposit), a.content(advisor), a.content(client), a.content(payer))


def _close(a: Words) -> Row:
    units, journal, r, vs = a.words(PACKED_WORDS, 4)
    return CloseRow(a.terms(), integer(units), Hash(journal), 0, b"", signature=r + vs)


def _closing(a: Words) -> Row:
    units, journal, r, vs, deadline, advisor = a.words(PACKED_WORDS, 6)
    by_advisor = integer(deadline), a.content(advisor)
    return CloseRow(a.terms(), integer(units), Hash(journal), *by_advisor, signature=r + vs)


def _finalize(a: Words) -> Row:
    return CloseRow(a.terms(), 0, ZERO_HASH, 0, b"", finalize=True)


def _rate(a: Words) -> Row:
    score, comment, signature = a.words(PACKED_WORDS, 3)
    return RateRow(a.terms(), integer(score), Hash(comment), a.content(signature))


def _answer(a: Words) -> Row:
    answer, signature = a.words(PACKED_WORDS, 2)
    return AnswerRow(a.terms(), Hash(answer), a.content(signature))


def _leave(a: Words) -> Row:
    by, signature = a.words(PACKED_WORDS, 2)
    return ByRow(a.terms(), address(by), a.content(signature), revoke=False)


def _revoke(a: Words) -> Row:
    by, signature = a.words(PACKED_WORDS, 2)
    return ByRow(a.terms(), address(by), a.content(signature), revoke=True)


def _top_up(a: Words) -> Row:
    return TopUpRow(a.terms(), a.number(PACKED_WORDS), None)


def _top_up_with_authorization(a: Words) -> Row:
    deposit, paid = a.words(PACKED_WORDS, 2)
    return TopUpRow(a.terms(), integer(deposit), a.authorized(paid))


def _top_up_from_balance(a: Words) -> Row:
    deposit, signature = a.words(PACKED_WORDS, 2)
    return TopUpRow(a.terms(), integer(deposit), a.content(signature))


def _voucher(a: Words) -> Row:
    units, journal, r, vs = a.words(PACKED_WORDS, 4)
    return VoucherRow(a.terms(), integer(units), Hash(journal), r + vs)


def _one(read: Callable[[Words], Row]) -> Callable[[Words], Iterator[Row]]:
    def rows(arguments: Words) -> Iterator[Row]:
        yield read(arguments)

    return rows


def _single(read: Callable[[Words], Row]) -> Callable[[Words], Iterator[Row]]:
    def rows(arguments: Words) -> Iterator[Row]:
        yield read(arguments.at(*arguments.words(0, 1)))

    return rows


def _each(read: Callable[[Words], Row], rows: Iterable[Words]) -> Iterator[Row]:
    for row in rows:
        try:
            yield read(row)
        except ValueError:
            continue  # the contract skipped it, or the whole call failed


def address(word: bytes) -> Address:
    """What lies in the last twenty bytes."""
    return Address(word[12:])


def selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


_PAID: Final = "(uint256,uint256,bytes)"

_READERS: Final[dict[bytes, Callable[[Words], Iterator[Row]]]] = {
    selector(f"open({_PACKED},uint80,bytes,bytes)"): _one(_open),
    selector(f"openWithAuthorization({_PACKED},uint80,{_PAID},bytes,bytes)"): _one(
        _open_with_authorization
    ),
    selector(f"openFromBalance({_OPENING})"): _single(_opening),
    selector(f"settle({_SETTLEMENT})"): _one(_voucher),
    selector(f"close({_SETTLEMENT})"): _one(_close),
    selector(f"closeFor({_CLOSING})"): _single(_closing),
    selector(f"finalize({_PACKED})"): _one(_finalize),
    selector(f"rate({_PACKED},uint8,bytes32,bytes)"): _one(_rate),
    selector(f"answer({_PACKED},bytes32,bytes)"): _one(_answer),
    selector(f"requestClose({_PACKED},address,bytes)"): _one(_leave),
    selector(f"revoke({_PACKED},address,bytes)"): _one(_revoke),
    selector(f"topUp({_PACKED},uint80)"): _one(_top_up),
    selector(f"topUpWithAuthorization({_PACKED},uint80,{_PAID})"): _one(_top_up_with_authorization),
    selector(f"topUpFromBalance({_PACKED},uint80,bytes)"): _one(_top_up_from_balance),
}


_Batch = tuple[Callable[[Words], Iterator[Words]], Callable[[Words], Row]]
_BATCHES: Final[dict[bytes, _Batch]] = {
    selector(f"openBatch({_OPENING}[])"): (Words.rows, _opening),
    selector(f"settleBatch({_SETTLEMENT}[])"): (Words.settlements, _voucher),
    selector(f"closeBatch({_CLOSING}[])"): (Words.rows, _closing),
}


def rows_of(data: bytes, only: Terms | None = None) -> list[Row]:
    """What this calldata of the escrow consents to; empty if it is none of these calls, or cannot
    be read. `only`: of a batch the rows of these terms, and perhaps a few more, without a look at
    the others.
    """
    called, arguments = bytes(data[:4]), Words(data, 4)
    try:
        if called in _BATCHES:
            rows_in, read = _BATCHES[called]
            rows = rows_in(arguments)
            if only is not None:
                told = only.fee_recipient + only.salt.to_bytes(12, "big")
                rows = (row for row in rows if data.startswith(told, row.base + _SALT))
            return list(_each(read, rows))
        return list(_READERS[called](arguments)) if called in _READERS else []
    except ValueError:
        return []


def vouchers_of(data: bytes) -> list[VoucherRow | CloseRow]:
    """The vouchers in this calldata of the escrow; empty if it is none of these calls, or cannot be
    read. A close without a voucher has one of 0 units that nobody signed.
    """
    return [row for row in rows_of(data) if carries_voucher(row)]


def carries_voucher(row: Row) -> TypeGuard[VoucherRow | CloseRow]:
    """Whether units may be credited on what this row brings."""
    return isinstance(row, VoucherRow) or (isinstance(row, CloseRow) and not row.finalize)


def row_of_batch(data: bytes, index: int) -> Terms | None:
    """The terms in this row of a batch, from 0; None: it is no batch, has no such row, or the row
    cannot be read.
    """
    batch = _BATCHES.get(bytes(data[:4]))
    try:
        row = None if batch is None else next(islice(batch[0](Words(data, 4)), index, None), None)
        return None if row is None else row.terms()
    except ValueError:
        return None
