"""`honorarium audit`: was everybody billed right?"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from honorarium.audit import (
    Archive,
    Contents,
    Finding,
    Journals,
    Verdict,
    as_json,
    audit_archive,
    audit_live,
    catch_up,
    check_against,
    line,
    write,
    write_export,
)
from honorarium.audit.page import write_page
from honorarium.audit.report import UNPROVEN
from honorarium.chain import Manifest, Node, calls
from honorarium.cli.common import account_of
from honorarium.cli.place import AuditPlaceUnclear, place
from honorarium.errors import ContractError, InputError, NodeError
from honorarium.ids import Address
from honorarium.money import COIN
from honorarium.protocol import Domain

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
            help="Folder for audit.json and report.html (default: that of --chain, else this one).",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep what is collected in this folder, and go on from what it holds already.",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Audit a folder that --store filled, with all cores and without any node.",
        ),
    ] = None,
    check_node: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="With --from: compare all that the folder has with this node first.",
        ),
    ] = None,
    at: Annotated[
        list[int] | None,
        typer.Option(
            metavar="BLOCK",
            min=0,
            help="Compare storage after this block too (again for several; the last one always).",
        ),
    ] = None,
    journals: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Journals (*.jsonl) as evidence of when sessions were served."
        ),
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="What rests on a token's word alone counts for these tokens only (default: for "
            "every token in which a session was funded).",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write sessions, settlements, tips, ratings, balances and findings as JSON "
            "Lines, CSV and Parquet.",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes for --from (default: one for each core).")
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--json", help="Print what audit.json has, and the folder of --store."),
    ] = False,
) -> None:
    """Check every session against the log, the storage, the signatures and the tokens.

    The events are replayed into a ledger of the audit's own, and every rule that a log, storage and
    signatures can show (ESC-1 to 7, 10 to 17) is checked for every session. Writes audit.json
    and report.html; the last line is the verdict. What breaks no rule and deserves a look is listed
    and changes no verdict. Ends with 1 if a rule is broken, with 2 if it could not be audited.

    Example: honorarium audit --chain build/demo
    """
    console = Console(stderr=True)
    evidence = None if journals is None else Journals.read(journals)
    trusted = None if token is None else {account_of(each) for each in token}
    if source is not None and (rpc, chain, store, manifest) != (None, None, None, None):
        raise AuditPlaceUnclear("--from needs no chain, and others are named beside it")
    if check_node is not None and source is None:
        raise AuditPlaceUnclear("--check-node is for a folder that --from names")
    symbols: dict[Address, str] = {}
    with ExitStack() as stack:
        if source is not None:
            kept = Archive.read(source)
            with _bar(console) as progress:
                if check_node is not None:
                    check_against(stack.enter_context(Node(check_node)), kept, progress)
                verdict = audit_archive(
                    kept,
                    at=at or (),
                    journals=evidence,
                    trusted=trusted,
                    jobs=jobs,
                    progress=progress,
                )
        else:
            node, found = place(stack, console, rpc, chain, manifest)
            archive = stack.enter_context(_archive(node, found, store))
            with _bar(console) as progress:
                catch_up(node, archive, progress=progress)
                verdict = audit_live(
                    node,
                    archive,
                    at=at or (),
                    journals=evidence,
                    trusted=trusted,
                    progress=progress,
                )
            symbols = _symbols(node, verdict)
        _compared(at or (), verdict)
        folder = out or chain or Path()
        path = write(verdict, folder)
        page = write_page(verdict, folder, symbols)
        if export is not None:
            write_export(verdict, export)
    _show(console, verdict, path)
    _told(console, "written", page)
    if export is not None:
        _told(console, "written", export / "export.json")
    if store is not None:
        _told(console, "kept in", store)
    if whole:
        folder_kept = None if store is None else str(store)
        typer.echo(json.dumps({**as_json(verdict), "store": folder_kept}, indent=2))
    else:
        typer.echo(line(verdict))
    if not verdict.ok:
        raise typer.Exit(1)


def _archive(node: Node, found: Manifest, store: Path | None) -> Archive:
    """Where this deployment's history is kept. Raises what `Archive.keep` raises."""
    contents = Contents(
        node.genesis_hash,
        Domain(node.chain_id, found.address("SessionEscrow")),
        found.address("TipJar"),
        found.block,
    )
    return Archive.scratch(contents) if store is None else Archive.keep(store, contents)


def _symbols(node: Node, verdict: Verdict) -> dict[Address, str]:
    """How the tokens call themselves, for the page; not every token says."""
    found: dict[Address, str] = {}
    for token in verdict.sums:
        if token == COIN.address:
            found[token] = COIN.symbol
            continue
        with suppress(ContractError, NodeError):
            found[token] = node.read(calls.token_symbol(token))
    return found


SHOWN_AFTER: Final = 2.0
"""Seconds; what is done sooner needs no bar."""


class _Bars:
    """One bar for each thing that is read, once it takes longer."""

    def __init__(self, bars: Progress) -> None:
        self._bars, self._began = bars, time.monotonic()
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=None, visible=False)
        late = time.monotonic() - self._began > SHOWN_AFTER
        self._bars.update(self._tasks[what], completed=done, total=total, visible=late)


@contextmanager
def _bar(console: Console) -> Iterator[_Bars]:
    with Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bars:
        yield _Bars(bars)


def _so_many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _show(console: Console, verdict: Verdict, path: Path) -> None:
    counts = verdict.counts
    console.print(
        f"{_so_many(counts['sessions'], 'session')} ({counts['closed']:,} closed, "
        f"{counts['open'] + counts['closing']:,} running) in "
        f"{_so_many(counts['events'], 'event')}, {_so_many(counts['accounts'], 'balance')}, "
        f"blocks {verdict.place.first:,} to {verdict.place.last:,}",
        highlight=False,
    )
    unproven = verdict.unproven
    counted = {what: getattr(unproven, name) for name, what in UNPROVEN.items()}
    if any(counted.values()):
        whose = f", in {_so_many(unproven.sessions, 'session')}" if unproven.sessions else ""
        listed = ", ".join(f"{what} ({count:,})" for what, count in counted.items() if count)
        console.print(f"[yellow]not proven[/]{whose}: {listed}", highlight=False)
    if verdict.looks:
        kinds = Counter(look.rule for look in verdict.looks)
        listed = ", ".join(f"{count:,} {rule}" for rule, count in sorted(kinds.items()))
        console.print(f"deserves a look: {listed}", highlight=False)
    if verdict.findings:
        console.print(_findings(verdict.findings))
    _told(console, "written", path)


def _compared(at: Iterable[int], verdict: Verdict) -> None:
    """Whoever names a block is told if it was not compared. Raises InputError."""
    first, last = verdict.place.first, verdict.place.last
    missed = [f"{block:,}" for block in at if not first <= block <= last]
    if missed:
        raise InputError(
            f"--at {', '.join(missed)} is outside of what was audited, blocks {first:,} to "
            f"{last:,}; name blocks of these, or wait until there are more"
        )


def _told(console: Console, what: str, path: Path) -> None:
    """Where something is: never broken, so that it can be copied."""
    console.print(f"{what}: {path}", highlight=False, soft_wrap=True, markup=False)


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
