"""docs/attacks.md and the attack tests are about the same attacks."""

from __future__ import annotations

import re
from collections import Counter

from compiling import ROOT

TESTS = ROOT / "tests" / "foundry" / "attacks"
TEST = re.compile(r"function (test\w+)\(")


def written() -> Counter[str]:
    """The tests that are there."""
    sources = [path.read_text() for path in sorted(TESTS.glob("*.sol"))]
    return Counter(name for source in sources for name in TEST.findall(source))


def named() -> Counter[str]:
    """The tests that the table names."""
    return Counter(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "attacks.md").read_text()))


def test_every_attack_test_is_named_once_and_every_name_is_a_test() -> None:
    assert len(written()) > 100, "the attack tests were not found"
    assert named() == written()


def test_every_attack_test_says_what_the_attacker_wants() -> None:
    silent = [
        name
        for path in sorted(TESTS.glob("*.t.sol"))
        for before, name in re.findall(r"([^\n]*)\n    function (test\w+)\(", path.read_text())
        if not before.strip().startswith("///")
    ]
    assert silent == []


def test_every_row_of_the_table_has_its_columns() -> None:
    """A cell that is cut off would hide what stops an attack."""
    for line in (ROOT / "docs" / "attacks.md").read_text().splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) in (2, 4), line
        assert all(cells), line
