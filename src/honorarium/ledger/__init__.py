"""The desk's durable store: vouchers, journals and what the desk has to do, on SQL databases."""

from honorarium.ledger.engine import Ledger, LedgerTooNew, LedgerUnusable

__all__ = ["Ledger", "LedgerTooNew", "LedgerUnusable"]
