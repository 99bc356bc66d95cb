"""Generates src/honorarium/artifacts/*.json from the shipped contracts.

    python scripts/build_artifacts.py            compile, and write what changed
    python scripts/build_artifacts.py --check    compile; exit 1 if a file is not fresh

The result depends on sources and compiler.json alone: same input, same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Final

from compiling import (
    ROOT,
    CompilationFailed,
    Json,
    compile_contracts,
    compiler_config,
    shipped_contracts,
)

ARTIFACTS: Final = ROOT / "src" / "honorarium" / "artifacts"


def artifact_of(name: str, output: Json) -> Json:
    """The artifact of one contract, made of the compiler's output for it."""
    config = compiler_config()
    metadata = json.loads(output["metadata"])
    deployed = output["evm"]["deployedBytecode"]
    return {
        "name": name,
        "compiler": {"version": config["version"], "settings": config["settings"]},
        "sources": {path: _sha256(ROOT / path) for path in sorted(metadata["sources"])},
        "abi": output["abi"],
        "bytecode": "0x" + output["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        "immutableReferences": _immutable_ranges(deployed.get("immutableReferences", {})),
        "storageLayout": _storage_slots(output["storageLayout"]),
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _immutable_ranges(references: Json) -> list[Json]:
    """The compiler keys them by node number, which says nothing; what matters is where they lie."""
    ranges = {
        (int(at["start"]), int(at["length"])) for found in references.values() for at in found
    }
    return [{"start": start, "length": length} for start, length in sorted(ranges)]


def _storage_slots(layout: Json) -> list[Json]:
    types = layout["types"] or {}
    return [
        {
            "label": entry["label"],
            "slot": int(entry["slot"]),
            "offset": int(entry["offset"]),
            "type": types[entry["type"]]["label"],
            "bytes": int(types[entry["type"]]["numberOfBytes"]),
        }
        for entry in layout["storage"]
    ]


def rendered(artifact: Json) -> str:
    """The artifact as the text of its file."""
    return json.dumps(artifact, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Generate the artifacts of the shipped contracts.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail if a file is not fresh"
    )
    check: bool = parser.parse_args(arguments).check
    try:
        outputs = compile_contracts(shipped_contracts())
    except (CompilationFailed, FileNotFoundError) as error:
        print(f"build_artifacts: {error}", file=sys.stderr)
        return 1

    expected = {
        ARTIFACTS / f"{name}.json": rendered(artifact_of(name, outputs[name])) for name in outputs
    }
    stray = sorted(set(ARTIFACTS.glob("*.json")) - set(expected))
    stale = [
        path
        for path, text in expected.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if check:
        for path in stale:
            print(
                f"{path.relative_to(ROOT)} does not match its sources; run `make build`",
                file=sys.stderr,
            )
        for path in stray:
            print(
                f"{path.relative_to(ROOT)} belongs to no shipped contract; delete it",
                file=sys.stderr,
            )
        return 1 if stale or stray else 0
    for path in stale:
        path.write_text(expected[path], encoding="utf-8", newline="\n")
        print(f"wrote {path.relative_to(ROOT)}")
    for path in stray:
        path.unlink()
        print(f"deleted {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
