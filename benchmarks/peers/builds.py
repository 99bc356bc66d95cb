"""With which settings the measured bytecode was compiled, as its own artifacts say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from peers.artifacts import PACKAGES, NotInstalled, package_json

OURS: Final = Path(__file__).resolve().parents[2] / "compiler.json"


def described(version: str, settings: Mapping[str, Any]) -> str:
    """In a line, from the compiler's settings."""
    pipeline = "via-IR, " if settings.get("viaIR") else ""
    runs = f"{settings['optimizer']['runs']:,} runs"
    return f"solc {version.partition('+')[0]}, {pipeline}{runs}, for {settings['evmVersion']}"


def builds() -> dict[str, str]:
    """Protocol to settings. Raises NotInstalled."""
    ours = json.loads(OURS.read_text(encoding="utf-8"))
    found = {"Honorarium": described(ours["version"], ours["settings"])}
    for name, package, path in (
        ("Sablier Flow", "@sablier/flow", "artifacts/SablierFlow.json"),
        ("Sablier's comptroller", "@sablier/evm-utils", "artifacts/SablierComptroller.json"),
    ):
        metadata = package_json(package, path)["metadata"]
        found[name] = described(metadata["compiler"]["version"], metadata["settings"])
    superfluid = "@superfluid-finance/ethereum-contracts"
    files = sorted((PACKAGES / superfluid / "build/hardhat/build-info").glob("*.json"))
    if len(files) != 1:
        raise NotInstalled(f"{superfluid} says in {len(files)} files how it was built, not in one")
    built = json.loads(files[0].read_text(encoding="utf-8"))
    found["Superfluid"] = described(built["solcVersion"], built["input"]["settings"])
    return found
