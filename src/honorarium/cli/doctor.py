"""`honorarium doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from honorarium.chain import Contracts, Node, Sender, state_folder
from honorarium.chain.deploy import LOCAL_CHAINS, shown
from honorarium.chain.keystore import KEY_VARIABLE
from honorarium.cli.common import (
    LOCAL_NODE,
    AsJson,
    KeyEnv,
    Keystore,
    ManifestFile,
    Rpc,
    meter_key,
    signer,
    span,
    visible,
)
from honorarium.errors import HonorariumError
from honorarium.ids import ZERO_ADDRESS
from honorarium.protocol.keys import Key

Health = Literal["ok", "look", "bad"]

BLOCK_AGE: Final = 120  # seconds: a public chain's latest block is younger
SKEW: Final = 30  # seconds that this machine's clock may differ from the chain's
GAS_OF_A_SESSION: Final = 400_000


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, what was found, and what to do about it."""

    what: str
    health: Health
    found: str
    mend: str = ""


@dataclass
class _Patient:
    node: Node
    manifest: Path | None
    checks: list[Check] = field(default_factory=list)
    contracts: Contracts | None = None
    key: Key | None = None

    def note(self, what: str, health: Health, found: str, mend: str = "") -> None:
        self.checks.append(Check(what, health, found, mend))

    def try_(self, what: str, look: Callable[[], None]) -> bool:
        """Runs one look; what is refused is a finding."""
        try:
            look()
        except HonorariumError as error:
            found, _, mend = str(error).partition("; ")
            self.note(what, "bad", found, mend)
            return False
        return True


def doctor(
    mend: Annotated[
        bool, typer.Option("--mend", help="Send again what an interrupted program left behind.")
    ] = False,
    rpc: Rpc = LOCAL_NODE,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Look at node, deployment, key, money, clock and outbox, and say how to mend what is wrong.

    Ends with 1 if anything is wrong. Without a key only what needs none is looked at.

    Example: honorarium doctor --rpc http://127.0.0.1:8545
    """
    with Node(rpc, timeout=10) as node:
        patient = _Patient(node, manifest)
        if patient.try_("node", lambda: _node(patient)):
            patient.try_("clock", lambda: _clock(patient))
            patient.try_("deployment", lambda: _deployment(patient))
        _key(patient, keystore, key_env)
        patient.try_("meter key", lambda: _meter(patient))
        _state(patient)
        if patient.contracts is not None and patient.key is not None:
            patient.try_("money", lambda: _money(patient))
            patient.try_("outbox", lambda: _outbox(patient, mend))
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in patient.checks], indent=2))
    else:
        _show(patient.checks)
    if any(check.health == "bad" for check in patient.checks):
        raise typer.Exit(1)


def _node(patient: _Patient) -> None:
    node = patient.node
    started = time.monotonic()
    chain_id, latest = node.chain_id, node.block()
    took = 1000 * (time.monotonic() - started)
    node.must_be_synced()
    found = f"chain {chain_id}, block {latest.number:,}, {node.client}"
    patient.note("node", "ok" if took < 2000 else "look", f"{found}, {took:.0f} ms")
    if took >= 2000:
        patient.note("node", "look", "it answers slowly", "use a nearer or less busy node")


def _clock(patient: _Patient) -> None:
    latest, now = patient.node.block(), int(time.time())
    ahead = latest.timestamp - now
    local = patient.node.chain_id in LOCAL_CHAINS
    if ahead > SKEW:
        patient.note(
            "clock",
            "look" if local else "bad",
            f"the chain is {span(ahead)} ahead of this machine",
            "set this machine's clock (NTP); a local chain whose time was moved ahead stays so, "
            "and `honorarium meter` follows it",
        )
    elif -ahead > BLOCK_AGE and not local:
        patient.note(
            "clock",
            "bad",
            f"the latest block is {span(-ahead)} old",
            "the node is behind or the chain stands still: use another node",
        )
    else:
        age = f"the latest block is {span(max(0, -ahead))} old"
        patient.note("clock", "ok", age + (" (a local chain)" if local else ""))


def _deployment(patient: _Patient) -> None:
    patient.contracts = Contracts.connect(patient.node.url, manifest=patient.manifest)
    made = patient.contracts.manifest
    patient.note(
        "deployment",
        "ok",
        f"our code, SessionEscrow at {shown(made.address('SessionEscrow'))}, "
        f"since block {made.block:,}",
    )


def _key(patient: _Patient, keystore: Path | None, key_env: str) -> None:
    if keystore is None and not os.environ.get(key_env):
        patient.note(
            "key",
            "look",
            "none is named, so no money was looked at",
            f"name one by --keystore FILE or in {key_env}; `honorarium account new FILE` makes one",
        )
        return

    def look() -> None:
        patient.key = signer(keystore, key_env)
        patient.note("key", "ok", shown(patient.key.address))

    patient.try_("key", look)
    if keystore is not None and keystore.is_file() and keystore.stat().st_mode & 0o077:
        patient.note("key", "look", f"others may read {keystore}", f"`chmod 600 {keystore}`")


def _meter(patient: _Patient) -> None:
    patient.note("meter key", "ok", shown(meter_key().address))


def _state(patient: _Patient) -> None:
    folder = state_folder()
    writable = os.access(folder if folder.exists() else folder.parent, os.W_OK)
    patient.note(
        "state folder",
        "ok" if writable else "bad",
        str(folder),
        "" if writable else "make it writable, or name another one in HONORARIUM_STATE",
    )


def _money(patient: _Patient) -> None:
    contracts, key = patient.contracts, patient.key
    assert contracts is not None
    assert key is not None
    coin = contracts.wallet(ZERO_ADDRESS, key.address)
    head = contracts.node.block()
    price = head.base_fee or int(contracts.node.request("eth_gasPrice"), 16)
    enough = coin.base_units >= GAS_OF_A_SESSION * 2 * price
    patient.note(
        "gas money",
        "ok" if enough else "bad",
        str(coin),
        "" if enough else f"send coin to {shown(key.address)}, or sign and let others send",
    )
    if contracts.test_token is not None:
        owed = contracts.balance(contracts.test_token, key.address)
        held = contracts.wallet(contracts.test_token, key.address)
        mend = "`honorarium withdraw` takes it out" if owed else ""
        patient.note("tokens", "ok", f"wallet {held}, in the escrow {owed}", mend)


def _outbox(patient: _Patient, mend: bool) -> None:
    contracts, key = patient.contracts, patient.key
    assert contracts is not None
    assert key is not None
    sender: Sender = contracts.sender(key)
    latest = contracts.node.transaction_count(key.address)
    waiting = sender.outbox.open_nonces(latest)
    if waiting and mend:
        again = sender.resume()
        waiting = sender.outbox.open_nonces(contracts.node.transaction_count(key.address))
        patient.note("outbox", "look", f"{again} sent again, {len(waiting)} still wait")
    elif waiting:
        patient.note(
            "outbox",
            "bad",
            f"{len(waiting)} transactions are signed and in no block, from nonce {waiting[0]} on",
            "`honorarium doctor --mend` sends them again, the very same ones",
        )
    else:
        patient.note("outbox", "ok", "nothing waits")


def _show(checks: list[Check]) -> None:
    marks = {"ok": "[green]ok[/]", "look": "[yellow]look[/]", "bad": "[red]bad[/]"}
    table = Table(box=None, padding=(0, 2), show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for check in checks:
        table.add_row(marks[check.health], check.what, escape(visible(check.found)))
        if check.mend:
            table.add_row("", "", f"[dim]→ {escape(visible(check.mend))}[/]")
    Console().print(table, highlight=False)
