"""The main job, as its user runs it: the command line, a real Ganache, files."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from honorarium.chain import LocalChain, Node
from honorarium.errors import NodeUnreachable

ROOT = Path(__file__).resolve().parent.parent
CALLS = ROOT / "examples" / "calls.csv"
TARIFFS = ROOT / "examples" / "tariffs.toml"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "honorarium.cli", *map(str, arguments)]


def honorarium(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole sample, replayed once."""
    folder = tmp_path_factory.mktemp("sample")
    done = honorarium("replay", CALLS, "--tariffs", TARIFFS, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder


def independent_fees(calls: Path, tariffs: Path) -> dict[str, tuple[int, int]]:
    """Call -> (fee, platform's part) in base units, from the two files and nothing of ours.

    Unit by unit, as one would bill by hand.
    """
    tables = tomllib.loads(tariffs.read_text())
    bills = {}
    for row in rows(calls):
        seconds = int(row["service_seconds"])
        if row["outcome"] != "AGENT" or not row["agent"] or seconds == 0:
            continue
        table = tables.get(row["service"], tables["default"])
        size = table["unit_seconds"]
        units = 1 if size == 0 else (seconds + size - 1) // size
        fee = Decimal(table.get("connect_fee", "0")) if row["priority"] == "2" else Decimal(0)
        for unit in range(1, min(units, table["max_units"]) + 1):
            if table.get("step_units") and unit > table["step_units"]:
                fee += Decimal(table["step_price"])
            elif unit > table.get("included_units", 0):
                fee += Decimal(table["unit_price"])
        base = int(fee * 10**6)
        bills[row["call"]] = base, base * table.get("platform_bps", 0) // 10_000
    return bills


def test_the_sample_pays_what_records_and_tariffs_give_by_hand(replayed: Path) -> None:
    bills = independent_fees(CALLS, TARIFFS)
    sessions = {row["call"]: row for row in rows(replayed / "sessions.csv")}
    for call, (fee, platform_fee) in bills.items():
        assert int(sessions[call]["fee"]) == fee
        assert int(sessions[call]["platform_fee"]) == platform_fee
    for call in sessions.keys() - bills.keys():
        assert sessions[call]["fee"] == "0"
    found = summary(replayed)
    assert found["fees"] == sum(fee for fee, _ in bills.values())
    assert found["platform_fees"] == sum(part for _, part in bills.values())
    assert found["paid"] == len(bills) == 180


def test_the_sample_holds_every_kind_and_drops_nothing(replayed: Path) -> None:
    found = summary(replayed)
    kinds = ("paid", "zero", "abandoned", "robot_only", "phantom", "refused")
    assert [found[kind] for kind in kinds] == [180, 1, 44, 20, 3, 2]
    assert found["calls"] == sum(found[kind] for kind in kinds) == 250
    assert len(rows(replayed / "sessions.csv")) == 180 + 1 + 44
    assert len(rows(replayed / "refused.csv")) == 2
    assert all(row["reason"] for row in rows(replayed / "refused.csv"))


def test_deposits_are_fees_and_refunds_to_the_last_unit(replayed: Path) -> None:
    found = summary(replayed)
    sessions = rows(replayed / "sessions.csv")
    assert found["deposits"] == found["fees"] + found["refunds"]
    assert found["fees"] == sum(int(row["fee"]) for row in sessions)
    assert found["refunds"] == sum(int(row["refund"]) for row in sessions)
    assert found["made_up"] == ["ratings", "tips"]
    assert found["ratings"] > 0 < found["tips"]


def test_sessions_open_and_close_at_the_recorded_seconds(replayed: Path) -> None:
    calls = {row["call"]: row for row in rows(CALLS)}
    for session in rows(replayed / "sessions.csv"):
        row = calls[session["call"]]
        if session["fee"] == "0":
            continue
        hour, minute, second = map(int, row["service_start"].split(":"))
        assert int(session["opened_at"]) % 86_400 == hour * 3600 + minute * 60 + second
        lasted = int(session["closed_at"]) - int(session["opened_at"])
        assert lasted == int(row["service_seconds"])


def test_the_sample_audits_clean_and_to_the_same_sums(replayed: Path) -> None:
    done = honorarium("audit", "--chain", replayed, "--out", replayed)
    assert done.returncode == 0, done.stderr
    verdict = done.stdout.splitlines()[-1]
    found = summary(replayed)
    sums = [
        f"{name}={Decimal(found[name]).scaleb(-6).normalize():f}"
        for name in ("fees", "refunds", "tips")
    ]
    assert verdict == f"AUDIT OK sessions=225 {' '.join(sums)} ratings={found['ratings']}"


def test_a_manifest_that_names_a_later_block_hides_nothing(replayed: Path, tmp_path: Path) -> None:
    for name in ("chain", "manifest.json"):
        copy = shutil.copytree if name == "chain" else shutil.copy
        copy(replayed / name, tmp_path / name)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for block in (300, 10**6):
        (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "block": block}))
        done = honorarium("audit", "--chain", tmp_path)
        assert done.returncode == 2
        assert f"came in block {block}" in done.stderr


def test_a_replay_that_is_done_does_nothing_more(replayed: Path) -> None:
    before, sessions = summary(replayed), (replayed / "sessions.csv").read_bytes()
    again = honorarium("replay", CALLS, "--tariffs", TARIFFS, "--out", replayed)
    assert again.returncode == 0, again.stderr
    after = summary(replayed)
    assert (replayed / "sessions.csv").read_bytes() == sessions
    for name in ("gas", "fees", "refunds", "tips", "ratings", "transactions"):
        assert after[name] == before[name]


def test_a_replay_killed_twice_goes_on_and_pays_nothing_twice(
    replayed: Path, tmp_path: Path
) -> None:
    arguments = ("replay", CALLS, "--tariffs", TARIFFS, "--out", tmp_path, "--limit", "100")
    for wait in (6.0, 7.0):
        running = subprocess.Popen(
            command(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(wait)
        running.send_signal(signal.SIGKILL)
        running.wait()
    done = honorarium(*arguments)
    assert done.returncode == 0, done.stderr
    whole = {row["call"]: row for row in rows(replayed / "sessions.csv")}
    parts = ("call", "client", "advisor", "opened_at", "closed_at", "units", "fee", "refund")
    found = rows(tmp_path / "sessions.csv")
    assert len(found) > 50
    for session in found:
        assert {p: session[p] for p in parts} == {p: whole[session["call"]][p] for p in parts}


def test_a_folder_with_another_replay_is_refused(replayed: Path) -> None:
    done = honorarium("replay", CALLS, "--out", replayed, "--limit", "10")
    assert done.returncode == 2
    assert "OtherReplay" in done.stderr
    assert summary(replayed)["calls"] == 250


@pytest.fixture
def later_chain(request: pytest.FixtureRequest) -> Iterator[LocalChain]:
    with LocalChain.start(engine=request.param) as chain:
        yield chain


@pytest.mark.parametrize("later_chain", ["ganache", "anvil"], indirect=True)
def test_a_chain_that_is_later_shifts_the_dates_by_whole_days(
    later_chain: LocalChain, tmp_path: Path
) -> None:
    arguments = ("--tariffs", TARIFFS, "--out", tmp_path, "--limit", "40")
    # Ganache has unlocked accounts, of which the first one pays; elsewhere the key is given.
    key = later_chain.accounts["operator"].secret().hex()
    env = {} if later_chain.engine == "ganache" else {"HONORARIUM_KEY": key}
    done = honorarium("replay", CALLS, *arguments, "--rpc", later_chain.url, **env)
    assert done.returncode == 0, done.stderr
    found = summary(tmp_path)
    assert found["shifted_days"] > 9_000  # from 1999 to now
    bills = independent_fees(CALLS, TARIFFS)
    calls = {row["call"]: row for row in rows(CALLS)}
    sessions = rows(tmp_path / "sessions.csv")
    for session in sessions:
        assert int(session["fee"]) == bills.get(session["call"], (0, 0))[0]
        if session["fee"] != "0":
            hour, minute, second = map(int, calls[session["call"]]["service_start"].split(":"))
            assert int(session["opened_at"]) % 86_400 == hour * 3600 + minute * 60 + second
    with Node(later_chain.url) as node:
        assert node.block().timestamp >= max(int(row["closed_at"]) for row in sessions)


def test_no_coin_leaves_before_the_chain_is_known_to_be_local(tmp_path: Path) -> None:
    anvil = next(ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--chain-id", "424242", "--silent"]
    with subprocess.Popen([anvil, *options]) as chain:
        try:
            with Node(f"http://127.0.0.1:{port}") as node:
                for _ in range(100):
                    try:
                        account = node.request("eth_accounts")[0]
                        break
                    except NodeUnreachable:
                        time.sleep(0.1)
                before = node.request("eth_getBalance", [account, "latest"])
                done = honorarium("replay", CALLS, "--out", tmp_path, "--rpc", node.url)
                assert done.returncode == 2
                assert "LocalChainsOnly" in done.stderr
                assert node.request("eth_getBalance", [account, "latest"]) == before
        finally:
            chain.terminate()


def test_a_node_that_is_down_is_one_clear_sentence(tmp_path: Path) -> None:
    done = honorarium("replay", CALLS, "--out", tmp_path, "--rpc", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "NodeUnreachable" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_columns_are_named_before_a_chain_is_started(tmp_path: Path) -> None:
    calls = tmp_path / "calls.csv"
    calls.write_text("call,customer\nA,B\n")
    done = honorarium("replay", calls, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "WrongColumns" in done.stderr
    assert "service_seconds" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_tariff_file_with_a_mistake_names_table_and_key(tmp_path: Path) -> None:
    tariffs = tmp_path / "tariffs.toml"
    tariffs.write_text('[default]\nunit_seconds = 60\nunit_price = "0.0000001"\nmax_units = 5\n')
    done = honorarium("replay", CALLS, "--tariffs", tariffs, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "[default]" in done.stderr
    assert "unit_price" in done.stderr


def test_one_date_is_replayed_alone(tmp_path: Path) -> None:
    done = honorarium("replay", CALLS, "--out", tmp_path, "--date", "1999-02-10", "--limit", "8")
    assert done.returncode == 0, done.stderr
    wanted = [row["call"] for row in rows(CALLS) if row["date"] == "1999-02-10"]
    assert summary(tmp_path)["calls"] == min(8, len(wanted))
    assert {row["call"] for row in rows(tmp_path / "sessions.csv")} <= set(wanted)
