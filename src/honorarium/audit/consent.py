"""Whether those who are said to have agreed did: signatures recovered anew from the calldata.

ESC-11 for openings, the same for who rated and answered (ESC-10) and for who ended a session that
was being left before its grace period was over (ESC-7). Pure, but for the token's domain, which the
caller hands in as a function. Limits, counted and not findings: a contract's signature (ERC-1271)
only that contract can judge; a call that came out of another contract is not in a transaction's
data. That a transaction's sender is who it says is the node's word. An EIP-3009 signature is judged
in the domain that the token has now: a token that changed it makes a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eth_hash.auto import keccak

from honorarium.audit.book import SessionRecord
from honorarium.audit.calldata import (
    AnswerRow,
    Authorized,
    CloseRow,
    OpenRow,
    RateRow,
    Row,
    rows_of,
)
from honorarium.audit.check import finding_at
from honorarium.audit.facts import Doubt, Entry, Finding, Place, Transaction, Unproven
from honorarium.chain import Status
from honorarium.errors import BadSignature
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.events import Answered, Rated, SessionClosed, SessionOpened
from honorarium.protocol.keys import Signature, recover
from honorarium.protocol.messages import (
    Answer,
    Closing,
    Opening,
    Rating,
    ReceiveWithAuthorization,
    opening_nonce,
)
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, UnixTime

Judged = Finding | Doubt


class Consent:
    """Reads consent out of transactions, each of them once."""

    def __init__(self, place: Place, separator: Callable[[Address], bytes | None]) -> None:
        self.unproven = Unproven()
        self._domain: Domain = place.domain
        self._separator = separator
        self._read: tuple[Hash, list[tuple[SessionId, Row]]] = (Hash(b""), [])

    def check(self, entry: Entry, session: SessionRecord | None) -> Iterator[Judged]:
        """What speaks against the consent that this event needs; `session` as it was before."""
        event = entry.event
        match event:
            case SessionOpened():
                yield from self._identity(entry, event)
                yield from self._asked(
                    entry,
                    "ESC-11",
                    event.session_id,
                    OpenRow,
                    lambda row, sent: self._opening(entry, event, row, sent),
                )
            case Rated() if session is not None:
                yield from self._asked(
                    entry,
                    "ESC-10",
                    event.session_id,
                    RateRow,
                    lambda row, sent: self._rating(entry, event, row, sent),
                )
            case Answered() if session is not None:
                yield from self._asked(
                    entry,
                    "ESC-10",
                    event.session_id,
                    AnswerRow,
                    lambda row, sent: self._answer(entry, event, row, sent),
                )
            case SessionClosed() if session is not None and ended_early(entry, session):
                yield from self._asked(
                    entry,
                    "ESC-7",
                    event.session_id,
                    CloseRow,
                    lambda row, sent: self._early_end(entry, event, row, sent),
                )
            case _:
                pass

    # ------------------------------------------------------------------ which call it was

    def _asked(
        self,
        entry: Entry,
        rule: str,
        session_id: SessionId,
        kind: type[Row],
        judge: Callable[[Row, Transaction], list[Judged]],
    ) -> Iterator[Judged]:
        """The judgement of the row for this session. A batch may name a session twice; one row
        that holds is enough, since the contract skipped the others.
        """
        sent = entry.transaction
        if sent is None:
            yield finding_at(
                entry,
                rule,
                session_id,
                "the transaction of this event",
                f"the node has no 0x{entry.tx_hash.hex()}",
            )
            return
        if sent.to != self._domain.contract:
            self.unproven.through_contracts += 1
            return
        rows = [
            row
            for found, row in self._rows(entry.tx_hash, sent)
            if found == session_id and isinstance(row, kind)
        ]
        if not rows:  # another contract called in the middle of this transaction
            self.unproven.through_contracts += 1
            return
        judged = [judge(row, sent) for row in rows]
        yield from min(judged, key=len)

    def _rows(self, tx_hash: Hash, sent: Transaction) -> list[tuple[SessionId, Row]]:
        if self._read[0] != tx_hash:
            rows = rows_of(sent.data)
            self._read = (tx_hash, [(row.terms.session_id(self._domain), row) for row in rows])
        return self._read[1]

    # ------------------------------------------------------------------ what each needs

    def _identity(self, entry: Entry, event: SessionOpened) -> Iterator[Finding]:
        """The id is the digest of the terms in the event, and the advisor is the terms'."""
        digest = event.terms.session_id(self._domain)
        if digest != event.session_id:
            yield finding_at(
                entry,
                "ESC-11",
                event.session_id,
                f"the id of its terms, 0x{digest.hex()}",
                f"0x{event.session_id.hex()}",
            )
        if event.advisor != event.terms.advisor:
            yield finding_at(
                entry,
                "ESC-11",
                event.session_id,
                f"the terms' advisor 0x{event.terms.advisor.hex()}",
                f"0x{event.advisor.hex()}",
            )

    def _opening(
        self, entry: Entry, event: SessionOpened, row: Row, sent: Transaction
    ) -> list[Judged]:
        assert isinstance(row, OpenRow)
        terms, session_id = row.terms, event.session_id
        judged: list[Judged] = []
        if row.deposit != event.deposit:
            judged.append(
                finding_at(
                    entry,
                    "ESC-11",
                    session_id,
                    f"the deposit that was agreed, {row.deposit}",
                    event.deposit,
                )
            )

        def must(name: str, party: Address, digest: Hash, signature: bytes) -> None:
            judged.extend(
                self._signed(
                    entry, "ESC-11", session_id, name, party, digest, signature, sent.sender
                )
            )

        must("advisor", terms.advisor, Hash(session_id), row.advisor_signature)
        if terms.client != terms.payer:
            must("client", terms.client, Hash(session_id), row.client_signature)
        match row.payer:
            case None:
                must("payer", terms.payer, Hash(bytes(32)), b"")
            case Authorized() as paid:
                separator = self._separator(terms.token) or bytes(32)
                digest = authorized_digest(separator, self._domain, row, paid)
                must("payer", terms.payer, digest, paid.signature)
            case bytes() as signature:
                opening = Opening(terms, BaseUnits(row.deposit))
                must("payer", terms.payer, opening.digest(self._domain), signature)
        return judged

    def _rating(self, entry: Entry, event: Rated, row: Row, sent: Transaction) -> list[Judged]:
        assert isinstance(row, RateRow)
        judged: list[Judged] = []
        if (row.score, row.comment_hash) != (event.score, event.comment_hash):
            judged.append(
                finding_at(
                    entry,
                    "ESC-10",
                    event.session_id,
                    f"the score that was given, {row.score}, with its comment",
                    event.score,
                )
            )
        rating = Rating(event.session_id, row.score, row.comment_hash)
        return judged + self._signed(
            entry,
            "ESC-10",
            event.session_id,
            "client",
            row.terms.client,
            rating.digest(self._domain),
            row.signature,
            sent.sender,
        )

    def _answer(self, entry: Entry, event: Answered, row: Row, sent: Transaction) -> list[Judged]:
        assert isinstance(row, AnswerRow)
        judged: list[Judged] = []
        if row.answer_hash != event.answer_hash:
            judged.append(
                finding_at(
                    entry,
                    "ESC-10",
                    event.session_id,
                    f"the answer that was given, 0x{row.answer_hash.hex()}",
                    f"0x{event.answer_hash.hex()}",
                )
            )
        answer = Answer(event.session_id, row.answer_hash)
        return judged + self._signed(
            entry,
            "ESC-10",
            event.session_id,
            "advisor",
            row.terms.advisor,
            answer.digest(self._domain),
            row.signature,
            sent.sender,
        )

    def _early_end(
        self, entry: Entry, event: SessionClosed, row: Row, sent: Transaction
    ) -> list[Judged]:
        assert isinstance(row, CloseRow)
        if row.finalize:
            return [
                finding_at(
                    entry,
                    "ESC-7",
                    event.session_id,
                    "finalized only after the grace period",
                    f"finalized at {entry.time}",
                )
            ]
        closing = Closing(event.session_id, row.units, row.journal, UnixTime(row.deadline))
        return self._signed(
            entry,
            "ESC-7",
            event.session_id,
            "advisor",
            row.terms.advisor,
            closing.digest(self._domain),
            row.advisor_signature,
            sent.sender,
        )

    def _signed(
        self,
        entry: Entry,
        rule: str,
        session_id: SessionId,
        name: str,
        party: Address,
        digest: Hash,
        signature: bytes,
        sender: Address,
    ) -> list[Judged]:
        """Empty if `party` signed the digest, or sent the transaction without a signature."""
        if not signature:
            if sender == party:
                return []
            found = f"no signature, and 0x{sender.hex()} called"
        else:
            try:
                signer = recover(digest, Signature.from_bytes(signature))
            except BadSignature as error:
                found = str(error)
            else:
                if signer == party:
                    return []
                found = f"a signature by 0x{signer.hex()}"
        finding = finding_at(entry, rule, session_id, f"consent of {name} 0x{party.hex()}", found)
        return [Doubt(party, finding)] if signature else [finding]


def ended_early(entry: Entry, session: SessionRecord) -> bool:
    """Whether only the advisor can have ended it: it was being left, its grace period was not over,
    and no voucher came along.
    """
    event = entry.event
    return (
        isinstance(event, SessionClosed)
        and session.status is Status.CLOSING
        and session.terms is not None
        and event.units == 0
        and entry.time < session.closing_at + session.terms.close_grace
    )


def digest_under(separator: bytes, hashed: bytes) -> Hash:
    """EIP-712: what is signed for a struct of hash `hashed` in the domain of this separator."""
    return Hash(keccak(b"\x19\x01" + separator + hashed))


def authorized_digest(separator: bytes, escrow: Domain, row: OpenRow, paid: Authorized) -> Hash:
    """The EIP-3009 digest of an opening, under the token's own domain; zero bytes as the separator
    of a token that has none give nobody's.
    """
    message = ReceiveWithAuthorization(
        row.terms.payer,
        escrow.contract,
        BaseUnits(row.deposit),
        UnixTime(paid.valid_after),
        UnixTime(paid.valid_before),
        opening_nonce(row.terms.session_id(escrow)),
    )
    return digest_under(separator, message.struct_hash())
