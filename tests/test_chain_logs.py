"""The log is read whole, in order, and strictly."""

from __future__ import annotations

import pytest

from conftest import Place
from honorarium.chain import (
    Node,
    Sender,
    UnreadableLog,
    block_times,
    calls,
    collect,
    raw_logs,
    receipts,
    transactions,
)
from honorarium.chain import logs as room
from honorarium.errors import NodeError
from honorarium.ids import ZERO_ADDRESS, Hash
from honorarium.protocol.events import Deposited
from honorarium.protocol.keys import Key
from honorarium.units import BaseUnits


@pytest.fixture
def deposits(place: Place, node: Node) -> tuple[Key, int, list[Hash]]:
    """An account's 30 deposits of 1, 2, ... base units, the block before them, and their hashes."""
    key = Key.generate()
    Sender(node, place.key("client")).transact(key.address, b"", value=10**20)
    sender, escrow = Sender(node, key), place.manifest.address("SessionEscrow")
    first = node.block().number + 1
    hashes = [
        sender.send(escrow, calls.deposit(ZERO_ADDRESS, key.address, n), value=n, gas=100_000)
        for n in range(1, 31)
    ]
    assert sender.receipt(hashes[-1]).ok
    return key, first, hashes


@pytest.mark.parametrize("span", [1, 7, 500])
def test_every_event_comes_once_and_in_order(
    place: Place,
    node: Node,
    deposits: tuple[Key, int, list[Hash]],
    span: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "FIRST_SPAN", span)
    monkeypatch.setattr(room, "LONGEST_SPAN", 2 * span)
    key, first, hashes = deposits
    told: list[int] = []
    last = node.block().number
    addresses = [place.manifest.address("SessionEscrow"), place.manifest.address("TipJar")]
    records = list(collect(node, addresses, first, last, progress=told.append))
    assert [record.event for record in records] == [
        Deposited(ZERO_ADDRESS, key.address, key.address, BaseUnits(n)) for n in range(1, 31)
    ]
    assert [record.tx_hash for record in records] == hashes
    assert told == sorted(told)
    assert told[-1] == last - first + 1
    times = block_times(node, [record.block for record in records])
    assert all(
        record.time == times[record.block] == node.block(record.block).timestamp
        for record in records[::10]
    )


def test_the_ends_of_the_range_belong_to_it(
    place: Place, node: Node, deposits: tuple[Key, int, list[Hash]]
) -> None:
    _, _, hashes = deposits
    found = [receipt for receipt in receipts(node, hashes) if receipt is not None]
    escrow = place.manifest.address("SessionEscrow")
    middle = {r.block for r in found[5:8]}
    records = list(collect(node, [escrow], min(middle), max(middle), times=False))
    assert {record.block for record in records} == middle
    assert {record.time for record in records} == {0}
    assert list(collect(node, [escrow], 5, 4)) == []


def test_transactions_are_found_by_their_hashes(
    place: Place, node: Node, deposits: tuple[Key, int, list[Hash]]
) -> None:
    key, _, hashes = deposits
    for n, sent in enumerate(transactions(node, hashes), 1):
        assert (sent.sender, sent.value) == (key.address, n)
        assert sent.to == place.manifest.address("SessionEscrow")
        assert sent.data == calls.deposit(ZERO_ADDRESS, key.address, n)
    with pytest.raises(NodeError, match="0x0909"):
        transactions(node, [Hash(b"\x09" * 32)])


def test_a_log_that_is_not_ours_is_never_passed_over(place: Place, node: Node) -> None:
    token, key = place.manifest.address("TestUSD"), place.key("client")
    block = Sender(node, key).transact(token, calls.mint(key.address, 1)).block
    with pytest.raises(UnreadableLog, match="topic 0xddf252ad") as caught:
        list(collect(node, [token], block, block))
    assert (caught.value.address, caught.value.block) == (token, block)
    [raw] = raw_logs(node, [token], [], block, block)
    assert len(raw.topics) == 3
    assert raw.data == (1).to_bytes(32, "big")


def test_raw_logs_are_chosen_by_topic(
    place: Place, node: Node, deposits: tuple[Key, int, list[Hash]]
) -> None:
    key, first, _ = deposits
    escrow, last = place.manifest.address("SessionEscrow"), node.block().number
    padded = Hash(key.address.rjust(32, b"\0"))
    topics = [[Deposited.TOPIC, Hash(bytes(32))], None, padded]
    assert len(list(raw_logs(node, [escrow], topics, first, last))) == 30
    assert list(raw_logs(node, [escrow], [Hash(bytes(32))], first, last)) == []
