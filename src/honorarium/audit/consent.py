"""Whether those who are said to have agreed did: signatures in the calldata, verified anew.

ESC-3 for what is credited, ESC-11 for openings and top-ups, ESC-7 for who leaves and who ends,
ESC-10 for ratings and answers, ESC-12 for revocations; of deposits, withdrawals and tips in
consent_payments.py. Pure, but for the token's domain, which the caller hands in as a function.

Limits, counted and not findings: a contract's signature (ERC-1271) only that contract can judge; a
call that came out of another contract is not in a transaction's data. That a transaction's sender
is who it says is the node's word. An EIP-3009 signature is judged in the domain that the token has
at the audit's last block: a token that changed it makes a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from honorarium.audit.book import SessionRecord
from honorarium.audit.calldata import (
    AnswerRow,
    Authorized,
    ByRow,
    CloseRow,
    OpenRow,
    RateRow,
    Row,
    TopUpRow,
    VoucherRow,
    carries_voucher,
    row_of_batch,
    rows_of,
)
from honorarium.audit.check import finding_at
from honorarium.audit.consent_payments import PaymentConsent
from honorarium.audit.facts import Entry, Finding, Place, Transaction
from honorarium.audit.origin import Origins
from honorarium.audit.session_ids import SessionIds
from honorarium.audit.signed import (
    Judged,
    Signed,
    authorized_payment,
    digest_under,
    typed_digest,
    verified,
)
from honorarium.chain import Status
from honorarium.errors.refusals import moment
from honorarium.ids import ZERO_HASH, Address, Hash, SessionId
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Deposited,
    Event,
    Rated,
    Revoked,
    RowSkipped,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
    Withdrawn,
)
from honorarium.protocol.messages import Opening, opening_nonce, top_up_nonce
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, UnixTime

__all__ = ["Consent", "Judged", "authorized_digest", "digest_under"]

_Judge = Callable[["Consent", Entry, "SessionRecord | None"], list[Judged]]


def _a(kind: type[Row]) -> Callable[[Row], bool]:
    return lambda row: isinstance(row, kind)


_OPENING, _TOP_UP, _CLOSING = _a(OpenRow), _a(TopUpRow), _a(CloseRow)
_BY, _RATING, _ANSWER = _a(ByRow), _a(RateRow), _a(AnswerRow)


class Consent:
    """Reads consent out of transactions, each of them once."""

    def __init__(self, place: Place, separator: Callable[[Address], bytes | None]) -> None:
        self._domain: Domain = place.domain
        self._ids = SessionIds(place.domain)
        self._separator = separator
        self._terms: Terms | None = None  # of the event's session, if they are known
        self._read: tuple[Hash, dict[SessionId, list[Row]]] = (Hash(b""), {})
        self.origins = Origins(place, self._ids.of)
        self._payments = PaymentConsent(place, separator, self.origins)

    def check(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        """What speaks against the consent that this event needs; `session` as it was before."""
        judge = _JUDGES.get(type(entry.event))
        if judge is None:
            return []
        self.origins.check(entry)
        self._terms = session.terms if session else getattr(entry.event, "terms", None)
        return judge(self, entry, session)

    # ------------------------------------------------------------------ which call it was

    def _asked(
        self,
        entry: Entry,
        rule: str,
        session_id: SessionId,
        takes: Callable[[Row], bool],
        judge: Callable[[Row, Transaction], list[Judged]],
    ) -> list[Judged]:
        """The judgement of the row for this session. A batch may name a session twice; one row
        that holds is enough, since the contract skipped the others.
        """
        sent = entry.transaction
        if sent is None:
            return [_no_transaction(entry, rule, session_id)]
        judged = [judge(row, sent) for row in self._rows(entry, sent, session_id) if takes(row)]
        if len(judged) > 1:
            return min(map(verified, judged), key=len)
        return judged[0] if judged else self.origins.elsewhere(entry, rule, session_id)

    def _rows(self, entry: Entry, sent: Transaction, session_id: SessionId) -> Sequence[Row]:
        """The rows for this session in the transaction, which is read once for all its events, or
        row by row if the others are those of other pieces of the work.
        """
        if sent.checked and self._terms is not None and sent.to == self._domain.contract:
            found = rows_of(sent.data, self._terms)
            return [row for row in found if self._ids.of(row.terms) == session_id]
        if self._read[0] != entry.tx_hash:
            rows: dict[SessionId, list[Row]] = {}
            if sent.to == self._domain.contract:
                for row in rows_of(sent.data):
                    rows.setdefault(self._ids.of(row.terms), []).append(row)
            self._read = entry.tx_hash, rows
        return self._read[1].get(session_id, ())

    # ------------------------------------------------------------------ openings

    def _opened(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        event = entry.event
        assert isinstance(event, SessionOpened)
        judged = self._asked(
            entry,
            "ESC-11",
            event.session_id,
            _OPENING,
            lambda row, sent: self._opening(entry, event, row, sent),
        )
        return [*self._identity(entry, event), *judged]

    def _identity(self, entry: Entry, event: SessionOpened) -> list[Judged]:
        """The id is the digest of the terms in the event, and the advisor is the terms'."""
        named = Signed(entry, "ESC-11", event.session_id, None)
        digest = self._ids.of(event.terms)
        if digest != event.session_id:
            named.found(f"the id of its terms, {_hex(digest)}", _hex(event.session_id))
        if event.advisor != event.terms.advisor:
            named.found(f"the terms' advisor {_hex(event.terms.advisor)}", _hex(event.advisor))
        return named.judged

    def _opening(
        self, entry: Entry, event: SessionOpened, row: Row, sent: Transaction
    ) -> list[Judged]:
        assert isinstance(row, OpenRow)
        terms, session_id = row.terms, event.session_id
        signed = Signed(entry, "ESC-11", session_id, sent.sender)
        if row.deposit != event.deposit:
            signed.found(f"the deposit that was agreed, {row.deposit}", event.deposit)
        signed.must("advisor", terms.advisor, Hash(session_id), row.advisor_signature)
        if terms.client != terms.payer:
            signed.must("client", terms.client, Hash(session_id), row.client_signature)
        match row.payer:
            case None:
                signed.must("payer", terms.payer, ZERO_HASH, b"")
            case Authorized() as paid:
                separator = self._separator(terms.token) or bytes(32)
                nonce = opening_nonce(session_id)
                digest = authorized_payment(
                    separator, self._domain.contract, terms.payer, row.deposit, nonce, paid
                )
                signed.must("payer", terms.payer, digest, paid.signature)
            case bytes() as signature:
                opening = Opening(terms, BaseUnits(row.deposit))
                signed.must("payer", terms.payer, opening.digest(self._domain), signature)
        return signed.judged

    def _topped_up(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        event = entry.event
        assert isinstance(event, ToppedUp)
        if session is None or session.status is not Status.OPEN:
            return []
        added = event.deposit - session.deposit

        def judge(row: Row, sent: Transaction) -> list[Judged]:
            assert isinstance(row, TopUpRow)
            signed = Signed(entry, "ESC-11", event.session_id, sent.sender)
            if row.deposit != event.deposit:
                signed.found(f"the deposit that was agreed, {row.deposit}", event.deposit)
            payer, token = row.terms.payer, row.terms.token
            match row.payer:
                case None:
                    signed.must("payer", payer, ZERO_HASH, b"")
                case Authorized() as paid:
                    separator = self._separator(token) or bytes(32)
                    nonce = top_up_nonce(event.session_id, BaseUnits(row.deposit))
                    digest = authorized_payment(
                        separator, self._domain.contract, payer, added, nonce, paid
                    )
                    signed.must("payer", payer, digest, paid.signature)
                case bytes() as signature:
                    words = event.session_id, row.deposit
                    digest = typed_digest(self._domain, "TopUp", *words)
                    signed.must("payer", payer, digest, signature)
            return signed.judged

        return self._asked(entry, "ESC-11", event.session_id, _TOP_UP, judge)

    # ------------------------------------------------------------------ what is credited

    def _settled(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        event = entry.event
        assert isinstance(event, Settled)
        if session is None or session.over:
            return []
        return self._metered(entry, event)

    def _closed(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        event = entry.event
        assert isinstance(event, SessionClosed)
        if session is None or session.over:
            return []
        metered = self._metered(entry, event) if event.units else []
        ended = self._asked(
            entry,
            "ESC-7",
            event.session_id,
            _CLOSING,
            lambda row, sent: self._end(entry, event, session, row, sent),
        )
        return [*metered, *ended]

    def _metered(self, entry: Entry, event: Settled | SessionClosed) -> list[Judged]:
        """ESC-3: the terms' meter key signed exactly these units and this journal."""
        return self._asked(
            entry,
            "ESC-3",
            event.session_id,
            carries_voucher,
            lambda row, sent: self._voucher(entry, event, row),
        )

    def _voucher(self, entry: Entry, event: Settled | SessionClosed, row: Row) -> list[Judged]:
        assert isinstance(row, (VoucherRow, CloseRow))
        if (row.units, row.journal) != (event.units, event.journal):
            expected = f"the voucher's {row.units} units, journal 0x{row.journal.hex()}"
            found = f"{event.units}, 0x{event.journal.hex()}"
            return [finding_at(entry, "ESC-3", event.session_id, expected, found)]
        signed = Signed(entry, "ESC-3", event.session_id, None)
        words = event.session_id, row.units, row.journal
        digest = typed_digest(self._domain, "Voucher", *words)
        signed.must_by_key("meter", row.terms.meter_key, digest, row.signature)
        return signed.judged

    # ------------------------------------------------------------------ ending

    def _end(
        self,
        entry: Entry,
        event: SessionClosed,
        session: SessionRecord,
        row: Row,
        sent: Transaction,
    ) -> list[Judged]:
        """ESC-7: by the advisor at any time, or by anyone once somebody left and grace is over."""
        assert isinstance(row, CloseRow)
        signed = Signed(entry, "ESC-7", event.session_id, sent.sender)
        if row.finalize:
            ends = UnixTime(session.closing_at + row.terms.close_grace)
            if session.status is not Status.CLOSING or entry.time < ends:
                expected = f"finalized after the grace period, from {moment(ends)} on"
                signed.found(expected, f"finalized at {moment(entry.time)}")
            return signed.judged
        words = event.session_id, row.units, row.journal, row.deadline
        digest = typed_digest(self._domain, "Closing", *words)
        signed.must("advisor", row.terms.advisor, digest, row.advisor_signature)
        if row.advisor_signature and entry.time > row.deadline:
            until = moment(UnixTime(row.deadline))
            signed.found(f"the advisor's signature used by {until}", moment(entry.time))
        return signed.judged

    def _leaves(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        event = entry.event
        assert isinstance(event, CloseRequested)
        if session is None or session.status is not Status.OPEN:
            return []
        return self._by(entry, "ESC-7", event.session_id, event.by, revoke=False)

    def _revoked(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        event = entry.event
        assert isinstance(event, Revoked)
        if session is not None:
            return []
        return self._by(entry, "ESC-12", event.session_id, event.by, revoke=True)

    def _by(
        self,
        entry: Entry,
        rule: str,
        session_id: SessionId,
        by: Address,
        *,
        revoke: bool,
    ) -> list[Judged]:
        name = "Revocation" if revoke else "Leaving"

        def judge(row: Row, sent: Transaction) -> list[Judged]:
            assert isinstance(row, ByRow)
            signed = Signed(entry, rule, session_id, sent.sender)
            other = row.terms.advisor if revoke else row.terms.client
            if by not in (other, row.terms.payer) or row.by != by:
                signed.found(f"a party of the terms, named in the call: 0x{row.by.hex()}", _hex(by))
            digest = typed_digest(self._domain, name, session_id)
            signed.must("party", by, digest, row.signature)
            return signed.judged

        return self._asked(entry, rule, session_id, _BY, judge)

    # ------------------------------------------------------------------ ratings

    def _rated(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        event = entry.event
        assert isinstance(event, Rated)
        if session is None:
            return []

        def judge(row: Row, sent: Transaction) -> list[Judged]:
            assert isinstance(row, RateRow)
            signed = Signed(entry, "ESC-10", event.session_id, sent.sender)
            if (row.score, row.comment_hash) != (event.score, event.comment_hash):
                expected = f"the score that was given, {row.score}, with its comment"
                signed.found(expected, event.score)
            words = event.session_id, row.score, row.comment_hash
            digest = typed_digest(self._domain, "Rating", *words)
            signed.must("client", row.terms.client, digest, row.signature)
            return signed.judged

        return self._asked(entry, "ESC-10", event.session_id, _RATING, judge)

    def _answered(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        event = entry.event
        assert isinstance(event, Answered)
        if session is None:
            return []

        def judge(row: Row, sent: Transaction) -> list[Judged]:
            assert isinstance(row, AnswerRow)
            signed = Signed(entry, "ESC-10", event.session_id, sent.sender)
            if row.answer_hash != event.answer_hash:
                signed.found(
                    f"the answer that was given, {_hex(row.answer_hash)}", _hex(event.answer_hash)
                )
            words = event.session_id, row.answer_hash
            digest = typed_digest(self._domain, "Answer", *words)
            signed.must("advisor", row.terms.advisor, digest, row.signature)
            return signed.judged

        return self._asked(entry, "ESC-10", event.session_id, _ANSWER, judge)

    # ------------------------------------------------------------------ the rest

    def _skipped(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        """ESC-16: a batch names the row that it left out, and it is this session's."""
        event, sent = entry.event, entry.transaction
        assert isinstance(event, RowSkipped)
        if sent is None:
            return [_no_transaction(entry, "ESC-16", event.session_id)]
        ours = sent.to == self._domain.contract
        terms = row_of_batch(sent.data, event.row) if ours else None
        if terms is None or self._ids.of(terms) != event.session_id:
            return self.origins.elsewhere(entry, "ESC-16", event.session_id)
        return []

    def _paid(self, entry: Entry, session: SessionRecord | None) -> list[Judged]:
        return self._payments.check(entry)


_JUDGES: Final[dict[type[Event], _Judge]] = {
    SessionOpened: Consent._opened,
    ToppedUp: Consent._topped_up,
    Settled: Consent._settled,
    SessionClosed: Consent._closed,
    CloseRequested: Consent._leaves,
    Revoked: Consent._revoked,
    Rated: Consent._rated,
    Answered: Consent._answered,
    RowSkipped: Consent._skipped,
    Deposited: Consent._paid,
    Withdrawn: Consent._paid,
    Tipped: Consent._paid,
}


def authorized_digest(separator: bytes, escrow: Domain, row: OpenRow, paid: Authorized) -> Hash:
    """The EIP-3009 digest of an opening, under the token's own domain; zero bytes as the separator
    of a token that has none give nobody's.
    """
    nonce = opening_nonce(row.terms.session_id(escrow))
    payer = row.terms.payer
    return authorized_payment(separator, escrow.contract, payer, row.deposit, nonce, paid)


def _no_transaction(entry: Entry, rule: str, session_id: SessionId) -> Finding:
    return finding_at(
        entry,
        rule,
        session_id,
        "the transaction of this event",
        f"the node has no 0x{entry.tx_hash.hex()}",
    )


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
