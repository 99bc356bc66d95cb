"""A node with moods, a chain with refusals: each has its own error, waiting or blocking alike."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Place
from honorarium.advisor import Advisor
from honorarium.chain import Contracts, LocalChain, Node, Sender, calls, gas, reason_of
from honorarium.chain.deploy import Manifest
from honorarium.client import Client
from honorarium.errors import (
    ChainReset,
    ContractError,
    ERC20InsufficientBalance,
    NodeBehind,
    NodeError,
    NoDeployment,
    NodeUnreachable,
    NotClosing,
    NotOurCode,
    RateLimited,
    SessionNotOpen,
    StaleVoucher,
    TransactionFailed,
    UnknownContractError,
    WrongChain,
)
from honorarium.ids import Address, Hash
from honorarium.protocol import Key, Tariff
from honorarium.units import UnixTime
from sdk_forms import ASYNC, BLOCKING, Form, asked, done

Reply = bytes | Callable[[dict[str, Any]], bytes]


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def result(value: Any) -> bytes:
    return http(json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode())


def refusal(code: int, message: str) -> bytes:
    error = {"code": code, "message": message}
    return http(json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode())


@contextmanager
def answering(*replies: bytes, forever: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives each connection the next reply; what it was asked."""
    heard: list[bytes] = []
    waiting = list(replies)

    def serve(server: socket.socket) -> None:
        while waiting:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                data = connection.recv(65536)
                if b"\r\n\r\n" in data and data.endswith(b"\r\n\r\n"):
                    data += connection.recv(65536)  # the body came on its own
                heard.append(data)
                connection.sendall(waiting[0] if forever else waiting.pop(0))

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard


def ask(form: Form, url: str, what: str = "request", *given: Any, **settings: Any) -> Any:
    """One question to a node, in either form."""

    async def play() -> Any:
        node = form.node(url, timeout=5, **settings)
        try:
            if what in ("chain_id", "client", "genesis_hash"):
                return await asked(node, what)
            arguments = ("eth_chainId",) if what == "request" and not given else given
            return await done(getattr(node, what)(*arguments))
        finally:
            await done(node.close())

    return asyncio.run(play())


@pytest.fixture(params=[BLOCKING, ASYNC], ids=lambda form: form.name)
def form(request: pytest.FixtureRequest) -> Form:
    found: Form = request.param
    return found


# ---------------------------------------------------------------------- asked too often


@pytest.mark.parametrize(
    "reply",
    [
        http(b"", "429 Too Many Requests", "Retry-After: 0.1"),
        http(b"", "429 Too Many Requests", "Retry-After: 0"),
        http(b"", "429 Too Many Requests", "Retry-After: -5"),
        http(b"", "429 Too Many Requests", "Retry-After: nan"),
        http(b"", "429 Too Many Requests", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"),
        http(b"", "429 Too Many Requests"),
        refusal(-32005, "limit exceeded"),
        refusal(429, "slow down"),
    ],
    ids=["0.1 s", "0 s", "-5 s", "nan", "a date", "no time", "-32005", "429"],
)
def test_a_node_that_is_asked_too_often_is_asked_again_later(form: Form, reply: bytes) -> None:
    with answering(reply, result("0x539")) as (url, heard):
        assert ask(form, url) == "0x539"
        assert len(heard) == 2


@pytest.mark.parametrize(
    "reply",
    [
        http(b"", "429 Too Many Requests", "Retry-After: 0"),
        http(b"", "429 Too Many Requests", "Retry-After: 3600"),
        refusal(-32005, "limit exceeded"),
    ],
    ids=["again and again", "an hour", "-32005"],
)
def test_patience_with_a_node_ends(form: Form, reply: bytes) -> None:
    began = time.monotonic()
    with answering(reply, forever=True) as (url, heard):
        with pytest.raises(RateLimited) as limited:
            ask(form, url, patience=0.6)
        assert len(heard) <= 4  # it is left alone in between
    assert limited.value.method == "eth_chainId"
    assert time.monotonic() - began < 5


# ---------------------------------------------------------------------- no usable answers


def test_nobody_there_is_unreachable_and_access_keys_are_not_shown(form: Form) -> None:
    with pytest.raises(NodeUnreachable, match="no node answers at") as caught:
        ask(form, "http://me:pass@127.0.0.1:1/v3/key123")
    error: BaseException | None = caught.value
    while error is not None:  # the whole story, as a traceback tells it
        assert "key123" not in str(error)
        assert "pass" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_node_that_does_not_answer_in_time(form: Form) -> None:
    async def play(url: str) -> None:
        node = form.node(url, timeout=0.3)
        with pytest.raises(NodeUnreachable, match="in time"):
            await done(node.block())
        await done(node.close())

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(play(f"http://127.0.0.1:{silent.getsockname()[1]}"))


def test_an_estimate_that_the_node_lost_is_asked_for_again(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ganache does: that one question is never answered, and the same one is at once."""
    monkeypatch.setattr(gas, "LOST_AFTER", 0.3)
    heard = []

    def serve(server: socket.socket) -> None:
        lost, _ = server.accept()
        heard.append(lost.recv(65536))
        again, _ = server.accept()
        with lost, again:
            heard.append(again.recv(65536))
            again.sendall(result("0x64"))

    async def play(url: str) -> None:
        node = form.node(url, timeout=20)
        core = node.core if isinstance(node, Node) else node
        assert await gas.estimate(core, Address(b"a" * 20), Address(b"b" * 20), b"", 0) == 120
        await done(node.close())

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        asyncio.run(play(f"http://127.0.0.1:{server.getsockname()[1]}"))
    assert len(heard) == 2


def test_a_connection_that_breaks_in_the_middle_of_an_answer(form: Form) -> None:
    half = result("0x539")[:-9]
    with (
        answering(half, half) as (url, _),
        pytest.raises(NodeUnreachable, match=r"broke|Broken|closed|Incomplete"),
    ):
        ask(form, url)
    with answering(half, result("0x539")) as (url, _):
        assert ask(form, url) == "0x539"  # asking changes nothing, so it is asked again


def test_what_was_sent_is_not_sent_again_by_itself(form: Form) -> None:
    with answering(b"", forever=True) as (url, heard):
        with pytest.raises(NodeUnreachable):
            ask(form, url, "request", "eth_sendRawTransaction", ["0x02"])
        assert len(heard) == 1


@pytest.mark.parametrize(
    "body", [b"", b"garbage", b"\xff\xfe", b"null", b"5", b'"x"', b"[]", b"{}", b"[" * 50_000]
)
def test_garbage_is_no_answer(form: Form, body: bytes) -> None:
    with answering(http(body), http(body)) as (url, _), pytest.raises(NodeUnreachable):
        ask(form, url)


@pytest.mark.parametrize("value", [None, 5, [], {}, "words", "0xzz", {"number": "0x1"}, True])
@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("chain_id", ()),
        ("block", ("latest",)),
        ("call", (Address(bytes(20)), b"")),
        ("code", (Address(bytes(20)),)),
        ("balance", (Address(bytes(20)),)),
        ("transaction_count", (Address(bytes(20)),)),
    ],
)
def test_an_answer_of_another_kind_is_no_answer(
    form: Form, what: str, given: tuple[Any, ...], value: Any
) -> None:
    with answering(result(value)) as (url, _), pytest.raises((NodeUnreachable, NodeError)):
        ask(form, url, what, *given)


def test_a_batch_that_is_no_list_is_no_answer(form: Form) -> None:
    with answering(http(b'"x"'), http(b'"x"')) as (url, _), pytest.raises(NodeUnreachable):
        ask(form, url, "batch", [("eth_chainId", [])])


def test_a_node_that_still_catches_up(form: Form) -> None:
    syncing = result({"currentBlock": "0x5", "highestBlock": "0x64"})
    with answering(syncing) as (url, _), pytest.raises(NodeBehind) as behind:
        ask(form, url, "must_be_synced")
    assert (behind.value.current, behind.value.highest) == (5, 100)
    with answering(refusal(-32601, "the method eth_syncing does not exist")) as (url, _):
        ask(form, url, "must_be_synced")


def test_a_method_whose_name_speaks_of_reverting_is_no_refusal_of_a_contract(form: Form) -> None:
    missing = refusal(-32601, "The method evm_revert does not exist/is not available")
    with answering(missing) as (url, _), pytest.raises(NodeError, match="evm_revert"):
        ask(form, url, "request", "evm_revert", ["0x1"])
    reverted = refusal(3, "execution reverted")
    with answering(reverted) as (url, _), pytest.raises(UnknownContractError):
        ask(form, url, "call", Address(bytes(20)), b"")


# ---------------------------------------------------------------------- which chain


def connect(form: Form, url: str, **given: Any) -> Manifest:
    async def play() -> Manifest:
        contracts = await done(form.contracts.connect(url, **given))
        try:
            found: Manifest = contracts.manifest
            return found
        finally:
            await done(contracts.close())

    return asyncio.run(play())


def test_the_deployment_is_found_in_four_ways(
    form: Form, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HONORARIUM_MANIFEST", raising=False)
    url, manifest = place.chain.url, place.manifest
    assert connect(form, url) == manifest  # where CREATE2 puts it
    assert connect(form, url, manifest=manifest) == manifest
    told = replace(manifest, block=type(manifest.block)(manifest.block + 1))
    path = Path("deployments") / manifest.filename
    told.save(path)
    assert connect(form, url).block == told.block  # deployments/
    other = replace(manifest, block=type(manifest.block)(0))
    other.save(tmp_path / "named.json")
    assert connect(form, url, manifest=tmp_path / "named.json").block == 0
    monkeypatch.setenv("HONORARIUM_MANIFEST", str(tmp_path / "named.json"))
    assert connect(form, url).block == 0  # before deployments/


def test_what_is_not_the_deployment_is_told(form: Form, place: Place) -> None:
    url, manifest = place.chain.url, place.manifest
    with pytest.raises(WrongChain):
        connect(form, url, manifest=replace(manifest, chain_id=5))
    with pytest.raises(ChainReset):
        connect(form, url, manifest=replace(manifest, genesis_hash=Hash(b"\x01" * 32)))
    jar = manifest.contracts["TipJar"]
    with pytest.raises(NotOurCode):  # foreign code
        connect(
            form,
            url,
            manifest=replace(manifest, contracts={**manifest.contracts, "SessionEscrow": jar}),
        )
    nowhere = replace(jar, address=Address(b"\x09" * 20))
    with pytest.raises(NotOurCode, match="no code"):
        connect(
            form,
            url,
            manifest=replace(manifest, contracts={**manifest.contracts, "TipJar": nowhere}),
        )
    without = {name: one for name, one in manifest.contracts.items() if name != "TipJar"}
    with pytest.raises(NoDeployment):
        connect(form, url, manifest=replace(manifest, contracts=without))


def test_a_chain_without_the_contracts(form: Form, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalChain.start(engine="anvil") as chain, pytest.raises(NoDeployment):
        connect(form, chain.url)


# ---------------------------------------------------------------------- contracts


def test_a_refusal_is_typed_wherever_it_comes_from(
    place: Place, node: Node, tmp_path: Path
) -> None:
    contracts = Contracts.attach(node, place.manifest, tmp_path)
    escrow, token = contracts.escrow.contract, contracts.default_token()
    advisor = Advisor(contracts, place.key("advisor"))
    client = Client(contracts, place.key("client"))
    bank = Sender(node, place.key("payer"))
    bank.transact(token, calls.mint(client.address, 10**10))
    tariff = Tariff.of(contracts.token(), "1", per="minute", max_units=5)
    quote = advisor.quote(client.address, client.meter_key.address, tariff)
    refused = SessionNotOpen(quote.terms.session_id(contracts.escrow))
    data = calls.finalize(quote.terms)

    seen: list[ContractError | None] = []
    for fails in (
        lambda: node.call(escrow, data),
        lambda: node.calls([(escrow, data)]),
        lambda: node.request(
            "eth_estimateGas", [{"to": "0x" + escrow.hex(), "data": "0x" + data.hex()}]
        ),
        lambda: client.finalize(quote),
    ):
        with pytest.raises(SessionNotOpen) as caught:
            fails()
        seen.append(caught.value)
    with pytest.raises(TransactionFailed) as failed:
        bank.transact(escrow, data, gas=300_000)  # in a block
    seen += [failed.value.reason, reason_of(node, Hash(failed.value.tx_hash))]
    assert seen == [refused] * 6

    # A row of a batch, and a call that comes out of another contract.
    session = client.open(quote)
    session.meter.answer(session.opened_at)
    reading = session.meter.read(UnixTime(session.opened_at + 1))
    row = calls.Settlement(session.terms, reading)
    _, skipped = advisor.settle_all([row, row])
    assert skipped == StaleVoucher(10**6, 10**6)
    forwarder = bank.transact(None, _creates(calls_back(escrow))).contract
    assert forwarder is not None
    with pytest.raises(NotClosing) as nested:
        bank.transact(forwarder, data)
    assert nested.value == NotClosing(session.id)
    poor = Sender(node, Key.generate())
    with pytest.raises(ERC20InsufficientBalance) as without:
        poor.transact(token, calls.transfer(bank.address, 7))
    assert without.value.needed == 7
    contracts.close()


def calls_back(to: Address) -> bytes:
    """A contract that calls on, and answers or refuses as it was answered or refused."""
    call = bytes.fromhex("365f5f375f5f365f5f73") + to + bytes.fromhex("5af13d5f5f3e")
    fine = len(call) + 6
    return call + bytes.fromhex(f"60{fine:02x}573d5ffd5b3d5ff3")


def _creates(code: bytes) -> bytes:
    return bytes.fromhex(f"60{len(code):02x}80600a5f395ff3").ljust(10, b"\0") + code
