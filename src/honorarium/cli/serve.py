"""`honorarium serve`: a desk; `honorarium desk`: what its operator does beside it."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from honorarium.chain.deploy import shown
from honorarium.cli.common import AsJson, KeyEnv, Keystore, account_of, plain, show, signer
from honorarium.errors import InputError

Ledger = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="DATABASE",
        help="A SQLite file (default: desk.sqlite3), or postgresql://user:password@host/name.",
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="A TOML file with what is not said here."),
]


class DeskNotInstalled(InputError):
    """The packages that a desk needs are not there."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        super().__init__(
            f"a desk needs more packages, and {missing} is missing: pip install 'honorarium[desk]'"
        )


class SettingsRefused(InputError):
    """Settings that a desk cannot have."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__(
            f"the desk cannot be set up so: {'; '.join(reasons)}; docs/desk.md lists the settings"
        )


class LedgerNotFound(InputError):
    """A ledger that nobody has set up: there is nothing to copy, or to forget."""

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(
            f"there is no desk's ledger at {place}: name it by --ledger or --settings, as for "
            "`honorarium serve`, which makes new ones"
        )


def serve(
    rpc: Annotated[
        str | None, typer.Option("--rpc", envvar="HONORARIUM_RPC", help="The node's address.")
    ] = None,
    ledger: Ledger = None,
    host: Annotated[str | None, typer.Option(help="Where it listens (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="The port on which it listens (8470).")] = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="How clients reach it.")
    ] = None,
    settings: SettingsFile = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", envvar="HONORARIUM_MANIFEST", help="Which contracts."),
    ] = None,
    keystore: Keystore = None,
    key_env: KeyEnv = "HONORARIUM_KEY",
    as_json: AsJson = False,
) -> None:
    """Run a desk: quotes, vouchers, settling, history over HTTP, until Ctrl-C.

    Its account pays for gas and countersigns vouchers; it holds nobody's keys and nobody's money.

    Example: HONORARIUM_KEY=0x... honorarium serve --rpc http://127.0.0.1:8545
    """
    _must_be_installed()
    from honorarium.api.server import run

    known = load(
        settings,
        rpc=rpc,
        ledger=ledger,
        host=host,
        port=port,
        public_url=public_url,
        manifest=manifest,
    )
    key = signer(keystore, key_env)

    def ready(desk: Any) -> None:
        facts = {
            "url": known.url,
            "listens": f"{known.host}, port {known.port}" if known.public_url else None,
            "api": f"{known.url}/v1/openapi.json",
            "chain": desk.domain.chain_id,
            "escrow": shown(desk.domain.contract),
            "desk": shown(desk.address),
            "ledger": desk.ledger.place,
        }
        if as_json:
            print(json.dumps(facts), flush=True)  # one line
            return
        show(False, facts)
        print("Ctrl-C stops it.", flush=True)

    run(known, key, ready)


def _must_be_installed() -> None:
    """Raises DeskNotInstalled. Only a desk needs them, so nothing else waits for their import."""
    for name in ("fastapi", "sqlalchemy", "alembic", "pydantic_settings", "dbos", "uvicorn"):
        if importlib.util.find_spec(name) is None:
            raise DeskNotInstalled(name)


def load(settings: Path | None, **flags: Any) -> Any:
    """The desk's settings. Raises SettingsRefused, with every reason."""
    _must_be_installed()
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from honorarium.desk import load_settings, unknown_variables

    reasons = [f"{name}: no setting is called so" for name in unknown_variables()]
    try:
        known = load_settings(settings, **flags)
    except ValidationError as error:
        reasons += [f"{'.'.join(map(str, each['loc']))}: {_why(each)}" for each in error.errors()]
    except SettingsError as error:  # a variable that has to be JSON
        reasons.append(str(error))
    except OSError as error:
        reasons.append(f"{settings} cannot be read: {error.strerror or error}")
    except ValueError as error:  # no UTF-8, or no TOML
        reasons.append(f"{settings} is no TOML: {error}")
    if reasons:
        raise SettingsRefused(reasons)
    return known


def _why(fault: Any) -> str:
    """What is wrong with one setting, without pydantic's own words before it."""
    said: str = fault["msg"]
    if fault["type"] == "extra_forbidden":
        return "no setting is called so"
    said = said.removeprefix("Value error, ")
    return said[0].lower() + said[1:]


# ---------------------------------------------------------------------- beside it

desk = typer.Typer(no_args_is_help=True, help="Look after a desk's ledger, also while it runs.")


@desk.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes (.jsonl.gz).")],
    ledger: Ledger = None,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Copy the whole ledger, as it is at one moment, into a file.

    Example: honorarium desk backup monday.jsonl.gz
    """
    from honorarium.ledger import backup as copy

    with _ledger(settings, ledger) as opened:
        rows = copy.backup(opened, file)
    _say(as_json, f"{rows:,} rows are in {file}", rows=rows, file=str(file))


@desk.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `backup` made.")],
    ledger: Ledger = None,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Bring a copy into an empty ledger, of the same kind or of the other one.

    Example: honorarium desk restore monday.jsonl.gz --ledger new.sqlite3
    """
    from honorarium.ledger import backup as copy

    with _ledger(settings, ledger, new=True) as opened:
        rows = copy.restore(file, opened)
    _say(as_json, f"{rows:,} rows are restored", rows=rows)


@desk.command()
def prune(ledger: Ledger = None, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Forget journals, quotes and answers that are older than `retention_days`.

    Example: honorarium desk prune
    """
    from honorarium.desk import keep

    known = load(settings, ledger=ledger)
    with _ledger(settings, ledger) as opened:
        gone = keep.prune(opened, int(time.time()), known.retention_days)
    _say(
        as_json,
        f"{gone.records:,} journal records and {gone.sessions:,} unopened quotes are gone",
        records=gone.records,
        sessions=gone.sessions,
    )


@desk.command()
def erase(
    account: Annotated[str, typer.Argument(help="The client's or payer's address.")],
    ledger: Ledger = None,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Forget a client: journals, quotes, sign-ins, webhooks. What is on the chain stays there.

    Example: honorarium desk erase 0x70997970C51812dc3A010C7d01b50e0d17dc79C8
    """
    from honorarium.desk import keep

    whom = account_of(account)
    with _ledger(settings, ledger) as opened:
        gone = keep.erase(opened, whom)
    found = f"{gone.sessions:,} sessions name nobody any more; {gone.records:,} journal records are"
    none = f"no session names {plain(whom)} as client or payer; its sign-ins and webhooks are"
    _say(
        as_json,
        f"{found if gone.sessions else none} gone",
        sessions=gone.sessions,
        records=gone.records,
    )


def _ledger(settings: Path | None, given: str | None, *, new: bool = False) -> Any:
    """Raises LedgerNotFound, unless it may be `new`: a mistyped name is not an empty ledger."""
    from honorarium.ledger import Ledger as Opened

    opened = Opened(load(settings, ledger=given).ledger)
    if not new and not opened.is_there():
        raise LedgerNotFound(opened.place)
    opened.set_up()
    return opened


def _say(as_json: bool, sentence: str, **facts: Any) -> None:
    if as_json:
        print(json.dumps(facts))
    else:
        Console().print(sentence, highlight=False, soft_wrap=True)
