"""`honorarium deploy`: the contracts on a chain, or proof that they are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from honorarium.chain import Manifest, Node, attach, find
from honorarium.chain import deploy as deploy_contracts
from honorarium.chain import verify as verify_contracts
from honorarium.chain.deploy import shown
from honorarium.chain.keystore import KEY_VARIABLE
from honorarium.cli.chain import contracts_table
from honorarium.cli.common import AsJson
from honorarium.cli.secrets import read_key
from honorarium.errors import ChainReset, NotOurCode, WrongChain

FOLDER = Path("deployments")


def deploy(
    rpc: Annotated[str, typer.Option(metavar="URL", help="The node of the chain.")],
    key_env: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The environment variable with the key of the account that pays."
        ),
    ] = KEY_VARIABLE,
    keystore: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its encrypted key file instead (asks the password)."),
    ] = None,
    test_token: Annotated[
        bool, typer.Option("--test-token", help="TestUSD too; only on local chains.")
    ] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Where the deployment is written down (default: {FOLDER}/CHAIN-GENESIS.json).",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Change nothing: compare the chain with the manifest.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put the contracts on a chain; what is there already stays.

    They get the same addresses on every chain. The manifest says where they are and which chain it
    is. With --verify the code on chain is compared with this package's and the manifest: it ends
    with 1 if anything differs.

    Example: HONORARIUM_KEY=0x... honorarium deploy --rpc http://127.0.0.1:8545 --test-token
    """
    console = Console()
    with Node(rpc) as node:
        if verify:
            _verify(console, node, manifest, as_json)
            return
        if manifest is not None and manifest.exists():
            # Another chain's manifest is not overwritten.
            attach(node, Manifest.load(manifest))
        key = read_key(key_env, keystore)
        if not as_json:
            console.print(f"deploying from {shown(key.address)} ...", highlight=False)
        made = deploy_contracts(node, key, test_token=test_token)
        verify_contracts(node, made)
        path = manifest or FOLDER / made.filename
        made.save(path)
    if as_json:
        typer.echo(json.dumps({"manifest": str(path), **made.to_dict()}, indent=2))
        return
    console.print(contracts_table(made), highlight=False)
    console.print(f"written: {path}", highlight=False, soft_wrap=True)


def _verify(console: Console, node: Node, path: Path | None, as_json: bool) -> None:
    try:
        expected = _expected(node, path)
        verify_contracts(node, expected)
    except (NotOurCode, ChainReset, WrongChain) as error:
        console = Console(stderr=True)
        console.print("[bold red]DIFFERENT[/]", end=" ")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({"verified": True, **expected.to_dict()}, indent=2))
        return
    console.print(contracts_table(expected), highlight=False)
    console.print("[bold green]VERIFIED[/] code, chain and session ids are those of this package")


def _expected(node: Node, path: Path | None) -> Manifest:
    """The manifest that was named, else the chain's own, else what stands at the addresses."""
    if path is not None:
        return Manifest.load(path)
    own = FOLDER / f"{node.chain_id}-{node.genesis_hash.hex()[:8]}.json"
    return Manifest.load(own) if own.exists() else find(node)
