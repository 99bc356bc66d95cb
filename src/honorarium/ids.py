"""Identifiers as types."""

from __future__ import annotations

from typing import Final, NewType

Address = NewType("Address", bytes)
"""20 bytes. Text with a checksum (EIP-55) is for people, at the edges."""

Hash = NewType("Hash", bytes)
"""32 bytes: a digest, a commitment, a transaction's or block's hash."""

SessionId = NewType("SessionId", bytes)
"""32 bytes: the EIP-712 digest of a session's terms."""

ZERO_ADDRESS: Final = Address(bytes(20))
"""As a token: the chain's own coin."""

ZERO_HASH: Final = Hash(bytes(32))
