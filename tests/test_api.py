"""The API over a real chain, a real ledger and a real server: lives of sessions, and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_stage import (
    COIN,
    MONEY,
    PRICE,
    People,
    Served,
    agent,
    contract_wallet,
    funded,
    people,
    quote_of,
    relayable,
    served,
    slug,
)
from conftest import Place
from honorarium.advisor import Advisor
from honorarium.audit.evidence import Bundle, Standing, verify
from honorarium.chain import Payment, Relayable, calls
from honorarium.chain.deploy import shown
from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.protocol import Key, Quote, SignedVoucher, Voucher
from honorarium.protocol.journal import genesis
from lives import ACCEPTS_ALL


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


def opened(desk: Served, who: People, *, pay: Payment = "authorization") -> Quote:
    """A session that is open, by a quote signed in advance."""
    quote = who.in_advance()
    signed_opening = who.client.sign_opening(quote, 10 * PRICE, pay=pay)
    answer = desk.ask(
        "POST",
        "/v1/sessions",
        {"quote": who.document(quote), "relayable": relayable(signed_opening)},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["session"]["status"] == "open"
    return quote


def path_of(who: People, quote: Quote, action: str = "") -> str:
    session = f"/v1/sessions/0x{quote.session_id(who.contracts.escrow).hex()}"
    return f"{session}/{action}" if action else session


def act(
    desk: Served, who: People, quote: Quote, action: str, given: Relayable, **more: str
) -> dict[str, Any]:
    answer = desk.ask("POST", path_of(who, quote, action), {"relayable": relayable(given)}, **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["receipt"]["transactionHash"] == found["transaction"]
    return found


def voucher(who: People, quote: Quote, units: int) -> SignedVoucher:
    session_id = quote.session_id(who.contracts.escrow)
    reading = Voucher(session_id, units, genesis(session_id))
    return SignedVoucher.sign(reading, who.client.meter_key, who.contracts.escrow)


# ---------------------------------------------------------------------- the desk


def test_it_says_what_it_is(desk: Served) -> None:
    facts = desk.ask("GET", "/v1").json()
    manifest = desk.place.manifest
    assert facts["manifest"] == manifest.to_dict()
    assert facts["chain"]["chainId"] == 31337
    assert facts["acknowledger"] == facts["relayer"] == shown(desk.relayer.address)
    assert shown(desk.relayer.address) in facts["enrolmentStatement"]


def test_it_is_alive_and_ready_and_measured(desk: Served) -> None:
    assert desk.ask("GET", "/healthz").json() == {"status": "ok"}
    assert desk.ask("GET", "/readyz").json() == {"status": "ready"}
    figures = desk.ask("GET", "/metrics").text
    assert 'honorarium_requests_total{method="GET",route="/healthz",status="200"}' in figures
    assert "honorarium_relayer_balance_coins" in figures


# ---------------------------------------------------------------------- quotes


def test_the_agent_signs_what_the_desk_wrote(desk: Served, who: People) -> None:
    with agent(desk, who):
        answer = desk.ask("POST", "/v1/quotes", who.wanted())
        assert answer.status_code == 201, answer.text
        assert (
            desk.ask("GET", f"/v1/advisors/{shown(who.advisor_key.address)}").json()["away"]
            is False
        )
    quote = quote_of(answer.json()["quote"])
    quote.verify(who.contracts.escrow)
    assert quote.terms.meter_key == who.client.meter_key.address
    assert answer.json()["minimumDeposit"] == str(PRICE)
    assert answer.json()["fullDeposit"] == str(10 * PRICE)
    session = answer.json()["session"]
    assert desk.ask("GET", f"/v1/quotes/{session}").json() == answer.json()


def test_a_stranger_behind_the_agents_line_makes_no_quote(desk: Served, who: People) -> None:
    eve = Key.generate()

    def forged(terms: object) -> dict[str, str]:
        return {"signature": "0x" + eve.sign(b"\1" * 32).packed().hex()}

    with agent(desk, who, signs=forged):
        refused = desk.ask("POST", "/v1/quotes", who.wanted())
    assert (refused.status_code, slug(refused)) == (400, "wrong-signature")


def test_an_agent_may_decline(desk: Served, who: People) -> None:
    with agent(desk, who, signs=lambda terms: {"declined": "I am asleep"}):
        refused = desk.ask("POST", "/v1/quotes", who.wanted())
    assert (refused.status_code, slug(refused)) == (409, "advisor-declined")
    assert refused.json()["reason"] == "I am asleep"


def test_without_an_agent_quotes_signed_in_advance_are_given(desk: Served, who: People) -> None:
    away = desk.ask("POST", "/v1/quotes", who.wanted())
    assert (away.status_code, slug(away)) == (503, "advisor-away")
    assert int(away.headers["retry-after"]) > 0
    quote = who.in_advance()
    path = f"/v1/advisors/{shown(who.advisor_key.address)}/quotes"
    body = {"quote": who.document(quote)}
    assert desk.ask("POST", path, body, token=who.token).status_code == 201
    given = desk.ask("POST", "/v1/quotes", who.wanted())
    assert given.status_code == 201
    assert quote_of(given.json()["quote"]) == quote
    other = desk.ask("POST", "/v1/quotes", who.wanted(meterKey="0x" + "99" * 20))
    assert slug(other) == "advisor-away"


def test_a_quote_is_asked_for_by_names_that_are_there(desk: Served, who: People) -> None:
    for change, problem in (
        ({"advisor": "0x" + "55" * 20}, "advisor-not-known"),
        ({"tariff": "golden"}, "tariff-not-known"),
    ):
        refused = desk.ask("POST", "/v1/quotes", who.wanted(**change))
        assert (refused.status_code, slug(refused)) == (404, problem)
    refused = desk.ask("POST", "/v1/quotes", who.wanted(client=shown(who.advisor_key.address)))
    assert (refused.status_code, slug(refused)) == (409, "invalid-party")


# ---------------------------------------------------------------------- a life


def test_a_session_lives_through_the_api(desk: Served, who: People) -> None:
    quote = opened(desk, who)
    session = path_of(who, quote)
    assert desk.ask("GET", session).json()["reading"] is None
    more = who.client.sign_top_up(quote.terms, 12 * PRICE)
    act(desk, who, quote, "top-up", more)
    assert desk.ask("GET", session).json()["deposit"] == str(12 * PRICE)
    act(desk, who, quote, "tip", who.client.sign_tip(quote.terms, 7))

    best = voucher(who, quote, 1)
    reading = {
        "units": 1,
        "journal": "0x" + best.journal.hex(),
        "signature": "0x" + best.signature.to_bytes().hex(),
    }
    taken = desk.ask("POST", path_of(who, quote, "vouchers"), reading)
    assert taken.status_code == 200, taken.text
    mine = desk.sign_in(who.client_key)
    assert desk.ask("GET", session, token=mine).json()["reading"]["units"] == 1
    advisor = f"/v1/advisors/{shown(who.advisor_key.address)}"
    earned = desk.ask("GET", f"{advisor}/earnings", token=who.token).json()["earnings"][0]
    assert (earned["pending"], earned["settled"]) == (str(PRICE), "0")

    closing = who.advisor.sign_closing(quote.terms, best)
    data = calls.close_for(closing)
    escrow = who.contracts.escrow.contract
    act(desk, who, quote, "close", Relayable("close", escrow, data))
    over = desk.ask("GET", session, token=mine).json()
    assert (over["status"], over["earned"], over["settledUnits"]) == ("closed", str(PRICE), 1)

    act(desk, who, quote, "rate", who.client.sign_rating(quote.terms, 5))
    act(desk, who, quote, "answer", who.advisor.sign_answer(quote.terms, Hash(b"\2" * 32)))
    earned = desk.ask("GET", f"{advisor}/earnings", token=who.token).json()["earnings"][0]
    assert (earned["pending"], earned["settled"], earned["withdrawable"]) == (
        "0",
        str(PRICE),
        str(PRICE),
    )
    evidence = path_of(who, quote, "evidence")
    assert desk.ask("GET", evidence).status_code == 401
    stranger = desk.sign_in(Key.generate())
    assert desk.ask("GET", evidence, token=stranger).status_code == 403
    bundle = Bundle.from_text(desk.ask("GET", evidence, token=mine).text)
    examined = verify(bundle, [bundle.blocks[-1].hash])
    assert examined.ok, examined.of(Standing.OFF)
    assert examined.session is not None

    out = who.advisor.sign_withdrawal()
    paid = desk.ask("POST", "/v1/withdrawals", {"relayable": relayable(out)})
    assert paid.status_code == 200, paid.text
    money = desk.ask("GET", f"/v1/accounts/{shown(who.advisor_key.address)}/balances").json()
    usd = next(each for each in money["balances"] if each["symbol"] == "tUSD")
    assert (usd["balance"], usd["wallet"]) == ("0", str(PRICE + 7))


class OfContract:
    """The signer of a contract wallet that takes whatever is signed for it."""

    is_contract = True

    def __init__(self, address: Address) -> None:
        self.address = address

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        return b"by the owners" * 5

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        raise NotImplementedError("a contract sends nothing itself")


def test_an_advisor_may_be_a_contract_wallet(desk: Served, who: People) -> None:
    wallet = contract_wallet(desk.place, ACCEPTS_ALL)
    who.advisor = Advisor(who.contracts, OfContract(wallet))
    who.token = desk.enrol(Key.generate(), wallet=wallet)
    quote = opened(desk, who)
    assert quote.terms.advisor == wallet
    best = voucher(who, quote, 1)
    escrow = who.contracts.escrow.contract
    closing = calls.close_for(who.advisor.sign_closing(quote.terms, best))
    act(desk, who, quote, "close", Relayable("close", escrow, closing))
    over = desk.ask("GET", path_of(who, quote)).json()
    assert (over["status"], over["earned"]) == ("closed", str(PRICE))
    paid = {"relayable": relayable(who.advisor.sign_withdrawal())}
    assert desk.ask("POST", "/v1/withdrawals", paid).status_code == 200
    assert who.contracts.node.read(calls.balance_of(escrow, quote.terms.token, wallet)) == 0


def test_a_session_opens_from_a_balance_and_is_left(desk: Served, who: People) -> None:
    filled = who.client.sign_deposit(20 * PRICE)
    stranger = desk.ask("POST", "/v1/deposits", {"relayable": relayable(filled)})
    assert (stranger.status_code, slug(stranger)) == (403, "account-not-known")
    path = f"/v1/advisors/{shown(who.advisor_key.address)}/quotes"
    known = {"quote": who.document(who.in_advance())}
    assert desk.ask("POST", path, known, token=who.token).status_code == 201
    done = desk.ask("POST", "/v1/deposits", {"relayable": relayable(filled)})
    assert done.status_code == 200, done.text
    quote = opened(desk, who, pay="balance")
    act(desk, who, quote, "leave", who.client.sign_leaving(quote.terms))
    assert desk.ask("GET", path_of(who, quote)).json()["status"] == "closing"
    early = desk.ask("POST", path_of(who, quote, "finalize"))
    assert (early.status_code, slug(early)) == (409, "grace-running")
    late = desk.ask(
        "POST",
        path_of(who, quote, "leave"),
        {"relayable": relayable(who.advisor.sign_answer(quote.terms, ZERO_HASH))},
    )
    assert (late.status_code, slug(late)) == (400, "not-relayable")


def test_the_desk_is_told_of_a_session_that_was_opened_without_it(
    desk: Served, who: People
) -> None:
    funded(desk.place, who.client_key, coin=COIN)
    quote = who.in_advance()
    unsent = {"quote": who.document(quote), "transaction": "0x" + "12" * 32}
    waiting = desk.ask("POST", "/v1/sessions", unsent)
    assert (waiting.status_code, waiting.json()["session"]["status"]) == (202, "quoted")
    who.client.open(quote, 10 * PRICE)
    found = who.contracts.history(quote.session_id(who.contracts.escrow))
    sent = {**unsent, "transaction": "0x" + found[0].tx_hash.hex()}
    answer = desk.ask("POST", "/v1/sessions", sent)
    assert (answer.status_code, answer.json()["session"]["status"]) == (201, "open")
    assert answer.json()["session"]["deposit"] == str(10 * PRICE)


def test_a_quote_is_revoked_by_relay_and_never_opens(desk: Served, who: People) -> None:
    quote = who.in_advance()
    path = f"/v1/advisors/{shown(who.advisor_key.address)}/quotes"
    body = {"quote": who.document(quote)}
    assert desk.ask("POST", path, body, token=who.token).status_code == 201
    act(desk, who, quote, "revoke", who.advisor.sign_revocation(quote))
    opening = who.client.sign_opening(quote, 10 * PRICE)
    refused = desk.ask("POST", "/v1/sessions", {**body, "relayable": relayable(opening)})
    assert (refused.status_code, slug(refused)) == (409, "session-exists")


def test_parties_see_their_sessions_and_strangers_do_not(desk: Served, who: People) -> None:
    quotes = [opened(desk, who) for _ in range(3)]
    mine = desk.sign_in(who.client_key)
    first = desk.ask("GET", "/v1/sessions?limit=2&status=open", token=mine).json()
    rest = desk.ask("GET", f"/v1/sessions?limit=2&cursor={first['next']}", token=mine).json()
    ids = [each["session"] for each in first["items"] + rest["items"]]
    assert ids == [
        "0x" + quote.session_id(who.contracts.escrow).hex() for quote in reversed(quotes)
    ]
    assert rest["next"] is None
    eve = desk.sign_in(Key.generate())
    peeped = desk.ask("GET", f"/v1/sessions?client={shown(who.client_key.address)}", token=eve)
    assert slug(peeped) == "not-allowed"
    journal = path_of(who, quotes[0], "journal")
    assert slug(desk.ask("GET", journal, token=eve)) == "not-allowed"
    assert slug(desk.ask("GET", journal)) == "not-signed-in"
    assert desk.ask("GET", journal, token=mine).json()["items"] == []


def test_what_is_signed_for_another_session_or_action_is_not_sent(
    desk: Served, who: People
) -> None:
    one, two = opened(desk, who), opened(desk, who)
    leaving = {"relayable": relayable(who.client.sign_leaving(one.terms))}
    sent = who.contracts.node.transaction_count(desk.relayer.address)
    for path in (path_of(who, two, "leave"), path_of(who, one, "close"), "/v1/withdrawals"):
        refused = desk.ask("POST", path, leaving)
        assert (refused.status_code, slug(refused)) == (400, "not-relayable")
    jar = {"relayable": {**leaving["relayable"], "to": shown(who.contracts.tip_jar)}}
    assert slug(desk.ask("POST", path_of(who, one, "leave"), jar)) == "not-relayable"
    assert who.contracts.node.transaction_count(desk.relayer.address) == sent


# ---------------------------------------------------------------------- done once


def test_the_same_key_does_it_once_and_answers_alike(desk: Served, who: People) -> None:
    quote = who.in_advance()
    opening = who.client.sign_opening(quote, 10 * PRICE)
    body = {"quote": who.document(quote), "relayable": relayable(opening)}
    sent = who.contracts.node.transaction_count(desk.relayer.address)
    first = desk.ask("POST", "/v1/sessions", body, idempotency_key="open")
    again = desk.ask("POST", "/v1/sessions", body, idempotency_key="open")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert who.contracts.node.transaction_count(desk.relayer.address) == sent + 1
    other = {**body, "relayable": {**body["relayable"], "action": "x"}}
    refused = desk.ask("POST", "/v1/sessions", other, idempotency_key="open")
    assert (refused.status_code, slug(refused)) == (409, "idempotency-key-taken")


def test_without_a_key_the_same_signed_action_is_still_sent_once(desk: Served, who: People) -> None:
    quote = opened(desk, who)
    leaving = who.client.sign_leaving(quote.terms)
    first = act(desk, who, quote, "leave", leaving)
    assert act(desk, who, quote, "leave", leaving) == first


def test_keys_are_each_accounts_own(desk: Served) -> None:
    one, two = desk.sign_in(Key.generate()), desk.sign_in(Key.generate())
    body = {"url": "https://example.org/hook"}
    made = [
        desk.ask("POST", "/v1/webhooks", body, token=token, idempotency_key="hook").json()["id"]
        for token in (one, two, one)
    ]
    assert made[0] == made[2] != made[1]


def test_what_a_meter_or_an_advisor_posts_again_counts_once(desk: Served, who: People) -> None:
    quote = opened(desk, who)
    units = voucher(who, quote, 1)
    readings = [
        desk.ask("POST", path_of(who, quote, "notes"), body, token=who.token, **headers)
        for body in ({"kind": "answered"}, {"kind": "interaction", "interactions": 3})
        for headers in ({}, {}, {"idempotency_key": "n"}, {"idempotency_key": "n"})
        if not headers or body["kind"] == "answered"
    ]
    assert [each.status_code for each in readings] == [200] * 6
    assert len(readings[-1].json()["notes"]) == 1
    assert "idempotent-replayed" in readings[3].headers
    given = {
        "units": 1,
        "journal": "0x" + units.journal.hex(),
        "signature": "0x" + units.signature.to_bytes().hex(),
    }
    path = path_of(who, quote, "vouchers")
    taken = [desk.ask("POST", path, given, idempotency_key="v") for _ in range(2)]
    assert taken[0].json() == taken[1].json() == desk.ask("POST", path, given).json()
    assert [("idempotent-replayed" in each.headers) for each in taken] == [False, True]
    none = desk.ask("POST", path_of(who, quote, "notes"), {"kind": "interaction"}, token=who.token)
    assert (none.status_code, slug(none)) == (422, "request-not-usable")


def test_an_error_is_not_kept_so_the_key_may_be_tried_again(desk: Served, who: People) -> None:
    asked = who.wanted()
    assert slug(desk.ask("POST", "/v1/quotes", asked, idempotency_key="quote")) == "advisor-away"
    with agent(desk, who):
        assert desk.ask("POST", "/v1/quotes", asked, idempotency_key="quote").status_code == 201


# ---------------------------------------------------------------------- the chain


def test_the_chain_is_read_through_the_desk(desk: Served) -> None:
    def asked(method: str, *params: object) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}

    assert desk.ask("POST", "/v1/chain", asked("eth_chainId")).json() == {
        "jsonrpc": "2.0",
        "id": 7,
        "result": hex(31337),
    }
    escrow = "0x" + desk.place.manifest.address("SessionEscrow").hex()
    batch = [
        asked("eth_getCode", escrow, "latest"),
        asked("eth_sendRawTransaction", "0x00"),
        asked("eth_getLogs", {"address": escrow, "fromBlock": "0x0", "toBlock": "0xffffff"}),
        asked("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"}),
        asked("eth_call", {"to": escrow, "data": "0x00000000"}, "latest"),
        asked("eth_call", {"to": escrow}, "latest", {escrow: {"code": "0x00"}}),
        asked("eth_getLogs", {"address": escrow, "fromBlock": "0x0"}),
    ]
    found = desk.ask("POST", "/v1/chain", batch).json()
    assert [("result" in each, each.get("error", {}).get("code")) for each in found] == [
        (True, None),
        (False, -32601),
        (False, -32602),
        (False, -32602),
        (False, 3),
        (False, -32602),
        (True, None),
    ]
    refused = desk.ask("POST", "/v1/chain", [asked("eth_chainId")] * 101)
    assert (refused.status_code, slug(refused)) == (403, "read-refused")


def test_money_is_as_it_stands_on_the_chain(desk: Served, who: People) -> None:
    path = f"/v1/accounts/{shown(who.client_key.address)}/balances"
    found = desk.ask("GET", path).json()["balances"]
    assert {each["symbol"]: each["wallet"] for each in found} == {"tUSD": str(MONEY), "ETH": "0"}
    odd = desk.ask("GET", f"{path}?token=0x{'77' * 20}")
    assert slug(odd) == "token-without-code"
