"""A statement as CSV and JSON: docs/statements.md has the columns.

Amounts are whole tokens as exact decimals; text from others cannot become a formula.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any, Final

from honorarium.bill import unit_name
from honorarium.bill.text import cell, checksummed, hexed, utc
from honorarium.money import Token
from honorarium.statement.entries import Kind
from honorarium.statement.statement import Quarter, Row, Statement
from honorarium.units import format_amount

ENTRIES: Final = (
    *("date", "time", "utc", "kind", "token", "token_address", "units", "unit"),
    *("gross", "platform", "amount", "currency", "gross_worth", "platform_worth", "net_worth"),
    *("session_id", "party", "text", "block", "transaction"),
)
QUARTERS: Final = (
    *("quarter", "complete", "advisor", "name", "token", "token_address", "currency"),
    *("activities", "consideration", "of_which_tips", "fees_withheld", "taxes_withheld"),
)


def fixed(minor: int, places: int) -> str:
    """A currency's smallest units as a decimal: `1234, 2` is `12.34`."""
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(places + 1, "0")
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def entries_csv(statement: Statement) -> str:
    """A line for each entry of the period, in order."""
    return _csv(ENTRIES, (_entry(statement, row) for row in statement.rows))


def quarters_csv(statement: Statement) -> str:
    """A line for each quarter and token; in the currency if there are rates, else in the token."""
    return _csv(QUARTERS, (_quarter(statement, each) for each in statement.quarters))


def as_json(statement: Statement) -> str:
    """The whole statement for programs."""
    return json.dumps(_as_dict(statement), indent=2) + "\n"


def _entry(statement: Statement, row: Row) -> list[str]:
    entry, token, rates, worth = row.entry, row.token, statement.rates, row.worth
    places = rates.places if rates else 0
    return [
        f"{row.local:%Y-%m-%d}",
        f"{row.local:%H:%M:%S%z}",
        f"{utc(entry.time):%Y-%m-%dT%H:%M:%SZ}",
        entry.kind.value,
        cell(token.symbol),
        checksummed(token.address),
        str(entry.units) if entry.kind is Kind.FEE else "",
        unit_name(row.tariff) if row.tariff else "",
        format_amount(entry.gross, token.decimals) if entry.income else "",
        format_amount(entry.platform, token.decimals) if entry.income else "",
        format_amount(entry.amount, token.decimals),
        rates.currency if rates and worth else "",
        fixed(worth.gross, places) if worth else "",
        fixed(worth.platform, places) if worth and entry.income else "",
        fixed(worth.net, places) if worth and entry.income else "",
        hexed(entry.session) if entry.session else "",
        checksummed(entry.party) if entry.party else "",
        cell(entry.text),
        str(entry.block),
        hexed(entry.tx_hash),
    ]


def _quarter(statement: Statement, each: Quarter) -> list[str]:
    rates, token = statement.rates, each.token

    def amount(units: int, worth: int) -> str:
        return fixed(worth, rates.places) if rates else format_amount(units, token.decimals)

    return [
        each.name,
        "yes" if each.whole else "no",
        checksummed(statement.advisor),
        cell(statement.name),
        cell(token.symbol),
        checksummed(token.address),
        rates.currency if rates else "",
        str(each.activities),
        amount(each.consideration, each.worth_consideration),
        amount(each.tips, each.worth_tips),
        amount(each.fees, each.worth_fees),
        amount(0, 0),
    ]


def _csv(header: Iterable[str], lines: Iterable[list[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(header)
    writer.writerows(lines)
    return out.getvalue()


def _as_dict(statement: Statement) -> dict[str, Any]:
    period, rates = statement.period, statement.rates
    return {
        "type": "honorarium-statement",
        "version": 1,
        "advisor": checksummed(statement.advisor),
        "name": statement.name,
        "chain_id": statement.domain.chain_id,
        "escrow": checksummed(statement.domain.contract),
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "zone": period.zone.key,
        "over": statement.over,
        "currency": rates.currency if rates else None,
        "left_out": statement.left_out,
        "tokens": [_token(statement, token) for token in statement.tokens],
        "quarters": [
            dict(zip(QUARTERS, _quarter(statement, each), strict=True))
            for each in statement.quarters
        ],
        "entries": [
            {
                name: value
                for name, value in zip(ENTRIES, _entry(statement, row), strict=True)
                if value != ""
            }
            for row in statement.rows
        ],
    }


def _token(statement: Statement, token: Token) -> dict[str, Any]:
    sums, rates = statement.sums(token), statement.rates

    def money(units: int) -> str:
        return format_amount(units, token.decimals)

    found: dict[str, Any] = {
        "symbol": token.symbol,
        "address": checksummed(token.address),
        "decimals": token.decimals,
        "sessions": sums.sessions,
        "gross": money(sums.gross),
        "platform": money(sums.platform),
        "net": money(sums.net),
        "tips": money(sums.tips),
        "withdrawn": money(sums.withdrawn),
        "gas": money(sums.gas),
        "other": money(sums.other),
        "balance_before": money(statement.opening_of(token)),
        "balance_after": money(statement.closing(token)),
    }
    if rates:
        for name in ("gross", "platform", "net", "tips", "gas"):
            found[f"{name}_worth"] = fixed(getattr(sums, f"worth_{name}"), rates.places)
    return found
