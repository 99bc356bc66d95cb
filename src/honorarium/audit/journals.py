"""Journals as evidence: files that a meter or an advisor kept, against what was settled.

A journal belongs to a reading if some beginning of it leads to the head that the voucher carried.
What a journal contradicts deserves a look and breaks no rule: the contract never sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from honorarium.audit.book import (
    SessionRecord,
)
from honorarium.audit.facts import Finding, Severity
from honorarium.audit.records import (
    Head,
)
from honorarium.errors import InputError, JournalRefused
from honorarium.ids import Hash, SessionId
from honorarium.protocol.journal import Entry, EntryKind, Journal, billable_seconds, genesis
from honorarium.units import UnixTime

Span = tuple[int, int]


class JournalUnreadable(InputError):
    """A file in the folder of journals that is none."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} is no journal: {reason}; leave only journals (*.jsonl) in that folder"
        )


@dataclass
class Journals:
    """Journals by session; a session may have several, from several hands."""

    of: dict[SessionId, list[tuple[str, Journal]]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Journals:
        """Every `*.jsonl` of a folder. Raises JournalUnreadable."""
        journals = cls()
        if not folder.is_dir():
            raise JournalUnreadable(folder, "there is no such folder")
        for path in sorted(folder.glob("*.jsonl")):
            try:
                journal = Journal.from_json_lines(path.read_text(encoding="utf-8"))
            except (JournalRefused, OSError, ValueError) as error:
                raise JournalUnreadable(path, str(error)) from error
            journals.of.setdefault(journal.session_id, []).append((path.name, journal))
        return journals

    def looks(self, session_id: SessionId, session: SessionRecord) -> Iterator[Finding]:
        """What the journals of a session say against its readings, and against each other."""
        known = self.of.get(session_id, [])
        for name, journal in known:
            yield from _against_readings(session_id, session, name, journal)
        for (one, first), (other, second) in pairwise(known):
            shorter, longer = sorted((first.entries, second.entries), key=len)
            if longer[: len(shorter)] != shorter:
                yield _look(
                    "equivocation", session_id, None, f"{other} extends {one}", "it differs"
                )

    def spans(self, session_id: SessionId) -> Sequence[Span] | None:
        """When a session was served, to the second; None: no journal says it."""
        known = self.of.get(session_id)
        if not known:
            return None
        longest = max((journal for _, journal in known), key=lambda journal: len(journal.entries))
        return _served(longest.entries)


def _served(entries: Sequence[Entry]) -> list[Span]:
    spans: list[Span] = []
    since: int | None = None
    for entry in entries:
        if entry.kind in (EntryKind.ANSWERED, EntryKind.RESUMED):
            since = entry.at
        elif since is not None and entry.kind in (
            EntryKind.PAUSED,
            EntryKind.LEFT,
            EntryKind.CLOSED,
        ):
            spans.append((since, entry.at))
            since = None
    if since is not None:
        spans.append((since, entries[-1].at))
    return [span for span in spans if span[1] > span[0]]


def _against_readings(
    session_id: SessionId, session: SessionRecord, name: str, journal: Journal
) -> Iterator[Finding]:
    place: dict[Hash, int] = {genesis(session_id): 0}
    growing = Journal(session_id)
    for number, entry in enumerate(journal.entries, start=1):
        place[growing.append(entry)] = number
    last: tuple[int, Head] | None = None
    for head in sorted(session.heads, key=lambda each: each.units):
        at = place.get(head.journal)
        if at is None:
            yield _look(
                "journal",
                session_id,
                head,
                f"a head of {name} at {head.units} units",
                f"0x{head.journal.hex()}",
            )
            continue
        if last is not None and at < last[0]:
            yield _look(
                "equivocation",
                session_id,
                head,
                f"a head after entry {last[0]} of {name}, as at {last[1].units} units",
                f"entry {at} at {head.units} units",
            )
        last = at, head
        seconds = _seconds(journal.entries[:at], head.time)
        unit = session.terms.tariff.unit_seconds
        # The started unit more, as the contract allows it: two clocks may round apart.
        allowed = seconds // unit + 1 if unit and seconds else 0
        if unit and head.units > allowed:
            yield _look(
                "journal",
                session_id,
                head,
                f"at most {allowed} units for {seconds} s by {name}",
                f"{head.units}",
            )


def _seconds(entries: Sequence[Entry], until: UnixTime) -> int:
    """What a beginning of a journal counts, running on to the reading's block if it runs."""
    latest = entries[-1].at if entries else 0
    return billable_seconds(entries, UnixTime(max(until, latest)))


def _look(
    rule: str, session_id: SessionId, head: Head | None, expected: str, found: str
) -> Finding:
    if head is None:
        return Finding(rule, session_id, expected, found, severity=Severity.LOOK)
    return Finding(
        rule,
        session_id,
        expected,
        found,
        head.block,
        head.log,
        head.tx_hash,
        severity=Severity.LOOK,
    )
