"""Handing signed transactions to a node, each one once."""

from __future__ import annotations

from honorarium.chain.node import AsyncNode, to_hex
from honorarium.chain.outbox import SignedTransaction
from honorarium.errors import ContractError, FateUnknown, NodeError
from honorarium.ids import Hash
from honorarium.units import UnixTime


class Handing:
    """What one sender hands to its node."""

    def __init__(self, node: AsyncNode) -> None:
        self._node = node
        self._fresh: set[Hash] = set()  # signed here, and never sent
        self._on_their_way: set[Hash] = set()  # being handed over just now

    def never_sent(self, signed: SignedTransaction) -> None:
        """The node need not be asked whether it knows this one: it was signed just now."""
        self._fresh.add(signed.hash)

    async def over(self, signed: SignedTransaction, at: UnixTime | None) -> None:
        """The node has it: now, or before. On a local chain its block can be `at` a time.

        Raises NodeError or ContractError if the node refuses it, FateUnknown if it then does not
        say whether it knows it.
        """
        # Any chain refuses what it has, but Ganache 7 takes nonce 0 again and again, and to
        # another one it may never answer. So one at a time, and only the first does not ask.
        while signed.hash in self._on_their_way:
            await self._node.wire.sleep(0.005)
        self._on_their_way.add(signed.hash)
        try:
            fresh = signed.hash in self._fresh and signed.nonce != 0
            self._fresh.discard(signed.hash)
            if fresh or not await is_known(self._node, signed.hash):
                await self._send(signed, at)
        finally:
            self._on_their_way.discard(signed.hash)

    async def _send(self, signed: SignedTransaction, at: UnixTime | None) -> None:
        try:
            if at is not None:
                await self._node.send_at(at, signed.raw)
            else:
                await self._node.request("eth_sendRawTransaction", [to_hex(signed.raw)])
        except (NodeError, ContractError):
            try:
                known = await is_known(self._node, signed.hash)
            except NodeError as error:
                raise FateUnknown(signed.hash) from error
            if not known:
                raise


async def is_known(node: AsyncNode, tx_hash: Hash) -> bool:
    """Whether the node has this transaction, in a block or not."""
    return await node.request("eth_getTransactionByHash", [to_hex(tx_hash)]) is not None
