"""The compiler's settings, and compiling with them: what scripts and tests share.

compiler.json is the one place for the settings; py-solc-x reaches npm's compiler through
scripts/solc.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, cast

ROOT: Final = Path(__file__).resolve().parent.parent
COMPILER_FOLDER: Final = ROOT / "scripts" / "solc"

# Before py-solc-x is imported: it looks for compilers in this folder instead of downloading them.
os.environ["SOLCX_BINARY_PATH"] = str(COMPILER_FOLDER)

import solcx  # noqa: E402

Json = dict[str, Any]


class CompilationFailed(Exception):
    """The Solidity compiler refused the sources; the message is the compiler's own."""


def compiler_config() -> Json:
    """Contents of compiler.json: `version`, `settings`, `shipped` (name to source path)."""
    return cast(Json, json.loads((ROOT / "compiler.json").read_text(encoding="utf-8")))


def shipped_contracts() -> dict[str, str]:
    """Name of each contract that the package ships, to the path of its source file."""
    return cast(dict[str, str], compiler_config()["shipped"])


def compile_contracts(contracts: dict[str, str]) -> dict[str, Json]:
    """Compiles the named contracts, each together with what it imports and nothing else.

    Args:
        contracts: contract name to source path, relative to the repository.

    Returns:
        For each name the compiler's output for that contract: `abi`, `evm`, `storageLayout`,
        `metadata`.

    Raises:
        FileNotFoundError: a source file is missing.
        CompilationFailed: the compiler reported an error.
    """
    return {name: _compile_one(name, path) for name, path in contracts.items()}


def _compile_one(name: str, path: str) -> Json:
    config = compiler_config()
    if not (ROOT / path).is_file():
        raise FileNotFoundError(f"{path}, the source of {name} by compiler.json, does not exist")
    request: Json = {
        "language": "Solidity",
        "sources": {path: {"content": (ROOT / path).read_text(encoding="utf-8")}},
        "settings": {
            **config["settings"],
            "outputSelection": {
                path: {
                    name: [
                        "abi",
                        "metadata",
                        "storageLayout",
                        "evm.bytecode.object",
                        "evm.deployedBytecode.object",
                        "evm.deployedBytecode.immutableReferences",
                    ]
                }
            },
        },
    }
    try:
        output = solcx.compile_standard(
            request, base_path=str(ROOT), allow_paths=str(ROOT), solc_version=config["version"]
        )
    except solcx.exceptions.SolcError as error:
        raise CompilationFailed(f"{path} does not compile:\n{error}") from error
    contract = output.get("contracts", {}).get(path, {}).get(name)
    if contract is None:
        raise CompilationFailed(f"{path} declares no contract of the name {name}")
    if not contract["evm"]["bytecode"]["object"]:
        raise CompilationFailed(f"{name} is abstract: it has no bytecode to ship")
    return cast(Json, contract)
