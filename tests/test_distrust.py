"""What nodes, tokens and files that lie can cost: nothing that was not meant."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import Place
from distrust import lying
from honorarium.chain import Fees, Node, Sender
from honorarium.errors import FeeTooHigh, InputError, NodeUnreachable
from honorarium.ids import Address
from honorarium.protocol import Key
from sdk_forms import ASYNC, BLOCKING, Form
from test_node_errors import answering, ask, http, result

SOMEBODY = Address(bytes.fromhex("00" * 19 + "98"))

in_both_forms = pytest.mark.parametrize("form", [BLOCKING, ASYNC], ids=lambda form: form.name)


@pytest.fixture
def rich(place: Place, node: Node) -> Key:
    key = Key.generate()
    Sender(node, place.key("client")).transact(key.address, b"", value=10**20)
    return key


def no_base_fee(price: int) -> Any:
    """A node that makes of its chain one without EIP-1559, where all that is offered is paid."""

    def lie(method: str, params: list[Any], true: Any) -> Any:
        if method == "eth_gasPrice":
            return hex(price)
        if method == "eth_getBlockByNumber" and true:
            true.pop("baseFeePerGas", None)
        return true

    return lie


def test_a_node_that_names_absurd_prices_does_not_empty_the_account(
    place: Place, node: Node, rich: Key
) -> None:
    before = node.balance(rich.address)
    with lying(place.chain.url, no_base_fee(4 * 10**15)) as url, Node(url) as liar:
        with pytest.raises(FeeTooHigh) as caught:  # 84 of the account's 100 coins
            Sender(liar, rich).transact(SOMEBODY, b"", value=1, gas=21_000)
        assert (caught.value.gas, caught.value.price) == (21_000, 4 * 10**15)
    assert node.balance(rich.address) == before
    assert Sender(node, rich).transact(SOMEBODY, b"", value=1).ok  # and no nonce is lost


def test_a_base_fee_or_a_gas_estimate_beyond_sense_is_not_signed(
    place: Place, node: Node, rich: Key
) -> None:
    def dear(method: str, params: list[Any], true: Any) -> Any:
        if method == "eth_getBlockByNumber" and true:
            true["baseFeePerGas"] = hex(10**15)
        return true

    def thirsty(method: str, params: list[Any], true: Any) -> Any:
        return hex(10**12) if method == "eth_estimateGas" else true

    for lie in (dear, thirsty):
        with lying(place.chain.url, lie) as url, Node(url) as liar, pytest.raises(FeeTooHigh):
            Sender(liar, rich).transact(SOMEBODY, b"", value=1)
    assert node.transaction_count(rich.address, "pending") == 0


def test_what_a_transaction_may_cost_is_the_owners_choice(
    node: Node, rich: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FeeTooHigh):
        Sender(node, rich, fees=Fees(most=1)).transact(SOMEBODY, b"", value=1)
    monkeypatch.setenv("HONORARIUM_MOST_FEE", "1")
    with pytest.raises(FeeTooHigh):
        Sender(node, rich).transact(SOMEBODY, b"", value=1)
    monkeypatch.setenv("HONORARIUM_MOST_FEE", "a lot")
    with pytest.raises(InputError, match="a lot"):
        Sender(node, rich).transact(SOMEBODY, b"", value=1)
    assert Sender(node, rich, fees=Fees(most=10**17)).transact(SOMEBODY, b"", value=1).ok


@pytest.mark.parametrize("method", ["eth_gasPrice", "eth_estimateGas"])
@pytest.mark.parametrize("said", [None, "0x", "-0x5", 7, {}])
def test_a_price_that_is_no_number_is_the_nodes_fault(
    ganache: Place, method: str, said: Any
) -> None:
    def lie(asked: str, params: list[Any], true: Any) -> Any:
        return said if asked == method else no_base_fee(1)(asked, params, true)

    with lying(ganache.chain.url, lie) as url, Node(url) as liar:
        sender = Sender(liar, ganache.key("client"))
        with pytest.raises(NodeUnreachable, match=method):
            sender.transact(SOMEBODY, b"", value=1)


def test_another_transactions_receipt_is_no_answer(place: Place, node: Node, rich: Key) -> None:
    other = Sender(node, rich).transact(SOMEBODY, b"", value=1)
    told = node.request("eth_getTransactionReceipt", ["0x" + other.tx_hash.hex()])

    def lie(method: str, params: list[Any], true: Any) -> Any:
        return told if method == "eth_getTransactionReceipt" else true

    with lying(place.chain.url, lie) as url, Node(url) as liar:
        sender = Sender(liar, rich, fees=Fees(patience=1))
        sent = sender.send(SOMEBODY, b"", value=1)
        with pytest.raises(Exception, match="may still be mined"):
            sender.receipt(sent)
        assert Sender(node, rich).receipt(sent).tx_hash == sent


@in_both_forms
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_nobody_but_the_node_is_asked_wherever_it_points(form: Form, status: str) -> None:
    with answering(result("0x1"), forever=True) as (elsewhere, heard):
        moved = http(b"", status, f"Location: {elsewhere}")
        with answering(moved, forever=True) as (url, _), pytest.raises(NodeUnreachable):
            ask(form, url)
        assert heard == []


@in_both_forms
def test_a_batch_of_anything_is_no_answer(form: Form) -> None:
    with answering(http(b"[1, null]"), forever=True) as (url, _), pytest.raises(NodeUnreachable):
        ask(form, url, "batch", [("eth_chainId", []), ("eth_chainId", [])])
