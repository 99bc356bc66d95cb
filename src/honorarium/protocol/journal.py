"""The journal of a session: a hash chain of what happened, whose head every voucher commits to.

The chain starts at the hash of the session's id. Every entry makes a new head of the last one:

    genesis = keccak256(keccak256("Journal(bytes32 sessionId)") ‖ sessionId)
    head    = keccak256(head ‖ hashStruct(entry))
    entry   = JournalEntry(uint40 at,uint8 kind,bytes32 note)

hashStruct being EIP-712's. The journal proves what the meter asserted, and by the advisor's
`Acknowledgement` what the advisor accepted; whether it is true no chain can know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Final

from honorarium.errors import JournalChanged, JournalRefused
from honorarium.hashing import keccak
from honorarium.ids import ZERO_HASH, Hash, SessionId
from honorarium.protocol.typed_data import word
from honorarium.units import Seconds, UnixTime

GENESIS_TYPEHASH: Final = keccak(b"Journal(bytes32 sessionId)")
ENTRY_TYPEHASH: Final = keccak(b"JournalEntry(uint40 at,uint8 kind,bytes32 note)")

_END_OF_TIME: Final = 2**40


class EntryKind(IntEnum):
    """What happened. The numbers are hashed, so they never change."""

    ROBOT = 1  # a robot talks; free
    QUEUED = 2  # the client waits for an advisor; free
    ANSWERED = 3  # the advisor answers; the meter runs from here
    PAUSED = 4
    RESUMED = 5
    HANDED_OVER = 6  # from the robot to a human, or from one human to another
    DATA_ACCESSED = 7  # the advisor looked at something of the client's
    LEFT = 8  # the client or the payer leaves; the meter stops
    CLOSED = 9  # the session is over

    @property
    def text(self) -> str:
        """The kind as it stands in files: `handed_over`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `note` commits to its details (see `note_hash`); zero: none."""

    at: UnixTime
    kind: EntryKind
    note: Hash = ZERO_HASH

    def __post_init__(self) -> None:
        if type(self.at) is not int:
            raise JournalRefused(f"{self.kind.text} at {self.at!r}", "give whole unix seconds")
        if not 0 <= self.at < _END_OF_TIME:
            raise ValueError(f"the time of an entry is 0 to {_END_OF_TIME - 1}, not {self.at}")
        if len(self.note) != 32:
            raise ValueError(f"a note is a hash of 32 bytes, not {len(self.note)} bytes")

    def struct_hash(self) -> bytes:
        """EIP-712 hashStruct, 32 bytes."""
        return keccak(ENTRY_TYPEHASH + word(self.at) + word(self.kind) + self.note)

    def __str__(self) -> str:
        return f"{self.kind.text} at {self.at}"


def note_hash(text: bytes, blind: Hash) -> Hash:
    """The commitment to details that stay off the chain.

    `blind` is 32 random bytes, kept beside the text: without it nobody can guess the text from its
    hash.
    """
    return Hash(keccak(blind + keccak(text)))


class _Phase(Enum):
    WAITING = "nobody answered yet"
    RUNNING = "the meter runs"
    PAUSED = "the meter is paused"
    LEFT = "somebody left, and only closing follows"
    CLOSED = "the session is closed"


_ALIVE: Final = (_Phase.WAITING, _Phase.RUNNING, _Phase.PAUSED)

# kind -> (the phases it may happen in, the phase it leads to; None: the same)
_STEPS: Final[dict[EntryKind, tuple[tuple[_Phase, ...], _Phase | None]]] = {
    EntryKind.ROBOT: ((_Phase.WAITING,), None),
    EntryKind.QUEUED: ((_Phase.WAITING,), None),
    EntryKind.ANSWERED: ((_Phase.WAITING,), _Phase.RUNNING),
    EntryKind.PAUSED: ((_Phase.RUNNING,), _Phase.PAUSED),
    EntryKind.RESUMED: ((_Phase.PAUSED,), _Phase.RUNNING),
    EntryKind.HANDED_OVER: (_ALIVE, None),
    EntryKind.DATA_ACCESSED: (_ALIVE, None),
    EntryKind.LEFT: (_ALIVE, _Phase.LEFT),
    EntryKind.CLOSED: ((*_ALIVE, _Phase.LEFT), _Phase.CLOSED),
}


class _Course:
    """Follows entries one by one: their order, and the seconds that count."""

    __slots__ = ("counted", "last", "phase")

    def __init__(self) -> None:
        self.phase, self.last, self.counted = _Phase.WAITING, 0, 0

    def step(self, entry: Entry) -> None:
        allowed, after = _STEPS[entry.kind]
        if self.phase not in allowed:
            raise JournalRefused(str(entry), self.phase.value)
        self.run_until(entry.at, str(entry))
        self.phase = after or self.phase

    def run_until(self, time: int, what: str) -> None:
        if time < self.last:
            raise JournalRefused(
                what,
                f"it is {self.last - time} seconds before the last entry (at {self.last}); "
                "entries stand in the order of time",
            )
        if self.phase is _Phase.RUNNING:
            self.counted += time - self.last
        self.last = time


def genesis(session_id: SessionId) -> Hash:
    """The head of the empty journal of a session."""
    return Hash(keccak(GENESIS_TYPEHASH + session_id))


def head_of(session_id: SessionId, entries: Iterable[Entry]) -> Hash:
    """The head that these entries lead to, whatever their order in time."""
    head = genesis(session_id)
    for entry in entries:
        head = Hash(keccak(head + entry.struct_hash()))
    return head


def verify(session_id: SessionId, entries: Sequence[Entry], head: Hash) -> None:
    """Returns if the entries are a journal of this session with this head.

    Raises:
        JournalRefused: an entry cannot follow the ones before it.
        JournalChanged: they lead to another head.
    """
    journal = Journal(session_id, entries)
    if journal.head != head:
        raise JournalChanged(head, journal.head, len(journal.entries))


def billable_seconds(entries: Iterable[Entry], until: UnixTime | None = None) -> Seconds:
    """How long the meter ran: from the answer to the end, pauses left out.

    A journal without an end counts to its last entry, or to `until` if it is given. What lies
    before the answer is free; `Tariff.units_for` makes units of the rest. Raises JournalRefused for
    entries that cannot follow each other, or if `until` lies before the last one.
    """
    course = _Course()
    for entry in entries:
        course.step(entry)
    if until is not None and course.phase in _ALIVE:
        course.run_until(until, f"counting until {until}")
    return Seconds(course.counted)


class Journal:
    """A journal that grows. Its head after any number of entries is what a voucher carries."""

    def __init__(self, session_id: SessionId, entries: Iterable[Entry] = ()) -> None:
        """The empty journal of a session, or one that holds these. Raises JournalRefused."""
        if len(session_id) != 32:
            raise ValueError(f"a session id is 32 bytes, not {len(session_id)}")
        self.session_id = session_id
        self._entries: list[Entry] = []
        self._course = _Course()
        self._head = genesis(session_id)
        for entry in entries:
            self.append(entry)

    @property
    def head(self) -> Hash:
        """The head of the hash chain, 32 bytes."""
        return self._head

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What happened so far, in order."""
        return tuple(self._entries)

    def append(self, entry: Entry) -> Hash:
        """Adds what happened now; returns the new head.

        Raises JournalRefused, and stays as it was, if the entry is earlier than the last one or
        cannot follow it.
        """
        head = Hash(keccak(self._head + entry.struct_hash()))
        self._course.step(entry)
        self._entries.append(entry)
        self._head = head
        return head

    def to_json_lines(self) -> str:
        """The journal as a file: a line that names the session, then a line an entry."""
        lines: list[dict[str, Any]] = [{"session": "0x" + self.session_id.hex()}]
        lines += (
            {"at": e.at, "kind": e.kind.text, "note": "0x" + e.note.hex()} for e in self._entries
        )
        return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)

    @classmethod
    def from_json_lines(cls, text: str) -> Journal:
        """Reads what `to_json_lines` wrote. Raises JournalRefused, naming the line."""
        lines = text.splitlines()
        session_id = _hash(_object("line 1", lines[0] if lines else "", {"session"})["session"], 1)
        journal = cls(SessionId(session_id))
        for number, line in enumerate(lines[1:], start=2):
            journal.append(_entry(line, number))
        return journal


def _entry(line: str, number: int) -> Entry:
    where = f"line {number}"
    found = _object(where, line, {"at", "kind", "note"})
    at, kind = found["at"], found["kind"]
    if type(at) is not int or not 0 <= at < _END_OF_TIME:
        raise JournalRefused(where, f"{at!r} is no time in unix seconds")
    kinds = {one.text: one for one in EntryKind}
    if not isinstance(kind, str) or kind not in kinds:
        raise JournalRefused(where, f"{kind!r} is no kind; these are: {', '.join(kinds)}")
    return Entry(UnixTime(at), kinds[kind], _hash(found["note"], number))


def _object(where: str, line: str, keys: set[str]) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise JournalRefused(where, f"it is not JSON ({error})") from None
    if not isinstance(found, dict) or found.keys() != keys:
        raise JournalRefused(where, f"it must be an object of {', '.join(sorted(keys))}")
    return found


def _hash(text: object, number: int) -> Hash:
    if isinstance(text, str) and re.fullmatch("0x[0-9a-f]{64}", text):
        return Hash(bytes.fromhex(text[2:]))
    raise JournalRefused(f"line {number}", f"{text!r} is not 0x and 64 lower-case hex digits")
