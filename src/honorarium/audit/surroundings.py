"""What surrounds logs: the times of their blocks, and the transactions that wrote them."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any

from honorarium.audit.envelope import envelope_of
from honorarium.audit.errors import NodeContradicts
from honorarium.audit.tables import Row
from honorarium.chain.deploy import LOCAL_CHAINS
from honorarium.chain.logs import RawLog
from honorarium.chain.node import BATCH, Node, from_hex, to_hex
from honorarium.ids import Hash
from honorarium.units import BlockNumber

_Place = tuple[Hash, BlockNumber]
"""A transaction, and the block that it is in by its logs."""
_Question = tuple[str, list[Any], BlockNumber | _Place]
"""Method, parameters, and which block or transaction it is about."""


class Surroundings:
    """Are asked for while a segment's logs still come, and read when all have come."""

    def __init__(self, node: Node, asking: Executor) -> None:
        self._node, self._asking = node, asking
        # On a local chain a transaction has a block of its own: one answer holds both.
        self._whole = node.chain_id in LOCAL_CHAINS
        self._hashes: dict[int, Hash] = {}
        self._times: dict[int, int] = {}
        self._sent: dict[_Place, Row | None] = {}  # in the order of the logs
        self._waiting: list[_Question] = []
        self._asked: list[tuple[list[_Question], Future[list[Any]]]] = []

    def ask(self, log: RawLog) -> None:
        """Asks what a log does not say of its block and its transaction; many logs' together."""
        at = log.tx_hash, log.block
        if self._hashes.setdefault(log.block, log.block_hash) != log.block_hash:
            raise NodeContradicts(log.block, "its logs name two hashes of it")
        if log.block not in self._times:
            self._times[log.block] = log.time
            if self._whole or not log.time:
                self._put("eth_getBlockByNumber", [hex(log.block), self._whole], log.block)
        if at not in self._sent:
            self._sent[at] = None
            if not self._whole:
                self._put("eth_getTransactionByHash", [to_hex(log.tx_hash)], at)

    def ask_the_rest(self) -> None:
        """Asks what still waits for others to be asked with."""
        if self._waiting:
            asked = [(method, params) for method, params, _ in self._waiting]
            self._asked.append((self._waiting, self._asking.submit(self._node.batch, asked)))
            self._waiting = []

    def read(self) -> tuple[dict[int, int], list[Row]]:
        """The times of the blocks, and the transactions, as far as the node has them."""
        while self._asked:
            questions, answers = self._asked.pop(0)
            for (_, _, about), answer in zip(questions, answers.result(), strict=True):
                if isinstance(about, tuple):
                    self._transaction(about, answer)
                else:
                    self._block(about, answer)
        return self._times, [row for row in self._sent.values() if row is not None]

    def _put(self, method: str, params: list[Any], about: BlockNumber | _Place) -> None:
        self._waiting.append((method, params, about))
        if len(self._waiting) == BATCH:
            self.ask_the_rest()

    def _block(self, block: BlockNumber, found: dict[str, Any] | None) -> None:
        if found is None:
            raise NodeContradicts(block, "it gave logs of it, and now has no such block")
        self._times[block] = _time_of(block, found, self._hashes[block])
        for each in found["transactions"] if self._whole else ():
            at = Hash(from_hex(each["hash"])), block
            if at in self._sent:
                self._sent[at] = _sent(*at, each)

    def _transaction(self, at: _Place, found: dict[str, Any] | None) -> None:
        if found is not None:
            self._sent[at] = _sent(*at, found)


def _time_of(block: int, found: dict[str, Any], by_its_logs: Hash) -> int:
    if from_hex(found["hash"]) != by_its_logs:
        raise NodeContradicts(
            block,
            f"its hash is {found['hash']}, and 0x{by_its_logs.hex()} by its logs (if the chain was "
            "just reorganised, run the audit again)",
        )
    return int(found["timestamp"], 16)


def _sent(tx_hash: Hash, block: int, found: dict[str, Any]) -> Row:
    if from_hex(found["hash"]) != tx_hash:
        raise NodeContradicts(
            block, f"asked for transaction 0x{tx_hash.hex()}, it gave {found['hash']}"
        )
    to = found.get("to")
    return (
        tx_hash,
        block,
        from_hex(found["from"]),
        from_hex(to) if to else None,
        from_hex(found["input"]),
        *envelope_of(found),
    )
