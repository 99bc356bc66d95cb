"""What somebody may try against a desk and those who use it, and does not get."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from websockets.exceptions import ConnectionClosed

from api_stage import COIN, PRICE, People, Served, funded, people, relayable, served
from conftest import Place
from honorarium.chain import Relayable
from honorarium.chain.deploy import shown
from honorarium.desk import Reading, TooMuchJournal, keep
from honorarium.desk.intake import Room
from honorarium.errors import HonorariumError, SessionNotOpen
from honorarium.ids import SessionId
from honorarium.ledger import Ledger, answers, sessions
from honorarium.ledger.schema import sessions as table
from honorarium.protocol import Entry, EntryKind, Key, Quote, SignedAcknowledgement
from honorarium.protocol.exposure import _without
from honorarium.protocol.records import entry_record
from honorarium.units import UnixTime
from metering import BEGAN
from test_intake import ANSWERED, one, opened, replica, together, voucher

K = EntryKind

# ---------------------------------------------------------------------- the books


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(str(tmp_path / "desk.sqlite3")) as made:
        made.set_up()
        yield made


def test_a_forgotten_journal_holds_up_nobody_and_its_session_can_still_be_read(
    ledger: Ledger,
) -> None:
    old, other = opened(ledger, 1), opened(ledger, 2)
    first = voucher(old, 1, ANSWERED)
    with replica(ledger) as desk:
        given = one(lambda: desk.take(old, first, [ANSWERED]))
    with ledger.write() as connection:
        sessions.change(connection, old, BEGAN, status="closed", closed_at=BEGAN)
    assert keep.prune(ledger, BEGAN + 11 * 86_400, 10).records == 1
    with replica(ledger) as desk:
        asked: list[Callable[[], Awaitable[object]]] = [
            partial(desk.read, old),
            partial(desk.take, other, voucher(other, 1, ANSWERED), [ANSWERED]),
            partial(desk.take, old, first, [ANSWERED]),
            partial(desk.take, old, voucher(old, 2, ANSWERED), [ANSWERED]),
        ]
        read, taken, again, more = together(*asked)
    assert isinstance(read, Reading)
    assert (read.units, read.journal, read.told) == (1, first.journal, ())
    assert isinstance(taken, SignedAcknowledgement)
    assert again == given
    assert isinstance(more, SessionNotOpen)


def test_a_session_that_cannot_be_read_holds_up_nobody(ledger: Ledger) -> None:
    broken, other = opened(ledger, 1), opened(ledger, 2)
    with ledger.write() as connection:
        connection.execute(update(table).where(table.c.session_id == broken).values(document="{}"))
    with replica(ledger) as desk:
        asked: list[Callable[[], Awaitable[object]]] = [
            partial(desk.read, broken),
            partial(desk.take, other, voucher(other, 1, ANSWERED), [ANSWERED]),
        ]
        refused, taken = together(*asked)
    assert isinstance(refused, HonorariumError)
    assert isinstance(taken, SignedAcknowledgement)


def test_what_is_said_again_and_again_fills_no_disk(ledger: Ledger) -> None:
    little = Room(notes=20, weight=60)
    session_id, noted = opened(ledger, 1), opened(ledger, 2)
    two = [Entry(UnixTime(BEGAN), kind) for kind in (K.ROBOT, K.QUEUED)]
    with replica(ledger, little) as desk:
        heard = together(
            *(partial(desk.hear, session_id, [two[turn % 2]] * 10, 0) for turn in range(20))
        )
        assert sum(isinstance(each, TooMuchJournal) for each in heard) == 14
        one(lambda: desk.take(session_id, voucher(session_id, 1, ANSWERED), [ANSWERED]))
        kinds = [K.ANSWERED, *[K.PAUSED, K.RESUMED] * 20]
        notes = together(
            *(partial(desk.note, noted, kind, BEGAN + at) for at, kind in enumerate(kinds))
        )
        # Of the 21 that find no room, 10 say what the last one that was kept says.
        assert sum(isinstance(each, TooMuchJournal) for each in notes) == 11
        counts = together(*(partial(desk.count, noted, units) for units in range(1, 101)))
        # As the deposit counts too.
        assert sum(isinstance(each, TooMuchJournal) for each in counts) == 61
    # As is known after a start, too.
    with replica(ledger, little) as desk, pytest.raises(TooMuchJournal):
        one(lambda: desk.hear(session_id, [two[0]], 1))


def test_pauses_are_taken_off_in_one_pass() -> None:
    dice = random.Random(3)

    def spans(most: int) -> list[tuple[int, int]]:
        marks = sorted(dice.choices(range(40), k=2 * dice.randrange(most)))
        return [(a, b) for a, b in zip(marks[::2], marks[1::2], strict=True) if a < b]

    for _ in range(3_000):
        given, holes = spans(6), spans(6)
        seconds = {s for a, b in given for s in range(a, b)}
        seconds -= {s for a, b in holes for s in range(a, b)}
        found = _without(given, holes)
        assert [s for a, b in found for s in range(a, b)] == sorted(seconds)
    many = [(10 * n, 10 * n + 5) for n in range(50_000)]
    began = time.monotonic()
    assert len(_without(many, [(a + 1, a + 2) for a, _ in many])) == 100_000
    assert time.monotonic() - began < 5  # one by one it would be minutes


def test_who_is_forgotten_is_in_no_stored_answer(ledger: Ledger) -> None:
    who = Key.generate().address
    with ledger.write() as connection:
        for scope, body in ((b"1" * 32, json.dumps({"client": shown(who)})), (b"2" * 32, "{}")):
            answers.claim(connection, scope, scope, "key", "me", BEGAN, BEGAN + 9, BEGAN + 99)
            answers.keep(connection, scope, "key", "me", answers.Kept(200, body))
    keep.erase(ledger, who)
    with ledger.read() as connection:
        assert connection.execute(answers.answers.select()).one().body == "{}"


# ---------------------------------------------------------------------- the API


@pytest.fixture(scope="module")
def desk(anvil: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    relayer = Key.generate()
    funded(anvil, relayer, coin=50 * COIN)
    folder = tmp_path_factory.mktemp("desk")
    with served(
        anvil, folder, relayer, webhooks_private=True, relays_per_account=12, log_level="error"
    ) as one_desk:
        yield one_desk


@pytest.fixture(scope="module")
def who(desk: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with people(desk, tmp_path_factory.mktemp("people")) as found:
        yield found


@pytest.fixture(scope="module")
def quote(desk: Served, who: People) -> Quote:
    """A session that runs."""
    made = who.in_advance()
    opening = relayable(who.client.sign_opening(made, 10 * PRICE))
    answer = desk.ask("POST", "/v1/sessions", {"quote": who.document(made), "relayable": opening})
    assert answer.status_code == 201, answer.text
    return made


def path_of(who: People, quote: Quote) -> str:
    return f"/v1/sessions/0x{id_of(who, quote).hex()}"


def id_of(who: People, quote: Quote) -> SessionId:
    return quote.session_id(who.contracts.escrow)


def slug(problem: dict[str, Any]) -> str:
    return str(problem["type"]).removeprefix("urn:honorarium:problem:")


def test_only_the_client_the_payer_and_the_meter_tell_what_happened(
    desk: Served, who: People, quote: Quote
) -> None:
    path = path_of(who, quote)
    left = {"entries": [entry_record(Entry(UnixTime(int(time.time())), K.LEFT))]}
    robot = {"entries": [entry_record(Entry(UnixTime(int(time.time())), K.ROBOT))]}
    stranger = desk.sign_in(Key.generate())
    meter = desk.sign_in(who.client.meter_key)
    for token, status in ((None, 401), (stranger, 403), (who.token, 403)):
        refused = desk.ask("POST", f"{path}/entries", left, token=token)
        assert refused.status_code == status, refused.text
    for headers, expected in (
        ({}, "not-signed-in"),
        ({"Authorization": f"Bearer {stranger}"}, "not-allowed"),
    ):
        with desk.listen(f"{path}/meter", **headers) as line:
            line.send(json.dumps(left))
            assert slug(json.loads(line.recv(10))["problem"]) == expected
    with desk.listen(f"{path}/meter", Authorization=f"Bearer {meter}") as line:
        line.send(json.dumps(robot))
        assert json.loads(line.recv(10)) == {"heard": 1}
    assert desk.ask("GET", f"{path}/reading", token=who.token).json()["stop"] is None


def test_what_is_not_a_partys_own_is_not_shown_and_not_touched(
    desk: Served, who: People, quote: Quote
) -> None:
    path, stranger = path_of(who, quote), desk.sign_in(Key.generate())
    client = desk.sign_in(who.client_key)
    hook = desk.ask("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/"}, token=client).json()
    advisor = f"/v1/advisors/{shown(who.advisor_key.address)}"
    tried: list[tuple[str, str, Any]] = [
        ("GET", f"{path}/journal", None),
        ("GET", f"{path}/reading", None),
        ("GET", f"{path}/events", None),
        ("GET", f"{path}/evidence", None),
        ("POST", f"{path}/settle", None),
        ("POST", f"{path}/notes", {"kind": "paused"}),
        ("GET", f"/v1/webhooks/{hook['id']}/deliveries", None),
        ("DELETE", f"/v1/webhooks/{hook['id']}", None),
        ("GET", f"{advisor}/earnings", None),
        ("PUT", advisor, {"name": "me"}),
        ("DELETE", f"{advisor}/tariffs/standard", None),
        ("GET", f"/v1/sessions?advisor={shown(who.advisor_key.address)}", None),
    ]
    for method, where, body in tried:
        for token in (stranger, None):
            answer = desk.ask(method, where, body, token=token)
            assert answer.status_code in ((401,) if token is None else (403, 404)), (where, answer)
    assert desk.ask("DELETE", f"/v1/webhooks/{hook['id']}", token=client).status_code == 204
    assert desk.ask("POST", f"{path}/notes", {"kind": "paused"}, token=client).status_code == 403


def test_bodies_that_no_reader_of_json_expects_are_no_fault_of_the_desk(
    desk: Served, who: People
) -> None:
    read = b'{"jsonrpc":"2.0","id":%s,"method":%s,"params":%s}'
    number = b'"eth_blockNumber"'
    lone, deep = b'"\\ud800"', b"[" * 900 + b"]" * 900
    for path, body in (
        ("/v1/chain", read % (lone, number, b"[]")),
        ("/v1/chain", read % (b"1", lone, b"[]")),
        ("/v1/chain", read % (deep, number, b"[]")),
        ("/v1/chain", read % (b"NaN", number, b"[]")),
        ("/v1/chain", read % (b"1" + b"0" * 400, number, b"[]")),
        ("/v1/chain", read % (b"1", b'"eth_call"', b'[{"\\ud800":1}]')),
        ("/v1/chain", read % (b"1", b'"eth_getCode"', b"[%s]" % lone)),
        ("/v1/chain", read % (b"1", b'"eth_feeHistory"', b'["0x1","latest",[NaN]]')),
        ("/v1/sessions", b'{"quote":{"kind":%s},"transaction":"0x%s"}' % (lone, b"11" * 32)),
        ("/v1/sessions", b'{"quote":{"x":%s},"transaction":"0x%s"}' % (deep, b"11" * 32)),
        ("/v1/sessions", b"[" * 100_000),
        ("/v1/quotes", b'{"\\ud800":1}'),
        ("/v1/sign-in", b'{"message":"\\u0000","signature":"0x00"}'),
        ("/v1/sign-in", b"1" * 5_000),
    ):
        given = {"content-type": "application/json"}
        answer = desk.http.post(desk.url + path, content=body, headers=given)
        assert answer.status_code < 500, (path, body[:80], answer.text)


def test_nobody_uses_up_what_the_desk_relays_for_another(
    desk: Served, who: People, quote: Quote
) -> None:
    path, crook = path_of(who, quote), Key.generate()
    leaving = who.client.sign_leaving(quote.terms)
    for turn in range(15):  # more than an account has in a minute
        spoilt = leaving.data[:-64] + crook.sign(bytes((turn,)) * 32).to_bytes()[:64]
        junk = {"relayable": relayable(Relayable("leave", leaving.to, spoilt))}
        refused = desk.ask("POST", f"{path}/leave", junk)
        assert refused.status_code in (400, 409), refused.text
    tip = who.client.sign_tip(quote.terms, 7)
    answer = desk.ask("POST", f"{path}/tip", {"relayable": relayable(tip)})
    assert answer.status_code == 200, answer.text


def test_a_stranger_or_another_token_spends_no_advisors_gas_by_tips(
    desk: Served, who: People, quote: Quote, tmp_path: Path
) -> None:
    path = path_of(who, quote)
    with people(desk, tmp_path) as other:
        tip = other.client.sign_tip(quote.terms, 7)
    refused = desk.ask("POST", f"{path}/tip", {"relayable": relayable(tip)})
    assert slug(refused.json()) == "not-relayable", refused.text
    mine = who.client.sign_tip(quote.terms, 7)
    token = quote.terms.token
    elsewhere = mine.data.replace(bytes(12) + token, bytes(12) + b"\x77" * 20)
    forged = Relayable("tip", mine.to, elsewhere)
    refused = desk.ask("POST", f"{path}/tip", {"relayable": relayable(forged)})
    assert slug(refused.json()) == "not-relayable", refused.text


@contextmanager
def receivers() -> Iterator[tuple[str, str, list[str]]]:
    """Two addresses, one that takes connections and never answers, one that does; what it heard."""
    heard: list[str] = []

    class Fast(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            heard.append(self.headers["webhook-id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with (
        socket.create_server(("127.0.0.1", 0), backlog=200) as silent,
        HTTPServer(("127.0.0.1", 0), Fast) as fast,
    ):
        thread = threading.Thread(target=fast.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield (
            f"http://127.0.0.1:{silent.getsockname()[1]}/",
            f"http://127.0.0.1:{fast.server_port}/",
            heard,
        )
        fast.shutdown()
        thread.join()


def test_a_webhook_that_never_answers_holds_up_no_other(desk: Served, who: People) -> None:
    client = desk.sign_in(who.client_key)
    made: list[tuple[str, str]] = []
    with receivers() as (silent, fast, heard):
        for url, token in [(silent, who.token)] * 8 + [(fast, client)]:
            wanted = {"url": url, "kinds": ["session.quoted"]}
            hook = desk.ask("POST", "/v1/webhooks", wanted, token=token).json()
            made.append((hook["id"], token))
        path = f"/v1/advisors/{shown(who.advisor_key.address)}/quotes"
        for _ in range(6):
            given = {"quote": who.document(who.in_advance())}
            assert desk.ask("POST", path, given, token=who.token).status_code == 201
        until = time.monotonic() + 8  # a silent one is waited for ten seconds
        while len(heard) < 6 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(heard) == len(set(heard)) == 6
        for hook_id, token in made:
            desk.ask("DELETE", f"/v1/webhooks/{hook_id}", token=token)


def test_frames_that_are_refused_count_as_requests(
    anvil: Place, desk: Served, tmp_path: Path
) -> None:
    with (
        served(anvil, tmp_path, desk.relayer, requests_per_minute=30) as strict,
        people(strict, tmp_path) as other,
    ):
        own = other.in_advance()
        given = {"quote": other.document(own), "transaction": "0x" + "11" * 32}
        assert strict.ask("POST", "/v1/sessions", given).status_code == 202
        said: list[str] = []
        with strict.listen(f"{path_of(other, own)}/meter") as line, suppress(ConnectionClosed):
            while len(said) < 40:
                line.send("{}")
                said.append(slug(json.loads(line.recv(10))["problem"]))
    assert said[-1] == "too-many-requests"
    assert len(said) < 32
