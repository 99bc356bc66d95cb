"""Keys from where they are safe: the environment or an encrypted file, never the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import typer

from honorarium.chain import key_from_environment, read_keystore
from honorarium.protocol.keys import Key

PASSWORD_VARIABLE: Final = "HONORARIUM_PASSWORD"


def read_key(variable: str, keystore: Path | None) -> Key:
    """The key in the environment variable, or in the encrypted file if one is named.

    The file's password comes from HONORARIUM_PASSWORD, else it is asked for. Raises KeyUnusable.
    """
    if keystore is None:
        return key_from_environment(variable)
    return read_keystore(keystore, password_of(keystore))


def password_of(path: Path, *, twice: bool = False) -> str:
    """A key file's password: HONORARIUM_PASSWORD, else what is typed (`twice` if it is new)."""
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is not None:
        return password
    asked: str = typer.prompt(
        f"Password of {path}", hide_input=True, err=True, confirmation_prompt=twice
    )
    return asked
