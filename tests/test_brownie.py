"""`brownie run deploy` and `honorarium deploy` make the same deployment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from conftest import Place
from honorarium.chain import Manifest
from honorarium.chain.deploy import shown

ROOT = Path(__file__).resolve().parent.parent


def test_brownie_deploys_the_same_code_to_the_same_addresses(
    ganache: Place, tmp_path: Path
) -> None:
    port = subprocess.run(
        [ROOT / "scripts/free-port"], capture_output=True, text=True, check=True
    ).stdout.strip()
    path = tmp_path / "manifest.json"
    done = subprocess.run(
        [ROOT / "scripts/brownie", "run", "deploy", "--network", "ganache-cli"],
        env={**os.environ, "BROWNIE_PORT": port, "MANIFEST": str(path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert path.exists(), done.stdout + done.stderr
    made = Manifest.load(path)
    assert made.chain_id == ganache.manifest.chain_id
    assert made.contracts == ganache.manifest.contracts  # addresses, and hashes of the code there
    assert made.genesis_hash != ganache.manifest.genesis_hash
    for one in made.contracts.values():
        assert shown(one.address) in done.stdout
