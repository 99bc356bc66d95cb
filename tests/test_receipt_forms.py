"""Receipts in other money, as a page, and as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.bill.lines import Fiat, Vat, half_up, tariff_words, with_places
from honorarium.client import (
    Contact,
    RateNotUsable,
    ZoneUnknown,
)
from receipts import Log, whole_life
from written_log import (
    ID,
    START,
    STRANGER,
    TARIFF,
    TERMS,
    USD,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "receipts.md"


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
