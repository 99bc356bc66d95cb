"""Statements for advisors: what they earned in a period, for their books and their tax office.

    entries = read_entries(contracts.account_history(advisor), advisor)
    period = Period.of("2026-01-01", "2026-03-31", "Europe/Berlin")
    statement = state(entries, {token.address: token}, period, contracts.escrow)
    write(statement, Path("statement"))

Read in this order: entries (the log), rates, statement (days, quarters, sums); then the forms:
sheets (CSV, JSON), ledger (Beancount), paper (PDF). docs/statements.md has the formats.
"""

from honorarium.statement.entries import Entries, Entry, Kind, Paid, read_entries
from honorarium.statement.errors import (
    BalanceDiffers,
    FontUnusable,
    GlyphsMissing,
    PeriodNotUsable,
    RateMissing,
    RatesUnreadable,
    StatementNotWritten,
)
from honorarium.statement.files import FILES, write
from honorarium.statement.ledger import as_beancount
from honorarium.statement.paper import as_pdf
from honorarium.statement.rates import Rates
from honorarium.statement.sheets import as_json, entries_csv, quarters_csv
from honorarium.statement.statement import Period, Quarter, Row, Statement, Sums, state

__all__ = [
    "FILES",
    "BalanceDiffers",
    "Entries",
    "Entry",
    "FontUnusable",
    "GlyphsMissing",
    "Kind",
    "Paid",
    "Period",
    "PeriodNotUsable",
    "Quarter",
    "RateMissing",
    "Rates",
    "RatesUnreadable",
    "Row",
    "Statement",
    "StatementNotWritten",
    "Sums",
    "as_beancount",
    "as_json",
    "as_pdf",
    "entries_csv",
    "quarters_csv",
    "read_entries",
    "state",
    "write",
]
