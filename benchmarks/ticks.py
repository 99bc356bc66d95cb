"""How many vouchers a desk takes, how fast, and how that grows with the sessions that are live.

The desk is `honorarium serve` on a real chain; what it acknowledges is on the disk. Its clients are
a process of their own on the same machine, each session with a socket of its own, and their
vouchers are signed before the clock starts.

Two measures stand beside it, taken in the same run: the crypto that no desk can do without (one
recovery and one signature per voucher, libsecp256k1 through coincurve, on one core), and one row
written durably by the bare database.

    make bench                           measure, print, write results/desk.json and scale.json
    python benchmarks/ticks.py --sessions 500 --ticks 60
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from coincurve import PrivateKey, PublicKey
from rich.console import Console
from rich.table import Table

from databases import Databases
from desk_process import DeskProcess
from honorarium.chain import Contracts, LocalChain
from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.ledger import Ledger, sessions
from honorarium.protocol import Domain, Key, Quote, Tariff, Terms
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

RESULTS: Final = Path(__file__).with_name("results")
LOAD: Final = Path(__file__).with_name("ticks_load.py")
HOUR: Final = 3600
PRICE: Final = 1_000
TARGETS: Final = {"ticks_per_second": 3_000, "sequential_p50_ms": 2.0}

METER: Final = Key.from_bytes(hashlib.sha256(b"bench meter").digest())
ADVISOR: Final = Key.from_bytes(hashlib.sha256(b"bench advisor").digest())


MANY: Final = {
    "connections": 20_000,
    "sockets_per_address": 20_000,
    "requests_per_minute": 100_000_000,
    "log_level": "warning",
}
"""Settings of a desk whose clients are all at one address."""


def seed(ledger: str, domain: Domain, began: int, several: int) -> list[bytes]:
    """Sessions that run, written as the watcher writes those that it sees on the chain."""
    tariff = replace(Tariff.per_minute(PRICE), unit_seconds=Seconds(1))
    made: list[bytes] = []
    with Ledger(ledger) as opened:
        opened.set_up()
        with opened.write() as connection:
            for _ in range(several):
                terms = Terms(
                    client=Address(b"\x01" * 20),
                    payer=Address(b"\x01" * 20),
                    advisor=ADVISOR.address,
                    meter_key=METER.address,
                    token=ZERO_ADDRESS,
                    tariff=tariff,
                    fee_bps=Bps(0),
                    fee_recipient=ZERO_ADDRESS,
                    open_before=UnixTime(began + HOUR),
                    close_grace=Seconds(HOUR),
                    context=Hash(secrets.token_bytes(32)),
                    salt=0,
                )
                quote = Quote.sign(terms, ADVISOR, domain)
                session_id = sessions.add(connection, quote, domain, began)
                sessions.change(
                    connection,
                    session_id,
                    began,
                    status=sessions.OPEN,
                    deposit=BaseUnits(PRICE * 100_000),
                    opened_at=began,
                )
                made.append(session_id)
    return made


class Load:
    """The clients: attached, then started."""

    def __init__(self, urls: Sequence[str], domain: Domain, made: Sequence[bytes], **order: Any):
        self._process = subprocess.Popen(
            [sys.executable, str(LOAD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        asked = {
            "urls": list(urls),
            "chainId": domain.chain_id,
            "contract": domain.contract.hex(),
            "meter": METER.secret().hex(),
            "sessions": [each.hex() for each in made],
            "flat_out": 0,
            "paced": 0,
            "every": 1.0,
            "alone": 0,
            **order,
        }
        self._say(json.dumps(asked))
        if self._hear() != "ready":
            raise RuntimeError("the clients could not attach to the desk")

    def run(self) -> Any:
        """Starts them; what they measured."""
        self._say("go")
        told = self._hear()
        if self._process.wait() != 0:
            raise RuntimeError("the clients failed")
        return json.loads(told)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


# ---------------------------------------------------------------------- what stands beside it


def crypto_limit(seconds: float = 1.0) -> float:
    """Vouchers a second that one core can recover and countersign, and nothing else."""
    key, digest = PrivateKey(), hashlib.sha256(b"limit").digest()
    signature = key.sign_recoverable(digest, hasher=None)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(50):
            PublicKey.from_signature_and_message(signature, digest, hasher=None)
            key.sign_recoverable(digest, hasher=None)
        count += 50
    return count / (time.perf_counter() - began)


def disk_limit(folder: Path, times: int = 300) -> float:
    """Milliseconds (median) that the bare SQLite needs to make one row durable."""
    took = []
    connection = sqlite3.connect(folder / "limit.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, data BLOB)")
    for number in range(times):
        began = time.perf_counter()
        connection.execute("INSERT INTO one VALUES (?, ?)", (number, bytes(200)))
        took.append(time.perf_counter() - began)
    connection.close()
    return median(took) * 1e3


# ---------------------------------------------------------------------- the measurements


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies, in milliseconds."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3, 2)


@dataclass(frozen=True)
class Bench:
    """A chain with the contracts, and a folder for what a run leaves behind."""

    chain: LocalChain
    manifest: Path
    domain: Domain
    folder: Path

    def replica(self, ledger: str) -> DeskProcess:
        """One process of a desk."""
        key = self.chain.accounts["operator"]
        return DeskProcess(self.chain.url, self.manifest, ledger, key, self.folder, MANY)

    def desk(self, ledger: str, replicas: int, live: int, ticks: int) -> dict[str, Any]:
        """Ticks a second and latencies, of `live` sessions on `replicas` processes."""
        began = int(time.time()) - HOUR
        made = seed(ledger, self.domain, began, live)
        with ExitStack() as stack:
            up = [stack.enter_context(self.replica(ledger).running()) for _ in range(replicas)]
            load = Load(
                [each.url for each in up],
                self.domain,
                made,
                began=began,
                flat_out=ticks,
                paced=10,
                every=live / 1000,
                alone=300,
            )
            found = load.run()
        flat, paced, alone = found["flat_out"], found["paced"], found["alone"]
        return {
            "live_sessions": live,
            "replicas": replicas,
            "ticks_per_second": round(len(flat["latencies"]) / flat["seconds"]),
            "flat_out_p50_ms": quantile(flat["latencies"], 0.5),
            "flat_out_p99_ms": quantile(flat["latencies"], 0.99),
            "p50_ms": quantile(paced, 0.5),
            "p99_ms": quantile(paced, 0.99),
            "paced_ticks_per_second": 1000,
            "sequential_p50_ms": quantile(alone, 0.5),
            "sequential_p99_ms": quantile(alone, 0.99),
        }

    def scale(self, live: int) -> dict[str, Any]:
        """Memory per session and latency at 500 ticks a second, with `live` sessions."""
        ledger = f"{self.folder}/scale-{live}.sqlite3"
        began = int(time.time()) - HOUR
        made = seed(ledger, self.domain, began, live)
        with self.replica(ledger).running() as up:
            before = up.resident()
            load = Load(
                [up.url],
                self.domain,
                made,
                began=began,
                paced=max(2, 3000 // live),
                every=live / 500,
            )
            held = up.resident() - before
            paced = load.run()["paced"]
        return {
            "live_sessions": live,
            "kb_per_session": round(held / live / 1024, 1),
            "p50_ms": quantile(paced, 0.5),
            "p99_ms": quantile(paced, 0.99),
        }


def show(title: str, rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
    """A table on the screen."""
    table = Table(title=title, title_justify="left")
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for row in rows:
        cells = (row.get(name, "") for name in columns)
        table.add_row(*(each if isinstance(each, str) else f"{each:,}" for each in cells))
    Console().print(table)


def write(name: str, told: Any) -> None:
    """One file of results."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    asked.add_argument("--sessions", type=int, default=500, help="live sessions (500)")
    asked.add_argument("--ticks", type=int, default=60, help="vouchers of each, flat out (60)")
    asked.add_argument("--scale", type=int, nargs="*", default=[100, 1_000, 10_000])
    asked.add_argument("--no-postgres", action="store_true", help="SQLite only")
    given = asked.parse_args()
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="honorarium-bench-"))
    try:
        with ExitStack() as stack:
            chain = stack.enter_context(LocalChain.start(engine="anvil"))
            contracts = stack.enter_context(Contracts.deploy(chain))
            manifest = folder / "manifest.json"
            contracts.manifest.save(manifest)
            bench = Bench(chain, manifest, contracts.escrow, folder)
            crypto, disk = crypto_limit(), disk_limit(folder)
            first = bench.desk(f"{folder}/desk.sqlite3", 1, given.sessions, given.ticks)
            told = {
                **first,
                "crypto_limit_per_second": round(crypto),
                "ratio_to_crypto_limit": round(first["ticks_per_second"] / crypto, 3),
                "disk_limit_ms": round(disk, 2),
                "sequential_ratio_to_disk": round(first["sequential_p50_ms"] / disk, 2),
            }
            rows = [{"ledger": "SQLite", **first}]
            if not given.no_postgres:
                databases = stack.enter_context(Databases.serve())
                for replicas in (1, 2):
                    url = stack.enter_context(databases.empty())
                    found = bench.desk(url, replicas, given.sessions, given.ticks)
                    rows.append({"ledger": "PostgreSQL", **found})
                    told[f"postgresql_{replicas}"] = found
            columns = {
                "ledger": "ledger",
                "replicas": "replicas",
                "live_sessions": "live",
                "ticks_per_second": "ticks/s",
                "p50_ms": "p50 ms",
                "p99_ms": "p99 ms",
                "sequential_p50_ms": "one by one, p50 ms",
            }
            show("A desk's vouchers, durable (p50 and p99 at 1,000 ticks/s)", rows, columns)
            console.print(
                f"recovery and signature alone: {crypto:,.0f} a second on one core; "
                f"one durable row of the bare SQLite: {disk:.2f} ms"
            )
            write("desk", told)
            grown = [bench.scale(live) for live in given.scale]
            show(
                "How cost grows (500 ticks/s)",
                grown,
                {
                    "live_sessions": "live",
                    "kb_per_session": "kB each",
                    "p50_ms": "p50 ms",
                    "p99_ms": "p99 ms",
                },
            )
            write("scale", grown)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, target in TARGETS.items():
        missed = told[name] < target if name.endswith("second") else told[name] > target
        console.print(
            f"{name} {told[name]:,}, target {target:,}{' [yellow](missed)[/]' if missed else ''}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
