"""Commands that the documents show exist, with the options that they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from honorarium.cli import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")])


def _shown(page: Path) -> list[str]:
    """The commands on a page: in blocks of a console, and within sentences."""
    text = page.read_text(encoding="utf-8").replace("\\`", "`")
    blocks = re.findall(r"```(?:console|bash|sh)\n(.*?)```", text, re.DOTALL)
    whole = [block.replace("\\\n", " ") for block in blocks]
    lines = [line.removeprefix("$ ") for block in whole for line in block.splitlines()]
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines += re.findall(r"`(?:[A-Z_]+=\S+ )*(honorarium [^`]+)`", outside)
    # Behind a pipe another program takes what the command prints.
    commands = [re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line).split(" | ")[0] for line in lines]
    return [line for line in commands if re.match(r"honorarium [a-z]", line)]


def _command(words: list[str]) -> tuple[Any, list[str]]:
    at: Any = typer.main.get_command(app)
    while words and words[0] in getattr(at, "commands", {}):
        at, words = at.commands[words[0]], words[1:]
    return at, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    for line in _shown(page):
        command, rest = _command(shlex.split(line, comments=True)[1:])
        if rest and rest[0].isupper():  # `honorarium COMMAND --help`
            continue
        assert not (hasattr(command, "commands") and rest), f"{line}: there is no such command"
        known = {name for each in command.params for name in each.opts}
        for word in rest:
            if re.match(r"--?[a-z]", word):
                assert word.partition("=")[0] in known | {"--help", "-h"}, f"{line}: no {word}"


def test_there_are_many() -> None:
    assert sum(len(_shown(page)) for page in PAGES) > 40
