"""Writes the golden files of tests/evidence: one paid session's evidence, from each kind of chain.

`python scripts/build_evidence.py` plays the session anew on a Ganache and an Anvil. The files hold
the hash of the escrow's code, so they are made again when a contract changes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from evidence_stage import paid_session  # noqa: E402
from honorarium.chain import Engine  # noqa: E402

ENGINES: Final[tuple[Engine, ...]] = ("ganache", "anvil")


def main() -> None:
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as folder, paid_session(engine, Path(folder)) as paid:
            path = ROOT / "tests" / "evidence" / f"{engine}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(paid.evidence().to_text(), encoding="ascii")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
