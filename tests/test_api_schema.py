"""The API's own description: whole, and true under fire."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from api_stage import COIN, Served, funded, served
from conftest import Place
from errors_page import PAGE, below
from honorarium.api.problems import STATUS, TYPE, problem_of, status_of
from honorarium.chain import IdempotencyKeyReused
from honorarium.errors import (
    ChainError,
    ContractError,
    DepositTooSmall,
    InputError,
    NodeUnreachable,
    TransactionFailed,
)
from honorarium.protocol import Key

CASES = 3
"""So many requests of each kind for each operation."""

ON_THE_PAGE = re.compile(r"^- \*\*`(\w+)\(.*problem `([a-z0-9-]+)` (\d{3})  $", re.M)


@pytest.fixture(scope="module")
def desk(anvil: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    relayer = Key.generate()
    funded(anvil, relayer, coin=10 * COIN)
    with served(anvil, tmp_path_factory.mktemp("desk"), relayer, requests_per_minute=10**6) as one:
        yield one


def everything() -> list[type[Any]]:
    return [each for root in (InputError, ChainError, ContractError) for each in below(root)]


# ---------------------------------------------------------------------- problems


def test_the_problem_types_are_the_errors_and_no_others() -> None:
    listed = {(name, TYPE + slug, int(status)) for name, slug, status in _listed()}
    errors = {each for each in everything() if each.__name__ in {n for n, *_ in listed}}
    assert listed == {(e.__name__, TYPE + e.slug, status_of(e)) for e in errors}
    assert set(everything()) - errors == set()
    assert STATUS.keys() - errors - {InputError, ChainError, ContractError} == set()


def _listed() -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = ON_THE_PAGE.findall(PAGE.read_text(encoding="utf-8"))
    return found


def test_a_problem_carries_the_errors_numbers() -> None:
    assert problem_of(DepositTooSmall(250, 9)) == {
        "type": "urn:honorarium:problem:deposit-too-small",
        "title": "DepositTooSmall",
        "status": 409,
        "detail": str(DepositTooSmall(250, 9)),
        "needed": "250",
        "given": "9",
    }
    failed = problem_of(TransactionFailed(b"\x01" * 32, DepositTooSmall(250, 9)))
    assert failed["txHash"] == "0x" + "01" * 32
    assert failed["reason"]["title"] == "DepositTooSmall"
    assert problem_of(IdempotencyKeyReused("k", b"\x02" * 32))["key"] == "k"


def test_a_problem_tells_no_address_of_the_desks_own_machines() -> None:
    told = problem_of(NodeUnreachable("http://user:word@node.internal/key123", "gone"))
    assert "word" not in str(told)
    assert "key123" not in str(told)
    assert "url" not in told


# ---------------------------------------------------------------------- the description


def operations(desk: Served) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in desk.app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_operation_is_described_with_its_answers_and_problems(desk: Served) -> None:
    found = desk.ask("GET", "/v1/openapi.json").json()
    assert found["components"]["schemas"]["Problem"]["required"]
    tags = {tag["name"] for tag in found["tags"]}
    names = []
    for method, path, operation in operations(desk):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert set(operation["tags"]) <= tags, where
        names.append(operation["operationId"])
        responses = operation["responses"]
        assert "422" not in responses, where
        for code in ("4XX", "5XX"):
            content = responses[code]["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["example"]["type"].startswith(TYPE)
        good = [code for code in responses if code.startswith("2")]
        assert good, where
        for code in set(good) - {"204"}:
            schemas = [each.get("schema") for each in responses[code]["content"].values()]
            elsewhere = ("/v1/chain", "/metrics", "/events", "/evidence")
            if not path.endswith(elsewhere):
                assert all(schema and "$ref" in schema for schema in schemas), where
    assert len(names) == len(set(names))


def test_every_post_takes_an_idempotency_key(desk: Served) -> None:
    for method, path, operation in operations(desk):
        if method != "post" or path == "/v1/chain":
            continue  # which is read
        named = {each["name"] for each in operation.get("parameters", ())}
        assert "Idempotency-Key" in named, path


def test_every_request_and_every_answer_has_an_example_that_fits(desk: Served) -> None:
    document = desk.app.openapi()

    def must_fit(content: dict[str, Any], where: str) -> None:
        assert "example" in content, where
        schema = {**content["schema"], "components": document["components"]}
        Draft202012Validator(schema).validate(content["example"])

    for method, path, operation in operations(desk):
        where = f"{method} {path}"
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] != "path" or "example" in parameter, where
        if "requestBody" in operation:
            must_fit(operation["requestBody"]["content"]["application/json"], where)
        for code, response in operation["responses"].items():
            if code in ("200", "201") and not path.endswith("/evidence"):  # which is a file
                for kind, content in response["content"].items():
                    must_fit({"schema": {}, **content}, f"{where} {code} {kind}")


# ---------------------------------------------------------------------- under fire


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_nothing_that_is_asked_makes_the_desk_fail(desk: Served, mode: GenerationMode) -> None:
    """Schemathesis, over every operation, as anybody and as an advisor who is signed in."""
    token = desk.enrol(Key.generate())
    schema = schemathesis.openapi.from_dict(desk.app.openapi())
    faults, asked = [], Counter[str]()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.endswith("/events"):
            continue  # it never ends

        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        @hypothesis.settings(
            max_examples=CASES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def fire(case: Any) -> None:
            for headers in ({}, {"Authorization": f"Bearer {token}"}):
                answer = case.call(base_url=desk.url, headers=headers, timeout=20)
                asked[case.operation.path] += 1
                if answer.status_code >= 500 and answer.json()["title"] != "AdvisorAway":
                    faults.append((case.method, case.formatted_path, answer.text[:300]))

        with suppress(Unsatisfiable):  # what takes nothing cannot be given anything wrong
            fire()
    assert faults == []
    assert sum(asked.values()) > 150
