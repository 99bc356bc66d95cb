"""One replica of a desk: the chain, the ledger, and what works between them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, Self

from sqlalchemy import select

from honorarium.chain import AsyncContracts
from honorarium.chain.node import from_hex
from honorarium.chain.send import AsyncSender
from honorarium.desk.clock import ChainClock
from honorarium.desk.elsewhere import Elsewhere
from honorarium.desk.intake import Intake
from honorarium.desk.policy import Policy
from honorarium.desk.readings import Readings
from honorarium.desk.settings import Settings
from honorarium.desk.settle import Settler
from honorarium.desk.settlement import relayer_outbox
from honorarium.desk.watch import Watcher
from honorarium.errors import InputError
from honorarium.ids import Address
from honorarium.ledger import Ledger
from honorarium.ledger.locks import Locks
from honorarium.ledger.schema import facts
from honorarium.onfailure import AsyncOnFailure, OnFailure
from honorarium.protocol.keys import Key
from honorarium.protocol.typed_data import Domain

_CHAIN: Final = ("chain_id", "genesis_hash", "escrow", "tip_jar", "desk")


class OtherLedger(InputError):
    """A ledger that was kept for another chain, deployment or key."""

    def __init__(self, place: str, what: str, expected: str, found: str) -> None:
        self.place, self.what, self.expected, self.found = place, what, expected, found
        super().__init__(
            f"the ledger {place} belongs to another desk: its {what} is {found}, and here it is "
            f"{expected}; name another ledger, or this ledger's own node, deployment and key (a "
            "local chain that was started anew is another chain)"
        )


class Desk:
    """Takes vouchers for advisors and settles them. `key` pays for gas and signs acknowledgements.

    Use `connect`, then `async with`.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, contracts: AsyncContracts, key: Key
    ) -> None:
        self.settings, self.ledger, self.contracts, self.key = settings, ledger, contracts, key
        self.clock = ChainClock()
        self.readings = Readings()
        self.intake = Intake(ledger, key, self.clock, self.readings)
        # All replicas send with one key, so they share one outbox.
        outbox = relayer_outbox(ledger, key, contracts.manifest)
        self.sender = AsyncSender(contracts.node, key, outbox=outbox)
        self.locks = Locks(ledger)
        self.policy = policy_of(settings, contracts.test_token)
        self.settler = Settler(
            ledger,
            settings.rpc,
            contracts.manifest,
            key,
            self.locks,
            self.clock,
            policy=self.policy,
            confirmations=settings.confirmations,
            scan=settings.settle_seconds,
            changed=self.readings.changed,
        )
        self.watcher = Watcher(
            ledger,
            contracts,
            self.locks,
            self.clock,
            confirmations=settings.confirmations,
            every=settings.look_seconds,
            changed=self.readings.changed,
            urgent=self.settler.wake,
        )
        self.elsewhere = Elsewhere(ledger, self.readings)
        self._begun = False

    @classmethod
    async def connect(cls, settings: Settings, key: Key, *, state: Path | None = None) -> Self:
        """A desk over the node and the ledger that the settings name.

        Raises what `AsyncContracts.connect` raises, LedgerUnusable, LedgerTooNew, OtherLedger.
        """
        ledger = Ledger(settings.ledger)
        with OnFailure(ledger.close):
            contracts = await AsyncContracts.connect(
                settings.rpc, manifest=settings.manifest, state=state
            )
            async with AsyncOnFailure(contracts.close):
                ledger.set_up()
                desk = cls(settings, ledger, contracts, key)
                await desk._must_be_ours()
        return desk

    @property
    def address(self) -> Address:
        """The relayer, who acknowledges too."""
        return self.key.address

    @property
    def domain(self) -> Domain:
        """Where signatures count."""
        return self.contracts.escrow

    async def __aenter__(self) -> Self:
        await self.clock.refresh(self.contracts.node)
        self.intake.start()
        self.elsewhere.start()
        return self

    async def begin(self) -> None:
        """Watches the chain and settles, beside what is asked of it."""
        self._begun = True
        await self.watcher.look()
        await self.watcher.start()
        await self.settler.start()

    async def __aexit__(self, *_: object) -> None:
        if self._begun:
            await self.settler.stop()
            await self.watcher.stop()
        await self.elsewhere.stop()
        self.intake.stop()
        await asyncio.to_thread(self.locks.close)
        await self.contracts.close()
        self.ledger.close()

    async def _must_be_ours(self) -> None:
        """A new ledger is given this chain's name; an old one has to have it."""
        found = {
            "chain_id": str(self.domain.chain_id),
            "genesis_hash": "0x" + (await self.contracts.node.genesis_hash()).hex(),
            "escrow": "0x" + self.domain.contract.hex(),
            "tip_jar": "0x" + self.contracts.tip_jar.hex(),
            "desk": "0x" + self.address.hex(),
        }
        with self.ledger.write() as connection:
            known = {row.name: row.value for row in connection.execute(select(facts))}
            for name in _CHAIN:
                if name not in known:
                    connection.execute(facts.insert().values(name=name, value=found[name]))
                elif known[name] != found[name]:
                    raise OtherLedger(self.ledger.place, name, found[name], known[name])


def policy_of(settings: Settings, test_token: Address | None) -> Policy:
    """When to settle, as the settings say. Play money is worth settling from its first unit on."""
    floor = settings.settle_floor
    return Policy(
        coin_prices={Address(from_hex(each)): n for each, n in settings.coin_prices.items()},
        floors={} if test_token is None else {test_token: max(1, floor or 0)},
        floor=floor,
        idle=settings.settle_idle,
        worth=settings.settle_worth,
    )
