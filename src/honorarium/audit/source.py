"""An archive read again: the chain's facts, in the chain's order, from files alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from honorarium.audit.archive import Archive
from honorarium.audit.facts import Entry, Transaction, Transfer
from honorarium.audit.tables import Row
from honorarium.chain.logs import UnreadableLog
from honorarium.ids import Address, Hash
from honorarium.protocol.events import Event, Tipped, decode_log
from honorarium.units import BaseUnits, BlockNumber

LOG_COLUMNS: Final = ["block", "index", "time", "tx_hash", "address", "topics", "data"]


def entries_of(archive: Archive) -> Iterator[Entry]:
    """Every event with its transaction. Raises UnreadableLog."""
    return entries_of_rows(
        archive.rows("logs", LOG_COLUMNS), archive.rows("transactions"), archive.contents.tip_jar
    )


def entries_of_rows(
    logs: Iterable[Row], transactions: Iterable[Row], tip_jar: Address
) -> Iterator[Entry]:
    """The events of rows of logs and transactions, both in the chain's order."""
    sent = _Transactions(transactions)
    for block, index, time, tx_hash, address, topics, data in logs:
        event = event_of(tip_jar, block, index, address, topics, data)
        yield Entry(block, index, time, tx_hash, event, sent.find(block, tx_hash))


def event_of(
    tip_jar: Address, block: int, index: int, address: Address, topics: bytes, data: bytes
) -> Event:
    """The event of a row. An event counts only from the contract that it belongs to."""
    try:
        event = decode_log([topics[at : at + 32] for at in range(0, len(topics), 32)], data)
    except ValueError as error:
        raise UnreadableLog(address, block, index, str(error)) from error
    if event is None or (address == tip_jar) != isinstance(event, Tipped):
        raise UnreadableLog(address, block, index, "its topic is not this contract's")
    return event


class _Transactions:
    """Transactions by hash, a block's at a time."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._blocks = groupby(rows, key=lambda row: row[1])
        self._block = -1
        self._known: dict[bytes, Transaction] = {}

    def find(self, block: int, tx_hash: bytes) -> Transaction | None:
        while self._block < block:
            self._block, rows = next(self._blocks, (2**64, iter(())))
            self._known = {row[0]: Transaction(row[2], row[3], row[4]) for row in rows}
        return self._known.get(tx_hash) if self._block == block else None


def transfers_of(archive: Archive, tokens: set[Address]) -> Iterator[Transfer]:
    """What these tokens' logs say, in the chain's order."""
    return (t for t in transfers_of_rows(archive.rows("transfers")) if t.token in tokens)


def transfers_of_rows(rows: Iterable[Row]) -> Iterator[Transfer]:
    for block, index, tx_hash, token, sender, recipient, amount in rows:
        yield Transfer(
            BlockNumber(block),
            index,
            Hash(tx_hash),
            Address(token),
            Address(sender),
            Address(recipient),
            BaseUnits(int.from_bytes(amount, "big")),
        )
