"""`honorarium chain`: a local chain in the foreground."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from honorarium.chain import Contracts, DirectoryNotOurs, LocalChain, Node, find
from honorarium.chain.deploy import Manifest, shown
from honorarium.chain.local import Engine
from honorarium.cli.common import AsJson


def chain(
    engine: Annotated[
        Engine | None,
        typer.Option(help="The program that makes the blocks (new chains: ganache)."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where it listens, on loopback.")
    ] = 8545,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Where it lives, to go on later. Without: gone when it stops."),
    ] = None,
    deploy: Annotated[
        bool,
        typer.Option(
            "--deploy", help="Put the contracts on it, and test tokens into the accounts."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a local chain with funded, named accounts until Ctrl-C.

    Example: honorarium chain --dir build/chain --deploy
    """
    console = Console()
    if directory is not None and (directory / "replay.json").exists():
        raise DirectoryNotOurs(directory, f"a replay keeps its chain in {directory / 'chain'}")
    asked: list[int] = []  # signals that ask to end: raising from a handler may leave locks held
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, lambda number, _: asked.append(number))
    with LocalChain.start(engine=engine, directory=directory, port=port) as running:
        with Node(running.url) as node:
            manifest = None
            if deploy:
                Contracts.deploy(running)
                manifest = find(node)
                if directory is not None:
                    manifest.save(directory / "manifest.json")
            if as_json:
                print(json.dumps(_facts(running, node, manifest)), flush=True)
            else:
                _show(console, running, node, manifest)
        while (code := running.poll()) is None:
            if asked:
                return
            time.sleep(0.1)
    console.print(f"[red]{running.engine} ended by itself with {code}[/]")
    raise typer.Exit(2)


def _facts(running: LocalChain, node: Node, manifest: Manifest | None) -> dict[str, Any]:
    """What a program needs to use the chain, in one line as soon as it runs."""
    return {
        "url": running.url,
        "client": node.client,
        "chain_id": node.chain_id,
        "genesis_hash": "0x" + node.genesis_hash.hex(),
        "accounts": {
            name: {"address": shown(key.address), "key": "0x" + key.secret().hex()}
            for name, key in running.accounts.items()
        },
        "contracts": None if manifest is None else manifest.to_dict()["contracts"],
    }


def _show(console: Console, running: LocalChain, node: Node, manifest: Manifest | None) -> None:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("node", running.url)
    facts.add_row("runs", node.client)
    facts.add_row("chain id", str(node.chain_id))
    facts.add_row("first block", "0x" + node.genesis_hash.hex())
    facts.add_row("latest block", f"{node.block().number:,}")
    console.print(facts, highlight=False)

    console.print("\n[bold]Accounts and keys[/], for this chain alone: never use them elsewhere")
    for name, key in running.accounts.items():
        # Lines, not a table: whoever copies a key gets all of it.
        console.print(f"  [bold]{name:<9}[/] {shown(key.address)}", highlight=False)
        console.print(f"            0x{key.secret().hex()}", highlight=False, soft_wrap=True)

    if manifest is not None:
        console.print(contracts_table(manifest), highlight=False)
    console.print("Ctrl-C stops it.")


def contracts_table(manifest: Manifest) -> Table:
    """Names and addresses of a deployment."""
    table = Table(title=f"Contracts on chain {manifest.chain_id}, since block {manifest.block}")
    table.add_column("contract")
    table.add_column("address", no_wrap=True)
    table.add_column("hash of its code", overflow="fold")
    for name, one in manifest.contracts.items():
        table.add_row(name, shown(one.address), f"0x{one.code_hash.hex()[:12]}...")
    return table
