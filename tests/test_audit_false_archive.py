"""What the maker of an archive can falsify, and how that is found; what nobody can find is counted.

The archive is of a real day on a real Anvil. Whoever falsifies it makes its digests anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from falsify import (
    DATA,
    HASH,
    HEAD,
    STRANGER,
    TOPICS,
    TX_OF_LOG,
    Change,
    Kept,
    falsified,
    flipped,
    kept_day,
    rules,
    unsigned,
    with_column,
)
from honorarium.audit import (
    Archive,
    as_json,
    audit_archive,
    check_against,
    line,
    write_export,
)
from honorarium.audit.errors import ArchiveDiffers, ArchiveUnusable, TransactionAltered
from honorarium.audit.page import write_page
from honorarium.audit.tables import Row, digest
from honorarium.chain.logs import UnreadableLog
from honorarium.cli.audit import audit as audit_command
from honorarium.cli.place import AuditPlaceUnclear
from honorarium.protocol.events import (
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    Withdrawn,
)
from lives import Stage


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept_day(tmp_path_factory.mktemp("kept") / "archive") as kept:
        yield kept


# ---------------------------------------------------------------------- what is true


def test_every_transaction_is_kept_as_it_was_signed(kept: Kept) -> None:
    assert kept.verdict.ok, kept.verdict.findings
    assert all(row[HEAD] for row in Archive.read(kept.folder).rows("transactions"))
    unproven = kept.verdict.unproven
    assert (unproven.unsigned_callers, unproven.contract_signers) == (0, 1)


@pytest.mark.parametrize(("jobs", "buckets"), [(1, None), (1, 8), (2, 4)])
def test_a_call_in_the_middle_of_another_is_counted_and_no_finding(
    kept: Kept, jobs: int, buckets: int | None
) -> None:
    verdict = audit_archive(Archive.read(kept.folder), jobs=jobs, buckets=buckets)
    assert as_json(verdict) == as_json(kept.verdict)
    # Sent through a contract; finalized, and withdrawn, by contracts while they were paid.
    assert verdict.unproven.through_contracts == 3
    assert verdict.unproven.sessions == 3
    assert line(verdict).startswith("AUDIT OK ")
    assert line(verdict).endswith(" unproven=3")


# ---------------------------------------------------------------------- what is found


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"data": flipped(100)}, "its fields hash to 0x"),
        ({"tail": flipped(-1 % 60)}, "its fields hash to 0x"),
        ({"data": b""}, "its fields hash to 0x"),
        ({"to": STRANGER}, "stands here for 0x9999"),
        ({"to": None}, "stands here for 0x;"),
    ],
)
def test_a_transaction_that_was_not_signed_so_is_refused(
    kept: Kept, tmp_path: Path, columns: dict[str, Any], reason: str
) -> None:
    tx = kept.tx_of(SessionClosed, kept.day.ids["rated"])
    archive = falsified(kept, tmp_path, transactions=with_column(tx, **columns))
    with pytest.raises(TransactionAltered, match=reason) as refused:
        audit_archive(archive)
    assert refused.value.tx_hash == tx


def test_a_worker_s_refusal_is_the_audit_s(kept: Kept, tmp_path: Path) -> None:
    tx = kept.tx_of(SessionClosed, kept.day.ids["rated"])
    archive = falsified(kept, tmp_path, transactions=with_column(tx, data=b""))
    with pytest.raises(TransactionAltered) as refused:
        audit_archive(archive, jobs=2, buckets=4)
    assert refused.value.tx_hash == tx


def test_another_sender_than_the_one_who_signed_is_found(kept: Kept, tmp_path: Path) -> None:
    tx = kept.tx_of(SessionClosed, kept.day.ids["rated"])
    lied = with_column(tx, sender=kept.stage.address("operator"))
    verdict = audit_archive(falsified(kept, tmp_path, transactions=lied))
    assert rules(verdict, kept) == {("ESC-7", "rated")}


def test_a_transaction_signed_by_somebody_else_than_its_party_is_found(
    kept: Kept, tmp_path: Path
) -> None:
    """A forger signs the call with a key of his own, gives it that hash, and names the client."""
    stage, session = kept.stage, kept.day.ids["rated"]
    old = kept.tx_of(SessionOpened, session)
    row = next(r for r in Archive.read(kept.folder).rows("transactions") if r[HASH] == old)
    head, tail, new = _signed_by(stage, "sponsor", row[DATA])

    def renamed(at: int) -> Change:
        return lambda row: (*row[:at], new, *row[at + 1 :]) if row[at] == old else row

    def sent(row: Row) -> Row:
        return (new, *row[1:HEAD], head, tail) if row[HASH] == old else row

    archive = falsified(
        kept, tmp_path, transactions=sent, logs=renamed(TX_OF_LOG), transfers=renamed(2)
    )
    verdict = audit_archive(archive)
    assert rules(verdict, kept) == {("ESC-11", "rated")}
    [finding] = verdict.findings
    assert finding.found == f"a transaction of 0x{stage.address('sponsor').hex()}"


def _signed_by(stage: Stage, who: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    from eth_account import Account
    from eth_hash.auto import keccak

    fields: dict[str, Any] = {"nonce": 7, "gas": 10**6, "gasPrice": 10**9, "chainId": 31337}
    made = Account.sign_transaction(
        {**fields, "to": stage.escrow, "value": 0, "data": data}, stage.key(who).secret()
    )
    raw = bytes(made.raw_transaction)
    head, _, tail = raw.partition(data)
    return head, tail, keccak(raw)


@pytest.mark.parametrize(
    "columns",
    [
        {"data": b""},
        {"data": b"\xde\xad\xbe\xef"},
        {"data": lambda data: data[:200]},
        {"data": flipped(4 + 7 * 32 - 1)},  # the terms' salt: another session
    ],
)
@pytest.mark.parametrize("kind", [SessionOpened, Settled, SessionClosed])
def test_calldata_that_does_not_explain_the_log_is_found(
    kept: Kept, tmp_path: Path, columns: dict[str, Any], kind: Any
) -> None:
    tx = kept.tx_of(kind, kept.day.ids["rated"])
    change = with_column(tx, **unsigned(**columns))
    archive = falsified(kept, tmp_path, transactions=change)
    verdict = audit_archive(archive)
    in_pieces = audit_archive(archive, jobs=1, buckets=4)
    assert as_json(in_pieces) == as_json(verdict)
    assert {session for _, session in rules(verdict, kept)} == {"rated"}
    assert not verdict.ok


def test_a_payment_whose_calldata_does_not_explain_it_is_found(kept: Kept, tmp_path: Path) -> None:
    archive = Archive.read(kept.folder)
    tx = next(r[TX_OF_LOG] for r in archive.rows("logs") if r[TOPICS][:32] == Withdrawn.TOPIC)
    change = with_column(tx, **unsigned(data=b"\xde\xad\xbe\xef"))
    verdict = audit_archive(falsified(kept, tmp_path, transactions=change))
    assert rules(verdict, kept) == {("ESC-1", None)}
    assert "that no function of SessionEscrow takes" in verdict.findings[0].found


def test_a_call_in_the_middle_needs_the_call_around_it_in_the_log(
    kept: Kept, tmp_path: Path
) -> None:
    """The withdrawal asked for another recipient than the log knows: nothing shows that it ran."""
    tx = kept.tx_of(SessionClosed, kept.day.ids["left in a withdrawal"])
    other = with_column(tx, **unsigned(data=flipped(4 + 3 * 32 - 1)))
    verdict = audit_archive(falsified(kept, tmp_path, transactions=other))
    assert ("ESC-7", "left in a withdrawal") in rules(verdict, kept)


def test_a_log_that_none_of_our_contracts_writes_is_refused(kept: Kept, tmp_path: Path) -> None:
    session = kept.day.ids["rated"]

    def change(row: Row) -> Row:
        known = row[TOPICS].startswith(Settled.TOPIC + session)
        return (*row[:7], row[7][:-1]) if known else row

    archive = falsified(kept, tmp_path, logs=change)
    for buckets in (None, 4):
        with pytest.raises(UnreadableLog, match="cannot be read") as refused:
            audit_archive(archive, jobs=1, buckets=buckets)
        assert refused.value.address == kept.stage.escrow


# ---------------------------------------------------------------------- what is only counted


def test_without_signatures_who_called_is_counted_as_a_claim(kept: Kept, tmp_path: Path) -> None:
    def bare(row: Row) -> Row:
        return (*row[:HEAD], None, None)

    verdict = audit_archive(falsified(kept, tmp_path, transactions=bare))
    assert verdict.ok
    assert verdict.unproven.unsigned_callers > 10
    by_call = {"rated", "coin", "left", "closed early", "running", "leaving"}
    assert verdict.unproven.sessions >= len(by_call)
    assert verdict.unproven.sessions < verdict.counts["sessions"]  # the others: by signatures alone


def test_a_tip_that_is_told_twice_is_not_proven_twice(kept: Kept, tmp_path: Path) -> None:
    """One call, two tips in the log: the second may have come out of another contract."""
    rows = list(Archive.read(kept.folder).rows("logs"))
    tx = next(row[TX_OF_LOG] for row in rows if row[TOPICS].startswith(Tipped.TOPIC))
    place = {"logs": TX_OF_LOG, "transfers": 2}

    def twice(table: str) -> Change:
        at = place[table]
        return lambda row: [row, (row[0], row[1] + 50, *row[2:])] if row[at] == tx else row

    verdict = audit_archive(
        falsified(kept, tmp_path, logs=twice("logs"), transfers=twice("transfers"))
    )
    assert verdict.ok
    assert verdict.counts["tips"] == kept.verdict.counts["tips"] + 1
    assert verdict.unproven.through_contracts == kept.verdict.unproven.through_contracts + 1


def test_a_call_said_to_come_out_of_a_stranger_s_contract_is_counted(
    kept: Kept, tmp_path: Path
) -> None:
    """Nobody can find this in an archive alone; the verdict says on how many sessions it bears."""
    tx = kept.tx_of(Settled, kept.day.ids["settled in grace"])
    change = with_column(tx, **unsigned(to=STRANGER))
    verdict = audit_archive(falsified(kept, tmp_path, transactions=change))
    assert verdict.ok
    assert verdict.unproven.through_contracts == kept.verdict.unproven.through_contracts + 1
    assert verdict.unproven.sessions == kept.verdict.unproven.sessions + 1


def test_an_archive_of_the_format_before_is_audited_and_not_added_to(
    kept: Kept, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    shutil.copytree(kept.folder, folder)
    about = json.loads((folder / "archive.json").read_text())
    about["format"] = 1
    for segment in about["segments"]:
        of_transactions = segment["files"]["transactions"]
        path = folder / of_transactions["name"]
        pq.write_table(pq.read_table(path).drop_columns(["head", "tail"]), path)
        of_transactions.update(bytes=path.stat().st_size, sha256=digest(path))
    (folder / "archive.json").write_text(json.dumps(about))
    whole = audit_archive(Archive.read(folder))
    assert whole.ok
    assert whole.unproven.unsigned_callers
    assert as_json(audit_archive(Archive.read(folder), jobs=1, buckets=64)) == as_json(whole)
    with pytest.raises(ArchiveUnusable, match="not added to"):
        Archive.keep(folder, Archive.read(kept.folder).contents)


# ---------------------------------------------------------------------- against a node


def test_an_archive_that_a_node_confirms_and_one_that_it_does_not(
    kept: Kept, tmp_path: Path
) -> None:
    node, session = kept.stage.node, kept.day.ids["settled in grace"]
    check_against(node, Archive.read(kept.folder))
    tx = kept.tx_of(Settled, session)

    def hidden(row: Row) -> Row:
        """The tip went to somebody else."""
        return (*row[:5], STRANGER, row[6]) if row[2] == tipped else row

    tipped = next(
        row[TX_OF_LOG]
        for row in Archive.read(kept.folder).rows("logs")
        if row[TOPICS].startswith(Tipped.TOPIC)
    )
    for number, (table, change) in enumerate(
        (
            ("transactions", with_column(tx, **unsigned(to=STRANGER))),
            ("logs", lambda row: (*row[:2], row[2] + 1, *row[3:]) if row[4] == tx else row),
            ("transfers", hidden),
        )
    ):
        archive = falsified(kept, tmp_path / str(number), **{table: change})
        with pytest.raises(ArchiveDiffers) as differs:
            check_against(node, archive)
        assert differs.value.what == table
    with falsified(kept, tmp_path / "state") as archive:
        rows = list(archive.state_rows(archive.last))
        other = [(kind, key, bytes(32) if key == session else value) for kind, key, value in rows]
        archive.put_states({archive.last: other})
        with pytest.raises(ArchiveDiffers, match="storage"):
            check_against(node, archive)


def test_the_command_checks_a_folder_against_a_node(kept: Kept, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(audit_command)
    common = ["--out", str(tmp_path / "out"), "--check-node", kept.stage.node.url]
    done = CliRunner().invoke(app, ["--from", str(kept.folder), *common])
    assert done.exit_code == 0, done.output
    tx = kept.tx_of(Settled, kept.day.ids["settled in grace"])
    change = with_column(tx, **unsigned(to=STRANGER))
    false = falsified(kept, tmp_path / "false", transactions=change)
    refused = CliRunner().invoke(app, ["--from", str(false.folder), *common])
    assert isinstance(refused.exception, ArchiveDiffers)
    unclear = CliRunner().invoke(app, common)
    assert isinstance(unclear.exception, AuditPlaceUnclear)


@pytest.mark.parametrize("time", [0, 2**40, 2**63])
def test_a_time_that_no_calendar_has_is_a_finding_and_no_traceback(
    kept: Kept, tmp_path: Path, time: int
) -> None:
    tx = kept.tx_of(SessionClosed, kept.day.ids["rated"])

    def change(row: Row) -> Row:
        return (*row[:2], time, *row[3:]) if row[TX_OF_LOG] == tx else row

    verdict = audit_archive(falsified(kept, tmp_path / "archive", logs=change))
    assert ("ESC-7", "rated") in rules(verdict, kept)  # storage has another time of closing
    page = write_page(verdict, tmp_path).read_text(encoding="utf-8")
    assert "time of closing" in page or "closed at" in page
    write_export(verdict, tmp_path / "tables")


# ---------------------------------------------------------------------- files


def test_a_file_of_another_archive_or_under_another_name_is_refused(
    kept: Kept, tmp_path: Path
) -> None:
    other = falsified(kept, tmp_path / "other", logs=lambda row: (*row[:2], row[2] + 1, *row[3:]))
    swapped, renamed = tmp_path / "swapped", tmp_path / "renamed"
    for folder in (swapped, renamed):
        shutil.copytree(kept.folder, folder)
    name = "000001-logs.parquet"
    shutil.copy(other.folder / name, swapped / name)
    with pytest.raises(ArchiveUnusable, match=r"000001-logs\.parquet .*changed"):
        Archive.read(swapped)
    (renamed / name).rename(renamed / "000002-logs.parquet")
    with pytest.raises(ArchiveUnusable, match=name):
        Archive.read(renamed)


def test_events_of_another_contract_or_chain_are_refused(kept: Kept, tmp_path: Path) -> None:
    tx = kept.tx_of(Settled, kept.day.ids["rated"])

    def elsewhere(row: Row) -> Row:
        return (*row[:5], STRANGER, *row[6:]) if row[TX_OF_LOG] == tx else row

    with pytest.raises(UnreadableLog, match="not this contract's"):
        audit_archive(falsified(kept, tmp_path / "contract", logs=elsewhere))
    folder = falsified(kept, tmp_path / "chain").folder
    about = json.loads((folder / "archive.json").read_text())
    about["chain_id"] = 1
    (folder / "archive.json").write_text(json.dumps(about))
    verdict = audit_archive(Archive.read(folder))
    assert ("ESC-11", "rated") in rules(verdict, kept)  # no session's id is of that chain
