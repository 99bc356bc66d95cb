"""Settling with real processes that are killed, on real chains that change their mind."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import select

from conftest import Place
from honorarium.chain import LocalChain, Node, calls, deploy
from honorarium.ledger.events import events
from honorarium.ledger.schema import records
from settling import PRICE, Town

STEPS = ("claimed", "signed", "sent", "mined", "final", "recorded")


@pytest.fixture
def town(anvil: Place, database: str) -> Iterator[Town]:
    town = Town(anvil.chain, anvil.manifest, database)
    yield town
    town.close()


@contextmanager
def a_town(chain: LocalChain, database: str) -> Iterator[Town]:
    with Node(chain.url) as node:
        manifest = deploy(node, chain.accounts["operator"], test_token=True)
    town = Town(chain, manifest, database)
    yield town
    town.close()


@pytest.fixture
def own_town(tmp_path: Path) -> Iterator[Town]:
    """On an Anvil of its own, whose blocks may be undone."""
    with (
        LocalChain.start(engine="anvil") as chain,
        a_town(chain, f"sqlite:///{tmp_path / 'ledger.sqlite3'}") as town,
    ):
        yield town


def each_settled_once(town: Town, sessions: int) -> None:
    """No session twice, no transaction twice, nothing left over."""
    town.until("every session is let go", lambda: town.claims() == 0)
    assert town.outcomes().count("settled") == sessions
    assert "skipped" not in town.outcomes()
    transactions = [row["transaction_hash"] for row in town.batches()]
    assert {row["state"] for row in town.batches()} == {"done"}
    assert town.sent() == len(transactions) == len(set(transactions))


# ---------------------------------------------------------------------- processes that die


def test_killed_at_every_step_and_every_session_is_settled_once(town: Town) -> None:
    everything = []
    for step in STEPS if town.ledger.is_sqlite else STEPS[1::2]:  # each takes a process
        fresh = town.open(3)
        town.vouch(fresh, 2)
        everything += fresh
        victim = town.replica(die_at=step)
        assert victim.died(), f"not killed at {step!r}: {victim.said[-5:]}"
        victim.kill()
    with town.replica() as last:
        last.hear("ready")
        town.until("all is settled", lambda: set(town.earned(everything)) == {2 * PRICE})
        each_settled_once(town, len(everything))
        town.listed()
        assert last.end() == 0


def test_two_replicas_share_the_work_and_one_takes_over_within_seconds(town: Town) -> None:
    several = town.open(150)
    with (
        town.replica(die_at="sent", policy={"rows": 20}) as victim,
        town.replica(policy={"rows": 20}) as other,
    ):
        victim.hear("ready")
        other.hear("ready")
        for start in range(0, len(several), 15):  # a wave is whose who looks first, every 0.2 s
            town.vouch(several[start : start + 15], 1)
            time.sleep(0.25)
        assert victim.died()
        killed = time.monotonic()
        town.until("all is settled", lambda: set(town.earned(several)) == {PRICE})
        each_settled_once(town, len(several))
        assert time.monotonic() - killed < 15
        assert other.end() == 0
    replicas = {row["replica"] for row in town.batches()}
    assert len(replicas) <= 2


def test_who_ends_in_good_order_leaves_the_rest_to_the_next(own_town: Town) -> None:
    town = own_town
    some = town.open(2)
    town.vouch(some, 1)
    town.node.request("anvil_mine", ["0x4"])
    with town.replica(confirmations=4) as first:
        first.hear("mined")
        assert first.end() == 0  # three more blocks are missing
    assert town.claims() == 2
    with town.replica(confirmations=4) as second:
        second.hear("ready")
        town.node.request("anvil_mine", ["0x3"])
        town.until("it is recorded", lambda: town.claims() == 0)
    each_settled_once(town, 2)


# ---------------------------------------------------------------------- when it is due


def test_who_leaves_or_wishes_is_settled_at_once_and_the_books_hear_of_it(own_town: Town) -> None:
    town = own_town
    calm, left, wished = town.open(3)
    with town.replica(policy={"idle": 10**10}) as replica:
        replica.hear("ready")
        town.vouch([calm, left, wished], 5)
        town.until("they are open", lambda: town.rows([left])[0]["status"] == "open")
        town.leave(left)
        town.until("who leaves is settled", lambda: town.earned([left]) == [5 * PRICE], 10)
        town.wish(wished)
        town.until("who wishes is settled", lambda: town.earned([wished]) == [5 * PRICE], 10)
        town.listed()
        assert replica.end() == 0
    assert town.earned([calm]) == [0]
    assert [row["status"] for row in town.rows([calm, left])] == ["open", "closing"]
    with town.ledger.read() as connection:
        told = select(records.c.record).where(records.c.session_id == town.id_of(left))
        heard = [each for row in connection.execute(told).scalars() for each in row]
        kinds = set(connection.execute(select(events.c.kind)).scalars())
    assert heard[-1] == {"ended": town.on_chain([left])[0].closing_at, "closed": False}
    assert kinds == {"session.opened", "session.closing", "session.settled"}


def test_a_bad_row_holds_nobody_up(own_town: Town) -> None:
    town = own_town
    good, one, two = town.open(3)
    town.vouch([good], 3)
    town.vouch([one, two], 4)
    for terms in (one, two):  # somebody else was faster
        town.bank.transact(town.escrow, calls.settle(terms, town.voucher(terms, 4)))
    with town.replica() as replica:
        replica.hear("ready")
        town.until("the good one is settled", lambda: town.earned([good]) == [3 * PRICE])
        town.until("all are let go", lambda: town.claims() == 0)
        town.listed()
    assert town.earned([one, two]) == [4 * PRICE] * 2


# ---------------------------------------------------------------------- chains with moods


def test_a_settlement_that_is_undone_before_it_is_final_is_done_again(own_town: Town) -> None:
    town = own_town
    some = town.open(2)
    town.vouch(some, 1)
    town.node.request("anvil_mine", ["0x8"])
    before = town.node.request("evm_snapshot")
    with town.replica(confirmations=5) as replica:
        replica.hear("mined")
        town.node.request("anvil_mine", ["0x2"])
        time.sleep(0.5)
        with replica.paused():
            town.node.request("evm_revert", [before])  # three blocks are gone
            assert town.earned(some) == [0, 0]
            town.node.request("anvil_mine", ["0x1"])
        replica.hear("undone")
        town.until("it is sent again", lambda: set(town.earned(some)) == {PRICE})
        town.node.request("anvil_mine", ["0x5"])
        replica.hear("recorded")
        assert replica.end() == 0
    each_settled_once(town, 2)


def test_a_settlement_that_is_undone_after_it_was_final_is_reported_and_done_again(
    own_town: Town,
) -> None:
    town = own_town
    some = town.open(2)
    town.vouch(some, 1)
    with town.replica(policy={"idle": 0}) as replica:
        replica.hear("ready")
        town.until("both are open", lambda: {r["status"] for r in town.rows(some)} == {"open"})
        before = town.node.request("evm_snapshot")
        replica.hear("recorded")
        town.node.request("anvil_mine", ["0x2"])
        town.listed()
        with replica.paused():
            town.node.request("evm_revert", [before])
            town.node.request("anvil_mine", ["0x4"])
            assert town.earned(some) == [0, 0]
        town.until("it is done again", lambda: set(town.earned(some)) == {PRICE}, 30)
        town.listed()
        town.until("all are let go", lambda: town.claims() == 0)
        assert replica.end() == 0
    assert "undone" in town.outcomes()
    with town.ledger.read() as connection:
        kinds = list(connection.execute(select(events.c.kind)).scalars())
    assert "session.undone" in kinds


def test_a_node_that_is_killed_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    home = tmp_path / "chain"
    with LocalChain.start(engine="ganache", directory=home) as chain:
        port = int(chain.url.rpartition(":")[2])
        with a_town(chain, f"sqlite:///{tmp_path / 'ledger.sqlite3'}") as town:
            some = town.open(3)
            with town.replica(fees={"patience": 5}) as replica:
                replica.hear("ready")
                os.kill(json.loads((home / "chain.json").read_text())["pid"], signal.SIGKILL)
                replica.hear("cannot be followed")
                town.vouch(some, 7)
                chain.stop()
                with LocalChain.start(engine="ganache", directory=home, port=port):
                    town.until("all is settled", lambda: set(town.earned(some)) == {7 * PRICE})
                    each_settled_once(town, 3)
                    assert replica.end() == 0


def test_a_chain_that_was_started_anew_is_refused(tmp_path: Path) -> None:
    with LocalChain.start(engine="ganache") as chain:
        port = int(chain.url.rpartition(":")[2])
        with a_town(chain, f"sqlite:///{tmp_path / 'ledger.sqlite3'}") as town:
            some = town.open(1)
            with town.replica() as replica:
                replica.hear("ready")
                town.until("it is open", lambda: town.rows(some)[0]["status"] == "open")
                town.vouch(some, 1, taken_at=10**10)
                chain.stop()
                with LocalChain.start(engine="ganache", port=port):
                    said = replica.hear("started anew")
                    assert "first block" in said
                    assert town.rows(some)[0]["status"] == "open"  # nothing is taken from it


class Forgetful(ThreadingHTTPServer):
    """Stands before a node, and passes transactions on without ever answering."""

    def __init__(self, node: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forgetful)
        self.node, self.silent = node, 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Forgetful(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Forgetful

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        request = Request(self.server.node, asked, {"Content-Type": "application/json"})
        with urlopen(request) as found:
            answer = found.read()
        if b"eth_sendRawTransaction" in asked:
            self.server.silent += 1
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *values: object) -> None:
        pass


def test_a_node_that_never_says_that_it_took_a_transaction_makes_no_second_one(
    own_town: Town,
) -> None:
    town = own_town
    some = town.open(4)
    town.vouch(some, 6)
    server = Forgetful(town.chain.url)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with town.replica(rpc=server.url) as replica:
        replica.hear("recorded")
        assert replica.end() == 0
    server.shutdown()
    server.server_close()
    assert server.silent >= 1
    assert set(town.earned(some)) == {6 * PRICE}
    each_settled_once(town, 4)


def test_a_settlement_that_is_stuck_is_offered_more(own_town: Town) -> None:
    town = own_town
    some = town.open(2)
    town.vouch(some, 1)
    node = town.node
    node.request("evm_setAutomine", [False])
    with town.replica(fees={"stuck_after": 0.5, "patience": 30}) as replica:
        replica.hear("sent")
        base_fee = 20 * node.block().base_fee
        for _ in range(2):
            node.request("anvil_setNextBlockBaseFeePerGas", [hex(base_fee)])
            node.request("evm_mine")
        assert town.earned(some) == [0, 0]
        node.request("evm_setIntervalMining", [1])
        replica.hear("recorded")
        assert replica.end() == 0
    assert set(town.earned(some)) == {PRICE}
    each_settled_once(town, 2)
