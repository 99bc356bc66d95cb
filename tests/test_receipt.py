"""Receipts: lines that add up, money that is conserved, contradictions that are found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import protocol_values as values
import written_log
from conftest import Place
from honorarium.advisor import Advisor
from honorarium.bill.lines import Fiat, Vat, fee_lines, half_up, tariff_words, with_places
from honorarium.chain import Contracts, Node, calls
from honorarium.client import (
    Client,
    Contact,
    ForeignRecord,
    LogContradicts,
    RateNotUsable,
    Receipt,
    SessionRevoked,
    SessionUnknown,
    TimeMissing,
    WrongDomain,
    WrongToken,
    ZoneUnknown,
)
from honorarium.errors import JournalChanged, StaleVoucher
from honorarium.ids import ZERO_HASH, Hash, SessionId
from honorarium.money import COIN, Token
from honorarium.protocol.events import (
    Answered,
    Event,
    Rated,
    RefundCredited,
    Revoked,
    RowSkipped,
    Tipped,
)
from honorarium.protocol.journal import Entry, EntryKind, Journal
from honorarium.protocol.slot import OPEN_FLAG, Slot, Status
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, BlockNumber, Bps, Seconds, UnixTime
from written_log import (
    ADVISOR,
    CLIENT,
    DOMAIN,
    ESCROW,
    ID,
    JAR,
    START,
    STRANGER,
    TARIFF,
    TERMS,
    USD,
    account,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "receipts.md"


class Log(written_log.Log):
    """With its receipt."""

    def receipt(self, token: Token = USD, journal: Journal | None = None) -> Receipt:
        return Receipt.from_log(
            self.records, self.id, self.domain, token, tip_jar=JAR, journal=journal
        )


def whole_life() -> Log:
    """Everything that can happen to a session, once."""
    log = Log().opened(6_000_000).topped_up(12_000_000, 60).settled(3, 4_400_000, 200)
    log.left(400).closed(7, 8_000_000, 500)
    log.write(RefundCredited(ID, CLIENT, BaseUnits(4_000_000)), 500, beside=True)
    log.write(Tipped(ADVISOR, CLIENT, ID, USD.address, BaseUnits(1_500_000), ZERO_HASH), 520)
    log.write(Rated(ID, CLIENT, ADVISOR, 5, ZERO_HASH), 530)
    return log.write(Answered(ID, ADVISOR, Hash(b"\x09" * 32)), 540)


# ------------------------------------------------------------------------------- what it says


def test_a_receipt_says_what_a_session_came_to() -> None:
    receipt = whole_life().receipt()
    assert not receipt.provisional
    assert (receipt.units, receipt.fee.text) == (7, "8")
    assert (receipt.platform_share.text, receipt.advisor_net.text) == ("0.2", "7.8")
    assert (receipt.deposit.text, receipt.refund.text, receipt.refund_to) == ("12", "4", "balance")
    assert (receipt.tipped.text, receipt.total.text) == ("1.5", "9.5")
    assert [(line.kind, line.quantity, line.amount) for line in receipt.lines] == [
        ("connection", None, 2_000_000),
        ("included", 1, 0),
        ("units", 2, 2_400_000),
        ("step", 4, 3_600_000),
    ]
    assert receipt.closed_at == START + 500
    assert receipt.rating is not None
    assert receipt.rating.score == 5
    assert receipt.answer_hash == Hash(b"\x09" * 32)


def test_the_transactions_are_told_in_order_each_with_all_that_it_did() -> None:
    steps = whole_life().receipt().steps
    assert [[did.text for did in step.did] for step in steps] == [
        ["Opened, with a deposit of 6.00 tUSD from the payer's wallet"],
        ["Topped up by 6.00 tUSD from the payer's wallet, to 12.00 tUSD"],
        ["Settled 3 minutes: 4.40 tUSD earned in all"],
        ["The client asked to close; the advisor may settle until 2026-01-05 14:16:40 UTC"],
        [
            "Closed with 8.00 tUSD earned; refund 4.00 tUSD",
            "The wallet did not take 4.00 tUSD: credited to the payer's balance",
        ],
        ["The client tipped the advisor 1.50 tUSD"],
        ["The client rated it 5 of 5"],
        ["The advisor answered the rating"],
    ]


def test_a_tariff_is_told_in_sentences() -> None:
    assert tariff_words(TARIFF, USD) == (
        "2.00 tUSD connection fee, due with the first minute.",
        "The first minute is included.",
        "1.20 tUSD for each started minute, up to minute 3.",
        "0.90 tUSD for each started minute from minute 4 on.",
        "No more than 10 minutes can be charged.",
        "Counting starts when the advisor answers.",
    )
    assert tariff_words(Tariff.per_interaction(5 * 10**15), COIN) == (
        "0.005 ETH for each interaction.",
        "No more than the deposit can be charged.",
    )
    odd = replace(Tariff.per_second(1), unit_seconds=Seconds(30), included_units=2, max_units=1)
    assert tariff_words(odd, USD)[:3] == (
        "The first 2 30-second units are included.",
        "0.000001 tUSD for each started 30-second unit.",
        "No more than 1 30-second unit can be charged.",
    )
    # A step that the cap never reaches is no part of what a client pays.
    assert "step" not in str(tariff_words(replace(TARIFF, max_units=3), USD))
    assert "0.90" not in str(tariff_words(replace(TARIFF, max_units=3), USD))


@pytest.mark.parametrize("closing", [False, True])
def test_a_running_session_gives_a_provisional_receipt(closing: bool) -> None:
    log = Log().opened(12_000_000).settled(3, 4_400_000, 200)
    receipt = (log.left(300) if closing else log).receipt()
    assert receipt.provisional
    assert receipt.status is (Status.CLOSING if closing else Status.OPEN)
    assert (receipt.fee.text, receipt.refund.text) == ("4.4", "7.6")
    assert receipt.grace_ends == (START + 900 if closing else None)
    page = receipt.to_html()
    assert "Provisional receipt" in page
    assert "may still change" in page
    assert ("may settle until 2026-01-05 14:15:00 UTC" in page) == closing
    assert json.loads(receipt.to_json())["provisional"] is True


def test_nobody_answered_so_nothing_is_due() -> None:
    receipt = Log().opened(12_000_000).closed(0, 0, 100).receipt()
    assert (receipt.units, receipt.lines, receipt.fee.text) == (0, (), "0")
    assert receipt.refund.text == "12"
    assert "No minute was counted, so nothing is due." in receipt.to_html()


def test_free_units_are_counted_and_cost_nothing() -> None:
    terms = replace(TERMS, tariff=replace(TARIFF, connect_fee=BaseUnits(0)))
    receipt = Log(terms).opened(12_000_000).closed(1, 0, 10).receipt()
    assert [(line.kind, line.amount) for line in receipt.lines] == [("included", 0)]


def test_a_closing_without_a_reading_leaves_the_units_that_were_settled() -> None:
    for units, earned in ((0, 4_400_000), (2, 4_400_000), (3, 4_400_000)):
        log = Log().opened(12_000_000).settled(3, 4_400_000, 200).closed(units, earned, 300)
        assert log.receipt().units == 3


def test_units_beyond_the_cap_are_shown_and_not_charged() -> None:
    lines = Log().opened(12_000_000).closed(12, TARIFF.fee(10), 900).receipt().lines
    assert (lines[-1].kind, lines[-1].quantity, lines[-1].amount) == ("cap", 2, 0)
    assert lines[-1].text == "Beyond the agreed 10 minutes, not charged"


def test_what_the_deposit_stopped_is_a_line_even_if_a_top_up_came_later() -> None:
    log = Log().opened(5_000_000).settled(5, 5_000_000, 300).topped_up(20_000_000, 310)
    receipt = log.closed(0, 5_000_000, 320).receipt()
    assert receipt.units == 5
    assert receipt.lines[-1].text == "Not charged: the deposit of 5.00 tUSD stopped it"
    assert receipt.lines[-1].amount == -1_200_000
    assert sum(line.amount for line in receipt.lines) == 5_000_000


def test_an_old_reading_can_earn_more_after_a_top_up_and_is_the_one_that_counts() -> None:
    log = Log().opened(5_000_000).settled(7, 5_000_000, 400).topped_up(20_000_000, 410)
    receipt = log.settled(5, 6_200_000, 420).receipt()
    assert (receipt.units, receipt.fee.text) == (5, "6.2")


def test_a_deposit_from_a_balance_goes_back_there() -> None:
    log = Log().opened(12_000_000, from_balance=True).closed(1, 2_000_000, 10)
    assert log.receipt().refund_to == "balance"
    wallet = Log().opened(12_000_000).closed(1, 2_000_000, 10)
    assert wallet.receipt().refund_to == "wallet"
    assert Log().opened(2_000_000).closed(1, 2_000_000, 10).receipt().refund_to == "nobody"


def test_tips_of_strangers_and_in_other_tokens_stay_out_of_the_total() -> None:
    log = Log().opened(12_000_000)
    junk = account(0x66)
    for advisor, tipper, token in (
        (ADVISOR, CLIENT, USD.address),
        (ADVISOR, CLIENT, junk),
        (ADVISOR, STRANGER, USD.address),
        (STRANGER, CLIENT, USD.address),
    ):
        log.write(Tipped(advisor, tipper, ID, token, BaseUnits(10**6), ZERO_HASH), 10)
    receipt = log.receipt()
    assert (receipt.tipped.text, len(receipt.tips), receipt.tips_of_others) == ("1", 2, 2)
    assert f"1000000 base units of token 0x{junk.hex()}" in receipt.steps[-1].did[0].text
    page = receipt.to_html()
    assert "Left out: 2 tips that name this session" in page
    assert "Tips in other tokens are not part of the total." in page


def test_other_sessions_and_skipped_rows_among_the_records_are_passed_over() -> None:
    ours, other = whole_life(), Log(replace(TERMS, salt=8)).opened(12_000_000)
    skipped = RowSkipped(3, ID, StaleVoucher(2, 1))
    noise = [replace(other.records[0], block=BlockNumber(1)), *ours.records]
    noise.insert(2, replace(noise[1], event=skipped))
    assert Receipt.from_log(noise, ID, DOMAIN, USD, tip_jar=JAR) == ours.receipt()


def test_the_journal_tells_when_the_advisor_answered_if_it_is_the_one_that_was_signed() -> None:
    journal = Journal(ID)
    journal.append(Entry(UnixTime(START + 20), EntryKind.QUEUED))
    head = journal.append(Entry(UnixTime(START + 42), EntryKind.ANSWERED))
    log = Log().opened(12_000_000).closed(1, 2_000_000, 90, head)
    journal.append(Entry(UnixTime(START + 95), EntryKind.CLOSED))  # after the reading
    assert log.receipt(journal=journal).answered_at == START + 42
    assert log.receipt().answered_at is None
    told = Journal(ID, [Entry(UnixTime(START + 2), EntryKind.ANSWERED)])
    with pytest.raises(JournalChanged, match="these 1 journal entries"):
        log.receipt(journal=told)


# ------------------------------------------------------------------------------- adding up


@given(values.tariffs, values.uint(32), values.amounts)
def test_lines_add_up_to_the_fee_whatever_the_tariff(
    tariff: Tariff, units: int, deposit: int
) -> None:
    fee = tariff.fee(units, deposit)
    lines = fee_lines(tariff, units, fee, USD)
    assert sum(line.amount for line in lines) == fee
    assert sum(line.quantity or 0 for line in lines) == units
    for line in lines:
        if line.quantity is not None:
            assert line.amount == line.quantity * (line.price or 0)


steps = st.lists(
    st.tuples(st.sampled_from(("settle", "top up")), values.uint(32), values.amounts), max_size=6
)


@given(values.tariffs, values.uint(16), values.amounts, steps, values.uint(32), st.booleans())
def test_money_is_conserved_in_every_life(
    tariff: Tariff,
    bps: int,
    deposit: int,
    life: list[tuple[str, int, int]],
    last: int,
    close: bool,
) -> None:
    terms = replace(
        TERMS, tariff=replace(tariff, unit_seconds=Seconds(0)), fee_bps=Bps(bps % 10_001)
    )
    log, earned = Log(terms).opened(deposit), 0
    for what, units, amount in life:
        if what == "top up" and amount > deposit:
            deposit = amount
            log.topped_up(deposit, 10)
        elif what == "settle" and tariff.fee(units, deposit) > earned:
            earned = tariff.fee(units, deposit)
            log.settled(units, earned, 10)
    if close:
        earned = max(earned, tariff.fee(last, deposit))
        log.closed(last, earned, 20)
    receipt = log.receipt()
    assert int(receipt.fee) == earned
    assert sum(line.amount for line in receipt.lines) == earned
    assert receipt.platform_share + receipt.advisor_net == receipt.fee
    assert int(receipt.platform_share) == earned * terms.fee_bps // 10_000
    assert receipt.refund + receipt.advisor_net + receipt.platform_share == receipt.deposit
    assert sum(funding.amount for funding in receipt.fundings) == deposit
    assert int(receipt.refund) >= 0


# ------------------------------------------------------------------------------- contradictions

Change = Callable[[Log], None]


def changed(at: int, **fields: Any) -> Change:
    """The event at this place with other fields."""

    def change(log: Log) -> None:
        record = log.records[at]
        log.records[at] = replace(record, event=replace(record.event, **fields))  # type: ignore[type-var]

    return change


def added(event: Event) -> Change:
    def change(log: Log) -> None:
        log.write(event, 600)

    return change


def again(at: int) -> Change:
    return lambda log: added(log.records[at].event)(log)


def without(*places: int) -> Change:
    def change(log: Log) -> None:
        log.records = [r for n, r in enumerate(log.records) if n not in places]

    return change


def elsewhere(at: int, **fields: Any) -> Change:
    def change(log: Log) -> None:
        log.records[at] = replace(log.records[at], **fields)

    return change


OPENED, TOPPED, SETTLED, LEFT, CLOSED, CREDITED, TIPPED, RATED, ANSWERED = range(9)
SLOT = Slot(BaseUnits(6_000_000), BaseUnits(0), UnixTime(START + 1), UnixTime(0), 0, OPEN_FLAG)


@pytest.mark.parametrize(
    ("change", "rule", "expected", "found"),
    [
        (changed(SETTLED, earned=4_400_001), "ESC-4", 4_400_000, 4_400_001),
        (changed(CLOSED, earned=7_999_999), "ESC-4", 8_000_000, 7_999_999),
        (changed(CLOSED, units=6), "ESC-4", 7_100_000, 8_000_000),
        (changed(SETTLED, units=5), "ESC-5", "at most 4", 5),  # 200 s
        (changed(CLOSED, units=8), "ESC-5", "at most 7", 8),  # 400 s until somebody left
        (changed(OPENED, slot=SLOT), "ESC-5", START, START + 1),
        (changed(TOPPED, deposit=6_000_000), "ESC-1", "above 6000000", 6_000_000),
        (without(SETTLED, TOPPED), "ESC-4", 6_000_000, 8_000_000),
        (again(OPENED), "ESC-6", "NONE", "CLOSED"),
        (again(CLOSED), "ESC-6", "none", "there"),
        (again(SETTLED), "ESC-6", "none", "there"),
        (again(LEFT), "ESC-7", "OPEN", "CLOSED"),
        (again(TOPPED), "ESC-7", "OPEN", "CLOSED"),
        (added(Revoked(ID, ADVISOR)), "ESC-6", "NONE", "CLOSED"),
        (changed(LEFT, by=STRANGER), "ESC-7", None, f"0x{STRANGER.hex()}"),
        (changed(LEFT, grace_ends=START + 999), "ESC-7", START + 1000, START + 999),
        (changed(CREDITED, refund=4_000_001), "ESC-7", 4_000_000, 4_000_001),
        (changed(CREDITED, payer=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (again(CREDITED), "ESC-6", None, None),
        (changed(RATED, score=6), "ESC-10", "1 to 5", 6),
        (changed(RATED, score=0), "ESC-10", "1 to 5", 0),
        (changed(RATED, client=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (changed(RATED, advisor=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (again(RATED), "ESC-10", 0, 5),
        (without(RATED), "ESC-10", True, False),
        (without(CLOSED, CREDITED), "ESC-10", "CLOSED", "CLOSING"),
        (again(ANSWERED), "ESC-10", 0, 1),
        (changed(ANSWERED, advisor=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (changed(OPENED, advisor=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (elsewhere(RATED, time=UnixTime(START + 501 + 30 * 86_400)), "ESC-10", None, None),
        (elsewhere(SETTLED, block=BlockNumber(1)), "log", "after (102, 1)", (1, 2)),
        (lambda log: log.records.insert(3, log.records[2]), "log", "after (103, 2)", (103, 2)),
    ],
)
def test_what_cannot_follow_is_refused_with_the_rule_and_the_numbers(
    change: Change, rule: str, expected: object, found: object
) -> None:
    log = whole_life()
    change(log)
    with pytest.raises(LogContradicts, match="collect the log again") as refused:
        log.receipt()
    error = refused.value
    assert error.rule == rule
    assert expected is None or error.expected == expected
    assert found is None or error.found == found
    assert error.slug == "log-contradicts"


def test_a_settlement_that_brings_nothing_is_no_settlement() -> None:
    log = Log().opened(12_000_000).settled(3, 4_400_000, 200).settled(3, 4_400_000, 210)
    with pytest.raises(LogContradicts, match=r"^ESC-2: .* must be above 4400000"):
        log.receipt()


def test_a_rating_of_nothing_earned_is_refused() -> None:
    log = Log().opened(12_000_000).closed(0, 0, 20)
    log.write(Rated(ID, CLIENT, ADVISOR, 5, ZERO_HASH), 30)
    with pytest.raises(LogContradicts, match=r"^ESC-10"):
        log.receipt()


def test_a_refund_into_a_balance_is_not_credited_twice() -> None:
    log = Log().opened(12_000_000, from_balance=True).closed(0, 0, 20)
    log.write(RefundCredited(ID, CLIENT, BaseUnits(12_000_000)), 20, beside=True)
    with pytest.raises(LogContradicts, match=r"^ESC-6"):
        log.receipt()


def test_a_session_that_is_not_in_the_log_is_unknown() -> None:
    for records in ([], whole_life().records[1:]):
        with pytest.raises(SessionUnknown, match="from an earlier block on") as unknown:
            Receipt.from_log(records, ID, DOMAIN, USD, tip_jar=JAR)
        assert unknown.value.session_id == ID
    with pytest.raises(SessionUnknown, match="9 records read"):
        Receipt.from_log(whole_life().records, SessionId(bytes(32)), DOMAIN, USD, tip_jar=JAR)


def test_a_revoked_quote_has_no_receipt_and_says_who_revoked_it() -> None:
    with pytest.raises(SessionRevoked, match="nothing was paid") as revoked:
        Log().write(Revoked(ID, ADVISOR), 5).receipt()
    assert (revoked.value.by, revoked.value.at) == (ADVISOR, START + 5)
    with pytest.raises(LogContradicts, match=r"^ESC-6"):
        Log().write(Revoked(ID, ADVISOR), 5).opened(12_000_000, at=6).receipt()


@pytest.mark.parametrize("domain", [Domain(1, ESCROW), Domain(1337, ESCROW, version="2")])
def test_the_session_id_is_computed_from_the_terms(domain: Domain) -> None:
    with pytest.raises(WrongDomain) as wrong:
        Receipt.from_log(whole_life().records, ID, domain, USD, tip_jar=JAR)
    assert wrong.value.computed == TERMS.session_id(domain)
    log = whole_life()
    changed(OPENED, terms=replace(TERMS, salt=8))(log)
    with pytest.raises(WrongDomain):
        log.receipt()


def test_another_token_than_the_terms_name_is_refused() -> None:
    with pytest.raises(WrongToken, match="decimals of that token"):
        whole_life().receipt(token=COIN)


def test_records_of_other_contracts_are_refused() -> None:
    log = whole_life()
    log.records[SETTLED] = replace(log.records[SETTLED], address=STRANGER)
    with pytest.raises(ForeignRecord, match="wrote a Settled of this session"):
        log.receipt()
    with pytest.raises(ForeignRecord, match="no tip jar was named"):
        Receipt.from_log(whole_life().records, ID, DOMAIN, USD)
    no_tips = [r for r in whole_life().records if not isinstance(r.event, Tipped)]
    assert not Receipt.from_log(no_tips, ID, DOMAIN, USD).tipped


@pytest.mark.parametrize("time", [0, -1, 2**40])
def test_records_without_a_time_are_refused(time: int) -> None:
    log = whole_life()
    log.records[0] = replace(log.records[0], time=UnixTime(time))
    with pytest.raises(TimeMissing, match="times=True"):
        log.receipt()


# ------------------------------------------------------------------------------- VAT and fiat


@pytest.mark.parametrize(
    ("percent", "gross", "net", "vat"),
    [
        ("100", 1, 1, 0),  # half a base unit of net goes up, never to even: 0.5 -> 1
        ("100", 3, 2, 1),  # 1.5 -> 2
        ("100", 5, 3, 2),  # 2.5 -> 3; half even would say 2
        ("60", 4, 3, 1),  # 2.5 again, by another rate
        ("19", 119, 100, 19),
        ("19", 8_000_000, 6_722_689, 1_277_311),
        ("8.1", 8_000_000, 7_400_555, 599_445),
        (Decimal("20.0"), 6, 5, 1),
        (7, 107, 100, 7),
        ("0", 8_000_000, 8_000_000, 0),
    ],
)
def test_vat_is_contained_in_the_fee_and_its_net_is_rounded_half_up(
    percent: str | Decimal | int, gross: int, net: int, vat: int
) -> None:
    assert Vat.of(percent).split(gross) == (net, vat)


@given(st.integers(1_000_000, 100_000_000), st.integers(0, 2**80))
def test_net_and_vat_add_up_and_are_nearest(millionths: int, gross: int) -> None:
    percent = Decimal(millionths).scaleb(-6)
    net, vat = Vat.of(percent).split(gross)
    assert net + vat == gross
    exact = Fraction(gross) / (1 + Fraction(percent) / 100)
    assert -Fraction(1, 2) < net - exact <= Fraction(1, 2) or net - exact == Fraction(1, 2)


@pytest.mark.parametrize(
    ("rate", "base_units", "currency", "minor"),
    [
        ("0.5", 10_000, "EUR", 1),  # 0.005 -> 0.01
        ("0.5", 50_000, "EUR", 3),  # 0.025 -> 0.03; half even would say 0.02
        ("0.5", 49_999, "EUR", 2),
        ("150.5", 1_000_000, "JPY", 151),  # no decimals: 150.5 -> 151
        ("0.3075", 1_000_000, "KWD", 308),  # three: 0.3075 -> 0.308
        (Decimal("0.9213"), 8_000_000, "EUR", 737),
        (2, 8_000_000, "EUR", 1600),
    ],
)
def test_money_in_another_currency_is_rounded_half_up_to_its_own_decimals(
    rate: str | Decimal | int, base_units: int, currency: str, minor: int
) -> None:
    assert Fiat.of(currency, rate, "2026-01-05", "ECB").value(base_units, USD) == minor


@given(st.fractions(min_value=0, max_value=10**30))
def test_half_up_is_the_nearest_and_of_two_the_larger(value: Fraction) -> None:
    assert half_up(value) - Fraction(1, 2) <= value < half_up(value) + Fraction(1, 2)


@pytest.mark.parametrize(
    "percent",
    [19.0, 0.19, "0.19", True, None, "-1", "101", "nan", "1e1", "19 %", "", "1.0000001",
     Decimal("NaN"), Decimal("-0"), Decimal("1E+999999999"), "\uff11\uff19"],
)  # fmt: skip
def test_a_vat_rate_is_percents_and_exact(percent: Any) -> None:
    with pytest.raises(RateNotUsable):
        whole_life().receipt().with_vat(percent)


@pytest.mark.parametrize(
    ("currency", "rate", "on", "source"),
    [
        ("EUR", 0.92, "2026-01-05", "ECB"),
        ("EUR", "0", "2026-01-05", "ECB"),
        ("EUR", "-1", "2026-01-05", "ECB"),
        ("EUR", "0,92", "2026-01-05", "ECB"),
        ("eur", "0.92", "2026-01-05", "ECB"),
        ("EURO", "0.92", "2026-01-05", "ECB"),
        ("EUR", "0.92", "5.1.2026", "ECB"),
        ("EUR", "0.92", 1_767_621_600, "ECB"),
        ("EUR", "0.92", "2026-01-05", "  "),
    ],
)
def test_an_exchange_rate_names_currency_day_and_source(
    currency: str, rate: Any, on: Any, source: str
) -> None:
    with pytest.raises(RateNotUsable, match="is no usable"):
        whole_life().receipt().with_fiat(currency, rate, on, source)


def test_the_fiat_parts_add_up_on_the_page_and_in_the_file() -> None:
    receipt = whole_life().receipt().with_vat("19").with_fiat("EUR", "0.9213", "2026-01-05", "ECB")
    assert receipt.to_dict()["fiat"] == {
        "currency": "EUR",
        "rate": "0.9213",
        "on": "2026-01-05",
        "source": "ECB",
        "rounding": "half-up",
        "fee": "7.37",
        "tips": "1.38",
        "total": "8.75",
        "fee_net": "6.19",
        "fee_vat": "1.18",
    }
    text = shown(receipt.to_html())
    for amount in ("6.19", "1.18", "7.37", "1.38", "8.75"):
        assert amount in text


def test_a_zone_shows_local_times_beside_utc() -> None:
    receipt = whole_life().receipt().with_zone("Europe/Zurich")
    assert receipt.to_dict()["times"]["opened"] == {
        "unix": START,
        "utc": "2026-01-05T14:00:00Z",
        "local": "2026-01-05T15:00:00+01:00",
    }
    assert "2026-01-05 15:00:00 CET" in receipt.to_html()
    for name in ("Mars/Olympus", "../etc/passwd", "", "\0"):
        with pytest.raises(ZoneUnknown, match="IANA name"):
            receipt.with_zone(name)


# ------------------------------------------------------------------------------- the page


class Reader(HTMLParser):
    """Every tag and attribute, and the text between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def shown(page: str) -> str:
    return re.sub(r"\s+", " ", "".join(Reader(page.partition("</style>")[2]).text))


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\u202e\x00\ud800&amp;"


def test_hostile_text_is_shown_and_does_nothing() -> None:
    contact = Contact(HOSTILE, HOSTILE, (HOSTILE,))
    receipt = whole_life().receipt(replace(USD, symbol=HOSTILE))
    receipt = receipt.with_vat("19", note=HOSTILE).with_contacts(seller=contact, buyer=contact)
    page = receipt.with_fiat("EUR", "1", "2026-01-05", HOSTILE).to_html()
    read = Reader(page)
    assert "script" not in read.tags
    assert "img" not in read.tags
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in shown(page)
    assert "{{ 7*7 }}" in shown(page)
    assert "&amp;" in shown(page)  # escaped once, so it reads as it was written
    for char in "\u202e\x00\ud800":
        assert char not in page
    page.encode("utf-8")
    assert json.loads(receipt.to_json())["token"]["symbol"] == HOSTILE


def test_the_page_needs_nothing_from_anywhere() -> None:
    page = whole_life().receipt().to_html()
    read = Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "form", "a"} & set(read.tags)
    assert not [v for name, v in read.attributes if name in ("src", "href", "srcset", "action")]
    assert "url(" not in page
    assert "@import" not in page
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes


def test_the_page_says_what_counts() -> None:
    text = shown(whole_life().receipt().to_html())
    for said in (
        "7 minutes of advice, 5 January 2026",
        "9.50 tUSD",
        "2 \u00d7 1.20",
        "2.5 % of the fee",
        "Refund to the payer\u2019s balance",
        "5 of 5, by the client; the advisor answered",
        "0x" + ID.hex(),
        "on chain 1337",
        "nobody signed an amount",
    ):
        assert said in text, said


def test_a_sponsor_is_named_as_the_one_who_paid() -> None:
    sponsored = Log(replace(TERMS, payer=STRANGER)).opened(12_000_000)
    assert "Paid by 0x0505" in shown(sponsored.receipt().to_html())
    assert "Paid by" not in shown(whole_life().receipt().to_html())


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (0, 6, "0.00"),
        (1_234_567_000_000, 6, "1,234,567.00"),
        (1, 18, "0.000000000000000001"),
        (-1_500_000, 6, "-1.50"),
        (1500, 0, "1,500"),
        (15, 1, "1.5"),
    ],
)
def test_amounts_are_written_exactly_and_with_two_places_where_there_are_two(
    amount: int, decimals: int, text: str
) -> None:
    assert with_places(amount, decimals) == text


# ------------------------------------------------------------------------------- the file


def money(base_units: int, decimal: str) -> dict[str, str]:
    return {"base_units": str(base_units), "decimal": decimal}


def time(unix: int, utc: str) -> dict[str, object]:
    return {"unix": unix, "utc": utc, "local": None}


def test_the_file_is_in_the_form_that_its_version_names() -> None:
    log = Log().opened(6_000_000).closed(3, 4_400_000, 150)
    receipt = log.receipt().with_vat("10").with_contacts(seller=Contact("Ada", "X1", ("A 1",)))
    opened, closed = time(START, "2026-01-05T14:00:00Z"), time(START + 150, "2026-01-05T14:02:30Z")
    assert receipt.to_json().endswith("}\n")
    assert json.loads(receipt.to_json()) == {
        "type": "honorarium-receipt",
        "version": 1,
        "provisional": False,
        "status": "closed",
        "session_id": "0x" + ID.hex(),
        "chain_id": 1337,
        "escrow": "0x0E0e0e0E0e0E0E0e0E0e0e0E0e0e0e0e0e0e0e0E",
        "tip_jar": "0x0f0f0F0f0f0F0F0f0F0F0F0F0F0F0f0f0F0F0F0F",
        "token": {
            "address": "0x5d5d5d5D5D5D5d5d5d5d5D5d5D5D5d5D5D5d5d5D",
            "symbol": "tUSD",
            "decimals": 6,
        },
        "parties": {
            "client": "0x0101010101010101010101010101010101010101",
            "payer": "0x0101010101010101010101010101010101010101",
            "advisor": "0x0202020202020202020202020202020202020202",
            "meter_key": "0x0404040404040404040404040404040404040404",
            "platform": "0x0303030303030303030303030303030303030303",
        },
        "tariff": {
            "connect_fee": money(2_000_000, "2"),
            "unit_price": money(1_200_000, "1.2"),
            "unit_seconds": 60,
            "included_units": 1,
            "step_units": 3,
            "step_price": money(900_000, "0.9"),
            "max_units": 10,
            "words": list(tariff_words(TARIFF, USD)),
        },
        "units": 3,
        "lines": [
            {
                "kind": "connection",
                "text": "Connection fee",
                "quantity": None,
                "price": None,
                "amount": money(2_000_000, "2"),
            },
            {
                "kind": "included",
                "text": "Included minutes, free",
                "quantity": 1,
                "price": money(0, "0"),
                "amount": money(0, "0"),
            },
            {
                "kind": "units",
                "text": "Minutes",
                "quantity": 2,
                "price": money(1_200_000, "1.2"),
                "amount": money(2_400_000, "2.4"),
            },
        ],
        "fee": money(4_400_000, "4.4"),
        "platform_bps": 250,
        "platform_share": money(110_000, "0.11"),
        "advisor_net": money(4_290_000, "4.29"),
        "deposits": [
            {
                "amount": money(6_000_000, "6"),
                "total": money(6_000_000, "6"),
                "from": "wallet",
                "time": opened,
                "transaction": "0x" + "01" * 32,
            }
        ],
        "deposit": money(6_000_000, "6"),
        "refund": money(1_600_000, "1.6"),
        "refund_to": "wallet",
        "tips": [],
        "tips_of_others": 0,
        "tipped": money(0, "0"),
        "total": money(4_400_000, "4.4"),
        "times": {
            "zone": None,
            "opened": opened,
            "answered": None,
            "closing": None,
            "grace_ends": None,
            "closed": closed,
        },
        "rating": None,
        "answer_hash": None,
        "transactions": [
            {
                "hash": "0x" + "01" * 32,
                "block": 101,
                "time": opened,
                "did": [
                    {
                        "event": "SessionOpened",
                        "text": "Opened, with a deposit of 6.00 tUSD from the payer's wallet",
                    }
                ],
            },
            {
                "hash": "0x" + "02" * 32,
                "block": 102,
                "time": closed,
                "did": [
                    {
                        "event": "SessionClosed",
                        "text": "Closed with 4.40 tUSD earned; refund 1.60 tUSD",
                    }
                ],
            },
        ],
        "seller": {"name": "Ada", "vat_id": "X1", "lines": ["A 1"]},
        "buyer": None,
        "vat": {
            "percent": "10",
            "rounding": "half-up",
            "note": "",
            "net": money(4_000_000, "4"),
            "vat": money(400_000, "0.4"),
            "gross": money(4_400_000, "4.4"),
        },
        "fiat": None,
    }


def test_no_amount_in_the_file_is_a_float() -> None:
    def leaves(found: object) -> Iterator[object]:
        if isinstance(found, dict):
            found = list(found.values())
        if isinstance(found, list):
            for each in found:
                yield from leaves(each)
        else:
            yield found

    receipt = whole_life().receipt().with_vat("8.1").with_fiat("CHF", "0.79", "2026-01-05", "SNB")
    assert not [leaf for leaf in leaves(json.loads(receipt.to_json())) if isinstance(leaf, float)]


def test_every_field_of_the_file_stands_in_its_document() -> None:
    told = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8")))

    def names(found: object) -> Iterator[str]:
        if isinstance(found, dict):
            yield from found
            found = list(found.values())
        if isinstance(found, list):
            for each in found:
                yield from names(each)

    receipt = whole_life().receipt().with_contacts(seller=Contact("Ada"))
    receipt = receipt.with_vat("19").with_fiat("EUR", "1", "2026-01-05", "ECB")
    assert set(names(receipt.to_dict())) - told == set()


# ------------------------------------------------------------------------------- a real chain


@dataclass
class Played:
    """A session that was played on a chain, with all that a receipt can show."""

    contracts: Contracts
    session: Any


@pytest.fixture
def played(place: Place) -> Iterator[Played]:
    with Node(place.chain.url) as node:
        contracts = Contracts.attach(node, place.manifest)
        people = [place.key("client"), place.key("advisor")]
        minted = calls.mint_batch([key.address for key in people], [10**10] * 2)
        contracts.sender(place.key("operator")).transact(contracts.default_token(), minted)
        client, advisor = Client(contracts, people[0]), Advisor(contracts, people[1])

        def wait(seconds: int) -> UnixTime:
            node.set_time(UnixTime(contracts.now() + seconds))
            node.request("evm_mine")
            return contracts.now()

        quote = advisor.quote(
            client.address,
            client.meter_key.address,
            TARIFF,
            platform=place.key("platform").address,
            platform_bps=250,
        )
        session = client.open(quote, deposit=6_000_000)
        session.meter.answer(at=session.opened_at)
        advisor.settle(session.terms, session.meter.read(at=wait(150)))
        client.top_up(session, 12_000_000)
        advisor.close(session.terms, session.meter.read(at=wait(220)))
        client.tip(session, 1_500_000)
        client.rate(session.terms, 5)
        advisor.answer(session.terms, Hash(b"\x09" * 32))
        yield Played(contracts, session)


def test_a_session_on_a_chain_gives_the_receipt_that_the_document_shows(
    played: Played,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"contracts": played.contracts, "session": played.session}
    exec(code, names)  # what the document shows must run as it stands there
    receipt: Receipt = names["receipt"]
    promised = [line.strip() for line in re.findall(r"print\(.*?\)\s+# (.*)", code)]
    assert capsys.readouterr().out.splitlines() == promised

    assert (receipt.units, int(receipt.fee)) == (7, TARIFF.fee(7))
    assert sum(line.amount for line in receipt.lines) == int(receipt.fee)
    held = played.contracts.node.read(
        calls.session(played.contracts.escrow.contract, played.session.id)
    )
    assert (held.earned, held.deposit, held.score) == (int(receipt.fee), int(receipt.deposit), 5)
    assert receipt.answered_at == played.session.opened_at
    assert [step.did[0].event for step in receipt.steps] == [
        "SessionOpened",
        "Settled",
        "ToppedUp",
        "SessionClosed",
        "Tipped",
        "Rated",
        "Answered",
    ]
    assert (tmp_path / "receipt.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((tmp_path / "receipt.json").read_text())["units"] == receipt.units
