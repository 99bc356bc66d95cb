"""Collecting: logs, transactions and tokens' logs of the contracts, into an archive.

All that an audit knows of a chain is what this node says of it. What is collected already is not
asked for again, unless a reorganisation undid it: then the undone blocks are dropped and read anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from eth_hash.auto import keccak

from honorarium.audit.archive import Archive, Contents
from honorarium.audit.envelope import envelope_of
from honorarium.audit.errors import HistoryReplaced, NodeContradicts
from honorarium.audit.facts import Facts
from honorarium.audit.source import entries_of, happened_in, transfers_of
from honorarium.audit.state import StateReader
from honorarium.audit.tables import Row, read_rows
from honorarium.chain.deploy import LOCAL_CHAINS
from honorarium.chain.logs import RawLog, Topics, UnreadableLog, decode, raw_logs
from honorarium.chain.node import BATCH, Node, from_hex, to_hex
from honorarium.errors import ChainReset, NodeBehind
from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.protocol.events import Deposited, SessionOpened, Tipped
from honorarium.protocol.typed_data import Domain, word
from honorarium.units import BlockNumber

Progress = Callable[[str, int, int], None]
"""Is told what is being read, how much of it is done, and how much there is."""

SEGMENT: Final = 4000
"""So many logs make a segment: what a process that dies has to read again."""
ASKED_TOGETHER: Final = 100
"""Addresses in one filter of logs."""

_OF_TOKENS: Final = (SessionOpened.TOPIC, Deposited.TOPIC, Tipped.TOPIC)
TRANSFER: Final = Hash(keccak(b"Transfer(address,address,uint256)"))


def gather(
    node: Node,
    escrow: Address,
    tip_jar: Address,
    first: int,
    last: int | None = None,
    *,
    at: Iterable[int] = (),
    progress: Progress | None = None,
) -> Facts:
    """The facts of these contracts from block `first` to `last` (None: the newest), inclusive.

    The newest block is taken as it is; a chain may still replace it. The log is read at once, into
    a folder that ends with the facts; storage is asked while the audit runs. Raises
    NodeUnreachable, NodeError, NodeContradicts or UnreadableLog.
    """
    contents = Contents(
        node.genesis_hash, Domain(node.chain_id, escrow), tip_jar, BlockNumber(first)
    )
    with Archive.scratch(contents) as archive:
        catch_up(node, archive, last, progress=progress)
    reader = StateReader(node, escrow, progress)
    return Facts(
        place=archive.place,
        entries=entries_of(archive),
        separator=cache(lambda token: reader.separator(token, archive.last)),
        transfers=lambda tokens: transfers_of(archive, set(tokens)),
        state=reader.state,
        code=reader.code,
        happened=happened_in(archive),
        at=tuple(BlockNumber(block) for block in at),
    )


def catch_up(
    node: Node,
    archive: Archive,
    last: int | None = None,
    *,
    progress: Progress | None = None,
) -> BlockNumber:
    """Brings an archive up to block `last` (None: the newest); returns its last block.

    Killed at any moment and run again, it goes on where it was. Raises ChainReset,
    HistoryReplaced or NodeBehind if what the archive holds is not on this node's chain, and
    NodeContradicts, UnreadableLog, NodeUnreachable or NodeError.
    """
    if node.genesis_hash != archive.contents.genesis:
        raise ChainReset(archive.contents.genesis, node.genesis_hash)
    newest = node.block("latest").number
    if newest < archive.last:
        raise NodeBehind(node.url, newest, archive.last)
    end = newest if last is None else BlockNumber(last)
    if end > newest:
        raise NodeBehind(node.url, newest, end)
    _undo(node, archive)
    _Collector(node, archive, end, progress or (lambda what, done, total: None)).run()
    return archive.last


def _undo(node: Node, archive: Archive) -> None:
    """Drops the blocks that a reorganisation undid, with whatever shared a segment with them.

    Raises HistoryReplaced if the chain and the archive have no block in common.
    """
    for segment in reversed(archive.segments):
        found = _hash_of(node, segment.anchor)
        if found == segment.anchor_hash:
            archive.drop_from(segment.number + 1)
            return
        if segment.number == archive.segments[0].number:
            _must_share_a_block(node, archive)
            archive.drop_from(segment.number)


def _must_share_a_block(node: Node, archive: Archive) -> None:
    """A chain that was reorganised still has the blocks before; one that was reset has none."""
    path = archive.files("logs")[0]
    known = next(read_rows(path, ["block", "block_hash"]), None)
    if known is None:
        return  # no block with a log: nothing that could have been undone
    block, kept = known
    found = _hash_of(node, block)
    if found != kept:
        raise HistoryReplaced(archive.folder, block, kept, found)


def _hash_of(node: Node, block: int) -> Hash | None:
    found = node.request("eth_getBlockByNumber", [hex(block), False])
    return Hash(from_hex(found["hash"])) if found else None


@dataclass
class _Collector:
    node: Node
    archive: Archive
    end: BlockNumber
    tell: Progress
    logs: list[RawLog] = field(default_factory=list)

    def run(self) -> None:
        """Segment by segment; each is cut between two blocks."""
        archive, first = self.archive, BlockNumber(self.archive.last + 1)
        if first > self.end:
            return
        total = self.end - first + 1
        contracts = [archive.contents.domain.contract, archive.contents.tip_jar]
        begin = first
        found = raw_logs(
            self.node,
            contracts,
            (),
            first,
            self.end,
            progress=lambda done: self.tell("events", done, total),
        )
        for log in found:
            if len(self.logs) >= SEGMENT and log.block != self.logs[-1].block:
                known = self.logs[-1]
                self._keep(begin, known.block, (known.block, known.block_hash))
                begin, self.logs = BlockNumber(known.block + 1), []
            self.logs.append(log)
        head = self.node.block(self.end)
        self._keep(begin, self.end, (self.end, head.hash))
        self.tell("events", total, total)

    def _keep(
        self, first: BlockNumber, last: BlockNumber, anchor: tuple[BlockNumber, Hash]
    ) -> None:
        # One thread asks the node and waits, while this one reads what it answered.
        with ThreadPoolExecutor(1) as asking:
            around = self._surroundings(asking)
            transfers = asking.submit(self._transfers, first, last)
            times, sent = around()
        logs: list[Row] = [
            (
                log.block,
                log.index,
                times[log.block],
                log.block_hash,
                log.tx_hash,
                log.address,
                b"".join(log.topics),
                log.data,
            )
            for log in self.logs
        ]
        rows = {"logs": logs, "transactions": sent, "transfers": transfers.result()}
        self.archive.append(first, last, anchor, rows)

    # ------------------------------------------------------------------ transactions and times

    def _surroundings(self, asking: Executor) -> Callable[[], tuple[dict[int, int], list[Row]]]:
        """Has the node asked about the blocks and transactions of the logs that are at hand; what
        is returned reads its answers: the times of the blocks, and the transactions.
        """
        hashes: dict[int, Hash] = {}
        times: dict[int, int] = {}
        for log in self.logs:
            if hashes.setdefault(log.block, log.block_hash) != log.block_hash:
                raise NodeContradicts(log.block, "its logs name two hashes of it")
            times[log.block] = log.time
        wanted = dict.fromkeys((log.tx_hash, log.block) for log in self.logs)
        # On a local chain a transaction has a block of its own: one answer holds both.
        whole = self.node.chain_id in LOCAL_CHAINS
        blocks = [block for block, time in times.items() if whole or not time]
        singles = [] if whole else list(wanted)
        asked: list[tuple[str, list[Any]]] = [
            *(("eth_getBlockByNumber", [hex(block), whole]) for block in blocks),
            *(("eth_getTransactionByHash", [to_hex(tx_hash)]) for tx_hash, _ in singles),
        ]
        parts = [
            asking.submit(self.node.batch, asked[at : at + BATCH])
            for at in range(0, len(asked), BATCH)
        ]

        def read() -> tuple[dict[int, int], list[Row]]:
            answers = (answer for part in parts for answer in part.result())
            sent: dict[tuple[Hash, BlockNumber], Row] = {}
            for block, found in zip(blocks, answers, strict=False):
                times[block] = _time_of(block, found, hashes[block])
                for each in found["transactions"] if whole else ():
                    at = Hash(from_hex(each["hash"])), block
                    if at in wanted:
                        sent[at] = _sent(*at, each)
            for at, found in zip(singles, answers, strict=True):
                if found is not None:
                    sent[at] = _sent(*at, found)
            return times, [sent[at] for at in wanted if at in sent]

        return read

    # ------------------------------------------------------------------ tokens

    def _transfers(self, first: BlockNumber, last: BlockNumber) -> list[Row]:
        """The tokens' own logs of what went to the escrow, out of it, and of tips."""
        tippers: set[Address] = set()
        advisors: set[Address] = set()
        for log in self.logs:
            self._meet(log, tippers, advisors)
        tokens, jar = self.archive.contents.tokens, self.archive.contents.tip_jar
        escrow = Hash(word(self.archive.contents.domain.contract))
        asked: list[Topics] = [(TRANSFER, None, escrow), (TRANSFER, escrow, None)]
        if tippers:
            senders = [Hash(word(each)) for each in sorted(tippers | {jar})]
            takers = [Hash(word(each)) for each in sorted(advisors | {jar})]
            for at in range(0, len(senders), ASKED_TOGETHER):
                for to in range(0, len(takers), ASKED_TOGETHER):
                    some = senders[at : at + ASKED_TOGETHER], takers[to : to + ASKED_TOGETHER]
                    asked.append((TRANSFER, *some))
        found: dict[tuple[int, int], Row] = {}
        for start in range(0, len(tokens), ASKED_TOGETHER):
            some_tokens = tokens[start : start + ASKED_TOGETHER]
            for topics in asked:
                for log in raw_logs(self.node, some_tokens, topics, first, last):
                    if len(log.topics) == 3 and len(log.data) == 32:
                        found[log.block, log.index] = (
                            log.block,
                            log.index,
                            log.tx_hash,
                            log.address,
                            log.topics[1][12:],
                            log.topics[2][12:],
                            log.data,
                        )
        return [found[at] for at in sorted(found)]

    def _meet(self, log: RawLog, tippers: set[Address], advisors: set[Address]) -> None:
        """Takes note of a token that is new, and of who tipped whom."""
        if not log.topics or log.topics[0] not in _OF_TOKENS:
            return  # what else there is the audit reads
        event = decode(log).event
        from_jar = log.address == self.archive.contents.tip_jar
        if from_jar != isinstance(event, Tipped):
            raise UnreadableLog(log.address, log.block, log.index, "the other contract's event")
        match event:
            case SessionOpened(terms=terms):
                token = terms.token
            case Deposited(token=token):
                pass
            case Tipped(token=token):
                if token != ZERO_ADDRESS:
                    tippers.add(event.tipper)
                    advisors.add(event.advisor)
            case _:
                return
        kept = self.archive.contents
        if token != ZERO_ADDRESS and token not in kept.tokens:
            kept.tokens.append(token)
            kept.since.append(self.archive.segments[-1].number + 1 if self.archive.segments else 1)


def _time_of(block: int, found: dict[str, Any] | None, by_its_logs: Hash) -> int:
    if found is None:
        raise NodeContradicts(block, "it gave logs of it, and now has no such block")
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
