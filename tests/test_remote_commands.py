"""The commands through a desk, and the main job through one: real processes, a real chain."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from honorarium.chain import Contracts, LocalChain, calls
from honorarium.chain.deploy import shown
from honorarium.protocol import Key
from serving import Serving

ROOT = Path(__file__).resolve().parent.parent
CALLS, TARIFFS = ROOT / "examples" / "calls.csv", ROOT / "examples" / "tariffs.toml"
COMMAND = [sys.executable, "-m", "honorarium.cli"]
MONEY = 10**9


class Person:
    """Somebody with a terminal, a key and no node."""

    def __init__(self, desk: Serving, folder: Path) -> None:
        self.key, self.folder = Key.generate(), folder
        folder.mkdir()
        self.env = {
            **os.environ,
            "HONORARIUM_KEY": "0x" + self.key.secret().hex(),
            "HONORARIUM_STATE": str(folder / "state"),
            "HONORARIUM_DESK": desk.url,
            "HONORARIUM_RPC": "http://127.0.0.1:1",  # nobody is there
        }

    @property
    def address(self) -> str:
        return shown(self.key.address)

    def does(self, *words: str | Path) -> Any:
        done = self._run(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1] if words[0] == "meter" else done.stdout)

    def is_refused(self, *words: str | Path) -> str:
        done = self._run(*words)
        assert done.returncode == 2, done.stdout
        error: str = json.loads(done.stderr)["error"]
        return error

    def _run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, words), "--json"],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [*COMMAND, *words], env=self.env, cwd=self.folder, stdout=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0


def test_a_session_lives_by_commands_without_a_node(
    chain: LocalChain, desk: Serving, tmp_path: Path
) -> None:
    client, advisor = Person(desk, tmp_path / "client"), Person(desk, tmp_path / "advisor")
    with Contracts.connect(chain.url) as contracts:
        minted = calls.mint_batch([client.key.address], [MONEY])
        contracts.sender(chain.accounts["payer"]).transact(contracts.default_token(), minted)
    price = ("--price", "0.50", "--per", "second", "--max-units", "600")
    with advisor.running("agent", "--name", "Ada", *price, "--json") as agent:
        assert agent.stdout is not None
        assert json.loads(agent.stdout.readline())["name"] == "Ada"
        client.does("ask", advisor.address, "standard", "-o", "quote.json")
        signed = json.loads(agent.stdout.readline())
        assert (signed["client"], signed["declined"]) == (client.address, None)
    again = client.is_refused("ask", advisor.address, "standard", "-o", "quote.json")
    assert again == "FileInTheWay"
    opened = client.does("open", "quote.json", "--deposit", "30")
    assert opened["deposit"]["amount"] == "30"
    assert opened["note"] is None
    client.does("topup", "quote.json", "40")
    assert "open already" in client.does("open", "quote.json", "--deposit", "30")["note"]
    ended = client.does("meter", "quote.json", "--answered", "--until", "2", "-o", "v.json")
    assert ended["ended"]
    settled = advisor.does("settle", client.folder / "quote.json")  # what the desk has
    assert (settled["status"], settled["units"]) == ("open", ended["signed"])
    token = advisor.does("account", "token")["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    mine = f"{desk.url}/v1/sessions?advisor={advisor.address}"
    seen = requests.get(mine, headers=bearer, timeout=10)
    assert [each["session"] for each in seen.json()["items"]] == [opened["session"]]
    for _ in range(2):  # meant twice, so done twice
        client.does("tip", "quote.json", "1")
    closed = advisor.does("close", client.folder / "quote.json")
    assert closed["status"] == "closed"
    assert closed["units"] == ended["signed"] > 0
    client.does("rate", "quote.json", "5")
    advisor.does("answer", client.folder / "quote.json", "--text", "thank you")
    fee = int(closed["fee"]["base_units"])
    assert int(advisor.does("withdraw")["withdrawn"]["base_units"]) == fee
    assert advisor.is_refused("withdraw") == "NothingOwed"
    with Contracts.connect(chain.url) as contracts:
        token = contracts.default_token()
        assert int(contracts.wallet(token, client.key.address)) == MONEY - fee - 2_000_000
        assert int(contracts.wallet(token, advisor.key.address)) == fee + 2_000_000


def test_a_replay_through_a_desk_has_the_same_sums_as_on_chain(
    chain: LocalChain, desk: Serving, tmp_path: Path
) -> None:
    def replayed(folder: Path, *more: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
        words = ["replay", str(CALLS), "--tariffs", str(TARIFFS), "--limit", "8"]
        done = subprocess.run(
            [*COMMAND, *words, "--out", str(folder), *more],
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        with (folder / "sessions.csv").open(newline="") as file:
            return json.loads((folder / "summary.json").read_text()), list(csv.DictReader(file))

    on_chain, direct = replayed(tmp_path / "chain")
    through, carried = replayed(tmp_path / "desk", "--desk", desk.url, "--rpc", chain.url)
    sums = ("deposits", "fees", "platform_fees", "refunds", "tips", "ratings", "paid", "abandoned")
    assert {name: through[name] for name in sums} == {name: on_chain[name] for name in sums}
    same = ("call", "client", "advisor", "units", "fee", "platform_fee", "refund")
    assert [[row[name] for name in same] for row in carried] == [
        [row[name] for name in same] for row in direct
    ]
    assert on_chain["fees"] > 0 < on_chain["tips"]
    # Run again, nothing is done twice.
    again, _ = replayed(tmp_path / "desk", "--desk", desk.url, "--rpc", chain.url)
    assert again["gas"] == through["gas"]
