"""Desks that lie, break, or are somebody else's: what the SDK does about them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from honorarium.advisor import Agent, Offer
from honorarium.chain import Contracts, LocalChain, Node, OutboxUnusable, calls
from honorarium.chain.deploy import shown
from honorarium.client import Client, LiveMeter, Meter
from honorarium.desk import keep
from honorarium.errors import NodeUnreachable, TooManyUnits, WrongSignature
from honorarium.ids import ZERO_HASH, Address
from honorarium.ledger import Ledger
from honorarium.ledger.backup import backup, restore
from honorarium.protocol import (
    Acknowledgement,
    Key,
    SignedAcknowledgement,
    Tariff,
    TransactionFields,
)
from honorarium.protocol.documents import write_quote
from honorarium.protocol.sign_in import text_hash
from honorarium.protocol.signer import TextNotSigned
from honorarium.remote import (
    Desk,
    DeskNotNamed,
    DeskRefused,
    DeskUnreachable,
    NotADesk,
    OtherDesk,
    OtherQuote,
)
from honorarium.remote.place import blocking_through, chain_at
from honorarium.remote.problems import read_problem
from honorarium.units import BaseUnits, Seconds
from serving import Serving, crooked, free_port, serving

PRICE = 1_500_000
TARIFF = Tariff.per_interaction(PRICE, max_units=10)


@pytest.fixture
def people(
    chain: LocalChain, desk: Serving, tmp_path: Path
) -> Iterator[tuple[Desk, Client, Agent]]:
    """A client with money, and an advisor who is enrolled."""
    client, advisor = Key.generate(), Key.generate()
    with Contracts.connect(chain.url) as contracts:
        minted = calls.mint_batch([client.address], [10**9])
        contracts.sender(chain.accounts["payer"]).transact(contracts.default_token(), minted)
    with Desk.connect(desk.url, state=tmp_path) as place:
        agent = Agent(place, advisor)
        agent.enrol("Ada")
        yield place, Client(place, client), agent


def offered(agent: Agent, client: Client, **terms: Any) -> Any:
    meter = client.meter_key.address
    return agent.quote(client.address, meter, TARIFF, close_grace=600, **terms)


# ---------------------------------------------------------------------- who it is


def test_what_is_no_desk_is_told_apart_from_one_that_is_down(chain: LocalChain) -> None:
    with pytest.raises(NotADesk):
        Desk.connect(chain.url)
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DeskUnreachable, match="honorarium serve") as down:
        Desk.connect(nowhere)
    assert isinstance(down.value, NodeUnreachable)
    assert down.value.url == nowhere


def test_nobody_signs_in_for_another_address(desk: Serving, tmp_path: Path) -> None:
    with (
        crooked(desk.url, lambda method, path, said: said) as between,
        Desk.connect(between, state=tmp_path) as place,
        pytest.raises(OtherDesk) as refused,
    ):
        place.sign_in(Key.generate())
    assert refused.value.what == "domain"
    assert refused.value.expected in between
    assert refused.value.found in desk.url


def test_a_desk_that_the_advisor_did_not_name_is_refused(
    people: tuple[Desk, Client, Agent], desk: Serving, tmp_path: Path
) -> None:
    _, client, agent = people
    session = client.open(offered(agent, client))
    changes = {
        "account": lambda text: text.replace(text.splitlines()[1], _other(text.splitlines()[1])),
        "statement": lambda text: text.replace("acknowledge vouchers", "take money"),
        "chain": lambda text: text.replace("Chain ID: 1337", "Chain ID: 1"),
        "signed": lambda text: text.replace("Nonce: ", "Nonce: a"),
    }
    for what, change in changes.items():

        def forged(method: str, path: str, said: bytes, change: Any = change) -> bytes:
            if not path.startswith("/v1/advisors/"):
                return said
            found = json.loads(said)
            found["enrolment"]["message"] = change(found["enrolment"]["message"])
            return json.dumps(found).encode()

        with (
            crooked(desk.url, forged) as between,
            Desk.connect(between, state=tmp_path) as place,
            pytest.raises(DeskNotNamed, match=what),
        ):
            Client(place, client.core.signer, client.meter_key).join(session.terms)


def _other(address: str) -> str:
    return shown(Address(bytes.fromhex(address[2:])[::-1]))


def test_a_quote_of_other_terms_is_not_taken(
    people: tuple[Desk, Client, Agent], desk: Serving, tmp_path: Path
) -> None:
    place, client, agent = people
    agent.offer("standard", Offer(place.default_token(), TARIFF, close_grace=Seconds(600)))
    for salt in (1, 2):  # each is given out once
        agent.sign_ahead(offered(agent, client, context=ZERO_HASH, salt=salt))
    other = agent.quote(Key.generate().address, client.meter_key.address, TARIFF)

    def swapped(method: str, path: str, said: bytes) -> bytes:
        if path != "/v1/quotes":
            return said
        document = json.loads(write_quote(other, place.escrow))
        return json.dumps({**json.loads(said), "quote": document}).encode()

    def unsigned(method: str, path: str, said: bytes) -> bytes:
        if path != "/v1/quotes":
            return said
        found = json.loads(said)
        found["quote"]["signature"] = "0x" + Key.generate().sign(bytes(32)).to_bytes().hex()
        return json.dumps(found).encode()

    asked = (agent.address, "standard", client.address, client.meter_key.address)
    with crooked(desk.url, swapped) as between, Desk.connect(between, state=tmp_path) as false:
        with pytest.raises(OtherQuote) as refused:
            false.quote(*asked)
        assert refused.value.what == "client"
    with crooked(desk.url, unsigned) as between, Desk.connect(between, state=tmp_path) as false:
        with pytest.raises(WrongSignature) as forged:
            false.quote(*asked)
        assert forged.value.expected == agent.address


# ---------------------------------------------------------------------- what breaks


def test_an_answer_that_is_lost_is_asked_for_again_and_done_once(
    people: tuple[Desk, Client, Agent], desk: Serving, tmp_path: Path
) -> None:
    _place, client, agent = people
    session = client.open(offered(agent, client))
    lost: list[str] = []

    def losing(method: str, path: str, said: bytes) -> bytes | None:
        if path.endswith("/tip") and len(lost) < 2:
            lost.append(path)
            return None
        return said

    before = int(client.wallet())
    with crooked(desk.url, losing) as between, Desk.connect(between, state=tmp_path) as far:
        Client(far, client.core.signer, client.meter_key).tip(session.terms, "1")
    assert len(lost) == 2
    assert before - int(client.wallet()) == 1_000_000


def test_a_meter_and_an_agent_outlive_their_desk_and_go_on(
    chain: LocalChain, tmp_path: Path
) -> None:
    client_key, advisor_key = Key.generate(), Key.generate()
    with Contracts.connect(chain.url) as contracts:
        minted = calls.mint_batch([client_key.address], [10**9])
        contracts.sender(chain.accounts["payer"]).transact(contracts.default_token(), minted)
    with (
        serving(chain.url, chain.accounts["operator"], tmp_path / "desk") as running,
        Desk.connect(running.url, state=tmp_path) as place,
    ):
        agent = Agent(place, advisor_key)
        agent.enrol("Ada")
        client = Client(place, client_key, meters=tmp_path / "meters")
        session = client.open(offered(agent, client))
        lines: list[DeskUnreachable | None] = []
        with (
            LiveMeter(place, session, answer=2.0) as line,
            at_work(place, running.url, advisor_key, lines),
        ):
            line.answer()
            line.count()
            ledger, copy = running.folder / "desk.sqlite3", tmp_path / "copy.gz"
            with Ledger(str(ledger)) as opened:
                keep.erase(opened, agent.address)  # its sign-ins too
                backup(opened, copy)
            line.pause()
            line.resume()
            line.count()  # on the desk's disk, and not in the copy
            running.kill()
            line.count()  # signed, and nobody there
            assert (session.meter.exposure, _down(line)) == (1, True)
            for file in running.folder.glob("desk.sqlite3*"):
                file.rename(tmp_path / f"lost-{file.name}")
            with Ledger(str(ledger)) as opened:
                restore(copy, opened)
            running.start()
            until = time.monotonic() + 20
            while session.meter.exposure:
                assert time.monotonic() < until
                line.tick()
                time.sleep(0.1)
            line.count()
            assert (session.meter.signed_units, session.meter.exposure) == (4, 0)
            assert not _down(line)
            while len(lines) < 2:
                assert time.monotonic() < until
                time.sleep(0.1)
            down, there = lines
            assert isinstance(down, DeskUnreachable)
            assert there is None
        voucher = agent.voucher(session)
        assert voucher is not None
        assert voucher.units == 4
        session.meter.release()
        # The meter's file remembers who acknowledges.
        (file,) = (tmp_path / "meters").iterdir()
        again = Meter.resume_from(file, client.meter_key)
        assert again.acknowledged_by == place.facts().acknowledger
        again.release()


@contextmanager
def at_work(place: Desk, url: str, key: Key, lines: list[DeskUnreachable | None]) -> Iterator[None]:
    """The advisor's program on a line of its own, which notes what becomes of that."""
    over = threading.Event()

    def work() -> None:
        with Desk.connect(url) as own:
            Agent(own, key).serve(over.is_set, line=lines.append)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        until = time.monotonic() + 20
        while place.advisor(key.address).away:
            assert time.monotonic() < until
            time.sleep(0.05)
        yield
    finally:
        over.set()
        thread.join(20)
        assert not thread.is_alive()


def _down(line: LiveMeter) -> bool:
    return line.trouble is not None


def test_a_meter_takes_the_desks_word_only_from_the_desk_that_it_was_given(
    people: tuple[Desk, Client, Agent],
) -> None:
    place, client, agent = people
    desk, advisor = Key.generate(), agent.core.signer
    assert isinstance(advisor, Key)
    terms = offered(agent, client).terms
    deposit = BaseUnits(10 * PRICE)
    meter = Meter(terms, place.escrow, client.meter_key, deposit, acknowledged_by=desk.address)
    meter.answer(10)
    meter.count()
    voucher = meter.tick(11).voucher
    assert voucher is not None
    said = Acknowledgement(terms.session_id(place.escrow), voucher.units, voucher.journal)
    with pytest.raises(WrongSignature) as refused:
        meter.acknowledge(SignedAcknowledgement.sign(said, advisor, place.escrow))
    assert refused.value.expected == desk.address
    meter.acknowledge(SignedAcknowledgement.sign(said, desk, place.escrow))
    assert meter.exposure == 0


def test_what_cannot_be_kept_is_not_handed_over(
    people: tuple[Desk, Client, Agent], desk: Serving, tmp_path: Path
) -> None:
    _, client, agent = people
    session = client.open(offered(agent, client))
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "handed").write_text("a file where the folder should be")
    before = int(client.wallet())
    with (
        Desk.connect(desk.url, state=blocked) as place,
        pytest.raises(OutboxUnusable, match="handed"),
    ):
        Client(place, client.core.signer).tip(session.terms, "1", idempotency_key="once")
    assert int(client.wallet()) == before


def test_whose_fault_it_is_that_no_chain_answers_is_said(tmp_path: Path) -> None:
    class Down(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Down)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = chain_at(f"http://127.0.0.1:{server.server_address[1]}")
    try:
        with Node(url, wire=blocking_through) as node:
            with pytest.raises(NodeUnreachable, match="its own node does not answer"):
                node.block()
            with pytest.raises(NodeUnreachable, match="its own node does not answer"):
                node.batch([("eth_chainId", ()), ("eth_blockNumber", ())])
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(NotADesk, match="does not begin with http"):
        Desk.connect("127.0.0.1:8470", state=tmp_path)


# ---------------------------------------------------------------------- wallets and problems


class OwnWallet:
    """A wallet that keeps its key to itself."""

    def __init__(self) -> None:
        self._key = Key.generate()

    @property
    def address(self) -> Address:
        return self._key.address

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        raise AssertionError("nobody asked for that")

    def sign_transaction(self, fields: TransactionFields) -> bytes:
        raise AssertionError("nobody asked for that")


class TextWallet(OwnWallet):
    """As OwnWallet, and it signs text."""

    def sign_text(self, text: str) -> bytes:
        return self._key.sign(text_hash(text)).packed()


def test_a_wallet_signs_in_if_it_signs_text(people: tuple[Desk, Client, Agent]) -> None:
    place, _, _ = people
    wallet = TextWallet()
    assert place.sign_in(wallet).token
    place.sign_out(wallet)
    with pytest.raises(TextNotSigned) as refused:
        place.sign_in(OwnWallet())
    assert "sign_text" in str(refused.value)


def test_a_problem_of_another_version_is_told_in_its_own_words() -> None:
    known = {"title": "TooManyUnits", "status": 400, "detail": "as it was", "allowed": 1}
    told = read_problem(known)
    assert isinstance(told, DeskRefused)
    assert (told.title, told.status, told.detail, told.members) == (
        "TooManyUnits",
        400,
        "as it was",
        {"allowed": 1},
    )
    raised = read_problem({**known, "given": "60"})
    assert raised == TooManyUnits(1, 60)
