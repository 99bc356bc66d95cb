"""How fast an audit is: from an export, and from a node.

The export is made first, by audit_data.py: real calls repeated, really signed. Its verification
runs on all cores; the limit is libsecp256k1's recovery of as many signatures as the export holds,
with nothing around it, on all cores too, before and after. (The audit recovers the keys that it has
not seen; with those that it knows it verifies, which takes a sixth less.) Collecting is measured
against the same `eth_getLogs` to the same node, their answers read as JSON and thrown away.

    make bench                     30,000 sessions
    make bench SESSIONS=1000000    the whole size: half an hour on two cores
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import hashlib
import json
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final

from coincurve import PublicKey
from rich.console import Console
from rich.table import Table

from audit_data import CALLS, DECIMALS, TARIFFS, make_archive
from honorarium.audit import Archive, Contents, audit_archive, catch_up
from honorarium.chain import Manifest, Node
from honorarium.protocol import Domain, Key
from honorarium.replay import load_tariffs, plan_calls, run, set_up

ROOT: Final = Path(__file__).parents[1]
RESULT: Final = Path(__file__).with_name("results") / "audit.json"
SESSIONS: Final = 30_000
LIMIT_ROUNDS: Final = 20_000
COLLECT_ROUNDS: Final = 7
COLLECT_WEEKS: Final = 4
TARGETS: Final = {"ratio_to_limit": (0.5, "at least"), "collect_ratio": (2.0, "at most")}


# ---------------------------------------------------------------------- the limit


def recoveries(rounds: int) -> float:
    """Seconds for so many bare recoveries, in this process."""
    key = Key.from_bytes(hashlib.sha256(b"audit limit").digest())
    signed = []
    for number in range(50):
        digest = hashlib.sha256(b"reading %d" % number).digest()
        one = key.sign(digest)
        signed.append((one.r + one.s + bytes((one.y_parity,)), digest))
    recover = PublicKey.from_signature_and_message
    began = time.perf_counter()
    for _ in range(rounds // len(signed)):
        for signature, digest in signed:
            recover(signature, digest, hasher=None)
    return time.perf_counter() - began


def recovery_seconds(cores: int) -> float:
    """One recovery's time on a core while all cores do nothing else."""
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        list(pool.map(recoveries, [50] * cores))  # the processes are there
        times = list(pool.map(recoveries, [LIMIT_ROUNDS] * cores))
    return sum(times) / cores / LIMIT_ROUNDS


# ---------------------------------------------------------------------- verifying


class _Memory:
    """The most memory that this process and its children had at once, in MB."""

    def __init__(self) -> None:
        self.peak, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(1):
            self.peak = max(self.peak, _resident(os.getpid()))


def _resident(pid: int) -> float:
    """What a process and all below it hold, in MB; on other systems than Linux its own peak."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    try:
        status = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0  # it has ended
    own = sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("Pss:"))
    return own / 1024 + sum(_resident(int(child)) for child in children)


def measure_verification(folder: Path, signatures: int, cores: int) -> dict[str, int | float]:
    """Verifies an export between two measures of the limit."""
    before = recovery_seconds(cores)
    with _Memory() as memory:
        began = time.perf_counter()
        verdict = audit_archive(
            Archive.read(folder), jobs=cores, buckets=_buckets(folder), keep_rows=False
        )
        seconds = time.perf_counter() - began
    after = recovery_seconds(cores)
    if not verdict.ok:
        raise SystemExit(f"the export is not in order: {verdict.findings[:3]}")
    sessions = verdict.counts["sessions"]
    each = signatures / sessions
    limit = 1 / ((before + after) / 2 * each)
    return {
        "sessions": sessions,
        "signatures_per_session": round(each, 2),
        "cores": cores,
        "seconds": round(seconds, 1),
        "sessions_per_second": round(sessions / seconds, 1),
        "sessions_per_second_per_core": round(sessions / seconds / cores, 1),
        "limit_per_core": round(limit, 1),
        "ratio_to_limit": round(sessions / seconds / cores / limit, 3),
        "peak_mb": round(memory.peak),
    }


def _buckets(folder: Path) -> int | None:
    """A small export is taken apart too, else one core would do all."""
    return 8 if Archive.opened(folder).count("logs") < 200_000 else None


# ---------------------------------------------------------------------- collecting


@contextmanager
def replayed() -> Iterator[tuple[Node, Manifest]]:
    """A Ganache with the sample calls on it, week after week."""
    with tempfile.TemporaryDirectory() as folder:
        calls = Path(folder) / "calls.csv"
        _repeat(CALLS, calls)
        with (
            plan_calls(calls, load_tariffs(TARIFFS, DECIMALS)) as plan,
            set_up(Path(folder) / "chain", plan, None) as ready,
        ):
            run(ready)
            yield ready.node, ready.manifest


def _repeat(calls: Path, into: Path) -> None:
    """The same calls at the same times of later weeks: of one small sample, opening the archive and
    asking for the first time would be a tenth.
    """
    with calls.open(newline="", encoding="utf-8") as source, into.open("w", newline="") as to:
        rows = list(csv.DictReader(source))
        writer = csv.DictWriter(to, rows[0])
        writer.writeheader()
        for week in range(COLLECT_WEEKS):
            for row in rows:
                date = dt.date.fromisoformat(row["date"]) + dt.timedelta(weeks=week)
                writer.writerow({**row, "call": f"{row['call']}/{week}", "date": date})


def measure_collection() -> dict[str, int | float]:
    """A node's history into an archive, against its bare logs.

    `collect_ratio` is the whole of it (logs, times, transactions, transfers, files) over the bare
    `eth_getLogs`; `collect_overhead` over all the questions that it asked, bare too.
    """
    with replayed() as (node, manifest):
        escrow, jar = manifest.address("SessionEscrow"), manifest.address("TipJar")
        contents = (node.genesis_hash, Domain(node.chain_id, escrow), jar, manifest.block)
        questions = _questions(node, contents)
        ratios, overheads, collected, logs = [], [], [], 0
        for _ in range(COLLECT_ROUNDS):
            began = time.perf_counter()
            with Archive.scratch(Contents(*contents)) as archive:
                catch_up(node, archive)
                logs = archive.count("logs")
            whole = time.perf_counter() - began
            began = time.perf_counter()
            for ask in questions["eth_getLogs"]:
                ask()
            bare = time.perf_counter() - began
            for ask in questions["all others"]:
                ask()
            ratios.append(whole / bare)
            overheads.append(whole / (time.perf_counter() - began))
            collected.append(whole)
    return {
        "collected_logs": logs,
        "collected_logs_per_second": round(logs / median(collected), 1),
        "collect_ratio": round(median(ratios), 2),
        "collect_overhead": round(median(overheads), 2),
    }


def _questions(node: Node, contents: Any) -> dict[str, list[Callable[[], object]]]:
    """What collecting asks the node, to be asked again; this first time warms it up."""
    asked: dict[str, list[Callable[[], object]]] = {"eth_getLogs": [], "all others": []}
    wire = node.core.wire
    ask, ask_many = wire.ask, wire.ask_many

    async def one(method: str, params: Any) -> Any:
        kind = "eth_getLogs" if method == "eth_getLogs" else "all others"
        asked[kind].append(partial(node.request, method, list(params)))
        return await ask(method, params)

    async def many(requests: Any) -> Any:
        asked["all others"].append(partial(node.batch, list(requests)))
        return await ask_many(requests)

    vars(wire).update(ask=one, ask_many=many)
    with Archive.scratch(Contents(*contents)) as archive:
        catch_up(node, archive)
    del wire.ask, wire.ask_many
    return asked


# ---------------------------------------------------------------------- all of it


def show(told: dict[str, int | float]) -> None:
    table = Table(title="the audit", title_justify="left", show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in told.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    console = Console()
    console.print(table)
    for name, (target, kind) in TARGETS.items():
        kept = told[name] >= target if kind == "at least" else told[name] <= target
        mark = "" if kept else " [yellow](missed)[/]"
        console.print(f"{name} {told[name]}, target {kind} {target}{mark}")


def export(sessions: int, calls: Path, given: Path | None) -> tuple[Path, int]:
    """The export, made if it is not there yet, and how many signatures it holds."""
    folder = given or ROOT / "build" / f"bench-audit-{sessions}"
    noted = folder.with_name(folder.name + ".json")
    if not (folder / "archive.json").exists() or not noted.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        Console(stderr=True).print(f"making an export of {sessions:,} sessions ...")
        made, signatures = make_archive(folder, sessions, calls)
        noted.write_text(json.dumps({"sessions": made, "signatures": signatures}))
    return folder, int(json.loads(noted.read_text())["signatures"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--calls", type=Path, default=CALLS)
    parser.add_argument("--export", type=Path, help="where the export is, or shall be")
    options = parser.parse_args()
    folder, signatures = export(options.sessions, options.calls, options.export)
    told = measure_verification(folder, signatures, os.cpu_count() or 1)
    told |= measure_collection()
    show(told)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
