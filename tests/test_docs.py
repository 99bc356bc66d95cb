"""What the documents say must be there: links, figures, functions, errors, events, commands."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from honorarium.advisor import Advisor
from honorarium.artifacts import ContractName, artifact
from honorarium.chain import Contracts, calls
from honorarium.client import Client
from honorarium.protocol.typed_data import TYPES

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = {"node_modules", "build", "dist"}
PAGES = tuple(
    page
    for page in sorted(ROOT.rglob("*.md"))
    if not any(p in FOREIGN or p.startswith(".") for p in page.relative_to(ROOT).parts)
)
OPERATIONS = tuple(page for page in PAGES if page.parent == ROOT / "docs" / "operations")
SHIPPED: tuple[ContractName, ...] = ("SessionEscrow", "TipJar")
MAKES = re.compile(r"`make ([a-z-]+)(?: \w+=[^`]*)?`")


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def prose(page: Path) -> str:
    """The page without its blocks of code, in which brackets and hashes are something else."""
    return re.sub(r"^```.*?^```", "", text(page), flags=re.DOTALL | re.MULTILINE)


@cache
def anchors(page: Path) -> frozenset[str]:
    """What can stand behind a # in a link to this page, as the repository's host makes it."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.*?) *$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        again = found.count(slug)
        found.append(f"{slug}-{again}" if again else slug)
    return frozenset(found)


def said(page: Path, problem: str) -> str:
    return f"{page.relative_to(ROOT)}: {problem}"


def declared(kind: str) -> dict[str, list[str]]:
    """Functions, errors or events of the escrow and the tip jar, with their fields' names."""
    return {
        entry["name"]: [field["name"] for field in entry["inputs"]]
        for name in SHIPPED
        for entry in artifact(name).abi
        if entry["type"] == kind
    }


def written(pages: tuple[Path, ...]) -> list[tuple[Path, str, list[str]]]:
    """Every `name(field, ...)` in code type: the page, the name, the fields."""
    call = re.compile(r"`(\w+)\(([^()`…]*)\)(?: → \w+)?`")
    return [
        (page, name, [field.strip() for field in fields.split(",") if field.strip()])
        for page in pages
        for name, fields in call.findall(text(page))
    ]


# ------------------------------------------------------------------------------------------ links


def test_every_link_in_the_documents_leads_somewhere() -> None:
    missing = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            place = (page.parent / path).resolve() if path else page
            if not place.exists():
                missing.append(said(page, f"there is no {target}"))
            elif anchor and anchor not in anchors(place):
                missing.append(said(page, f"there is no heading for {target}"))
    assert len(PAGES) > 25
    assert not missing, "\n".join(missing)


def test_every_command_in_the_documents_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    used = {(page, name) for page in PAGES for name in MAKES.findall(text(page))}
    assert len(used) > 10
    missing = [said(page, f"make {name}") for page, name in sorted(used) if name not in targets]
    assert not missing, "\n".join(missing)


# ---------------------------------------------------------------------------------------- figures


def measured() -> dict[str, int]:
    found: dict[str, int] = json.loads(text(ROOT / "benchmarks" / "gas.json"))
    return found


def test_gas_in_the_documents_is_what_was_measured() -> None:
    known, told, wrong = measured(), set(), []
    for page in (ROOT / "docs").rglob("*.md"):
        for name, figure in re.findall(r"`(\w+)` (\d[\d,]*\d)", text(page)):
            if name not in known:
                continue
            told.add(name)
            if figure != f"{known[name]:,}":
                wrong.append(said(page, f"`{name}` {figure} was measured as {known[name]:,}"))
    assert not wrong, "\n".join(wrong)
    assert told == set(known), f"no document tells {sorted(set(known) - told)}"


def test_where_the_gas_goes_adds_up_to_the_receipts() -> None:
    lines = text(ROOT / "docs" / "gas.md").partition("make gas` writes -->")[2].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    table = {row[0]: [int(c.replace(",", "") or "0") for c in row[1:]] for row in rows[2:14]}
    receipts, without = ([int(c.replace(",", "")) for c in row[1:]] for row in rows[14:16])
    assert len(table) == 12
    assert rows[14][0] == "**the receipt**"
    for column, receipt in enumerate(receipts):
        assert receipt in measured().values()
        assert sum(row[column] for row in table.values()) == receipt, rows[0][column + 1]
        assert receipt - table["our own code"][column] == without[column]


def test_sums_of_gas_are_those_of_the_measured_parts() -> None:
    page, known = text(ROOT / "docs" / "gas.md"), measured()
    sums = {
        "open + close + refund, from a wallet": ("open_wallet_erc20", "close_refund_wallet"),
        "the same, from a balance": ("open_balance", "close_refund_balance"),
        "settle, repeated": ("settle_repeat",),
        "settleBatch, a row": ("settle_batch_row",),
        "closeBatch, a row": ("close_batch_row",),
        "openBatch + closeBatch, 50 distinct payers, a session": ("batch50_per_session",),
        "rate, an advisor rated before": ("rate_again",),
    }
    for name, parts in sums.items():
        gas = sum(known[part] for part in parts)
        assert re.search(rf"\| {re.escape(name)} \|[^|]*\| \*\*{gas / 1000:.1f}k\*\*", page), name


# -------------------------------------------------------------------------------------- contracts


def test_every_function_error_and_event_has_its_place_in_the_operations() -> None:
    said_there = {
        name
        for page in OPERATIONS
        for span in re.findall(r"`([^`]+)`", text(page))
        for name in re.findall(r"\w+", span)
    }
    for kind in ("function", "error", "event"):
        missing = sorted(set(declared(kind)) - said_there)
        assert not missing, f"no page in docs/operations names the {kind}s {missing}"


def test_functions_events_and_messages_are_written_with_the_fields_that_they_have() -> None:
    known = declared("function") | declared("event")
    known |= {name: [field for _, field in fields] for name, fields in TYPES.items()}
    found = [each for each in written(OPERATIONS) if each[1] in known]
    wrong = [
        said(page, f"{name}{fields}, but {known[name]}")
        for page, name, fields in found
        if fields != known[name]
    ]
    assert not wrong, "\n".join(wrong)
    assert {name for _, name, _ in found} >= set(declared("event"))


def test_errors_are_written_with_as_many_numbers_as_they_carry() -> None:
    known = declared("error")
    found = [each for each in written(PAGES) if each[1] in known]
    wrong = [
        said(page, f"{name}{fields}, but {known[name]}")
        for page, name, fields in found
        if len(fields) != len(known[name])
    ]
    assert not wrong, "\n".join(wrong)
    assert {name for page, name, _ in found if page in OPERATIONS} == set(known)


def test_parts_of_the_contracts_that_the_documents_name_exist() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "contracts").rglob("*.sol"))
    for page in (ROOT / "SECURITY.md", *OPERATIONS):
        for name in re.findall(r"`(?:\w+\.)?(_\w+)`", text(page)):
            assert re.search(rf"\bfunction {name}\b", code), said(page, f"there is no {name}")


# ---------------------------------------------------------------------------------------- package


def test_calls_of_the_package_that_the_documents_name_exist() -> None:
    places = {"calls": calls, "Client": Client, "Advisor": Advisor, "Contracts": Contracts}
    found = [
        (page, place, name)
        for page in PAGES
        for place, name in re.findall(rf"`({'|'.join(places)})\.(\w+)", text(page))
    ]
    assert len(found) > 40
    for page, place, name in found:
        assert hasattr(places[place], name), said(page, f"{place} has no {name}")
