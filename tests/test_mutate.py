"""Mutation testing does what it says: the mutants, their judgement, and what a later run keeps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mutate
from compiling import ROOT, compiler_config
from mutants import OPERATORS, Mutant, generate
from mutation_lab import Compiler, Lab, LabFailure, seconds
from mutation_report import Explanations, report

PURSE = """\
// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

contract Purse {
    uint8 private constant MOST = 255;
    uint256 public total;
    uint256 public last;

    // if (amount > MOST) revert(); what a comment says is no fault
    function put(uint256 amount) external {
        if (amount > MOST) revert();
        total += amount;
        last = amount ^ 0;
    }
}
"""

SUITE = """\
// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

interface Cheats {
    function envString(string calldata name) external view returns (string memory);
    function parseJsonBytes(string calldata, string calldata) external pure returns (bytes memory);
    function readFile(string calldata path) external view returns (string memory);
}

interface Purse {
    function put(uint256 amount) external;
    function total() external view returns (uint256);
    function last() external view returns (uint256);
}

contract PurseTest {
    Cheats private constant CHEATS = Cheats(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    Purse private purse;

    function setUp() external {
        string memory folder = CHEATS.envString("HONORARIUM_ARTIFACTS");
        string memory artifact = CHEATS.readFile(string.concat(folder, "/Purse.json"));
        bytes memory code = CHEATS.parseJsonBytes(artifact, ".bytecode");
        address made;
        assembly {
            made := create(0, add(code, 32), mload(code))
        }
        purse = Purse(made);
    }

    function test_it_counts() external {
        purse.put(3);
        require(purse.total() == 3 && purse.last() == 3, "three");
    }
// MORE
}
"""

STRONG = """
    function test_it_keeps_everything() external {
        purse.put(255);
        purse.put(2);
        require(purse.total() == 257 && purse.last() == 2, "kept");
        (bool done,) = address(purse).call(abi.encodeCall(Purse.put, (256)));
        require(!done, "took too much");
    }
"""


def change(root: Path, name: str, old: str, new: str) -> None:
    file = root / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def made(folder: Path) -> Path:
    """A project with one contract and one weak suite."""
    for name, text in {"contracts/Purse.sol": PURSE, "tests/foundry/Purse.t.sol": SUITE}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    (folder / "docs").mkdir()
    config = {**compiler_config(), "shipped": {"Purse": "contracts/Purse.sol"}}
    (folder / "compiler.json").write_text(json.dumps(config))
    (folder / "foundry.toml").write_text((ROOT / "foundry.toml").read_text())
    for name in ("node_modules", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made(tmp_path)


Generate = Callable[[str], list[Mutant]]


@pytest.fixture(scope="module")
def mutants_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generate]:
    """The mutants of a source text."""
    lab = Lab(made(tmp_path_factory.mktemp("generated")), tmp_path_factory.mktemp("lab"))
    with Compiler(lab.project) as compiler:

        def mutants_of(source: str) -> list[Mutant]:
            (lab.project / "contracts" / "Purse.sol").write_text(source)
            return lab.mutants(compiler.trees())["contracts/Purse.sol"]

        yield mutants_of


def lines(root: Path) -> list[dict[str, object]]:
    state = root / "build" / "mutation" / "state.jsonl"
    return [json.loads(line) for line in state.read_text().splitlines()]


# ------------------------------------------------------------------ the mutants


def test_the_mutants_of_a_small_contract_are_these(mutants_of: Generate) -> None:
    found = [(m.line, m.operator, m.original, m.replacement) for m in mutants_of(PURSE)]
    assert found == [
        (5, "CR", "255", "254"),
        (5, "CR", "255", "256"),
        (11, "ROR", "amount > MOST", "(amount != MOST)"),
        (11, "ROR", "amount > MOST", "(amount >= MOST)"),
        (11, "ROR", "amount > MOST", "false"),
        (12, "AOR", "total += amount", "total -= amount"),
        (12, "AOR", "total += amount", "total = amount"),
        (12, "SDR", "total += amount;", "{}"),
        (13, "SDR", "last = amount ^ 0;", "{}"),
        (13, "BOR", "amount ^ 0", "(amount & 0)"),
        (13, "BOR", "amount ^ 0", "0"),
        (13, "BOR", "amount ^ 0", "amount"),
        (13, "CR", "0", "1"),
    ]


def test_every_operator_finds_its_place_in_solidity_and_in_assembly(mutants_of: Generate) -> None:
    source = """\
pragma solidity 0.8.37;
contract Purse {
    event Put(address indexed by, uint256 first, uint256 second);
    uint256 private total;
    modifier once() { require(total == 0, "twice"); _; }
    function put(bytes32 key, uint8 a, uint256 b, uint256 c) external once returns (uint256 sum) {
        if (a < 3 && b != 0 && !odd(key)) emit Put(msg.sender, b, c);
        unchecked { total = b * 2 days; }
        assembly { sum := add(shr(8, b), and(c, 0xff)) }
        return sum;
    }
    function odd(bytes32 key) private pure returns (bool) { return uint256(key) & 1 == 1; }
}
"""
    changes = {(m.operator, m.original, m.replacement) for m in mutants_of(source)}
    assert {operator for operator, _, _ in changes} == set(OPERATORS) - {"COR"}
    assert changes >= {
        ("MOR", "once", ""),
        ("VIR", "private", "public"),
        ("LOR", "a < 3 && b != 0", "((a < 3) == (b != 0))"),
        ("ROR", "a < 3", "(a <= 3)"),
        ("UOR", "!odd(key)", "odd(key)"),
        ("EVR", "msg.sender", "tx.origin"),
        ("ASR", "b, c", "c, b"),
        ("AVR", "msg.sender", "address(0)"),
        ("UCR", "unchecked", ""),
        ("CR", "2 days", "(2 days - 1)"),
        ("AOR", "add(shr(8, b), and(c, 0xff))", "sub(shr(8, b), and(c, 0xff))"),
        ("BOR", "shr(8, b)", "b"),
        ("CR", "0xff", "0xfe"),
        ("SDR", "sum := add(shr(8, b), and(c, 0xff))", "{}"),
        ("RVR", "sum", "0"),
        ("BOR", "uint256(key) & 1", "(uint256(key) | 1)"),
    }


def test_a_mutant_is_the_source_with_one_change(mutants_of: Generate) -> None:
    found = mutants_of("// ünïcode\n" + PURSE)
    texts = {mutant.applied_to("// ünïcode\n" + PURSE) for mutant in found}
    assert len(texts) == len({mutant.id for mutant in found}) == len(found)
    assert "// ünïcode\n" + PURSE.replace("total += amount;", "{}") in texts


def test_ids_stay_when_lines_move_and_change_with_their_line(mutants_of: Generate) -> None:
    before = {m.id: m.line for m in mutants_of(PURSE)}
    moved = {m.id: m.line for m in mutants_of("// more\n\n" + PURSE)}
    assert moved == {id: line + 2 for id, line in before.items()}
    other = {m.id for m in mutants_of(PURSE.replace("+= amount", "+=  amount + 0"))}
    assert {before[id] for id in before.keys() - other} == {12}


def test_what_only_declares_has_no_mutants() -> None:
    tree = {"nodes": [{"nodeType": "ContractDefinition", "contractKind": "interface", "nodes": []}]}
    assert generate("contracts/I.sol", "interface I {}", tree) == []


# ------------------------------------------------------------------ a run


def test_a_weak_suite_lets_mutants_live_and_later_runs_ask_only_what_may_have_changed(
    project: Path,
) -> None:
    assert mutate.main([], project) == 0
    first = lines(project)
    outcomes = {"killed": 7, "survived": 4, "equivalent": 1, "invalid": 1}
    assert Counter(line["outcome"] for line in first) == outcomes
    killers = {line["by"] for line in first if line["outcome"] == "killed"}
    assert killers == {"tests/foundry/Purse.t.sol:PurseTest.test_it_counts"}
    page = project / "docs" / "mutation.md"
    assert (
        "13 mutants, of which 11 are faults; the tests found 7 of these, 63.6 %" in page.read_text()
    )
    assert page.read_text().count("UNEXPLAINED") == 1
    assert "- contracts/Purse.sol:5 `255` → `254` (Purse._.CR." in page.read_text()

    assert mutate.main([], project) == 0
    assert lines(project) == first

    assert mutate.main(["--only", str(first[-1]["id"])], project) == 0
    assert [line["id"] for line in lines(project)[len(first) :]] == [first[-1]["id"]]
    with pytest.raises(LabFailure, match="no such mutant"):
        mutate.main(["--only", "Purse.put.SDR.00000000"], project)

    change(project, "contracts/Purse.sol", "    // if", "    // lines move\n    // if")
    assert mutate.main([], project) == 0
    moved = lines(project)[len(first) + 1 :]
    kept = ("id", "outcome", "by", "code", "tests")
    assert [[line[k] for k in kept] for line in moved] == [
        [line[k] for k in kept] for line in first
    ]
    assert len({line["sources"] for line in first + moved}) == 2

    (project / "tests" / "foundry" / "More.t.sol").write_text(
        SUITE.replace("PurseTest", "MoreTest").replace("// MORE", STRONG)
    )
    assert mutate.main([], project) == 0
    again = lines(project)[2 * len(first) + 1 :]
    assert {line["id"] for line in again} == {m["id"] for m in first if m["outcome"] == "survived"}
    assert {line["by"] for line in again} == {
        "tests/foundry/More.t.sol:MoreTest.test_it_keeps_everything"
    }
    assert "found 11 of these, 100.0 %" in page.read_text()


def test_a_run_that_was_killed_goes_on_where_it_was(project: Path) -> None:
    code = f"import pathlib, mutate; mutate.main([], pathlib.Path({str(project)!r}))"
    state = project / "build" / "mutation" / "state.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        stderr=subprocess.DEVNULL,
    ) as run:
        until = time.monotonic() + 120
        while not (state.exists() and len(state.read_bytes().splitlines()) >= 4):
            assert run.poll() is None, "it ended before it was killed"
            assert time.monotonic() < until
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    before = state.read_bytes()
    with state.open("ab") as file:
        file.write(b'{"id": "Purse.put.SDR.')  # as if it had been writing
    assert mutate.main([], project) == 0
    assert state.read_bytes().startswith(before)
    assert len({line["id"] for line in lines(project)}) == len(lines(project)) == 13


def test_nothing_is_judged_when_the_original_fails_its_tests(project: Path) -> None:
    change(project, "tests/foundry/Purse.t.sol", "purse.total() == 3", "purse.total() == 4")
    with pytest.raises(LabFailure, match=r"the original fails .*test_it_counts.*: three"):
        mutate.main([], project)
    assert not (project / "build" / "mutation" / "state.jsonl").exists()


# ------------------------------------------------------------------ the page


def test_the_page_gives_reasons_and_finds_those_that_explain_nothing(tmp_path: Path) -> None:
    mutant = Mutant("A.f.CR.1", "contracts/A.sol", "f", "CR", 7, 0, 1, "1", "2")
    gone = mutate.Result("A.f.CR.2", "killed", "tests/foundry/A.t.sol:A.test")
    alive = mutate.Result(mutant.id, "survived")
    file = tmp_path / "explained.toml"
    file.write_text('[[reason]]\nwhy = "One is\\nlike two."\nmutants = ["A.f.CR.1", "A.f.CR.2"]\n')
    reasons = Explanations.read(file)
    files = {mutant.file: [mutant]}
    page, stale = report(files, {mutant.id: alive, gone.id: gone}, reasons, "digest")
    assert "One is like two.\n\n- contracts/A.sol:7 `1` → `2` (A.f.CR.1)" in page
    assert "UNEXPLAINED" not in page
    assert "| `contracts/A.sol` | 1 | 0 | 0 | 0 | 1 | 1 | 0.0 % |" in page
    assert stale == ["A.f.CR.2"]
    file.write_text(file.read_text() + '[[reason]]\nwhy = "again"\nmutants = ["A.f.CR.1"]\n')
    with pytest.raises(ValueError, match="two reasons"):
        Explanations.read(file)


def test_durations_are_read_as_forge_writes_them() -> None:
    assert seconds("1m 2s 30ms 4µs 5ns") == pytest.approx(62.030004005)
    assert seconds("88µs 711ns") == pytest.approx(88.711e-6)
