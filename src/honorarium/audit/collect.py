"""Collecting: logs, transactions and tokens' logs of the contracts, into an archive.

All that an audit knows of a chain is what this node says of it. What is collected already is not
asked for again, unless a reorganisation undid it: then the undone blocks are dropped and read anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from honorarium.audit.archive import Archive, Contents
from honorarium.audit.errors import HistoryReplaced
from honorarium.audit.facts import Facts
from honorarium.audit.source import entries_of, happened_in, transfers_of
from honorarium.audit.state import StateReader
from honorarium.audit.surroundings import Surroundings
from honorarium.audit.tables import Row, read_rows
from honorarium.chain.logs import RawLog, Topics, UnreadableLog, decode, raw_logs
from honorarium.chain.node import BlockHead, Node, from_hex
from honorarium.errors import ChainReset, NodeBehind
from honorarium.hashing import keccak
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

ASKING: Final = 2
"""So many questions are with the node at once: it answers one while the other's answer is read."""

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
    newest = node.block("latest")
    wanted = newest.number if last is None else last
    if newest.number < max(wanted, archive.last):
        raise NodeBehind(node.url, newest.number, max(wanted, archive.last))
    _undo(node, archive)
    if archive.last < wanted:
        # Its hash is asked for before its logs are: if it is undone meanwhile, that will show.
        end = newest if wanted == newest.number else node.block(wanted)
        with _threads() as asking:
            collector = _Collector(node, asking, archive, end)
            collector.run(progress or (lambda what, done, total: None))
    return archive.last


@contextmanager
def _threads() -> Iterator[Executor]:
    """Threads that ask the node and wait, while this one reads what was answered."""
    asking = ThreadPoolExecutor(ASKING)
    try:
        yield asking
    finally:
        asking.shutdown(cancel_futures=True)  # after an error nobody needs the answers


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
    asking: Executor
    archive: Archive
    end: BlockHead
    logs: list[RawLog] = field(default_factory=list)

    def run(self, tell: Progress) -> None:
        """Segment by segment; each is cut between two blocks."""
        contents, first = self.archive.contents, self.archive.last + 1
        total = self.end.number - first + 1
        found = raw_logs(
            self.node,
            [contents.domain.contract, contents.tip_jar],
            (),
            first,
            self.end.number,
            progress=lambda done: tell("events", done, total),
            asking=self.asking,
        )
        around = Surroundings(self.node, self.asking)
        for log in found:
            if len(self.logs) >= SEGMENT and log.block != self.logs[-1].block:
                self._keep(self.logs[-1].block, self.logs[-1].block_hash, around)
                self.logs, around = [], Surroundings(self.node, self.asking)
            self.logs.append(log)
            around.ask(log)
        self._keep(self.end.number, self.end.hash, around)
        tell("events", total, total)

    def _keep(self, last: BlockNumber, last_hash: Hash, around: Surroundings) -> None:
        first = BlockNumber(self.archive.last + 1)
        around.ask_the_rest()
        transfers = self._ask_transfers(first, last)
        times, sent = around.read()
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
        # The others are written while the tokens' logs are still asked for.
        rows = {"logs": logs, "transactions": sent, "transfers": _transfers(transfers)}
        self.archive.append(first, last, (last, last_hash), rows)

    # ------------------------------------------------------------------ tokens

    def _ask_transfers(self, first: BlockNumber, last: BlockNumber) -> list[Future[list[RawLog]]]:
        """Asks for the tokens' own logs of what went to the escrow, out of it, and of tips."""
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
        return [
            self.asking.submit(self._logs, tokens[at : at + ASKED_TOGETHER], topics, first, last)
            for at in range(0, len(tokens), ASKED_TOGETHER)
            for topics in asked
        ]

    def _logs(
        self, tokens: list[Address], topics: Topics, first: BlockNumber, last: BlockNumber
    ) -> list[RawLog]:
        return list(raw_logs(self.node, tokens, topics, first, last))

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


def _transfers(asked: list[Future[list[RawLog]]]) -> Iterator[Row]:
    """The rows of all answers, in the chain's order; what several have counts once."""
    logs = {(log.block, log.index): log for each in asked for log in each.result()}
    for at in sorted(logs):
        log = logs[at]
        if len(log.topics) == 3 and len(log.data) == 32:
            yield (
                log.block,
                log.index,
                log.tx_hash,
                log.address,
                log.topics[1][12:],
                log.topics[2][12:],
                log.data,
            )
