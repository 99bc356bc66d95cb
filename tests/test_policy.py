"""What is worth a transaction: the policy alone, without a chain."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.desk.policy import (
    BATCH_GAS,
    ROW_GAS,
    WEI,
    Candidate,
    Policy,
    Reason,
    TokenNotSettled,
)
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.units import BaseUnits

TOKEN = Address(b"\x11" * 20)
OTHER = Address(b"\x22" * 20)
GWEI = 10**9
DOLLARS = Policy(coin_prices={TOKEN: 2_000_000_000})  # a coin is 2,000 dollars of 6 decimals
ROW = -(-ROW_GAS * 10 * GWEI * 2_000_000_000 // WEI)  # what a row costs at 10 gwei: 46 cents
NOW = 10_000


def test_a_token_of_which_nobody_knows_the_worth_is_not_settled() -> None:
    for settled in (Policy(floor=1), Policy(floors={OTHER: 5}), Policy(coin_prices={OTHER: 5})):
        settled.must_settle(OTHER)
    Policy().must_settle(ZERO_ADDRESS)
    with pytest.raises(TokenNotSettled) as caught:
        DOLLARS.must_settle(OTHER)
    assert caught.value.token == OTHER


def one(gain: int, token: Address = TOKEN, taken_at: int = 0, **more: Any) -> Candidate:
    return Candidate(bytes(32), token, BaseUnits(gain), taken_at, **more)


def test_nothing_is_settled_that_costs_more_than_it_brings() -> None:
    forms: list[dict[str, Any]] = [{"left": True}, {"wished": True}, {"spent": True}, {}]
    for more in forms:
        assert DOLLARS.reason(one(ROW - 1, **more), NOW, 10 * GWEI) is None
        assert DOLLARS.reason(one(ROW, **more), NOW, 10 * GWEI) is not None


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (one(10 * ROW, taken_at=NOW, left=True), Reason.LEFT),
        (one(10 * ROW, taken_at=NOW, wished=True), Reason.WISH),
        (one(10 * ROW, taken_at=NOW, spent=True), Reason.SPENT),
        (one(10 * ROW, taken_at=NOW - 300), Reason.IDLE),
        (one(10 * ROW, taken_at=NOW - 299), None),
        (one(100 * ROW, taken_at=NOW), Reason.WORTH),
        (one(100 * ROW - 1, taken_at=NOW), None),
    ],
)
def test_why_a_session_is_settled_now(candidate: Candidate, reason: Reason | None) -> None:
    assert DOLLARS.reason(candidate, NOW, 10 * GWEI) is reason


def test_the_coin_needs_no_price() -> None:
    cost = ROW_GAS * GWEI
    assert Policy().reason(one(cost - 1, token=ZERO_ADDRESS), NOW, GWEI) is None
    assert Policy().reason(one(cost, token=ZERO_ADDRESS), NOW, GWEI) is Reason.IDLE


def test_a_token_of_unknown_worth_is_not_settled_unless_there_is_a_floor() -> None:
    assert DOLLARS.reason(one(10**30, token=OTHER), NOW, GWEI) is None
    floor = Policy(floors={OTHER: 500})
    assert floor.reason(one(499, token=OTHER), NOW, GWEI) is None
    assert floor.reason(one(500, token=OTHER), NOW, GWEI) is Reason.IDLE
    assert Policy(floor=0).reason(one(0, token=OTHER), NOW, GWEI) is None
    assert Policy(floor=0).reason(one(1, token=OTHER), NOW, GWEI) is Reason.IDLE


def test_the_higher_of_floor_and_cost_counts() -> None:
    both = Policy(coin_prices={TOKEN: 2_000_000_000}, floors={TOKEN: 2 * ROW})
    assert both.least(TOKEN, 10 * GWEI) == 2 * ROW
    assert both.least(TOKEN, 100 * GWEI) == 10 * ROW


def test_whoever_leaves_goes_first_and_then_the_most_worthy() -> None:
    several = [
        Candidate(b"i", TOKEN, BaseUnits(10 * ROW), 0),
        Candidate(b"w", TOKEN, BaseUnits(10 * ROW), NOW, wished=True),
        Candidate(b"l", TOKEN, BaseUnits(10 * ROW), NOW, left=True),
        Candidate(b"j", TOKEN, BaseUnits(20 * ROW), 0),
    ]
    (batch,) = DOLLARS.batches(several, NOW, 10 * GWEI)
    assert [each.session_id for each, _ in batch] == [b"l", b"w", b"j", b"i"]


def test_a_row_that_pays_only_for_itself_waits_for_company() -> None:
    whole = DOLLARS.cost(TOKEN, BATCH_GAS, 10 * GWEI)
    assert whole is not None
    assert DOLLARS.batches([one(ROW + whole - 1)], NOW, 10 * GWEI) == []
    assert len(DOLLARS.batches([one(ROW + whole + 1)], NOW, 10 * GWEI)) == 1
    assert len(DOLLARS.batches([one(ROW + whole // 2 + 1)] * 2, NOW, 10 * GWEI)) == 1


@given(
    gains=st.lists(st.integers(0, 10**12), max_size=120),
    price=st.integers(0, 500),
    rows=st.integers(1, 60),
)
def test_no_batch_costs_more_than_it_brings(gains: list[int], price: int, rows: int) -> None:
    policy = Policy(coin_prices={TOKEN: 2_000_000_000}, rows=rows)
    several = [Candidate(bytes([n]), TOKEN, BaseUnits(g), 0) for n, g in enumerate(gains)]
    made = policy.batches(several, NOW, price * GWEI)
    for batch in made:
        assert len(batch) <= rows
        gas = BATCH_GAS + ROW_GAS * len(batch)
        assert sum(each.gain for each, _ in batch) * WEI >= gas * price * GWEI * 2_000_000_000 // 1
    chosen = [each.session_id for batch in made for each, _ in batch]
    assert len(chosen) == len(set(chosen))
