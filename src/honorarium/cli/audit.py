"""`honorarium audit`: was everybody billed right?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from honorarium.audit import Finding, Verdict, gather, line, write
from honorarium.audit import audit as judge
from honorarium.cli.place import place

SHOWN: Final = 10  # findings on the screen; all are in the file


def audit(
    rpc: Annotated[
        str | None, typer.Option(metavar="URL", help="The node of the chain to audit.")
    ] = None,
    chain: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder of `honorarium replay --out` or `honorarium chain --dir`: its chain is "
            "started, and stopped again.",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Which contracts (default: DIR/manifest.json; with --rpc: what stands at the "
            "addresses that they have on every chain).",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for audit.json (default: the folder of --chain, else this one).",
        ),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--json", help="Print audit.json instead of the verdict's line.")
    ] = False,
) -> None:
    """Check every session against the log, the storage, the signatures and the tokens.

    The events are replayed into a ledger of the audit's own; rules ESC-1, 2, 4, 5, 6, 7, 10, 11 and
    15 are checked for every session. Writes audit.json; the last line is the verdict. Ends with 1
    if there is a finding, with 2 if the chain could not be read.

    Example: honorarium audit --chain build/demo
    """
    console = Console(stderr=True)
    with ExitStack() as stack:
        node, found = place(stack, console, rpc, chain, manifest)
        with _bar(console) as progress:
            verdict = judge(
                gather(
                    node,
                    found.address("SessionEscrow"),
                    found.address("TipJar"),
                    found.block,
                    progress=progress,
                )
            )
    path = write(verdict, out or chain or Path())
    _show(console, verdict, path)
    typer.echo(path.read_text(encoding="utf-8").rstrip() if whole else line(verdict))
    if not verdict.ok:
        raise typer.Exit(1)


class _Bars:
    """One bar for each thing that is read."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks = {what: bars.add_task(what, total=None) for what in _READ}

    def __call__(self, what: str, done: int, total: int) -> None:
        self._bars.update(self._tasks[what], completed=done, total=total)


_READ: Final = ("events", "storage", "transfers")


@contextmanager
def _bar(console: Console) -> Iterator[_Bars]:
    with Progress(
        TextColumn("reading {task.description:<10}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bars:
        yield _Bars(bars)


def _show(console: Console, verdict: Verdict, path: Path) -> None:
    counts = verdict.counts
    console.print(
        f"[bold]{counts['sessions']:,}[/] sessions ({counts['closed']:,} closed, "
        f"{counts['open'] + counts['closing']:,} running) in {counts['events']:,} events, "
        f"{counts['accounts']:,} balances, blocks {verdict.place.first:,} to "
        f"{verdict.place.last:,}",
        highlight=False,
    )
    unproven = verdict.unproven
    if unproven.contract_signers or unproven.through_contracts:
        console.print(
            f"not provable from here: {unproven.contract_signers:,} signatures by contracts, "
            f"{unproven.through_contracts:,} calls out of other contracts",
            highlight=False,
        )
    if verdict.findings:
        console.print(_findings(verdict.findings))
    console.print(f"written: {path}", highlight=False, soft_wrap=True)


def _findings(findings: list[Finding]) -> Table:
    table = Table(title=f"{len(findings):,} findings")
    for column in ("rule", "about", "expected", "found"):
        table.add_column(column, overflow="fold")
    for finding in findings[:SHOWN]:
        about = finding.about
        if finding.session is not None:
            about = f"session 0x{finding.session.hex()[:12]}... {about}"
        table.add_row(finding.rule, about, finding.expected, finding.found)
    if len(findings) > SHOWN:
        table.add_row("...", f"{len(findings) - SHOWN:,} more in the file", "", "")
    return table
