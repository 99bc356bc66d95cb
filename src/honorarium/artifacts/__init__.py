"""The shipped contracts as the compiler made them: ABI, bytecode, hashes of the sources.

The JSON files beside this module are generated (`make build`); reading them needs no compiler.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Final, Literal, get_args

from honorarium.hashing import keccak

__all__ = ["CONTRACTS", "Artifact", "ContractName", "StorageEntry", "artifact"]

ContractName = Literal["SessionEscrow", "TipJar", "TestUSD"]

CONTRACTS: Final[tuple[ContractName, ...]] = get_args(ContractName)


@dataclass(frozen=True)
class StorageEntry:
    """Where a state variable lies."""

    label: str
    slot: int
    offset: int  # bytes from the low end of the slot
    type: str
    bytes: int


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    name: ContractName
    abi: Sequence[Mapping[str, Any]]
    bytecode: bytes  # what creates the contract, without constructor arguments
    deployed_bytecode: bytes  # what lies on chain afterwards, immutables being zero
    immutables: tuple[tuple[int, int], ...]  # (start, length) in deployed_bytecode, in bytes
    sources: Mapping[str, str]  # source path to SHA-256 of the file, in hex
    compiler_version: str
    compiler_settings: Mapping[str, Any]
    storage: tuple[StorageEntry, ...]

    @cached_property
    def code_hash(self) -> bytes:
        """keccak256 of the deployed bytecode, immutables being zero; see `hash_of_code`."""
        return keccak(self.deployed_bytecode)

    def masked(self, code: bytes) -> bytes:
        """`code` as found on a chain, its immutables set to zero.

        Immutables hold what differs from chain to chain (chain id, own address), so only masked
        code can be compared. Code of another length is returned as it is.
        """
        if len(code) != len(self.deployed_bytecode):
            return code
        masked = bytearray(code)
        for start, length in self.immutables:
            masked[start : start + length] = bytes(length)
        return bytes(masked)

    def hash_of_code(self, code: bytes) -> bytes:
        """keccak256 of `masked(code)`: equals `code_hash` if and only if it is this contract."""
        return keccak(self.masked(code))


def artifact(name: ContractName) -> Artifact:
    """The artifact of a shipped contract; read once.

    Raises:
        ValueError: there is no shipped contract of this name.
    """
    if name not in CONTRACTS:
        raise ValueError(f"{name} is not a shipped contract; these are: {', '.join(CONTRACTS)}")
    return _read(name)


@cache
def _read(name: ContractName) -> Artifact:
    text = resources.files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    return Artifact(
        name=name,
        abi=stored["abi"],
        bytecode=bytes.fromhex(stored["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(stored["deployedBytecode"][2:]),
        immutables=tuple((at["start"], at["length"]) for at in stored["immutableReferences"]),
        sources=stored["sources"],
        compiler_version=stored["compiler"]["version"],
        compiler_settings=stored["compiler"]["settings"],
        storage=tuple(StorageEntry(**entry) for entry in stored["storageLayout"]),
    )
