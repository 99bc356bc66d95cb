"""Words of the contract ABI, read strictly.

A word whose unused bits are not zero is refused, as the contracts' own decoder does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

_BESIDE_ADDRESS: Final = bytes(12)

Reader = Callable[[bytes], Any]
"""32 bytes in, the value out. Raises ValueError."""


def _number(word: bytes, *, kind: str, limit: int) -> int:
    value = int.from_bytes(word, "big")
    if value >= limit:
        raise ValueError(f"0x{word.hex()} is no {kind}: it is too large")
    return value


def _address(word: bytes) -> bytes:
    if word[:12] != _BESIDE_ADDRESS:
        raise ValueError(f"0x{word.hex()} is no address: its first 12 bytes are not zero")
    return bytes(word[12:])


def _flag(word: bytes) -> bool:
    return bool(_number(word, kind="bool", limit=2))


@cache
def reader(kind: str) -> Reader:
    """How a word of this Solidity type is read: uintN, address, bool or bytes32."""
    if kind == "address":
        return _address
    if kind == "bytes32":
        return bytes
    if kind == "bool":
        return _flag
    if kind == "uint256":
        return lambda word: int.from_bytes(word, "big")
    if found := re.fullmatch(r"uint(\d+)", kind):
        limit = 1 << int(found[1])
        return lambda word: _number(word, kind=kind, limit=limit)
    raise TypeError(f"{kind} is not a type of one word")


def words_of(data: bytes, count: int) -> list[bytes]:
    """`data` as exactly `count` words. Raises ValueError if it is shorter or longer."""
    if len(data) != 32 * count:
        raise ValueError(f"{count} words of 32 bytes are expected, not {len(data)} bytes")
    return [data[start : start + 32] for start in range(0, len(data), 32)]


def read_tail(head: bytes, tail: bytes) -> bytes:
    """The one dynamic value (bytes or string) that follows a head, its own offset last in it.

    Raises ValueError unless it stands right behind the head, zero-padded, with nothing after it.
    """
    if int.from_bytes(head[-32:], "big") != len(head):
        raise ValueError(f"0x{head[-32:].hex()} does not point behind the head")
    length = int.from_bytes(tail[:32], "big")
    padded = -(-length // 32) * 32
    if len(tail) != 32 + padded or any(tail[32 + length :]):
        raise ValueError(f"{len(tail) - 32} bytes follow where {length} are announced")
    return tail[32 : 32 + length]
