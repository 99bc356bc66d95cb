"""Trying again, interrupted, beside others: nothing twice, nothing lost, nothing mistaken."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Place
from honorarium.advisor import Advisor, AsyncAdvisor
from honorarium.chain import (
    AsyncContracts,
    AsyncNode,
    AsyncSender,
    Contracts,
    Fees,
    IdempotencyKeyReused,
    Node,
    Outbox,
    OutboxUnusable,
    Sender,
    calls,
)
from honorarium.chain import send as send_module
from honorarium.chain.outbox import SignedTransaction
from honorarium.chain.receipts import receipts_of
from honorarium.chain.signing import signed_by
from honorarium.client import AsyncClient, Client
from honorarium.errors import (
    DepositTooSmall,
    FateUnknown,
    NodeError,
    NonceTaken,
    RateLimited,
    WrongSignature,
)
from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.protocol import Key, Quote, Tariff

SOMEBODY = Address(bytes.fromhex("00" * 19 + "96"))
PRICE = 1_500_000


@pytest.fixture
def rich(place: Place, node: Node) -> Key:
    """An account of the test's own, with coin and tokens."""
    key, bank = Key.generate(), Sender(node, place.key("payer"))
    bank.transact(key.address, b"", 10**20)
    bank.transact(place.manifest.address("TestUSD"), calls.mint(key.address, 10**10))
    return key


@pytest.fixture
def client(place: Place, rich: Key, tmp_path: Path) -> Iterator[Client]:
    with Node(place.chain.url) as node:
        contracts = Contracts.attach(node, place.manifest, tmp_path)
        yield Client(contracts, rich)
        contracts.close()


def quoted(client: Client, place: Place, **terms: Any) -> Quote:
    advisor = Advisor(Contracts(Node(place.chain.url), place.manifest), place.key("advisor"))
    tariff = Tariff.per_minute(PRICE, max_units=10)
    return advisor.quote(client.address, client.meter_key.address, tariff, **terms)


# ---------------------------------------------------------------------- one key, one action


def test_a_key_stands_for_one_action(node: Node, rich: Key) -> None:
    sender = Sender(node, rich)
    first = sender.transact(SOMEBODY, b"", 5, idempotency_key="pay")
    assert sender.transact(SOMEBODY, b"", 5, idempotency_key="pay") == first
    for to, data, value in ((SOMEBODY, b"", 6), (SOMEBODY, b"\x01", 5), (rich.address, b"", 5)):
        with pytest.raises(IdempotencyKeyReused) as reused:
            sender.transact(to, data, value, 60_000, idempotency_key="pay")
        assert (reused.value.key, reused.value.tx_hash) == ("pay", first.tx_hash)
    assert node.transaction_count(rich.address) == 1


def test_what_is_tried_again_with_new_salts_and_deadlines_is_done_once(
    client: Client, place: Place
) -> None:
    node = client.core.contracts.node
    session = client.open(quoted(client, place), 2 * PRICE)
    coin = client.open(quoted(client, place, token=ZERO_ADDRESS), 2 * PRICE)
    for _ in range(2):
        client.deposit("1", pay="authorization", idempotency_key="a")
        client.deposit("2", idempotency_key="b")
        client.tip(session, "0.5", pay="authorization", idempotency_key="c")
        client.tip(coin, 7, idempotency_key="d")
        client.top_up(session, 3 * PRICE, pay="authorization", idempotency_key="e")
        client.top_up(coin, 4 * PRICE, idempotency_key="f")
        assert client.withdraw(amount="0.25", idempotency_key="g").text == "0.25"
    assert client.balance().text == "2.75"
    spent = 3 * 10**6 + 500_000 + 3 * PRICE - 250_000
    assert int(client.wallet()) == 10**10 - spent
    with pytest.raises(IdempotencyKeyReused):
        client.deposit("3", pay="authorization", idempotency_key="a")
    with pytest.raises(IdempotencyKeyReused):
        client.tip(session, "0.6", idempotency_key="c")
    with pytest.raises(IdempotencyKeyReused):
        client.withdraw(idempotency_key="g")
    assert node is client.core.contracts.node


def test_a_refused_opening_is_tried_again_with_more(client: Client, place: Place) -> None:
    quote = quoted(client, place)
    with pytest.raises(DepositTooSmall):
        client.open(quote, PRICE - 1)  # the approval for that stays
    assert client.open(quote, 3 * PRICE).meter.deposit == 3 * PRICE


def test_a_file_of_an_older_version_is_used_on(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    with sqlite3.connect(path) as db:
        db.executescript(
            "CREATE TABLE sent (nonce INTEGER NOT NULL, attempt INTEGER NOT NULL, hash BLOB NOT "
            "NULL UNIQUE, raw BLOB NOT NULL, purpose TEXT, fate TEXT NOT NULL DEFAULT 'open', "
            "signed REAL NOT NULL, told INTEGER NOT NULL DEFAULT 0, "
            "PRIMARY KEY (nonce, attempt, hash)); CREATE TABLE counted (nonce INTEGER NOT NULL);"
            "INSERT INTO sent VALUES (0, 0, x'01', x'02', 'pay', 'open', 1.0, 0);"
        )
    db.close()
    outbox = Outbox(path)
    known = outbox.of_purpose("pay", b"anything")
    assert known == SignedTransaction(b"\x02", Hash(b"\x01"), 0)
    outbox.close()


def test_many_threads_open_one_outbox_of_an_account(client: Client, tmp_path: Path) -> None:
    contracts = client.core.contracts
    account = Key.generate().address
    found: list[Outbox] = []
    threads = [
        threading.Thread(target=lambda: found.append(contracts.outbox(account))) for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({id(each) for each in found}) == 1


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def opens(path: Path) -> None:
        try:
            Outbox(path).close()
        except BaseException as error:
            failed.append(error)

    for round_ in range(5):
        threads = [
            threading.Thread(target=partial(opens, tmp_path / f"{round_}.db")) for _ in range(8)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert failed == []


def test_a_closed_outbox_says_so_and_sends_nothing(node: Node, rich: Key) -> None:
    sender = Sender(node, rich)
    sender.outbox.close()
    with pytest.raises(OutboxUnusable, match="closed"):
        sender.transact(SOMEBODY, b"", 1)
    assert node.transaction_count(rich.address, "pending") == 0


# ---------------------------------------------------------------------- beside others


def test_what_another_program_left_behind_and_can_never_count_holds_nobody_up(
    node: Node, rich: Key, tmp_path: Path
) -> None:
    sender = Sender(node, rich, outbox=Outbox(tmp_path / "o"))
    sender.transact(SOMEBODY, b"")  # Ganache 7 runs the nonce 0 as often as it comes
    lost = sender.sign(SOMEBODY, b"", value=1, gas=30_000)
    Sender(node, rich).transact(SOMEBODY, b"", value=2, gas=30_000)  # takes its nonce
    before = node.balance(SOMEBODY)
    for _ in range(2):
        assert sender.transact(SOMEBODY, b"", value=3, gas=30_000).ok
    assert node.balance(SOMEBODY) - before == 6
    assert sender.outbox.family(lost) == [lost]


def test_a_receipt_is_never_that_of_another_action(node: Node, rich: Key) -> None:
    sender = Sender(node, rich, fees=Fees(patience=20))
    void = sender.sign(SOMEBODY, b"", value=1, gas=30_000)
    sender.outbox.void(void)
    other = sender.sign(SOMEBODY, b"", value=2, gas=30_000)
    assert other.nonce == void.nonce
    sender.submit(other)
    assert sender.receipt(other.hash).ok
    with pytest.raises(NonceTaken):
        sender.receipt(void.hash)


def test_if_the_one_before_cannot_be_sent_the_fate_is_told_of_ones_own(
    node: Node, rich: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(node, rich)
    older = sender.sign(SOMEBODY, b"", value=1, gas=30_000)
    real = AsyncSender.submit

    async def submit(self: AsyncSender, signed: SignedTransaction, at: Any = None) -> Hash:
        if signed.hash == older.hash:
            raise FateUnknown(older.hash)
        return await real(self, signed, at)

    monkeypatch.setattr(AsyncSender, "submit", submit)
    with pytest.raises(FateUnknown) as unknown:
        sender.send(SOMEBODY, b"", 2, 30_000, idempotency_key="mine")
    monkeypatch.undo()
    mine = sender.outbox.of_purpose("mine")
    assert mine is not None
    assert unknown.value.tx_hash == mine.hash != older.hash
    receipt = sender.transact(SOMEBODY, b"", 2, 30_000, idempotency_key="mine")
    assert receipt.tx_hash == mine.hash


def test_what_is_done_is_not_done_again_if_the_node_forgot_it(
    node: Node, rich: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(node, rich, fees=Fees(patience=0.5))
    done = sender.transact(SOMEBODY, b"", 1, 30_000, idempotency_key="once")

    async def forgot(node: AsyncNode, hashes: Any) -> list[None]:
        return [None for _ in hashes]

    monkeypatch.setattr(send_module, "receipts_of", forgot)
    with pytest.raises(FateUnknown) as unknown:
        sender.transact(SOMEBODY, b"", 1, 30_000, idempotency_key="once")
    assert unknown.value.tx_hash == done.tx_hash
    assert node.transaction_count(rich.address) == 1


# ---------------------------------------------------------------------- a node with moods


def test_a_node_that_refuses_to_look_for_receipts_does_not_make_a_transaction_look_failed(
    node: Node, rich: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, moods = receipts_of, iter(range(3))

    async def moody(node: AsyncNode, hashes: Any) -> Any:
        if next(moods, None) is not None:
            raise NodeError("eth_getTransactionReceipt", -32000, "indexing is in progress")
        return await real(node, hashes)

    monkeypatch.setattr(send_module, "receipts_of", moody)
    assert Sender(node, rich).transact(SOMEBODY, b"", 1).ok


def test_a_node_that_is_asked_too_often_while_it_is_sent_to_loses_nothing(
    node: Node, rich: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    real = AsyncNode.request

    async def request(self: AsyncNode, method: str, params: Any = (), **waiting: Any) -> Any:
        if method == "eth_sendRawTransaction" and not refused:
            refused.append(method)
            raise RateLimited(method, 20.0, "slow down")
        return await real(self, method, params, **waiting)

    monkeypatch.setattr(AsyncNode, "request", request)
    before = node.balance(SOMEBODY)
    assert Sender(node, rich).transact(SOMEBODY, b"", 3).ok
    assert node.balance(SOMEBODY) - before == 3
    assert node.transaction_count(rich.address) == 1


def test_one_transaction_submitted_by_several_at_once_counts_once(place: Place, rich: Key) -> None:
    """The first of an account: Ganache takes it as often as it comes."""

    async def play() -> tuple[int, int]:
        async with AsyncNode(place.chain.url) as node:
            sender = AsyncSender(node, rich)
            before = await node.balance(SOMEBODY)
            signed = await sender.sign(SOMEBODY, b"", value=7, gas=30_000)
            await asyncio.gather(*(sender.submit(signed) for _ in range(5)))
            assert (await sender.receipt(signed.hash)).ok
            count = await node.transaction_count(rich.address)
            return await node.balance(SOMEBODY) - before, count

    assert asyncio.run(play()) == (7, 1)


# ---------------------------------------------------------------------- wallets


class Slow:
    """A wallet that asks its owner for a second."""

    def __init__(self, key: Key) -> None:
        self._key, self.address = key, key.address
        self.fails: Exception | None = None

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        raise NotImplementedError

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        if self.fails is not None:
            raise self.fails
        time.sleep(1.0)
        return signed_by(self._key, fields).raw


def test_a_wallet_that_takes_its_time_holds_up_no_event_loop(place: Place, rich: Key) -> None:
    async def play() -> float:
        async with AsyncNode(place.chain.url) as node:
            sender = AsyncSender(node, Slow(rich))
            longest, running = 0.0, True

            async def heartbeat() -> None:
                nonlocal longest
                while running:
                    began = time.monotonic()
                    await asyncio.sleep(0.01)
                    longest = max(longest, time.monotonic() - began)

            beating = asyncio.create_task(heartbeat())
            jobs = [sender.transact(SOMEBODY, b"", 1, 30_000) for _ in range(3)]
            assert all(each.ok for each in await asyncio.gather(*jobs))
            running = False
            await beating
            return longest

    assert asyncio.run(play()) < 0.8


@pytest.mark.parametrize("fails", [ConnectionError("unplugged"), WrongSignature("x", b"", b"")])
def test_what_a_wallet_raises_is_the_wallets_own_and_nothing_is_stored(
    node: Node, rich: Key, fails: Exception
) -> None:
    wallet = Slow(rich)
    sender = Sender(node, wallet)
    wallet.fails = fails
    with pytest.raises(type(fails)):
        sender.send(SOMEBODY, b"", 1, 30_000, idempotency_key="k")
    assert sender.outbox.of_purpose("k") is None
    wallet.fails = None
    assert sender.transact(SOMEBODY, b"", 1, 30_000, idempotency_key="k").ok


def test_many_sessions_open_at_once_by_approvals_of_one_wallet(place: Place) -> None:
    """Each approval is of exactly one deposit: none takes another's."""

    async def play() -> None:
        async with await AsyncContracts.connect(place.chain.url) as contracts:
            client = AsyncClient(contracts, place.key("client"))
            advisor = AsyncAdvisor(contracts, place.key("advisor"))
            token = contracts.default_token()
            mint = calls.mint_batch([client.address], [10**9])
            await contracts.sender(place.key("operator")).transact(token, mint)
            price = Tariff.per_minute(1_000_000, max_units=5)
            quotes = [
                await advisor.quote(client.address, client.meter_key.address, price, salt=n)
                for n in range(6)
            ]
            opened = await asyncio.gather(*(client.open(quote) for quote in quotes))
            assert len({session.id for session in opened}) == 6

    asyncio.run(play())
