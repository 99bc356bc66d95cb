"""The audit reads calldata by itself, as leniently as the contract."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honorarium.audit.calldata import (
    AnswerRow,
    Authorized,
    CloseRow,
    OpenRow,
    RateRow,
    VoucherRow,
    rows_of,
    vouchers_of,
)
from honorarium.chain import ClosingRow, OpeningRow, Settlement, calls
from honorarium.ids import ZERO_HASH, Hash
from honorarium.protocol.keys import Key
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.units import BaseUnits, UnixTime
from protocol_values import hashes, terms, uint

signatures = st.binary(max_size=200)
METER = Key.from_bytes(b"\x07" * 32)


@settings(max_examples=25, deadline=None)
@given(terms, uint(80), signatures, signatures, signatures, uint(256), uint(256))
def test_every_way_to_open_is_read_as_it_was_written(
    agreed: Terms, deposit: int, one: bytes, two: bytes, three: bytes, after: int, before: int
) -> None:
    row = OpeningRow(agreed, BaseUnits(deposit), one, two, three)
    assert rows_of(calls.open(agreed, deposit, one, two)) == [
        OpenRow(agreed, deposit, one, two, None)
    ]
    data = calls.open_with_authorization(agreed, deposit, after, before, three, one, two)
    paid = Authorized(after, before, three)
    assert rows_of(data) == [OpenRow(agreed, deposit, one, two, paid)]
    expected = OpenRow(agreed, deposit, one, two, three)
    assert rows_of(calls.open_from_balance(row)) == [expected]
    assert rows_of(calls.open_batch([row, row])) == [expected, expected]


@settings(max_examples=25, deadline=None)
@given(terms, uint(32), uint(40), signatures, uint(8), hashes)
def test_closes_ratings_and_answers_are_read_as_they_were_written(
    agreed: Terms, units: int, deadline: int, signature: bytes, score: int, hashed: Hash
) -> None:
    voucher = SignedVoucher(units, hashed, METER.sign(hashed)) if units else None
    row = ClosingRow(agreed, voucher, UnixTime(deadline), signature)
    journal = hashed if units else ZERO_HASH
    meter = voucher.signature.packed() if voucher else bytes(64)
    expected = CloseRow(agreed, units, journal, deadline, signature, signature=meter)
    assert rows_of(calls.close(agreed, voucher)) == [
        CloseRow(agreed, units, journal, 0, b"", signature=meter)
    ]
    assert rows_of(calls.close_for(row)) == [expected]
    assert rows_of(calls.close_batch([row, row, row])) == [expected] * 3
    assert rows_of(calls.finalize(agreed)) == [
        CloseRow(agreed, 0, ZERO_HASH, 0, b"", finalize=True)
    ]
    rating = calls.rate(agreed, score, hashed, signature)
    assert rows_of(rating) == [RateRow(agreed, score, hashed, signature)]
    answer = calls.answer(agreed, hashed, signature)
    assert rows_of(answer) == [AnswerRow(agreed, hashed, signature)]


@settings(max_examples=25, deadline=None)
@given(terms)
def test_other_calls_carry_no_consent_that_is_looked_for(agreed: Terms) -> None:
    assert rows_of(b"") == []
    assert rows_of(calls.withdraw(agreed.token, 1, agreed.client)) == []


@settings(max_examples=25, deadline=None)
@given(terms, uint(32), hashes)
def test_vouchers_are_read_as_they_were_written_and_out_of_closes_too(
    agreed: Terms, units: int, journal: Hash
) -> None:
    voucher = SignedVoucher(units, journal, METER.sign(journal))
    row = VoucherRow(agreed, units, journal, voucher.signature.packed())
    settlement = Settlement(agreed, voucher)
    assert rows_of(calls.settle(agreed, voucher)) == [row]
    assert rows_of(calls.settle_batch([settlement, settlement])) == [row, row]
    close = calls.close(agreed, voucher)
    assert vouchers_of(close) == rows_of(close)
    assert vouchers_of(calls.finalize(agreed)) == []


@settings(max_examples=25, deadline=None)
@given(terms, terms)
def test_a_row_of_terms_that_are_not_canonical_hides_none_of_its_neighbours(
    good: Terms, bad: Terms
) -> None:
    rows = [OpeningRow(each, BaseUnits(5), b"q") for each in (good, bad, good)]
    data = bytearray(calls.open_batch(rows))
    array = 4 + 64  # behind the selector, the array's offset and its length
    second = array + int.from_bytes(data[array + 32 : array + 64], "big")
    data[second + 63] = 1  # the lowest bits beside the payer
    assert [row.terms for row in rows_of(bytes(data))] == [good, good]


@settings(max_examples=25, deadline=None)
@given(terms, st.data())
def test_calldata_that_was_cut_short_is_no_consent_and_no_crash(
    agreed: Terms, data: st.DataObject
) -> None:
    whole = calls.open_from_balance(OpeningRow(agreed, BaseUnits(5), b"q" * 32, b"", b"p" * 32))
    assert len(rows_of(whole)) == 1
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert rows_of(whole[:cut]) == []


@pytest.mark.parametrize("offset", [2**255, 2**256 - 1, 10**6])
def test_offsets_and_counts_beyond_the_calldata_are_no_consent(offset: int) -> None:
    selector = calls.open_batch([])[:4]
    assert rows_of(selector + offset.to_bytes(32, "big")) == []
    count = (32).to_bytes(32, "big") + offset.to_bytes(32, "big")
    assert rows_of(selector + count) == []
