"""docs/mutation.md: what the mutants of the contracts say about the tests."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from mutants import OPERATORS, Mutant

LOCAL_ONLY: Final = "contracts/TestUSD.sol"
"""For local chains: counted apart."""

HEAD: Final = """\
# Mutation testing

`make mutate` puts one small fault at a time into the contracts and asks the Solidity tests
whether they notice. This page is its result for the contracts with the digest `{sources}`:
{total} mutants, of which {faults} are faults; the tests found {killed} of these, {score}.

- **Mutants** come from the compiler's syntax tree (`scripts/mutants.py`), inline assembly included.
- **Not compiling** and **same code** are no faults. Same code: the compiler, with the settings of
  the shipped contracts, gives the bytecode of the original.
- **Killed**: a test failed, or the tests hung ({timeouts} of them).
  Score = killed / (generated - not compiling - same code). An explanation
  ([mutation-explained.toml](mutation-explained.toml)) changes no score.
- Mutants are first tried without optimizer; who survives that is compiled as it ships and meets
  every test, with all values of properties. One test of the shipped code's bytes is left out.
- Tests of single libraries through harness contracts see the original, so it is the tests of
  the whole contracts that must notice. The Python tests are not asked{without}.
- A mutant's name holds its file, function and operator, and a hash of the line: it stays the same
  when lines move.
- A result stands as long as the mutant's code and the tests that it rests on are the same: for who
  was killed the suite that did it, for who survived all tests. When tests are added, survivors are
  judged again.

"""


class Outcome(Protocol):
    """What the report wants to know of a result."""

    @property
    def outcome(self) -> str: ...


@dataclass(frozen=True)
class Explanations:
    """Why some mutants survive: id to reason."""

    reasons: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Explanations:
        """From a file of tables `[[reason]]` with `why` and `mutants`.

        Raises:
            ValueError: a mutant has two reasons, or a reason is empty.
        """
        if not path.exists():
            return cls({})
        reasons: dict[str, str] = {}
        for table in tomllib.loads(path.read_text(encoding="utf-8")).get("reason", []):
            why = " ".join(str(table["why"]).split())
            if not why:
                raise ValueError(f"{path.name}: a reason without words")
            for id in table["mutants"]:
                if id in reasons:
                    raise ValueError(f"{path.name}: {id} has two reasons")
                reasons[id] = why
        return cls(reasons)


def report(
    files: Mapping[str, list[Mutant]],
    results: Mapping[str, Outcome],
    explanations: Explanations,
    sources: str,
    without: Sequence[str] = (),
) -> tuple[str, list[str]]:
    """The page, and the ids of explanations that explain nothing.

    Args:
        files: all mutants by file.
        results: one for each mutant.
        explanations: reasons of survivors.
        sources: digest of the contracts.
        without: suites that were not asked.
    """
    outcomes = {id: result.outcome for id, result in results.items()}
    shipped = [m for file, mutants in files.items() if file != LOCAL_ONLY for m in mutants]
    counts = Counter(outcomes[mutant.id] for mutant in shipped)
    page = HEAD.format(
        sources=sources,
        total=len(shipped),
        faults=_faults(counts),
        killed=_killed(counts),
        score=_score(counts),
        timeouts=counts["timeout"],
        without="".join(f", nor is `{pattern}`" for pattern in without),
    )
    page += _by_file(files, outcomes, explanations)
    page += _by_operator(shipped, outcomes)
    survivors = [m for mutants in files.values() for m in mutants if outcomes[m.id] == "survived"]
    page += _survivors(survivors, explanations)
    alive = {mutant.id for mutant in survivors}
    return page, sorted(id for id in explanations.reasons if id not in alive)


def _killed(counts: Counter[str]) -> int:
    return counts["killed"] + counts["timeout"]


def _faults(counts: Counter[str]) -> int:
    return counts.total() - counts["invalid"] - counts["equivalent"]


def _score(counts: Counter[str]) -> str:
    faults = _faults(counts)
    return f"{100 * _killed(counts) / faults:.1f} %" if faults else "none"


def _by_file(
    files: Mapping[str, list[Mutant]], outcomes: Mapping[str, str], explanations: Explanations
) -> str:
    head = "generated | not compiling | same code | killed | survived | of these explained | score"
    page = f"## By file\n\n| file | {head} |\n|---|--:|--:|--:|--:|--:|--:|--:|\n"

    def row(name: str, mutants: list[Mutant]) -> str:
        counts = Counter(outcomes[mutant.id] for mutant in mutants)
        explained = sum(
            m.id in explanations.reasons for m in mutants if outcomes[m.id] == "survived"
        )
        cells = [len(mutants), counts["invalid"], counts["equivalent"], _killed(counts)]
        cells += [counts["survived"], explained]
        return f"| {name} | {' | '.join(map(str, cells))} | {_score(counts)} |\n"

    counted = {file: mutants for file, mutants in files.items() if mutants and file != LOCAL_ONLY}
    for file, mutants in counted.items():
        page += row(f"`{file}`", mutants)
    page += row("**all**", [mutant for mutants in counted.values() for mutant in mutants])
    if files.get(LOCAL_ONLY):
        page += row(f"`{LOCAL_ONLY}`, for local chains, apart", files[LOCAL_ONLY])
    return page + "\n"


def _by_operator(mutants: list[Mutant], outcomes: Mapping[str, str]) -> str:
    page = "## By operator\n\n| | what changes | generated | killed | survived |\n"
    page += "|---|---|--:|--:|--:|\n"
    for code, meaning in OPERATORS.items():
        counts = Counter(outcomes[mutant.id] for mutant in mutants if mutant.operator == code)
        cells = [code, meaning, counts.total(), _killed(counts), counts["survived"]]
        page += f"| {' | '.join(map(str, cells))} |\n"
    return page + "\n"


def _survivors(survivors: list[Mutant], explanations: Explanations) -> str:
    page = "## Survivors\n\n"
    if not survivors:
        return page + "None.\n"
    groups: dict[str, list[Mutant]] = {}
    for mutant in survivors:
        groups.setdefault(explanations.reasons.get(mutant.id, "UNEXPLAINED"), []).append(mutant)
    for why, mutants in sorted(groups.items(), key=lambda group: group[0] != "UNEXPLAINED"):
        page += f"{why}\n\n"
        for mutant in mutants:
            page += f"- {mutant.file}:{mutant.line} `{_short(mutant.original)}` → "
            page += f"`{_short(mutant.replacement)}` ({mutant.id})\n"
        page += "\n"
    return page.rstrip("\n") + "\n"


def _short(code: str) -> str:
    """One line, at most 80 characters: the ends of longer code."""
    line = " ".join(code.split()) or " "
    return line if len(line) <= 80 else f"{line[:45]} … {line[-30:]}"
