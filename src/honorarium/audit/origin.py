"""Which call an event came out of: the one in its transaction's data, or one that another contract
made.

A transaction to one of our own contracts has to explain what it left in the log. Only while such a
call hands control to somebody else (a token, a wallet that is paid) can another contract call us in
the middle of it: then the call's own event is in the log too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from eth_typing import ABIFunction
from eth_utils.abi import function_abi_to_4byte_selector

from honorarium.artifacts import ContractName, artifact
from honorarium.audit.calldata import (
    AnswerRow,
    ByRow,
    CloseRow,
    OpenRow,
    RateRow,
    TopUpRow,
    VoucherRow,
    rows_of,
)
from honorarium.audit.check import finding_at
from honorarium.audit.envelope import altered
from honorarium.audit.errors import TransactionAltered
from honorarium.audit.facts import Claimed, Doubt, Entry, Finding, Happening, Nested, Place
from honorarium.audit.payments import DepositRow, TipRow, WithdrawalRow, payment_of
from honorarium.audit.signed import Judged, verified
from honorarium.ids import Hash, SessionId
from honorarium.protocol.events import Deposited, Event, Tipped, Withdrawn
from honorarium.protocol.terms import Terms

_HANDS_OVER: Final = frozenset(
    (
        *("open", "openWithAuthorization", "topUp", "topUpWithAuthorization"),
        *("close", "closeFor", "closeBatch", "finalize"),
        *("deposit", "depositWithAuthorization", "withdraw", "withdrawFor"),
        *("tip", "tipWithAuthorization"),
    )
)
"""The functions that call a token, or pay somebody."""

_PAYMENTS: Final = {DepositRow: "Deposited", WithdrawalRow: "Withdrawn", TipRow: "Tipped"}
_OUTCOMES: Final = {
    OpenRow: "SessionOpened",
    TopUpRow: "ToppedUp",
    CloseRow: "SessionClosed",
    RateRow: "Rated",
    AnswerRow: "Answered",
    VoucherRow: "Settled",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of our contracts, and what it must have left in the log if it did anything."""

    name: str
    own: frozenset[Happening]

    @property
    def hands_over(self) -> bool:
        """Others can be called while it runs, and can call us."""
        return self.name in _HANDS_OVER


def happening_of(event: Event) -> Happening:
    """What an event is about, so far as a call says it: its session, else who got money."""
    match event:
        case Deposited():
            about = event.token + event.account
        case Withdrawn():
            about = event.token + event.to
        case Tipped():
            about = event.token + event.advisor
        case _:
            about = getattr(event, "session_id", b"")
    return type(event).__name__, bytes(about)


def call_of(
    contract: ContractName, data: bytes, id_of: Callable[[Terms], SessionId]
) -> Call | None:
    """The call in this data; None: no function of the contract takes it."""
    name = _NAMES[contract].get(bytes(data[:4]))
    if name is None:
        return None
    own: set[Happening] = set()
    payment = payment_of(data)
    match payment:
        case DepositRow(token=token, account=to) | WithdrawalRow(token=token, to=to):
            own.add((_PAYMENTS[type(payment)], token + to))
        case TipRow(token=token, advisor=to):
            own.add((_PAYMENTS[type(payment)], token + to))
        case _:
            pass
    for row in rows_of(data):
        if isinstance(row, ByRow):
            outcome = "Revoked" if row.revoke else "CloseRequested"
        else:
            outcome = _OUTCOMES[type(row)]
        own.add((outcome, bytes(id_of(row.terms))))
    if name.endswith("Batch"):
        own |= {("RowSkipped", session) for _, session in own}
    return Call(name, frozenset(own)) if own else None


class Origins:
    """Judges where events came from."""

    def __init__(self, place: Place, id_of: Callable[[Terms], SessionId]) -> None:
        self._id_of = id_of
        self._ours: dict[bytes | None, ContractName] = {
            place.domain.contract: "SessionEscrow",
            place.tip_jar: "TipJar",
        }
        self._hashed = Hash(b"")

    def check(self, entry: Entry) -> None:
        """The event's transaction is the one that was signed. Raises TransactionAltered."""
        sent = entry.transaction
        if sent is None or sent.checked or entry.tx_hash == self._hashed:
            return
        why = altered(entry.tx_hash, sent)
        if why is not None:
            raise TransactionAltered(entry.tx_hash, entry.block, why)
        self._hashed = entry.tx_hash

    def elsewhere(self, entry: Entry, rule: str, session_id: SessionId | None) -> list[Judged]:
        """What speaks against an event that is not in its transaction's data."""
        sent = entry.transaction
        assert sent is not None
        contract = self._ours.get(sent.to)
        if contract is None:
            return [Claimed("through_contracts")]
        call = call_of(contract, sent.data, self._id_of)
        expected = f"calldata that explains {type(entry.event).__name__}"
        if call is None:
            found = f"calldata that no function of {contract} takes"
            return [finding_at(entry, rule, session_id, expected, found)]
        found = f"a call of {call.name} about something else"
        finding = finding_at(entry, rule, session_id, expected, found)
        if not call.hands_over:
            return [finding]
        return [Nested(call.own, happening_of(entry.event), (finding,))]

    def contradicted(self, entry: Entry, judged: list[Judged]) -> Judged:
        """What speaks against an event by the only thing that its transaction's call asks for: all
        of it, unless that happened beside this event.
        """
        sent = entry.transaction
        assert sent is not None
        call = call_of(self._ours[sent.to], sent.data, self._id_of)
        found = verified(judged)
        findings = [each.finding if isinstance(each, Doubt) else each for each in found]
        own = frozenset() if call is None else call.own
        said = tuple(each for each in findings if isinstance(each, Finding))
        return Nested(own, happening_of(entry.event), said)


def _names(contract: ContractName) -> dict[bytes, str]:
    return {
        function_abi_to_4byte_selector(cast("ABIFunction", each)): each["name"]
        for each in artifact(contract).abi
        if each["type"] == "function" and each["stateMutability"] not in ("view", "pure")
    }


_CONTRACTS: Final[tuple[ContractName, ...]] = ("SessionEscrow", "TipJar")
_NAMES: Final = {contract: _names(contract) for contract in _CONTRACTS}
