"""Kills a desk under load at random moments, many times, and checks that nothing was lost.

    make kills                    100 kills: SQLite with one process, PostgreSQL with two replicas
    scripts/kills.py --kills 20   so many

What is checked stands in tests/under_load.py; a short run of it is part of `make test`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from rich.console import Console
from rich.progress import Progress

from databases import Databases
from honorarium.chain import LocalChain, Node, deploy
from settling import Town
from under_load import campaign


def main() -> int:
    asked = argparse.ArgumentParser(description="kill -9 of a desk under load")
    asked.add_argument("--kills", type=int, default=100, help="altogether (100)")
    asked.add_argument("--sessions", type=int, default=60, help="that are live (60)")
    asked.add_argument("--seed", type=int, default=int(time.time()), help="of the moments")
    given = asked.parse_args()
    console = Console()
    console.print(f"seed {given.seed}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="honorarium-kills-")))
        chain = stack.enter_context(LocalChain.start(engine="anvil"))
        with Node(chain.url) as node:
            manifest = deploy(node, chain.accounts["operator"], test_token=True)
        databases = stack.enter_context(Databases.serve())
        progress = stack.enter_context(Progress(console=console))
        for name, url, replicas in (
            ("SQLite", f"sqlite:///{folder / 'ledger.sqlite3'}", 1),
            ("PostgreSQL, two replicas", stack.enter_context(databases.empty()), 2),
        ):
            kills = given.kills // 2
            bar = progress.add_task(name, total=kills)
            town = Town(chain, manifest, url)
            stack.callback(town.close)
            found = campaign(
                town,
                folder,
                kills=kills,
                sessions=given.sessions,
                replicas=replicas,
                seed=given.seed,
                told=lambda number, bar=bar: progress.update(bar, completed=number),  # type: ignore[misc]
            )
            progress.console.print(
                f"{name}: {found.kills} kills, all but {found.idle} in the midst of work; "
                f"{found.acknowledged:,} vouchers acknowledged, "
                f"{found.broken:,} connections broken, {found.transactions} transactions, none "
                f"double; no voucher lost, every session settled ({found.seconds:,.0f} s)"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
