"""The contracts' log, complete and in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

from honorarium.chain.node import AsyncNode, Node, block_head, from_hex, to_hex, understood
from honorarium.chain.wire import drive, drive_iter
from honorarium.errors import ChainError, NodeError, NodeUnreachable
from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.protocol.events import Event, decode_log
from honorarium.units import BlockNumber, UnixTime

Topics = Sequence[Hash | Sequence[Hash] | None]
"""What the topics of a log must be, in their order: one, any of several, or (None) any."""

NOT_ASKED: Final = UnixTime(0)
FIRST_SPAN: Final = 500
LONGEST_SPAN: Final = 10_000
FULL: Final = 2_000
"""So many logs in one answer are enough: with more, the span of blocks shrinks."""


class UnreadableLog(ChainError):
    """A contract of ours wrote what no contract of ours writes."""

    def __init__(self, address: bytes, block: int, index: int, reason: str) -> None:
        self.address, self.block, self.index, self.reason = address, block, index, reason
        super().__init__(
            f"log {index} of block {block}, by 0x{address.hex()}, cannot be read: {reason}; check "
            "that this address is the deployment's (`honorarium deploy --verify`)"
        )


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One event, where it stands, and the time of its block (unix seconds; 0 if not asked for)."""

    block: BlockNumber
    index: int
    tx_hash: Hash
    address: Address
    event: Event
    time: UnixTime


@dataclass(frozen=True, slots=True)
class RawLog:
    """One log of any contract. `time` of its block (unix seconds): 0 where the node adds none."""

    block: BlockNumber
    index: int
    tx_hash: Hash
    address: Address
    topics: tuple[Hash, ...]
    data: bytes
    block_hash: Hash = ZERO_HASH
    time: UnixTime = NOT_ASKED


_Span = tuple[int, list[RawLog]]
"""The last block of some that were asked about together, and their logs."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What was sent. `to` None: it created a contract."""

    hash: Hash
    sender: Address
    to: Address | None
    data: bytes
    value: int
    block: BlockNumber | None


async def collect_async(
    node: AsyncNode,
    addresses: Sequence[Address],
    first: int,
    last: int,
    *,
    topics: Topics = (),
    times: bool = True,
    progress: Callable[[int], None] | None = None,
) -> AsyncIterator[LogRecord]:
    """Every event of these contracts from block `first` to `last`, both included, in order.

    `topics`: only those (None: any). `progress` is told how many blocks are done. Raises
    UnreadableLog for a log that none of our contracts writes: nothing is left out silently.
    """
    async for end, batch in _spans(node, addresses, topics, first, last):
        clock = await _times(node, {log.block for log in batch}) if times else {}
        for log in batch:
            yield decode(log, clock.get(log.block, NOT_ASKED))
        if progress is not None:
            progress(end - first + 1)


def collect(
    node: Node,
    addresses: Sequence[Address],
    first: int,
    last: int,
    *,
    topics: Topics = (),
    times: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Iterator[LogRecord]:
    """As `collect_async`, for programs without an event loop."""
    found = collect_async(
        node.core, addresses, first, last, topics=topics, times=times, progress=progress
    )
    return drive_iter(found)


def raw_logs(
    node: Node,
    addresses: Sequence[Address],
    topics: Topics,
    first: int,
    last: int,
    *,
    progress: Callable[[int], None] | None = None,
    asking: Executor | None = None,
) -> Iterator[RawLog]:
    """Every log of these contracts with these topics (None: any), in order.

    `asking`: threads, one of which asks for the next logs while these are worked with.
    """
    spans = drive_iter(_spans(node.core, addresses, topics, first, last))
    for end, batch in _ahead(spans, first, last, asking) if asking else spans:
        yield from batch
        if progress is not None:
            progress(end - first + 1)


def _ahead(spans: Iterator[_Span], first: int, last: int, asking: Executor) -> Iterator[_Span]:
    end, coming = first - 1, asking.submit(next, spans)
    while end < last:
        end, batch = coming.result()
        if end < last:
            coming = asking.submit(next, spans)
        yield end, batch


def decode(log: RawLog, time: UnixTime = NOT_ASKED) -> LogRecord:
    """The event that a log of ours holds. Raises UnreadableLog if it holds none."""
    try:
        event = decode_log(log.topics, log.data)
    except ValueError as error:
        raise UnreadableLog(log.address, log.block, log.index, str(error)) from error
    if event is None:
        topic = to_hex(log.topics[0]) if log.topics else "none"
        raise UnreadableLog(log.address, log.block, log.index, f"its topic {topic} is not ours")
    return LogRecord(log.block, log.index, log.tx_hash, log.address, event, time)


def read_log(found: dict[str, Any]) -> RawLog:
    """A log as JSON-RPC writes it, in a receipt too."""
    return RawLog(
        block=BlockNumber(int(found["blockNumber"], 16)),
        index=int(found["logIndex"], 16),
        tx_hash=Hash(from_hex(found["transactionHash"])),
        address=Address(from_hex(found["address"])),
        topics=tuple(Hash(from_hex(topic)) for topic in found["topics"]),
        data=from_hex(found["data"]),
        block_hash=Hash(from_hex(found["blockHash"])),
        time=UnixTime(int(found.get("blockTimestamp") or "0x0", 16)),
    )


def transactions(node: Node, hashes: Iterable[Hash]) -> list[Transaction]:
    """What was sent, in the order of `hashes`. Raises NodeError if the node lacks one of them."""
    wanted = list(hashes)
    found = node.batch([("eth_getTransactionByHash", [to_hex(each)]) for each in wanted])
    return [_transaction(each, tx) for each, tx in zip(wanted, found, strict=True)]


def block_times(node: Node, blocks: Iterable[int]) -> dict[int, UnixTime]:
    """The times of blocks (unix seconds), in batches."""
    return drive(_times(node.core, set(blocks)))


async def _spans(
    node: AsyncNode, addresses: Sequence[Address], topics: Topics, first: int, last: int
) -> AsyncIterator[_Span]:
    wanted: dict[str, Any] = {"address": [to_hex(each) for each in addresses]}
    if topics:
        wanted["topics"] = [_topic(each) for each in topics]
    at, span = first, FIRST_SPAN
    while at <= last:
        end = min(at + span - 1, last)
        asked = {**wanted, "fromBlock": hex(at), "toBlock": hex(end)}
        try:
            found = await node.request("eth_getLogs", [asked])
        except (NodeError, NodeUnreachable):
            if end == at:
                raise
            # Too many at once, for the node or for the time it has: nodes say it in many ways.
            span = max(1, (end - at + 1) // 4)
            continue
        with understood(node.url, "eth_getLogs"):
            batch = [read_log(each) for each in found]
        batch.sort(key=lambda log: (log.block, log.index))
        yield end, batch
        at = end + 1
        if len(batch) > FULL:
            span = max(1, span // 2)
        elif len(batch) < FULL // 4:
            span = min(2 * span, LONGEST_SPAN)


def _topic(topic: Hash | Sequence[Hash] | None) -> Any:
    if topic is None or isinstance(topic, bytes):
        return None if topic is None else to_hex(topic)
    return [to_hex(each) for each in topic]  # any of these


async def _times(node: AsyncNode, blocks: set[int]) -> dict[int, UnixTime]:
    ordered = sorted(blocks)
    found = await node.batch(("eth_getBlockByNumber", [hex(each), False]) for each in ordered)
    for number, block in zip(ordered, found, strict=True):
        if block is None:
            raise NodeError("eth_getBlockByNumber", 0, f"there is no block {number}")
    with understood(node.url, "eth_getBlockByNumber"):
        return {n: block_head(block).timestamp for n, block in zip(ordered, found, strict=True)}


def _transaction(tx_hash: Hash, found: dict[str, Any] | None) -> Transaction:
    if found is None:
        name = to_hex(tx_hash)
        raise NodeError("eth_getTransactionByHash", 0, f"there is no transaction {name}")
    to, block = found.get("to"), found.get("blockNumber")
    return Transaction(
        hash=tx_hash,
        sender=Address(from_hex(found["from"])),
        to=Address(from_hex(to)) if to else None,
        data=from_hex(found["input"]),
        value=int(found["value"], 16),
        block=BlockNumber(int(block, 16)) if block else None,
    )
