"""A copy of a whole ledger in one file, made while the desk runs, for the same kind of database or
the other one.

Lines of JSON, compressed: first what it is, then every row, last how many rows there were and the
hash of all lines before. A file without that last line is none.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import Connection, Table, func, insert, select, text

from honorarium.errors import InputError
from honorarium.ledger.engine import Ledger
from honorarium.ledger.schema import metadata

KIND: Final = "honorarium ledger 1"
AT_ONCE: Final = 500


class BackupRefused(InputError):
    """A file that is no whole backup, or a ledger that has rows already. Nothing was changed."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} cannot be restored: {reason}; nothing was changed: take a whole backup, and "
            "restore it into a ledger that is empty"
        )


class BackupNotWritten(InputError):
    """A place where no copy can be written. What was there before still is."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"no copy can be written to {path}: {reason}; make the folder or room in it, or name "
            "another file"
        )


def backup(ledger: Ledger, path: Path, seen: Callable[[str, int], None] | None = None) -> int:
    """Copies everything, as it was at one moment, into `path`; how many rows.

    The file appears, or replaces an older one, when it is whole. `seen` is told of every table and
    its rows. Raises BackupNotWritten.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as raw:
            part.chmod(0o600)
            rows = _write(ledger, raw, seen)
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        raise BackupNotWritten(path, error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)
    return rows


def _write(ledger: Ledger, raw: IO[bytes], seen: Callable[[str, int], None] | None) -> int:
    rows = 0
    digest = hashlib.sha256()
    with ledger.read() as connection, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        if not ledger.is_sqlite:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))

        def line(value: Any) -> None:
            data = json.dumps(value, separators=(",", ":")).encode() + b"\n"
            digest.update(data)
            file.write(data)

        line({"kind": KIND, "tables": [table.name for table in metadata.sorted_tables]})
        for table in metadata.sorted_tables:
            count = 0
            for row in connection.execute(select(table)).mappings().yield_per(AT_ONCE):
                line([table.name, {name: _plain(value) for name, value in row.items()}])
                count += 1
            rows += count
            if seen:
                seen(table.name, count)
        file.write(json.dumps({"rows": rows, "sha256": digest.hexdigest()}).encode() + b"\n")
    return rows


def restore(path: Path, ledger: Ledger) -> int:
    """Brings a backup into an empty ledger; how many rows. All of it, or nothing.

    Raises BackupRefused.
    """
    _must_be_whole(path)
    ledger.set_up()
    rows = 0
    with ledger.write() as connection:
        for table in metadata.sorted_tables:
            if connection.execute(select(func.count()).select_from(table)).scalar_one():
                raise BackupRefused(path, f"the ledger has rows in {table.name}")
        for table, several in _rows(path):
            connection.execute(insert(table), several)
            rows += len(several)
        for table in metadata.sorted_tables:
            _count_on(connection, table)
    return rows


def _must_be_whole(path: Path) -> None:
    digest = hashlib.sha256()
    rows, last = -1, b""  # the first line is no row
    try:
        with gzip.open(path, "rb") as file:
            for line in file:
                if last:
                    digest.update(last)
                    rows += 1
                last = line
        found = json.loads(last or b"null")
        whole = found == {"rows": rows, "sha256": digest.hexdigest()}
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BackupRefused(path, f"it cannot be read ({error})") from None
    if not whole:
        raise BackupRefused(path, "it is cut short, or was changed")


def _rows(path: Path) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """The rows of a whole file, many of one table at a time."""
    with gzip.open(path, "rb") as file:
        head = json.loads(file.readline())
        if head.get("kind") != KIND:
            raise BackupRefused(path, f"it says it is a {head.get('kind')!r}, not a {KIND!r}")
        if unknown := set(head["tables"]) - set(metadata.tables):
            raise BackupRefused(path, f"it has tables that are not known: {sorted(unknown)}")
        name, several = "", list[dict[str, Any]]()
        for line in file:
            found = json.loads(line)
            if not isinstance(found, list):
                break
            if several and (found[0] != name or len(several) == AT_ONCE):
                yield metadata.tables[name], several
                several = []
            name = found[0]
            several.append({key: _rich(value) for key, value in found[1].items()})
        if several:
            yield metadata.tables[name], several


def _plain(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _rich(value: Any) -> Any:
    if isinstance(value, Mapping) and value.keys() == {"hex"}:
        return bytes.fromhex(value["hex"])
    return value


def _count_on(connection: Connection, table: Table) -> None:
    """On PostgreSQL, columns that count by themselves go on behind what was restored."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    connection.execute(
        text(
            f"SELECT setval(s, (SELECT max({column.name}) FROM {table.name})) "  # our own names
            "FROM pg_get_serial_sequence(:table, :column) AS s "
            f"WHERE s IS NOT NULL AND EXISTS (SELECT 1 FROM {table.name})"
        ),
        {"table": table.name, "column": column.name},
    )
