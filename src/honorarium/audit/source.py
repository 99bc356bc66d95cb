"""An archive read again: the chain's facts, in the chain's order, from files alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

from honorarium.audit.archive import Archive
from honorarium.audit.facts import Entry, Happening, Place, Transaction, Transfer
from honorarium.audit.origin import happening_of
from honorarium.audit.tables import Row, read_rows
from honorarium.chain.logs import UnreadableLog
from honorarium.ids import Address, Hash
from honorarium.protocol.events import Event, Tipped, decode_words
from honorarium.units import BaseUnits, BlockNumber

LOG_COLUMNS: Final = ["block", "index", "time", "tx_hash", "address", "topics", "data"]
TOGETHER: Final = 500
"""So many logs are read before the first of them is judged: one thing at a time is quicker."""


def entries_of(archive: Archive) -> Iterator[Entry]:
    """Every event with its transaction. Raises UnreadableLog."""
    return entries_of_rows(
        archive.rows("logs", LOG_COLUMNS), archive.rows("transactions"), archive.place
    )


def entries_of_rows(
    logs: Iterable[Row], transactions: Iterable[Row], place: Place
) -> Iterator[Entry]:
    """The events of rows of logs and transactions, both in the chain's order."""
    sent, waiting = _Transactions(transactions), iter(logs)
    while some := list(islice(waiting, TOGETHER)):
        events = [
            event_of(place, block, index, address, topics, data)
            for block, index, _, _, address, topics, data in some
        ]
        for (block, index, time, tx_hash, *_), event in zip(some, events, strict=True):
            yield Entry(block, index, time, tx_hash, event, sent.find(block, tx_hash))


def event_of(
    place: Place, block: int, index: int, address: Address, topics: bytes, data: bytes
) -> Event:
    """The event of a row. An event counts only from the contract that it belongs to."""
    try:
        event = decode_words(topics, data)
    except ValueError as error:
        raise UnreadableLog(address, block, index, str(error)) from error
    if event is None or address != (
        place.tip_jar if type(event) is Tipped else place.domain.contract
    ):
        raise UnreadableLog(address, block, index, "its topic is not this contract's")
    return event


class _Transactions:
    """Transactions by hash, a block's at a time."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, _NO_MORE)
        self._block = -1
        self._known: dict[bytes, Transaction] = {}

    def find(self, block: int, tx_hash: bytes) -> Transaction | None:
        if block != self._block:
            self._block, self._known = block, {}
            row = self._next
            while row[1] <= block:
                if row[1] == block:
                    self._known[row[0]] = Transaction(*row[2:8])
                row = next(self._rows, _NO_MORE)
            self._next = row
        return self._known.get(tx_hash)


_NO_MORE: Final[Row] = (b"", 2**64)


def happened_in(archive: Archive) -> Callable[[BlockNumber, Hash], Counter[Happening]]:
    """Tells what a transaction did; best asked in the chain's order."""

    @lru_cache(maxsize=1)
    def done_in(number: int) -> dict[bytes, Counter[Happening]]:
        done: dict[bytes, Counter[Happening]] = {}
        files = next(each.files for each in archive.segments if each.number == number)
        for row in read_rows(archive.folder / files["logs"].name, LOG_COLUMNS):
            block, index, _, tx_hash, address, topics, data = row
            event = event_of(archive.place, block, index, address, topics, data)
            done.setdefault(tx_hash, Counter())[happening_of(event)] += 1
        return done

    def happened(block: BlockNumber, tx_hash: Hash) -> Counter[Happening]:
        for segment in archive.segments:
            if segment.first <= block <= segment.last:
                return done_in(segment.number).get(tx_hash, Counter())
        return Counter()

    return happened


def transfers_of(archive: Archive, tokens: set[Address]) -> Iterator[Transfer]:
    """What these tokens' logs say, in the chain's order."""
    return (t for t in transfers_of_rows(archive.rows("transfers")) if t.token in tokens)


def transfers_of_rows(rows: Iterable[Row]) -> Iterator[Transfer]:
    for block, index, tx_hash, token, sender, recipient, amount in rows:
        yield Transfer(
            block,
            index,
            tx_hash,
            token,
            sender,
            recipient,
            BaseUnits(int.from_bytes(amount, "big")),
        )
