"""One part of the facts, judged: all events, or those of some sessions and accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from honorarium.audit.book import Book
from honorarium.audit.check import EVENT_CHECKS
from honorarium.audit.consent import Consent
from honorarium.audit.facts import Claimed, Doubt, Entry, Facts, Finding, Nested, Place, Unproven
from honorarium.audit.journals import Journals
from honorarium.audit.looks import equivocations
from honorarium.audit.signed import Unverified
from honorarium.ids import Address, SessionId
from honorarium.units import BlockNumber

TOGETHER: Final = 5_000
"""So many signatures are looked at one after the other."""


@dataclass
class Part:
    """What follows from the entries taken so far, and what speaks against them: all of it once
    `verify` was called.
    """

    place: Place
    separator: Callable[[Address], bytes | None]
    journals: Journals = field(default_factory=Journals)
    findings: list[Finding] = field(default_factory=list)
    doubts: list[Doubt | Nested] = field(default_factory=list)
    unproven: Unproven = field(default_factory=Unproven)

    def __post_init__(self) -> None:
        self.book = Book(self.place.domain.contract)
        self.consent = Consent(self.place, self.separator)
        self._resting: set[SessionId] = set()
        self._unverified: list[Unverified] = []

    @property
    def resting(self) -> set[SessionId]:
        """Of what the doubts are about: what is counted among the sessions with unproven consents
        already, or is no session.
        """
        about = {doubt.finding.session for doubt in self.doubts}
        known = self.book.sessions
        return {each for each in about if each and (each in self._resting or each not in known)}

    def take(self, entry: Entry) -> None:
        """Judges an event and enters it; entries come in the chain's order."""
        book, event = self.book, entry.event
        session_id = getattr(event, "session_id", None)
        session = None if session_id is None else book.session(session_id)
        for check in EVENT_CHECKS.get(type(event), ()):
            self.findings.extend(check(book, entry, session))
        claimed = False
        for judged in self.consent.check(entry, session):
            if isinstance(judged, Unverified):
                self._unverified.append(judged)
            elif isinstance(judged, Claimed):
                self.unproven.count(judged)
                claimed = True
            else:
                self._say(judged)
        book.enter(entry)
        if claimed and session_id in book.sessions and session_id not in self._resting:
            self._resting.add(session_id)
            self.unproven.sessions += 1
        if len(self._unverified) >= TOGETHER:
            self.verify()

    def verify(self) -> None:
        """Looks at the signatures that wait."""
        for signature in self._unverified:
            against = signature.verified()
            if against is not None:
                self._say(against)
        self._unverified.clear()

    def _say(self, against: Finding | Doubt | Nested) -> None:
        if isinstance(against, Finding):
            self.findings.append(against)
        else:
            self.doubts.append(against)

    def looks(self) -> Iterable[Finding]:
        """What deserves a look in single sessions' journals, once every entry is taken."""
        for session_id, session in self.book.sessions.items():
            if len(session.heads) > 1:
                yield from equivocations(session_id, session)
            yield from self.journals.looks(session_id, session)


def resolve(
    doubts: Iterable[Doubt | Nested],
    facts: Facts,
    unproven: Unproven,
    resting: set[SessionId],
) -> Iterator[Finding]:
    """The doubts that are findings: no key signed, and no contract stood there; or a transaction
    did not do what its data asks for. The others are counted, and their sessions, unless they are
    `resting` already.
    """
    for doubt in doubts:
        finding = doubt.finding
        if isinstance(doubt, Nested):
            assert finding.block is not None
            assert finding.tx_hash is not None
            done = facts.happened(finding.block, finding.tx_hash)
            times = sum(done.get(each, 0) for each in doubt.own)
            explained = times > (doubt.happening in doubt.own)
            unproven.through_contracts += explained
        else:
            explained = _by_a_contract(doubt, facts, unproven)
        if not explained:
            yield from doubt.findings if isinstance(doubt, Nested) else (finding,)
        elif finding.session is not None and finding.session not in resting:
            resting.add(finding.session)
            unproven.sessions += 1


def _by_a_contract(doubt: Doubt, facts: Facts, unproven: Unproven) -> bool:
    """Whether a contract may have signed. What counts is the block in which the signature did: a
    wallet may be gone since.
    """
    block = doubt.finding.block
    assert block is not None
    there = facts.code(doubt.signer, block)
    if there is False and block:
        there = facts.code(doubt.signer, BlockNumber(block - 1))
    unproven.forgotten_signers += there is None
    unproven.contract_signers += there is True
    return there is not False
