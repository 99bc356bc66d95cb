"""Calldata of the shipped contracts, from the artifacts' ABI.

Structs of the contracts are small classes here; `calls` has a function for each entry point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError

from honorarium.artifacts import CONTRACTS, ContractName, artifact
from honorarium.errors import InputError
from honorarium.hashing import keccak
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.units import BaseUnits, UnixTime

NO_TIME: Final = UnixTime(0)


class CallNotEncodable(InputError):
    """A value that the contract's function has no room for."""

    def __init__(self, function: str, reason: str) -> None:
        self.function, self.reason = function, reason
        super().__init__(f"{function} cannot be called with these values: {reason}")


@dataclass(frozen=True, slots=True)
class Authorization:
    """A payer's EIP-3009 authorization; valid strictly between the two times (unix seconds)."""

    valid_after: UnixTime
    valid_before: UnixTime
    signature: bytes


@dataclass(frozen=True, slots=True)
class OpeningRow:
    """What opens one session from a balance. An empty signature: that party calls."""

    terms: Terms
    deposit: BaseUnits
    advisor_signature: bytes
    client_signature: bytes = b""
    payer_signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Settlement:
    """A voucher (None: none) with the terms that it belongs to."""

    terms: Terms
    voucher: SignedVoucher | None


@dataclass(frozen=True, slots=True)
class ClosingRow:
    """What closes one session for the advisor. An empty signature: the advisor calls."""

    terms: Terms
    voucher: SignedVoucher | None
    deadline: UnixTime = NO_TIME
    advisor_signature: bytes = b""


@dataclass(frozen=True, slots=True)
class _Function:
    contract: ContractName
    name: str
    selector: bytes
    types: tuple[str, ...]


_NO_VOUCHER: Final = (0, bytes(32), bytes(32), bytes(32))


def encode_call(contract: ContractName, name: str, *values: Any, form: str = "") -> bytes:
    """Calldata of the contract's function `name`; `form` tells overloads apart by their types.

    Raises CallNotEncodable if a value does not fit.
    """
    function = _by_name(contract)[name + form]
    try:
        return function.selector + encode(function.types, [_to_abi(v) for v in values])
    except (EncodingError, OverflowError, ValueError, TypeError) as error:
        raise CallNotEncodable(name, str(error)) from error


def decode_call(data: bytes) -> tuple[str, tuple[Any, ...]]:
    """The contract's function that calldata calls, and its values as the ABI has them.

    Raises ValueError if no function of the escrow or the tip jar takes it.
    """
    for function in _functions():
        if function.contract != "TestUSD" and function.selector == data[:4]:
            try:
                return function.name, decode(function.types, data[4:])
            except (DecodingError, OverflowError) as error:
                raise ValueError(f"{function.name} takes other values: {error}") from None
    raise ValueError(f"0x{data[:4].hex()} is no function of the contracts")


@cache
def _functions() -> tuple[_Function, ...]:
    found = []
    for contract in CONTRACTS:
        for entry in artifact(contract).abi:
            if entry["type"] != "function":
                continue
            types = tuple(_type(spec) for spec in entry["inputs"])
            selector = keccak(f"{entry['name']}({','.join(types)})".encode())[:4]
            found.append(_Function(contract, entry["name"], selector, types))
    return tuple(found)


@cache
def _by_name(contract: ContractName) -> dict[str, _Function]:
    """Under the name, and with the types behind it: `permit`, `permit(address,...)`."""
    named: dict[str, _Function] = {}
    for function in _functions():
        if function.contract == contract:
            named.setdefault(function.name, function)
            named[f"{function.name}({','.join(function.types)})"] = function
    return named


def _type(spec: Mapping[str, Any]) -> str:
    kind = str(spec["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in spec['components'])}){kind[5:]}"


def _to_abi(value: Any) -> Any:
    match value:
        case Terms():
            return value.pack()
        case SignedVoucher(units, journal, signature):
            return (units, journal, *signature.compact())
        case None:
            return _NO_VOUCHER
        case Authorization(after, before, signature):
            return (after, before, signature)
        case OpeningRow(terms, deposit, advisor, client, payer):
            return (terms.pack(), deposit, advisor, client, payer)
        case Settlement(terms, voucher):
            return (terms.pack(), _to_abi(voucher))
        case ClosingRow(terms, voucher, deadline, advisor):
            return (terms.pack(), _to_abi(voucher), deadline, advisor)
        case list() | tuple():
            return [_to_abi(part) for part in value]
    return value
