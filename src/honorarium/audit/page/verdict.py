"""The page of a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from honorarium.audit.judge import RULES, Verdict
from honorarium.audit.page.model import ReportModel, TokenNamed, TokenSum, model_of
from honorarium.audit.page.page import as_html
from honorarium.audit.records import (
    TipMade,
)
from honorarium.audit.report import ReportNotWritten
from honorarium.audit.rows import SessionRow
from honorarium.bill.text import checksummed
from honorarium.ids import Address
from honorarium.wholefile import put_whole

FILE: Final = "report.html"


def report_model(verdict: Verdict, symbols: Mapping[Address, str] | None = None) -> ReportModel:
    """What the page of a verdict says; the rows of its tables are read once.

    `symbols`: how tokens call themselves; one without is shown by its address.
    """
    tokens = [
        TokenSum(
            token=_named(verdict, address, symbols or {}),
            deposits=sums.deposits,
            fees=sums.fees,
            platform=sums.platform_fees,
            refunds=sums.refunds,
            open=sums.open,
            tips=sums.tips,
            surplus=verdict.surplus.get(address, 0),
        )
        for address, sums in verdict.sums.items()
    ]
    return model_of(
        ok=verdict.ok,
        place=verdict.place,
        rules=RULES,
        counts=verdict.counts,
        unproven=asdict(verdict.unproven),
        tokens=sorted(tokens, key=lambda each: (-each.deposits, each.token.address)),
        sessions=(SessionRow._make(row) for row in verdict.tables["sessions"]()),
        tips=(TipMade._make(row) for row in verdict.tables["tips"]()),
        findings=verdict.findings,
        looks=verdict.looks,
    )


def write_page(
    verdict: Verdict, directory: Path, symbols: Mapping[Address, str] | None = None
) -> Path:
    """Writes `report.html` whole or not at all. Raises ReportNotWritten."""
    page = as_html(report_model(verdict, symbols))
    try:
        return put_whole(directory / FILE, page.encode())
    except OSError as error:
        raise ReportNotWritten(directory, error.strerror or str(error)) from error


def _named(verdict: Verdict, address: Address, symbols: Mapping[Address, str]) -> TokenNamed:
    known = verdict.tokens.get(address)
    symbol = symbols.get(address) or f"{checksummed(address)[:10]}\u2026"
    return TokenNamed(address, symbol, known.decimals if known else None)
