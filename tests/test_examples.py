"""What the guides show runs as it stands there, and so do the programs in examples/."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDES = (ROOT / "docs" / "index.md", *sorted((ROOT / "docs" / "guides").glob("*.md")))
EXAMPLES = tuple(sorted((ROOT / "examples").glob("*.py")))

BEGIN = "--- the block of line "


@dataclass(frozen=True)
class Block:
    """Python of a page: the line where it begins, its code, and what it shows that it prints."""

    line: int
    code: str
    shown: list[str]


def blocks(page: Path) -> list[Block]:
    """The Python of a page. What it prints stands behind each print, or in a text block below."""
    text = page.read_text(encoding="utf-8")
    pattern = r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?"
    return [
        Block(
            text.count("\n", 0, found.start(1)) + 1,
            found[1],
            promised(found[1]) if found[2] is None else found[2].splitlines(),
        )
        for found in re.finditer(pattern, text, re.DOTALL | re.MULTILINE)
    ]


def promised(code: str) -> list[str]:
    """What each print says that it prints: the comment behind it."""
    found = []
    for statement in ast.walk(ast.parse(code)):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            called = statement.value.func
            if isinstance(called, ast.Name) and called.id == "print":
                assert statement.end_lineno is not None
                last = code.splitlines()[statement.end_lineno - 1].encode()
                rest = last[statement.end_col_offset :].decode()
                assert rest.startswith("  # "), f"it shows nothing: {ast.unparse(statement)}"
                found.append((statement.lineno, rest.removeprefix("  # ")))
    return [text for _, text in sorted(found)]


def run(command: list[str], state: Path) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "HONORARIUM_STATE": str(state)}
    return subprocess.run(
        command, cwd=state, env=surroundings, capture_output=True, text=True, timeout=240
    )


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_every_block_of_a_guide_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    found = blocks(page)
    assert found, f"{page.name} shows no code"
    program = "".join(f"print({BEGIN + str(one.line)!r})\n{one.code}" for one in found)
    ran = run([sys.executable, "-c", program], tmp_path)
    printed = re.split(rf"^{BEGIN}\d+\n", ran.stdout, flags=re.MULTILINE)[1:]
    last = found[max(0, len(printed) - 1)].line
    assert ran.returncode == 0, f"{page.name}, the block of line {last}: {ran.stderr}"
    for one, output in zip(found, printed, strict=True):
        assert output.splitlines() == one.shown, f"{page.name}, the block of line {one.line}"


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda program: program.stem)
def test_every_example_runs_and_prints_what_its_first_lines_say(
    program: Path, tmp_path: Path
) -> None:
    told = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
    _, _, output = told.partition("It prints:\n\n")
    ran = run([sys.executable, str(program)], tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [line.strip() for line in output.splitlines()]


def test_every_example_is_listed() -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert len(EXAMPLES) >= 6
    for program in EXAMPLES:
        assert f"({program.name})" in listed, f"examples/README.md does not list {program.name}"
