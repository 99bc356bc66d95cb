"""Each function of the contracts has an outline in tests/foundry/trees, and the tests follow it.

An outline is a drawing. Branches say when or given what, leaves what it should do, and below each
leaf stand the tests that prove it::

    deposit
    ├── when the amount is zero
    │   └── it should revert with ZeroAmount
    │       test_deposits_of_nothing_or_for_nobody_are_refused
    └── when the money does not arrive
        └── it should revert as in arrival.tree
            test_value_that_is_not_the_amount_is_refused

What several functions share has an outline of its own in trees/shared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from compiling import ROOT
from honorarium.artifacts import CONTRACTS, ContractName, artifact

FOUNDRY = ROOT / "tests" / "foundry"
TREES = FOUNDRY / "trees"

OTHER_NETS = {
    "Storage.t.sol": "where things lie",
    "Surface.t.sol": "every selector there is",
    "Vectors.t.sol": "golden vectors",
}
"""Files beside the concrete tests that need no outline, and what they are instead."""

NO_FUNCTION = {"fallback"}
"""Outlines of what is called that is no function."""

LINE = re.compile(r"(?P<indent>(?:│ {3}| {4})*)(?:(?:├── |└── )(?P<text>\S.*)|(?P<test>test_\w+))")


@dataclass
class Node:
    """A branch (with nodes below) or a leaf (with tests)."""

    text: str
    tests: list[str] = field(default_factory=list)
    below: list[Node] = field(default_factory=list)

    def nodes(self) -> Iterator[Node]:
        """Everything below, from the top."""
        for node in self.below:
            yield node
            yield from node.nodes()


def read(drawing: str) -> Node:
    """The outline that was drawn.

    Raises:
        ValueError: a line is none of an outline's.
    """
    title, *lines = drawing.splitlines()
    path = [Node(title)]
    for number, line in enumerate(lines, start=2):
        found = LINE.fullmatch(line)
        depth = len(found["indent"]) // 4 if found else len(path)
        if not found or depth >= len(path) + (found["test"] is not None):
            raise ValueError(f"line {number} is not drawn like the others: {line}")
        if found["test"]:
            path[-1].tests.append(found["test"])
            continue
        node = Node(found["text"])
        path[depth].below.append(node)
        path[depth + 1 :] = [node]
    return path[0]


def draw(tree: Node) -> str:
    """The drawing of an outline."""

    def lines(node: Node, indent: str) -> Iterator[str]:
        for child in node.below:
            last = child is node.below[-1]
            deeper = indent + ("    " if last else "│   ")
            yield f"{indent}{'└── ' if last else '├── '}{child.text}"
            yield from (f"{deeper}{test}" for test in child.tests)
            yield from lines(child, deeper)

    return "\n".join([tree.text, *lines(tree, "")]) + "\n"


@dataclass(frozen=True)
class Suite:
    """What is compared; `complaints` says where it does not fit together."""

    functions: Mapping[str, set[str]]
    """The functions of each contract that its own sources declare."""
    told: set[str]
    """The errors and events that the contracts declare."""
    tests: Mapping[str, list[str]]
    """The names of the concrete tests, by file."""
    drawings: Mapping[str, str]
    """The outlines, by path below trees/."""

    def complaints(self) -> list[str]:
        trees, found = {}, []
        for path, drawing in sorted(self.drawings.items()):
            try:
                trees[path] = read(drawing)
            except ValueError as error:
                found.append(f"{path}: {error}")
        return [
            *found,
            *self._functions(),
            *(
                f"{path}: {text}"
                for path, tree in trees.items()
                for text in self._shape(path, tree)
            ),
            *self._tests(trees),
            *self._told(trees),
        ]

    def _functions(self) -> Iterator[str]:
        for contract, functions in self.functions.items():
            outlined = {
                Path(path).stem for path in self.drawings if Path(path).parent.name == contract
            }
            for name in sorted(functions - outlined):
                yield f"{contract}.{name} has no outline: trees/{contract}/{name}.tree is missing"
            for name in sorted(outlined - functions - NO_FUNCTION):
                yield f"{contract}/{name}.tree: {contract} has no function of this name"
        for path in self.drawings:
            if Path(path).parent.name not in {*self.functions, "shared"}:
                yield f"{path}: outlines stand in a contract's folder or in shared"

    def _shape(self, path: str, tree: Node) -> Iterator[str]:
        if tree.text != Path(path).stem:
            yield f"its title is {tree.text}"
        if draw(tree) != self.drawings[path]:
            yield f"it is drawn otherwise than its lines mean; drawn well it is\n{draw(tree)}"
        if not tree.below:
            yield "it is empty"
        for node in tree.nodes():
            if node.text.startswith(("when ", "given ")):
                if node.tests or not node.below:
                    yield f"branch without leaves: {node.text}"
            elif not node.text.startswith("it should "):
                yield f"neither when, given nor it should: {node.text}"
            elif node.below:
                yield f"leaf with something below: {node.text}"
            elif not node.tests:
                yield f"leaf without a test: {node.text}"

    def _tests(self, trees: Mapping[str, Node]) -> Iterator[str]:
        known = {test for tests in self.tests.values() for test in tests}
        named = set()
        for path, tree in trees.items():
            for node in tree.nodes():
                named.update(node.tests)
                for test in sorted(set(node.tests) - known):
                    yield f"{path}: no such test: {test}, below: {node.text}"
        for file, tests in self.tests.items():
            for test in tests:
                if test not in named:
                    yield f"{file}: {test} stands in no outline"
        names = sorted(test for tests in self.tests.values() for test in tests)
        for test in {one for one, next_ in pairwise(names) if one == next_}:
            yield f"two tests have the name {test}"

    def _told(self, trees: Mapping[str, Node]) -> Iterator[str]:
        leaves = [(path, node.text) for path, tree in trees.items() for node in tree.nodes()]
        words = {word for _, text in leaves for word in re.findall(r"\w+", text)}
        for name in sorted(self.told - words):
            yield f"{name}: no leaf tells of this error or event"
        shared = {path for path in self.drawings if path.startswith("shared/")}
        referred = set()
        for path, text in leaves:
            for name in re.findall(r"(\w+)\.tree", text):
                referred.add(f"shared/{name}.tree")
                if f"shared/{name}.tree" not in shared:
                    yield f"{path}: there is no shared/{name}.tree: {text}"
        for path in sorted(shared - referred):
            yield f"{path}: no outline refers to it"


def declared(contract: ContractName) -> set[str]:
    """The functions in the ABI that the project's own sources declare."""
    built = artifact(contract)
    own = [path for path in built.sources if path.startswith("contracts/")]
    source = "\n".join((ROOT / path).read_text() for path in own)
    functions = {entry["name"] for entry in built.abi if entry["type"] == "function"}
    pattern = r"\bfunction {0}\(|\bpublic (?:constant )?{0}\b"
    found = {name for name in functions if re.search(pattern.format(name), source)}
    return found | {"constructor"} if re.search(r"^ *constructor\(", source, re.M) else found


@pytest.fixture(scope="module")
def suite() -> Suite:
    sources = [path.read_text() for path in sorted((ROOT / "contracts").rglob("*.sol"))]
    return Suite(
        functions={contract: declared(contract) for contract in CONTRACTS},
        told={name for text in sources for name in re.findall(r"\b(?:error|event) (\w+)\(", text)},
        tests={
            path.name: re.findall(r"\bfunction (test\w*)\(", path.read_text())
            for path in sorted(FOUNDRY.glob("*.t.sol"))
            if path.name not in OTHER_NETS
        },
        drawings={
            path.relative_to(TREES).as_posix(): path.read_text()
            for path in sorted(TREES.rglob("*.tree"))
        },
    )


def test_the_outlines_and_the_tests_fit_together(suite: Suite) -> None:
    assert "\n".join(suite.complaints()) == ""


def test_other_nets_are_there(suite: Suite) -> None:
    for name in OTHER_NETS:
        assert (FOUNDRY / name).is_file(), f"{name} is listed in OTHER_NETS and does not exist"


def test_something_is_compared(suite: Suite) -> None:
    """A pattern that finds nothing would find no fault either."""
    assert {"open", "nonces", "eip712Domain"} <= suite.functions["SessionEscrow"]
    assert suite.functions["TipJar"] == {"tip", "tipWithAuthorization"}
    assert {"constructor", "mint", "authorizationState"} <= suite.functions["TestUSD"]
    assert not {"permit", "transfer", "name"} & suite.functions["TestUSD"], "OpenZeppelin's"
    assert {"ZeroAmount", "HighS", "Tipped", "AuthorizationCanceled"} <= suite.told
    assert all(suite.tests.values())


# ------------------------------------------------------------------------- the check itself

PAY = """\
pay
├── when the amount is zero
│   └── it should revert with ZeroAmount
│       test_nothing
└── given a balance
    ├── it should emit Paid
    │   test_once
    │   test_twice
    └── it should refuse as in rest.tree
        test_rest
"""
REST = """\
rest
└── when it rains
    └── it should stay
        test_rest
"""
WELL = Suite(
    functions={"Jar": {"pay"}},
    told={"ZeroAmount", "Paid"},
    tests={"Pay.t.sol": ["test_nothing", "test_once", "test_twice"], "Rest.t.sol": ["test_rest"]},
    drawings={"Jar/pay.tree": PAY, "shared/rest.tree": REST},
)


def test_what_fits_together_gives_no_complaint() -> None:
    assert WELL.complaints() == []


def drawn(changes: Mapping[str, str]) -> Suite:
    """With other words in the outline of `pay`."""
    drawing = PAY
    for old, new in changes.items():
        assert old in drawing
        drawing = drawing.replace(old, new)
    return replace(WELL, drawings={**WELL.drawings, "Jar/pay.tree": drawing})


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (replace(WELL, functions={"Jar": {"pay", "take"}}), "Jar.take has no outline"),
        (replace(WELL, functions={"Jar": set()}), "Jar has no function of this name"),
        (replace(WELL, functions={}), "outlines stand in a contract's folder or in shared"),
        (replace(WELL, told={"Paid", "Lost"}), "Lost: no leaf tells of this error or event"),
        (
            replace(WELL, tests={**WELL.tests, "New.t.sol": ["test_new"]}),
            "New.t.sol: test_new stands in no outline",
        ),
        (
            replace(WELL, tests={**WELL.tests, "New.t.sol": ["test_rest"]}),
            "two tests have the name test_rest",
        ),
        (
            replace(WELL, drawings={"Jar/pay.tree": PAY}),
            "there is no shared/rest.tree: it should refuse as in rest.tree",
        ),
        (drawn({"rest.tree": "nothing"}), "shared/rest.tree: no outline refers to it"),
        (drawn({"test_once": "test_one"}), "no such test: test_one, below: it should emit Paid"),
        (drawn({"        test_rest\n": ""}), "leaf without a test: it should refuse"),
        (drawn({"it should emit": "it emits"}), "neither when, given nor it should: it emits Paid"),
        (
            drawn({"    ├── it should emit Paid\n": "    ├── given Paid\n"}),
            "branch without leaves: given Paid",
        ),
        (
            drawn({"    └── it should refuse": "    │   └── it should refuse"}),
            "leaf with something below: it should emit Paid",
        ),
        (drawn({"├── when": "└── when"}), "it is drawn otherwise than its lines mean"),
        (drawn({"pay\n": "paid\n"}), "its title is paid"),
        (drawn({"│   └── it": "│       └── it"}), "line 3 is not drawn like the others"),
        (drawn({"    │   test_once": "    test once"}), "line 7 is not drawn like the others"),
    ],
)
def test_what_does_not_fit_together_is_named(broken: Suite, complaint: str) -> None:
    assert any(complaint in one for one in broken.complaints()), broken.complaints()
