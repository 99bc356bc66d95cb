"""The audit itself: each event through the rules, into the book; the book against the chain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from honorarium.audit.book import Book, TokenSums
from honorarium.audit.check import EVENT_CHECKS
from honorarium.audit.compare import (
    check_esc_1_balances,
    check_esc_1_solvency,
    check_esc_10_tallies,
    check_esc_15,
    check_movements,
    check_slots,
    owed,
)
from honorarium.audit.consent import Consent
from honorarium.audit.facts import Doubt, Facts, Finding, Place, Token, Unproven
from honorarium.chain import Status
from honorarium.ids import ZERO_ADDRESS, Address

RULES: Final = (
    "ESC-1",
    "ESC-2",
    "ESC-4",
    "ESC-5",
    "ESC-6",
    "ESC-7",
    "ESC-10",
    "ESC-11",
    "ESC-15",
)
"""What is checked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit found. No finding: the rules hold, within the limits that the checks state."""

    place: Place
    counts: Mapping[str, int]
    sums: Mapping[Address, TokenSums]
    surplus: Mapping[Address, int]  # what the escrow holds beyond what it owes, base units
    balances: Mapping[Address, int]  # what storage owes all accounts together, base units
    tokens: Mapping[Address, Token]
    unproven: Unproven
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings


def audit(facts: Facts) -> Verdict:
    """Reads the facts once, in order, and judges them; what reading them raises comes through."""
    book = Book(facts.place.domain.contract)
    consent = Consent(facts.place, facts.separator)
    findings: list[Finding] = []
    doubts: list[Doubt] = []
    for entry in facts.entries:
        for check in EVENT_CHECKS:
            findings += check(book, entry)
        session_id = getattr(entry.event, "session_id", None)
        session = None if session_id is None else book.session(session_id)
        for judged in consent.check(entry, session):
            if isinstance(judged, Doubt):
                doubts.append(judged)
            else:
                findings.append(judged)
        book.enter(entry)

    state = facts.state(book.questions({doubt.signer for doubt in doubts}))
    for doubt in doubts:
        if doubt.signer in state.with_code:
            consent.unproven.contract_signers += 1
        else:
            findings.append(doubt.finding)

    coinless = [token for token in book.sums if token != ZERO_ADDRESS]
    findings += check_movements(book, facts.transfers(coinless))
    findings += check_esc_1_balances(book, state)
    findings += check_esc_1_solvency(book, state)
    findings += check_slots(book, state)
    findings += check_esc_10_tallies(book, state)
    findings += check_esc_15(book, state)

    needed = owed(book, state)
    return Verdict(
        place=facts.place,
        counts=_counts(book),
        sums=dict(book.sums),
        surplus={
            token: (state.tokens[token].held if token in state.tokens else 0) - needed.get(token, 0)
            for token in book.sums
        },
        balances={
            token: sum(amount for (of, _), amount in state.balances.items() if of == token)
            for token in book.sums
        },
        tokens=dict(state.tokens),
        unproven=consent.unproven,
        findings=findings,
    )


def _counts(book: Book) -> dict[str, int]:
    standing = Counter(session.status for session in book.sessions.values())
    return {
        "events": book.counts.total(),
        "sessions": len(book.sessions),
        "open": standing[Status.OPEN],
        "closing": standing[Status.CLOSING],
        "closed": standing[Status.CLOSED],
        "revoked": len(book.revoked),
        "settlements": book.counts["Settled"],
        "ratings": book.counts["Rated"],
        "answers": book.counts["Answered"],
        "tips": book.counts["Tipped"],
        "rows_skipped": book.counts["RowSkipped"],
        "accounts": len(book.balances),
    }
