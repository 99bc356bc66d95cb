"""One part of the facts, judged: all events, or those of some sessions and accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from honorarium.audit.book import Book
from honorarium.audit.check import EVENT_CHECKS
from honorarium.audit.consent import Consent
from honorarium.audit.facts import Doubt, Entry, Finding, Place, Unproven
from honorarium.audit.journals import Journals
from honorarium.audit.looks import equivocations
from honorarium.ids import Address
from honorarium.units import BlockNumber


@dataclass
class Part:
    """What follows from the entries taken so far, and what speaks against them."""

    place: Place
    separator: Callable[[Address], bytes | None]
    journals: Journals = field(default_factory=Journals)
    findings: list[Finding] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = Book(self.place.domain.contract)
        self.consent = Consent(self.place, self.separator)

    @property
    def unproven(self) -> Unproven:
        return self.consent.unproven

    def take(self, entry: Entry) -> None:
        """Judges an event and enters it; entries come in the chain's order."""
        book, event = self.book, entry.event
        for check in EVENT_CHECKS.get(type(event), ()):
            self.findings.extend(check(book, entry))
        session_id = getattr(event, "session_id", None)
        session = None if session_id is None else book.session(session_id)
        for judged in self.consent.check(entry, session):
            if isinstance(judged, Doubt):
                self.doubts.append(judged)
            else:
                self.findings.append(judged)
        book.enter(entry)

    def looks(self) -> Iterable[Finding]:
        """What deserves a look in single sessions' journals, once every entry is taken."""
        for session_id, session in self.book.sessions.items():
            if len(session.heads) > 1:
                yield from equivocations(session_id, session)
            yield from self.journals.looks(session_id, session)


def resolve(
    doubts: Iterable[Doubt],
    code: Callable[[Address, BlockNumber], bool | None],
    unproven: Unproven,
) -> Iterable[Finding]:
    """The doubts that are findings: no key signed, and no contract stood there.

    What counts is the block in which the signature did: a wallet may be gone since.
    """
    for doubt in doubts:
        block = doubt.finding.block
        assert block is not None
        there = code(doubt.signer, block)
        if there is False and block:
            there = code(doubt.signer, BlockNumber(block - 1))
        if there is None:
            unproven.forgotten_signers += 1
        elif there:
            unproven.contract_signers += 1
        else:
            yield doubt.finding
