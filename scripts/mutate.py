"""Mutation testing: puts small faults into the contracts, one at a time, and asks the tests.

A fault that no test notices is a gap in the tests, or changes nothing that matters; the second is
said in docs/mutation-explained.toml. Each mutant goes through

1. the compiler, without optimizer: it may not compile, or give the code of the original;
2. the suites that found most faults of the same function before, then all quick tests;
3. for those still alive: the compiler as it ships, which may show that nothing has changed after
   all, then all tests, on that code.

Every result is written to build/mutation/state.jsonl as soon as it is known. A later run takes it
from there, if neither the mutant's code nor the tests it rests on have changed: for a mutant that
was found, the suite that found it; for one that was not, all tests.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mutants import Mutant
from mutation_lab import QUICK, CompilationFailed, Compiler, Lab, LabFailure, digest, put
from mutation_report import Explanations, report

ROOT: Final = Path(__file__).resolve().parent.parent
FAVOURITES: Final = 3


@dataclass(frozen=True)
class Result:
    """What became of a mutant: killed, timeout, survived, equivalent or invalid."""

    id: str
    outcome: str
    by: str = ""  # suite and test that failed
    reason: str = ""
    seconds: float = 0.0
    sources: str = ""  # digest of all contracts
    code: str = ""  # digest of the mutant's own code
    tests: str = ""  # digest of the tests that the outcome rests on

    @property
    def suite(self) -> str | None:
        return self.by.rsplit(".", 1)[0] if self.outcome == "killed" else None


class State:
    """Results in a file of lines; the last line about a mutant counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.results: dict[str, Result] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = b""
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            try:
                result = Result(**json.loads(line))
            except (ValueError, TypeError):
                continue  # cut off when a run was stopped, or of another form
            if line.endswith(b"\n"):
                whole += line
                self.results[result.id] = result
        if path.exists() and path.read_bytes() != whole:
            path.write_bytes(whole)

    def add(self, result: Result) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
            file.flush()
            os.fsync(file.fileno())
            self.results[result.id] = result

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)
        self.results.clear()


def rests_on(lab: Lab, result: Result) -> bool:
    """Whether the tests behind a result are still the same."""
    return result.outcome in ("invalid", "equivalent") or result.tests == lab.tests(result.suite)


def is_usable(lab: Lab, result: Result) -> bool:
    """Whether a result holds for the same code, in whichever sources it was found.

    That code is the original's own says nothing about another original.
    """
    return rests_on(lab, result) and (
        result.outcome != "equivalent" or result.sources == lab.sources
    )


def is_known(lab: Lab, result: Result | None) -> bool:
    return result is not None and result.sources == lab.sources and rests_on(lab, result)


@dataclass
class Bench:
    """What all workers share."""

    lab: Lab
    state: State
    made_of: dict[str, set[str]]  # shipped contract to files
    quick: dict[str, str] = field(default_factory=dict)  # code of the original, by contract
    shipped: dict[str, str] = field(default_factory=dict)
    threads: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _killers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _codes: dict[str, Result] = field(default_factory=dict)

    def prepare(self, compiler: Compiler) -> None:
        """The original must pass its tests both ways, or nothing that follows means anything."""
        for name in compiler.shipped:
            self.quick[name] = compiler.bytecode(name, {}, QUICK)
            self.shipped[name] = compiler.bytecode(name, {}, {})
        with self.lab.desk(-1) as quick, self.lab.desk(-2) as shipped:
            put(quick, self.quick)
            put(shipped, self.shipped)
            self.lab.measure(quick, shipped)

    def control(self) -> None:
        """The original once more: what found the mutants did not come from outside."""
        with self.lab.desk(-1) as desk:
            put(desk, self.quick)
            failure = self.lab.first_failure(desk, few=True)
        if failure is not None:
            raise LabFailure(f"after all, the original fails {failure.suite}.{failure.test}")

    def learn(self, mutants: Iterable[Mutant]) -> None:
        """From earlier results: who finds faults where."""
        for mutant in mutants:
            result = self.state.results.get(mutant.id)
            if result is not None:
                self._note(mutant, result)

    def _note(self, mutant: Mutant, result: Result) -> None:
        if result.suite is not None:
            name = result.suite.split(":")[1]
            for place in (mutant.file, f"{mutant.file}:{mutant.function}"):
                self._killers[place][name] += 1

    def favourites(self, mutant: Mutant) -> list[str]:
        """The suites that killed most in the same function, then in the same file."""
        with self._lock:
            near = self._killers[f"{mutant.file}:{mutant.function}"].most_common(FAVOURITES - 1)
            far = self._killers[mutant.file].most_common(FAVOURITES)
        return list(dict.fromkeys(name for name, _ in [*near, *far]))[:FAVOURITES]

    def judge(self, mutant: Mutant, compiler: Compiler, desk: Path) -> Result:
        """What becomes of a mutant, and remembers it."""
        began = time.monotonic()
        result = self._judge(mutant, compiler, desk)
        result = replace(
            result, sources=self.lab.sources, seconds=round(time.monotonic() - began, 2)
        )
        self.state.add(result)
        with self._lock:
            self._note(mutant, result)
            if result.code:
                self._codes[result.code] = result
        return result

    def _judge(self, mutant: Mutant, compiler: Compiler, desk: Path) -> Result:
        source = (self.lab.project / mutant.file).read_text(encoding="utf-8")
        changed = {mutant.file: mutant.applied_to(source)}
        names = [name for name, files in self.made_of.items() if mutant.file in files]
        try:
            quick = self.quick | {n: compiler.bytecode(n, changed, QUICK) for n in names}
        except CompilationFailed as error:
            return Result(mutant.id, "invalid", reason=str(error).splitlines()[0])
        if quick == self.quick:
            return Result(mutant.id, "equivalent", reason="without optimizer")
        code = digest(*(quick[name].encode() for name in sorted(quick)))
        for earlier in (self.state.results.get(mutant.id), self._codes.get(code)):
            if earlier is not None and earlier.code == code and is_usable(self.lab, earlier):
                return replace(earlier, id=mutant.id)
        put(desk, quick)
        favourites = self.favourites(mutant)
        result = None
        if favourites:
            result = self._ask(mutant, code, desk, favourites, few=True)
        result = result or self._ask(mutant, code, desk, None, few=True)
        if result is not None:
            return result
        try:
            shipped = self.shipped | {n: compiler.bytecode(n, changed, {}) for n in names}
        except CompilationFailed as error:
            return Result(mutant.id, "invalid", reason=str(error).splitlines()[0])
        if shipped == self.shipped:
            return Result(mutant.id, "equivalent", reason="as it ships", code=code)
        put(desk, shipped)
        alive = Result(mutant.id, "survived", code=code, tests=self.lab.tests())
        return self._ask(mutant, code, desk, None, few=False) or alive

    def _ask(
        self, mutant: Mutant, code: str, desk: Path, suites: list[str] | None, *, few: bool
    ) -> Result | None:
        try:
            failure = self.lab.first_failure(desk, suites=suites, few=few, threads=self.threads)
        except subprocess.TimeoutExpired:
            return Result(mutant.id, "timeout", code=code, tests=self.lab.tests())
        if failure is None:
            return None
        by, tests = f"{failure.suite}.{failure.test}", self.lab.tests(failure.suite)
        return Result(mutant.id, "killed", by, failure.reason[:200], code=code, tests=tests)


Listener = Callable[[Mutant, Result], None]


def work(bench: Bench, todo: list[Mutant], jobs: int, listener: Listener) -> None:
    """Judges mutants in `jobs` threads; ends early, with the reason, when one cannot be judged."""
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in todo:
        waiting.put(mutant)
    problems: list[BaseException] = []

    def one(number: int) -> None:
        try:
            with Compiler(bench.lab.project) as compiler, bench.lab.desk(number) as desk:
                while not problems:
                    mutant = waiting.get_nowait()
                    listener(mutant, bench.judge(mutant, compiler, desk))
        except queue.Empty:
            pass
        except BaseException as problem:
            problems.append(problem)

    workers = [threading.Thread(target=one, args=(number,)) for number in range(jobs)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        problems.append(KeyboardInterrupt())
        for worker in workers:
            worker.join()
    if problems:
        raise problems[0]


def shown(console: Console, jobs: int, todo: list[Mutant], bench: Bench) -> None:
    """Runs with a progress bar, and a line for each mutant that stays alive."""
    counts: Counter[str] = Counter()
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(todo))

        def listener(mutant: Mutant, result: Result) -> None:
            counts[result.outcome] += 1
            text = " ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items()))
            progress.update(task, advance=1, description=text)
            if result.outcome in ("survived", "timeout"):
                where = f"{mutant.file}:{mutant.line}"
                change = f"{' '.join(mutant.original.split())} -> {mutant.replacement}"
                progress.console.print(
                    f"{result.outcome}: {mutant.id} {where}\n    {change}",
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )

        work(bench, todo, jobs, listener)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description="Put faults into the contracts and ask the tests.")
    result.add_argument("--jobs", type=int, default=1, metavar="N", help="mutants at once")
    result.add_argument(
        "--file", action="append", metavar="PART", help="only files named like this"
    )
    result.add_argument("--only", action="append", metavar="ID", help="only this mutant, once more")
    result.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep earlier results that still hold (default)",
    )
    result.add_argument(
        "--without",
        action="append",
        metavar="GLOB",
        help="suites that are not asked: tests/foundry/x/**",
    )
    result.add_argument("--report", action="store_true", help="write docs/mutation.md, run nothing")
    return result


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    asked = parser().parse_args(arguments)
    folder = root / "build" / "mutation"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LabFailure(f"another run is at work in {folder}") from error
        return _run(asked, root, folder)


def _run(asked: argparse.Namespace, root: Path, folder: Path) -> int:
    console = Console(stderr=True)
    lab, state = Lab(root, folder, asked.without or ()), State(folder / "state.jsonl")
    if not asked.resume:
        state.forget()
    with Compiler(lab.project) as compiler:
        trees = compiler.trees()
        files = lab.mutants(trees)
        todo = _selected(asked, lab, state, [m for mutants in files.values() for m in mutants])
        if todo and not asked.report:
            console.print(f"{len(todo)} mutants to judge; first the original ...")
            bench = Bench(lab, state, made_of={name: set(tree) for name, tree in trees.items()})
            bench.threads = 1 if asked.jobs > 1 else 0
            lab.compile_tests()
            bench.prepare(compiler)
            bench.learn(mutant for mutants in files.values() for mutant in mutants)
            shown(console, asked.jobs, todo, bench)
            bench.control()
    whole = _written(console, root / "docs", lab, state, files)
    return 0 if whole or asked.only or asked.file else 1


def _selected(
    asked: argparse.Namespace, lab: Lab, state: State, mutants: list[Mutant]
) -> list[Mutant]:
    """The mutants to judge now."""
    if asked.only:
        unknown = set(asked.only) - {mutant.id for mutant in mutants}
        if unknown:
            raise LabFailure(f"no such mutant: {', '.join(sorted(unknown))}")
        for id in asked.only:
            state.results.pop(id, None)
    return [
        mutant
        for mutant in mutants
        if (not asked.only or mutant.id in asked.only)
        and (not asked.file or any(part in mutant.file for part in asked.file))
        and not is_known(lab, state.results.get(mutant.id))
    ]


def _written(
    console: Console, docs: Path, lab: Lab, state: State, files: dict[str, list[Mutant]]
) -> bool:
    """Writes the page if every mutant has a result. False: it is not whole, or says too much."""
    known = {id: result for id, result in state.results.items() if is_known(lab, result)}
    unknown = sum(mutant.id not in known for mutants in files.values() for mutant in mutants)
    page, explained = docs / "mutation.md", docs / "mutation-explained.toml"
    if unknown:
        console.print(f"{unknown} mutants have no result yet: {page.name} stays as it is")
        return False
    text, stale = report(files, known, Explanations.read(explained), lab.sources, lab.without)
    page.write_text(text, encoding="utf-8")
    for id in stale:
        console.print(f"{explained.name} explains {id}, which is no survivor")
    return not stale


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LabFailure, CompilationFailed, ValueError) as problem:
        print(f"mutate: {problem}", file=sys.stderr)
        sys.exit(1)
