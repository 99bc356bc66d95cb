"""Keys from where they are safe: an encrypted file, or the environment.

The files are those that wallets of this field write (Web3 Secret Storage, version 3), so a key can
be brought along from there, and taken back.
"""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Final

from eth_account import Account

from honorarium.errors import InputError
from honorarium.onfailure import OnFailure
from honorarium.protocol.keys import Key

KEY_VARIABLE: Final = "HONORARIUM_KEY"


class KeyUnusable(InputError):
    """There is no usable key at `source`. The key itself is never shown."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"no key from {source}: {reason}")


class KeystoreExists(InputError):
    """A key would be overwritten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path} exists already, and a key that is overwritten is lost for ever; name another "
            "file, or move the old one to a safe place first"
        )


def read_keystore(path: Path, password: str) -> Key:
    """The key of an encrypted file. Raises KeyUnusable."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeyUnusable(str(path), error.strerror or str(error)) from error
    except ValueError:
        raise KeyUnusable(str(path), "it is not JSON, as encrypted key files are") from None
    try:
        return Key.from_bytes(bytes(Account.decrypt(stored, password)))
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
        raise KeyUnusable(
            str(path), "the password does not open it, or it is no encrypted key file"
        ) from None


def write_keystore(path: Path, key: Key, password: str) -> None:
    """Writes a key, encrypted, to a new file that only its owner may read.

    Raises KeystoreExists rather than overwrite one, KeyUnusable if the file cannot be written.
    """
    stored = json.dumps(Account.encrypt(key.secret(), password))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # Half a key is none, and would be in the way.
        with (
            OnFailure(partial(path.unlink, missing_ok=True)),
            os.fdopen(handle, "w", encoding="utf-8") as file,
        ):
            file.write(stored + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise KeystoreExists(path) from None
    except OSError as error:
        raise KeyUnusable(str(path), error.strerror or str(error)) from error


def key_from_environment(variable: str = KEY_VARIABLE) -> Key:
    """The key that an environment variable holds, 64 hex digits. Raises KeyUnusable."""
    source = f"the environment variable {variable}"
    text = os.environ.get(variable, "").strip()
    if not text:
        raise KeyUnusable(
            source,
            "it is not set; set it to the account's private key, or name a key file with "
            "--keystore",
        )
    try:
        return Key.from_bytes(bytes.fromhex(text.removeprefix("0x")))
    except ValueError:
        raise KeyUnusable(source, "a private key is 64 hexadecimal digits") from None
