"""kill -9 of the desk at random moments, under load; `make kills` does it for longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Place
from databases import Databases
from settling import Town
from under_load import campaign


@pytest.mark.parametrize(("kind", "replicas"), [("sqlite", 1), ("postgresql", 2)])
def test_no_acknowledged_voucher_is_lost_and_every_session_is_settled(
    kind: str, replicas: int, anvil: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def play(url: str) -> None:
        town = Town(anvil.chain, anvil.manifest, url)
        try:
            found = campaign(town, tmp_path, kills=3, sessions=20, replicas=replicas)
            assert found.acknowledged > 100
            assert found.broken >= 3
            assert found.idle < 3
        finally:
            town.close()

    if kind == "sqlite":
        play(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    else:
        databases: Databases = request.getfixturevalue("postgres")
        with databases.empty() as url:
            play(url)
