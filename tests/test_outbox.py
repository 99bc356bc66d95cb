"""Many programs, one key: no nonce twice, no gap, and after a crash the same transaction."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from conftest import Place
from databases import Databases
from honorarium.chain import (
    AsyncNode,
    AsyncSender,
    Engine,
    Fees,
    LocalChain,
    Node,
    Outbox,
    OutboxUnusable,
    Sender,
    receipts,
)
from honorarium.chain.node import to_hex
from honorarium.chain.signing import fields_of
from honorarium.errors import ChainReset, FateUnknown, NonceTaken
from honorarium.ids import Address
from honorarium.protocol import Key
from stores import open_outbox

SOMEBODY = Address(bytes.fromhex("00" * 19 + "98"))

WORKER = """
import sys
from honorarium.chain import Node, Sender
from honorarium.protocol import Key
from stores import open_outbox

url, where, secret, worker, jobs = sys.argv[1:]
key = Key.from_bytes(bytes.fromhex(secret))
sender = Sender(Node(url), key, outbox=open_outbox(where, key.address))
to = bytes.fromhex("00" * 19 + "98")
sent = []
for job in range(int(jobs)):
    sent.append(sender.send(to, b"", 1, 30_000, idempotency_key=f"{worker}/{job}"))
    print(job, flush=True)
for each in sent:
    assert sender.receipt(each).ok
"""


@pytest.fixture
def rich(place: Place, node: Node) -> Key:
    """An account of the test's own, with coin."""
    key = Key.generate()
    Sender(node, place.key("client")).transact(key.address, b"", value=10**20)
    return key


@pytest.fixture(params=["file", "sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an outbox lies: in a file of its own, or in a ledger on either database."""
    if request.param == "postgresql":
        databases: Databases = request.getfixturevalue("postgres")
        with databases.empty() as url:
            yield url
    else:
        path = tmp_path / "outbox.sqlite3"
        yield str(path) if request.param == "file" else f"sqlite:///{path}"


SPOTS = [
    ("ganache", "file"),
    ("anvil", "file"),
    ("anvil", "sqlite"),
    ("ganache", "postgresql"),
]
on_all = pytest.mark.parametrize(("place", "where"), SPOTS, indirect=True)


def _start(url: str, where: str, key: Key, worker: int, jobs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, url, where, key.secret().hex(), str(worker), str(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_a_thousand_from_four_programs_one_of_them_killed_leave_no_gap_and_no_double(
    anvil: Place, where: str
) -> None:
    # A file of its own takes a thousand; the ledgers, behind the same logic, fewer.
    jobs = 250 if "://" not in where else 60
    node, rich = Node(anvil.chain.url), Key.generate()
    Sender(node, anvil.key("client")).transact(rich.address, b"", value=10**20)
    before, total = node.balance(SOMEBODY), 4 * jobs
    programs = [_start(anvil.chain.url, where, rich, worker, jobs) for worker in range(4)]
    victim = programs[0]
    assert victim.stdout is not None
    for line in victim.stdout:
        if int(line) == jobs // 4:
            victim.send_signal(signal.SIGKILL)
            break
    victim.wait()
    programs[0] = _start(anvil.chain.url, where, rich, 0, jobs)  # the same jobs once more
    for program in programs:
        _, said = program.communicate(timeout=240)
        assert program.returncode == 0, said
    assert node.transaction_count(rich.address) == total
    assert node.transaction_count(rich.address, "pending") == total
    assert node.balance(SOMEBODY) - before == total  # each of them paid 1 wei
    outbox = open_outbox(where, rich.address)
    attempts = [outbox.attempts(nonce) for nonce in range(total + 1)]
    assert [len(each) for each in attempts] == [1] * total + [0]
    purposes = [f"{worker}/{job}" for worker in range(4) for job in range(jobs)]
    found = [outbox.of_purpose(purpose) for purpose in purposes]
    assert {each.nonce for each in found if each is not None} == set(range(total))
    mined = receipts(node, [each[0].hash for each in attempts[:total]])
    assert all(each is not None and each.ok for each in mined)


@on_all
def test_what_was_signed_before_a_crash_is_sent_by_whoever_comes_next(
    node: Node, rich: Key, where: str
) -> None:
    killed = Sender(node, rich, outbox=open_outbox(where, rich.address))
    signed = killed.sign(SOMEBODY, b"", value=5, gas=30_000, idempotency_key="pay")
    killed.outbox.close()  # it never came to sending it
    before = node.balance(SOMEBODY)
    next_one = Sender(node, rich, outbox=open_outbox(where, rich.address))
    later = next_one.transact(SOMEBODY, b"", value=7, gas=30_000)
    assert later.ok  # its nonce comes after the forgotten one, so that was sent first
    assert node.balance(SOMEBODY) - before == 12
    again = next_one.transact(SOMEBODY, b"", value=5, gas=30_000, idempotency_key="pay")
    assert again.tx_hash == signed.hash
    assert node.balance(SOMEBODY) - before == 12


@on_all
def test_resume_sends_what_lies_in_the_outbox(node: Node, rich: Key, where: str) -> None:
    sender = Sender(node, rich, outbox=open_outbox(where, rich.address))
    signed = [sender.sign(SOMEBODY, b"", value=1, gas=30_000) for _ in range(3)]
    assert sender.resume() == 3
    assert all(sender.receipt(each.hash).ok for each in signed)
    assert sender.resume() == 0


@on_all
def test_a_nonce_that_the_node_refused_does_not_hold_up_the_later_ones(
    node: Node, rich: Key, where: str
) -> None:
    sender = Sender(node, rich, outbox=open_outbox(where, rich.address))
    refused = sender.sign(SOMEBODY, b"", value=1, gas=30_000)
    waiting = sender.send(SOMEBODY, b"", value=2, gas=30_000)
    sender.outbox.void(refused)
    assert sender.receipt(waiting).ok
    assert node.transaction_count(rich.address) == 2


def test_many_at_once_on_one_event_loop(place: Place, node: Node, rich: Key) -> None:
    async def play() -> None:
        async with AsyncNode(place.chain.url) as asynchronous:
            sender = AsyncSender(asynchronous, rich)
            jobs = [sender.transact(SOMEBODY, b"", 1, 30_000) for _ in range(40)]
            done = await asyncio.gather(*jobs)
            assert all(each.ok for each in done)
            assert len({each.tx_hash for each in done}) == 40

    asyncio.run(play())
    assert node.transaction_count(rich.address) == 40


# ---------------------------------------------------------------------- fees


@pytest.fixture
def still() -> Iterator[tuple[LocalChain, Node]]:
    """An Anvil that mines when it is told to."""
    with LocalChain.start(engine="anvil") as chain, Node(chain.url) as node:
        node.request("evm_setAutomine", [False])
        yield chain, node


def test_a_stuck_transaction_is_offered_more_under_the_same_nonce(
    still: tuple[LocalChain, Node], where: str
) -> None:
    chain, node = still
    key, fees = chain.accounts["client"], Fees(stuck_after=0.5, patience=60)
    sender = Sender(node, key, fees=fees, outbox=open_outbox(where, key.address))
    signed = sender.sign(SOMEBODY, b"", value=9, gas=30_000)
    sender.submit(signed)
    # The next blocks ask for more than was offered.
    base_fee = 2 * int(fields_of(signed.raw)["maxFeePerGas"])
    for _ in range(2):
        node.request("anvil_setNextBlockBaseFeePerGas", [hex(base_fee)])
        node.request("evm_mine")
    assert receipts(node, [signed.hash]) == [None]
    node.request("evm_setIntervalMining", [1])
    receipt = sender.receipt(signed.hash)
    assert receipt.ok
    assert receipt.tx_hash != signed.hash
    assert node.balance(SOMEBODY) == 9
    assert len(sender.outbox.attempts(signed.nonce)) >= 2
    assert sender.transact(SOMEBODY, b"", value=1, gas=30_000).ok


def test_never_more_is_offered_than_the_limit(still: tuple[LocalChain, Node]) -> None:
    chain, node = still
    offer = node.block().base_fee + 10**9
    fees = Fees(limit=offer, stuck_after=0.2, patience=4)
    sender = Sender(node, chain.accounts["client"], fees=fees)
    signed = sender.sign(SOMEBODY, b"", gas=30_000)
    sender.submit(signed)
    with pytest.raises(FateUnknown):
        sender.receipt(signed.hash)
    assert [each.hash for each in sender.outbox.attempts(signed.nonce)] == [signed.hash]


@pytest.mark.parametrize("engine", get_args(Engine))
def test_legacy_fees_where_they_are_wanted(engine: Engine, ganache: Place, anvil: Place) -> None:
    place = ganache if engine == "ganache" else anvil
    with Node(place.chain.url) as node:
        sender = Sender(node, place.key("client"), fees=Fees(legacy=True))
        receipt = sender.transact(SOMEBODY, b"", value=1)
        assert receipt.ok
        found = node.request("eth_getTransactionByHash", [to_hex(receipt.tx_hash)])
        assert int(found["type"], 16) == 0


def test_what_was_signed_is_read_back_as_it_was_in_both_forms() -> None:
    with LocalChain.start() as chain, Node(chain.url) as node:
        for legacy in (True, False):
            sender = Sender(node, chain.accounts["client"], fees=Fees(legacy=legacy))
            signed = sender.sign(SOMEBODY, b"\x01\x02", value=3, gas=50_000)
            fields = fields_of(signed.raw)
            assert fields["chainId"] == node.chain_id
            assert (fields["to"], fields["data"]) == (SOMEBODY, b"\x01\x02")
            assert (fields["value"], fields["gas"], fields["nonce"]) == (3, 50_000, signed.nonce)
            assert ("gasPrice" in fields) is legacy


# ---------------------------------------------------------------------- accidents


@on_all
def test_a_nonce_that_counted_for_another_program_is_told(
    node: Node, rich: Key, where: str
) -> None:
    outbox = open_outbox(where, rich.address)
    sender = Sender(node, rich, fees=Fees(patience=30), outbox=outbox)
    signed = sender.sign(SOMEBODY, b"", value=1, gas=30_000)
    Sender(node, rich).transact(SOMEBODY, b"", value=2, gas=30_000)
    with pytest.raises(NonceTaken) as told:
        sender.receipt(signed.hash)
    assert (told.value.tx_hash, told.value.nonce) == (signed.hash, 0)
    assert sender.transact(SOMEBODY, b"", value=3, gas=30_000).ok


def test_a_block_that_is_undone_is_done_again_by_the_same_transaction(where: str) -> None:
    with LocalChain.start(engine="anvil") as chain, Node(chain.url) as node:
        key = chain.accounts["client"]
        outbox = open_outbox(where, key.address)
        sender = Sender(node, key, fees=Fees(patience=30), outbox=outbox)
        before = node.request("evm_snapshot")
        first = sender.transact(SOMEBODY, b"", value=4, gas=30_000)
        node.request("evm_revert", [before])
        assert node.balance(SOMEBODY) == 0
        later = sender.transact(SOMEBODY, b"", value=5, gas=30_000)
        assert later.ok
        assert node.balance(SOMEBODY) == 9
        assert receipts(node, [first.tx_hash]) != [None]


def test_a_chain_that_was_started_anew_is_noticed(tmp_path: Path) -> None:
    with LocalChain.start(port=_free_port()) as chain:
        node = Node(chain.url, timeout=3)  # Ganache never answers to a nonce that is too high
        key, port = chain.accounts["client"], int(chain.url.rpartition(":")[2])
        assert node.genesis_hash
        sender = Sender(node, key, outbox=Outbox(tmp_path / "o"), fees=Fees(patience=20))
        for _ in range(3):
            sender.transact(SOMEBODY, b"", gas=30_000)
    with LocalChain.start(port=port) as other:
        gift = Sender(Node(other.url), other.accounts["client"])
        gift.transact(key.address, b"", value=10**18)
        with pytest.raises(ChainReset):
            sender.transact(SOMEBODY, b"", gas=30_000)


def _free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_an_outbox_that_cannot_be_written_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutboxUnusable, match="nothing was sent"):
        Outbox(tmp_path / "file" / "outbox.sqlite3")
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"not a database" * 100)
    with pytest.raises(OutboxUnusable, match="not a database"):
        Outbox(broken)


@on_all
def test_a_failed_transaction_frees_its_key_and_changed_nothing(
    place: Place, node: Node, rich: Key, where: str
) -> None:
    sender = Sender(node, rich, outbox=open_outbox(where, rich.address))
    token = place.manifest.address("TestUSD")
    from honorarium.chain import calls
    from honorarium.errors import TransactionFailed

    for _ in range(2):
        with pytest.raises(TransactionFailed):
            sender.transact(token, calls.transfer(SOMEBODY, 5), 0, 100_000, idempotency_key="once")
    assert node.transaction_count(rich.address) == 2


def test_signed_within_a_program_that_is_killed_at_any_moment_counts_at_most_once(
    anvil: Place, where: str
) -> None:
    node, rich = Node(anvil.chain.url), Key.generate()
    Sender(node, anvil.key("client")).transact(rich.address, b"", value=10**20)
    before = node.balance(SOMEBODY)
    for round_ in range(3):
        program = _start(anvil.chain.url, where, rich, 0, 40)
        time.sleep(1.2 + 0.2 * round_)
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
    program = _start(anvil.chain.url, where, rich, 0, 40)
    assert program.communicate(timeout=120)[1] == ""
    assert node.balance(SOMEBODY) - before == 40
    assert node.transaction_count(rich.address) == 40
