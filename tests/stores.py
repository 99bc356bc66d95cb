"""An outbox wherever it may lie: a file of its own, or a ledger on SQLite or PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from honorarium.chain import Outbox
from honorarium.ids import Address
from honorarium.ledger import Ledger
from honorarium.ledger.outbox import LedgerStore

CHAIN = "1337-test"


def open_outbox(where: str, account: Address) -> Outbox:
    """The account's outbox in a file, or in the ledger at an address."""
    if "://" not in where:
        return Outbox(Path(where))
    ledger = Ledger(where)
    ledger.set_up()  # several processes may do it at once
    return Outbox(LedgerStore(ledger, account, CHAIN))
