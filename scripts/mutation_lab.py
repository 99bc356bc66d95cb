"""Where mutants are tried: a copy of the project, a compiler that stays loaded, and forge.

The copy (build/mutation/project) keeps a run honest while people go on editing: everything is
compiled and tested as it was when the run began. Forge compiles the tests once; a mutant is only
deployed in place of the shipped bytecode (HONORARIUM_ARTIFACTS, see tests/foundry/Base.sol).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final, cast

from mutants import Mutant, generate

Json = dict[str, Any]

QUICK: Final[Json] = {"viaIR": False, "optimizer": {"enabled": False}}
"""Compiles ten times as fast as what ships. Too large for a chain, which forge does not mind."""

NOT_ASKED: Final = "test_ESC9_nothing_in_the_code"
"""Measures the size of the code and reads its bytes: true of what ships, not of quick code."""

FEW_RUNS: Final = 16
SEED: Final = "0x1"
SLOW: Final = 0.5  # seconds that a test may take to belong to the quick ones
PATIENCE: Final = 120.0  # seconds, at least, until tests count as hanging
SETTINGS: Final = ("evm_version", "chain_id", "optimizer", "via_ir", "fuzz")
COPIED: Final = ("contracts/**/*.sol", "tests/foundry/**/*.sol", "tests/vectors/*.json")
NOT_QUICK: Final = ("tests/foundry/attacks/**", "tests/foundry/invariant/**")
"""Nets that are asked only about mutants that the tests of single functions miss."""


class LabFailure(Exception):
    """A mutant could not be judged: nothing is known about it."""


class CompilationFailed(Exception):
    """The compiler refused the sources."""


@dataclass(frozen=True)
class Failure:
    """The test that failed first. `suite` is `tests/foundry/Tips.t.sol:TipsTest`."""

    suite: str
    test: str
    reason: str


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[
        :16
    ]


class Compiler:
    """The compiler of the copy, loaded once; ends with its `with` block."""

    def __init__(self, project: Path) -> None:
        self._project = project
        config = json.loads((project / "compiler.json").read_text(encoding="utf-8"))
        self.shipped: dict[str, str] = config["shipped"]
        self.settings: Json = config["settings"]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Compiler:
        server = self._project / "scripts" / "solc_server.js"
        self._process = subprocess.Popen(
            ["node", str(server), str(self._project)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _ask(self, sources: dict[str, str], settings: Json) -> Json:
        if self._process is None:
            raise LabFailure("the compiler is used outside of its with block")
        request = {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in sources.items()},
            "settings": {**self.settings, **settings},
        }
        stdin, stdout = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise LabFailure("the compiler ended without an answer")
        output: Json = json.loads(answer)
        problems = [e for e in output.get("errors", []) if e["severity"] == "error"]
        if problems:
            raise CompilationFailed(problems[0]["formattedMessage"])
        return output

    def _text(self, path: str) -> str:
        return (self._project / path).read_text(encoding="utf-8")

    def bytecode(self, name: str, changed: dict[str, str], settings: Json) -> str:
        """Creation bytecode of a shipped contract; `changed` are texts in place of files."""
        path = self.shipped[name]
        selection = {path: {name: ["evm.bytecode.object"]}}
        sources = {path: self._text(path), **changed}
        output = self._ask(sources, {**settings, "outputSelection": selection})
        return "0x" + str(output["contracts"][path][name]["evm"]["bytecode"]["object"])

    def trees(self) -> dict[str, dict[str, Json]]:
        """For each shipped contract the syntax trees of all files that it is made of, by path."""
        return {
            name: {
                file: source["ast"]
                for file, source in self._ask(
                    {path: self._text(path)}, {"outputSelection": {"*": {"": ["ast"]}}}
                )["sources"].items()
            }
            for name, path in self.shipped.items()
        }


class Lab:
    """One copy of the project at `root`, in `folder`; suites that match `without` are not asked."""

    def __init__(self, root: Path, folder: Path, without: Sequence[str] = ()) -> None:
        self.without = tuple(without)
        self.project = folder / "project"
        self.slow_tests: list[str] = []
        self.patience = PATIENCE
        self._solc = self.project / "build" / "solc"
        self._copy(root)

    def _copy(self, root: Path) -> None:
        wanted = [root / "foundry.toml", root / "compiler.json"]
        for pattern in COPIED:
            wanted += sorted(root.glob(pattern))
        for file in wanted:
            target = self.project / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != file.read_bytes():
                shutil.copyfile(file, target)
        for old in self._files(*COPIED):
            if not (root / old.relative_to(self.project)).exists():
                old.unlink()
        for name in ("node_modules", "scripts"):
            link = self.project / name
            if not link.is_symlink():
                link.symlink_to((root / name).resolve())

    # ------------------------------------------------------------------ what a result depends on

    def _files(self, *patterns: str) -> list[Path]:
        return sorted(file for pattern in patterns for file in self.project.glob(pattern))

    @cached_property
    def sources(self) -> str:
        """Digest of the contracts and of how they are compiled."""
        files = [*self._files("contracts/**/*.sol"), self.project / "compiler.json"]
        texts = [
            f"{file.relative_to(self.project)}\n".encode() + file.read_bytes() for file in files
        ]
        return digest(*texts, json.dumps(QUICK).encode())

    @cached_property
    def _suites(self) -> dict[str, str]:
        """Digest of each suite: its file, the test code that it imports, vectors and settings."""
        toml = tomllib.loads((self.project / "foundry.toml").read_text(encoding="utf-8"))
        vectors = [file.read_bytes() for file in self._files("tests/vectors/*.json")]
        suites = {}
        for file in self._files("tests/foundry/**/*.t.sol"):
            name = str(file.relative_to(self.project))
            if any(fnmatch(name, pattern) for pattern in self.without):
                continue
            text = file.read_bytes()
            keys = [*SETTINGS, *(["invariant"] if b"function invariant_" in text else [])]
            settings = {key: toml["profile"]["default"].get(key) for key in keys}
            parts = [each.read_bytes() for each in sorted(_with_imports(file))]
            suites[name] = digest(json.dumps(settings, sort_keys=True).encode(), *vectors, *parts)
        return suites

    def tests(self, suite: str | None = None) -> str:
        """Digest of one suite; without a suite, of all that are asked."""
        if suite is not None:
            return self._suites.get(suite.split(":")[0], "")
        return digest(*(each.encode() for each in self._suites.values()))

    # ------------------------------------------------------------------ mutants

    def mutants(self, trees: dict[str, dict[str, Json]]) -> dict[str, list[Mutant]]:
        """Mutants of the project's own contracts by file; what only declares has none."""
        own = {file: tree for files in trees.values() for file, tree in files.items()}
        return {
            file: generate(file, (self.project / file).read_text(encoding="utf-8"), tree)
            for file, tree in sorted(own.items())
            if file.startswith("contracts/") and not file.startswith("contracts/interfaces/")
        }

    # ------------------------------------------------------------------ tests

    def compile_tests(self) -> None:
        """Once; and has forge ask a file for the compiler's version, as it does at each start."""
        toml = tomllib.loads((self.project / "foundry.toml").read_text(encoding="utf-8"))
        compiler = self.project / toml["profile"]["default"]["solc"]
        version = subprocess.run(
            [compiler, "--version"], capture_output=True, text=True, check=True
        ).stdout
        self._solc.parent.mkdir(parents=True, exist_ok=True)
        self._solc.write_text(
            "#!/bin/sh\n"
            f'[ "$1" != --version ] && exec {shlex.quote(str(compiler))} "$@"\n'
            f"printf %s {shlex.quote(version)}\n",
            encoding="utf-8",
        )
        self._solc.chmod(0o755)
        done = self._forge(["build", "--quiet"], {}, timeout=600)
        if done.returncode != 0:
            raise LabFailure(f"the tests do not compile:\n{done.stdout}{done.stderr}")

    def first_failure(
        self,
        artifacts: Path,
        *,
        suites: list[str] | None = None,
        few: bool = False,
        threads: int = 0,
    ) -> Failure | None:
        """Runs the tests on what lies in `artifacts` until one fails.

        Args:
            artifacts: folder below the copy's build folder, with one JSON file per contract.
            suites: names of the test contracts to run, all of them if not given.
            few: leaves out slow tests and runs properties with few values.
            threads: of forge; 0: as many as there are cores.

        Raises:
            subprocess.TimeoutExpired: the tests hang.
            LabFailure: forge did not run.
        """
        results = self._test(artifacts, suites=suites, few=few, threads=threads, all_tests=False)
        failures = [
            Failure(suite, test.split("(")[0], str(each["reason"] or ""))
            for suite, test, each in results
            if each["status"] == "Failure"
        ]
        for failure in failures:
            if "vm.readFile" in failure.reason or "vm.parseJson" in failure.reason:
                raise LabFailure(f"{failure.suite} found no artifacts: {failure.reason}")
        return min(failures, key=lambda each: (each.suite, each.test)) if failures else None

    def measure(self, quick: Path, shipped: Path) -> None:
        """Runs the original both ways; finds the slow tests, and how long all tests may take.

        Raises:
            LabFailure: a test fails.
        """
        for artifacts, few in ((quick, True), (shipped, False)):
            began = time.monotonic()
            results = self._test(artifacts, suites=None, few=few, threads=0, all_tests=True)
            for suite, test, each in results:
                if each["status"] == "Failure":
                    raise LabFailure(f"the original fails {suite}.{test}: {each['reason']}")
            if few:
                slow = {test for _, test, each in results if seconds(each["duration"]) > SLOW}
                self.slow_tests = sorted(test.split("(")[0] for test in slow)
            self.patience = max(PATIENCE, 10 * (time.monotonic() - began))

    def _test(
        self, artifacts: Path, *, suites: list[str] | None, few: bool, threads: int, all_tests: bool
    ) -> list[tuple[str, str, Json]]:
        unasked = [NOT_ASKED, *(self.slow_tests if few else [])]
        command = ["test", "--json", "--fuzz-seed", SEED, "--threads", str(threads)]
        command += ["--no-match-test", f"^({'|'.join(unasked)})"]
        command += [] if all_tests else ["--fail-fast"]
        skipped = [*self.without, *(NOT_QUICK if few else [])]
        command += ["--no-match-path", f"{{{','.join(skipped)}}}"] if skipped else []
        command += ["--fuzz-runs", str(FEW_RUNS)] if few else []
        command += ["--match-contract", f"^({'|'.join(suites)})$"] if suites else []
        memory = artifacts / "memory"  # failing values of one mutant are not tried on the next one
        shutil.rmtree(memory, ignore_errors=True)
        environment = {
            "HONORARIUM_ARTIFACTS": str(artifacts.relative_to(self.project)),
            "FOUNDRY_FUZZ_FAILURE_PERSIST_DIR": str(memory / "fuzz"),
            "FOUNDRY_INVARIANT_FAILURE_PERSIST_DIR": str(memory / "invariant"),
            "FOUNDRY_TEST_FAILURES_FILE": str(memory / "failures"),
        }
        done = self._forge(command, environment, self.patience)
        start = done.stdout.find("{")
        try:
            found = json.loads(done.stdout[start:]) if start >= 0 else {}
        except json.JSONDecodeError:
            found = {}
        results = [
            (suite, test, each)
            for suite, parts in found.items()
            for test, each in parts["test_results"].items()
        ]
        if not results:
            raise LabFailure(f"forge ran no test:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return results

    def _forge(
        self, arguments: list[str], environment: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.project / "scripts" / "forge"), *arguments],
            cwd=self.project,
            env={**os.environ, **environment, "FOUNDRY_SOLC": str(self._solc)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @contextmanager
    def desk(self, number: int) -> Iterator[Path]:
        """A folder of its own for the artifacts of one worker."""
        folder = self.project / "build" / "mutants" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def _with_imports(file: Path) -> set[Path]:
    """A suite's file and the test code that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [file.resolve()]
    while waiting:
        each = waiting.pop()
        if each in found or not each.is_file() or "tests" not in each.parts:
            continue
        found.add(each)
        paths = re.findall(r'from "(\.[^"]+)"', each.read_text(encoding="utf-8"))
        waiting += [(each.parent / path).resolve() for path in paths]
    return found


def put(folder: Path, codes: dict[str, str]) -> None:
    """Writes artifacts as the tests read them."""
    for name, code in codes.items():
        (folder / f"{name}.json").write_text(json.dumps({"bytecode": code}), encoding="utf-8")


def seconds(duration: str) -> float:
    """Seconds of a duration as forge writes it: `1m 2s 30ms 4µs 5ns`."""
    units = {"m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)(ms|µs|ns|m|s)", duration))
