"""Commands that are killed, files and folders that somebody else prepared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import Place
from distrust import lying
from honorarium.chain import Contracts, Node
from test_cli import PROGRAM, Desk, desk_on


@pytest.fixture
def desk(place: Place, node: Node, tmp_path: Path) -> Desk:
    return desk_on(place, node, tmp_path)


def killed(desk: Desk, place: Place, at: int, *words: object) -> bool:
    """Runs a command of the client's and kills it once its `at`-th transaction is with the node,
    before it hears of it. Whether it came so far.
    """
    running: list[subprocess.Popen[bytes]] = []
    sent: list[str] = []

    def kill(method: str, params: list[Any], true: Any) -> Any:
        if method == "eth_sendRawTransaction":
            sent.append(method)
            if len(sent) == at:
                running[0].send_signal(signal.SIGKILL)
        return true

    with lying(place.chain.url, kill) as url:
        own = {"HONORARIUM_KEY": desk.client.secret().hex(), "HONORARIUM_RPC": url}
        program = subprocess.Popen(
            [*PROGRAM, *map(str, words)],
            cwd=desk.folder,
            env={**os.environ, **desk.places, **own},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running.append(program)
        return program.wait(timeout=60) == -signal.SIGKILL


@pytest.mark.parametrize("at", [1, 2])
def test_a_command_that_is_killed_and_given_again_pays_once(
    desk: Desk, place: Place, node: Node, at: int
) -> None:
    quote = desk.quote("--price", "1", "--max-units", "20")
    contracts = Contracts.attach(node, place.manifest, desk.folder / "state")
    token, me = contracts.default_token(), desk.client.address

    def held() -> int:
        return int(contracts.wallet(token, me)) + int(contracts.balance(token, me))

    def wallet() -> int:
        return int(contracts.wallet(token, me))

    whole = held()
    assert killed(desk, place, at, "open", quote)
    session = desk.told(desk.client, "open", quote)["session"]
    assert held() == whole - 20_000_000
    for words, paid, out in (
        (("tip", session, "3"), 3_000_000, 3_000_000),
        (("deposit", "7"), 0, 7_000_000),
        (("withdraw", "5"), 0, -5_000_000),
    ):
        before, in_wallet = held(), wallet()
        was_killed = killed(desk, place, at, *words)
        assert was_killed == (at == 1 or words[0] != "withdraw")
        again = desk.told(desk.client, *words) if was_killed else {}
        assert (before - held(), in_wallet - wallet()) == (paid, out)
        # Killed after the approval alone nothing of it had begun.
        assert ("note" in again) == (was_killed and (at == 2 or words[0] == "withdraw"))
    killed(desk, place, at, "topup", session, "25")
    before = held()
    desk.run(desk.client, "doctor", "--mend")
    held_now = json.loads(desk.run(None, "session", session, "--json").stdout)["deposit"]
    assert held_now["amount"] in ("20", "25")
    assert before - held() in (0, 5_000_000)
    desk.told(desk.client, "tip", session, "3")  # and meant a second time it is done again
    assert before - held() >= 3_000_000


def test_a_meter_key_that_others_may_know_is_not_used(desk: Desk) -> None:
    desk.told(desk.client, "account", "show")
    folder = desk.folder / "state"
    key = folder / "meter.key"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    assert "chmod 600" in desk.refused(desk.client, "account", "show")["message"]
    key.chmod(0o600)
    elsewhere = key.rename(folder / "elsewhere")
    key.symlink_to(elsewhere)
    assert desk.refused(desk.client, "account", "show")["error"] == "KeyUnusable"
    key.unlink()
    key.write_text("no key")
    key.chmod(0o600)
    assert "64" in desk.refused(desk.client, "account", "show")["message"]


def test_a_node_address_never_shows_its_access_key(desk: Desk) -> None:
    words = ("balance", "--rpc", "http://me:secret1@127.0.0.1:9/v3/secret2?key=secret3")
    for form in ((), ("--json",)):
        done = desk.run(desk.client, *words, *form, expect=2)
        assert "secret" not in done.stdout + done.stderr


def test_what_others_wrote_steers_no_terminal(desk: Desk, place: Place) -> None:
    def paint(method: str, params: list[Any], true: Any) -> Any:
        return "\x1b]0;owned\x07\x1b[2J[/][red]" if method == "web3_clientVersion" else true

    with lying(place.chain.url, paint) as url:
        done = desk.run(None, "doctor", "--rpc", url)
        assert "\x1b]0" not in done.stdout
        assert "[/][red]" in done.stdout
    bad = desk.folder / "\x1b[2Jbad.json"
    bad.write_text("{}")
    assert "\x1b[2J" not in desk.run(desk.client, "open", bad, expect=2).stderr


def test_hostile_files_are_refused_in_a_sentence_and_cost_nothing(desk: Desk, node: Node) -> None:
    quote = json.loads(desk.quote("--price", "1", "--max-units", "20").read_text())
    text = json.dumps(quote)
    bad = desk.folder / "bad.json"
    for hostile in (
        "[" * 200_000,
        '{"a":' * 100_000,
        "[]",
        "7",
        "NaN",
        '"x"',
        text.replace('"chainId":', '"chainId": 1, "chainId":'),
        text.replace('"unitPrice":', '"unitPrice": "1", "unitPrice":'),
        text.replace('"maxUnits": 20', '"maxUnits": 20.0'),
        text.replace('"maxUnits": 20', '"maxUnits": true'),
        text.replace('"maxUnits": 20', '"maxUnits": NaN'),
        text.replace('"maxUnits": 20', '"maxUnits": 1e400'),
        text.replace('"maxUnits": 20', f'"maxUnits": {"9" * 4000}'),
        text.replace('"maxUnits": 20', f'"maxUnits": {"9" * 9000}'),
        text.replace('"maxUnits": 20', '"maxUnits": -1'),
        text.replace('"maxUnits": 20', '"maxUnits": "\\ud800"'),
        text + " " * 2**24,
    ):
        bad.write_text(hostile)
        found = desk.refused(desk.client, "open", bad)
        assert found["error"] in ("DocumentUnreadable", "InputError"), hostile[:80]
        desk.refused(desk.advisor, "settle", desk.folder / "quote.json", "--voucher", bad)
    assert node.transaction_count(desk.client.address) == 0


def test_a_quote_that_somebody_else_pays_approves_nothing(desk: Desk, node: Node) -> None:
    other = "0x" + "77" * 20
    quote = desk.quote("--price", "1", "--max-units", "20", "--payer", other)
    assert desk.refused(desk.client, "open", quote)["error"] == "SignatureMissing"
    assert node.transaction_count(desk.client.address) == 0


def test_a_file_named_like_a_session_is_not_taken_for_it(
    desk: Desk, place: Place, tmp_path: Path
) -> None:
    quote = desk.quote("--price", "1", "--max-units", "20")
    name = "0x" + "ab" * 32
    (tmp_path / name).write_bytes(quote.read_bytes())
    assert desk.refused(desk.client, "topup", name, "30")["error"] == "SessionNotFound"
    assert desk.refused(None, "session", name)["error"] == "SessionNotFound"
