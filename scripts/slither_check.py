"""Runs slither over the shipped contracts and compares what it finds with docs/slither.md.

    python scripts/slither_check.py

Exit 1 if slither finds what the document does not explain, or if the document explains what slither
no longer finds. Slither lives in an environment of its own (requirements/prove.txt).
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

ROOT: Final = Path(__file__).resolve().parent.parent
EXPLAINED: Final = ROOT / "docs" / "slither.md"
SLITHER: Final = ROOT / ".venv-prove" / "bin" / "slither"
FORGE: Final = ROOT / "scripts" / "forge"

Finding = tuple[str, str]
"""A detector, and the place that it names: `Contract.function` or `Contract.function.variable`."""


def found() -> set[Finding]:
    """What slither says of contracts/ as forge compiles them for the tests."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        paths = ("--out", out / "out", "--cache-path", out / "cache")
        subprocess.run([FORGE, "build", "contracts", "--build-info", *paths, "--quiet"], check=True)
        report = out / "report.json"
        command = (SLITHER, ".", "--ignore-compile", "--foundry-out-directory", out / "out")
        done = subprocess.run(
            [*command, "--filter-paths", "node_modules", "--json", report],
            # slither asks forge for its settings, and looks for it on the path
            env={**os.environ, "PATH": f"{_forge_folder()}{os.pathsep}{os.environ['PATH']}"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            raise RuntimeError(f"slither ended with {done.returncode}:\n{done.stderr[-2000:]}")
        result = json.loads(report.read_text(encoding="utf-8"))
    if not result["success"]:
        raise RuntimeError(f"slither: {result['error']}")
    return {
        (finding["check"], _place(finding["elements"][0]))
        for finding in result["results"].get("detectors", [])
    }


def explained(text: str) -> set[Finding]:
    """The findings in the document's tables: the detector, and each place in backticks."""
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    return {(check, place) for check, places in rows for place in re.findall(r"`([^`]+)`", places)}


def _forge_folder() -> Path:
    return next((ROOT / "node_modules" / "@foundry-rs").glob("forge-*/bin"))


def _place(element: dict[str, Any]) -> str:
    names = []
    inner: dict[str, Any] | None = element
    while inner is not None and inner["type"] in ("variable", "function", "contract"):
        names.append(inner["name"])
        inner = inner.get("type_specific_fields", {}).get("parent")
    return ".".join(reversed(names))


def main() -> int:
    """Runs the command; returns its exit code."""
    if not SLITHER.exists():
        print("slither is not installed: run make slither", file=sys.stderr)
        return 2
    known, seen = explained(EXPLAINED.read_text(encoding="utf-8")), found()
    for check, place in sorted(seen - known):
        print(f"not explained in docs/slither.md: {check} in {place}", file=sys.stderr)
    for check, place in sorted(known - seen):
        print(f"explained in docs/slither.md, but not found: {check} in {place}", file=sys.stderr)
    if seen != known:
        return 1
    print(f"slither: {len(seen)} findings, each explained in docs/slither.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
