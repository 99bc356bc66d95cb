"""Keys from where they are safe: the environment or an encrypted file, never the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import typer
from eth_account import Account

from honorarium.errors import InputError
from honorarium.protocol.keys import Key

KEY_VARIABLE: Final = "HONORARIUM_KEY"
PASSWORD_VARIABLE: Final = "HONORARIUM_PASSWORD"


class KeyUnusable(InputError):
    """There is no usable key at `source`. The key itself is never shown."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"no key from {source}: {reason}")


def read_key(variable: str, keystore: Path | None) -> Key:
    """The key in the environment variable, or in the encrypted file if one is named.

    The file's password comes from HONORARIUM_PASSWORD, else it is asked for. Raises KeyUnusable.
    """
    if keystore is not None:
        return _from_file(keystore)
    text = os.environ.get(variable, "").strip()
    if not text:
        raise KeyUnusable(
            f"the environment variable {variable}",
            "it is not set; set it to the private key of the account that pays, "
            "or name a key file with --keystore",
        )
    try:
        return Key.from_bytes(_secret(text))
    except ValueError:
        raise KeyUnusable(
            f"the environment variable {variable}", "a private key is 64 hexadecimal digits"
        ) from None


def _secret(text: str) -> bytes:
    secret = bytes.fromhex(text.removeprefix("0x"))
    if len(secret) != 32:
        raise ValueError("a private key has 32 bytes")
    return secret


def _from_file(path: Path) -> Key:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeyUnusable(str(path), error.strerror or str(error)) from error
    except ValueError:
        raise KeyUnusable(str(path), "it is not JSON, as encrypted key files are") from None
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        password = typer.prompt(f"Password of {path}", hide_input=True, err=True)
    try:
        return Key.from_bytes(bytes(Account.decrypt(stored, password)))
    except (ValueError, TypeError, KeyError):
        raise KeyUnusable(
            str(path), "the password does not open it, or it is no encrypted key file"
        ) from None
