"""A node answers, refuses, is down, or is no node at all; each is told apart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest

from conftest import Place
from distrust import lying
from honorarium.chain import Engine, LocalChain, Node, calls
from honorarium.chain.node import LAST_TIME
from honorarium.errors import (
    ClockNotSettable,
    NodeError,
    NodeUnreachable,
    SessionNotOpen,
    UnknownContractError,
)
from honorarium.ids import ZERO_ADDRESS, SessionId
from honorarium.protocol import Domain
from honorarium.protocol.keys import Key
from honorarium.units import UnixTime
from sample_terms import Parties, terms_of


@contextmanager
def answering(*replies: bytes) -> Iterator[str]:
    """A server on loopback that gives each connection the next reply, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for reply in replies:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_node_tells_its_chain_and_its_software(ganache: Place, anvil: Place) -> None:
    for place, chain_id, name in ((ganache, 1337, "Ganache"), (anvil, 31337, "anvil")):
        with Node(place.chain.url) as node:
            assert node.chain_id == chain_id
            assert node.client.startswith(name)
            assert node.block(0).hash == node.genesis_hash
            assert len(node.genesis_hash) == 32


@pytest.mark.parametrize(("time", "taken"), [(LAST_TIME - 1, True), (LAST_TIME, False)])
def test_a_block_whose_time_no_calendar_has_is_refused_exactly_from_there_on(
    node: Node, time: int, taken: bool
) -> None:
    def lie(method: str, _: list[Any], told: Any) -> Any:
        return {**told, "timestamp": hex(time)} if method == "eth_getBlockByNumber" else told

    with lying(node.url, lie) as url, Node(url) as liar:
        if taken:
            assert liar.block(0).timestamp == time
            return
        with pytest.raises(NodeUnreachable, match=f"has the time {time}"):
            liar.block(0)


def test_a_batch_answers_in_order_however_long_it_is(node: Node) -> None:
    last = node.block().number
    asked = [("eth_getBlockByNumber", [hex(n % (last + 1)), False]) for n in range(450)]
    found = [int(block["number"], 16) for block in node.batch(asked)]
    assert found == [n % (last + 1) for n in range(450)]


def test_a_batch_raises_the_refusal_of_one_of_its_requests(node: Node) -> None:
    with pytest.raises(NodeError) as caught:
        node.batch([("eth_chainId", []), ("no_such_method", [])])
    assert caught.value.method == "no_such_method"


def test_a_method_that_the_node_lacks_is_a_node_error_with_the_number(node: Node) -> None:
    with pytest.raises(NodeError, match="no_such_method") as caught:
        node.request("no_such_method")
    assert caught.value.code < 0


def test_a_contracts_refusal_arrives_as_the_exception_of_its_name(place: Place, node: Node) -> None:
    escrow = place.manifest.address("SessionEscrow")
    parties = Parties(*(Key.generate() for _ in range(4)))
    terms = terms_of(parties, place.manifest.address("TestUSD"), 0)
    with pytest.raises(SessionNotOpen) as caught:
        node.call(escrow, calls.finalize(terms))
    assert caught.value.session_id == terms.session_id(Domain(node.chain_id, escrow))


def test_a_refusal_in_a_batch_is_raised_too(place: Place, node: Node) -> None:
    token = place.manifest.address("TestUSD")
    with pytest.raises(UnknownContractError, match="without a reason"):
        node.calls([(token, calls.session(token, SessionId(bytes(32))).data)] * 3)


def test_an_address_without_code_answers_nothing(node: Node) -> None:
    assert node.code(ZERO_ADDRESS) == b""
    assert node.call(ZERO_ADDRESS, b"") == b""


def test_a_block_that_is_not_there_is_an_error(node: Node) -> None:
    with pytest.raises(NodeError):
        node.block(10**9)


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NodeUnreachable, match="honorarium chain") as caught:
        Node(url).request("eth_chainId")
    assert caught.value.url == url


@pytest.mark.parametrize("url", ["127.0.0.1:8545", "ws://127.0.0.1:8545", "http://", ""])
def test_what_is_no_http_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(NodeUnreachable, match="not an http"):
        Node(url)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops", "it answered HTTP 502"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "not answered as JSON-RPC demands"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "not answered as JSON-RPC demands"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    ],
)
def test_a_server_that_is_no_node_is_unreachable(reply: bytes, said: str) -> None:
    with answering(reply, reply) as url, pytest.raises(NodeUnreachable, match=said):
        Node(url, timeout=5).request("eth_chainId")


def test_a_node_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        node = Node(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        with pytest.raises(NodeUnreachable, match="did not answer in time"):
            node.request("eth_chainId")


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"result":"0x539"}'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with answering(reply, reply) as url:
        node = Node(url, timeout=5)
        assert node.request("eth_chainId") == "0x539"
        assert node.request("eth_chainId") == "0x539"  # the server hung up after the first


def test_the_next_block_has_the_time_that_was_set_and_never_an_earlier_one() -> None:
    start = UnixTime(1_600_000_000)
    for engine in get_args(Engine):
        with LocalChain.start(engine=engine, clock=start) as chain, Node(chain.url) as node:
            for step in (5, 5, 86_400):
                node.set_time(UnixTime(start + step))
                node.request("evm_mine")
                assert node.block().timestamp == start + step
            with pytest.raises(ClockNotSettable) as caught:
                node.set_time(UnixTime(start + 86_399))
            assert caught.value.latest == start + 86_400


def test_the_clock_of_any_other_node_is_left_alone() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"result":"Geth/v1.14"}'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with answering(reply) as url, pytest.raises(ClockNotSettable) as caught:
        Node(url, timeout=5).set_time(UnixTime(1))
    assert caught.value.latest is None
