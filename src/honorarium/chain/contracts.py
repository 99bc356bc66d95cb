"""The deployed contracts of one chain, ready to use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from honorarium.chain import calls
from honorarium.chain.deploy import Manifest, attach, deploy
from honorarium.chain.local import LocalChain
from honorarium.chain.logs import decode, read_log
from honorarium.chain.node import Node
from honorarium.chain.send import Receipt, Sender
from honorarium.errors import TokenWithoutCode
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.protocol.events import Event
from honorarium.protocol.keys import Key
from honorarium.protocol.typed_data import Domain
from honorarium.units import UnixTime

PLAY_MONEY: Final = 10**12
"""What `Contracts.deploy` gives each account: a million test tokens of 6 decimals."""


@dataclass(frozen=True)
class Contracts:
    """The escrow, the tip jar and, on local chains, the test token, with the node to reach them."""

    node: Node
    escrow: Domain
    tip_jar: Address
    test_token: Address | None

    @classmethod
    def attach(cls, node: Node, manifest: Manifest) -> Self:
        """The contracts of a manifest.

        Raises WrongChain, ChainReset or NotOurCode if the node does not serve them.
        """
        attach(node, manifest)
        return cls(
            node,
            Domain(manifest.chain_id, manifest.address("SessionEscrow")),
            manifest.address("TipJar"),
            manifest.address("TestUSD") if "TestUSD" in manifest.contracts else None,
        )

    @classmethod
    def deploy(cls, chain: LocalChain) -> Self:
        """Puts the contracts on a local chain and gives each of its accounts test tokens."""
        node = Node(chain.url)
        operator = chain.accounts["operator"]
        manifest = deploy(node, operator, test_token=True)
        people = [key.address for key in chain.accounts.values()]
        minted = calls.mint_batch(people, [PLAY_MONEY] * len(people))
        Sender(node, operator).transact(manifest.address("TestUSD"), minted)
        return cls.attach(node, manifest)

    def sender(self, key: Key) -> Sender:
        """Sends transactions for the account of `key`."""
        return Sender(self.node, key)

    def now(self) -> UnixTime:
        """The time of the latest block."""
        return self.node.block().timestamp

    def default_token(self) -> Address:
        """The test token. Raises TokenWithoutCode where there is none: name a token there."""
        if self.test_token is None:
            raise TokenWithoutCode(ZERO_ADDRESS)
        return self.test_token

    def balance(self, token: Address, account: Address) -> int:
        """What the escrow owes `account`, beside sessions, in base units."""
        return calls.balance_of(self.node, self.escrow.contract, token, account)


def read_events(receipt: Receipt, contract: Address) -> list[Event]:
    """What `contract` wrote in this transaction, in order. Raises UnreadableLog."""
    written = [read_log(each) for each in receipt.logs]
    return [decode(log).event for log in written if log.address == contract]
