"""`honorarium account`: keys in encrypted files, and who they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from honorarium.chain import key_from_environment, write_keystore
from honorarium.chain.keystore import KEY_VARIABLE
from honorarium.cli.agent import LOCAL_DESK, AtDesk
from honorarium.cli.common import (
    AsJson,
    KeyEnv,
    Keystore,
    ManifestFile,
    meter_key,
    moment,
    show,
    signer,
)
from honorarium.cli.secrets import password_of
from honorarium.protocol.keys import Key
from honorarium.remote import Desk

account = typer.Typer(no_args_is_help=True, help="Make and show accounts; keys stay in files.")


@account.command("new")
def new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The new encrypted key file.")],
    from_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Take the key in this variable instead of a new one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and keep it, encrypted, in a file as wallets of this field read and write.

    The password comes from HONORARIUM_PASSWORD, else it is asked for. Without file and password
    the key is lost for ever: keep a copy of both in two places.

    Example: honorarium account new advisor.json
    """
    key = Key.generate() if from_env is None else key_from_environment(from_env)
    write_keystore(path, key, password_of(path, twice=True))
    show(as_json, {"account": key.address, "key_file": str(path)})


@account.command("show")
def show_account(
    keystore: Keystore = None, key_env: KeyEnv = KEY_VARIABLE, as_json: AsJson = False
) -> None:
    """Show whose key this is, and the meter key of this machine.

    A client tells the advisor both addresses; the advisor names them in the quote.

    Example: honorarium account show --keystore client.json
    """
    key = signer(keystore, key_env)
    show(as_json, {"account": key.address, "meter": meter_key().address})


@account.command("token")
def token(
    desk: AtDesk = LOCAL_DESK,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Sign in to a desk, and print the token that its API wants: `Authorization: Bearer TOKEN`.

    Whoever has it reads at the desk what this account may, until its time is over; nothing can be
    paid or signed with it.

    Example: honorarium account token --desk http://127.0.0.1:8470
    """
    with Desk.connect(desk, manifest=manifest) as place:
        known = place.sign_in(signer(keystore, key_env))
    if as_json:
        show(True, {"token": known.token, "expires_at": moment(known.expires_at)})
    else:
        typer.echo(known.token)
