"""`honorarium chain` and `honorarium deploy`, as people run them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from eth_account import Account

from conftest import Place
from honorarium.artifacts import CONTRACTS
from honorarium.chain import LocalChain, Manifest, Node
from honorarium.chain.deploy import address_on_every_chain, shown
from honorarium.chain.node import to_hex

PROGRAM = [sys.executable, "-m", "honorarium.cli"]


def honorarium(
    *words: str | Path, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HONORARIUM_")}
    return subprocess.run(
        [*PROGRAM, *map(str, words)],
        cwd=cwd,
        env={**kept, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def secret(chain: LocalChain) -> str:
    return to_hex(chain.accounts["operator"].secret())


def test_deploy_writes_a_manifest_that_verifies(tmp_path: Path) -> None:
    with LocalChain.start(engine="anvil") as chain:
        done = honorarium(
            *("deploy", "--rpc", chain.url, "--test-token"),
            cwd=tmp_path,
            HONORARIUM_KEY=secret(chain),
        )
        assert done.returncode == 0, done.stderr
        [path] = (tmp_path / "deployments").iterdir()
        with Node(chain.url) as node:
            assert path.name == f"31337-{node.genesis_hash.hex()[:8]}.json"
            genesis = node.genesis_hash
        assert Manifest.load(path).genesis_hash == genesis
        for name in CONTRACTS:
            assert shown(address_on_every_chain(name)) in done.stdout
        assert secret(chain)[2:] not in done.stdout + done.stderr

        checked = honorarium("deploy", "--rpc", chain.url, "--verify", cwd=tmp_path)
        assert checked.returncode == 0, checked.stderr
        assert "VERIFIED" in checked.stdout

        with Node(chain.url) as node:
            where = to_hex(address_on_every_chain("TipJar"))
            node.request("anvil_setCode", [where, "0x00"])
        changed = honorarium("deploy", "--rpc", chain.url, "--verify", cwd=tmp_path)
        assert changed.returncode == 1
        assert "DIFFERENT" in changed.stderr
        assert "TipJar" in changed.stderr


def test_verify_needs_no_manifest(anvil: Place, tmp_path: Path) -> None:
    done = honorarium("deploy", "--rpc", anvil.chain.url, "--verify", cwd=tmp_path)
    assert (done.returncode, "VERIFIED" in done.stdout) == (0, True), done.stderr


def test_verify_tells_a_chain_that_was_started_anew(
    anvil: Place, ganache: Place, tmp_path: Path
) -> None:
    anvil.manifest.save(tmp_path / "old.json")
    with LocalChain.start(engine="anvil") as chain:
        words = ("deploy", "--rpc", chain.url, "--verify", "--manifest", "old.json")
        done = honorarium(*words, cwd=tmp_path)
        assert (done.returncode, "started anew" in done.stderr) == (1, True)
        # Nor does deploying overwrite the other chain's manifest.
        before = (tmp_path / "old.json").read_text()
        changing = ("deploy", "--rpc", chain.url, "--manifest", "old.json")
        done = honorarium(*changing, cwd=tmp_path, HONORARIUM_KEY=secret(chain))
        assert (done.returncode, "ChainReset" in done.stderr) == (2, True)
        assert (tmp_path / "old.json").read_text() == before
    words = ("deploy", "--rpc", ganache.chain.url, "--verify", "--manifest", "old.json")
    done = honorarium(*words, cwd=tmp_path)
    assert (done.returncode, "serves chain 1337" in done.stderr) == (1, True)


def test_a_key_file_pays_with_the_right_password_alone(anvil: Place, tmp_path: Path) -> None:
    stored = Account.encrypt(anvil.key("operator").secret(), "correct", kdf="pbkdf2", iterations=2)
    (tmp_path / "key.json").write_text(json.dumps(stored))
    words = ("deploy", "--rpc", anvil.chain.url, "--keystore", "key.json")
    done = honorarium(*words, cwd=tmp_path, HONORARIUM_PASSWORD="correct")
    assert done.returncode == 0, done.stderr
    assert shown(anvil.key("operator").address) in done.stdout
    done = honorarium(*words, cwd=tmp_path, HONORARIUM_PASSWORD="wrong")
    assert (done.returncode, "password" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "HONORARIUM_KEY: it is not set"),
        ({"HONORARIUM_KEY": "0x1234"}, "64 hexadecimal digits"),
        ({"HONORARIUM_KEY": "not a key"}, "64 hexadecimal digits"),
        ({"HONORARIUM_KEY": "00" * 32}, "64 hexadecimal digits"),
    ],
)
def test_without_a_usable_key_nothing_happens(
    anvil: Place, tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    done = honorarium("deploy", "--rpc", anvil.chain.url, cwd=tmp_path, **environment)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_is_down_is_one_sentence(tmp_path: Path) -> None:
    done = honorarium("deploy", "--rpc", "http://127.0.0.1:1", "--verify", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("NodeUnreachable: no node answers at http://127.0.0.1:1")
    assert done.stderr.count("\n") == 1


def test_wrong_words_are_answered_with_the_usage(tmp_path: Path) -> None:
    done = honorarium("deploy", cwd=tmp_path)
    assert (done.returncode, "--rpc" in done.stderr) == (2, True)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_chain_in_the_foreground_shows_what_is_needed_and_stops_in_good_order(
    tmp_path: Path, end: signal.Signals
) -> None:
    port = subprocess.run(
        [Path(__file__).parent.parent / "scripts" / "free-port"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    command = [*PROGRAM, "chain", "--engine", "anvil", "--port", port, "--dir", "c", "--deploy"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        printed = ""
        for line in running.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        manifest = Manifest.load(tmp_path / "c" / "manifest.json")
        with Node(f"http://127.0.0.1:{port}") as node:
            assert node.genesis_hash == manifest.genesis_hash
            assert to_hex(node.genesis_hash) in printed
        for name in ("operator", "advisor", "client", "payer", "platform"):
            assert re.search(rf"{name}\s+0x[0-9a-fA-F]{{40}}\s+0x[0-9a-f]{{64}}\n", printed)
        assert shown(manifest.address("SessionEscrow")) in printed
        running.send_signal(end)
        assert running.wait(30) == 0
    record = json.loads((tmp_path / "c" / "chain.json").read_text())
    assert record["pid"] == 0
    with (
        LocalChain.start(engine="anvil", directory=tmp_path / "c") as chain,
        Node(chain.url) as node,
    ):
        assert node.genesis_hash == manifest.genesis_hash
        assert node.code(manifest.address("TipJar"))
