"""A local chain keeps what it is told to keep, and ends with whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

from honorarium.chain import (
    ChainInUse,
    ChainNotStarted,
    DirectoryNotOurs,
    Engine,
    EngineMissing,
    LocalChain,
    Node,
    Sender,
)
from honorarium.errors import NodeUnreachable
from honorarium.units import UnixTime

ENGINES = get_args(Engine)
CLOCK = UnixTime(1_600_000_000)

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for_end(pid: int) -> bool:
    deadline = time.monotonic() + 15
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not runs(pid)


def test_named_accounts_are_funded_and_can_send(engine: Engine) -> None:
    with (
        LocalChain.start(engine=engine, names=("anna", "ben")) as chain,
        Node(chain.url) as node,
    ):
        assert set(chain.accounts) == {"anna", "ben"}
        ben = chain.accounts["ben"].address
        before = node.balance(ben)
        Sender(node, chain.accounts["anna"]).transact(ben, b"", value=7)
        assert node.balance(ben) == before + 7
        assert before > 10**24


def test_a_chain_in_a_directory_goes_on_where_it_was(engine: Engine, tmp_path: Path) -> None:
    with LocalChain.start(engine=engine, directory=tmp_path, clock=CLOCK) as chain:
        with Node(chain.url) as node:
            genesis = node.genesis_hash
            client = chain.accounts["client"].address
            node.set_time(UnixTime(CLOCK + 1000))
            Sender(node, chain.accounts["operator"]).transact(client, b"", value=9)
            money, latest = node.balance(client), node.block()
        accounts = chain.accounts
    with (
        LocalChain.start(engine=engine, directory=tmp_path, clock=UnixTime(1)) as chain,
        Node(chain.url) as node,
    ):
        assert node.genesis_hash == genesis
        assert {n: k.address for n, k in chain.accounts.items()} == {
            n: k.address for n, k in accounts.items()
        }
        assert node.balance(client) == money
        assert node.block() == latest
        node.request("evm_mine")
        assert 0 <= node.block().timestamp - latest.timestamp < 10  # not today
        node.set_time(UnixTime(latest.timestamp + 60))
        node.request("evm_mine")
        assert node.block().timestamp == latest.timestamp + 60


def test_no_two_chains_begin_with_the_same_block(engine: Engine, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        with (
            LocalChain.start(engine=engine, directory=folder, clock=CLOCK) as chain,
            Node(chain.url) as node,
        ):
            found.append(node.genesis_hash)
    # Begun anew in the same directory: the accounts stay, the first block does not.
    data = tmp_path / "two" / ("db" if engine == "ganache" else "state.json")
    data.rename(tmp_path / "away")
    with (
        LocalChain.start(engine=engine, directory=tmp_path / "two", clock=CLOCK) as chain,
        Node(chain.url) as node,
    ):
        found.append(node.genesis_hash)
    assert len(set(found)) == 3


def test_a_chain_that_stopped_answers_no_more_and_leaves_nothing(engine: Engine) -> None:
    chain = LocalChain.start(engine=engine)
    pid, folder, url = chain.pid, chain.directory, chain.url
    assert runs(pid)
    chain.stop()
    chain.stop()
    assert not runs(pid)
    assert not folder.exists()
    with pytest.raises(NodeUnreachable):
        Node(url).request("eth_chainId")


def test_a_directory_serves_one_chain_at_a_time(engine: Engine, tmp_path: Path) -> None:
    with LocalChain.start(engine=engine, directory=tmp_path) as chain:
        with pytest.raises(ChainInUse) as caught:
            LocalChain.start(engine=engine, directory=tmp_path)
        assert caught.value.url == chain.url
        with Node(chain.url) as node:
            assert node.block().number == 0  # undisturbed


def test_a_directory_of_the_other_engine_is_refused(engine: Engine, tmp_path: Path) -> None:
    other = next(each for each in ENGINES if each != engine)
    LocalChain.start(engine=other, directory=tmp_path).stop()
    with pytest.raises(DirectoryNotOurs, match=f"{other}, not of {engine}"):
        LocalChain.start(engine=engine, directory=tmp_path)


def test_a_damaged_record_is_refused_and_kept(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "chain.json").write_text("{")
    with pytest.raises(DirectoryNotOurs, match=r"chain\.json is not readable"):
        LocalChain.start(engine=engine, directory=tmp_path)
    assert (tmp_path / "chain.json").read_text() == "{"


def test_a_port_that_is_taken_is_named(engine: Engine) -> None:
    with LocalChain.start(engine=engine) as chain:
        port = int(chain.url.rpartition(":")[2])
        with pytest.raises(ChainNotStarted, match=f"port {port} is taken"):
            LocalChain.start(engine=engine, port=port)


def test_an_engine_that_is_not_installed_says_how_to_install_it(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("honorarium.chain.local.__file__", str(tmp_path / "local.py"))
    with pytest.raises(EngineMissing, match="npm ci"):
        LocalChain.start(engine=engine)


OWNER = """
import sys, time
from pathlib import Path
from honorarium.chain import LocalChain, Node, Sender
chain = LocalChain.start(engine=sys.argv[1], directory=Path(sys.argv[2]), clock=1600000000)
Sender(Node(chain.url), chain.accounts["operator"]).transact(chain.accounts["client"].address, b"")
print("ready", flush=True)
time.sleep(600)
"""


def killed_owner(engine: Engine, folder: Path) -> int:
    """Starts a program that starts a chain, kills it with -9; the chain's process number."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, engine, str(folder)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        pid = int(json.loads((folder / "chain.json").read_text())["pid"])
        assert runs(pid)
        os.kill(owner.pid, signal.SIGKILL)
    return pid


def test_a_chain_ends_with_its_owner_even_at_kill_9(engine: Engine, tmp_path: Path) -> None:
    assert wait_for_end(killed_owner(engine, tmp_path))


def test_a_chain_whose_owner_was_killed_goes_on_at_the_next_start(
    engine: Engine, tmp_path: Path
) -> None:
    killed_owner(engine, tmp_path)
    # At once, while the old one may still be writing its data down.
    with LocalChain.start(engine=engine, directory=tmp_path) as chain, Node(chain.url) as node:
        assert node.block().number == 1


def test_a_chain_that_outlived_its_owner_is_ended_by_the_next_start(
    engine: Engine, tmp_path: Path
) -> None:
    LocalChain.start(engine=engine, directory=tmp_path).stop()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as orphan:
        stat = Path(f"/proc/{orphan.pid}/stat").read_text()
        record = json.loads((tmp_path / "chain.json").read_text())
        record |= {"pid": orphan.pid, "started": stat.rpartition(")")[2].split()[19]}
        (tmp_path / "chain.json").write_text(json.dumps(record))
        LocalChain.start(engine=engine, directory=tmp_path).stop()
        assert orphan.wait(5) == -signal.SIGTERM


def test_a_process_that_only_has_the_same_number_is_left_alone(
    engine: Engine, tmp_path: Path
) -> None:
    LocalChain.start(engine=engine, directory=tmp_path).stop()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        record = json.loads((tmp_path / "chain.json").read_text())
        record |= {"pid": stranger.pid, "started": "1"}
        (tmp_path / "chain.json").write_text(json.dumps(record))
        LocalChain.start(engine=engine, directory=tmp_path).stop()
        assert stranger.poll() is None
        stranger.kill()
