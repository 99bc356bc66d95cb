"""What the audit collects is kept: to go on from after any crash, and to audit without a node.

Chains are real Anvils; `anvil_reorg` undoes blocks, `anvil_reset` is a chain started anew.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from eth_hash.auto import keccak
from typer.testing import CliRunner

from honorarium.audit import (
    Archive,
    Contents,
    Verdict,
    as_json,
    audit_archive,
    audit_live,
    catch_up,
    surroundings,
)
from honorarium.audit import collect as collecting
from honorarium.audit.errors import (
    ArchiveBusy,
    ArchiveElsewhere,
    ArchiveUnusable,
    HistoryReplaced,
    NodeContradicts,
    StateNotKept,
)
from honorarium.chain import Deployed, LocalChain, Manifest, Node
from honorarium.chain.node import to_hex
from honorarium.cli.audit import audit as audit_command
from honorarium.cli.place import AuditPlaceUnclear
from honorarium.errors import ChainReset, InputError, NodeBehind
from honorarium.ids import Address, Hash
from honorarium.units import BlockNumber
from lives import MORNING, PARTIES, Day, Stage, live_a_day

app = typer.Typer()
app.command()(audit_command)


@dataclass
class Lived:
    stage: Stage
    day: Day

    def contents(self, **changed: Any) -> Contents:
        stage = self.stage
        known: dict[str, Any] = {
            "genesis": stage.node.genesis_hash,
            "domain": stage.domain,
            "tip_jar": stage.tip_jar,
            "first": BlockNumber(0),
        }
        return Contents(**{**known, **changed})

    def keep(self, folder: Path, **changed: Any) -> Archive:
        return Archive.keep(folder, self.contents(**changed))


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        stage = Stage(chain, node)
        yield Lived(stage, live_a_day(stage))


@pytest.fixture(scope="module")
def kept(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Verdict]:
    """An archive of the day, with its storage at two blocks, and the verdict of who made it."""
    folder = tmp_path_factory.mktemp("kept") / "archive"
    with lived.keep(folder) as archive:
        last = catch_up(lived.stage.node, archive)
        verdict = audit_live(lived.stage.node, archive, at=[last // 2])
    return folder, verdict


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "SEGMENT", 7)


def rows(folder: Path) -> dict[str, list[Any]]:
    archive = Archive.read(folder)
    return {table: list(archive.rows(table)) for table in ("logs", "transactions", "transfers")}


# ---------------------------------------------------------------------- offline


@pytest.mark.parametrize(("jobs", "buckets"), [(1, None), (1, 8), (2, 4)])
def test_an_archive_alone_gives_the_verdict_of_the_chain(
    kept: tuple[Path, Verdict], jobs: int, buckets: int | None
) -> None:
    folder, verdict = kept
    at = verdict.at[0]
    offline = audit_archive(Archive.read(folder), at=[at], jobs=jobs, buckets=buckets)
    assert as_json(offline) == as_json(verdict)
    assert verdict.findings == []
    assert verdict.at == (at, verdict.place.last)
    for name, table in verdict.tables.items():
        assert list(map(tuple, offline.tables[name]())) == list(map(tuple, table())), name
    assert len(list(offline.tables["sessions"]())) == 14


def test_storage_at_a_block_that_was_not_kept_is_refused(kept: tuple[Path, Verdict]) -> None:
    with pytest.raises(StateNotKept, match="block 3 "):
        audit_archive(Archive.read(kept[0]), at=[3])


def test_falsified_storage_in_an_archive_is_found_at_its_block(
    lived: Lived, tmp_path: Path
) -> None:
    """Whoever falsifies an archive can falsify its digests too, and not what follows from it."""
    with lived.keep(tmp_path) as archive:
        last = catch_up(lived.stage.node, archive)
        audit_live(lived.stage.node, archive, at=[last // 2])
        found = list(archive.state_rows(BlockNumber(last // 2)))
        session = lived.day.ids["rated"]
        false = [(kind, key, bytes(32) if key == session else value) for kind, key, value in found]
        states = {
            BlockNumber(last // 2): false,
            last: list(archive.state_rows(last)),
        }
        archive.put_states(states)
    for buckets in (None, 4):
        verdict = audit_archive(Archive.read(tmp_path), at=[last // 2], jobs=1, buckets=buckets)
        assert {(f.session, f.block) for f in verdict.findings} == {(session, last // 2)}


# ---------------------------------------------------------------------- going on


@pytest.mark.usefixtures("small_segments")
def test_a_collection_in_steps_is_the_same_as_at_once(lived: Lived, tmp_path: Path) -> None:
    node = lived.stage.node
    last = node.block().number
    with lived.keep(tmp_path / "once") as archive:
        catch_up(node, archive)
        assert len(archive.segments) > 5
    for end in (last // 3, last // 2, last, last):
        with lived.keep(tmp_path / "steps") as archive:
            assert catch_up(node, archive, end) == end
    assert rows(tmp_path / "once") == rows(tmp_path / "steps")


COLLECT = """
import sys
from pathlib import Path
from honorarium.audit import collect as collecting
from honorarium.audit.archive import Archive
from honorarium.chain import Node
collecting.SEGMENT = 3
node = Node(sys.argv[1])
archive = Archive.opened(Path(sys.argv[2]))
with Archive.keep(Path(sys.argv[2]), archive.contents) as archive:
    collecting.catch_up(node, archive)
"""


def test_a_collection_that_was_killed_goes_on_and_comes_to_the_same(
    lived: Lived, tmp_path: Path
) -> None:
    node = lived.stage.node
    with lived.keep(tmp_path / "once") as archive:
        catch_up(node, archive)
    folder = tmp_path / "killed"
    lived.keep(folder).close()
    for segments in (2, 6):
        process = subprocess.Popen([sys.executable, "-c", COLLECT, node.url, str(folder)])
        deadline = time.monotonic() + 30
        while len(Archive.opened(folder).segments) < segments and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with lived.keep(folder) as archive:
        assert len(archive.segments) >= 6
        catch_up(node, archive)
    assert rows(folder) == rows(tmp_path / "once")
    named = {s.name for each in archive.segments for s in each.files.values()}
    assert {path.name for path in folder.iterdir()} == named | {"archive.json", "lock"}


@pytest.mark.usefixtures("small_segments")
def test_blocks_that_a_reorganisation_undid_are_dropped_and_read_again(
    lived: Lived, tmp_path: Path
) -> None:
    node = lived.stage.node
    before = node.request("evm_snapshot")
    try:
        terms = lived.stage.terms()
        lived.stage.open(terms, 9_000_000)
        with lived.keep(tmp_path) as archive:
            last = catch_up(node, archive)
            audit_live(node, archive)
            kept = len(archive.segments)
        undone = {row[3] for row in rows(tmp_path)["logs"] if row[0] == last}
        node.request("evm_revert", [before])
        before = node.request("evm_snapshot")
        for _ in range(3):
            node.request("evm_mine")
        with lived.keep(tmp_path) as archive:
            catch_up(node, archive)
            assert kept - 3 <= len(archive.segments)
            assert last not in archive.contents.states
            assert audit_live(node, archive).counts["sessions"] == 14
        assert undone
        assert not undone & {row[3] for row in rows(tmp_path)["logs"]}
    finally:
        node.request("evm_revert", [before])


def test_a_node_that_is_behind_the_archive_is_refused(lived: Lived, tmp_path: Path) -> None:
    node = lived.stage.node
    before = node.request("evm_snapshot")
    node.request("evm_mine")
    with lived.keep(tmp_path) as archive:
        last = catch_up(node, archive)
        node.request("evm_revert", [before])
        with pytest.raises(NodeBehind, match=f"of {last}"):
            catch_up(node, archive)


def test_a_chain_that_was_reset_is_refused(lived: Lived, tmp_path: Path) -> None:
    with lived.keep(tmp_path) as archive:
        catch_up(lived.stage.node, archive)
        with (
            LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as other,
            Node(other.url) as node,
        ):
            with pytest.raises(ChainReset):
                catch_up(node, archive)
            # Even one whose first block is the same: no other block is.
            archive.contents.genesis = node.genesis_hash
            for _ in range(archive.last + 1):
                node.request("evm_mine")
            with pytest.raises(HistoryReplaced, match="not a reorganisation"):
                catch_up(node, archive)


# ---------------------------------------------------------------------- what is refused


def test_an_archive_of_other_contracts_is_not_added_to(lived: Lived, tmp_path: Path) -> None:
    lived.keep(tmp_path).close()
    with pytest.raises(ArchiveElsewhere, match="tip jar"):
        lived.keep(tmp_path, tip_jar=Address(b"\x01" * 20))
    with pytest.raises(ArchiveElsewhere, match="from block 0, and this is 5"):
        lived.keep(tmp_path, first=BlockNumber(5))


def test_an_archive_that_another_process_adds_to_is_refused(lived: Lived, tmp_path: Path) -> None:
    with lived.keep(tmp_path), pytest.raises(ArchiveBusy):
        lived.keep(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.txt").touch()
    with pytest.raises(ArchiveUnusable, match="there are files"):
        lived.keep(tmp_path / "other")


def test_an_archive_that_was_cut_short_or_changed_is_refused(
    kept: tuple[Path, Verdict], tmp_path: Path
) -> None:
    for number, path in enumerate(sorted(kept[0].glob("*.parquet"))):
        whole = path.read_bytes()
        for word, changed in (
            ("cut short", whole[:-1]),
            ("it was changed", whole[:9] + bytes((whole[9] ^ 1,)) + whole[10:]),
        ):
            copy = tmp_path / f"{number}-{word}"
            shutil.copytree(kept[0], copy)
            (copy / path.name).write_bytes(changed)
            with pytest.raises(ArchiveUnusable, match=word):
                Archive.read(copy)
        copy = tmp_path / f"{number}-gone"
        shutil.copytree(kept[0], copy)
        (copy / path.name).unlink()
        with pytest.raises(ArchiveUnusable, match=path.name):
            Archive.read(copy)


def test_an_archive_with_a_gap_or_without_its_list_is_refused(
    kept: tuple[Path, Verdict], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(kept[0], copy)
    listed = json.loads((copy / "archive.json").read_text())
    listed["segments"][0]["first"] = 4
    (copy / "archive.json").write_text(json.dumps(listed))
    with pytest.raises(ArchiveUnusable, match="and 0 follows"):
        Archive.read(copy)
    (copy / "archive.json").write_text("{")
    with pytest.raises(ArchiveUnusable, match="not readable"):
        Archive.read(copy)
    (copy / "archive.json").unlink()
    with pytest.raises(ArchiveUnusable, match=r"no archive\.json"):
        Archive.read(copy)


# ---------------------------------------------------------------------- nodes that lie or forget


class Lying(Node):
    """A node whose answers are changed on their way."""

    def __init__(self, url: str, method: str, change: Any) -> None:
        super().__init__(url)
        wire = self.core.wire
        ask, ask_many = wire.ask, wire.ask_many

        def changed(name: str, params: Any, answer: Any) -> Any:
            if name == method and "result" in answer:
                return {**answer, "result": change(params, answer["result"])}
            return answer

        async def one(name: str, params: Any) -> Any:
            return changed(name, params, await ask(name, params))

        async def many(asked: Any) -> Any:
            answers = await ask_many(asked)
            return [changed(n, p, a) for (n, p), a in zip(asked, answers, strict=True)]

        vars(wire).update(ask=one, ask_many=many)


def test_a_node_that_leaves_out_a_log_is_found_by_the_storage(lived: Lived, tmp_path: Path) -> None:
    session = lived.day.ids["running"]

    def forget(params: Any, logs: Any) -> Any:
        return [log for log in logs if to_hex(session) not in log["topics"]]

    with Lying(lived.stage.node.url, "eth_getLogs", forget) as node, lived.keep(tmp_path) as kept:
        catch_up(node, kept)
        findings = audit_live(node, kept).findings
    # Its money came in as a surplus, and nobody knows why balances and shares are what they are.
    assert {finding.rule for finding in findings} == {"ESC-1", "ESC-15"}


def test_a_node_that_lies_about_storage_is_found(lived: Lived, tmp_path: Path) -> None:
    def richer(params: Any, word: str) -> str:
        found = int(word, 16)
        return f"0x{found + (1 << 96 if found >> 176 else 0):064x}"

    with (
        Lying(lived.stage.node.url, "eth_getStorageAt", richer) as node,
        lived.keep(tmp_path) as kept,
    ):
        catch_up(node, kept)
        assert {f.rule for f in audit_live(node, kept).findings} >= {"ESC-4"}


@pytest.fixture(params=[True, False], ids=["whole blocks", "single transactions"])
def whole_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Transactions come with their blocks, or (as on public chains) one by one."""
    if not request.param:
        monkeypatch.setattr(surroundings, "LOCAL_CHAINS", ())
    return bool(request.param)


def test_a_node_that_forgot_a_transaction_leaves_its_consent_unseen(
    lived: Lived, tmp_path: Path, whole_blocks: bool
) -> None:
    method = "eth_getBlockByNumber" if whole_blocks else "eth_getTransactionByHash"

    def forget(params: Any, found: Any) -> Any:
        return {**found, "transactions": []} if whole_blocks else None

    with Lying(lived.stage.node.url, method, forget) as node, lived.keep(tmp_path) as kept:
        catch_up(node, kept)
        findings = audit_live(node, kept).findings
    assert {"ESC-3", "ESC-11"} <= {finding.rule for finding in findings}
    assert all("the node has no 0x" in finding.found for finding in findings)


def test_transactions_are_the_same_with_their_blocks_and_one_by_one(
    lived: Lived, tmp_path: Path, whole_blocks: bool, kept: tuple[Path, Verdict]
) -> None:
    with lived.keep(tmp_path) as archive:
        catch_up(lived.stage.node, archive, archive.contents.first + 20)
        mine = rows(tmp_path)
    there = rows(kept[0])
    assert mine["transactions"] == there["transactions"][: len(mine["transactions"])]
    assert mine["transactions"]


@pytest.mark.parametrize("time_in_logs", [True, False])
def test_a_node_whose_answers_do_not_fit_together_is_refused(
    lived: Lived, tmp_path: Path, time_in_logs: bool
) -> None:
    def other_hash(params: Any, logs: Any) -> Any:
        for number, log in enumerate(logs):
            if not time_in_logs:
                log.pop("blockTimestamp", None)
            if number % 2 or not time_in_logs:
                log["blockHash"] = "0x" + "11" * 32
        return logs

    with (
        Lying(lived.stage.node.url, "eth_getLogs", other_hash) as node,
        lived.keep(tmp_path) as kept,
        pytest.raises(NodeContradicts, match="hash"),
    ):
        catch_up(node, kept)


def test_a_node_that_gives_another_transaction_than_was_asked_for_is_refused(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "LOCAL_CHAINS", ())
    with (
        Lying(
            lived.stage.node.url,
            "eth_getTransactionByHash",
            lambda params, tx: {**tx, "hash": "0x" + "22" * 32},
        ) as node,
        lived.keep(tmp_path) as kept,
        pytest.raises(NodeContradicts, match="it gave 0x2222"),
    ):
        catch_up(node, kept)


# ---------------------------------------------------------------------- the command


def test_the_command_keeps_what_it_read_and_audits_it_again_without_a_node(
    lived: Lived, tmp_path: Path
) -> None:
    stage = lived.stage
    manifest = tmp_path / "manifest.json"
    _manifest(stage).save(manifest)
    store, export = tmp_path / "store", tmp_path / "export"
    common = ["--rpc", stage.node.url, "--manifest", str(manifest), "--store", str(store)]
    first = CliRunner().invoke(app, [*common, "--out", str(tmp_path), "--at", "20"])
    assert first.exit_code == 0, first.output
    assert f"kept in: {store}\n" in first.stderr
    told = json.loads(CliRunner().invoke(app, [*common, "--out", str(tmp_path), "--json"]).stdout)
    assert told.pop("store") == str(store)
    assert told.keys() == json.loads((tmp_path / "audit.json").read_text()).keys()
    again = CliRunner().invoke(
        app, ["--from", str(store), "--out", str(tmp_path), "--export", str(export), "--at", "20"]
    )
    assert again.exit_code == 0, again.output
    assert again.stdout == first.stdout
    assert json.loads((export / "export.json").read_text())["ok"] is True
    later = CliRunner().invoke(app, [*common, "--out", str(tmp_path / "later"), "--at", "999999"])
    assert isinstance(later.exception, InputError)
    assert "999,999 is outside" in str(later.exception)
    assert not (tmp_path / "later").exists()
    beside = CliRunner().invoke(app, ["--from", str(store), "--rpc", stage.node.url])
    assert isinstance(beside.exception, AuditPlaceUnclear)
    nothing = CliRunner().invoke(app, ["--from", str(export)])
    assert isinstance(nothing.exception, ArchiveUnusable)


def _manifest(stage: Stage) -> Manifest:
    def deployed(address: Address) -> Deployed:
        return Deployed(address, Hash(keccak(stage.node.code(address))))

    contracts = {"SessionEscrow": deployed(stage.escrow), "TipJar": deployed(stage.tip_jar)}
    return Manifest(stage.node.chain_id, stage.node.genesis_hash, BlockNumber(1), contracts)
