"""Proves with halmos what tests/foundry/symbolic states, for all values, into docs/proofs.md.

    python scripts/prove.py            prove, print, write the table
    python scripts/prove.py --check    prove, print, fail if the table is another

Exit 1 if anything is disproved, or not finished although docs/proofs.md says that it is proven.
Halmos lives in an environment of its own (requirements/prove.txt).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from honorarium.artifacts import artifact

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "proofs.md"
TOOLS: Final = ROOT / ".venv-prove" / "bin"
BEGIN: Final = "<!-- from here to the next mark `make prove` writes -->\n"
END: Final = "<!-- here it ends -->\n"
SECONDS: Final = 120  # for a solver, per assertion
PROVEN: Final = 0  # halmos's exit code of a test
OUTCOMES: Final = {0: "proven", 1: "disproved", 2: "not finished"}


def prove() -> dict[str, list[dict[str, Any]]]:
    """What halmos says of each contract's `check_` functions, on the bytecode that ships."""
    forge = next((ROOT / "node_modules" / "@foundry-rs").glob("forge-*/bin"))
    environment = {
        **os.environ,
        "FOUNDRY_PROFILE": "prove",
        "PATH": os.pathsep.join((str(TOOLS), str(forge), os.environ["PATH"])),
        "ESCROW_CODE": "0x" + artifact("SessionEscrow").bytecode.hex(),
    }
    subprocess.run(
        [ROOT / "scripts/forge", "build", "--ast", "--quiet"], cwd=ROOT, env=environment, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ("--no-status", "--solver-timeout-assertion", str(1000 * SECONDS))
        command = (TOOLS / "halmos", "--root", ROOT, "--forge-build-out", "build/prove/out")
        subprocess.run(
            [*command, *options, "--json-output", report], cwd=ROOT, env=environment, check=False
        )
        found: dict[str, list[dict[str, Any]]] = json.loads(report.read_text())["test_results"]
    return found


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """The results in words."""
    rows = ["| what | result |", "|---|---|"]
    for contract in sorted(results):
        file = contract.split(":")[0]
        for test in sorted(results[contract], key=lambda test: str(test["name"])):
            name = str(test["name"]).split("(")[0].removeprefix("check_")
            words = re.sub(r"ESC(\d+)", r"ESC-\1:", name).replace("_", " ")
            outcome = OUTCOMES.get(test["exitcode"], "not finished")
            rows.append(f"| {words} ([{Path(file).name}](../{file})) | {outcome} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    """Runs the command; returns its exit code."""
    if not (TOOLS / "halmos").exists():
        print("halmos is not installed: run make prove", file=sys.stderr)
        return 2
    results = prove()
    tests = [test for found in results.values() for test in found]
    proven = sum(test["exitcode"] == PROVEN for test in tests)
    print(f"{proven} of {len(tests)} proven")
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    fresh = before + BEGIN + "\n" + table(results) + "\n" + END + rest.split(END)[1]
    if "--check" in sys.argv[1:] and fresh != page:
        print("docs/proofs.md says something else: run scripts/prove.py", file=sys.stderr)
        return 1
    PAGE.write_text(fresh, encoding="utf-8")
    return 1 if any(test["exitcode"] == 1 for test in tests) or not tests else 0


if __name__ == "__main__":
    raise SystemExit(main())
