"""Asks tests/foundry/mocks/Rows.sol about many rows in one eth_call.

Nothing is deployed: the contracts lie over the chain's state for the length of a call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from eth_hash.auto import keccak

from compiling import ROOT, compiler_config
from honorarium.chain import Node
from honorarium.chain.node import from_hex, to_hex
from honorarium.ids import Address
from honorarium.protocol.typed_data import Domain
from honorarium.units import UnixTime
from terms_rows import joined

SOURCE: Final = "tests/foundry/mocks/Rows.sol"
CONTRACTS: Final = ("TermsRows", "LifeRows", "EchoWallet", "PaperToken")

GAS: Final = 2**40
"""As good as endless: a call costs nothing."""

Override = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """A compiled contract of SOURCE."""

    code: bytes
    selectors: Mapping[str, bytes]

    def override(self) -> Override:
        return {"code": to_hex(self.code)}


def compiled_rows() -> dict[str, Rows]:
    """CONTRACTS under the settings of what ships, so that the library in them is the shipped one.

    That takes a quarter of a minute, so the result is kept in build/ until a source changes.
    """
    sources = [ROOT / "compiler.json"]
    for folder in ("contracts", "tests/foundry"):
        sources += sorted((ROOT / folder).rglob("*.sol"))
    hashed = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    kept = ROOT / "build" / "rows" / f"{hashed}.json"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(_compile()))
    return {
        name: Rows(
            bytes.fromhex(evm["deployedBytecode"]["object"]),
            {f.partition("(")[0]: bytes.fromhex(s) for f, s in evm["methodIdentifiers"].items()},
        )
        for name, evm in json.loads(kept.read_text()).items()
    }


def _compile() -> dict[str, Any]:
    import solcx  # after `compiling`, which says where the compiler is

    config = compiler_config()
    wanted = ["evm.deployedBytecode.object", "evm.methodIdentifiers"]
    request = {
        "language": "Solidity",
        "sources": {SOURCE: {"content": (ROOT / SOURCE).read_text(encoding="utf-8")}},
        "settings": {
            **config["settings"],
            "outputSelection": {SOURCE: dict.fromkeys(CONTRACTS, wanted)},
        },
    }
    output = solcx.compile_standard(
        request, base_path=str(ROOT), allow_paths=str(ROOT), solc_version=config["version"]
    )
    return {name: output["contracts"][SOURCE][name]["evm"] for name in CONTRACTS}


@dataclass
class Asker:
    """A node with the shipped contracts, and the rows' contracts."""

    node: Node
    escrow: Address
    jar: Address

    @cached_property
    def rows(self) -> dict[str, Rows]:
        return compiled_rows()

    @cached_property
    def domain(self) -> Domain:
        return Domain(self.node.chain_id, self.escrow)

    def read(self, rows: Sequence[bytes]) -> list[bytes]:
        """`TermsRows.read`: a `Found` for each `Row`."""
        return self._ask("TermsRows", "read", [self.escrow], rows, {}, None)

    def live(
        self, rows: Sequence[bytes], state: Mapping[Address, Override], time: UnixTime
    ) -> list[bytes]:
        """`LifeRows.live` at `time`: a `Found` for each `Row`."""
        return self._ask("LifeRows", "live", [self.escrow, self.jar], rows, state, time)

    def _ask(
        self,
        contract: str,
        function: str,
        context: Sequence[bytes],
        rows: Sequence[bytes],
        state: Mapping[Address, Override],
        time: UnixTime | None,
    ) -> list[bytes]:
        asked = self.rows[contract]
        at = Address(keccak(contract.encode())[12:])
        head = joined(*context, 32 * (len(context) + 1), len(rows))
        call = {
            "to": to_hex(at),
            "data": to_hex(asked.selectors[function] + head + b"".join(rows)),
            "gas": hex(GAS),
        }
        over = {at: asked.override(), **state}
        block = {} if time is None else {"time": hex(time)}
        answer = from_hex(
            self.node.request(
                "eth_call",
                [call, "latest", {to_hex(who): what for who, what in over.items()}, block],
            )
        )
        size, rest = divmod(len(answer) - 64, len(rows))
        assert (answer[:64], rest) == (joined(32, len(rows)), 0)
        return [answer[begin : begin + size] for begin in range(64, len(answer), size)]
