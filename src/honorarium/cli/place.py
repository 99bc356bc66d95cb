"""Which chain a command looks at: a node that runs, or a folder whose chain is started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from honorarium.chain import Contracts, LocalChain, Manifest, Node, attach, find
from honorarium.cli.common import connected
from honorarium.errors import InputError

ChainFolder = Annotated[
    Path | None,
    typer.Option(
        "--chain",
        metavar="DIR",
        help="Instead of --rpc, a folder of `honorarium replay --out` or `honorarium chain --dir`: "
        "its chain is started, and stopped again.",
    ),
]


class AuditPlaceUnclear(InputError):
    """It is not said which chain is to be audited, or it is not there."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason}; give either --rpc URL, a node that runs, or --chain DIR, the folder of a "
            "replay or of `honorarium chain`"
        )


def place(
    stack: ExitStack, console: Console, rpc: str | None, chain: Path | None, manifest: Path | None
) -> tuple[Node, Manifest]:
    """The node, started if need be, and the deployment on it, verified.

    Raises AuditPlaceUnclear, and what starting, reading and attaching raise.
    """
    if (rpc is None) == (chain is None):
        reason = "no chain is named" if rpc is None else "both --rpc and --chain are given"
        raise AuditPlaceUnclear(reason)
    loaded = Manifest.load(manifest) if manifest is not None else None
    if chain is not None:
        # A replay's chain has a folder of its own in it; `honorarium chain` uses the whole.
        home = next((f for f in (chain / "chain", chain) if (f / "chain.json").is_file()), None)
        if home is None:
            raise AuditPlaceUnclear(f"{chain} holds no chain (did it run on another node?)")
        loaded = loaded or Manifest.load(chain / "manifest.json")
        console.print("starting the chain ...")
        node = Node(stack.enter_context(LocalChain.start(directory=home)).url)
    else:
        node = Node(rpc or "")
    stack.enter_context(node)
    if loaded is None:
        return node, find(node)
    attach(node, loaded)
    _must_begin_early_enough(node, loaded)
    return node, loaded


@contextmanager
def contracts_at(rpc: str, chain: Path | None, manifest: Path | None) -> Iterator[Contracts]:
    """The contracts at a node, or on the chain in a folder, for as long as a command runs."""
    if chain is None:
        with connected(rpc, manifest) as contracts:
            yield contracts
        return
    with ExitStack() as stack:
        node, found = place(stack, Console(stderr=True), None, chain, manifest)
        yield Contracts.attach(node, found)


def _must_begin_early_enough(node: Node, manifest: Manifest) -> None:
    """The manifest comes from whoever is audited: it must not hide what happened before."""
    before = manifest.block - 1
    if before < 0:
        return
    for name in ("SessionEscrow", "TipJar"):
        later = before > node.block().number
        if later or node.code(manifest.contracts[name].address, before):
            raise AuditPlaceUnclear(
                f"the manifest says that the contracts came in block {manifest.block}, and {name} "
                f"{'is not that late' if later else f'was there in block {before} already'}"
            )
