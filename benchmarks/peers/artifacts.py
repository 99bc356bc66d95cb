"""Contracts as npm packages ship them: nothing is compiled here.

Bytecode and ABI come out of the packages; libraries are linked where the artifacts say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from eth_abi.abi import decode, encode
from eth_utils.abi import (
    function_abi_to_4byte_selector,
    get_abi_input_types,
    get_abi_output_types,
)

from honorarium.ids import Address

PACKAGES: Final = Path(__file__).with_name("node_modules")


class NotInstalled(Exception):
    """A file that the benchmark needs is not there. The message says what installs it."""


def package_json(package: str, path: str = "package.json") -> Any:
    """A JSON file of an npm package. Raises NotInstalled."""
    try:
        return json.loads((PACKAGES / package / path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotInstalled(f"{path} of {package} is not there: run make peers") from None


@dataclass(frozen=True)
class Artifact:
    """A contract's ABI, and its code to deploy as hexadecimal digits.

    `links`: library to the places of its address in the code, in bytes.
    """

    abi: list[Any]
    code: str
    links: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """From the JSON that Foundry or Hardhat writes."""
        code, references = found["bytecode"], found.get("linkReferences", {})
        if isinstance(code, dict):
            code, references = code["object"], code.get("linkReferences", {})
        links = {
            library: tuple(int(place["start"]) for place in places)
            for libraries in references.values()
            for library, places in libraries.items()
        }
        return cls(found["abi"], code.removeprefix("0x"), links)

    @classmethod
    def read(cls, package: str, path: str) -> Self:
        """Of an npm package. Raises NotInstalled."""
        return cls.of(package_json(package, path))

    def deployment(self, args: tuple[Any, ...], libraries: Mapping[str, Address]) -> bytes:
        """What creates the contract. Raises KeyError if a library is missing."""
        code = self.code
        for library, places in self.links.items():
            for place in places:
                code = code[: 2 * place] + libraries[library].hex() + code[2 * (place + 20) :]
        found = [each for each in self.abi if each["type"] == "constructor"]
        types = get_abi_input_types(found[0]) if found else []
        return bytes.fromhex(code) + encode(types, args)

    def call(self, function: str, *args: Any) -> bytes:
        """Calldata. An overloaded function is named with its types."""
        entry = self._function(function)
        return function_abi_to_4byte_selector(entry) + encode(get_abi_input_types(entry), args)

    def answer(self, function: str, data: bytes) -> Any:
        """What the function answered: one value, or a tuple."""
        values = decode(get_abi_output_types(self._function(function)), data)
        return values[0] if len(values) == 1 else values

    def _function(self, wanted: str) -> Any:
        named = [each for each in self.abi if each["type"] == "function"]
        found = [each for each in named if wanted in (each["name"], _with_types(each))]
        if len(found) != 1:
            raise KeyError(f"{len(found)} functions are called {wanted}")
        return found[0]


def _with_types(function: Any) -> str:
    return f"{function['name']}({','.join(get_abi_input_types(function))})"
