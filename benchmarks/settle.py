"""What settling costs: sessions per transaction, per second, gas each.

A desk (`honorarium serve`, with its durable workflows) settles sessions that have a voucher in
hand, on Anvil. The limit beside it, measured in the same run: the same batches handed to the node
by the bare sender, one after the other, with nothing kept about what becomes of each session. The
gas of one session alone is that of `settle`, by itself, in the same run.

    make bench                                  measure, print, write results/settle.json
    python benchmarks/settle.py --sessions 1000
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from sqlalchemy import select

from desk_process import DeskProcess
from honorarium.chain import LocalChain, Node, Sender, Settlement, calls, deploy
from honorarium.ids import ZERO_HASH
from honorarium.ledger import settling
from honorarium.protocol import SignedVoucher, Terms, Voucher
from settling import PRICE, Town
from under_load import SETTINGS

RESULT: Final = Path(__file__).with_name("results") / "settle.json"
ROWS: Final = 50
UNITS: Final = 5


def rows_of(town: Town, several: list[Terms]) -> list[Settlement]:
    """What a batch takes."""
    made = []
    for terms in several:
        voucher = Voucher(town.id_of(terms), UNITS, ZERO_HASH)
        made.append(Settlement(terms, SignedVoucher.sign(voucher, town.meter, town.domain)))
    return made


def bare(town: Town, several: list[Terms]) -> float:
    """Seconds that the sender alone takes for the same batches."""
    sender = Sender(town.node, town.relayer)
    rows = rows_of(town, several)
    began = time.perf_counter()
    for start in range(0, len(rows), ROWS):
        sender.transact(town.escrow, calls.settle_batch(rows[start : start + ROWS]))
    return time.perf_counter() - began


def alone(town: Town, terms: Terms) -> int:
    """Gas of one session by itself."""
    (row,) = rows_of(town, [terms])
    assert row.voucher is not None
    sender = Sender(town.node, town.relayer)
    return sender.transact(town.escrow, calls.settle(terms, row.voucher)).gas_used


def by_the_desk(town: Town, several: list[Terms], folder: Path) -> float:
    """Seconds from the moment at which the desk is asked until all are settled on the chain."""
    manifest = folder / "manifest.json"
    town.manifest.save(manifest)
    settings = {**SETTINGS, "settle_idle": 1}
    desk = DeskProcess(town.chain.url, manifest, town.url, town.relayer, folder, settings)
    with desk.running():
        town.vouch(several, UNITS)
        began = time.perf_counter()
        expected = [UNITS * PRICE] * len(several)
        town.until("all are settled", lambda: town.earned(several) == expected, 300)
        took = time.perf_counter() - began
        town.until("all is written down", lambda: town.claims() == 0, 60)
    return took


def main() -> int:
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    asked.add_argument("--sessions", type=int, default=500, help="to settle (500)")
    count: int = asked.parse_args().sessions
    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="honorarium-bench-")))
        chain = stack.enter_context(LocalChain.start(engine="anvil"))
        with Node(chain.url) as node:
            manifest = deploy(node, chain.accounts["operator"], test_token=True)
        town = Town(chain, manifest, f"sqlite:///{folder / 'ledger.sqlite3'}")
        stack.callback(town.close)
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), transient=True) as shown:
            shown.add_task(f"opening {2 * count + 2} sessions")
            several = town.open(2 * count + 2)
        one_alone, _, *rest = several
        alone(town, several[1])  # the advisor's balance is warm from here on
        gas_alone = alone(town, one_alone)
        limit = bare(town, rest[:count])
        took = by_the_desk(town, rest[count:], folder)
        with town.ledger.read() as connection:
            batches = connection.execute(
                select(settling.batches).where(settling.batches.c.gas_used.is_not(None))
            ).mappings()
            gas = [int(row["gas_used"]) for row in batches]
    told = {
        "sessions": count,
        "transactions": len(gas),
        "sessions_per_transaction": round(count / len(gas), 1),
        "sessions_per_second": round(count / took, 1),
        "limit_sessions_per_second": round(count / limit, 1),
        "ratio_to_limit": round(limit / took, 3),
        "gas_per_session": round(sum(gas) / count),
        "gas_alone": gas_alone,
        "gas_ratio": round(sum(gas) / count / gas_alone, 3),
    }
    table = Table(title="settling", title_justify="left")
    for column in ("", "sessions/s", "sessions per transaction", "gas each"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("one by one", "", "1", f"{gas_alone:,}")
    table.add_row("batches, bare (the limit)", f"{count / limit:,.0f}", str(ROWS), "")
    table.add_row(
        "the desk, durable",
        f"{told['sessions_per_second']:,}",
        f"{told['sessions_per_transaction']}",
        f"{told['gas_per_session']:,}",
    )
    console.print(table)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
