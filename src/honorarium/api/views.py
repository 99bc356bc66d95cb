"""Rows of the ledger as answers show them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from honorarium.chain.deploy import shown
from honorarium.desk.books import DeskBook
from honorarium.desk.front import document_of
from honorarium.ids import Address
from honorarium.protocol.documents import read_quote
from honorarium.protocol.records import entry_record


def session_view(row: RowMapping, book: DeskBook | None = None) -> dict[str, Any]:
    """A session; with its book, for a party: the best voucher in hand, too."""
    names = {
        "opened_at": "openedAt",
        "closing_at": "closingAt",
        "closed_at": "closedAt",
        "opened_block": "openedBlock",
        "open_before": "openBefore",
        "created_at": "createdAt",
        "changed_at": "changedAt",
        "settled_units": "settledUnits",
        "status": "status",
    }
    return {
        "session": "0x" + row["session_id"].hex(),
        **{party: shown(Address(row[party])) for party in ("advisor", "client", "payer", "token")},
        "deposit": str(row["deposit"]),
        "earned": str(row["earned"]),
        **{told: row[name] for name, told in names.items()},
        "quote": document_of(row),
        "reading": None if book is None else _reading(book),
    }


def _reading(book: DeskBook) -> dict[str, Any]:
    best = book.best
    return {
        "units": book.units,
        "fee": str(book.terms.tariff.fee(book.units, book.deposit)),
        "journal": "0x" + (best.journal.hex() if best else "00" * 32),
        "signature": "0x" + best.signature.to_bytes().hex() if best else None,
        "entries": [entry_record(entry) for entry in book.journal],
    }


def quote_view(row: RowMapping) -> dict[str, Any]:
    """A quote, and what it costs to open it."""
    terms = read_quote(row["document"])[0].terms if row["document"] else None
    capped = terms is not None and terms.tariff.max_units
    return {
        "session": "0x" + row["session_id"].hex(),
        "quote": document_of(row),
        "status": row["status"],
        "minimumDeposit": str(terms.smallest_deposit()) if terms else None,
        "fullDeposit": str(terms.whole_deposit()) if terms and capped else None,
    }
