"""Signing in with a wallet, and enrolling as an advisor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_stage import (
    COIN,
    PRICE,
    People,
    Served,
    contract_wallet,
    funded,
    people,
    served,
    signed,
    slug,
)
from conftest import Place
from honorarium.chain.deploy import shown
from honorarium.protocol import Key
from honorarium.protocol.sign_in import SignIn
from honorarium.units import UnixTime
from lives import ACCEPTS_ALL, REFUSES_ALL


@pytest.fixture(scope="module")
def desk(anvil: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    relayer = Key.generate()
    funded(anvil, relayer, coin=10 * COIN)
    with served(anvil, tmp_path_factory.mktemp("desk"), relayer) as one:
        yield one


@pytest.fixture
def who(desk: Served, tmp_path: Path) -> Iterator[People]:
    with people(desk, tmp_path) as found:
        yield found


# ---------------------------------------------------------------------- signing in


def test_who_signs_in_has_a_token_until_they_sign_out(desk: Served) -> None:
    token = desk.sign_in(Key.generate())
    assert desk.ask("GET", "/v1/sessions", token=token).status_code == 200
    assert desk.ask("DELETE", "/v1/sign-in", token=token).status_code == 204
    refused = desk.ask("GET", "/v1/sessions", token=token)
    assert (refused.status_code, slug(refused)) == (401, "not-signed-in")
    assert refused.headers["www-authenticate"].startswith("Bearer")


def test_tokens_are_stored_as_hashes(desk: Served) -> None:
    token = desk.sign_in(Key.generate())
    stored = Path(desk.settings.ledger)
    everything = b"".join(
        p.read_bytes() for p in stored.parent.glob(stored.name + "*") if p.is_file()
    )
    assert token.encode() not in everything


def test_a_message_signs_in_once(desk: Served) -> None:
    message = desk.message(Key.generate())
    assert desk.ask("POST", "/v1/sign-in", message).status_code == 200
    again = desk.ask("POST", "/v1/sign-in", message)
    assert (again.status_code, slug(again)) == (403, "sign-in-refused")


@pytest.mark.parametrize(
    "changes",
    [
        {"domain": "elsewhere.example"},
        {"uri": "https://elsewhere.example"},
        {"chain_id": 1},
        {"nonce": "0123456789abcdef"},
        {"expires_at": UnixTime(1_700_000_000)},
        {"expires_at": UnixTime(int(time.time()) + 10**6)},
        {"expires_at": None},
        {"account": Key.generate().address},
    ],
    ids=["domain", "uri", "chain", "nonce", "over", "too long", "for ever", "account"],
)
def test_a_message_for_elsewhere_or_by_somebody_else_lets_nobody_in(
    desk: Served, changes: dict[str, Any]
) -> None:
    refused = desk.ask("POST", "/v1/sign-in", desk.message(Key.generate(), **changes))
    assert (refused.status_code, slug(refused)) == (403, "sign-in-refused")


@pytest.mark.parametrize("text", ["", "hello", "a\n" * 400, "x" * 1_500])
def test_what_is_no_message_lets_nobody_in(desk: Served, text: str) -> None:
    assert desk.ask("POST", "/v1/sign-in", signed(Key.generate(), text)).status_code == 403


def test_a_lost_answer_to_a_sign_in_is_given_again(desk: Served) -> None:
    message = desk.message(Key.generate())
    first = desk.ask("POST", "/v1/sign-in", message, idempotency_key="once")
    again = desk.ask("POST", "/v1/sign-in", message, idempotency_key="once")
    assert again.headers["idempotent-replayed"] == "true"
    assert first.json() == again.json()
    assert desk.ask("GET", "/v1/sessions", token=again.json()["token"]).status_code == 200


@pytest.mark.parametrize("code", [ACCEPTS_ALL, REFUSES_ALL], ids=["accepts", "refuses"])
def test_a_contract_wallet_signs_in_if_it_says_so_itself(
    desk: Served, who: People, code: bytes
) -> None:
    wallet = contract_wallet(desk.place, code)
    message = desk.message(Key.generate(), account=wallet)
    answer = desk.ask("POST", "/v1/sign-in", message)
    if code == REFUSES_ALL:
        assert (answer.status_code, slug(answer)) == (403, "sign-in-refused")
    else:
        assert answer.json()["account"] == shown(wallet)


# ---------------------------------------------------------------------- advisors


def test_an_advisor_enrols_with_the_message_that_signs_in(desk: Served, who: People) -> None:
    found = desk.ask("GET", f"/v1/advisors/{shown(who.advisor_key.address)}").json()
    assert (found["name"], found["available"], found["away"]) == ("Ada", True, True)
    assert found["acknowledger"] == shown(desk.relayer.address)
    said = SignIn.read(found["enrolment"]["message"])
    assert said.account == who.advisor_key.address
    assert shown(desk.relayer.address) in said.statement
    assert found["tariffs"]["standard"]["tariff"]["unitPrice"] == str(PRICE)


def test_nobody_enrols_without_saying_so_or_for_another(desk: Served, who: People) -> None:
    key = Key.generate()
    mine, theirs = (f"/v1/advisors/{shown(k.address)}" for k in (key, who.advisor_key))
    token = desk.sign_in(key)
    for path, body, problem in (
        (mine, {"name": "Eve"}, "sign-in-refused"),
        (mine, {"name": "Eve", "enrolment": desk.message(key)}, "sign-in-refused"),
        (theirs, {"name": "Eve"}, "not-allowed"),
        (f"{theirs}/tariffs/standard", OFFER_OF_NOTHING, "not-allowed"),
    ):
        refused = desk.ask("PUT", path, body, token=token)
        assert (refused.status_code, slug(refused)) == (403, problem)
    assert desk.ask("PUT", mine, {"name": "Eve"}).status_code == 401


OFFER_OF_NOTHING = {"token": "0x" + "00" * 20, "tariff": {"unitPrice": "5", "unitSeconds": 60}}


def test_a_tariff_that_could_never_open_is_refused_with_the_contracts_own_error(
    desk: Served, who: People
) -> None:
    path = f"/v1/advisors/{shown(who.advisor_key.address)}/tariffs/odd"
    for change, problem in (
        ({"tariff": {"unitPrice": "0", "unitSeconds": 60}}, "nothing-to-pay"),
        ({"closeGrace": 5}, "grace-out-of-range"),
        ({"feeBps": 5}, "share-without-recipient"),
    ):
        refused = desk.ask("PUT", path, {**OFFER_OF_NOTHING, **change}, token=who.token)
        assert (refused.status_code, slug(refused)) == (409, problem)
    nobody = {**OFFER_OF_NOTHING, "token": "0x" + "77" * 20}
    assert slug(desk.ask("PUT", path, nobody, token=who.token)) == "token-without-code"
    assert desk.ask("DELETE", path, token=who.token).status_code == 404


def test_advisors_are_listed_page_by_page(desk: Served, tmp_path: Path) -> None:
    keys = [Key.generate() for _ in range(3)]
    for key in keys:
        desk.enrol(key)
    seen, cursor = [], ""
    while True:
        page = desk.ask("GET", f"/v1/advisors?available=true&limit=2{cursor}").json()
        seen += [each["advisor"] for each in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 2
        cursor = f"&cursor={page['next']}"
    assert seen[-3:] == [shown(key.address) for key in keys]
    assert len(seen) == len(set(seen))
