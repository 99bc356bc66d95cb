"""Exports say in three formats the same as the verdict, and are complete or refused."""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audit_data import make_archive
from honorarium.audit import (
    Archive,
    Verdict,
    as_json,
    audit_archive,
    read_export,
    rows_of_export,
    write_export,
)
from honorarium.audit.errors import ExportNotWritten, ExportUnusable
from honorarium.audit.export import TABLES


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "archive"
    make_archive(folder, 1, jobs=1)
    return folder


@pytest.fixture(scope="module")
def verdict(sample: Path) -> Verdict:
    return audit_archive(Archive.read(sample))


@pytest.fixture(scope="module")
def export(verdict: Verdict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(verdict, tmp_path_factory.mktemp("exported") / "new").parent


def test_every_table_is_the_same_in_every_format(verdict: Verdict, export: Path) -> None:
    about = read_export(export)
    assert about["ok"] is True
    assert about["last_block"] == verdict.place.last
    for name in TABLES:
        with (export / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            from_csv = list(csv.DictReader(file))
        lines = (export / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        from_json = [json.loads(line) for line in lines]
        assert [[_text(v) for v in line.values()] for line in from_json] == [
            list(line.values()) for line in from_csv
        ]
        from_parquet = [[_text(v, hexed=True) for v in row] for row in rows_of_export(export, name)]
        assert from_parquet == [[str(v).lower() for v in line.values()] for line in from_csv]
        assert {each["rows"] for each in about["tables"][name].values()} == {len(from_csv)}


def _text(value: Any, *, hexed: bool = False) -> str:
    """A value as CSV has it."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return str(int(value))
    shown = "" if value is None else str(value)
    return shown.lower() if hexed else shown


def test_the_tables_add_up_to_the_verdict(verdict: Verdict, export: Path) -> None:
    def table(name: str) -> list[dict[str, Any]]:
        text = (export / f"{name}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    told = as_json(verdict)
    [sums] = told["sums"].values()
    sessions = table("sessions")
    assert len(sessions) == verdict.counts["sessions"]
    for column, total in (
        ("earned", "fees"),
        ("platform_fee", "platform_fees"),
        ("refund", "refunds"),
        ("deposit", "deposits"),
    ):
        assert sum(row[column] for row in sessions) == sums[total]
    assert sum(row["amount"] for row in table("tips")) == sums["tips"]
    assert sum(row["amount"] for row in table("balances")) == sums["balances"]
    assert sum(row["closing"] for row in table("settlements")) == sum(
        row["units"] > 0 for row in sessions
    )
    assert [row["score"] for row in table("ratings")] == [
        row["score"] for row in sorted(sessions, key=lambda row: row["rated_at"]) if row["score"]
    ]
    assert len(table("findings")) == len(verdict.findings) + len(verdict.looks)
    opened = [(row["opened_block"], row["opened_log"]) for row in sessions]
    assert opened == sorted(opened)


@pytest.mark.parametrize("name", ["sessions.jsonl", "tips.csv", "balances.parquet"])
def test_an_export_that_was_cut_short_or_changed_is_refused(
    export: Path, tmp_path: Path, name: str
) -> None:
    whole = (export / name).read_bytes()
    for word, changed in (
        ("cut short", whole[:-1]),
        ("it was changed", whole[:-1] + bytes((whole[-1] ^ 1,))),
    ):
        copy = tmp_path / word
        shutil.copytree(export, copy)
        (copy / name).write_bytes(changed)
        with pytest.raises(ExportUnusable, match=f"{name} has .*{word}"):
            read_export(copy)
        with pytest.raises(ExportUnusable):
            rows_of_export(copy, "sessions")
    (copy / name).unlink()
    with pytest.raises(ExportUnusable, match=name):
        read_export(copy)


def test_an_export_whose_list_is_missing_or_broken_is_refused(export: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(export, copy)
    for text in ("", "[]", "{}", (export / "export.json").read_text()[:-40]):
        (copy / "export.json").write_text(text)
        with pytest.raises(ExportUnusable, match="not readable"):
            read_export(copy)
    (copy / "export.json").unlink()
    with pytest.raises(ExportUnusable, match="it was not finished"):
        read_export(copy)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [20_000, 100_000])
def test_an_export_that_ran_out_of_room_leaves_no_list_and_no_half_file(
    verdict: Verdict, tmp_path: Path, size: int
) -> None:
    write_export(verdict, tmp_path)  # an older one does not pass for the new one
    with no_file_above(size), pytest.raises(ExportNotWritten):
        write_export(verdict, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "export.json" not in names
    assert not [name for name in names if name.endswith(".part")]
    with pytest.raises(ExportUnusable, match="it was not finished"):
        read_export(tmp_path)


FOR_EVER = """
import sys
from pathlib import Path
from honorarium.audit import Archive, audit_archive, write_export
verdict = audit_archive(Archive.read(Path(sys.argv[1])))
while True:
    write_export(verdict, Path(sys.argv[2]))
"""


def test_an_export_that_was_killed_leaves_nothing_that_looks_complete(
    sample: Path, export: Path, tmp_path: Path
) -> None:
    """What stands on the disk at many moments is what kill -9 leaves at each."""
    folder, moments = tmp_path / "new", random.Random(7)
    exporting = subprocess.Popen([sys.executable, "-c", FOR_EVER, str(sample), str(folder)])
    try:
        wait_for(lambda: (folder / "sessions.jsonl.part").exists())
        left: list[Path] = []
        for number in range(25):
            time.sleep(moments.uniform(0, 0.02))
            exporting.send_signal(signal.SIGSTOP)
            os.waitpid(exporting.pid, os.WUNTRACED)
            left.append(tmp_path / str(number))
            shutil.copytree(folder, left[-1])
            exporting.send_signal(signal.SIGCONT)
    finally:
        exporting.kill()
        exporting.wait()
    unfinished = 0
    for each in left:
        for path in each.iterdir():
            if path.suffix != ".part":  # a file under its own name is whole
                assert path.read_bytes() == (export / path.name).read_bytes(), path
        if not (each / "export.json").exists():
            unfinished += 1
            with pytest.raises(ExportUnusable, match="it was not finished"):
                read_export(each)
    assert unfinished
    write_export(audit_archive(Archive.read(sample)), folder)
    assert {path.name for path in folder.iterdir()} == {path.name for path in export.iterdir()}


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_a_folder_that_cannot_be_made_is_said(verdict: Verdict, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportNotWritten, match="file"):
        write_export(verdict, tmp_path / "file" / "below")
