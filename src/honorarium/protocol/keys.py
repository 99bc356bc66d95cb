"""Keys and signatures, straight on libsecp256k1.

coincurve only makes low-s signatures; here high-s ones are refused when they are read (EIP-2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from coincurve import PrivateKey, PublicKey
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from honorarium.errors import BadSignature
from honorarium.hashing import keccak
from honorarium.ids import Address

HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half of the order of secp256k1, rounded down: the largest s that counts."""
_HALF_ORDER: Final = HALF_ORDER.to_bytes(32, "big")
_PARITIES: Final = {0: 0, 1: 1, 27: 0, 28: 1}


@dataclass(frozen=True, slots=True)
class Signature:
    """A low-s ECDSA signature of a 32-byte digest."""

    r: bytes
    s: bytes
    y_parity: int

    def to_bytes(self) -> bytes:
        """65 bytes, r ‖ s ‖ v, v being 27 or 28: what wallets give and contracts take."""
        return self.r + self.s + bytes((27 + self.y_parity,))

    def compact(self) -> tuple[bytes, bytes]:
        """(r, vs) of EIP-2098: the parity in the highest bit of s."""
        return self.r, bytes((self.s[0] | self.y_parity << 7,)) + self.s[1:]

    def packed(self) -> bytes:
        """64 bytes, r ‖ vs (EIP-2098): what the contracts take too, and a word less calldata."""
        return b"".join(self.compact())

    @classmethod
    def from_bytes(cls, data: bytes) -> Signature:
        """Reads 65 bytes (v 0, 1, 27 or 28) or 64 bytes (EIP-2098). Raises BadSignature."""
        if len(data) == 64:
            s = bytes((data[32] & 0x7F,)) + data[33:]
            parsed = cls(data[:32], s, data[32] >> 7)
        elif len(data) == 65 and data[64] in (0, 1, 27, 28):
            parsed = cls(data[:32], data[32:64], data[64] % 27)
        else:
            raise BadSignature(data, "it has neither 65 bytes ending in v nor 64 (EIP-2098)")
        if int.from_bytes(parsed.s, "big") > HALF_ORDER:
            raise BadSignature(data, "its s is above half the curve's order")
        return parsed


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and its address. Never printed, never sent."""

    _private: PrivateKey = field(repr=False)
    address: Address

    @classmethod
    def from_bytes(cls, secret: bytes) -> Key:
        """A key of 32 secret bytes. Raises ValueError if they are no key of the curve."""
        if len(secret) != 32:
            raise ValueError(f"a private key has 32 bytes, not {len(secret)}")
        private = PrivateKey(secret)
        return cls(private, address_of(private.public_key))

    @classmethod
    def generate(cls) -> Key:
        """A new random key, as for a meter."""
        private = PrivateKey()
        return cls(private, address_of(private.public_key))

    def sign(self, digest: bytes) -> Signature:
        """Signs a 32-byte digest, deterministically (RFC 6979)."""
        data = self._private.sign_recoverable(digest, hasher=None)
        return Signature(data[:32], data[32:64], data[64])

    def secret(self) -> bytes:
        """The 32 secret bytes, for a keystore."""
        return bytes(self._private.secret)


def address_of(public: PublicKey) -> Address:
    """The account of a public key: the last 20 bytes of its hash."""
    return Address(keccak(public.format(compressed=False)[1:])[12:])


def recover(digest: bytes, signature: Signature) -> Address:
    """Whose signature this is over `digest`. Raises BadSignature if it is nobody's."""
    r_s, parity = signature.r + signature.s, signature.y_parity
    if int.from_bytes(signature.s, "big") > HALF_ORDER:
        raise BadSignature(r_s + bytes((parity,)), "its s is above half the curve's order")
    return _recover(digest, r_s, parity)


class KnownKeys:
    """Tells whose signatures they are, for whoever expects a party and sees it again and again: of
    a key that signed before, r and s are verified, a sixth quicker than a recovery.

    r and s alone decide: the parity, which only says which of two keys to try, is never held
    against a party, whether its key is known already or not.
    """

    __slots__ = ("_known", "_room")

    def __init__(self, room: int = 4096) -> None:
        self._known: dict[Address, Any] = {}
        self._room = room

    def signer(self, digest: bytes, data: bytes, party: Address) -> Address:
        """As `recover`, of 65 or 64 bytes; `party` should have signed. Raises BadSignature."""
        r_s, parity = _read(data)
        public = self._known.get(party)
        if public is not None and len(digest) == 32:
            signature = ffi.new(_PLAIN_SIGNATURE)
            context = GLOBAL_CONTEXT.ctx
            if lib.secp256k1_ecdsa_signature_parse_compact(
                context, signature, r_s
            ) and lib.secp256k1_ecdsa_verify(context, signature, digest, public):
                return party
        public = ffi.new(_PUBLIC_KEY)
        signer = _recover(digest, r_s, parity, public)
        if signer != party and _recover(digest, r_s, 1 - parity, public) != party:
            return signer
        if len(self._known) >= self._room:
            self._known.clear()
        self._known[party] = public
        return party


def _read(data: bytes) -> tuple[bytes, int]:
    """What `Signature.from_bytes` reads, as r ‖ s and the parity. Raises BadSignature."""
    if len(data) == 65 and data[32:64] <= _HALF_ORDER and data[64] in _PARITIES:
        return data[:64], _PARITIES[data[64]]
    if len(data) == 64 and (s := bytes((data[32] & 0x7F,)) + data[33:]) <= _HALF_ORDER:
        return data[:32] + s, data[32] >> 7
    signature = Signature.from_bytes(data)
    return signature.r + signature.s, signature.y_parity


def _recover(digest: bytes, r_s: bytes, parity: int, public: Any = None) -> Address:
    """The library itself is asked: coincurve's objects on the way cost a fifteenth of the time.
    What it would not take, or refuses, coincurve explains. `public`: where the key is left.
    """
    context, signature = GLOBAL_CONTEXT.ctx, ffi.new(_SIGNATURE)
    public = ffi.new(_PUBLIC_KEY) if public is None else public
    if (
        len(digest) == 32
        and len(r_s) == 64
        and parity in (0, 1)
        and lib.secp256k1_ecdsa_recoverable_signature_parse_compact(context, signature, r_s, parity)
        and lib.secp256k1_ecdsa_recover(context, public, signature, digest)
    ):
        point, size = ffi.new(_POINT), ffi.new(_SIZE, 65)
        lib.secp256k1_ec_pubkey_serialize(
            context, point, size, public, lib.SECP256K1_EC_UNCOMPRESSED
        )
        return Address(keccak(ffi.buffer(point)[1:])[12:])
    data = r_s + bytes((parity,))
    try:
        return address_of(PublicKey.from_signature_and_message(data, digest, hasher=None))
    except Exception as error:
        raise BadSignature(data, f"no key gives it ({error})") from error


_SIGNATURE: Final = ffi.typeof("secp256k1_ecdsa_recoverable_signature *")
_PLAIN_SIGNATURE: Final = ffi.typeof("secp256k1_ecdsa_signature *")
_PUBLIC_KEY: Final = ffi.typeof("secp256k1_pubkey *")
_POINT: Final = ffi.typeof("unsigned char[65]")
_SIZE: Final = ffi.typeof("size_t *")
