"""What one account has sent on one chain, kept until it is certain what became of it.

A nonce is taken, and the transaction signed and stored, in one step that excludes every other
program with the same outbox; only then is it broadcast. So two programs never take the same nonce,
and after a crash the very same transaction goes out again.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from honorarium.errors import ChainError, InputError
from honorarium.ids import Hash

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sent (
    nonce   INTEGER NOT NULL,
    attempt INTEGER NOT NULL,           -- 0, then one more for every replacement
    hash    BLOB    NOT NULL UNIQUE,
    raw     BLOB    NOT NULL,
    purpose TEXT,                       -- the idempotency key, if one was given
    content BLOB,                       -- the digest of what it was given for
    fate    TEXT    NOT NULL DEFAULT 'open',
        -- open, mined, passed over (another attempt was mined), or void (it can never count)
    signed  REAL    NOT NULL,           -- when, by this machine's clock
    told    INTEGER NOT NULL DEFAULT 0, -- whether a node has taken it
    PRIMARY KEY (nonce, attempt, hash)
);
CREATE INDEX IF NOT EXISTS sent_fate ON sent (fate, nonce);
CREATE UNIQUE INDEX IF NOT EXISTS sent_purpose ON sent (purpose)
    WHERE purpose IS NOT NULL AND attempt = 0 AND fate <> 'void';
CREATE TABLE IF NOT EXISTS counted (nonce INTEGER NOT NULL);
"""

WAIT: Final = 60.0
"""So many seconds another program may hold the outbox: its wallet may have to ask somebody."""


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What is broadcast, byte for byte. Sending it twice counts once."""

    raw: bytes
    hash: Hash
    nonce: int


class OutboxUnusable(ChainError):
    """The file of an outbox cannot be read or written. Nothing was sent."""

    def __init__(self, path: Path | None, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"the outbox {path or 'in memory'} cannot be used: {reason}; nothing was sent; mend "
            "the file's place, or name another folder in HONORARIUM_STATE"
        )


class IdempotencyKeyReused(InputError):
    """One idempotency key for two actions. `tx_hash`: the transaction that it stands for."""

    def __init__(self, key: str, tx_hash: bytes) -> None:
        self.key, self.tx_hash = key, tx_hash
        super().__init__(
            f"the idempotency key {key!r} stands for another action already, which transaction "
            f"0x{tx_hash.hex()} does; nothing was sent; give each action a key of its own, and "
            "the same key only to try the very same action again"
        )


class Outbox:
    """The transactions of one account on one chain, in the file `path`; None: in memory.

    Several programs and threads may have the same file open at once. Raises OutboxUnusable.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._translated():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(
                path or ":memory:", timeout=WAIT, isolation_level=None, check_same_thread=False
            )
        self._closing = weakref.finalize(self, self._db.close)
        try:
            self._set_up()
        except BaseException:
            self._closing()
            raise

    def _set_up(self) -> None:
        with self._translated():
            if self.path is not None:
                self._remember_on_disk()
            if "content" in self._columns():
                return  # without waiting for whoever writes just now
            self._db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            if "content" not in self._columns():  # a file of an older version
                self._db.execute("ALTER TABLE sent ADD COLUMN content BLOB")
            self._db.execute("COMMIT")

    def _columns(self) -> set[str]:
        return {row[1] for row in self._db.execute("PRAGMA table_info(sent)")}

    def _remember_on_disk(self) -> None:
        until = time.monotonic() + WAIT
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                # While another program does the same, SQLite refuses at once instead of waiting.
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
        self._db.execute("PRAGMA synchronous = FULL")  # stored means: survives the power

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._closing()

    # ------------------------------------------------------------------ taking nonces

    def counted(self) -> bool:
        """Whether the chain's count of the account is known, so that nonces can be taken."""
        return self._one("SELECT 1 FROM counted") is not None

    def count_from(self, nonce: int) -> None:
        """The chain says that no nonce below this one is free."""
        with self._writing():
            known = self._one("SELECT nonce FROM counted")
            if known is None:
                self._run("INSERT INTO counted VALUES (?)", (nonce,))
            else:
                self._run("UPDATE counted SET nonce = ?", (max(known[0], nonce),))

    def take(
        self,
        sign: Callable[[int], SignedTransaction],
        purpose: str | None = None,
        content: bytes | None = None,
    ) -> tuple[SignedTransaction, bool]:
        """The next transaction: `sign` gets the lowest free nonce, and its result is stored.

        With a `purpose` that was used before, the first transaction of it instead, and False.
        `content` is a digest of what is to be done: raises IdempotencyKeyReused if the purpose was
        another one's.
        """
        with self._writing():
            if purpose is not None:
                known = self._of_purpose(purpose, content)
                if known is not None:
                    return known, False
            nonce = self._free()
            signed = sign(nonce)
            self._store(signed, 0, purpose, content)
            return signed, True

    def fill(self, nonce: int, sign: Callable[[int], SignedTransaction]) -> SignedTransaction:
        """A transaction of exactly this nonce, unless there is one already."""
        with self._writing():
            if existing := self.attempts(nonce):
                return existing[-1]
            signed = sign(nonce)
            self._store(signed, 0, None)
            return signed

    def replace(
        self, old: SignedTransaction, sign: Callable[[int], SignedTransaction]
    ) -> SignedTransaction:
        """Another attempt under the same nonce, unless somebody else made one meanwhile, or it is
        decided: then what there is.
        """
        with self._writing():
            attempts = self.attempts(old.nonce)
            if not attempts or attempts[-1].hash != old.hash or self.decided(old):
                return attempts[-1] if attempts else old
            signed = sign(old.nonce)
            found = self._one("SELECT max(attempt) FROM sent WHERE nonce = ?", (old.nonce,))
            assert found is not None
            self._store(signed, found[0] + 1, None)
            return signed

    # ------------------------------------------------------------------ what became of them

    def attempts(self, nonce: int) -> list[SignedTransaction]:
        """What was signed under a nonce and may still count or did, in order."""
        rows = self._all(
            "SELECT raw, hash, nonce FROM sent WHERE nonce = ? AND fate <> 'void' ORDER BY attempt",
            (nonce,),
        )
        return [SignedTransaction(raw, Hash(tx_hash), n) for raw, tx_hash, n in rows]

    def find(self, tx_hash: Hash) -> SignedTransaction | None:
        """What was signed under a hash; None if it is not of this outbox."""
        row = self._one("SELECT raw, hash, nonce FROM sent WHERE hash = ?", (tx_hash,))
        return SignedTransaction(row[0], Hash(row[1]), row[2]) if row else None

    def family(self, signed: SignedTransaction) -> list[SignedTransaction]:
        """The attempts that do the same as this one, itself included, in order: if one of them is
        in a block, it is done. What took its nonce after it was void does something else.
        """
        attempts = self.attempts(signed.nonce)
        return attempts if any(each.hash == signed.hash for each in attempts) else [signed]

    def decided(self, signed: SignedTransaction) -> bool:
        """Whether it, or another attempt at the same, was seen in a block."""
        found = self._one(
            "SELECT 1 FROM sent AS one WHERE hash = ? AND fate <> 'void' "
            "AND EXISTS (SELECT 1 FROM sent WHERE nonce = one.nonce AND fate = 'mined')",
            (signed.hash,),
        )
        return found is not None

    def of_purpose(self, purpose: str, content: bytes | None = None) -> SignedTransaction | None:
        """The transaction that was signed for a purpose.

        Raises IdempotencyKeyReused if it was signed for another content.
        """
        with self._lock:
            return self._of_purpose(purpose, content)

    def purpose(self, action: str) -> str:
        """An idempotency key for an action that may be meant more than once: `action/0`, or the
        first of `action/1`, `action/2`, ... that was not seen in a block. So one that was
        interrupted keeps its own, until it is certain.
        """
        for times in itertools.count():
            known = self.of_purpose(f"{action}/{times}")
            if known is None or not self.decided(known):
                return f"{action}/{times}"
        raise AssertionError("counting never ends")

    def open_nonces(self, first: int, limit: int = 50) -> list[int]:
        """Nonces of which it is not known whether they count, from `first` on."""
        rows = self._all(
            "SELECT DISTINCT nonce FROM sent WHERE fate = 'open' AND nonce >= ? "
            "ORDER BY nonce LIMIT ?",
            (first, limit),
        )
        return [nonce for (nonce,) in rows]

    def told(self, tx_hash: Hash) -> None:
        """A node has taken it."""
        with self._writing():
            self._run("UPDATE sent SET told = 1 WHERE hash = ?", (tx_hash,))

    def untold_before(self, nonce: int) -> tuple[SignedTransaction, float] | None:
        """The oldest transaction below a nonce that no node has taken yet, and its age in seconds:
        the program that signed it is about to send it, or it is gone.
        """
        row = self._one(
            "SELECT raw, hash, nonce, signed FROM sent AS one WHERE fate = 'open' AND nonce < ? "
            "AND NOT EXISTS (SELECT 1 FROM sent WHERE nonce = one.nonce AND told) "
            "ORDER BY nonce LIMIT 1",
            (nonce,),
        )
        if row is None:
            return None
        return SignedTransaction(row[0], Hash(row[1]), row[2]), max(0.0, time.time() - row[3])

    def last_mined(self) -> SignedTransaction | None:
        """The transaction of the highest nonce that was seen in a block."""
        row = self._one(
            "SELECT raw, hash, nonce FROM sent WHERE fate = 'mined' ORDER BY nonce DESC LIMIT 1"
        )
        return SignedTransaction(row[0], Hash(row[1]), row[2]) if row else None

    def mined(self, tx_hash: Hash) -> None:
        """It was seen in a block; other attempts under its nonce can count no more."""
        with self._writing():
            self._run(
                "UPDATE sent SET fate = iif(hash = ?1, 'mined', 'passed') WHERE fate <> 'void' "
                "AND nonce = (SELECT nonce FROM sent WHERE hash = ?1)",
                (tx_hash,),
            )

    def unmined(self, nonce: int) -> None:
        """From this nonce on, what was seen in a block is there no more."""
        with self._writing():
            self._run(
                "UPDATE sent SET fate = 'open' WHERE fate IN ('mined', 'passed') AND nonce >= ?",
                (nonce,),
            )

    def release(self, tx_hash: Hash) -> None:
        """It is in a block and changed nothing: its purpose may be tried again."""
        with self._writing():
            self._run(
                "UPDATE sent SET purpose = NULL "
                "WHERE nonce = (SELECT nonce FROM sent WHERE hash = ?)",
                (tx_hash,),
            )

    def void(self, signed: SignedTransaction) -> None:
        """It can never count: the node refused it, or its nonce counted for something else."""
        with self._writing():
            self._run("UPDATE sent SET fate = 'void' WHERE hash = ?", (signed.hash,))

    # ------------------------------------------------------------------ within

    def _free(self) -> int:
        """The lowest nonce that is counted free and that nothing here has."""
        row = self._one("SELECT nonce FROM counted")
        if row is None:
            raise RuntimeError("the account's count was never asked for")
        found = self._one(
            "SELECT min(free) FROM (SELECT ?1 AS free UNION ALL SELECT nonce + 1 FROM sent "
            "WHERE fate <> 'void' AND nonce >= ?1) WHERE NOT EXISTS "
            "(SELECT 1 FROM sent WHERE fate <> 'void' AND nonce = free)",
            (row[0],),
        )
        assert found is not None
        return int(found[0])

    def _of_purpose(self, purpose: str, content: bytes | None) -> SignedTransaction | None:
        row = self._one(
            "SELECT raw, hash, nonce, content FROM sent "
            "WHERE purpose = ? AND attempt = 0 AND fate <> 'void'",
            (purpose,),
        )
        if row is None:
            return None
        if content is not None and row[3] is not None and row[3] != content:
            raise IdempotencyKeyReused(purpose, row[1])
        return SignedTransaction(row[0], Hash(row[1]), row[2])

    def _store(
        self,
        signed: SignedTransaction,
        attempt: int,
        purpose: str | None,
        content: bytes | None = None,
    ) -> None:
        self._run(
            "INSERT INTO sent (nonce, attempt, hash, raw, purpose, content, signed) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (signed.nonce, attempt, signed.hash, signed.raw, purpose, content, time.time()),
        )

    def _one(self, query: str, values: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        found = self._all(query, values)
        return found[0] if found else None

    def _all(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._translated():
            return self._db.execute(query, values).fetchall()

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> None:
        with self._translated():
            self._db.execute(statement, values)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone with the file; all of it is stored, or nothing. What a wallet raises meanwhile is
        the wallet's own.
        """
        with self._lock:
            self._run("BEGIN IMMEDIATE")
            try:
                yield
                self._run("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite may have undone it by itself
                    self._run("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutboxUnusable(self.path, str(error)) from error
