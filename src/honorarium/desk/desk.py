"""One replica of a desk: the chain, the ledger, and what works between them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import select

from honorarium.chain import AsyncContracts
from honorarium.chain.send import AsyncSender
from honorarium.desk.clock import ChainClock
from honorarium.desk.intake import Intake
from honorarium.desk.readings import Readings
from honorarium.desk.settings import Settings
from honorarium.errors import InputError
from honorarium.ids import Address
from honorarium.ledger import Ledger
from honorarium.ledger.schema import facts
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
        self.sender: AsyncSender = contracts.sender(key)

    @classmethod
    async def connect(cls, settings: Settings, key: Key, *, state: Path | None = None) -> Self:
        """A desk over the node and the ledger that the settings name.

        Raises what `AsyncContracts.connect` raises, LedgerUnusable, LedgerTooNew, OtherLedger.
        """
        ledger = Ledger(settings.ledger)
        contracts = await AsyncContracts.connect(
            settings.rpc, manifest=settings.manifest, state=state
        )
        try:
            ledger.set_up()
            desk = cls(settings, ledger, contracts, key)
            await desk._must_be_ours()
        except BaseException:
            await contracts.close()
            ledger.close()
            raise
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
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.intake.stop()
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
