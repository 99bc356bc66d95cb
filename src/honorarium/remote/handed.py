"""What was signed and handed to a desk under an idempotency key, kept until that is certain.

Signed anew it would be something else (another deadline, another salt), and could be done twice. So
it lies on the disk before anybody sees it, and the next attempt hands over the very same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

from honorarium.chain import IdempotencyKeyReused, OutboxUnusable, Relayable, RelayableUnreadable
from honorarium.chain.node import to_hex
from honorarium.ids import Address


class Handed:
    """A folder with a file for each key that is in use; None: in memory, gone with the program."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, str] = {}

    def find(self, account: Address, key: str, content: bytes) -> Relayable | None:
        """What was signed under this key. Raises IdempotencyKeyReused, OutboxUnusable."""
        found = self._load(account, key)
        if found is None:
            return None
        try:
            if found["content"] == to_hex(content):
                return Relayable.from_json(json.dumps(found["signed"]))
        except (KeyError, RelayableUnreadable) as error:
            raise OutboxUnusable(self._folder, f"{key!r} cannot be read ({error})") from None
        raise IdempotencyKeyReused(key)

    def keep(self, account: Address, key: str, content: bytes, signed: Relayable) -> None:
        """It is on the disk when this returns. Raises OutboxUnusable."""
        fields = {"content": to_hex(content), "signed": json.loads(signed.to_json())}
        self._write(_name(account, key), json.dumps(fields) + "\n")

    def done(self, account: Address, key: str) -> None:
        """It counts: the same key again finds what was done. Raises OutboxUnusable."""
        found = self._load(account, key)
        if found is not None and not found.get("done"):
            self._write(_name(account, key), json.dumps({**found, "done": True}) + "\n")

    def purpose(self, account: Address, action: str) -> tuple[str, bool]:
        """A key for an action that may be meant more than once, as `Outbox.purpose` gives one; and
        whether it was begun already.
        """
        for times in itertools.count():
            found = self._load(account, f"{action}/{times}")
            if found is None or not found.get("done"):
                return f"{action}/{times}", found is not None
        raise AssertionError("counting never ends")

    def drop(self, account: Address, key: str) -> None:
        """It was refused: nothing was done, and the key is free. Raises OutboxUnusable."""
        name = _name(account, key)
        self._memory.pop(name, None)
        if self._folder is not None:
            try:
                (self._folder / name).unlink(missing_ok=True)
            except OSError as error:
                raise OutboxUnusable(self._folder, str(error)) from None

    def _load(self, account: Address, key: str) -> dict[str, Any] | None:
        text = self._read(_name(account, key))
        try:
            found = None if text is None else json.loads(text)
        except ValueError as error:
            raise OutboxUnusable(self._folder, f"{key!r} cannot be read ({error})") from None
        if found is not None and not isinstance(found, dict):
            raise OutboxUnusable(self._folder, f"{key!r} cannot be read")
        return found

    def _read(self, name: str) -> str | None:
        if self._folder is None:
            return self._memory.get(name)
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise OutboxUnusable(self._folder, str(error)) from None

    def _write(self, name: str, text: str) -> None:
        if self._folder is None:
            self._memory[name] = text
            return
        draft = self._folder / f"{name}.{os.getpid()}.new"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._folder / name)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise OutboxUnusable(self._folder, str(error)) from None


def _name(account: Address, key: str) -> str:
    return f"{account.hex()}-{hashlib.sha256(key.encode()).hexdigest()}.json"
