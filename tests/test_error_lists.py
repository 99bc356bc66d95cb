"""One list of errors: what the contracts declare, Python's exceptions, and docs/errors.md."""

from __future__ import annotations

import re
from typing import Any

import pytest
from eth_hash.auto import keccak

from errors_page import PAGE, below, page
from honorarium import errors
from honorarium.artifacts import CONTRACTS, artifact
from honorarium.audit.calldata import Unreadable
from honorarium.audit.encoding import NotEncodable
from honorarium.audit.evidence.merkle import ProofBroken
from honorarium.chain.wire import Silence
from honorarium.desk.settlement import Stopping
from honorarium.errors import (
    ChainError,
    ContractError,
    HonorariumError,
    InputError,
    Panicked,
    RevertedWithReason,
    UnknownContractError,
    contract_errors,
)

ENTRY = re.compile(
    r"^- \*\*`(\w+)\(([^)]*)\)`\*\* (?:(\w+): )?(?:selector `([^`]+)`|`([\w.]+)`)", re.M
)
SOLIDITYS_OWN = (RevertedWithReason, Panicked, UnknownContractError)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def declared() -> set[tuple[str, str, str]]:
    """(name, fields, selector) of every error in the contracts' ABIs."""
    found: set[tuple[str, str, str]] = set()
    for contract in CONTRACTS:
        for entry in artifact(contract).abi:
            if entry["type"] != "error":
                continue
            inputs: list[dict[str, Any]] = entry["inputs"]
            fields = ", ".join(f"{field['type']} {snake(field['name'])}" for field in inputs)
            signature = f"{entry['name']}({','.join(field['type'] for field in inputs)})"
            selector = "0x" + keccak(signature.encode())[:4].hex()
            found.add((entry["name"], fields, selector))
    return found


def in_python() -> set[tuple[str, str, str]]:
    return {
        (e.__name__, ", ".join(f"{k} {n}" for k, n in e.FIELDS), "0x" + e.SELECTOR.hex())
        for e in contract_errors()
    }


def on_the_page(section: str) -> list[tuple[str, str, str, str, str]]:
    whole = PAGE.read_text(encoding="utf-8")
    body = whole.partition(f"## {section}\n")[2]
    return ENTRY.findall(re.split(r"^## ", body, flags=re.M)[0])


def test_the_page_is_what_the_classes_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python scripts/errors_page.py"


def test_contracts_python_and_the_page_have_the_same_errors_fields_and_selectors() -> None:
    written = [
        (name, fields, code) for name, fields, _, code, _ in on_the_page("A contract refused")
    ]
    own = {e.__name__ for e in SOLIDITYS_OWN}
    ours = [each for each in written if each[0] not in own]
    assert len(ours) == len(set(ours))
    assert set(ours) == in_python() == declared()
    assert {each[0] for each in written} - {each[0] for each in ours} == own


@pytest.mark.parametrize(
    ("section", "root"),
    [("What was handed in", InputError), ("The node, the chain, this machine", ChainError)],
)
def test_the_page_has_every_other_error_once(section: str, root: type[HonorariumError]) -> None:
    written = [(where, name) for name, _, _, _, where in on_the_page(section)]
    assert written == sorted((each.__module__, each.__name__) for each in below(root))


def test_every_exception_of_the_package_is_in_the_tree() -> None:
    below(HonorariumError)  # imports everything

    def descendants(cls: type[Any]) -> set[type[Any]]:
        return {cls}.union(*(descendants(each) for each in type.__subclasses__(cls)))

    ours = {e for e in descendants(BaseException) if e.__module__.startswith("honorarium.")}
    # Never let out, but for the root:
    inner = {Silence, Unreadable, NotEncodable, ProofBroken, Stopping, HonorariumError}
    roots = (InputError, ChainError, ContractError)
    outside = {e for e in ours - inner if not issubclass(e, roots)}
    assert {e.__name__ for e in outside if not e.__name__.startswith("_")} == set()


def test_no_two_errors_share_a_name_or_a_slug() -> None:
    everything = [e for root in (InputError, ChainError, ContractError) for e in below(root)]
    assert len({e.__name__ for e in everything}) == len(everything)
    assert len({e.slug for e in everything}) == len(everything)


def test_every_error_says_in_its_class_what_it_means() -> None:
    for root in (InputError, ChainError):
        assert [e.__name__ for e in below(root) if not e.__dict__.get("__doc__")] == []
    assert [e.__name__ for e in contract_errors() if not e.__dict__.get("__doc__")] == []


def test_what_the_package_exports_as_errors_is_on_the_page() -> None:
    exported = {
        name
        for name in errors.__all__
        if isinstance(getattr(errors, name), type)
        and issubclass(getattr(errors, name), HonorariumError)
    }
    roots = {"HonorariumError", "InputError", "ChainError", "ContractError"}
    assert exported - roots <= {name for name, *_ in ENTRY.findall(PAGE.read_text("utf-8"))}
