"""Tables in files: written whole or not at all, and read again in pieces.

Every file is Parquet and stands in a manifest with its rows, bytes and SHA-256: a file that was cut
short, or changed, is noticed before a row of it is believed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Row = tuple[Any, ...]
Columns = dict[str, Any]
"""Name -> type of Arrow, in order."""

B20: Final = pa.binary(20)
B32: Final = pa.binary(32)
AT_ONCE: Final = 20_000
"""So many rows are in memory at once."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as its manifest knows it."""

    name: str
    rows: int
    bytes: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def fault(folder: Path, stored: Stored, *, whole: bool = True) -> str | None:
    """What is wrong with a stored file; None: nothing. `whole`: its content is looked at too."""
    path = folder / stored.name
    try:
        size = path.stat().st_size
        if size != stored.bytes:
            return (
                f"{stored.name} has {size} bytes, not {stored.bytes}: it was cut short or changed"
            )
        if whole and (found := digest(path)) != stored.sha256:
            return f"{stored.name} has the SHA-256 {found}, not {stored.sha256}: it was changed"
    except OSError as error:
        return f"{stored.name}: {error.strerror or error}"
    return None


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Writer:
    """A Parquet file that grows by rows; it is there under its name once `finish` has returned."""

    def __init__(
        self, path: Path, columns: Columns, metadata: dict[str, str] | None = None
    ) -> None:
        self.path, self._draft = path, path.with_name(path.name + ".part")
        self.schema = pa.schema(list(columns.items()), metadata=metadata)
        self._writer = pq.ParquetWriter(self._draft, self.schema, compression="zstd")
        self._rows: list[Row] = []
        self.count = 0

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= AT_ONCE:
            self._flush()

    def extend(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.add(row)

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(as_table(self._rows, self.schema))
            self.count += len(self._rows)
            self._rows = []

    def finish(self) -> Stored:
        """Writes what is left, synced. What goes wrong leaves no file behind."""
        try:
            self._flush()
            self._writer.close()
            sync(self._draft)
            stored = Stored(
                self.path.name, self.count, self._draft.stat().st_size, digest(self._draft)
            )
            self._draft.replace(self.path)
        except BaseException:
            self.drop()
            raise
        return stored

    def drop(self) -> None:
        """Leaves nothing behind."""
        try:
            self._writer.close()
        finally:
            self._draft.unlink(missing_ok=True)


def as_table(rows: Sequence[Row], schema: Any) -> Any:
    """Rows as an Arrow table."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def rows_of_table(table: Any) -> Iterator[Row]:
    """The rows of an Arrow table or record batch as tuples of Python values."""
    return zip(*map(_values, table.columns), strict=True)


def _values(column: Any) -> list[Any]:
    """Arrow makes Python's bytes of binary fifteen times faster than of binary of a fixed size."""
    if pa.types.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary())
    found: list[Any] = column.to_pylist()
    return found


def read_rows(
    path: Path,
    names: Sequence[str] | None = None,
    *,
    only: tuple[str, Sequence[str]] | None = None,
) -> Iterator[Row]:
    """The rows of a file, in order, a piece of it in memory at a time. `only`: a column, and the
    words of which one must stand there.
    """
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(AT_ONCE, columns=names):
            if only is not None:
                batch = batch.filter(pc.is_in(batch[only[0]], value_set=pa.array(only[1])))
            yield from rows_of_table(batch)


def sync(path: Path) -> None:
    """Has the disk keep what was written."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, content: object) -> None:
    """Replaces a file in one step: after a crash it is the old one or the new one."""
    with replacing(path) as draft:
        draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to be written in place of `path`: it takes its place, synced, if nothing is raised."""
    draft = path.with_name(path.name + ".part")
    try:
        yield draft
        sync(draft)
        draft.replace(path)
        sync(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
