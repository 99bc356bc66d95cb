"""Several replicas on one ledger: any of them may be asked, and things happen once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from standardwebhooks import Webhook

from api_stage import COIN, PRICE, People, Served, agent, funded, people, relayable, served
from conftest import Place
from databases import Databases
from honorarium.ledger import answers, events
from honorarium.protocol import Key

Pair = tuple[Served, Served]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(
    request: pytest.FixtureRequest, anvil: Place, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Two replicas of one desk, on either database."""
    relayer, folder = Key.generate(), tmp_path_factory.mktemp("pair")
    funded(anvil, relayer, coin=10 * COIN)
    with ExitStack() as stack:
        ledger = str(folder / "ledger.sqlite3")
        if request.param == "postgresql":
            databases: Databases = request.getfixturevalue("postgres")
            ledger = stack.enter_context(databases.empty())
        found = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            changes = {
                "ledger": ledger,
                "webhooks_private": True,
                "webhook_seconds": 0.02,
                # As behind one address: what is signed for one replica counts at the other.
                "public_url": "http://127.0.0.1:1",
            }
            found.append(stack.enter_context(served(anvil, folder / name, relayer, **changes)))
        yield found[0], found[1]


@pytest.fixture
def who(pair: Pair, tmp_path: Path) -> Iterator[People]:
    with people(pair[0], tmp_path) as found:
        yield found


class Listener(BaseHTTPRequestHandler):
    """Hears webhooks. `says` are the statuses of its next answers; then 200."""

    heard: ClassVar[list[tuple[dict[str, str], bytes]]]
    says: ClassVar[list[int]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status = self.says.pop(0) if self.says else 200
        self.send_response(status)
        if status in (301, 307):
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def listener() -> Iterator[tuple[str, type[Listener]]]:
    class Own(Listener):
        heard: ClassVar[list[tuple[dict[str, str], bytes]]] = []
        says: ClassVar[list[int]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", Own
    server.shutdown()
    server.server_close()


def until(done: Any, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def opened(one: Served, who: People) -> str:
    quote = who.in_advance()
    signed = relayable(who.client.sign_opening(quote, 10 * PRICE))
    answer = one.ask("POST", "/v1/sessions", {"quote": who.document(quote), "relayable": signed})
    assert answer.status_code == 201, answer.text
    session: str = answer.json()["session"]["session"]
    return session


def test_an_agent_at_one_replica_signs_quotes_asked_for_at_another(pair: Pair, who: People) -> None:
    one, two = pair
    with agent(one, who):
        until(lambda: not _away(two, who))
        began = time.monotonic()
        for _ in range(5):
            answer = two.ask("POST", "/v1/quotes", who.wanted())
            assert answer.status_code == 201, answer.text
        assert time.monotonic() - began < 5
    until(lambda: _away(two, who))


def _away(one: Served, who: People) -> bool:
    found = one.ask("GET", f"/v1/advisors/0x{who.advisor_key.address.hex()}")
    return bool(found.json()["away"])


def test_one_key_at_two_replicas_does_it_once(pair: Pair, who: People) -> None:
    quote = who.in_advance()
    signed = relayable(who.client.sign_opening(quote, 10 * PRICE))
    body, answers_given = {"quote": who.document(quote), "relayable": signed}, []
    before = who.contracts.node.transaction_count(pair[0].relayer.address)

    def ask(one: Served) -> None:
        answers_given.append(one.ask("POST", "/v1/sessions", body, idempotency_key="same"))

    threads = [threading.Thread(target=ask, args=(one,)) for one in pair * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers_given} == {201}
    assert len({answer.text for answer in answers_given}) == 1
    assert who.contracts.node.transaction_count(pair[0].relayer.address) == before + 1
    other = {**body, "relayable": {**signed, "action": "something else"}}
    assert pair[1].ask("POST", "/v1/sessions", other, idempotency_key="same").status_code == 409


def test_a_request_that_a_dead_replica_began_is_taken_over(pair: Pair, who: People) -> None:
    """As after a crash between the transaction and its answer: the same one is followed."""
    one, two = pair
    opened(one, who)  # the relayer's first
    quote = who.in_advance()
    signed = relayable(who.client.sign_opening(quote, 10 * PRICE))
    body = {"quote": who.document(quote), "relayable": signed}
    first = one.ask("POST", "/v1/sessions", body, idempotency_key="crash").json()
    now = int(time.time())

    def undone(connection: Any) -> None:
        table = answers.answers
        connection.execute(
            table.update()
            .where(table.c.status == 201)
            .values(status=None, body=None, holder="dead", held_until=now - 1)
        )

    two.do(two.front.aside.write(undone))
    before = who.contracts.node.transaction_count(one.relayer.address)
    again = two.ask("POST", "/v1/sessions", body, idempotency_key="crash")
    assert again.status_code == 201
    assert again.json()["sent"]["transaction"] == first["sent"]["transaction"]
    assert who.contracts.node.transaction_count(one.relayer.address) == before


def test_webhooks_are_told_signed_and_again_until_they_listen(
    pair: Pair, who: People, listener: tuple[str, type[Listener]]
) -> None:
    one, two = pair
    url, own = listener
    token = one.sign_in(who.client_key)
    made = one.ask("POST", "/v1/webhooks", {"url": url, "kinds": ["session.opened"]}, token=token)
    assert made.status_code == 201, made.text
    hook, secret = made.json()["id"], made.json()["secret"]
    (listed,) = two.ask("GET", "/v1/webhooks", token=token).json()["items"]
    assert "secret" not in listed
    own.says += [500, 307]
    session = opened(one, who)
    until(lambda: len(own.heard) == 3, 20)
    told = [Webhook(secret).verify(body, headers) for headers, body in own.heard]
    assert [each["type"] for each in told] == ["session.opened"] * 3
    assert told[0]["data"]["session"] == session
    assert len({headers["webhook-id"] for headers, _ in own.heard}) == 1

    def delivery() -> dict[str, Any]:
        path = f"/v1/webhooks/{hook}/deliveries"
        (found,) = two.ask("GET", path, token=token).json()["items"]
        return dict(found)

    until(lambda: delivery()["status"] == "delivered")
    assert (delivery()["attempts"], delivery()["answered"]) == (3, 200)
    assert one.ask("DELETE", f"/v1/webhooks/{hook}", token=token).status_code == 204
    assert one.ask("DELETE", f"/v1/webhooks/{hook}", token=token).status_code == 404


def test_each_event_is_told_by_one_replica_and_a_webhook_that_is_gone_is_left_alone(
    pair: Pair, who: People, listener: tuple[str, type[Listener]]
) -> None:
    one, two = pair
    url, own = listener
    made = one.ask("POST", "/v1/webhooks", {"url": url}, token=who.token).json()
    many = 40

    def tell(connection: Any) -> None:
        for _ in range(many):
            events.record_event(
                connection, "session.warning", None, {"percent": 80}, [who.advisor_key.address]
            )

    two.do(two.front.aside.write(tell))
    until(lambda: len(own.heard) >= many)
    time.sleep(0.7)
    assert len(own.heard) == len({headers["webhook-id"] for headers, _ in own.heard}) == many
    own.says += [410]
    one.do(
        one.front.aside.write(
            lambda c: events.record_event(c, "session.warning", None, {}, [who.advisor_key.address])
        )
    )

    def disabled() -> bool:
        (found,) = two.ask("GET", "/v1/webhooks", token=who.token).json()["items"]
        assert found["id"] == made["id"]
        return bool(found["disabled"])

    until(disabled)


def test_an_event_is_told_only_if_its_effect_stays(pair: Pair, who: People) -> None:
    one, _ = pair
    one.ask("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/"}, token=who.token)

    def undone(connection: Any) -> None:
        events.record_event(connection, "session.closed", None, {}, [who.advisor_key.address])
        raise LookupError

    with pytest.raises(LookupError):
        one.do(one.front.aside.write(undone))
    found = one.do(one.front.aside.read(lambda c: list(c.execute(events.events.select()))))
    assert "session.closed" not in {row.kind for row in found}


def test_webhooks_never_lead_into_the_desks_own_network(anvil: Place, tmp_path: Path) -> None:
    relayer = Key.generate()
    with served(anvil, tmp_path, relayer, webhook_seconds=1.0) as one:
        key = Key.generate()
        token = one.sign_in(key)
        for url in (
            "http://example.org/",
            "https://127.0.0.1/",
            "https://[::1]:8470/x",
            "https://169.254.169.254/latest/meta-data",
            "https://me:word@example.org/",
            "ftp://example.org/",
            "https://",
            "https://exa mple.org/",
        ):
            refused = one.ask("POST", "/v1/webhooks", {"url": url}, token=token)
            assert (refused.status_code, refused.json()["title"]) == (400, "WebhookNotUsable"), url
        named = {"url": "https://localhost:1/hook"}
        made = one.ask("POST", "/v1/webhooks", named, token=token).json()
        one.do(
            one.front.aside.write(
                lambda c: events.record_event(c, "session.warning", None, {}, [key.address])
            )
        )

        def problem() -> Any:
            path = f"/v1/webhooks/{made['id']}/deliveries"
            return one.ask("GET", path, token=token).json()["items"][0]["problem"]

        until(problem)
        assert problem() == "its name leads to an address that is not public"
