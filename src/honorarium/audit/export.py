"""What an audit found, as tables for machines: JSON Lines, CSV and Parquet.

    export.json       which chain, up to which block; every file with its rows, bytes and SHA-256
    sessions.jsonl    sessions.csv   sessions.parquet
    settlements...    tips...   ratings...   balances...   findings...

export.json is removed first and written last: where it stands, the export is complete.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final, Protocol, Self

import pyarrow as pa
from eth_utils.address import to_checksum_address

from honorarium.audit.errors import ExportNotWritten, ExportUnusable
from honorarium.audit.facts import Finding
from honorarium.audit.judge import Verdict
from honorarium.audit.rows import (
    ANY_AMOUNT,
    BALANCES,
    FINDINGS,
    RATINGS,
    SESSIONS,
    SETTLEMENTS,
    TIPS,
)
from honorarium.audit.tables import (
    Columns,
    Row,
    Stored,
    Writer,
    digest,
    fault,
    read_rows,
    sync,
    write_json,
)

FILE: Final = "export.json"
FORMATS: Final = ("jsonl", "csv", "parquet")
TABLES: Final[dict[str, Columns]] = {
    "sessions": SESSIONS,
    "settlements": SETTLEMENTS,
    "tips": TIPS,
    "ratings": RATINGS,
    "balances": BALANCES,
    "findings": FINDINGS,
}


def write_export(verdict: Verdict, folder: Path, formats: Iterable[str] = FORMATS) -> Path:
    """Writes every table in these formats, whole or not at all; returns export.json's path.

    Raises ExportNotWritten; then there is no export.json.
    """
    place = verdict.place
    about: dict[str, Any] = {
        "chain_id": place.domain.chain_id,
        "escrow": _address(place.domain.contract),
        "tip_jar": _address(place.tip_jar),
        "first_block": place.first,
        "last_block": place.last,
        "ok": verdict.ok,
    }
    sources: dict[str, Callable[[], Iterable[Row]]] = {
        **verdict.tables,
        "findings": lambda: map(finding_row, [*verdict.findings, *verdict.looks]),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        tables = {
            name: _write(folder, name, columns, sources[name](), tuple(formats))
            for name, columns in TABLES.items()
        }
        sync(folder)
        write_json(folder / FILE, {**about, "tables": tables})
    except (OSError, pa.ArrowException) as error:
        raise ExportNotWritten(folder, str(error)) from error
    return folder / FILE


def read_export(folder: Path) -> dict[str, Any]:
    """What export.json says of a complete export; every file is looked at. Raises ExportUnusable.

    `rows_of_export` gives the rows.
    """
    try:
        about: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        for name in TABLES:
            files = {fmt: Stored(**each) for fmt, each in about["tables"][name].items()}
            for stored in files.values():
                if (reason := fault(folder, stored)) is not None:
                    raise ExportUnusable(folder, reason)
            if len({stored.rows for stored in files.values()}) > 1:
                raise ExportUnusable(folder, f"the files of {name} have different numbers of rows")
    except FileNotFoundError:
        raise ExportUnusable(folder, f"there is no {FILE}: it was not finished") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportUnusable(folder, f"{FILE} is not readable ({error})") from error
    return about


def rows_of_export(folder: Path, table: str) -> Iterator[Row]:
    """The rows of a table of a complete export, out of its Parquet file. Raises ExportUnusable."""
    files = read_export(folder)["tables"][table]
    if "parquet" not in files:
        raise ExportUnusable(folder, f"{table} was not exported as Parquet")
    return read_rows(folder / files["parquet"]["name"])


def finding_row(finding: Finding) -> Row:
    """A finding as a row of `rows.FINDINGS`."""
    return (
        finding.severity.value,
        finding.rule,
        finding.session,
        finding.expected,
        finding.found,
        finding.about,
        finding.block,
        finding.log,
        finding.tx_hash,
        finding.token,
    )


# ---------------------------------------------------------------------- writing


def _write(
    folder: Path, name: str, columns: Columns, rows: Iterable[Row], formats: tuple[str, ...]
) -> dict[str, Any]:
    with ExitStack() as stack:
        sinks: dict[str, _Sink] = {
            each: stack.enter_context(_SINKS[each](folder / f"{name}.{each}", columns))
            for each in formats
        }
        for row in rows:
            for sink in sinks.values():
                sink.add(row)
        return {each: sink.finish().as_json() for each, sink in sinks.items()}


class _Sink(Protocol):
    """Takes rows, and gives a file once it is finished; else none."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def add(self, row: Row) -> None: ...

    def finish(self) -> Stored: ...


class _Text:
    """A text file, row by row, in a draft that takes its place when it is finished."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path, self._draft = path, path.with_name(path.name + ".part")
        self._show = [_shower(kind) for kind in columns.values()]
        self._names, self._count = list(columns), 0
        self._file: IO[str] = self._draft.open("w", encoding="utf-8", newline="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        finally:
            self._draft.unlink(missing_ok=True)

    def shown(self, row: Row) -> list[Any]:
        self._count += 1
        return [show(value) for show, value in zip(self._show, row, strict=True)]

    def finish(self) -> Stored:
        self._file.close()
        sync(self._draft)
        stored = Stored(
            self._path.name, self._count, self._draft.stat().st_size, digest(self._draft)
        )
        self._draft.replace(self._path)
        return stored


class _JsonLines(_Text):
    def add(self, row: Row) -> None:
        line = dict(zip(self._names, self.shown(row), strict=True))
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")


class _Csv(_Text):
    def __init__(self, path: Path, columns: Columns) -> None:
        super().__init__(path, columns)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(self._names)

    def add(self, row: Row) -> None:
        shown = self.shown(row)
        self._writer.writerow(
            ["" if v is None else str(v).lower() if v is True or v is False else v for v in shown]
        )


class _Parquet(Writer):
    def __init__(self, path: Path, columns: Columns) -> None:
        super().__init__(path, columns)
        self._texts = [at for at, kind in enumerate(columns.values()) if kind == ANY_AMOUNT]

    def add(self, row: Row) -> None:
        if self._texts:
            shown = list(row)
            for at in self._texts:
                shown[at] = str(row[at])
            row = tuple(shown)
        super().add(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()


_SINKS: Final[dict[str, Callable[[Path, Columns], _Sink]]] = {
    "jsonl": _JsonLines,
    "csv": _Csv,
    "parquet": _Parquet,
}


def _shower(kind: Any) -> Callable[[Any], Any]:
    """How a value of an Arrow type stands in text; amounts are whole numbers, however large."""
    if kind == pa.binary(20):
        return lambda value: None if value is None else _address(value)
    if kind == pa.binary(32):
        return lambda value: None if value is None else "0x" + value.hex()
    return lambda value: value


@lru_cache(maxsize=65_536)
def _address(value: bytes) -> str:
    return to_checksum_address(value)
