"""Transactions are signed as the chain demands, sent once, and followed to their end."""

from __future__ import annotations

import pytest

from conftest import Place
from honorarium.chain import Fees, Node, Sender, SignedTransaction, calls, reason_of, receipts
from honorarium.chain.node import from_hex, to_hex
from honorarium.errors import (
    ERC20InsufficientBalance,
    FateUnknown,
    NodeError,
    NodeUnreachable,
    TransactionFailed,
)
from honorarium.ids import Address, Hash
from honorarium.protocol.keys import Key

SOMEBODY = Address(bytes.fromhex("00" * 19 + "99"))


@pytest.fixture
def sender(place: Place, node: Node) -> Sender:
    """An account of the test's own, with coin."""
    key = Key.generate()
    Sender(node, place.key("client")).transact(key.address, b"", value=10**20)
    return Sender(node, key)


def test_many_transactions_of_one_account_keep_their_order(sender: Sender) -> None:
    sent = [sender.send(SOMEBODY, b"", value=n, gas=30_000) for n in range(20)]
    assert sender.receipt(sent[-1]).ok  # Anvil mines a moment later
    found = receipts(sender.node, sent)
    assert all(each is not None and each.ok for each in found)
    count = sender.node.request("eth_getTransactionCount", [to_hex(sender.address), "latest"])
    assert int(count, 16) == 20


def test_a_receipt_tells_gas_price_and_block(sender: Sender) -> None:
    receipt = sender.transact(SOMEBODY, b"", value=1)
    assert receipt.gas_used == 21_000
    assert receipt.gas_price >= 1_000_000_000
    assert receipt.block == sender.node.block().number
    assert receipt.contract is None


def test_creating_a_contract_tells_its_address(sender: Sender) -> None:
    returns_one_byte = bytes.fromhex("600160005360016000f3")
    receipt = sender.transact(None, returns_one_byte)
    assert receipt.contract is not None
    assert sender.node.code(receipt.contract) == b"\x01"


def test_a_call_that_would_be_refused_is_not_even_sent(place: Place, sender: Sender) -> None:
    token = place.manifest.address("TestUSD")
    before = sender.node.block().number
    with pytest.raises(ERC20InsufficientBalance) as caught:
        sender.transact(token, calls.transfer(SOMEBODY, 5))
    assert caught.value.args[1:] == (0, 5)
    assert sender.node.block().number == before


def test_a_transaction_that_fails_says_why(place: Place, sender: Sender) -> None:
    token = place.manifest.address("TestUSD")
    with pytest.raises(TransactionFailed) as caught:
        sender.transact(token, calls.transfer(SOMEBODY, 5), gas=100_000)
    assert caught.value.reason == ERC20InsufficientBalance(sender.address, 0, 5)
    assert reason_of(sender.node, Hash(caught.value.tx_hash)) == caught.value.reason
    assert sender.transact(SOMEBODY, b"", value=1).ok  # the next one goes on


def test_a_sender_counts_anew_when_somebody_else_used_its_nonce(
    place: Place, sender: Sender
) -> None:
    sender.transact(SOMEBODY, b"", value=1)
    with Node(place.chain.url) as other:
        Sender(other, sender.signer).transact(SOMEBODY, b"", value=2)
    assert sender.transact(SOMEBODY, b"", value=3).ok
    assert sender.transact(SOMEBODY, b"", value=4).ok


def test_the_same_signed_transaction_sent_again_counts_once(sender: Sender) -> None:
    before = sender.node.balance(SOMEBODY)
    signed = sender.sign(SOMEBODY, b"", value=11, gas=30_000)
    for _ in range(3):
        assert sender.submit(signed) == signed.hash
    assert sender.receipt(signed.hash).ok
    assert sender.node.balance(SOMEBODY) == before + 11


def test_an_account_without_coin_is_refused_by_the_node_and_can_go_on_later(
    place: Place, node: Node
) -> None:
    poor = Sender(node, Key.generate())
    with pytest.raises(NodeError, match=r"(?i)insufficient funds"):
        poor.send(SOMEBODY, b"", gas=30_000)
    Sender(node, place.key("client")).transact(poor.address, b"", value=10**18)
    assert poor.transact(SOMEBODY, b"").ok


def test_a_transaction_that_nobody_has_seen_has_an_unknown_fate(node: Node) -> None:
    sender = Sender(node, Key.generate(), fees=Fees(patience=0.1))
    with pytest.raises(FateUnknown) as caught:
        sender.receipt(Hash(b"\x01" * 32))
    assert caught.value.tx_hash == b"\x01" * 32
    assert receipts(node, [Hash(b"\x01" * 32)]) == [None]


def test_a_node_that_goes_down_while_sending_leaves_the_fate_unknown() -> None:
    node = Node("http://127.0.0.1:1")
    signed = SignedTransaction(b"\x02\xc0", Hash(b"\x02" * 32), 0)
    with pytest.raises(FateUnknown) as caught:
        Sender(node, Key.generate()).submit(signed)
    assert caught.value.tx_hash == signed.hash
    assert isinstance(caught.value.__cause__, NodeUnreachable)


def test_bytes_travel_as_hexadecimal_and_back() -> None:
    assert from_hex(to_hex(b"\x00\xff")) == b"\x00\xff"
    with pytest.raises(ValueError, match="hex"):
        from_hex("0xzz")
