"""Examining a bundle: what it proves, what somebody only claims, and what is off. Offline.

Nothing here asks a node or a clock. The proofs come first (ground.py); what does not hold there
ends it. Then the session's events are followed one by one (bill/log.py), everybody's signatures are
recovered anew (signers.py), and the journal is counted again (papers.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

from honorarium.audit.calldata import OpenRow, rows_of
from honorarium.audit.encoding import Header
from honorarium.audit.evidence.bundle import Bundle
from honorarium.audit.evidence.found import Examined, Statement, claimed, off, proven
from honorarium.audit.evidence.ground import NO_CODE, Ground, ground_of
from honorarium.audit.evidence.papers import Papers
from honorarium.audit.signers import Consent, Proof, consents_of
from honorarium.bill import (
    SessionLog,
    counted,
    money_words,
    platform_share,
    read_log,
    refund_place,
    tariff_words,
)
from honorarium.bill.text import checksummed, hexed, when
from honorarium.chain import Transaction
from honorarium.errors import HonorariumError
from honorarium.hashing import keccak
from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.money import Token
from honorarium.protocol.events import SessionClosed, Settled
from honorarium.protocol.signed import Quote
from honorarium.protocol.slot import Slot, Status

TRANSFER: Final = Hash(keccak(b"Transfer(address,address,uint256)"))
MAKER: Final = "whoever made this file"


def verify(bundle: Bundle, named: Collection[Hash] = ()) -> Examined:
    """What this evidence proves, if the blocks in `named` are trusted. Raises nothing."""
    found = Examined(bundle)
    ground = ground_of(bundle, named)
    if not ground.faults:
        found.unnamed = tuple(header.hash for header in loose_ends(ground))
        found.anchored = not found.unnamed
    examiner = _Examiner(bundle, ground)
    for statement in examiner.statements():
        found.statements.append(statement)
    found.session = examiner.log
    return found


def loose_ends(ground: Ground) -> list[Header]:
    """The blocks that somebody has to vouch for: with them all are proven, and with no fewer."""
    follows = [*ground.headers[1:], None]
    return [
        header
        for header, sure, after in zip(ground.headers, ground.anchored, follows, strict=True)
        if not sure and (after is None or after.parent != header.hash)
    ]


def wallets_of(bundle: Bundle) -> set[Address]:
    """Whose signatures in this evidence are no key's: only contracts could have made them."""
    examiner = _Examiner(bundle, ground_of(bundle, ()))
    list(examiner.statements())
    return {one.party for one in examiner.consents if one.proof is Proof.OTHER_KEY}


class _Examiner:
    """One examination. Every part yields statements, and may stop the whole."""

    def __init__(self, bundle: Bundle, ground: Ground) -> None:
        self.bundle, self.ground = bundle, ground
        self.terms, self.domain = bundle.terms, bundle.domain
        known = bundle.claims
        self.token = Token(self.terms.token, known.symbol, known.decimals)
        self.log: SessionLog | None = None
        self.consents: tuple[Consent, ...] = ()

    def statements(self) -> Iterator[Statement]:
        try:
            same = self.terms.session_id(self.domain) == self.bundle.session_id
        except HonorariumError:
            same = False
        if not same:
            text = "the session's id is not the hash of these terms for this contract and chain"
            yield off("terms", text)
            return
        if self.ground.faults:
            for fault in self.ground.faults:
                yield off(*fault)
            return
        try:
            self.log = self._read_log()
        except HonorariumError as error:
            yield off("log", str(error))
            return
        sent = {
            each.id: Transaction(
                each.id,
                each.sent.sender,
                each.sent.to,
                each.sent.data,
                each.sent.value,
                each.header.number,
            )
            for each in self.ground.witnessed
            if each.sent is not None
        }
        self.consents = consents_of(
            self.bundle.session_id,
            self.terms,
            self.domain,
            self.ground.records,
            sent,
            lambda _: self.bundle.claims.separator,
        )
        parts = (
            self._agreement(),
            self._life(self.log),
            self._money(self.log),
            self._storage(self.log),
            self._consents(),
            self._quote(),
            Papers(self.bundle, self.ground, self.log).statements(),
            self._accounts(),
            self._limits(self.log),
        )
        for part in parts:
            yield from part

    def _read_log(self) -> SessionLog:
        return read_log(
            self.ground.records,
            self.bundle.session_id,
            self.domain,
            self.token,
            self.bundle.tip_jar,
        )

    # ------------------------------------------------------------------ what was agreed and done

    def _agreement(self) -> Iterator[Statement]:
        t = self.terms
        payer = "who also pays" if t.payer == t.client else f"paid for by {checksummed(t.payer)}"
        yield proven(
            "terms",
            f"Client {checksummed(t.client)}, {payer}; advisor {checksummed(t.advisor)}. "
            + " ".join(tariff_words(t.tariff, self.token))
            + " The session's id is the hash of exactly these terms, contract and chain.",
        )
        yield proven(
            "contract",
            f"At {checksummed(self.domain.contract)} stands the published SessionEscrow, byte for "
            "byte. It opens nothing without everybody's consent, takes units from the meter's key "
            "only, and computes every fee from the terms.",
        )

    def _life(self, log: SessionLog) -> Iterator[Statement]:
        for step in log.steps:
            for did in step.did:
                yield proven("log", f"{when(step.time)}, block {step.block:,}: {did.text}.")

    def _money(self, log: SessionLog) -> Iterator[Statement]:
        tariff, reading = self.terms.tariff, log.reading
        earned = self._text(log.earned)
        whose = f"{earned} for {counted(reading.units, tariff)}" if reading.units else "nothing"
        share = platform_share(log.earned, self.terms.fee_bps)
        split = f", the platform's share of {self._text(share)} included" if share else ""
        yield proven("fee", f"The tariff gives {whose}{split}; the log says the same.")
        if tariff.unit_seconds and reading.units:
            passed = (log.closing_at or self._time_of(reading.units)) - log.opened_at
            yield proven(
                "time",
                f"{counted(reading.units, tariff)} billed, within the {passed:,} seconds that had "
                "passed by the clock of the chain since the opening.",
            )
        if log.status is Status.CLOSED and log.deposit > log.earned:
            to_balance = log.from_balance or log.refund_credited
            place = refund_place(log.deposit - log.earned, to_balance)
            refund = self._text(log.deposit - log.earned)
            yield proven("refund", f"{refund} were not spent, and are due to the payer's {place}.")
        yield from self._movements(log)

    def _movements(self, log: SessionLog) -> Iterator[Statement]:
        """The token's own log of what came in from a wallet and what went back to it."""
        if self.terms.token == ZERO_ADDRESS:
            return
        escrow, payer = self.domain.contract, self.terms.payer
        due: list[tuple[Hash, Address, Address, int]] = [
            (f.tx_hash, payer, escrow, f.amount) for f in log.fundings if not f.from_balance
        ]
        refund = log.deposit - log.earned
        to_wallet = not log.from_balance and not log.refund_credited
        if log.status is Status.CLOSED and refund and to_wallet:
            closed = next(r for r in self.ground.records if isinstance(r.event, SessionClosed))
            due.append((closed.tx_hash, escrow, payer, refund))
        seen = Counter(self._transfers())
        for move, count in Counter(due).items():
            if seen[move] < count:
                _, sender, recipient, amount = move
                yield off(
                    "money",
                    f"the token's log does not show {self._text(amount)} from "
                    f"{checksummed(sender)} to {checksummed(recipient)}",
                )
                return
        if due:
            yield claimed(
                "money",
                "That each deposit came out of the payer's wallet and the refund went back into it "
                "is in the token's own log, in the very same transactions.",
                f"the token {checksummed(self.terms.token)}",
            )

    def _transfers(self) -> Iterator[tuple[Hash, Address, Address, int]]:
        for each in self.ground.witnessed:
            for found in each.outcome.logs:
                known = found.address == self.terms.token and found.topics[:1] == (TRANSFER,)
                if known and len(found.topics) == 3 and len(found.data) == 32:
                    sender, recipient = (Address(topic[12:]) for topic in found.topics[1:])
                    yield each.id, sender, recipient, int.from_bytes(found.data, "big")

    def _storage(self, log: SessionLog) -> Iterator[Statement]:
        slot, last = Slot.unpack(self.ground.slot), self.ground.headers[-1]
        closing = log.closed_at or log.closing_at
        answered = log.answer_hash is not None
        compared = (
            ("status", log.status.name.lower(), slot.status.name.lower()),
            ("deposit", log.deposit, slot.deposit),
            ("earned", log.earned, slot.earned),
            ("time of opening", log.opened_at, slot.opened_at),
            ("time of closing", closing, slot.closing_or_closed_at),
            ("refund to a balance", log.from_balance, slot.from_balance),
            ("score", log.score, slot.score),
            ("answer", answered, slot.answered),
        )
        differing = [each for each in compared if each[1] != each[2]]
        for name, expected, found in differing:
            yield off(
                "storage",
                f"{name}: the events in this file give {expected}, the escrow's storage after "
                f"block {last.number:,} says {found}; an event is left out, or one is false",
            )
        if not differing:
            yield proven(
                "storage",
                f"After block {last.number:,} ({when(last.time)}) the escrow's storage says the "
                f"same: {log.status.name.lower()}, {self._text(log.earned)} earned of "
                f"{self._text(log.deposit)}.",
            )

    # ------------------------------------------------------------------ who signed

    def _consents(self) -> Iterator[Statement]:
        for one in self.consents:
            who = f"The {one.role} {checksummed(one.party)}"
            if one.proof is Proof.SIGNATURE:
                yield proven("consent", f"{who} signed {one.what}.")
            elif one.proof is Proof.CALL:
                yield proven("consent", f"{who} sent the transaction: {one.what}.")
            elif one.proof is Proof.CONTRACT:
                yield claimed(
                    "consent",
                    f"That {who[0].lower()}{who[1:]} agreed to {one.what}: no signature of it can "
                    "be read here; that the escrow accepted it is proven.",
                    "the escrow, whose code asks for it",
                )
            else:
                yield self._of_wallet("consent", one.party, f"{one.role} agreed to {one.what}")

    def _of_wallet(self, about: str, party: Address, what: str) -> Statement:
        """A signature that is no key's: of a contract, if there is one, else of nobody."""
        if self.ground.codes.get(party, NO_CODE) == NO_CODE:
            return off(
                about,
                f"that the {what} is not true of {checksummed(party)}: another key signed, and "
                "nothing shows a contract at this address that could have",
            )
        return claimed(
            about,
            f"That the {what}: {checksummed(party)} is a contract, and only it can say whether "
            "the signature is its own; that the escrow asked it and it said yes is proven.",
            "the contract wallet (ERC-1271)",
        )

    def _quote(self) -> Iterator[Statement]:
        """The quote in the file, unless the opening's calldata has the very same."""
        signature, advisor = self.bundle.quote, self.terms.advisor
        opening = [
            row.advisor_signature
            for each in self.ground.witnessed
            if each.sent is not None and each.sent.to == self.domain.contract
            for row in rows_of(each.sent.data)
            if isinstance(row, OpenRow) and row.terms == self.terms
        ]
        if signature is None or signature in opening:
            return
        if opening:
            yield off("quote", "the quote's signature is not the one that opened the session")
            return
        try:
            Quote(self.terms, signature).verify(self.domain)
        except HonorariumError:
            if self.ground.codes.get(advisor, NO_CODE) == NO_CODE:
                yield off("quote", "the quote's signature is not the advisor's")
            else:
                yield claimed(
                    "quote",
                    f"That the advisor signed the quote: {checksummed(advisor)} is a contract, and "
                    "only it can say whether the signature is its own.",
                    MAKER,
                )
            return
        yield proven("quote", f"The advisor {checksummed(advisor)} signed the terms: the quote.")

    # ------------------------------------------------------------------ what nothing proves

    def _accounts(self) -> Iterator[Statement]:
        ours = {self.domain.contract, self.bundle.tip_jar}
        asked = {one.party for one in self.consents if one.proof is Proof.OTHER_KEY}
        for account in self.bundle.accounts.keys() - ours - asked:
            if account != self.terms.advisor:
                yield off("state", f"{checksummed(account)} has nothing to do with this session")

    def _limits(self, log: SessionLog) -> Iterator[Statement]:
        yield from self._blocks()
        yield claimed(
            "completeness",
            "That nothing is left out that later events cover (a settlement before a later one, a "
            "tip). Deposit, earnings and status cannot be touched by that.",
            MAKER,
        )
        what = (
            f"That the token is called {self.token.symbol} and has {self.token.decimals} decimals"
        )
        if self.terms.token != ZERO_ADDRESS:
            yield claimed("token", what + "; the amounts here are shown so.", MAKER)
        if log.reading.units:
            yield claimed(
                "advice",
                "That there was advice, and who the people behind these addresses are.",
                "nobody: no signature shows it",
            )

    def _blocks(self) -> Iterator[Statement]:
        ground, loose = self.ground, loose_ends(self.ground)
        last = ground.headers[-1]
        if not loose:
            first = ground.headers[0].number
            yield proven(
                "blocks",
                f"Blocks {first:,} to {last.number:,} are those of the chain that you named.",
            )
            return
        names = ", ".join(f"{header.number:,} ({hexed(header.hash)})" for header in loose)
        which = "block" if len(loose) == 1 else "blocks"
        yield claimed(
            "blocks",
            f"That {which} {names} and what leads there are on the chain that everybody knows. "
            "Compare with a node or an explorer that you trust, and name it with --header.",
            MAKER,
        )

    # ------------------------------------------------------------------ words

    def _text(self, amount: int) -> str:
        return money_words(amount, self.token)

    def _time_of(self, units: int) -> int:
        return next(
            record.time
            for record in self.ground.records
            if isinstance(record.event, Settled | SessionClosed) and record.event.units == units
        )
