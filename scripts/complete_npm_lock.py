"""Completes package-lock.json with the platform packages that npm left out when it was written.

A platform package that the registry did not offer at that moment is missing from the lock, and
`npm ci` then refuses the lock on every platform. Those that Foundry's packages name get an entry
with their exact version; npm fetches only the entry of the platform that it runs on.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).resolve().parent.parent / "package-lock.json"
PLATFORM: Final = re.compile(
    r"@foundry-rs/(?P<tool>\w+)-(?P<os>darwin|linux|win32)-(?P<cpu>amd64|arm64)"
)


def main() -> int:
    """Rewrites the lock if an entry is missing; returns the exit code."""
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    packages = lock["packages"]
    for entry in list(packages.values()):
        for name, version in entry.get("optionalDependencies", {}).items():
            if f"node_modules/{name}" in packages:
                continue
            platform = PLATFORM.fullmatch(name)
            if platform is None:
                print(f"package-lock.json lacks {name}, whose platform is unknown", file=sys.stderr)
                return 1
            packages[f"node_modules/{name}"] = {
                "version": version,
                "cpu": ["x64" if platform["cpu"] == "amd64" else "arm64"],
                "dev": True,
                "optional": True,
                "os": [platform["os"]],
            }
    lock["packages"] = dict(sorted(packages.items()))
    LOCK.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
