"""Amounts: exact or refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.errors import AmountNotExact
from honorarium.units import format_amount, parse_amount
from protocol_values import uint


@pytest.mark.parametrize(
    ("text", "decimals", "amount"),
    [
        ("1.25", 6, 1_250_000),
        ("0", 6, 0),
        ("0.000001", 6, 1),
        (" 3 ", 6, 3_000_000),
        ("1e3", 6, 1_000_000_000),
        ("1.50", 1, 15),
        ("7", 0, 7),
        (5, 2, 500),
        (Decimal("0.05"), 2, 5),
        ("1208925.819614629174706175", 18, 2**80 - 1),
        (
            "123456789012345678901234567890.123456789012345678",
            18,
            123456789012345678901234567890123456789012345678,
        ),
    ],
)
def test_whole_tokens_become_base_units(text: Any, decimals: int, amount: int) -> None:
    assert parse_amount(text, decimals) == amount


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ("0.0000001", "only 6 decimals"),
        ("-1", "zero or more"),
        ("-0", "zero or more"),
        ("NaN", "zero or more"),
        ("Infinity", "zero or more"),
        ("", "not a decimal number"),
        ("1,25", "not a decimal number"),
        ("one", "not a decimal number"),
        ("1e200", "too many places"),
        (1.25, "decimal string"),
        (True, "decimal string"),
        (None, "decimal string"),
    ],
)
def test_what_is_not_an_exact_amount_is_refused_with_the_reason(given_: Any, reason: str) -> None:
    with pytest.raises(AmountNotExact) as refused:
        parse_amount(given_, 6)
    assert reason in str(refused.value)
    assert refused.value.decimals == 6


@given(uint(256), st.integers(0, 30))
def test_an_amount_that_is_written_is_read_back(amount: int, decimals: int) -> None:
    assert parse_amount(format_amount(amount, decimals), decimals) == amount


@given(st.integers(-(2**256), 2**256), st.integers(0, 30))
def test_a_written_amount_is_exact_and_has_no_needless_zeros(amount: int, decimals: int) -> None:
    text = format_amount(amount, decimals)
    assert Fraction(text) == Fraction(amount, 10**decimals)
    assert "." not in text or text[-1] not in "0."


@given(st.decimals(0, 10**30, allow_nan=False, allow_infinity=False), st.integers(0, 30))
def test_reading_is_exact_or_refused_never_rounded(value: Decimal, decimals: int) -> None:
    exact = Fraction(value) * 10**decimals
    if exact.denominator == 1 and not value.is_signed():
        assert parse_amount(str(value), decimals) == exact
    else:
        with pytest.raises(AmountNotExact):
            parse_amount(str(value), decimals)
