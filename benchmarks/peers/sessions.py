"""What is measured of a session, and how it compares. Nothing here touches a chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

OURS: Final = "Honorarium"
WALLETS: Final = "wallet → wallet"
EARNINGS: Final = "wallet → balance"
BALANCES: Final = "balance → balance"

Column = Literal["open", "pay", "stop"]
COLUMNS: Final[tuple[Column, ...]] = get_args(Column)
"""Open and fund; what the advisor needs beside, to be paid; stop and refund."""

Who = Literal["client", "advisor"]


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a session. `gas` is that of its whole receipt."""

    column: Column
    sender: Who
    does: str
    gas: int


@dataclass(frozen=True, slots=True)
class Session:
    """One protocol's way through the session.

    `way`: where the client's money comes from, and where the advisor's goes to. `gets`: what one
    gets for it, and what not. `against`: the way of ours that does the same.
    """

    protocol: str
    way: str
    steps: tuple[Step, ...]
    gets: str
    against: str

    @property
    def total(self) -> int:
        return sum(step.gas for step in self.steps)

    def gas(self, column: Column) -> int:
        """Of all transactions of a column; 0 if there are none."""
        return sum(step.gas for step in self.steps if step.column == column)


def ratio(gas: int, ours: int) -> float:
    """How many times as much as ours."""
    if ours <= 0:
        raise ValueError(f"a session of ours cannot have cost {ours} gas")
    return gas / ours


def totals_of_ours(sessions: Sequence[Session]) -> dict[str, int]:
    """Way to gas."""
    return {each.way: each.total for each in sessions if each.protocol == OURS}


def as_json(sessions: Sequence[Session]) -> list[dict[str, Any]]:
    """For machines: every transaction, the sums, and the ratio to the session of ours that does the
    same.
    """
    ours = totals_of_ours(sessions)
    return [
        {
            "protocol": each.protocol,
            "way": each.way,
            "transactions": [
                {"column": s.column, "sender": s.sender, "does": s.does, "gas": s.gas}
                for s in each.steps
            ],
            **{column: each.gas(column) for column in COLUMNS},
            "total": each.total,
            "against": each.against,
            "ratio": round(ratio(each.total, ours[each.against]), 3),
        }
        for each in sessions
    ]
