"""EIP-712 as Honorarium uses it: the types, their hashes, and the same as JSON for wallets.

Digests are built by hand, word by word, because a service checks thousands of vouchers a second and
typed-data libraries need 94 µs to encode one; property tests hold them to eth-account's encoder and
to the contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from honorarium.errors import FieldNotUsable
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash

NAME: Final = "Honorarium"
VERSION: Final = "1"

TYPES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "Tariff": (
        ("uint80", "connectFee"),
        ("uint80", "unitPrice"),
        ("uint32", "unitSeconds"),
        ("uint32", "includedUnits"),
        ("uint32", "stepUnits"),
        ("uint80", "stepPrice"),
        ("uint32", "maxUnits"),
    ),
    "Terms": (
        ("address", "client"),
        ("address", "payer"),
        ("address", "advisor"),
        ("address", "meterKey"),
        ("address", "token"),
        ("Tariff", "tariff"),
        ("uint16", "feeBps"),
        ("address", "feeRecipient"),
        ("uint40", "openBefore"),
        ("uint24", "closeGrace"),
        ("bytes32", "context"),
        ("uint96", "salt"),
    ),
    "Opening": (("Terms", "terms"), ("uint80", "deposit")),
    "Voucher": (("bytes32", "sessionId"), ("uint32", "units"), ("bytes32", "journal")),
    "Acknowledgement": (("bytes32", "sessionId"), ("uint32", "units"), ("bytes32", "journal")),
    "Closing": (
        ("bytes32", "sessionId"),
        ("uint32", "units"),
        ("bytes32", "journal"),
        ("uint40", "deadline"),
    ),
    "Leaving": (("bytes32", "sessionId"),),
    "Revocation": (("bytes32", "sessionId"),),
    "Rating": (("bytes32", "sessionId"), ("uint8", "score"), ("bytes32", "commentHash")),
    "Answer": (("bytes32", "sessionId"), ("bytes32", "answerHash")),
    "TopUp": (("bytes32", "sessionId"), ("uint80", "deposit")),
    "Withdrawal": (
        ("address", "account"),
        ("address", "token"),
        ("uint256", "amount"),
        ("address", "to"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
    ),
    "ReceiveWithAuthorization": (
        ("address", "from"),
        ("address", "to"),
        ("uint256", "value"),
        ("uint256", "validAfter"),
        ("uint256", "validBefore"),
        ("bytes32", "nonce"),
    ),
    "Permit": (
        ("address", "owner"),
        ("address", "spender"),
        ("uint256", "value"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
    ),
}
"""Every message that is signed: name -> ((type, field), ...).

No contract reads an `Acknowledgement`: it is evidence between people.
"""

_DOMAIN_FIELDS: Final = (
    ("string", "name"),
    ("string", "version"),
    ("uint256", "chainId"),
    ("address", "verifyingContract"),
)


def _parts(name: str) -> set[str]:
    """The struct types that `name` is built from, itself left out."""
    inner = {kind for kind, _ in TYPES[name] if kind in TYPES}
    return inner.union(*(_parts(kind) for kind in inner)) if inner else inner


def encode_type(name: str) -> str:
    """EIP-712 encodeType: the type, then those it refers to in alphabetical order."""
    return "".join(
        f"{part}({','.join(f'{kind} {field}' for kind, field in TYPES[part])})"
        for part in (name, *sorted(_parts(name)))
    )


TYPEHASH: Final = {name: keccak(encode_type(name).encode()) for name in TYPES}


def _room(kind: str) -> tuple[bool, int, str]:
    """Whether a field is a number; the first one too large, or its length; and that in words."""
    if kind.startswith("uint"):
        bits = int(kind[4:])
        return True, 1 << bits, f"a whole number from 0 to 2^{bits} - 1"
    length = 20 if kind == "address" else 32
    return False, length, f"{length} bytes"


_ROOM: Final = {
    name: tuple((field, *_room(kind)) for kind, field in fields) for name, fields in TYPES.items()
}


def check(name: str, values: tuple[int | bytes, ...]) -> None:
    """Raises FieldNotUsable for a value that the type's field has no room for.

    A value that is too wide would hash to a digest that no contract ever computes.
    """
    for (field, number, limit, wanted), value in zip(_ROOM[name], values, strict=True):
        if number:
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
                raise FieldNotUsable(name, field, value, wanted)
        elif not isinstance(value, bytes) or len(value) != limit:
            raise FieldNotUsable(name, field, value, wanted)


def word(value: int | bytes) -> bytes:
    """One 32-byte word of EIP-712 encodeData: a number or an address to the right, a hash as it is.

    Raises OverflowError for a number below zero or beyond 256 bits.
    """
    if isinstance(value, int):
        return value.to_bytes(32, "big")
    return value.rjust(32, b"\0")


def struct_hash(name: str, *values: int | bytes) -> bytes:
    """EIP-712 hashStruct; nested structs are handed in as their hashes. Raises FieldNotUsable."""
    check(name, values)
    return keccak(TYPEHASH[name] + b"".join(map(word, values)))


@dataclass(frozen=True)
class Domain:
    """Where a signature counts: one contract on one chain."""

    chain_id: int
    contract: Address
    name: str = NAME
    version: str = VERSION

    @cached_property
    def separator(self) -> bytes:
        """EIP-712 domainSeparator, 32 bytes."""
        fields = ",".join(f"{kind} {field}" for kind, field in _DOMAIN_FIELDS)
        return keccak(
            keccak(f"EIP712Domain({fields})".encode())
            + keccak(self.name.encode())
            + keccak(self.version.encode())
            + word(self.chain_id)
            + word(self.contract)
        )

    def digest(self, hashed: bytes) -> Hash:
        """What is signed for a struct of hash `hashed`."""
        return Hash(keccak(b"\x19\x01" + self.separator + hashed))

    def typed_data(self, name: str, message: dict[str, Any]) -> dict[str, Any]:
        """The JSON that wallets show to people (`eth_signTypedData_v4`)."""
        listed = {name, *_parts(name)}
        return {
            "types": {
                "EIP712Domain": [{"name": f, "type": k} for k, f in _DOMAIN_FIELDS],
                **{
                    part: [{"name": f, "type": k} for k, f in TYPES[part]]
                    for part in sorted(listed)
                },
            },
            "primaryType": name,
            "domain": {
                "name": self.name,
                "version": self.version,
                "chainId": self.chain_id,
                "verifyingContract": "0x" + self.contract.hex(),
            },
            "message": message,
        }
