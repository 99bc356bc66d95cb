"""A statement for Beancount: a file that `bean-check` accepts, and that another one can include.

Each entry is a transaction with its block time, session and hash as metadata. With rates, what was
earned is posted at its worth (`@@`), so that the income accounts also have values in the currency.
The balance at the end of the period is asserted, so whoever changes an entry is told.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Final

from honorarium.bill import counted
from honorarium.bill.text import checksummed, hexed, visible
from honorarium.money import Token
from honorarium.statement.entries import Kind
from honorarium.statement.sheets import fixed
from honorarium.statement.statement import Row, Statement
from honorarium.units import format_amount

ESCROW: Final = "Assets:Honorarium:Escrow"
WALLET: Final = "Assets:Honorarium:Wallet"
ELSEWHERE: Final = "Assets:Honorarium:Elsewhere"  # withdrawn to another account
FEES: Final = "Income:Honorarium:Fees"
TIPS: Final = "Income:Honorarium:Tips"
PLATFORM: Final = "Expenses:Honorarium:Platform"
GAS: Final = "Expenses:Honorarium:Gas"
OTHER: Final = "Equity:Honorarium:Other"
BEFORE: Final = "Equity:Honorarium:Before"

_COMMODITY: Final = re.compile(r"[A-Z][A-Z0-9'._-]{0,22}[A-Z0-9]")


def as_beancount(statement: Statement) -> str:
    """The ledger of the period."""
    return "\n".join(_lines(statement)) + "\n"


def commodities(tokens: tuple[Token, ...], taken: str = "") -> dict[Token, str]:
    """A name for each token that Beancount takes: its symbol in capitals, or of its address where
    the symbol is none, is another token's already, or is the currency's.
    """
    names: dict[Token, str] = {}
    for token in tokens:
        name = token.symbol.upper()
        if not _COMMODITY.fullmatch(name) or name in (*names.values(), taken):
            name = f"T{token.address.hex().upper()[:20]}X"
        names[token] = name
    return names


def _lines(statement: Statement) -> Iterator[str]:
    period, rates = statement.period, statement.rates
    names = commodities(statement.tokens, rates.currency if rates else "")
    yield f'option "title" {_text(f"Honorarium statement {statement.name}".strip())}'
    if rates:
        yield f'option "operating_currency" "{rates.currency}"'
        yield f'option "inferred_tolerance_default" "{rates.currency}:0.000001"'
    yield ""
    for account in (ESCROW, WALLET, ELSEWHERE, FEES, TIPS, PLATFORM, GAS, OTHER, BEFORE):
        yield f"{period.first} open {account}"
    for token in statement.tokens:
        yield ""
        yield f"{period.first} commodity {names[token]}"
        yield f"  symbol: {_text(token.symbol)}"
        yield f"  address: {_text(checksummed(token.address))}"
    for token in statement.tokens:
        if held := statement.opening_of(token):
            amount = f"{format_amount(held, token.decimals)} {names[token]}"
            yield ""
            yield f'{period.first} * "Balance before the period"'
            yield f"  {ESCROW}  {amount}"
            yield f"  {BEFORE}  -{amount}"
    for row in statement.rows:
        yield ""
        yield from _transaction(statement, row, names[row.token])
    yield ""
    after = period.last + dt.timedelta(days=1)
    for token in statement.tokens:
        amount = f"{format_amount(statement.closing(token), token.decimals)} {names[token]}"
        yield f"{after} balance {ESCROW}  {amount}"


def _transaction(statement: Statement, row: Row, name: str) -> Iterator[str]:
    entry, token, worth = row.entry, row.token, row.worth
    yield f'{row.day} * "Honorarium" {_text(_narration(row))}'
    yield f'  time: "{row.local.isoformat()}"'
    yield f'  transaction: "{hexed(entry.tx_hash)}"'
    if entry.session is not None:
        yield f'  session: "{hexed(entry.session)}"'
    if entry.party is not None:
        yield f'  party: "{checksummed(entry.party)}"'

    def post(account: str, units: int, value: int = 0) -> str:
        text = f"  {account}  {format_amount(units, token.decimals)} {name}"
        if statement.rates and worth is not None:
            value_text = fixed(value, statement.rates.places)
            text += f" @@ {value_text} {statement.rates.currency}"
        return text

    gross, platform, net = (worth.gross, worth.platform, worth.net) if worth else (0, 0, 0)
    match entry.kind:
        case Kind.FEE:
            yield post(ESCROW, entry.amount, net)
            if entry.platform:
                yield post(PLATFORM, entry.platform, platform)
            yield post(FEES, -entry.gross, gross)
        case Kind.TIP:
            yield post(WALLET, entry.amount, gross)
            yield post(TIPS, -entry.amount, gross)
        case Kind.GAS:
            yield post(GAS, -entry.amount, gross)
            yield post(WALLET, entry.amount, gross)
        case Kind.WITHDRAWAL:
            to = WALLET if entry.party == statement.advisor else ELSEWHERE
            yield post(to, -entry.amount)
            yield post(ESCROW, entry.amount)
        case Kind.OTHER:
            yield post(ESCROW, entry.amount)
            yield post(OTHER, -entry.amount)


def _narration(row: Row) -> str:
    entry = row.entry
    if entry.kind is Kind.FEE and row.tariff is not None:
        return f"Advice, {counted(entry.units, row.tariff)}"
    words = {Kind.TIP: "A tip", Kind.WITHDRAWAL: "A withdrawal", Kind.GAS: "Gas"}
    return words.get(entry.kind) or entry.text[:1].upper() + entry.text[1:]


def _text(given: str) -> str:
    clean = visible(given).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{clean}"'
