"""Statements: sums that add up, days and quarters by a zone, rates that apply or are missing, and
forms that other programs accept.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import font_source_sans_pro
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.bill import ZoneUnknown
from honorarium.bill.text import cell
from honorarium.chain import LogRecord
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash, SessionId
from honorarium.money import COIN, Token
from honorarium.protocol.events import Deposited, Tipped, Withdrawn
from honorarium.statement import (
    FILES,
    BalanceDiffers,
    FontUnusable,
    GlyphsMissing,
    Kind,
    Paid,
    Period,
    PeriodNotUsable,
    RateMissing,
    Rates,
    RatesUnreadable,
    Statement,
    StatementNotWritten,
    as_beancount,
    as_json,
    as_pdf,
    entries_csv,
    quarters_csv,
    read_entries,
    state,
    write,
)
from honorarium.statement.sheets import ENTRIES, QUARTERS
from honorarium.units import BaseUnits, BlockNumber, Bps, UnixTime
from written_log import ADVISOR, CLIENT, DOMAIN, ID, START, STRANGER, TERMS, USD, Log

BERLIN = "Europe/Berlin"
JANUARY = Period.of("2026-01-01", "2026-01-31", BERLIN)
HOSTILE = '=HYPERLINK("http://evil","x")<script>"\u202e'


def fee(units: int) -> int:
    return TERMS.tariff.fee(units)


def a_session(salt: int = 7, *, at: int = 0, units: Sequence[int] = (4,)) -> Log:
    """Opened, settled at each of these readings but the last, with which it closes."""
    log = Log(replace(TERMS, salt=salt)).opened(20_000_000, at=at)
    for place, reading in enumerate(units, start=1):
        step = log.closed if place == len(units) else log.settled
        step(reading, fee(reading), at + place * 600)
    return log


def chained(*logs: Log) -> list[LogRecord]:
    """The records of several sessions as one chain would have them, each in its own transaction."""
    found = sorted((r for log in logs for r in log.records), key=lambda r: r.time)
    return [
        replace(r, block=BlockNumber(100 + n), index=0, tx_hash=Hash(n.to_bytes(32, "big")))
        for n, r in enumerate(found)
    ]


def tip(amount: int, token: Address = USD.address) -> Tipped:
    return Tipped(ADVISOR, CLIENT, ID, token, BaseUnits(amount), ZERO_HASH)


def january(*, rates: Rates | None = None, token: Token = USD, name: str = "") -> Statement:
    """A session in two settlements, a tip, a withdrawal, and gas."""
    log = a_session(units=(2, 9)).write(tip(1_500_000), 2000)
    log.write(Withdrawn(USD.address, ADVISOR, ADVISOR, BaseUnits(3_000_000)), 90_000)
    paid = [Paid(log.records[-1].tx_hash, 21_000 * 10**9)]
    entries = read_entries(log.records, ADVISOR, paid)
    tokens = {USD.address: token, ZERO_ADDRESS: COIN}
    return state(entries, tokens, JANUARY, DOMAIN, rates=rates, name=name)


def some_rates(*lines: str, currency: str = "EUR", zone: str = BERLIN) -> Rates:
    text = "\n".join(["time,token,currency,rate", *lines]) + "\n"
    return Rates.read(
        Path("rates.csv"), text, currency, Period.of("2026-01-01", "2026-01-01", zone).zone
    )


USD_HEX, EUROS = "0x" + USD.address.hex(), ("2026-01-05,{},EUR,0.9213", "2026-01-05,coin,EUR,2500")


def euros() -> Rates:
    return some_rates(*(line.format(USD_HEX) for line in EUROS))


# ---------------------------------------------------------------------------------- the entries


def test_each_settlement_credits_what_it_added_and_all_of_them_the_whole_fee() -> None:
    made = january()
    fees = [row.entry for row in made.rows if row.entry.kind is Kind.FEE]
    assert [entry.units for entry in fees] == [2, 7]
    assert [entry.gross for entry in fees] == [fee(2), fee(9) - fee(2)]
    whole = fee(9) * TERMS.fee_bps // 10_000  # ESC-15: rounded once, however often it was settled
    assert sum(entry.platform for entry in fees) == whole
    sums = made.sums(USD)
    assert (sums.sessions, sums.gross, sums.platform) == (1, fee(9), whole)
    assert (sums.net, sums.tips, sums.withdrawn) == (fee(9) - whole, 1_500_000, 3_000_000)
    assert made.closing(USD) == fee(9) - whole - 3_000_000
    assert made.sums(COIN).gas == 21_000 * 10**9


def test_the_balance_must_be_the_contract_s() -> None:
    entries = read_entries(a_session().records, ADVISOR)
    held = entries.balances[USD.address]
    tokens = {USD.address: USD}
    assert state(entries, tokens, JANUARY, DOMAIN, balances={USD.address: held}).rows
    with pytest.raises(BalanceDiffers) as refused:
        state(entries, tokens, JANUARY, DOMAIN, balances={USD.address: held + 1})
    assert (refused.value.by_log, refused.value.by_contract) == (held, held + 1)


def test_tokens_that_the_advisor_never_agreed_to_are_counted_and_left_out() -> None:
    log = a_session()
    log.write(tip(10**30, STRANGER), 1900)
    log.write(Deposited(STRANGER, ADVISOR, CLIENT, BaseUnits(5)), 1901)
    entries = read_entries(log.records, ADVISOR)
    assert entries.tokens == {USD.address}
    made = state(entries, {USD.address: USD}, JANUARY, DOMAIN)
    assert made.left_out == 2
    assert {row.token for row in made.rows} == {USD}


def test_what_is_not_the_account_s_makes_no_entry() -> None:
    assert not read_entries(a_session().records, STRANGER).entries
    assert not read_entries(a_session().records, CLIENT).entries  # paid from the wallet
    own = Log().opened(20_000_000, from_balance=True).closed(4, fee(4), 600)
    paid = [entry.amount for entry in read_entries(own.records, CLIENT).entries]
    assert paid == [-20_000_000, 20_000_000 - fee(4)]
    share = read_entries(own.records, TERMS.fee_recipient).entries
    assert [entry.amount for entry in share] == [fee(4) * TERMS.fee_bps // 10_000]


# ------------------------------------------------------------------------------ days, quarters


def at_local(day: str, zone: str) -> int:
    """Seconds after START."""
    return (
        int(
            dt.datetime.fromisoformat(day)
            .replace(tzinfo=Period.of("2026-01-01", "2026-01-01", zone).zone)
            .timestamp()
        )
        - START
    )


@pytest.mark.parametrize(
    ("zone", "moment", "inside"),
    [
        (BERLIN, "2026-01-31T23:59:59", True),
        (BERLIN, "2026-02-01T00:00:00", False),
        ("America/New_York", "2026-01-31T23:59:59", True),
        ("America/New_York", "2026-02-01T00:00:00", False),
        ("Pacific/Kiritimati", "2026-02-01T00:00:00", False),  # it is January 31 in Greenwich
        ("Pacific/Kiritimati", "2026-01-01T00:00:00", True),  # it is December there
    ],
)
def test_a_day_ends_exactly_at_midnight_of_the_zone(zone: str, moment: str, inside: bool) -> None:
    period = Period.of("2026-01-01", "2026-01-31", zone)
    log = a_session(at=at_local(moment, zone) - 600)
    made = state(read_entries(log.records, ADVISOR), {USD.address: USD}, period, DOMAIN)
    assert bool(made.rows) is inside
    earned = fee(4) - fee(4) * TERMS.fee_bps // 10_000
    after = moment > "2026-01-31T23:59:59"
    assert made.closing(USD) == (0 if after else earned)


def test_what_came_before_the_period_is_its_opening_balance() -> None:
    log = a_session(at=-40 * 86_400)
    made = state(read_entries(log.records, ADVISOR), {USD.address: USD}, JANUARY, DOMAIN)
    assert made.rows == ()
    assert made.opening_of(USD) == made.closing(USD) == fee(4) - fee(4) * 250 // 10_000
    assert made.tokens == (USD,)


def test_quarters_are_the_zone_s_and_say_whether_they_are_whole() -> None:
    last = at_local("2026-03-31T23:50:00", BERLIN)
    logs = [a_session(n, at=last - 600 + n * 400) for n in range(3)]  # 23:50, 23:56:40, 00:03:20
    entries = read_entries(chained(*logs), ADVISOR)
    made = state(entries, {USD.address: USD}, Period.of("2026-01-01", "2026-04-30", BERLIN), DOMAIN)
    first, second = made.quarters
    assert (first.name, first.whole, first.activities) == ("2026-Q1", True, 2)
    assert (second.name, second.whole, second.activities) == ("2026-Q2", False, 1)
    net = fee(4) - fee(4) * 250 // 10_000
    assert (first.consideration, first.fees, first.tips) == (2 * net, 2 * (fee(4) - net), 0)
    utc = state(entries, {USD.address: USD}, Period.of("2026-01-01", "2026-04-30", "UTC"), DOMAIN)
    assert [each.activities for each in utc.quarters] == [3]


def test_a_quarter_that_was_not_over_when_the_log_was_read_is_not_whole() -> None:
    log = a_session(at=at_local("2026-02-10T12:00:00", BERLIN))
    entries = read_entries(log.records, ADVISOR)
    period = Period.of("2026-01-01", "2026-03-31", BERLIN)

    def read_at(moment: str) -> Statement:
        until = UnixTime(START + at_local(moment, BERLIN))
        return state(entries, {USD.address: USD}, period, DOMAIN, until=until)

    before, after = read_at("2026-03-31T23:59:59"), read_at("2026-04-01T00:00:00")
    assert [(made.over, made.quarters[0].whole) for made in (before, after)] == [
        (False, False),
        (True, True),
    ]
    assert before.rows == after.rows
    assert "2026-Q1,no," in quarters_csv(before)
    assert "2026-Q1,yes," in quarters_csv(after)
    assert as_pdf(before) != as_pdf(after)


def test_a_session_paid_for_in_two_quarters_counts_in_each_and_tips_count_once() -> None:
    begin = at_local("2026-03-31T23:55:00", BERLIN) - 600
    log = a_session(units=(2, 4), at=begin)  # 23:55 and 00:05
    log.write(replace(tip(700), session_id=log.id), begin + 1300)
    log.write(replace(tip(300), session_id=SessionId(b"\x77" * 32)), begin + 1301)
    period = Period.of("2026-01-01", "2026-06-30", BERLIN)
    made = state(read_entries(log.records, ADVISOR), {USD.address: USD}, period, DOMAIN)
    assert [(q.name, q.activities, q.tips, q.whole) for q in made.quarters] == [
        ("2026-Q1", 1, 0, True),
        ("2026-Q2", 1, 1000, True),
    ]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-02-01", "2026-01-31"),
        ("2026-02-30", "2026-03-01"),
        ("", "now"),
        ("2026-01-01", "9999-12-31"),
    ],
)
def test_days_that_are_no_period_are_refused(first: str, last: str) -> None:
    with pytest.raises(PeriodNotUsable):
        Period.of(first, last, BERLIN)


def test_a_zone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ZoneUnknown):
        Period.of("2026-01-01", "2026-01-31", "Europe/Atlantis")


# ------------------------------------------------------------------------------------- rates


def test_the_last_rate_at_or_before_a_payment_applies_for_seven_days() -> None:
    rates = some_rates(
        f"2026-01-06T12:00:00+01:00,{USD_HEX},EUR,0.93",
        f"2026-01-05,{USD_HEX},EUR,0.92",
        f"2026-01-05,{USD_HEX},CHF,0.80",
    )
    midnight = START + at_local("2026-01-05T00:00:00", BERLIN)
    noon = START + at_local("2026-01-06T12:00:00", BERLIN)

    def rate(time: int) -> str:
        found = rates.at(USD.address, UnixTime(time))
        return "none" if found is None else str(found.rate)

    assert [rate(midnight - 1), rate(midnight)] == ["none", "0.92"]
    assert [rate(noon - 1), rate(noon)] == ["0.92", "0.93"]
    assert [rate(noon + 7 * 86_400 - 1), rate(noon + 7 * 86_400)] == ["0.93", "none"]
    assert rates.at(STRANGER, UnixTime(noon)) is None


def test_missing_rates_are_refused_with_all_that_is_missing() -> None:
    with pytest.raises(RateMissing) as refused:
        january(rates=some_rates(f"2026-01-05,{USD_HEX},EUR,0.92"))
    assert refused.value.missing == [("ETH", START + 90_000)]
    assert "ETH at 2026-01-06" in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-05,{},EUR",
        "2026-01-05,{},EUR,0.92,x",
        "2026-01-05,tUSD,EUR,0.92",
        "2026-01-05,{},euro,0.92",
        "2026-01-05,{},EUR,0,92",
        "2026-01-05,{},EUR,-0.92",
        "2026-01-05,{},EUR,1e3",
        "2026-01-05T12:00:00,{},EUR,0.92",
        "05.01.2026,{},EUR,0.92",
        "2026-01-06,{},EUR,0.92\n2026-01-06,{},EUR,0.93",
    ],
)
def test_a_line_that_is_no_rate_is_named(line: str) -> None:
    with pytest.raises(RatesUnreadable) as refused:
        some_rates(f"2026-01-04,{USD_HEX},EUR,0.9", line.format(USD_HEX, USD_HEX))
    assert refused.value.line == 3 + line.count("\n")


def test_a_file_with_another_header_or_without_the_currency_is_refused() -> None:
    with pytest.raises(RatesUnreadable, match="header"):
        Rates.read(Path("r"), "date,rate\n", "EUR", JANUARY.zone)
    with pytest.raises(RatesUnreadable, match="no rate in CHF"):
        some_rates(f"2026-01-05,{USD_HEX},EUR,0.92", currency="CHF")


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True).map(sorted),
    st.integers(1, 10**7),
    st.integers(0, 10_000),
)
def test_worths_are_rounded_payment_by_payment_and_add_up(
    units: list[int], millionths: int, bps: int
) -> None:
    terms = replace(TERMS, fee_bps=Bps(bps))
    log = Log(terms).opened(10**9)
    for place, reading in enumerate(units, start=1):
        (log.settled if place < len(units) else log.closed)(
            reading, terms.tariff.fee(reading), place * 60
        )
    rates = some_rates(f"2026-01-05,{USD_HEX},EUR,{millionths / 10**6:.6f}")
    entries = read_entries(log.records, ADVISOR)
    made = state(entries, {USD.address: USD}, JANUARY, DOMAIN, rates=rates)
    sums, rows = made.sums(USD), made.rows
    for row in rows:
        exact = row.entry.gross * millionths * 100  # of 10**-14 euros
        assert row.worth is not None
        assert abs(row.worth.gross * 10**12 - exact) * 2 <= 10**12
        assert 0 <= row.worth.platform <= row.worth.gross
    assert sums.worth_gross == sum(row.worth.gross for row in rows if row.worth)
    assert sums.worth_net + sums.worth_platform == sums.worth_gross
    assert sum(q.worth_consideration for q in made.quarters) == sums.worth_net
    lines = list(csv.DictReader(io.StringIO(entries_csv(made))))
    cents = [int(line["net_worth"].replace(".", "")) for line in lines]
    assert sum(cents) == sums.worth_net


# ------------------------------------------------------------------------------------- forms


def test_the_files_say_the_same_sums() -> None:
    made = january(rates=euros(), name="Ada")
    lines = list(csv.DictReader(io.StringIO(entries_csv(made))))
    assert [line["kind"] for line in lines] == ["fee", "fee", "tip", "gas", "withdrawal"]
    assert lines[0]["time"] == "15:10:00+0100"
    assert lines[0]["date"] == "2026-01-05"
    told = json.loads(as_json(made))
    assert len(told["entries"]) == len(lines)
    usd, coin = told["tokens"]
    assert (usd["gross"], usd["net"]) == ("9.8", "9.555")
    assert (usd["gross_worth"], usd["tips_worth"], coin["gas_worth"]) == ("9.03", "1.38", "0.05")
    quarter = next(csv.DictReader(io.StringIO(quarters_csv(made))))
    assert quarter["consideration"] == "10.19"  # 2.95 - 0.07 + 6.08 - 0.15 + 1.38
    assert (quarter["of_which_tips"], quarter["fees_withheld"]) == ("1.38", "0.22")
    assert (quarter["taxes_withheld"], quarter["complete"]) == ("0.00", "no")
    assert quarter["currency"] == "EUR"


def bean_check(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "statement.beancount"
    file.write_text(text, encoding="utf-8")
    program = Path(sys.executable).with_name("bean-check")
    return subprocess.run(
        [program, "--no-cache", file], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("with_rates", [False, True])
def test_bean_check_accepts_the_ledger_and_finds_a_changed_amount(
    with_rates: bool, tmp_path: Path
) -> None:
    hostile = replace(USD, symbol='a"\n\\b')
    made = january(rates=euros() if with_rates else None, token=hostile, name='Q"uo\\te\nd')
    text = as_beancount(made)
    done = bean_check(text, tmp_path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert text.count("Withdrawal") + text.count("withdrawal") == 1
    changed = bean_check(text.replace("Escrow  -3 ", "Escrow  -4 "), tmp_path)
    assert changed.returncode != 0


def test_two_tokens_with_one_symbol_are_two_commodities(tmp_path: Path) -> None:
    other = Token(STRANGER, "tUSD", 18)
    log = a_session().write(tip(5, STRANGER), 1900)
    tokens = {USD.address: USD, STRANGER: other}
    text = as_beancount(state(read_entries(log.records, ADVISOR), tokens, JANUARY, DOMAIN))
    names = [line.split()[2] for line in text.splitlines() if " commodity " in line]
    assert len(set(names)) == 2
    assert bean_check(text, tmp_path).returncode == 0


def test_what_others_wrote_is_no_formula() -> None:
    made = january(token=replace(USD, symbol=HOSTILE), name="=1+1")
    for text in (entries_csv(made), quarters_csv(made)):
        for line in csv.DictReader(io.StringIO(text)):
            for name, value in line.items():
                risky = value.startswith(("=", "+", "@")) or "\u202e" in value
                assert not risky, name
                assert not value.startswith("-") or value[1:].replace(".", "").isdigit()
    assert cell(" =1") == "' =1"
    assert cell("\uff1d1").startswith("'")
    assert cell("Ada") == "Ada"


def pdf_text(data: bytes) -> str:
    pages = pypdfium2.PdfDocument(data)
    return "\n".join(page.get_textpage().get_text_range() for page in pages)


def test_the_pdf_says_the_sums_in_letters_of_many_alphabets_and_is_always_the_same() -> None:
    made = january(rates=euros(), name="Žofia Müller-Ωmega Жук")
    data = as_pdf(made)
    text = pdf_text(data)
    for said in ("Žofia Müller-Ωmega Жук", "9.555", "10.19", "2026-Q1", "Europe/Berlin", "tUSD"):
        assert said in text
    assert as_pdf(made) == data


def test_many_entries_run_over_pages_with_their_heads() -> None:
    logs = [a_session(n, at=n * 700) for n in range(120)]
    made = state(read_entries(chained(*logs), ADVISOR), {USD.address: USD}, JANUARY, DOMAIN)
    text = pdf_text(as_pdf(made))
    assert text.count("Advice, 4 minutes") == 120
    assert text.count("Date and time") == len(pypdfium2.PdfDocument(as_pdf(made))) >= 4


def test_a_name_that_cannot_be_printed_is_refused_and_a_symbol_marked() -> None:
    with pytest.raises(GlyphsMissing) as refused:
        as_pdf(january(name="Ada 中"))
    assert refused.value.letters == "中"
    assert "a\u2610b" in pdf_text(as_pdf(january(token=replace(USD, symbol="a中b"))))


def test_a_font_of_the_user_s_is_used_or_refused(tmp_path: Path) -> None:
    extra = Path(font_source_sans_pro.font_directory) / "SourceSansPro-Black.ttf"
    assert as_pdf(january(), font=extra)
    nothing = tmp_path / "font.ttf"
    nothing.write_bytes(b"no font")
    for path in (nothing, tmp_path / "missing.ttf"):
        with pytest.raises(FontUnusable):
            as_pdf(january(), font=path)


def test_all_files_are_written_for_their_owner_only_or_none(tmp_path: Path) -> None:
    written = write(january(), tmp_path / "out")
    assert [path.name for path in written] == list(FILES)
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)
    with pytest.raises(GlyphsMissing):
        write(january(name="中"), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StatementNotWritten):
        write(january(), tmp_path / "file")


def test_a_period_without_anything_is_stated_too(tmp_path: Path) -> None:
    made = state(read_entries([], ADVISOR), {USD.address: USD}, JANUARY, DOMAIN)
    assert "NOTHING HAPPENED" in pdf_text(as_pdf(made))
    assert bean_check(as_beancount(made), tmp_path).returncode == 0


def test_the_page_about_statements_has_every_column() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "statements.md").read_text()
    for name, columns in (("`entries.csv`", ENTRIES), ("`quarters.csv`", QUARTERS)):
        table = page.split(f"## {name}")[1].split("\n## ")[0]
        listed = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
        assert re.findall("`([a-z_]+)`", " ".join(listed)) == list(columns)
    assert [f"`{name}`" in page for name in FILES] == [True] * len(FILES)
