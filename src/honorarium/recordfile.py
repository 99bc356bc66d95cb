"""An append-only file of records, for what must survive a crash before anybody is told of it.

Every record is a line of JSON that ends in `check`: 32 hex digits of the SHA-256 of the check
before and of its own line. What was changed, left out or moved is found. That guards against
accidents and careless hands, not against the file's owner, who can write another one. A file that
was put back from an older copy looks whole too: never do that with one that something was signed
from.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from honorarium.errors import InputError
from honorarium.onfailure import OnFailure

Record = Mapping[str, Any]

_LINE: Final = re.compile(rb'(\{.+),"check":"([0-9a-f]{32})"\}', re.DOTALL)


class RecordRefused(InputError):
    """A line of a record file that cannot stand there."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path, self.line, self.reason = path, line, reason
        super().__init__(
            f"line {line} of {path} cannot be used: {reason}; use the file as it was written, or "
            "keep it as evidence and sign nothing more for its session"
        )


class RecordFileBusy(InputError):
    """A record file that another process keeps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} is kept by another process; stop that one, or use it instead")


class RecordNotKept(InputError):
    """What could not be written. Nothing that depends on it was given out."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} takes no more records ({reason}), so nothing more is signed from it; mend the "
            "cause, and resume from the file"
        )


class RecordFile:
    """The records of one file, and the only right to add to it, until `release`.

    `records` is what stood there. A last line that a crash cut short is dropped: it was never
    synced, so nobody was told of it.
    """

    def __init__(self, path: Path | str) -> None:
        """Opens the file, or makes an empty one that only its owner reads.

        Raises RecordFileBusy, RecordRefused for a changed line, and OSError if it can't be opened.
        """
        self.path = Path(path)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._broken = ""
        with OnFailure(self.release):
            self._lock()
            self.records, self._size, self._check = self._read()
            self._drop_torn_line()

    def append(self, *records: Record) -> None:
        """Adds records at once; when it returns they are on the disk.

        Raises RecordNotKept if they could not be written; from then on nothing can. Of no records
        it only asks that.
        """
        if self._broken:
            raise RecordNotKept(self.path, self._broken)
        if not records:
            return
        check, lines = self._check, []
        for record in records:
            body = json.dumps(record, separators=(",", ":")).encode()[:-1]
            check = _check(check, body)
            lines.append(body + b',"check":"' + check + b'"}\n')
        data = b"".join(lines)
        try:
            written = os.pwrite(self._file, data, self._size)
            if written != len(data):
                raise OSError(f"only {written} of {len(data)} bytes were written")
            os.fsync(self._file)
        except OSError as error:
            # After a failed sync nobody knows what is on the disk; the next reader finds out.
            self._broken = str(error)
            raise RecordNotKept(self.path, self._broken) from error
        self._size += len(data)
        self._check = check

    @contextmanager
    def refusing(self, line: int) -> Iterator[None]:
        """Whatever the line's record makes fail is a RecordRefused of that line."""
        try:
            yield
        except RecordRefused:
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, InputError) as error:
            raise RecordRefused(self.path, line, str(error)) from error

    def release(self) -> None:
        """Lets go of the file; nothing can be added any more. Again does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file, self._broken = -1, "it was released"

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0:
            self.release()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordFileBusy(self.path) from None

    def _read(self) -> tuple[list[dict[str, Any]], int, bytes]:
        return _records(self.path, os.pread(self._file, os.fstat(self._file).st_size, 0))

    def _drop_torn_line(self) -> None:
        """Also ends a whole last line whose newline was cut off; what stands there is synced."""
        length = os.fstat(self._file).st_size
        if length > self._size:
            os.ftruncate(self._file, self._size)
        elif length < self._size:
            os.pwrite(self._file, b"\n", length)
        os.fsync(self._file)
        if not self._size:
            self._sync_name()

    def _sync_name(self) -> None:
        """A file whose name is not on the disk is lost, however well it was synced itself."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def records_of(path: Path | str) -> list[dict[str, Any]]:
    """The records of a file as they stand there, for who only reads: nothing is locked or mended.

    Raises RecordRefused for a changed line, and OSError if it can't be read.
    """
    return _records(Path(path), Path(path).read_bytes())[0]


def _records(path: Path, data: bytes) -> tuple[list[dict[str, Any]], int, bytes]:
    """The whole records, how many bytes they take, and the last one's check."""
    found: list[dict[str, Any]] = []
    size, check = 0, b""
    while size < len(data):
        end = data.find(b"\n", size)
        line = data[size:] if end < 0 else data[size:end]
        record, following = _parse(path, line, check, len(found) + 1, torn=end < 0)
        if record is None:
            break
        found.append(record)
        check = following
        size += len(line) + 1
    return found, size, check


def _parse(
    path: Path, line: bytes, check: bytes, number: int, *, torn: bool
) -> tuple[dict[str, Any] | None, bytes]:
    parts = _LINE.fullmatch(line)
    if parts and _check(check, parts[1]) == parts[2]:
        return _loaded(path, parts[1] + b"}", number), parts[2]
    if torn:
        return None, check
    if parts is None:
        raise RecordRefused(path, number, "it is no record")
    raise RecordRefused(
        path, number, "it was changed, or a line before it was changed, left out or moved"
    )


def _loaded(path: Path, body: bytes, number: int) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise RecordRefused(path, number, f"it is not JSON ({error})") from None
    assert isinstance(found, dict)  # it begins with a brace
    return found


def _check(before: bytes, body: bytes) -> bytes:
    return hashlib.sha256(before + body).hexdigest()[:32].encode()
