"""Calldata of the shipped contracts, from the artifacts' ABI: packed, and read back.

Structs of the contracts are small classes here; `calls` has a function for each entry point.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_hash.auto import keccak

from honorarium.artifacts import CONTRACTS, ContractName, artifact
from honorarium.errors import InputError
from honorarium.ids import Hash
from honorarium.protocol.keys import Signature
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.units import BaseUnits, UnixTime

NO_TIME: Final = UnixTime(0)


class CallNotEncodable(InputError):
    """A value that the contract's function has no room for."""

    def __init__(self, function: str, reason: str) -> None:
        self.function, self.reason = function, reason
        super().__init__(f"{function} cannot be called with these values: {reason}")


class NotOurCall(InputError):
    """Calldata of no function of the shipped contracts."""

    def __init__(self, data: bytes, reason: str) -> None:
        self.data, self.reason = data, reason
        super().__init__(f"calldata 0x{data[:4].hex()}... is not readable: {reason}")


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
class Call:
    """Calldata, read. `name` and the arguments' names are the contract's, in snake case."""

    contract: ContractName
    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Function:
    contract: ContractName
    name: str
    selector: bytes
    inputs: tuple[Mapping[str, Any], ...]
    types: tuple[str, ...]


_NO_VOUCHER: Final = (0, bytes(32), bytes(32), bytes(32))


def snake(name: str) -> str:
    """A name of the contract in Python's case: `openBatch` is `open_batch`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def encode_call(contract: ContractName, name: str, *values: Any, form: str = "") -> bytes:
    """Calldata of the contract's function `name`; `form` tells overloads apart by their types.

    Raises CallNotEncodable if a value does not fit.
    """
    function = _by_name(contract)[name + form]
    try:
        return function.selector + encode(function.types, [_to_abi(v) for v in values])
    except (EncodingError, OverflowError, ValueError, TypeError) as error:
        raise CallNotEncodable(name, str(error)) from error


def decode_call(data: bytes) -> Call:
    """The call that this calldata makes; structs are the classes of this module, and Terms.

    Raises NotOurCall if no shipped contract has such a function, or the rest does not fit it.
    """
    function = _by_selector().get(bytes(data[:4]))
    if function is None:
        raise NotOurCall(bytes(data), "no shipped contract has a function of this selector")
    try:
        values = decode(function.types, bytes(data[4:]))
        args = {
            snake(spec["name"]) or str(index): _from_abi(spec, value)
            for index, (spec, value) in enumerate(zip(function.inputs, values, strict=True))
        }
    except (DecodingError, OverflowError, ValueError) as error:
        reason = f"its arguments are not {function.name}'s ({error})"
        raise NotOurCall(bytes(data), reason) from None
    return Call(function.contract, snake(function.name), args)


@cache
def _functions() -> tuple[_Function, ...]:
    found = []
    for contract in CONTRACTS:
        for entry in artifact(contract).abi:
            if entry["type"] != "function":
                continue
            types = tuple(_type(spec) for spec in entry["inputs"])
            selector = keccak(f"{entry['name']}({','.join(types)})".encode())[:4]
            found.append(
                _Function(contract, entry["name"], selector, tuple(entry["inputs"]), types)
            )
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


@cache
def _by_selector() -> dict[bytes, _Function]:
    return {function.selector: function for function in reversed(_functions())}


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


def _from_abi(spec: Mapping[str, Any], value: Any) -> Any:
    kind = str(spec["type"])
    if kind.endswith("[]"):
        part = {**spec, "type": kind[:-2], "internalType": spec["internalType"][:-2]}
        return tuple(_from_abi(part, each) for each in value)
    if kind == "address":
        return bytes.fromhex(value[2:])
    if kind != "tuple":
        return value
    struct = str(spec["internalType"]).removeprefix("struct ")
    parts: Sequence[Any] = value
    if struct != "PackedTerms":
        parts = [_from_abi(s, v) for s, v in zip(spec["components"], value, strict=True)]
    return _STRUCTS[struct](*parts)


def _voucher(units: int, journal: bytes, r: bytes, vs: bytes) -> SignedVoucher | None:
    if units == 0:
        return None  # the contract does not look at the rest either
    # As it was sent, high s or not: whether it counts is the contract's decision.
    signature = Signature(r, bytes((vs[0] & 0x7F,)) + vs[1:], vs[0] >> 7)
    return SignedVoucher(units, Hash(journal), signature)


_STRUCTS: Final[Mapping[str, Any]] = {
    "PackedTerms": lambda *words: Terms.unpack(words),
    "Voucher": _voucher,
    "Authorization": Authorization,
    "Opening": OpeningRow,
    "Settlement": Settlement,
    "Closing": ClosingRow,
}
