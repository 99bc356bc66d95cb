"""`honorarium chain`: a local chain in the foreground."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from honorarium.chain import Engine, LocalChain, Node
from honorarium.chain import deploy as deploy_contracts
from honorarium.chain.deploy import Manifest, shown


def chain(
    engine: Annotated[Engine, typer.Option(help="The program that makes the blocks.")] = "ganache",
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where it listens, on loopback.")
    ] = 8545,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Where it lives, to go on later. Without: gone when it stops."),
    ] = None,
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Put the contracts on it, TestUSD included.")
    ] = False,
) -> None:
    """Run a local chain with funded, named accounts until Ctrl-C.

    Example: honorarium chain --dir build/chain --deploy
    """
    console = Console()
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, _leave)
    with LocalChain.start(engine=engine, directory=directory, port=port) as running:
        with Node(running.url) as node:
            manifest = None
            if deploy:
                manifest = deploy_contracts(node, running.accounts["operator"], test_token=True)
                if directory is not None:
                    manifest.save(directory / "manifest.json")
            _show(console, running, node, manifest)
        code = running.wait()
    console.print(f"[red]{engine} ended by itself with {code}[/]")
    raise typer.Exit(2)


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

    accounts = Table(title="Accounts, for this chain alone: never use these keys elsewhere")
    accounts.add_column("name")
    accounts.add_column("address", no_wrap=True)
    accounts.add_column("key", overflow="fold")
    for name, key in running.accounts.items():
        accounts.add_row(name, shown(key.address), "0x" + key.secret().hex())
    console.print(accounts, highlight=False)

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
        table.add_row(name, shown(one.address), "0x" + one.code_hash.hex())
    return table


def _leave(*_: Any) -> None:
    """Ctrl-C, or a polite end: the chain is stopped on the way out."""
    sys.exit(0)
