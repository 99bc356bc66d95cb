"""The watcher, step by step: what is believed at once, what when it is final, what is undone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from honorarium.chain import AsyncContracts, AsyncNode, LocalChain, Node, calls, deploy
from honorarium.desk.clock import ChainClock
from honorarium.desk.watch import KEPT, Watcher
from honorarium.ledger import Ledger, sessions
from honorarium.ledger.blocks import known
from honorarium.ledger.locks import Locks
from settling import DEPOSIT, PRICE, Town

Play = Callable[[Watcher, AsyncContracts], Awaitable[None]]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with LocalChain.start(engine="anvil") as chain:
        with Node(chain.url) as node:
            manifest = deploy(node, chain.accounts["operator"], test_token=True)
        town = Town(chain, manifest, f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
        yield town
        town.close()


def watching(town: Town, play: Play, confirmations: int = 1) -> None:
    """Lets somebody play with a watcher of the town."""

    async def run() -> None:
        async with AsyncContracts(AsyncNode(town.chain.url), town.manifest) as contracts:
            locks = Locks(town.ledger)
            watcher = Watcher(
                town.ledger, contracts, locks, ChainClock(), confirmations=confirmations
            )
            await play(watcher, contracts)
            locks.close()

    asyncio.run(run())


def seq(town: Town, session_id: bytes) -> int:
    with town.ledger.read() as connection:
        return sessions.seqs(connection, [session_id])[session_id]


def test_money_counts_when_it_is_final_and_leaving_at_once(town: Town) -> None:
    one, other = town.open(2)
    topped = calls.top_up(one, DEPOSIT + PRICE)

    def row() -> tuple[object, object]:
        (found,) = town.rows([one])
        return found["status"], found["deposit"]

    async def play(watcher: Watcher, contracts: AsyncContracts) -> None:
        town.node.request("anvil_mine", ["0x1"])
        await watcher.look()
        assert row() == ("quoted", 0)  # two blocks deep
        town.node.request("anvil_mine", ["0x1"])
        await watcher.look()
        assert row() == ("open", DEPOSIT)  # three
        before = seq(town, town.id_of(one))
        town.paying.transact(town.escrow, topped)
        await watcher.look()
        assert row() == ("open", DEPOSIT)
        town.leave(other)
        await watcher.look()
        assert town.rows([other])[0]["status"] == "closing"
        town.node.request("anvil_mine", ["0x1"])
        await watcher.look()
        assert row() == ("open", DEPOSIT + PRICE)
        assert seq(town, town.id_of(one)) == before + 1  # every replica's book finds out

    watching(town, play, confirmations=3)


def test_what_three_blocks_said_is_undone_with_them(town: Town) -> None:
    one, other = town.open(2)
    told: list[bytes] = []

    async def play(watcher: Watcher, contracts: AsyncContracts) -> None:
        watcher._changed = told.append
        await watcher.look()
        before = town.node.request("evm_snapshot")
        settled = calls.settle(one, town.voucher(one, 7))
        town.bank.transact(town.escrow, settled)
        town.leave(one)
        town.leave(other)
        await watcher.look()
        assert [r["status"] for r in town.rows([one, other])] == ["closing", "closing"]
        town.node.request("evm_revert", [before])
        town.node.request("anvil_mine", ["0x4"])
        told.clear()
        await watcher.look()
        assert set(told) == {town.id_of(one), town.id_of(other)}
        for row in town.rows([one, other]):
            assert (row["status"], row["earned"], row["settled_units"]) == ("open", 0, 0)
            assert row["closing_at"] is None
        with town.ledger.read() as connection:
            heard = sessions.record_rows(connection, [town.id_of(one)])[town.id_of(one)]
        assert heard[-1] == {"ended": None, "closed": False}

    watching(town, play)


def test_only_the_latest_blocks_are_kept_and_a_long_absence_is_made_up_for(town: Town) -> None:
    (one,) = town.open(1)

    async def play(watcher: Watcher, contracts: AsyncContracts) -> None:
        town.node.request("anvil_mine", [hex(3 * KEPT)])
        await watcher.look()
        assert town.rows([one])[0]["status"] == "open"
        with town.ledger.read() as connection:
            numbers = sorted(known(connection))
        head = town.node.block().number
        assert numbers == list(range(head - KEPT, head + 1))

    watching(town, play)


def test_a_second_watcher_waits_until_the_first_is_gone(town: Town, tmp_path: Path) -> None:
    async def play(watcher: Watcher, contracts: AsyncContracts) -> None:
        await watcher.look()
        ledger = Ledger(town.url)
        second = Watcher(ledger, contracts, Locks(ledger), ChainClock())
        await second.look()
        assert (watcher.watches, second.watches) == (True, False)
        await watcher.stop()
        await second.look()
        assert second.watches
        await second.stop()
        ledger.close()

    watching(town, play)
