"""What an operator mistypes is refused before anything is begun, and says where it is wrong."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from honorarium.api.server import NotListening, run
from honorarium.cli.serve import (
    LedgerNotFound,
    SettingsRefused,
    backup,
    erase,
    load,
    prune,
    restore,
)
from honorarium.desk import load_settings
from honorarium.ledger import Ledger
from honorarium.ledger.backup import BackupNotWritten
from honorarium.protocol import Key

SOMEBODY = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("confirmation = 3", "confirmation: no setting is called so"),
        ("port = 99999", "port: input should be less than or equal to 65535"),
        ('public_url = "desk.example"', "public_url: 'desk.example' is not of the form https://"),
        ('log_level = "loud"', "log_level: input should be 'debug'"),
        ('advisors = ["0xab"]', "advisors.0: '0xab' is no address"),
        ('coin_prices = {"0xab" = 1}', "coin_prices.0xab.[key]: '0xab' is no address"),
        ("port = = 1", "desk.toml is no TOML: Invalid value (at line 1, column 8)"),
        (None, "desk.toml cannot be read: No such file or directory"),
    ],
)
def test_a_file_of_settings_that_cannot_be_is_refused_with_its_reason(
    text: str | None, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "desk.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsRefused) as refused:
        load(file)
    assert why in str(refused.value)


def test_variables_that_name_no_setting_are_refused_together_with_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HONORARIUM_DESK_CONFIRMATION", "3")
    monkeypatch.setenv("HONORARIUM_DESK_COIN_PRICES", "{")
    monkeypatch.setenv("HONORARIUM_DESK", "http://127.0.0.1:8470")  # where clients look
    with pytest.raises(SettingsRefused) as refused:
        load(None)
    first, second = refused.value.reasons
    assert first == "HONORARIUM_DESK_CONFIRMATION: no setting is called so"
    assert "coin_prices" in second


@pytest.mark.usefixtures("logs_as_they_were")
def test_a_port_that_is_taken_is_said_before_anything_is_begun(tmp_path: Path) -> None:
    ledger = tmp_path / "desk.sqlite3"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = load_settings(port=port, ledger=str(ledger), rpc="http://127.0.0.1:1")
        with pytest.raises(NotListening) as refused:
            run(settings, Key.generate(), lambda desk: None)
    assert refused.value.port == port
    assert "in use" in refused.value.reason
    assert not ledger.exists()


def test_a_mistyped_ledger_is_not_an_empty_one(tmp_path: Path) -> None:
    wrong = str(tmp_path / "folder" / "desk.sqlite3")
    commands: tuple[Callable[[], None], ...] = (
        lambda: backup(tmp_path / "copy.gz", ledger=wrong),
        lambda: prune(ledger=wrong),
        lambda: erase(SOMEBODY, ledger=wrong),
    )
    for command in commands:
        with pytest.raises(LedgerNotFound, match=r"folder/desk\.sqlite3"):
            command()
    assert not any(tmp_path.iterdir())


def test_a_copy_that_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, copy = str(tmp_path / "desk.sqlite3"), tmp_path / "copies" / "monday.gz"
    empty = tmp_path / "empty.sqlite3"
    copy.parent.mkdir()
    with pytest.raises(LedgerNotFound):
        backup(copy, ledger=ledger)
    with Ledger(ledger) as made:
        made.set_up()
    with pytest.raises(BackupNotWritten, match="No such file or directory"):
        backup(tmp_path / "nowhere" / "monday.gz", ledger=ledger)
    backup(copy, ledger=ledger)
    backup(copy, ledger=ledger)  # the newer one replaces it
    assert [each.name for each in copy.parent.iterdir()] == ["monday.gz"]
    restore(copy, ledger=str(empty))
    erase(SOMEBODY, ledger=str(empty))
    assert f"no session names {SOMEBODY}" in capsys.readouterr().out
