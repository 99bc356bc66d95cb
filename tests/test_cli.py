"""The command line, as people and programs run it, against real chains."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import Place
from honorarium.chain import Node, Sender, calls
from honorarium.chain.deploy import shown
from honorarium.cli import main
from honorarium.protocol import Key

PROGRAM = [sys.executable, "-m", "honorarium.cli"]
COMMANDS = (
    *("chain", "deploy", "doctor", "account", "quote", "revoke", "open", "meter", "close"),
    *("leave", "finalize", "topup", "tip", "rate", "answer", "balance", "withdraw", "session"),
    *("history", "tariff", "settle", "deposit", "replay", "audit", "explain", "statement"),
)


def honorarium(
    words: Sequence[object], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, in this process: to start a new one takes a second each time."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    said = [str(word) for word in words]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("HONORARIUM_")]:
            patch.delenv(name)
        for name, value in {"COLUMNS": "120", **environment}.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["honorarium", *said])
        patch.setattr(sys, "stdin", io.StringIO())
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return subprocess.CompletedProcess(said, code, out.getvalue(), err.getvalue())


@dataclass
class Desk:
    """A folder where client and advisor run commands, each with their own key."""

    url: str
    folder: Path
    client: Key
    advisor: Key

    def run(
        self, who: Key | None, *words: object, expect: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        own = {} if who is None else {"HONORARIUM_KEY": who.secret().hex()}
        done = honorarium(words, self.folder, {**own, **self.places, **environment})
        assert done.returncode == expect, done.stdout + done.stderr
        for key in (self.client, self.advisor):
            assert key.secret().hex() not in done.stdout + done.stderr
        return done

    @property
    def places(self) -> dict[str, str]:
        return {
            "HONORARIUM_RPC": self.url,
            "HONORARIUM_STATE": str(self.folder / "state"),
            "PYTHONUNBUFFERED": "1",
        }

    def told(self, who: Key | None, *words: object) -> Any:
        """What a command says as JSON."""
        return json.loads(self.run(who, *words, "--json").stdout)

    def refused(self, who: Key | None, *words: object) -> dict[str, Any]:
        """The error of a command, as JSON; its exit code is 2."""
        done = self.run(who, *words, "--json", expect=2)
        found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
        return found

    def quote(self, *options: object) -> Path:
        meter = self.told(self.client, "account", "show")["meter"]
        words = ["quote", "--client", shown(self.client.address), "--meter", meter]
        out = self.folder / f"quote-{len(list(self.folder.glob('quote-*')))}.json"
        self.run(self.advisor, *words, "--out", out, *options)
        return out


def desk_on(place: Place, node: Node, folder: Path) -> Desk:
    """A desk in this folder, whose people have coin and tokens."""
    people = [Key.generate(), Key.generate()]
    rich = Sender(node, place.key("operator"))
    for key in people:
        rich.transact(key.address, b"", value=10**19)
    minted = calls.mint_batch([key.address for key in people], [10**9] * 2)
    rich.transact(place.manifest.address("TestUSD"), minted)
    return Desk(place.chain.url, folder, *people)


@pytest.fixture
def desk(place: Place, node: Node, tmp_path: Path) -> Desk:
    return desk_on(place, node, tmp_path)


def test_a_session_from_quote_to_withdrawal(desk: Desk) -> None:
    quote = desk.quote("--price", "0.5", "--per", "second", "--connect-fee", "2")
    opened = desk.told(desk.client, "open", quote, "--deposit", "40")
    session = opened["session"]
    assert opened["deposit"]["amount"] == "40"
    desk.run(None, "meter", session, "--answered", "--until", 3, "-o", "v.json")
    settled = desk.told(desk.advisor, "settle", session, "--voucher", "v.json")
    assert settled["units"] in (3, 4)
    assert settled["status"] == "open"
    assert desk.told(desk.client, "topup", session, "60")["deposit"]["amount"] == "60"
    lines = desk.run(None, "meter", session, "--until", 2, "-o", "v.json", "--json").stdout
    ended = json.loads(lines.splitlines()[-1])
    assert ended["ended"]
    assert ended["signed"] > settled["units"]
    closed = desk.told(desk.advisor, "close", quote, "--voucher", "v.json")
    assert closed["status"] == "closed"
    assert closed["units"] == ended["signed"]
    fee = 2_000_000 + 500_000 * closed["units"]
    assert int(closed["fee"]["base_units"]) == fee
    assert desk.told(desk.client, "tip", session, "1.25")["tipped"]["amount"] == "1.25"
    rated = desk.told(desk.client, "rate", session, "5", "--text", "knew it by heart")
    assert rated["their_ratings"].startswith("1, 5.00")
    assert "keep_this_blind" in rated
    desk.run(desk.advisor, "answer", session, "--text", "thank you")
    shown_ = desk.told(None, "session", session, "--receipt", "receipt.html", "--vat", "8.1")
    assert (shown_["status"], shown_["score"], shown_["answered"]) == ("closed", 5, True)
    assert "8.1" in (desk.folder / "receipt.html").read_text()
    desk.run(None, "session", quote, "--receipt", "receipt.json")
    assert json.loads((desk.folder / "receipt.json").read_text())
    events = [row["event"] for row in desk.told(None, "history", session)]
    assert events == [
        *("SessionOpened", "Settled", "ToppedUp", "SessionClosed", "Tipped", "Rated", "Answered")
    ]
    account = shown(desk.advisor.address)
    assert len(desk.told(None, "history", account)) == len(events)
    assert "SessionClosed" in desk.run(None, "history", session).stdout
    assert [row["event"] for row in desk.told(None, "history", quote)] == events
    held = desk.told(None, "balance", account)
    assert int(held["withdrawable"]["base_units"]) == fee
    paid = desk.told(desk.advisor, "withdraw")
    assert int(paid["withdrawn"]["base_units"]) == fee
    assert desk.refused(desk.advisor, "withdraw")["error"] == "NothingOwed"


def test_a_client_leaves_and_gets_everything_back(desk: Desk, node: Node) -> None:
    quote = desk.quote("--price", "1", "--max-units", "5", "--grace", "600")
    session = desk.told(desk.client, "open", quote)["session"]
    desk.run(desk.client, "leave", session)
    early = desk.refused(desk.client, "finalize", session)
    assert early["error"] == "GraceRunning"
    assert early["message"].startswith("the advisor may settle until")
    node.request("evm_increaseTime", [601])
    node.request("evm_mine")
    done = desk.told(desk.advisor, "finalize", session)  # anybody may
    assert (done["earned"]["amount"], done["refunded"]["amount"]) == ("0", "5")
    stopped = desk.refused(None, "meter", session)
    assert stopped["error"] == "SessionNotOpen"


def test_a_balance_opens_sessions_too(desk: Desk) -> None:
    assert desk.told(desk.client, "deposit", "20")["balance"]["amount"] == "20"
    quote = desk.quote("--price", "1", "--max-units", "5")
    desk.run(desk.client, "open", quote, "--pay", "balance")
    left = desk.told(desk.client, "balance")
    assert left["withdrawable"]["amount"] == "15"


def test_a_quote_is_not_written_over(desk: Desk) -> None:
    quote = desk.quote("--price", "1")
    before = quote.read_text()
    words = ("quote", "--client", shown(desk.client.address), "--meter", "0x" + "77" * 20)
    refused = desk.refused(desk.advisor, *words, "--price", "2", "-o", quote)
    assert refused["error"] == "FileInTheWay"
    assert quote.read_text() == before


def test_a_revoked_quote_never_opens(desk: Desk) -> None:
    quote = desk.quote("--price", "1")
    desk.run(desk.advisor, "revoke", quote)
    assert desk.refused(desk.client, "open", quote)["error"] == "SessionExists"
    other = Key.generate()
    assert desk.refused(other, "revoke", quote)["error"] == "NobodyToQuote"


def test_open_again_is_the_same_session_paid_once(desk: Desk) -> None:
    quote = desk.quote("--price", "1", "--max-units", "5")
    first = desk.told(desk.client, "open", quote)
    held = desk.told(desk.client, "balance")
    assert desk.told(desk.client, "open", quote)["session"] == first["session"]
    assert desk.told(desk.client, "balance")["wallet"] == held["wallet"]


def test_on_a_terminal_the_terms_are_shown_and_nothing_is_paid_without_a_yes(desk: Desk) -> None:
    quote = desk.quote("--price", "1", "--max-units", "5", "--connect-fee", "100")
    held = desk.told(desk.client, "balance")["wallet"]
    for answer, code in (("n", 2), ("y", 0)):
        ours, theirs = pty.openpty()
        running = subprocess.Popen(
            [*PROGRAM, "open", str(quote)],
            env={**os.environ, **desk.places, "HONORARIUM_KEY": desk.client.secret().hex()},
            cwd=desk.folder,
            stdin=theirs,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.write(ours, f"{answer}\n".encode())
        said, _ = running.communicate(timeout=60)
        os.close(ours)
        os.close(theirs)
        assert running.returncode == code, said
        assert "100 tUSD to connect" in said
        assert "Put 105 tUSD into the escrow" in said
        if answer == "n":
            assert desk.told(desk.client, "balance")["wallet"] == held


def test_a_meter_that_is_killed_goes_on_where_it_was(desk: Desk) -> None:
    quote = desk.quote("--price", "0.1", "--per", "second")
    session = desk.told(desk.client, "open", quote, "--deposit", "50")["session"]
    voucher, seen = desk.folder / "v.json", 0
    for _ in range(3):
        running = subprocess.Popen(
            [*PROGRAM, "meter", session, "--answered", "-o", str(voucher), "--json"],
            env={**os.environ, **desk.places},
            cwd=desk.folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        for line in running.stdout:
            if json.loads(line)["signed"] > seen:
                break
        time.sleep(0.4)
        running.send_signal(signal.SIGKILL)
        running.wait()
        units = json.loads(voucher.read_text())["units"]
        assert units > seen
        seen = units
    time.sleep(1)
    closed = desk.told(desk.advisor, "close", session, "--voucher", "v.json")
    assert closed["units"] == seen


def test_two_meters_of_one_session_do_not_run_at_once(desk: Desk) -> None:
    quote = desk.quote("--price", "0.1", "--per", "second")
    session = desk.told(desk.client, "open", quote, "--deposit", "5")["session"]
    running = subprocess.Popen(
        [*PROGRAM, "meter", session, "--answered", "--json"],
        env={**os.environ, **desk.places},
        cwd=desk.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline()
        assert desk.refused(None, "meter", session)["error"] == "RecordFileBusy"
    finally:
        running.kill()
        running.wait()


def test_what_is_wrong_is_said_in_a_sentence_and_changes_nothing(desk: Desk) -> None:
    quote = desk.quote("--price", "1", "--max-units", "5")
    text = json.loads(quote.read_text())
    text["terms"]["tariff"]["unitPrice"] = "2"
    (desk.folder / "changed.json").write_text(json.dumps(text))
    (desk.folder / "torn.json").write_text(quote.read_text()[:100])
    for words, error in (
        (("open", "nowhere.json"), "InputError"),
        (("open", "changed.json"), "DocumentUnreadable"),
        (("open", "torn.json"), "DocumentUnreadable"),
        (("open", quote, "--deposit", "0.5"), "DepositTooSmall"),
        (("open", quote, "--deposit", "1.0000001"), "AmountNotExact"),
        (("open", quote, "--deposit", "5000000"), "WalletTooSmall"),
        (("session", "0x1234"), "SessionNotFound"),
        (("session", "0x" + "11" * 32), "SessionNotFound"),
        (("tip", "0x" + "11" * 32, "1"), "SessionNotFound"),
        (("balance", "0x1234"), "NotAnAddress"),
        (("balance", "0xD447fF62EE7A322d275B2914991F303c39Fc2fe3"), "NotAnAddress"),
        (("balance", "--token", "0x" + "22" * 20), "TokenWithoutCode"),
        (("withdraw", "3"), "BalanceTooSmall"),
        (("tariff", "--price", "abc"), "AmountNotExact"),
    ):
        told = desk.refused(desk.client, *words)
        assert told["error"] == error, told
        assert len(told["message"]) > 40
    said = desk.run(desk.client, "open", quote, "--deposit", "0.5", expect=2).stderr
    assert said.startswith("DepositTooSmall:")
    assert "Traceback" not in said
    assert desk.told(desk.client, "balance")["wallet"]["amount"] == "1000"


def test_a_voucher_of_another_session_or_a_changed_journal_is_refused(desk: Desk) -> None:
    quote = desk.quote("--price", "0.1", "--per", "second")
    session = desk.told(desk.client, "open", quote, "--deposit", "5")["session"]
    desk.run(None, "meter", session, "--answered", "--until", 1, "-o", "v.json")
    other = desk.told(desk.client, "open", desk.quote("--price", "0.1"), "--deposit", "5")
    wrong = desk.refused(desk.advisor, "close", other["session"], "--voucher", "v.json")
    assert wrong["error"] == "WrongSignature"
    text = json.loads((desk.folder / "v.json").read_text())
    text["entries"][0]["at"] -= 30
    (desk.folder / "v.json").write_text(json.dumps(text))
    wrong = desk.refused(desk.advisor, "close", session, "--voucher", "v.json")
    assert wrong["error"] == "JournalChanged"


def test_nonsense_is_refused_before_it_is_offered(desk: Desk) -> None:
    client = shown(desk.client.address)
    meter = shown(Key.generate().address)
    for options, error in (
        (("--price", "0"), "NothingToPay"),
        (("--price", "1", "--step-price", "2"), "StepPriceWithoutStep"),
        (("--price", "1", "--grace", "60"), "GraceOutOfRange"),
        (("--price", "1", "--platform-bps", "100"), "ShareWithoutRecipient"),
        (("--price", "1", "--holds", "9999999"), "QuoteTooFarAhead"),
    ):
        words = ("quote", "--client", client, "--meter", meter, *options)
        assert desk.refused(desk.advisor, *words)["error"] == error


def test_keys_come_from_files_and_never_from_arguments(desk: Desk) -> None:
    made = json.loads(
        desk.run(None, "account", "new", "a.json", "--json", HONORARIUM_PASSWORD="pw").stdout
    )
    assert (desk.folder / "a.json").stat().st_mode & 0o777 == 0o600
    again = desk.run(None, "account", "new", "a.json", expect=2, HONORARIUM_PASSWORD="pw")
    assert "KeystoreExists" in again.stderr
    seen = desk.run(
        *(None, "account", "show", "--keystore", "a.json", "--json"), HONORARIUM_PASSWORD="pw"
    )
    assert json.loads(seen.stdout)["account"] == made["account"]
    wrong = desk.run(
        *(None, "account", "show", "--keystore", "a.json"), expect=2, HONORARIUM_PASSWORD="other"
    )
    assert "does not open it" in wrong.stderr
    missing = desk.run(None, "withdraw", expect=2)
    assert "KeyUnusable" in missing.stderr


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(desk: Desk, place: Place) -> None:
    checks = {each["what"]: each for each in desk.told(desk.client, "doctor")}
    assert {each["health"] for each in checks.values()} <= {"ok", "look"}
    assert set(checks) >= {"node", "clock", "deployment", "key", "gas money", "outbox"}
    poor = desk.run(Key.generate(), "doctor", expect=1).stdout
    assert "send coin to" in poor
    down = desk.run(desk.client, "doctor", "--rpc", "http://127.0.0.1:1", expect=1).stdout
    assert "no node answers" in down
    assert "honorarium chain" in down
    with Node(place.chain.url) as node:
        path = desk.folder / "state" / "outbox"
        name = place.manifest.filename.removesuffix(".json")
        from honorarium.chain import Outbox

        outbox = Outbox(path / f"{name}-{desk.client.address.hex()}.sqlite3")
        Sender(node, desk.client, outbox=outbox).sign(desk.advisor.address, b"", value=1)
        outbox.close()
    waits = desk.run(desk.client, "doctor", expect=1).stdout
    assert "--mend" in waits
    desk.run(desk.client, "doctor", "--mend")
    assert "nothing waits" in desk.run(desk.client, "doctor").stdout


def test_the_tariff_table_is_the_contracts_arithmetic(tmp_path: Path) -> None:
    words = ["tariff", "--price", "1.50", "--connect-fee", "2", "--included", "5"]
    words += ["--step-units", "10", "--step-price", "1", "--max-units", "20", "--json"]
    done = honorarium([*words, "0", "1", "5", "6", "10", "11", "20", "21"], tmp_path, {})
    fees = {row["units"]: row["fee"]["amount"] for row in json.loads(done.stdout)}
    assert fees == {
        **{0: "0", 1: "2", 5: "2", 6: "3.5", 10: "9.5", 11: "10.5", 20: "19.5", 21: "19.5"}
    }


def test_every_command_has_help_with_an_example_and_speaks_json(tmp_path: Path) -> None:
    for command in COMMANDS:
        words = [command, "show"] if command == "account" else [command]
        done = honorarium([*words, "--help"], tmp_path, {"NO_COLOR": "1", "TERM": "dumb"})
        said = re.sub(r"\s+", " ", done.stdout)
        assert f"honorarium {command}" in said, command
        assert "Example:" in said, command
        assert "--json" in said, command
    whole = honorarium(["--help"], tmp_path, {"NO_COLOR": "1", "TERM": "dumb"})
    listed = set(re.findall(r"^│ ([a-z]+) ", whole.stdout, re.MULTILINE))
    assert listed >= set(COMMANDS)


def test_there_is_completion_for_shells() -> None:
    done = subprocess.run(
        [*PROGRAM, "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert "honorarium" in done.stdout
