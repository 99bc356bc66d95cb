"""Amounts: exact, of one token, never a float."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.errors import AmountNotExact, TokensDiffer
from honorarium.ids import Address
from honorarium.money import COIN, Amount, Token

USD = Token(Address(b"\x05" * 20), "tUSD", 6)


@pytest.mark.parametrize("given", ["1.5", Decimal("1.50"), 1_500_000, USD.amount("1.5")])
def test_text_and_decimals_are_whole_tokens_and_integers_base_units(given: Any) -> None:
    amount = USD.amount(given)
    assert amount.base_units == 1_500_000
    assert str(amount) == "1.5 tUSD"
    assert amount.whole == Decimal("1.5")


@pytest.mark.parametrize("given", [1.5, 0.0, True, -1, "-1", "1.0000001", "nan", "1e", None])
def test_floats_dust_and_nonsense_are_refused(given: Any) -> None:
    with pytest.raises(AmountNotExact):
        USD.amount(given)


def test_amounts_of_two_tokens_never_meet() -> None:
    ours, other = USD.amount("1"), COIN.amount("1")
    for meet in (
        lambda: ours + other,
        lambda: ours - other,
        lambda: ours < other,
        lambda: ours >= other,
        lambda: USD.amount(other),
    ):
        with pytest.raises(TokensDiffer, match="tUSD at 0x0505"):
            meet()
    assert ours != other


@given(st.integers(0, 2**200), st.integers(0, 2**200), st.integers(0, 36))
def test_sums_and_texts_are_exact(a: int, b: int, decimals: int) -> None:
    token = Token(Address(b"\x05" * 20), "X", decimals)
    left, right = token.amount(a), token.amount(b)
    assert int(left + right) == a + b
    assert (left < right, left <= right, left > right, left >= right) == (
        a < b,
        a <= b,
        a > b,
        a >= b,
    )
    with localcontext(prec=3):  # a narrow context rounds nothing
        assert token.amount(left.text) == left
        assert token.amount(left.whole) == left


def test_what_is_left_may_be_less_than_nothing_and_says_so() -> None:
    assert str(USD.amount(1) - USD.amount("2")) == "-1.999999 tUSD"
    assert not USD.amount(0)
    assert Amount(USD.amount("1").base_units, USD)
