"""A statement as files in a folder: all of them, or an error."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from honorarium.statement.errors import StatementNotWritten
from honorarium.statement.ledger import as_beancount
from honorarium.statement.paper import as_pdf
from honorarium.statement.sheets import as_json, entries_csv, quarters_csv
from honorarium.statement.statement import Statement

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
        folder.mkdir(parents=True, exist_ok=True)
        return [_put(folder / name, made[name]) for name in FILES]
    except OSError as error:
        raise StatementNotWritten(folder, error.strerror or str(error)) from error


def _put(path: Path, data: bytes) -> Path:
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(0o600)  # what somebody earned is nobody else's business
        return Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
