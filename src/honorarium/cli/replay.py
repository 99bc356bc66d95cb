"""`honorarium replay`: a call centre's records as paid sessions."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from honorarium.cli.common import AsJson
from honorarium.errors import InputError
from honorarium.replay import (
    at_desk,
    load_tariffs,
    plan_calls,
    run,
    run_through,
    set_up,
    write_outcome,
)

DECIMALS = 6  # of TestUSD


class DeskWithoutNode(InputError):
    """A desk, and no node whose clock the replay could set."""

    def __init__(self, desk: str) -> None:
        self.desk = desk
        super().__init__(
            f"a replay through {desk} needs --rpc too: the node of the desk's local chain, whose "
            "clock it sets to the recorded seconds"
        )


def replay(
    calls: Annotated[
        Path, typer.Argument(metavar="CALLS.csv[.gz]", help="The records; see examples/README.md.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results, and for the chain.")],
    tariffs: Annotated[Path, typer.Option(help="What a call of each service costs (TOML).")] = Path(
        "examples/tariffs.toml"
    ),
    date: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only the calls of this date."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Only the first so many rows (of the date).")
    ] = None,
    rpc: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A local chain that runs already, instead of our own."),
    ] = None,
    desk: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Through this desk, which works on the chain of --rpc."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a call centre's call records into paid sessions on chain.

    Every served call becomes a session that opens and closes at its recorded second, under the
    tariff of its service; who hung up in the queue gets everything back. Without --rpc the chain is
    a Ganache of its own that lives in the output folder. With --desk everybody only signs, and the
    desk takes the vouchers and sends. Interrupted and run again, the replay goes on where it was;
    nothing is paid twice.

    Example: honorarium replay examples/calls.csv --out build/demo
    """
    if desk is not None and rpc is None:
        raise DeskWithoutNode(desk)
    console = Console(stderr=True)
    day = date.date() if date else None
    with plan_calls(calls, load_tariffs(tariffs, DECIMALS), date=day, limit=limit) as plan:
        totals = plan.totals
        console.print(
            f"[bold]{totals.calls:,}[/] calls: {totals.paid:,} paid, {totals.zero:,} zero, "
            f"{totals.abandoned:,} abandoned, {totals.robot_only:,} robot only, "
            f"{totals.phantom:,} phantom, {totals.refused:,} refused",
            highlight=False,
        )
        if not totals.calls:
            console.print("[yellow]no call matches: look at --date and --limit[/]")
        doing = "starting a chain in " + str(out) if rpc is None else "using " + rpc
        console.print(f"{doing}: contracts, then tokens for every client ...", highlight=False)
        with set_up(out, plan, rpc) as ready:
            if ready.done:
                console.print(f"going on: {ready.done:,} transactions are done", highlight=False)
            with _bar(console, "transactions") as progress:
                if desk is None:
                    pace = run(ready, progress)
                else:
                    with at_desk(ready, desk, out) as (place, ready):
                        pace = run_through(place, ready, out, progress)
            with _bar(console, "blocks read") as progress:
                summary = write_outcome(ready, out, pace, progress)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        _show(console, out, summary)


@contextmanager
def _bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with the expected end; it is told what is done, and of how much."""
    with Progress(
        TextColumn("{task.description:<13}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(console: Console, out: Path, summary: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name in ("deposits", "fees", "platform_fees", "refunds", "tips"):
        note = " (made up)" if name in summary["made_up"] else ""
        whole, part = divmod(summary[name], 10**DECIMALS)
        amount = f"{whole:,}.{part:0{DECIMALS}} tUSD"
        table.add_row(name.replace("_", " ") + note, amount)
    table.add_row("ratings (made up)", f"{summary['ratings']:,}")
    table.add_row("calls cut at max_units", f"{summary['capped']:,}")
    table.add_row("gas", f"{summary['gas']:,}")
    if summary["transactions_per_second"]:
        table.add_row(
            "transactions a second",
            f"{summary['transactions_per_second']} "
            f"({summary['ratio_to_chain']:.0%} of what the chain gives)",
        )
    console.print(table)
    shifted = summary["shifted_days"]
    if shifted:
        console.print(
            f"dates are {shifted:,} days later than recorded: the chain was later already"
        )
    console.print(f"written: {out}/summary.json, sessions.csv, refused.csv", highlight=False)
