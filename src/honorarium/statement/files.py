"""A statement as files in a folder: all of them, or an error."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from honorarium.statement.errors import StatementNotWritten
from honorarium.statement.ledger import as_beancount
from honorarium.statement.paper import as_pdf
from honorarium.statement.sheets import as_json, entries_csv, quarters_csv
from honorarium.statement.statement import Statement
from honorarium.wholefile import put_whole

FILES: Final = (
    *("statement.pdf", "entries.csv", "quarters.csv", "statement.beancount"),
    "statement.json",
)
"""What `write` writes."""


def write(statement: Statement, folder: Path, *, font: Path | None = None) -> list[Path]:
    """Writes every form; each file is whole or as it was before.

    Raises StatementNotWritten, GlyphsMissing, FontUnusable; before anything is written, if it can
    be known.
    """
    made = {
        "statement.pdf": as_pdf(statement, font=font),
        "entries.csv": entries_csv(statement).encode(),
        "quarters.csv": quarters_csv(statement).encode(),
        "statement.beancount": as_beancount(statement).encode(),
        "statement.json": as_json(statement).encode(),
    }
    try:
        # What somebody earned is nobody else's business.
        return [put_whole(folder / name, made[name], mode=0o600) for name in FILES]
    except OSError as error:
        raise StatementNotWritten(folder, error.strerror or str(error)) from error
