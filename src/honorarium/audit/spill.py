"""Rows sorted into buckets, in files: how facts larger than memory are taken apart.

A bucket is told by one byte of a key, a hash or an address, so buckets are about equally full.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from honorarium.audit.tables import Row, rows_of_table

GATHERED: Final = 1_000
"""So many rows are read of a bucket at once."""
PICKLED: Final = 200
"""So many rows of a file are in memory at once."""
_BYTES: Final = pa.array([bytes((each,)) for each in range(256)])


def bucket_of(key: bytes, buckets: int) -> int:
    """Which bucket a key falls into; `buckets` is a power of two up to 256."""
    return key[-1] & (buckets - 1) if key else 0


def buckets_of(keys: Any, buckets: int) -> Any:
    """The same for a column of keys of binary; of an empty key, the first bucket."""
    last = pc.binary_slice(keys.cast(pa.binary()), -1, None)
    number = pc.fill_null(pc.index_in(last, value_set=_BYTES), 0)
    return pc.bit_wise_and(number, pa.scalar(buckets - 1, pa.int32()))


def slices(table: Any, buckets: Any) -> Iterator[tuple[int, Any]]:
    """A table's rows by bucket, in their order: (bucket, part), ..."""
    numbers = pa.table({"bucket": buckets, "row": pa.array(range(table.num_rows), pa.int64())})
    order = pc.sort_indices(numbers, sort_keys=[("bucket", "ascending"), ("row", "ascending")])
    yield from runs(table.take(order), pc.take(numbers["bucket"], order))


def runs(table: Any, buckets: Any) -> Iterator[tuple[int, Any]]:
    """The same of a table that stands in the order of its buckets."""
    if not table.num_rows:
        return
    counted = pc.value_counts(buckets)
    at = 0
    for each in sorted(counted.to_pylist(), key=lambda one: int(one["values"])):
        yield each["values"], table.slice(at, each["counts"])
        at += each["counts"]


class Spread:
    """Files that grow, one for each bucket: `{name}-{bucket}-{writer}.arrow`."""

    def __init__(self, folder: Path, name: str, writer: int) -> None:
        self._folder, self._name, self._writer = folder, name, writer
        self._open: dict[int, IO[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._open.values():
            file.close()

    def add(self, bucket: int, table: Any) -> None:
        """Appends rows, in one write for all columns: Arrow's own writer takes one for each."""
        file = self._open.get(bucket)
        if file is None:
            path = _part(self._folder, self._name, bucket, self._writer)
            file = self._open[bucket] = path.open("wb")
            file.write(table.schema.serialize())
        for batch in table.to_batches():
            file.write(batch.serialize())


def read_spread(folder: Path, name: str, bucket: int, writers: int) -> Iterator[Row]:
    """The rows of a bucket, writer after writer."""
    for writer in range(writers):
        yield from read_part(folder, name, bucket, writer)


def read_part(folder: Path, name: str, bucket: int, writer: int) -> Iterator[Row]:
    """The rows of a bucket that one writer wrote."""
    path = _part(folder, name, bucket, writer)
    if path.exists():
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
            for table in _gathered(stream):
                yield from rows_of_table(table)


def _gathered(batches: Iterable[Any]) -> Iterator[Any]:
    """Small batches, put together: each costs as much as fifty rows."""
    some: list[Any] = []
    for batch in batches:
        some.append(batch)
        if sum(each.num_rows for each in some) >= GATHERED:
            yield pa.Table.from_batches(some).combine_chunks()
            some = []
    if some:
        yield pa.Table.from_batches(some).combine_chunks()


def drop_spread(folder: Path, name: str, bucket: int, writers: int) -> None:
    """Gives the room of a bucket back, once nobody reads it any more."""
    for writer in range(writers):
        _part(folder, name, bucket, writer).unlink(missing_ok=True)


def _part(folder: Path, name: str, bucket: int, writer: int) -> Path:
    return folder / f"{name}-{bucket}-{writer}.arrow"


def write_sorted(path: Path, rows: Iterable[Row], column: int, buckets: int) -> None:
    """A file that says first where the rows lie whose key, in this column, falls into each bucket:
    `read_sorted` finds them at once.

    Within a bucket the rows keep their order.
    """
    parts: list[list[Row]] = [[] for _ in range(buckets)]
    for row in rows:
        parts[row[column][-1] & (buckets - 1)].append(row)  # as `bucket_of`: no key is empty
    with path.open("wb") as file:
        file.write(bytes(8 * (buckets + 1)))
        places = [file.tell()]
        for part in parts:
            _dump(part, file)
            places.append(file.tell())
        file.seek(0)
        file.write(b"".join(place.to_bytes(8, "big") for place in places))


def read_sorted(path: Path, bucket: int) -> Iterator[Row]:
    """The rows of a bucket, a few at a time in memory. Only for files of this very run: they are
    pickles.
    """
    with path.open("rb") as file:
        file.seek(8 * bucket)
        begin, end = (int.from_bytes(file.read(8), "big") for _ in range(2))
        file.seek(begin)
        while file.tell() < end:
            yield from pickle.load(file)


def merge_sorted(
    paths: Iterable[Path], bucket: int, key: Callable[[Row], Any] | None = None
) -> Iterator[Row]:
    """The rows of a bucket out of all files in one order, in which each file has them already."""
    return merge(*(read_sorted(path, bucket) for path in paths), key=key)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Rows in their order, for `read_rows_of`."""
    with path.open("wb") as file:
        _dump(rows, file)


def read_rows_of(path: Path) -> Iterator[Row]:
    """The rows, a few at a time in memory. Only for files of this very run."""
    with path.open("rb") as file:
        while file.peek(1):
            yield from pickle.load(file)


def _dump(rows: Iterable[Row], file: IO[bytes]) -> None:
    waiting = iter(rows)
    while part := [tuple(row) for row in islice(waiting, PICKLED)]:
        pickle.dump(part, file, pickle.HIGHEST_PROTOCOL)
