"""The audit on chains that were tampered with, and as a command.

On Anvil a word of storage can be overwritten behind the contracts' back: what no contract does, a
faulty or lying chain might, and the audit has to see it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from eth_hash.auto import keccak
from typer.testing import CliRunner

from honorarium.audit import ReportNotWritten, Verdict, as_json, audit, gather, line, write
from honorarium.audit.state import balance_key, slot_key, tally_key
from honorarium.chain import LocalChain, Manifest, ManifestUnreadable, Node, deploy
from honorarium.chain.node import to_hex
from honorarium.cli.audit import audit as audit_command
from honorarium.cli.place import AuditPlaceUnclear
from honorarium.errors import ChainReset, NoDeployment, NodeUnreachable
from honorarium.ids import Address
from honorarium.protocol.typed_data import word
from lives import MORNING, PARTIES, Day, Stage, live_a_day

app = typer.Typer()
app.command()(audit_command)


@dataclass
class Lived:
    stage: Stage
    day: Day

    def audit(self) -> Verdict:
        return audit(gather(self.stage.node, self.stage.escrow, self.stage.tip_jar, 0))


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        stage = Stage(chain, node)
        yield Lived(stage, live_a_day(stage))


@pytest.fixture
def overwrite(lived: Lived) -> Iterator[Callable[[Address, int, Callable[[int], int]], None]]:
    """Changes a word of storage; afterwards it is as it was."""
    node, changed = lived.stage.node, []

    def put(contract: Address, key: int, value: int) -> None:
        at = to_hex(key.to_bytes(32, "big"))
        node.request(
            "anvil_setStorageAt", [to_hex(contract), at, to_hex(value.to_bytes(32, "big"))]
        )
        node.request("evm_mine")  # what an audit reads is a block's state

    def change(contract: Address, key: int, new: Callable[[int], int]) -> None:
        found = node.request("eth_getStorageAt", [to_hex(contract), hex(key), "latest"])
        old = int(found, 16)
        changed.append((contract, key, old))
        put(contract, key, new(old))

    yield change
    for each in reversed(changed):
        put(*each)


Overwrite = Callable[[Address, int, Callable[[int], int]], None]


def test_an_untouched_chain_is_in_order(lived: Lived) -> None:
    assert lived.audit().findings == []


@pytest.mark.parametrize(
    ("bit", "rules"),
    [
        (176, {"ESC-1"}),
        (96, {"ESC-4"}),
        (56, {"ESC-5"}),
        (16, {"ESC-7"}),
        (8, {"ESC-10"}),
        (2, {"ESC-10"}),
        (1, {"ESC-7"}),
    ],
)
def test_an_overwritten_session_is_found(
    lived: Lived, overwrite: Overwrite, bit: int, rules: set[str]
) -> None:
    session = lived.day.ids["rated"]
    overwrite(lived.stage.escrow, slot_key(session), lambda slot: slot ^ 1 << bit)
    found = lived.audit().findings
    assert {(f.rule, f.session) for f in found} == {(rule, session) for rule in rules}


def test_a_closed_session_that_the_chain_calls_open_is_found(
    lived: Lived, overwrite: Overwrite
) -> None:
    session = lived.day.ids["left"]
    overwrite(lived.stage.escrow, slot_key(session), lambda slot: slot | 1)
    found = {(f.rule, f.session) for f in lived.audit().findings}
    assert found == {("ESC-6", session), ("ESC-1", None)}  # its deposit would be owed again


def test_an_overwritten_balance_is_found(lived: Lived, overwrite: Overwrite) -> None:
    stage = lived.stage
    at = balance_key(stage.token, stage.address("advisor"))
    overwrite(stage.escrow, at, lambda balance: balance - 1)
    [finding] = lived.audit().findings
    assert finding.rule == "ESC-1"
    assert stage.address("advisor").hex() in finding.about


def test_an_overwritten_platform_balance_is_found_as_a_wrong_share(
    lived: Lived, overwrite: Overwrite
) -> None:
    stage = lived.stage
    at = balance_key(stage.token, stage.address("platform"))
    overwrite(stage.escrow, at, lambda balance: balance + 1)
    assert {f.rule for f in lived.audit().findings} == {"ESC-1", "ESC-15"}


def test_an_overwritten_tally_is_found(lived: Lived, overwrite: Overwrite) -> None:
    stage = lived.stage
    overwrite(stage.escrow, tally_key(stage.address("advisor")), lambda tally: tally + (1 << 128))
    [finding] = lived.audit().findings
    assert (finding.rule, finding.expected, finding.found) == (
        "ESC-10",
        "2 ratings, sum 7",
        "2 ratings, sum 8",
    )


def test_tokens_that_vanished_from_the_escrow_are_found(lived: Lived, overwrite: Overwrite) -> None:
    stage = lived.stage
    key = int.from_bytes(keccak(word(stage.escrow) + word(0)), "big")  # TestUSD's first variable
    overwrite(stage.token, key, lambda held: held - 78)
    [finding] = lived.audit().findings
    assert finding.rule == "ESC-1"
    assert int(finding.expected.split()[-1]) - int(finding.found) == 1


def test_the_report_says_all_and_is_written_whole(
    lived: Lived, overwrite: Overwrite, tmp_path: Path
) -> None:
    session = lived.day.ids["running"]
    overwrite(lived.stage.escrow, slot_key(session), lambda slot: slot + (1 << 96))
    verdict = lived.audit()
    path = write(verdict, tmp_path / "new" / "folder")
    report = json.loads(path.read_text())
    assert report == as_json(verdict)
    assert report["ok"] is False
    [finding] = [f for f in report["findings"] if f["rule"] == "ESC-4"]
    assert finding["session"] == to_hex(session)
    assert int(finding["found"]) == int(finding["expected"].split()[-1]) + 1
    assert [each.name for each in path.parent.iterdir()] == ["audit.json"]
    assert line(verdict).startswith(f"AUDIT FAILED findings={len(verdict.findings)} sessions=14 ")


def test_a_report_that_cannot_be_written_says_where(lived: Lived, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportNotWritten, match="file"):
        write(lived.audit(), tmp_path / "file" / "below")


# ---------------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a replay leaves it: a stopped Ganache with one closed session, and a manifest."""
    folder = tmp_path_factory.mktemp("replayed")
    with (
        LocalChain.start(directory=folder / "chain", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        manifest = deploy(node, chain.accounts["operator"], test_token=True)
        manifest.save(folder / "manifest.json")
        stage = Stage(chain, node, contracts=manifest)
        terms = stage.terms()
        stage.open(terms, 20_000_000)
        stage.wait(300)
        stage.close(terms, 5)
        stage.rate(terms, 4)
    return folder


def test_the_command_starts_a_replay_s_chain_and_ends_with_the_verdict(replayed: Path) -> None:
    done = CliRunner().invoke(app, ["--chain", str(replayed)])
    assert done.exit_code == 0, done.output
    last = "AUDIT OK sessions=1 fees=4.500012 refunds=15.499988 tips=0 ratings=1"
    assert done.stdout.splitlines()[-1] == last
    assert json.loads((replayed / "audit.json").read_text())["ok"] is True


def test_the_command_finds_the_contracts_of_a_running_chain_by_itself(
    replayed: Path, tmp_path: Path
) -> None:
    with LocalChain.start(directory=replayed / "chain") as chain:
        done = CliRunner().invoke(app, ["--rpc", chain.url, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith("AUDIT OK sessions=1 ")
    assert (tmp_path / "audit.json").is_file()


def test_the_command_ends_with_1_and_the_finding_if_a_session_was_overwritten(
    tmp_path: Path,
) -> None:
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        manifest = deploy(node, chain.accounts["operator"], test_token=True)
        stage = Stage(chain, node, contracts=manifest)
        terms = stage.terms()
        stage.open(terms, 20_000_000)
        at = to_hex(slot_key(stage.id_of(terms)).to_bytes(32, "big"))
        node.request("anvil_setStorageAt", [to_hex(stage.escrow), at, to_hex(bytes(32))])
        node.request("evm_mine")
        done = CliRunner().invoke(app, ["--rpc", chain.url, "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1].startswith("AUDIT FAILED findings=")
    findings = json.loads((tmp_path / "audit.json").read_text())["findings"]
    assert {f["session"] for f in findings} == {to_hex(stage.id_of(terms))}


def test_the_command_refuses_what_it_cannot_audit(replayed: Path, tmp_path: Path) -> None:
    def refusal(*arguments: str) -> BaseException | None:
        return CliRunner().invoke(app, list(arguments)).exception

    nobody = "http://127.0.0.1:9"
    assert isinstance(refusal(), AuditPlaceUnclear)
    assert isinstance(refusal("--rpc", nobody, "--chain", str(replayed)), AuditPlaceUnclear)
    assert isinstance(refusal("--chain", str(tmp_path)), AuditPlaceUnclear)
    assert isinstance(refusal("--rpc", nobody, "--out", str(tmp_path)), NodeUnreachable)
    (tmp_path / "bad.json").write_text("{}")
    bad = refusal("--chain", str(replayed), "--manifest", str(tmp_path / "bad.json"))
    assert isinstance(bad, ManifestUnreadable)
    with LocalChain.start(engine="ganache") as other:
        assert isinstance(refusal("--rpc", other.url), NoDeployment)
        manifest = str(replayed / "manifest.json")
        assert isinstance(refusal("--rpc", other.url, "--manifest", manifest), ChainReset)
    assert Manifest.load(replayed / "manifest.json").chain_id == 1337
    assert not (tmp_path / "audit.json").exists()
