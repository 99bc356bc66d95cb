"""Nobody drains the relayer, and nobody holds the server up."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from api_stage import (
    COIN,
    MONEY,
    OFFER,
    PRICE,
    People,
    Served,
    funded,
    people,
    relayable,
    served,
    slug,
)
from conftest import Place
from honorarium.api import logs
from honorarium.artifacts import artifact
from honorarium.chain import Node, Relayable, Sender, calls
from honorarium.chain.deploy import shown
from honorarium.desk.hooks import is_public
from honorarium.desk.limits import network_of
from honorarium.ids import Address, Hash
from honorarium.ledger import spending
from honorarium.protocol import Key

pytestmark = pytest.mark.usefixtures("logs_as_they_were")

Start = Callable[..., Served]


@pytest.fixture(scope="module")
def relayer(anvil: Place) -> Key:
    key = Key.generate()
    funded(anvil, key, coin=50 * COIN)
    return key


@pytest.fixture
def start(anvil: Place, relayer: Key, tmp_path: Path) -> Iterator[Start]:
    """Starts desks with settings of their own."""
    with ExitStack() as stack:

        def one(key: Key = relayer, **changes: Any) -> Served:
            folder = tmp_path / f"desk{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(served(anvil, folder, key, **changes))

        yield one


def opening(who: People, deposit: int = 10 * PRICE) -> dict[str, Any]:
    quote = who.in_advance()
    return {
        "quote": who.document(quote),
        "relayable": relayable(who.client.sign_opening(quote, deposit)),
    }


def nobody(tmp_path: Path, one: Served) -> AbstractContextManager[People]:
    return people(one, tmp_path / "people")


# ---------------------------------------------------------------------- the relayer


def test_an_account_is_relayed_for_so_often_a_minute(start: Start, tmp_path: Path) -> None:
    one = start(relays_per_account=2)
    with nobody(tmp_path, one) as who:
        answers = [one.ask("POST", "/v1/sessions", opening(who)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert slug(answers[2]) == "too-many-requests"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


def test_a_days_gas_is_counted_for_each_advisor_and_all_together(
    start: Start, tmp_path: Path
) -> None:
    one = start(gas_budget_per_account=0.0003)
    with nobody(tmp_path, one) as who, Node(one.place.chain.url) as node:
        before = node.balance(one.relayer.address)
        answers: list[Any] = []
        while not answers or (answers[-1].status_code == 201 and len(answers) < 20):
            answers.append(one.ask("POST", "/v1/sessions", opening(who)))
        cost = before - node.balance(one.relayer.address)
        assert slug(answers[-1]) == "gas-budget-spent"
        assert answers[-1].json()["account"] == "0x" + who.advisor_key.address.hex()
        assert cost <= 0.0003 * COIN

        def counted(account: Address) -> Any:
            day = int(time.time()) // 86_400
            return one.do(one.front.aside.read(lambda c: spending.of(c, account, day)))

        gwei = counted(who.advisor_key.address)
        assert gwei == counted(Address(bytes(20)))
        assert cost <= gwei * 10**9 <= cost + 20 * 10**9  # each rounded up


def test_an_opening_has_to_be_worth_its_gas(anvil: Place, start: Start, tmp_path: Path) -> None:
    token = shown(anvil.manifest.address("TestUSD"))
    one = start(coin_prices={token: 10**15})
    with nobody(tmp_path, one) as who:
        refused = one.ask("POST", "/v1/sessions", opening(who))
        assert (refused.status_code, slug(refused)) == (422, "not-worth-the-gas")
        assert int(refused.json()["needed"]) > refused.json()["given"] == 10 * PRICE


def test_a_top_up_and_a_deposit_have_to_be_worth_their_gas(
    anvil: Place, start: Start, tmp_path: Path
) -> None:
    token = shown(anvil.manifest.address("TestUSD"))
    one = start(coin_prices={token: 10**12})
    with nobody(tmp_path, one) as who:
        deposit = MONEY // 2
        quote = who.in_advance()
        document, signed = who.document(quote), relayable(who.client.sign_opening(quote, deposit))
        opened = one.ask("POST", "/v1/sessions", {"quote": document, "relayable": signed})
        assert opened.status_code == 201, opened.text
        path = f"/v1/sessions/0x{quote.session_id(who.contracts.escrow).hex()}/top-up"

        def topped(deposit: int) -> Any:
            signed = who.client.sign_top_up(quote, deposit)
            return one.ask("POST", path, {"relayable": relayable(signed)})

        def filled(amount: int) -> Any:
            signed = who.client.sign_deposit(amount)
            return one.ask("POST", "/v1/deposits", {"relayable": relayable(signed)})

        for refused in (topped(deposit + 7), filled(7)):
            assert slug(refused) == "not-worth-the-gas", refused.text
            assert int(refused.json()["needed"]) > refused.json()["given"] == 7
        enough = int(refused.json()["needed"]) * 2
        for sent in (topped(deposit + enough), filled(enough)):
            assert sent.status_code == 200, sent.text


def test_made_up_money_buys_no_gas(start: Start, tmp_path: Path) -> None:
    one = start()
    with nobody(tmp_path, one) as who, Node(one.place.chain.url) as node:
        minter = Sender(node, one.place.key("payer"))
        made_up = minter.transact(None, artifact("TestUSD").bytecode).contract
        assert made_up is not None
        sent = node.transaction_count(one.relayer.address)
        quote = who.in_advance(token=made_up)
        escrow = who.contracts.escrow.contract
        act = calls.request_close(quote.terms, quote.terms.client, b"\x01" * 65)
        leave = {"relayable": relayable(Relayable("leave", escrow, act))}
        data = calls.deposit_with_authorization(
            made_up, who.client_key.address, 10**12, Hash(bytes(32)), 0, 2**32, b"\x01" * 65
        )
        fill = {"relayable": relayable(Relayable("deposit", escrow, data))}
        # An account that the desk knows: only what the token is worth stands in the way.
        assert one.ask("POST", "/v1/sessions", opening(who)).status_code == 201
        sent += 1
        session = f"/v1/sessions/0x{quote.session_id(who.contracts.escrow).hex()}"
        advisor = f"/v1/advisors/{shown(who.advisor_key.address)}"
        offer = {**OFFER, "token": shown(made_up)}
        document = {"quote": who.document(quote)}
        for answer in (
            one.ask("POST", f"{session}/leave", leave),
            one.ask("POST", "/v1/deposits", fill),
            one.ask("PUT", f"{advisor}/tariffs/other", offer, token=who.token),
            one.ask("POST", f"{advisor}/quotes", document, token=who.token),
            one.ask("POST", "/v1/sessions", {**document, **leave}),
        ):
            assert (answer.status_code, slug(answer)) == (422, "token-not-settled"), answer.text
            assert answer.json()["token"] == "0x" + made_up.hex()
        assert node.transaction_count(one.relayer.address) == sent


def test_pages_of_named_origins_may_ask(start: Start) -> None:
    ours, name = "https://shop.example", "access-control-allow-origin"
    one, other = start(origins=(ours,)), start()
    assert one.ask("GET", "/v1", origin=ours).headers[name] == ours
    assert name not in one.ask("GET", "/v1", origin="https://other.example").headers
    assert name not in other.ask("GET", "/v1", origin=ours).headers
    asks = {
        "origin": ours,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, idempotency-key",
    }
    told = one.http.options(f"{one.url}/v1/quotes", headers=asks)
    assert (told.status_code, told.headers[name]) == (200, ours)


def test_an_empty_relayer_says_so_and_is_not_ready(start: Start, tmp_path: Path) -> None:
    one = start(Key.generate())
    with nobody(tmp_path, one) as who:
        refused = one.ask("POST", "/v1/sessions", opening(who))
    assert (refused.status_code, slug(refused)) == (503, "relayer-empty")
    ready = one.ask("GET", "/readyz")
    assert (ready.status_code, slug(ready)) == (503, "not-ready")
    assert "relayer" in ready.json()["faults"][0]
    assert one.ask("GET", "/healthz").status_code == 200


def test_nothing_is_sent_that_the_contract_would_refuse_or_nobody_here_advises(
    start: Start, tmp_path: Path
) -> None:
    one = start()
    with nobody(tmp_path, one) as who, Node(one.place.chain.url) as node:
        sent = node.transaction_count(one.relayer.address)
        poor = one.ask("POST", "/v1/sessions", opening(who, 10**12))
        assert (poor.status_code, slug(poor)) == (409, "token-call-failed")
        low = one.ask("POST", "/v1/sessions", opening(who, 9))
        assert (low.status_code, slug(low)) == (409, "deposit-too-small")
        assert (low.json()["needed"], low.json()["given"]) == (str(PRICE), "9")
        quote = who.in_advance()
        path = f"/v1/sessions/0x{quote.session_id(who.contracts.escrow).hex()}/leave"
        unopened = {"relayable": relayable(who.client.sign_leaving(quote.terms))}
        assert slug(one.ask("POST", path, unopened)) == "session-not-open"
        stolen = calls.request_close(quote.terms, one.relayer.address)
        escrow = who.contracts.escrow.contract
        unsigned = {"relayable": relayable(Relayable("leave", escrow, stolen))}
        assert slug(one.ask("POST", path, unsigned)) == "not-relayable"
        other = start(advisors=(shown(Key.generate().address),))
        strange = other.ask("POST", "/v1/sessions", opening(who))
        assert (strange.status_code, slug(strange)) == (404, "advisor-not-known")
        key = Key.generate()
        enrolment = other.message(key, other.front.sign_ins.enrolment_statement)
        token = other.ask("POST", "/v1/sign-in", enrolment).json()["token"]
        mine = f"/v1/advisors/{shown(key.address)}"
        refused = other.ask("PUT", mine, {"name": "x", "enrolment": enrolment}, token=token)
        assert slug(refused) == "not-allowed"
        assert node.transaction_count(one.relayer.address) == sent


def test_a_token_that_burns_gas_is_not_paid_for(start: Start, tmp_path: Path) -> None:
    one = start(gas_per_relay=100_000)
    with nobody(tmp_path, one) as who:
        refused = one.ask("POST", "/v1/sessions", opening(who))
    assert (refused.status_code, slug(refused)) == (422, "relay-too-dear")
    assert refused.json()["most"] == 100_000


# ---------------------------------------------------------------------- the server


def raw(one: Served, *parts: bytes, pause: float = 0.0, wait: float = 5.0) -> bytes:
    """What the server says to these bytes before it hangs up, or in time."""
    with socket.create_connection(("127.0.0.1", one.settings.port), wait) as line:
        for part in parts:
            line.sendall(part)
            time.sleep(pause)
        said = b""
        try:
            while more := line.recv(65_536):
                said += more
        except (TimeoutError, ConnectionResetError):
            pass
        return said


HEAD = b"POST /v1/quotes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


def test_a_body_that_is_too_long_is_not_read(start: Start) -> None:
    one = start(body_bytes=1_024)
    said = raw(one, HEAD + b"content-length: 99999999\r\n\r\n{")
    assert said.startswith(b"HTTP/1.1 413")
    assert b"body-too-long" in said
    chunk = b"400\r\n" + b"x" * 1_024 + b"\r\n"
    said = raw(one, HEAD + b"transfer-encoding: chunked\r\n\r\n", chunk, chunk)
    assert said.startswith(b"HTTP/1.1 413")


def test_the_slow_and_the_silent_are_hung_up_on(start: Start) -> None:
    one = start(body_seconds=0.3, head_seconds=0.5)
    began = time.monotonic()
    said = raw(one, HEAD + b"content-length: 99\r\n\r\n{")  # and is not kept for the rest
    assert said.startswith(b"HTTP/1.1 408")
    assert b"body-too-slow" in said
    assert raw(one) == b""  # says nothing
    assert raw(one, b"GET / HT", b"TP/1.1\r\n", b"a: b\r\n", pause=0.2) == b""
    assert time.monotonic() - began < 4
    assert one.ask("GET", "/healthz").status_code == 200


def test_an_address_asks_so_often_a_minute(start: Start) -> None:
    one = start(requests_per_minute=5)
    answers = [one.ask("GET", "/v1") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert slug(answers[-1]) == "too-many-requests"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert one.ask("GET", "/readyz").status_code == 200  # who watches the desk still may


def test_an_address_has_so_many_sockets(start: Start) -> None:
    one = start(sockets_per_address=2)
    first, second = one.listen("/v1/agent"), one.listen("/v1/agent")
    with pytest.raises(InvalidStatus) as refused:
        one.listen("/v1/agent")
    assert refused.value.response.status_code == 429
    first.close()
    second.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            one.listen("/v1/agent").close()
            return
        except InvalidStatus:
            time.sleep(0.05)
    raise AssertionError("a closed socket still counts")


def test_an_agents_line_takes_no_nonsense(start: Start, tmp_path: Path) -> None:
    one = start()
    for frame in ("", "[]", "{", '{"token": 5}', '{"token": "hon_x"}', b"\xff\xfe"):
        with one.listen("/v1/agent") as line:
            line.send(frame)
            assert json.loads(line.recv(10))["problem"]["title"] == "NotSignedIn"
    with nobody(tmp_path, one) as who, one.listen("/v1/agent") as line:
        line.send(json.dumps({"token": who.token}))
        assert json.loads(line.recv(10)) == {"ready": True}
        for frame in ("", "[]", "{", '{"id": 5}', '{"id": "x", "signature": "0xzz"}', b"\xff"):
            line.send(frame)
        line.send(json.dumps({"id": "nobody-asked", "signature": "0x11"}))
        assert line.ping().wait(5)


def test_what_is_not_there_is_a_problem_too(start: Start) -> None:
    one = start()
    for method, path, status, problem in (
        ("GET", "/v1/nothing", 404, "no-such-route"),
        ("PATCH", "/v1", 405, "method-not-allowed"),
        ("GET", "/v1/sessions/0x12", 404, "no-session-id"),
        ("GET", f"/v1/sessions/0x{'00' * 32}", 404, "session-not-known"),
        ("GET", "/v1/advisors/0xabc", 404, "no-address"),
        ("GET", "/v1/advisors?cursor=%00", 400, "cursor-not-usable"),
        ("GET", "/v1/advisors?limit=0", 422, "request-not-usable"),
        ("POST", "/v1/quotes", 422, "request-not-usable"),
    ):
        answer = one.ask(method, path)
        assert (answer.status_code, slug(answer)) == (status, problem), answer.text
        assert answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert one.ask("PATCH", "/v1").headers["allow"] == "GET"
    assert one.ask("PATCH", "/v1/sessions").headers["allow"] == "GET, POST"
    assert one.ask("POST", f"/v1/advisors/0x{'11' * 20}").headers["allow"] == "GET, PUT"


def test_a_fault_of_the_desks_own_has_a_number_that_is_in_the_log_and_tells_nothing(
    start: Start,
) -> None:
    one, written = start(), io.StringIO()

    async def broken() -> None:
        raise ZeroDivisionError("the combination of the safe is hon_12345678secret")

    one.app.add_api_route("/broken", broken)
    logs.set_up("info", written)
    answer = one.ask("GET", "/broken")
    assert (answer.status_code, slug(answer)) == (500, "internal-fault")
    assert "safe" not in answer.text
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (told,) = [line for line in lines if line.get("fault") == answer.json()["fault"]]
    assert "ZeroDivisionError: the combination of the safe is [hidden]" in told["exception"]


def test_logs_are_lines_of_json_without_secrets(start: Start, tmp_path: Path) -> None:
    written = io.StringIO()
    logs.set_up("debug", written)
    one = start()
    with nobody(tmp_path, one) as who:
        body = opening(who)
        message = one.message(who.client_key)
        mine = one.ask("POST", "/v1/sign-in", message).json()["token"]
        hook = one.ask("POST", "/v1/webhooks", {"url": "https://example.org"}, token=mine).json()
        one.ask("POST", "/v1/sessions", body, idempotency_key="secret-key-of-mine")
        one.ask("GET", f"/v1/sessions/0x{'11' * 32}/events?access_token={mine}")
        secrets = [
            who.token,
            mine,
            hook["secret"],
            message["signature"][2:],
            body["relayable"]["data"][-130:],
            "secret-key-of-mine",
            one.relayer.secret().hex(),
            who.client_key.secret().hex(),
        ]
    text = written.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["route"] for line in lines if "route" in line} >= {"/v1/sessions", "/v1/sign-in"}
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert [secret for secret in secrets if secret in text] == []


@pytest.mark.parametrize(
    ("given", "shown_as"),
    [
        ("token=hon_abcdefgh1234", "token=[hidden]"),
        ("Authorization: Bearer abc.def", "Authorization: [hidden]"),
        ("postgresql://desk:geheim@db/x", "postgresql[hidden]db/x"),
        ({"signature": "0x12", "units": 3}, {"signature": "[hidden]", "units": 3}),
        ({"a": [{"secret": 5}, "whsec_AAAABBBBCCCC"]}, {"a": [{"secret": "[hidden]"}, "[hidden]"]}),
        (b"\x01" * 65, "[hidden]"),
        ("0x" + "ab" * 32, "0x" + "ab" * 32),
    ],
)
def test_what_is_hidden_in_logs(given: object, shown_as: object) -> None:
    assert logs.hide(given) == shown_as


def test_whose_address_counts() -> None:
    assert network_of("203.0.113.7") == "203.0.113.7"
    assert network_of("::ffff:203.0.113.7") == "203.0.113.7"
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("testclient") == "testclient"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::1", False),
        ("::7f00:1", False),
        ("ff02::1", False),
    ],
)
def test_which_addresses_webhooks_may_lead_to(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_many_at_once_with_one_key_do_it_once(start: Start, tmp_path: Path) -> None:
    one = start()
    with nobody(tmp_path, one) as who:
        body, answers = opening(who), []
        before = who.contracts.node.transaction_count(one.relayer.address)

        def ask() -> None:
            answers.append(one.ask("POST", "/v1/sessions", body, idempotency_key="same"))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1
        assert [answer.headers.get("idempotent-replayed") for answer in answers].count(None) == 1
        assert who.contracts.node.transaction_count(one.relayer.address) == before + 1


@pytest.mark.parametrize(("wanted", "allowed"), [(100, 256), (700, 700), (5_000, 1_000)])
def test_connections_are_not_held_back_by_the_limit_of_open_files(
    wanted: int, allowed: int
) -> None:
    program = (
        "import resource; from honorarium.api.server import allow_open_files; "
        "files = resource.RLIMIT_NOFILE; resource.setrlimit(files, (256, 1_000)); "
        f"allow_open_files({wanted}); print(*resource.getrlimit(files))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert told.stdout.split() == [str(allowed).encode(), b"1000"]
