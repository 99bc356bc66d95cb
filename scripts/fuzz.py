"""Plays random lives until so many calls were made, on all cores, each campaign with other dice.

    python scripts/fuzz.py [--calls 10000000] [--jobs N] [--seed S]

The suite is tests/foundry/invariant, compiled for speed (profile `fuzz` in foundry.toml). Exit 1 at
the first rule that breaks, with the counterexample and the command that repeats it.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TimeRemainingColumn,
)

ROOT: Final = Path(__file__).resolve().parent.parent
FORGE: Final = ROOT / "scripts" / "forge"
DEPTH: Final = 500  # calls of one life, as in foundry.toml
LIVES: Final = 40  # of one campaign


class Broken(Exception):
    """A campaign failed; the message is what forge said."""


def environment(worker: int) -> dict[str, str]:
    """Each worker builds and remembers in a folder of its own."""
    folder = ROOT / "build" / "fuzz" / str(worker)
    return {
        **os.environ,
        "FOUNDRY_PROFILE": "fuzz",
        "FOUNDRY_OUT": str(folder / "out"),
        "FOUNDRY_CACHE_PATH": str(folder / "cache"),
        "FOUNDRY_INVARIANT_FAILURE_PERSIST_DIR": str(folder / "failures"),
        "FOUNDRY_INVARIANT_RUNS": str(LIVES),
    }


def campaign(worker: int, seed: int) -> int:
    """Plays one campaign; how many calls it made. Raises Broken."""
    command = [str(FORGE), "test", "--fuzz-seed", hex(seed), "--threads", "1"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(worker),
        capture_output=True,
        text=True,
        check=False,
    )
    made = re.search(r"\[PASS\] invariant_\w+\(\) \(runs: \d+, calls: (\d+), ", done.stdout)
    if done.returncode or made is None:
        said = (done.stdout + done.stderr).strip()
        repeat = f"FOUNDRY_PROFILE=fuzz FOUNDRY_INVARIANT_RUNS={LIVES} scripts/forge test"
        raise Broken(f"{said}\n\nto repeat: {repeat} --fuzz-seed {hex(seed)}")
    return int(made[1])


def play(calls: int, jobs: int, seed: int, console: Console) -> int:
    """Plays until `calls` were made; how many it were. Raises Broken."""
    made, drawn, lock, stop = 0, 0, threading.Lock(), threading.Event()
    columns: tuple[ProgressColumn, ...] = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

    def work(worker: int, bar: Progress) -> None:
        nonlocal made, drawn
        while not stop.is_set():
            with lock:
                if made >= calls:
                    return
                drawn += 1
                mine = seed + drawn
            try:
                played = campaign(worker, mine)
            except Broken:
                stop.set()
                raise
            with lock:
                made += played
                bar.update(task, completed=made)

    with Progress(*columns, console=console) as bar, ThreadPoolExecutor(jobs) as pool:
        task = bar.add_task("", total=calls)
        for future in [pool.submit(work, worker, bar) for worker in range(jobs)]:
            future.result()
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Play random lives, many calls long.")
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=lambda text: int(text, 0), default=None)
    asked = parser.parse_args(arguments)
    seed = secrets.randbits(64) if asked.seed is None else asked.seed
    console, begun = Console(stderr=True), time.monotonic()
    console.print(f"{asked.calls:,} calls, {LIVES} lives of {DEPTH} a campaign, seed {hex(seed)}")
    try:
        made = play(asked.calls, asked.jobs, seed, console)
    except Broken as broken:
        print(broken, file=sys.stderr)
        return 1
    took = time.monotonic() - begun
    print(f"{made:,} calls, no rule broken, in {took / 60:.1f} min ({made / took:,.0f} a second)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
