"""The command line. A thin face: every rule lives in the rooms below."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Final

import typer
from rich.console import Console

from honorarium.cli.account import account
from honorarium.cli.agent import agent, ask
from honorarium.cli.audit import audit
from honorarium.cli.balances import balance, deposit, withdraw
from honorarium.cli.chain import chain
from honorarium.cli.common import plain, visible
from honorarium.cli.deploy import deploy
from honorarium.cli.doctor import doctor
from honorarium.cli.evidence import evidence, verify
from honorarium.cli.explain import explain
from honorarium.cli.history import history, session
from honorarium.cli.meter import meter
from honorarium.cli.opinions import answer, rate, tip
from honorarium.cli.quotes import quote, revoke, tariff
from honorarium.cli.replay import replay
from honorarium.cli.serve import desk, serve
from honorarium.cli.sessions import close, finalize, leave, open_session, settle, topup
from honorarium.cli.statement import statement
from honorarium.errors import FateUnknown, HonorariumError
from honorarium.errors.chain import shown_url

__all__ = ["app", "main"]

REFUSED: Final = 2
UNKNOWN: Final = 3

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_PANELS: Final[dict[str, tuple[Callable[..., None], ...]]] = {
    "A chain": (chain, deploy, doctor),
    "Before a session": (tariff, quote, revoke),
    "A session": (open_session, meter, topup, settle, close, leave, finalize),
    "Afterwards": (tip, rate, answer, session, history, explain, evidence, verify),
    "Money": (balance, deposit, withdraw, statement),
    "Many sessions": (replay, audit),
    "A desk": (serve, agent, ask),
}

for panel, commands in _PANELS.items():
    for command in commands:
        name = command.__name__.removesuffix("_session")
        app.command(name, rich_help_panel=panel)(command)
    if panel == "A chain":
        app.add_typer(account, name="account", rich_help_panel=panel)
    if panel == "A desk":
        app.add_typer(desk, name="desk", rich_help_panel=panel)


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

    Every command ends with 0 if all is well, 1 if what it examined is not, 2 if it was refused or
    could not do its work and changed nothing that it does not say, and 3 if it sent a transaction
    whose fate is unknown: look with `honorarium doctor` before doing it again.

    Keys come from encrypted files (--keystore) or the environment (HONORARIUM_KEY), never from
    arguments. HONORARIUM_RPC, HONORARIUM_MANIFEST, HONORARIUM_KEYSTORE and HONORARIUM_STATE stand
    for the options of these names.
    """


def main() -> None:
    """Runs the command line; what this package refuses is one sentence, not a traceback."""
    try:
        app(prog_name="honorarium")
    except HonorariumError as error:
        _tell(error)
        sys.exit(UNKNOWN if isinstance(error, FateUnknown) else REFUSED)
    except Exception:
        # Not foreseen, so with all that helps to mend it; 1 would mean that something was found.
        traceback.print_exc()
        sys.exit(REFUSED)


def _tell(error: HonorariumError) -> None:
    if "--json" in sys.argv:
        known = {name: value for name, value in vars(error).items() if not name.startswith("_")}
        if isinstance(known.get("url"), str):
            known["url"] = shown_url(known["url"])  # an access key may stand in it
        told = {"error": type(error).__name__, "message": str(error), **known}
        print(json.dumps(told, default=plain), file=sys.stderr)
        return
    console = Console(stderr=True)
    console.print(f"[bold red]{type(error).__name__}[/]:", end=" ")
    console.print(visible(str(error)), markup=False, highlight=False, soft_wrap=True)
