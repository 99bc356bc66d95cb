"""A ledger is copied while it is written, brought back whole or not at all, and forgets."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

import settings_page
from honorarium.desk import keep
from honorarium.ids import ZERO_ADDRESS, SessionId
from honorarium.ledger import Ledger, LedgerTooNew, LedgerUnusable, sessions
from honorarium.ledger.backup import BackupRefused, backup, restore
from honorarium.ledger.schema import metadata, readings, records
from honorarium.ledger.schema import sessions as table
from honorarium.protocol.signed import Quote
from metering import ADVISOR, BEGAN, DOMAIN, STRANGER, terms
from test_intake import ANSWERED, one, opened, replica, voucher


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    with Ledger(database) as made:
        made.set_up()
        yield made


def everything(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    with ledger.read() as connection:
        return {
            each.name: sorted(map(tuple, connection.execute(select(each)).all()), key=repr)
            for each in metadata.sorted_tables
        }


def filled(ledger: Ledger, several: int = 3) -> list[SessionId]:
    made = [opened(ledger, salt) for salt in range(several)]
    with replica(ledger) as intake:
        for session_id in made:
            one(partial(intake.take, session_id, voucher(session_id, 1, ANSWERED), [ANSWERED]))
    return made


def test_a_copy_brought_back_is_the_same_on_either_database(
    ledger: Ledger, database: str, tmp_path: Path
) -> None:
    filled(ledger)
    file = tmp_path / "copy.jsonl.gz"
    assert backup(ledger, file) == sum(map(len, everything(ledger).values()))
    assert file.stat().st_mode & 0o77 == 0
    with Ledger(f"{tmp_path}/other.sqlite3") as other:
        restore(file, other)
        assert everything(other) == everything(ledger)
        with pytest.raises(BackupRefused, match="has rows in"):
            restore(file, other)
        opened(other, 77)  # it counts on from what was restored


def test_a_copy_goes_from_sqlite_to_postgresql_and_counts_on(
    ledger: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "copy.jsonl.gz"
    with Ledger(f"{tmp_path}/first.sqlite3") as first:
        first.set_up()
        filled(first)
        backup(first, file)
        restore(file, ledger)
        assert everything(first) == everything(ledger)
    opened(ledger, 78)


def test_a_copy_made_under_load_is_of_one_moment(ledger: Ledger, tmp_path: Path) -> None:
    made = filled(ledger, 5)
    over = threading.Event()

    def write() -> None:
        with replica(ledger) as intake:
            for units in range(2, 2000):
                for session_id in made:
                    signed = voucher(session_id, min(units, 20), ANSWERED)
                    one(partial(intake.take, session_id, signed))
                if over.is_set():
                    return

    load = threading.Thread(target=write)
    load.start()
    try:
        for number in range(3):
            file = tmp_path / f"{number}.jsonl.gz"
            backup(ledger, file)
            with Ledger(f"{tmp_path}/{number}.sqlite3") as other:
                restore(file, other)
                units = _units(other)
                assert len(units) == 5
                assert max(units) - min(units) <= 1
    finally:
        over.set()
        load.join()


def _units(ledger: Ledger) -> list[int]:
    with ledger.read() as connection:
        return list(connection.execute(select(readings.c.units)).scalars())


def test_a_copy_that_is_cut_or_changed_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "copy.jsonl.gz"
    with Ledger(f"{tmp_path}/first.sqlite3") as first:
        first.set_up()
        filled(first)
        backup(first, file)
    data = file.read_bytes()
    lines = gzip.decompress(data).splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl.gz"
    changed = json.loads(lines[3])
    changed[1][next(iter(changed[1]))] = "other"
    swapped = [*lines[:3], json.dumps(changed).encode() + b"\n", *lines[4:]]
    bad = [
        data[:-20],
        data[: len(data) // 2],
        b"",
        gzip.compress(b""),
        gzip.compress(b"".join(lines[:-1])),
        gzip.compress(b"".join(lines[:5] + lines[6:])),
        gzip.compress(b"".join(swapped)),
    ]
    with Ledger(f"{tmp_path}/second.sqlite3") as second:
        second.set_up()
        for each in bad:
            cut.write_bytes(each)
            with pytest.raises(BackupRefused, match="nothing was changed"):
                restore(cut, second)
        assert not any(everything(second).values())


def test_the_migrations_make_the_tables_that_the_code_knows(ledger: Ledger) -> None:
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_several_processes_set_a_ledger_up_at_once(database: str) -> None:
    program = "import sys; from honorarium.ledger import Ledger; Ledger(sys.argv[1]).set_up()"
    several = [subprocess.Popen([sys.executable, "-c", program, database]) for _ in range(6)]
    assert [each.wait(60) for each in several] == [0] * 6


def test_a_ledger_of_a_newer_version_is_refused(ledger: Ledger) -> None:
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerTooNew, match="9999"):
        ledger.set_up()


def test_a_ledger_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match="neither SQLite nor PostgreSQL"):
        Ledger("mysql://here/there")
    nobody = Ledger("postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(LedgerUnusable) as refused:
        nobody.set_up()
    assert "secret" not in str(refused.value)
    blocked = tmp_path / "file"
    blocked.write_text("no database")
    with pytest.raises(LedgerUnusable):
        Ledger(str(blocked)).set_up()


# ---------------------------------------------------------------------- forgetting


def test_what_is_old_is_forgotten_and_the_proof_remains(ledger: Ledger) -> None:
    old, young, running = filled(ledger)
    stale = Quote.sign(replace(terms(), salt=50), ADVISOR, DOMAIN)
    with ledger.write() as connection:
        sessions.change(connection, old, BEGAN, status="closed", closed_at=BEGAN)
        sessions.change(connection, young, BEGAN, status="closed", closed_at=BEGAN + 86_400)
        sessions.add(connection, stale, DOMAIN, BEGAN)
    gone = keep.prune(ledger, BEGAN + 11 * 86_400, 10)
    assert (gone.sessions, gone.records) == (1, 1)
    with ledger.read() as connection:
        left = set(connection.execute(select(records.c.session_id)).scalars())
        assert left == {young, running}
        row = connection.execute(select(readings).where(readings.c.session_id == old)).one()
        assert row.units == 1
        assert sessions.find(connection, stale.session_id(DOMAIN)) is None


def test_a_client_is_forgotten_once_their_money_is_settled(ledger: Ledger) -> None:
    session_id, other = filled(ledger, 2)
    client = terms().client
    with pytest.raises(keep.SessionsRunning, match="2 sessions"):
        keep.erase(ledger, client)
    with ledger.write() as connection:
        for each in (session_id, other):
            sessions.change(connection, each, BEGAN, status="closed", closed_at=BEGAN)
    assert keep.erase(ledger, STRANGER.address).sessions == 0
    gone = keep.erase(ledger, client)
    assert (gone.sessions, gone.records) == (2, 2)
    with ledger.read() as connection:
        row = connection.execute(select(table).where(table.c.session_id == session_id)).one()
        assert (row.client, row.payer, row.document) == (ZERO_ADDRESS, ZERO_ADDRESS, "")
        assert row.advisor == ADVISOR.address
    for kept in everything(ledger).values():
        assert client not in [value for row in kept for value in row]
        assert client.hex() not in repr(kept)
    with replica(ledger) as intake, pytest.raises(sessions.SessionNotKnown):
        one(lambda: intake.read(session_id))


def test_the_settings_on_the_page_are_those_of_the_desk() -> None:
    text = settings_page.PAGE.read_text(encoding="utf-8")
    assert settings_page.page(text) == text, "run scripts/settings_page.py"
