"""What one account has sent on one chain, kept until it is certain what became of it.

A nonce is taken, and the transaction signed and stored, in one step that excludes every other
program with the same outbox; only then is it broadcast. So two programs never take the same nonce,
and after a crash the very same transaction goes out again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from honorarium.chain.outbox_store import FileStore, Store
from honorarium.errors import InputError
from honorarium.ids import Hash

ALL: Final = 2**31 - 1
"""More nonces than an account ever has open."""


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What is broadcast, byte for byte. Sending it twice counts once."""

    raw: bytes
    hash: Hash
    nonce: int


class IdempotencyKeyReused(InputError):
    """One idempotency key for two actions. `tx_hash`: the transaction that it stands for; None:
    one that a desk sends.
    """

    def __init__(self, key: str, tx_hash: bytes | None = None) -> None:
        self.key, self.tx_hash = key, tx_hash
        does = "" if tx_hash is None else f", which transaction 0x{tx_hash.hex()} does"
        super().__init__(
            f"the idempotency key {key!r} stands for another action already{does}; nothing was "
            "sent; give each action a key of its own, and the same key only to try the very same "
            "action again"
        )


class Outbox:
    """The transactions of one account on one chain: in the file `where`, or in any other store of
    the same kind; None: in memory.

    Several programs and threads may have the same file open at once. Raises OutboxUnusable.
    """

    def __init__(self, where: Path | Store | None = None) -> None:
        self._store = FileStore(where) if where is None or isinstance(where, Path) else where
        self.path = self._store.path if isinstance(self._store, FileStore) else None

    def close(self) -> None:
        """Closes the store."""
        self._store.close()

    # ------------------------------------------------------------------ taking nonces

    def counted(self) -> bool:
        """Whether the chain's count of the account is known, so that nonces can be taken."""
        return self._one("SELECT 1 FROM counted WHERE {mine}") is not None

    def count_from(self, nonce: int) -> None:
        """The chain says that no nonce below this one is free."""
        with self._store.writing():
            known = self._one("SELECT nonce FROM counted WHERE {mine}")
            if known is None:
                self._store.insert("counted", {"nonce": nonce})
            elif known[0] < nonce:
                self._run("UPDATE counted SET nonce = :nonce WHERE {mine}", nonce=nonce)

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
        with self._store.writing():
            if purpose is not None:
                known = self._of_purpose(purpose, content)
                if known is not None:
                    return known, False
            nonce = self._free()
            signed = sign(nonce)
            self._keep(signed, 0, purpose, content)
            return signed, True

    def fill(self, nonce: int, sign: Callable[[int], SignedTransaction]) -> SignedTransaction:
        """A transaction of exactly this nonce, unless there is one already."""
        with self._store.writing():
            if existing := self.attempts(nonce):
                return existing[-1]
            signed = sign(nonce)
            self._keep(signed, 0, None)
            return signed

    def replace(
        self, old: SignedTransaction, sign: Callable[[int], SignedTransaction]
    ) -> SignedTransaction:
        """Another attempt under the same nonce, unless somebody else made one meanwhile, or it is
        decided: then what there is.
        """
        with self._store.writing():
            attempts = self.attempts(old.nonce)
            if not attempts or attempts[-1].hash != old.hash or self.decided(old):
                return attempts[-1] if attempts else old
            signed = sign(old.nonce)
            found = self._one(
                "SELECT max(attempt) FROM sent WHERE {mine} AND nonce = :nonce", nonce=old.nonce
            )
            assert found is not None
            self._keep(signed, found[0] + 1, None)
            return signed

    # ------------------------------------------------------------------ what became of them

    def attempts(self, nonce: int) -> list[SignedTransaction]:
        """What was signed under a nonce and may still count or did, in order."""
        rows = self._all(
            "SELECT raw, hash, nonce FROM sent "
            "WHERE {mine} AND nonce = :nonce AND fate <> 'void' ORDER BY attempt",
            nonce=nonce,
        )
        return [SignedTransaction(raw, Hash(tx_hash), n) for raw, tx_hash, n in rows]

    def find(self, tx_hash: Hash) -> SignedTransaction | None:
        """What was signed under a hash; None if it is not of this outbox."""
        row = self._one(
            "SELECT raw, hash, nonce FROM sent WHERE {mine} AND hash = :hash", hash=tx_hash
        )
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
            "SELECT 1 FROM sent AS one WHERE {mine} AND hash = :hash AND fate <> 'void' AND EXISTS "
            "(SELECT 1 FROM sent WHERE {mine} AND nonce = one.nonce AND fate = 'mined')",
            hash=signed.hash,
        )
        return found is not None

    def of_purpose(self, purpose: str, content: bytes | None = None) -> SignedTransaction | None:
        """The transaction that was signed for a purpose.

        Raises IdempotencyKeyReused if it was signed for another content.
        """
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
            "SELECT DISTINCT nonce FROM sent WHERE {mine} AND fate = 'open' AND nonce >= :first "
            "ORDER BY nonce LIMIT :limit",
            first=first,
            limit=limit,
        )
        return [nonce for (nonce,) in rows]

    def told(self, tx_hash: Hash) -> None:
        """A node has taken it."""
        with self._store.writing():
            self._run("UPDATE sent SET told = 1 WHERE {mine} AND hash = :hash", hash=tx_hash)

    def untold_before(self, nonce: int) -> tuple[SignedTransaction, float] | None:
        """The oldest transaction below a nonce that no node has taken yet, and its age in seconds:
        the program that signed it is about to send it, or it is gone.
        """
        row = self._one(
            "SELECT raw, hash, nonce, signed FROM sent AS one "
            "WHERE {mine} AND fate = 'open' AND nonce < :nonce AND NOT EXISTS "
            "(SELECT 1 FROM sent WHERE {mine} AND nonce = one.nonce AND told = 1) "
            "ORDER BY nonce LIMIT 1",
            nonce=nonce,
        )
        if row is None:
            return None
        return SignedTransaction(row[0], Hash(row[1]), row[2]), max(0.0, time.time() - row[3])

    def last_mined(self) -> SignedTransaction | None:
        """The transaction of the highest nonce that was seen in a block."""
        row = self._one(
            "SELECT raw, hash, nonce FROM sent WHERE {mine} AND fate = 'mined' "
            "ORDER BY nonce DESC LIMIT 1"
        )
        return SignedTransaction(row[0], Hash(row[1]), row[2]) if row else None

    def mined(self, tx_hash: Hash) -> None:
        """It was seen in a block; other attempts under its nonce can count no more."""
        with self._store.writing():
            self._run(
                "UPDATE sent SET fate = CASE WHEN hash = :hash THEN 'mined' ELSE 'passed' END "
                "WHERE {mine} AND fate <> 'void' "
                "AND nonce = (SELECT nonce FROM sent WHERE {mine} AND hash = :hash)",
                hash=tx_hash,
            )

    def unmined(self, nonce: int) -> None:
        """From this nonce on, what was seen in a block is there no more."""
        with self._store.writing():
            self._run(
                "UPDATE sent SET fate = 'open' "
                "WHERE {mine} AND fate IN ('mined', 'passed') AND nonce >= :nonce",
                nonce=nonce,
            )

    def release(self, tx_hash: Hash) -> None:
        """It is in a block and changed nothing: its purpose may be tried again."""
        with self._store.writing():
            self._run(
                "UPDATE sent SET purpose = NULL WHERE {mine} "
                "AND nonce = (SELECT nonce FROM sent WHERE {mine} AND hash = :hash)",
                hash=tx_hash,
            )

    def void(self, signed: SignedTransaction) -> None:
        """It can never count: the node refused it, or its nonce counted for something else."""
        with self._store.writing():
            self._run(
                "UPDATE sent SET fate = 'void' WHERE {mine} AND hash = :hash", hash=signed.hash
            )

    # ------------------------------------------------------------------ within

    def _free(self) -> int:
        """The lowest nonce that is counted free and that nothing here has."""
        row = self._one("SELECT nonce FROM counted WHERE {mine}")
        if row is None:
            raise RuntimeError("the account's count was never asked for")
        found = self._one(
            "SELECT min(free) FROM (SELECT nonce AS free FROM counted WHERE {mine} "
            "UNION ALL SELECT nonce + 1 FROM sent "
            "WHERE {mine} AND fate <> 'void' AND nonce >= :first) AS tried WHERE NOT EXISTS "
            "(SELECT 1 FROM sent WHERE {mine} AND fate <> 'void' AND nonce = free)",
            first=row[0],
        )
        assert found is not None
        return int(found[0])

    def _of_purpose(self, purpose: str, content: bytes | None) -> SignedTransaction | None:
        row = self._one(
            "SELECT raw, hash, nonce, content FROM sent "
            "WHERE {mine} AND purpose = :purpose AND attempt = 0 AND fate <> 'void'",
            purpose=purpose,
        )
        if row is None:
            return None
        if content is not None and row[3] is not None and row[3] != content:
            raise IdempotencyKeyReused(purpose, row[1])
        return SignedTransaction(row[0], Hash(row[1]), row[2])

    def _keep(
        self,
        signed: SignedTransaction,
        attempt: int,
        purpose: str | None,
        content: bytes | None = None,
    ) -> None:
        row = {
            "nonce": signed.nonce,
            "attempt": attempt,
            "hash": signed.hash,
            "raw": signed.raw,
            "purpose": purpose,
            "content": content,
            "signed": time.time(),
        }
        self._store.insert("sent", row)

    def _one(self, query: str, **values: object) -> tuple[Any, ...] | None:
        found = self._all(query, **values)
        return found[0] if found else None

    def _all(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        return self._store.rows(query.format(mine=self._store.mine), values)

    def _run(self, statement: str, **values: object) -> None:
        self._store.run(statement.format(mine=self._store.mine), values)
