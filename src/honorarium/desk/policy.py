"""When a session is worth a transaction, and which sessions share one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from honorarium.errors import InputError
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.units import BaseUnits

ROW_GAS: Final = 23_000
"""What a row of a batch costs, the platform's share included (docs/gas.md)."""

BATCH_GAS: Final = 32_000
"""What a batch costs beside its rows."""

WEI: Final = 10**18
"""The chain's coin, in its smallest unit."""


class TokenNotSettled(InputError):
    """A token of which the desk does not know what it is worth."""

    def __init__(self, token: bytes) -> None:
        self.token = token
        super().__init__(
            f"this desk does not know what the token 0x{token.hex()} is worth, so it settles and "
            "relays nothing in it; take another token, or its operator names the token in "
            "coin_prices, or a settle_floor for all"
        )


class Reason(Enum):
    """Why a session is settled now."""

    LEFT = "left"  # somebody asked to close: every unit counts, and the grace period runs
    WISH = "wish"  # the advisor asked for their money
    SPENT = "spent"  # the deposit is used up: there is no more to come
    IDLE = "idle"  # no voucher for a while
    WORTH = "worth"  # the fee is large beside what the transaction costs


@dataclass(frozen=True, slots=True)
class Candidate:
    """A session with units that are not on chain. `gain` is what they bring, in base units of the
    token, the platform's share included; `taken_at` when the last of them were proved.
    """

    session_id: bytes
    token: Address
    gain: BaseUnits
    taken_at: int
    left: bool = False
    wished: bool = False
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """Never settles what costs more than it brings.

    `coin_prices` says for each token how many base units of it a whole coin of the chain is worth,
    `floors` under how many base units a session is never settled; for tokens of which neither is
    said, `floor` is (None: they are not settled at all). A session is due `idle` seconds after its
    last voucher, or once it brings `worth` times what its row costs. `rows` share a transaction at
    most.
    """

    coin_prices: Mapping[Address, int] = field(default_factory=dict)
    floors: Mapping[Address, int] = field(default_factory=dict)
    floor: int | None = None
    idle: int = 300
    worth: int = 100
    rows: int = 50

    def cost(self, token: Address, gas: int, gas_price: int) -> int | None:
        """What so much gas costs, in base units of the token, rounded up; None: nobody knows."""
        wei = gas * gas_price
        if token == ZERO_ADDRESS:
            return wei
        price = self.coin_prices.get(token)
        return None if price is None else -(-wei * price // WEI)

    def least(self, token: Address, gas_price: int) -> int | None:
        """What a row has to bring at least, in base units; None: none is settled."""
        cost = self.cost(token, ROW_GAS, gas_price)
        floor = self.floors.get(token)
        if cost is None and floor is None:
            return None if self.floor is None else max(1, self.floor)
        return max(1, cost or 0, floor or 0)

    def must_settle(self, token: Address) -> None:
        """Raises TokenNotSettled for a token of which no session is ever settled."""
        if self.least(token, 0) is None:
            raise TokenNotSettled(token)

    def reason(self, candidate: Candidate, now: int, gas_price: int) -> Reason | None:
        """Why to settle a session now; None: not now."""
        least = self.least(candidate.token, gas_price)
        if least is None or candidate.gain < least:
            return None
        if candidate.left:
            return Reason.LEFT
        if candidate.wished:
            return Reason.WISH
        if candidate.spent:
            return Reason.SPENT
        if now - candidate.taken_at >= self.idle:
            return Reason.IDLE
        cost = self.cost(candidate.token, ROW_GAS, gas_price)
        if cost is not None and candidate.gain >= self.worth * max(1, cost):
            return Reason.WORTH
        return None

    def batches(
        self, candidates: Sequence[Candidate], now: int, gas_price: int
    ) -> list[list[tuple[Candidate, Reason]]]:
        """Who is settled now, and with whom: the most urgent and the most worthy first. A batch
        that would cost more than all its rows bring waits for company.
        """
        due = [
            (each, reason)
            for each in candidates
            if (reason := self.reason(each, now, gas_price)) is not None
        ]
        order = list(Reason)
        due.sort(key=lambda one: (order.index(one[1]), -one[0].gain))
        made = [due[start : start + self.rows] for start in range(0, len(due), self.rows)]
        return [batch for batch in made if self._pays(batch, gas_price)]

    def _pays(self, batch: Sequence[tuple[Candidate, Reason]], gas_price: int) -> bool:
        """Whether what the rows bring beyond their own gas pays for the batch too. Tokens do not
        add up, but the parts of the batch's gas do that each row pays for.
        """
        paid = 0
        for each, _ in batch:
            whole = self.cost(each.token, BATCH_GAS, gas_price)
            own = self.cost(each.token, ROW_GAS, gas_price)
            if whole is None or own is None or whole == 0:
                return True  # nobody knows what gas is worth in it, so its floor alone decides
            paid += (each.gain - own) * WEI // whole
        return paid >= WEI
