"""The desk's durable store: vouchers, journals and what the desk has to do, on SQL databases."""

# Their tables belong to every ledger.
from honorarium.ledger import (  # noqa: F401
    accounts,
    advisors,
    answers,
    asks,
    blocks,
    events,
    outbox,
    settling,
    spending,
)
from honorarium.ledger.engine import Ledger, LedgerTooNew, LedgerUnusable

__all__ = ["Ledger", "LedgerTooNew", "LedgerUnusable"]
