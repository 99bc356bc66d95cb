"""Of several faults the contracts tell the first, in the order that docs/operations writes down.

Each case begins with a call that has a fault for each row of its page's table. They are mended from
the top, one by one, and each time the fault of the next row is told; without any the call works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from desk import Call, Desk, Faults
from honorarium.artifacts import ContractName, artifact
from honorarium.chain import LocalChain, Node
from lives import PARTIES

PAGES = Path(__file__).resolve().parent.parent / "docs" / "operations"
SHIPPED: tuple[ContractName, ...] = ("SessionEscrow", "TipJar")
ERRORS = {
    entry["name"] for name in SHIPPED for entry in artifact(name).abi if entry["type"] == "error"
}


@dataclass(frozen=True)
class Case:
    """A table of checks on a page, counted from 0, and a call with faults in that order.

    `order` has a line for each fault: the table's row, the fault, the error.
    """

    page: str
    table: int
    build: Callable[[Desk, Faults], Call]
    order: str

    def faults(self) -> list[tuple[str, str, str]]:
        found = []
        for line in self.order.strip().splitlines():
            row, *fault, error = line.split()
            found.append((row, " ".join(fault), error))
        return found


TERMS, VOUCHER, ALLOWANCE, BY_3009 = 0, 2, 4, 5  # tables of checks.md

CASES = (
    Case(
        "checks.md",
        TERMS,
        Desk.open_,
        """
        1 step price StepPriceWithoutStep
        3 unit UnitTooLong
        4 share ShareTooHigh
        5 no recipient ShareWithoutRecipient
        6 grace GraceOutOfRange
        7 expired QuoteExpired
        9 bits TermsNotCanonical
        10 nothing NothingToPay
        12 deposit DepositTooSmall
        13 client InvalidParty
        15 payer InvalidParty
        16 advisor InvalidParty
        17 meter InvalidParty
        18 token InvalidParty
        19 recipient InvalidParty
        """,
    ),
    Case(
        "checks.md",
        TERMS,
        Desk.open_,
        """
        2 step StepInsideFreeUnits
        3 unit UnitTooLong
        8 far QuoteTooFarAhead
        9 bits TermsNotCanonical
        """,
    ),
    Case(
        "checks.md",
        TERMS,
        Desk.open_,
        """
        9 bits TermsNotCanonical
        11 cap CapWithinFreeUnits
        12 deposit DepositTooSmall
        13 client InvalidParty
        14 form TermsNotCanonical
        16 advisor InvalidParty
        """,
    ),
    Case(
        "checks.md",
        VOUCHER,
        Desk.settle_,
        """
        1 none SessionNotOpen
        3 high s HighS
        4 meter WrongSigner
        5 time TooManyUnits
        """,
    ),
    Case(
        "checks.md",
        ALLOWANCE,
        Desk.deposit,
        """
        1 value WrongValue
        3 token TokenWithoutCode
        """,
    ),
    Case(
        "checks.md",
        BY_3009,
        Desk.deposit_by_3009,
        """
        4 sign SignatureMissing
        5 late TokenCallFailed
        """,
    ),
    Case(
        "open.md",
        0,
        Desk.open_,
        """
        1 caller SignatureMissing
        2 unit UnitTooLong
        2 recipient InvalidParty
        3 used SessionExists
        4 quote SignatureMissing
        5 consent SignatureMissing
        6 value WrongValue
        """,
    ),
    Case(
        "open-with-authorization.md",
        0,
        Desk.open_by_3009,
        """
        1 unit UnitTooLong
        1 recipient InvalidParty
        2 used SessionExists
        3 quote SignatureMissing
        4 consent SignatureMissing
        5 sign SignatureMissing
        5 late TokenCallFailed
        """,
    ),
    Case(
        "open-from-balance.md",
        0,
        Desk.open_from_balance,
        """
        1 unit UnitTooLong
        1 recipient InvalidParty
        2 used SessionExists
        3 quote SignatureMissing
        4 consent SignatureMissing
        5 sign SignatureMissing
        6 balance BalanceTooSmall
        """,
    ),
    Case(
        "revoke.md",
        0,
        Desk.revoke,
        """
        1 party NotAParty
        2 exists SessionExists
        3 sign SignatureMissing
        """,
    ),
    Case(
        "top-up.md",
        0,
        Desk.top_up,
        """
        1 caller SignatureMissing
        2 none SessionNotOpen
        3 left AlreadyClosing
        4 low DepositNotRaised
        5 value WrongValue
        """,
    ),
    Case(
        "top-up.md",
        1,
        Desk.top_up_by_3009,
        """
        1 none SessionNotOpen
        2 left AlreadyClosing
        3 low DepositNotRaised
        4 sign SignatureMissing
        4 late TokenCallFailed
        """,
    ),
    Case(
        "top-up.md",
        2,
        Desk.top_up_from_balance,
        """
        1 sign SignatureMissing
        2 none SessionNotOpen
        3 left AlreadyClosing
        4 low DepositNotRaised
        5 balance BalanceTooSmall
        """,
    ),
    Case(
        "settle.md",
        0,
        Desk.settle_,
        """
        1 none SessionNotOpen
        2 high s HighS
        2 time TooManyUnits
        3 stale StaleVoucher
        """,
    ),
    Case(
        "close.md",
        0,
        Desk.close_,
        """
        1 caller SignatureMissing
        2 none SessionNotOpen
        3 high s HighS
        3 meter WrongSigner
        3 time TooManyUnits
        """,
    ),
    Case(
        "close.md",
        1,
        Desk.close_for,
        """
        1 late SignatureExpired
        2 sign SignatureMissing
        3 none SessionNotOpen
        4 meter WrongSigner
        4 time TooManyUnits
        """,
    ),
    Case(
        "leave.md",
        0,
        Desk.request_close,
        """
        1 party NotAParty
        2 none SessionNotOpen
        3 left AlreadyClosing
        4 sign SignatureMissing
        """,
    ),
    Case(
        "leave.md",
        1,
        Desk.finalize,
        """
        1 none SessionNotOpen
        2 nobody NotClosing
        3 left GraceRunning
        """,
    ),
    Case(
        "rate.md",
        0,
        Desk.rate_,
        """
        1 running SessionNotClosed
        2 score ScoreOutOfRange
        3 idle NothingEarned
        4 rated AlreadyRated
        5 old RatingWindowOver
        6 sign SignatureMissing
        """,
    ),
    Case(
        "answer.md",
        0,
        Desk.answer,
        """
        1 closed NotRated
        2 answered AlreadyAnswered
        3 sign SignatureMissing
        """,
    ),
    Case(
        "deposit.md",
        0,
        Desk.deposit,
        """
        1 zero ZeroAmount
        2 account InvalidRecipient
        3 value WrongValue
        3 token TokenWithoutCode
        """,
    ),
    Case(
        "deposit.md",
        1,
        Desk.deposit_by_3009,
        """
        1 zero ZeroAmount
        2 sign SignatureMissing
        """,
    ),
    Case(
        "withdraw.md",
        0,
        Desk.withdraw,
        """
        1 zero ZeroAmount
        2 to InvalidRecipient
        3 balance BalanceTooSmall
        """,
    ),
    Case(
        "withdraw.md",
        1,
        Desk.withdraw_for,
        """
        1 late SignatureExpired
        2 nonce WrongNonce
        3 sign SignatureMissing
        4 zero ZeroAmount
        5 to InvalidRecipient
        6 balance BalanceTooSmall
        """,
    ),
    Case(
        "tip.md",
        0,
        Desk.tip,
        """
        1 zero ZeroAmount
        2 advisor InvalidRecipient
        3 value WrongValue
        5 token TokenWithoutCode
        """,
    ),
    Case(
        "tip.md",
        1,
        Desk.tip_by_3009,
        """
        1 zero ZeroAmount
        2 advisor InvalidRecipient
        3 sign SignatureMissing
        3 late TokenCallFailed
        """,
    ),
)


def rows(page: str, table: int) -> dict[str, str]:
    """Of one of a page's tables of checks: the first cell -> the row."""
    whole = (PAGES / page).read_text(encoding="utf-8")
    checks = whole if page == "checks.md" else whole.split("## Checks")[1].split("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", checks, re.MULTILINE)
    return {line.split("|")[1].strip(): line for line in tables[table].splitlines()[2:]}


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with LocalChain.start(engine="anvil", names=PARTIES) as chain, Node(chain.url) as node:
        made = Desk(chain, node)
        made.prepare()
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.page}-{case.build.__name__}")
def test_of_several_faults_the_first_of_the_pages_order_is_told(desk: Desk, case: Case) -> None:
    written = rows(case.page, case.table)
    left = [fault for _, fault, _ in case.faults()]
    for row, fault, error in case.faults():
        named = ERRORS & set(re.findall(r"\w+", written.get(row, "")))
        assert not named or error in named, f"row {row} does not name {error}"
        assert desk.first_fault(case.build(desk, frozenset(left))) == error, f"with {left}"
        left.remove(fault)
    assert desk.first_fault(case.build(desk, frozenset())) is None, "without any fault"
