"""What an audit has read of a chain, kept in a folder: to go on from, to hand on, to audit offline.

    archive.json             which chain and contracts; the segments and states, with their digests
    000001-logs.parquet      a segment: the logs of a span of blocks, their transactions, and the
    000001-transactions...   tokens' own logs of what went in and out
    000001-transfers...
    state-4711-1.parquet     what storage held at a block

A segment is never changed. It counts once archive.json names it, and that file is replaced in one
step, so that a process may die at any moment: what is not named is written anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa

from honorarium.audit.errors import ArchiveBusy, ArchiveElsewhere, ArchiveUnusable
from honorarium.audit.facts import Place
from honorarium.audit.tables import B20, B32, Columns, Row, Stored, Writer, fault, read_rows
from honorarium.audit.tables import write_json as _write_json
from honorarium.ids import Address, Hash
from honorarium.protocol.typed_data import Domain
from honorarium.units import BlockNumber

FILE: Final = "archive.json"
FORMAT: Final = 2
WITHOUT_SIGNATURES: Final = 1
"""The format before: it has no heads and tails of transactions, and nothing is added to it."""

LOGS: Final[Columns] = {
    "block": pa.uint64(),
    "index": pa.uint32(),
    "time": pa.uint64(),
    "block_hash": B32,
    "tx_hash": B32,
    "address": B20,
    "topics": pa.binary(),  # one behind the other, 32 bytes each
    "data": pa.binary(),
}
TRANSACTIONS: Final[Columns] = {
    "hash": B32,
    "block": pa.uint64(),
    "sender": B20,
    "to": B20,  # null: it created a contract
    "data": pa.binary(),
    "head": pa.binary(),  # what was signed before and behind the data (envelope.py); null: not kept
    "tail": pa.binary(),
}
TRANSFERS: Final[Columns] = {
    "block": pa.uint64(),
    "index": pa.uint32(),
    "tx_hash": B32,
    "token": B20,
    "sender": B20,
    "recipient": B20,
    "amount": B32,
}
STATE: Final[Columns] = {"kind": pa.string(), "key": pa.binary(), "value": pa.binary()}

TABLES: Final[dict[str, Columns]] = {
    "logs": LOGS,
    "transactions": TRANSACTIONS,
    "transfers": TRANSFERS,
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of blocks, both ends included. `anchor`: its last block whose hash is known."""

    number: int
    first: BlockNumber
    last: BlockNumber
    anchor: BlockNumber
    anchor_hash: Hash
    files: dict[str, Stored]  # by table

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "first": self.first,
            "last": self.last,
            "anchor": self.anchor,
            "anchor_hash": self.anchor_hash.hex(),
            "files": {table: stored.as_json() for table, stored in self.files.items()},
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Segment:
        return cls(
            int(found["number"]),
            BlockNumber(int(found["first"])),
            BlockNumber(int(found["last"])),
            BlockNumber(int(found["anchor"])),
            Hash(bytes.fromhex(found["anchor_hash"])),
            {table: Stored(**found["files"][table]) for table in TABLES},
        )


@dataclass(slots=True)
class Contents:
    """What archive.json says."""

    genesis: Hash
    domain: Domain
    tip_jar: Address
    first: BlockNumber
    tokens: list[Address] = field(default_factory=list)  # whose transfers are read, by arrival
    since: list[int] = field(default_factory=list)  # the segment from which on
    segments: list[Segment] = field(default_factory=list)
    states: dict[int, Stored] = field(default_factory=dict)
    at: list[int] = field(default_factory=list)  # blocks whose states stay, beside the last one
    format: int = FORMAT

    def as_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "chain_id": self.domain.chain_id,
            "genesis": self.genesis.hex(),
            "escrow": self.domain.contract.hex(),
            "tip_jar": self.tip_jar.hex(),
            "first": self.first,
            "tokens": [token.hex() for token in self.tokens],
            "since": self.since,
            "segments": [segment.as_json() for segment in self.segments],
            "states": {str(block): stored.as_json() for block, stored in self.states.items()},
            "at": self.at,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Contents:
        if found["format"] not in (WITHOUT_SIGNATURES, FORMAT):
            raise ValueError(f"its format is {found['format']}, and this version reads {FORMAT}")
        return cls(
            Hash(bytes.fromhex(found["genesis"])),
            Domain(int(found["chain_id"]), Address(bytes.fromhex(found["escrow"]))),
            Address(bytes.fromhex(found["tip_jar"])),
            BlockNumber(int(found["first"])),
            [Address(bytes.fromhex(token)) for token in found["tokens"]],
            [int(number) for number in found["since"]],
            [Segment.from_json(each) for each in found["segments"]],
            {int(block): Stored(**stored) for block, stored in found["states"].items()},
            [int(block) for block in found["at"]],
            found["format"],
        )


class Archive:
    """An archive, open for reading, or (`Archive.keep`) for adding to it, by one process."""

    def __init__(self, folder: Path, contents: Contents, lock: int | None = None) -> None:
        self.folder, self.contents, self._lock = folder, contents, lock
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the right to add."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @classmethod
    def read(cls, folder: Path) -> Archive:
        """An archive that somebody kept, every file of it checked against archive.json.

        Raises ArchiveUnusable for one that was cut short or changed, or whose spans have gaps.
        """
        archive = cls(folder, _load(folder))
        stored = [each for segment in archive.segments for each in segment.files.values()]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            files = (*stored, *archive.contents.states.values())
            for reason in threads.map(partial(fault, folder), files):
                if reason is not None:
                    raise ArchiveUnusable(folder, reason)
        archive._must_be_seamless()
        return archive

    @classmethod
    def opened(cls, folder: Path) -> Archive:
        """The same for whoever knows that it is whole. Raises ArchiveUnusable without one."""
        return cls(folder, _load(folder))

    @classmethod
    def keep(cls, folder: Path, wanted: Contents) -> Archive:
        """The archive of these contracts in `folder`, begun if there is none yet.

        Raises ArchiveBusy, ArchiveElsewhere, ArchiveUnusable.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ArchiveUnusable(folder, error.strerror or str(error)) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise ArchiveBusy(folder) from None
        archive = cls(folder, wanted, lock)
        try:
            if (folder / FILE).exists():
                archive.contents = _load(folder)
                archive._must_be(wanted)
                archive._must_be_seamless()
                for segment in archive.segments:
                    for stored in segment.files.values():
                        if (reason := fault(folder, stored, whole=False)) is not None:
                            raise ArchiveUnusable(folder, reason)
                archive._sweep()
            elif any(each.name != "lock" for each in folder.iterdir()):
                raise ArchiveUnusable(folder, f"there are files, and no {FILE}")
            else:
                archive.save()
        except BaseException:
            archive.close()
            raise
        return archive

    @classmethod
    def scratch(cls, wanted: Contents) -> Archive:
        """An archive in a temporary folder, which goes when nobody holds the archive any more."""
        folder = tempfile.TemporaryDirectory(prefix="honorarium-audit-")
        archive = cls.keep(Path(folder.name), wanted)
        archive._scratch = folder
        return archive

    def _must_be(self, wanted: Contents) -> None:
        kept = self.contents
        if kept.format != FORMAT:
            raise ArchiveUnusable(
                self.folder,
                f"its format is {kept.format}, which can be audited, and not added to: it has no "
                "signatures of transactions",
            )
        for what, ours, theirs in (
            ("chain", kept.domain.chain_id, wanted.domain.chain_id),
            ("the chain that began with", kept.genesis.hex(), wanted.genesis.hex()),
            ("escrow", kept.domain.contract.hex(), wanted.domain.contract.hex()),
            ("tip jar", kept.tip_jar.hex(), wanted.tip_jar.hex()),
            ("the history from block", kept.first, wanted.first),
        ):
            if ours != theirs:
                raise ArchiveElsewhere(self.folder, what, str(ours), str(theirs))

    def _must_be_seamless(self) -> None:
        expected = self.contents.first
        for segment in self.segments:
            if segment.first != expected or segment.last < segment.first:
                raise ArchiveUnusable(
                    self.folder,
                    f"segment {segment.number} holds blocks {segment.first} to {segment.last}, and "
                    f"{expected} follows",
                )
            expected = BlockNumber(segment.last + 1)

    def _sweep(self) -> None:
        """Removes what a process that died had not named yet."""
        named = {stored.name for segment in self.segments for stored in segment.files.values()}
        named |= {stored.name for stored in self.contents.states.values()} | {FILE, "lock"}
        for each in self.folder.iterdir():
            ours = each.name.endswith((".parquet", ".part"))
            if each.name not in named and ours:
                each.unlink()

    # ------------------------------------------------------------------ what it holds

    @property
    def segments(self) -> list[Segment]:
        return self.contents.segments

    @property
    def last(self) -> BlockNumber:
        """The last block that it holds; the one before its first if it holds none."""
        return self.segments[-1].last if self.segments else BlockNumber(self.contents.first - 1)

    @property
    def place(self) -> Place:
        kept = self.contents
        return Place(kept.domain, kept.tip_jar, kept.first, self.last)

    def count(self, table: str) -> int:
        """How many rows a table has in all."""
        return sum(segment.files[table].rows for segment in self.segments)

    def rows(self, table: str, names: list[str] | None = None) -> Iterator[Row]:
        """The rows of a table in the chain's order."""
        for segment in self.segments:
            yield from read_rows(self.folder / segment.files[table].name, names)

    def files(self, table: str) -> list[Path]:
        """The files of a table, in the chain's order."""
        return [self.folder / segment.files[table].name for segment in self.segments]

    # ------------------------------------------------------------------ adding

    def append(
        self,
        first: BlockNumber,
        last: BlockNumber,
        anchor: tuple[BlockNumber, Hash],
        rows: Mapping[str, Iterable[Row]],
    ) -> None:
        """Adds the next segment, whole or not at all. Each table has a thread, which may wait for
        its rows.
        """
        number = self.segments[-1].number + 1 if self.segments else 1
        with ThreadPoolExecutor() as pool:  # each waits for the disk
            parts = {
                table: pool.submit(self._write, f"{number:06}-{table}", table, rows[table])
                for table in TABLES
            }
        files = {table: part.result() for table, part in parts.items()}
        self.segments.append(Segment(number, first, last, *anchor, files))
        self.save()

    def _write(self, name: str, table: str, rows: Iterable[Row]) -> Stored:
        writer = Writer(self.folder / f"{name}.parquet", TABLES[table])
        writer.extend(rows)
        return writer.finish()

    def drop_from(self, number: int) -> None:
        """Forgets the segments from this one on, and every state of their blocks."""
        dropped = [segment for segment in self.segments if segment.number >= number]
        if not dropped:
            return
        kept = self.contents
        kept.segments = [segment for segment in self.segments if segment.number < number]
        kept.states = {at: s for at, s in kept.states.items() if at < dropped[0].first}
        kept.at = [at for at in kept.at if at < dropped[0].first]
        known = [pair for pair in zip(kept.tokens, kept.since, strict=True) if pair[1] < number]
        kept.tokens, kept.since = [token for token, _ in known], [since for _, since in known]
        self.save()
        self._sweep()

    def put_states(self, states: Mapping[BlockNumber, Iterable[Row]]) -> None:
        """Keeps what storage held at blocks, and of those before them what was kept on purpose."""
        kept, last = self.contents, self.last
        kept.at = sorted({*kept.at, *(block for block in states if block != last)})
        kept.states = {at: stored for at, stored in kept.states.items() if at in kept.at}
        for block, rows in states.items():
            # A name of its own: until archive.json names the new file, the old one counts.
            number = 1 + sum(1 for _ in self.folder.glob(f"state-{block}-*.parquet"))
            writer = Writer(self.folder / f"state-{block}-{number}.parquet", STATE)
            writer.extend(rows)
            kept.states[block] = writer.finish()
        self.save()
        self._sweep()

    def state_rows(self, block: BlockNumber, *kinds: str) -> Iterator[Row]:
        """What storage held at a block: kind, key, value; of these kinds (none: of all)."""
        path = self.folder / self.contents.states[block].name
        return read_rows(path, only=("kind", kinds) if kinds else None)

    def save(self) -> None:
        """Replaces archive.json."""
        _write_json(self.folder / FILE, self.contents.as_json())


def _load(folder: Path) -> Contents:
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Contents.from_json(found)
    except FileNotFoundError:
        raise ArchiveUnusable(folder, f"there is no {FILE}") from None
    except OSError as error:
        raise ArchiveUnusable(folder, error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveUnusable(folder, f"{FILE} is not readable ({error})") from error
