"""The command line. A thin face: every rule lives in the rooms below."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from honorarium.cli.audit import audit
from honorarium.cli.chain import chain
from honorarium.cli.deploy import deploy
from honorarium.cli.replay import replay
from honorarium.errors import HonorariumError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(chain)
app.command()(deploy)
app.command()(replay)
app.command()(audit)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"honorarium {version('honorarium')}")
        raise typer.Exit


@app.callback()
def honorarium(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
        ),
    ] = False,
) -> None:
    """Settle paid advice on an EVM chain: an escrow, signed meters, and an audit of every bill.

    Every command ends with 0 if all is well, 1 if what it examined is not, and 2 if it could not do
    its work.
    """


def main() -> None:
    """Runs the command line; what this package refuses is one sentence, not a traceback."""
    try:
        app(prog_name="honorarium")
    except HonorariumError as error:
        console = Console(stderr=True)
        console.print(f"[bold red]{type(error).__name__}[/]:", end=" ")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except Exception:
        # Not foreseen, so with all that helps to mend it; 1 would mean that something was found.
        traceback.print_exc()
        sys.exit(2)
