"""Measures, prints, writes benchmarks/results/peers.json and the table of docs/peers.md."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from peers import ours, page, sablier, superfluid
from peers.artifacts import NotInstalled
from peers.builds import builds
from peers.ground import HARDFORK, Ground, anvil
from peers.quoted import CONDITIONS, QUOTED
from peers.sessions import as_json

ROOT: Final = Path(__file__).resolve().parents[2]
RESULT: Final = ROOT / "benchmarks" / "results" / "peers.json"
PAGE: Final = ROOT / "docs" / "peers.md"


def main() -> int:
    try:
        compiled = builds()
        with anvil() as node:
            chain = f"{node.client} ({HARDFORK})"
            ground = Ground(node)
            sessions = [
                session
                for protocol in (ours, sablier, superfluid)
                for session in protocol.measure(ground)
            ]
    except NotInstalled as error:
        print(f"peers: {error}", file=sys.stderr)
        return 1
    page.show(sessions, chain)
    result = {
        "chain": chain,
        "compiled": compiled,
        "measured": as_json(sessions),
        "quoted": {
            "conditions": CONDITIONS,
            "peers": [asdict(each) | {"total": each.total} for each in QUOTED],
        },
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    block = page.markdown(sessions, compiled, chain)
    PAGE.write_text(page.rewritten(PAGE.read_text(encoding="utf-8"), block), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
