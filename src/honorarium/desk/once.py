"""Requests that carry an idempotency key: done once, and answered alike ever after.

What a request does in the ledger and its answer are written in one transaction. What it does on the
chain is named by what it is (see `relay`), so whoever goes on after a crash follows the transaction
that was signed, and never sends a second one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from honorarium.desk.aside import Aside
from honorarium.errors import HonorariumError
from honorarium.ledger import answers
from honorarium.ledger.answers import IdempotencyKeyBusy, Kept

HELD: Final = 30
"""A replica that does not say so for so many seconds works on it no more."""

PATIENCE: Final = 5.0
"""So many seconds a request waits for the same one to be answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: HTTP's status, and an object of JSON."""

    status: int
    body: Mapping[str, Any]


Commit = Callable[[Connection], Answer]
"""What a request does in the ledger, and its answer."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request with its idempotency key. `who`: the account, or the network address."""

    key: str
    who: str
    what: str
    body: bytes

    @property
    def scope(self) -> bytes:
        """What the key is unique in."""
        return hashlib.sha256("\n".join((self.who, self.what, self.key)).encode()).digest()

    @property
    def digest(self) -> bytes:
        """What the request asks for."""
        return hashlib.sha256(self.body).digest()


class Once:
    """Does each keyed request once. `kept_seconds`: so long its answer is known."""

    def __init__(self, aside: Aside, kept_seconds: int) -> None:
        self._aside, self._kept_seconds = aside, kept_seconds

    async def do(
        self, keyed: Keyed | None, prepare: Callable[[], Awaitable[Commit]]
    ) -> tuple[Answer, bool]:
        """The answer, and whether it was given before.

        `prepare` does what has to be waited for; what it returns is run in the transaction that
        stores the answer. What either raises is raised, and the same key may be tried again.

        Raises IdempotencyKeyTaken, IdempotencyKeyBusy.
        """
        if keyed is None:
            return await self._aside.write(await prepare()), False
        holder = secrets.token_hex(8)
        kept = await self._claim(keyed, holder)
        if kept is not None:
            return Answer(kept.status, json.loads(kept.body)), True
        holding = asyncio.create_task(self._hold(keyed.scope, holder))
        try:
            commit = await prepare()
            return await self._aside.write(lambda c: _both(c, commit, keyed, holder)), False
        except BaseException:  # a request that is cancelled too
            giving_up = self._aside.write(lambda c: answers.give_up(c, keyed.scope, holder))
            with suppress(HonorariumError):
                await asyncio.shield(giving_up)
            raise
        finally:
            holding.cancel()

    async def _claim(self, keyed: Keyed, holder: str) -> Kept | None:
        until, pause = time.monotonic() + PATIENCE, 0.02
        while True:
            now = int(time.time())
            try:
                return await self._aside.write(
                    partial(
                        answers.claim,
                        scope=keyed.scope,
                        digest=keyed.digest,
                        key=keyed.key,
                        holder=holder,
                        now=now,
                        held_until=now + HELD,
                        expires_at=now + self._kept_seconds,
                    )
                )
            except IdempotencyKeyBusy:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.25)

    async def _hold(self, scope: bytes, holder: str) -> None:
        while True:
            await asyncio.sleep(HELD / 3)
            with suppress(HonorariumError):
                until = int(time.time()) + HELD
                await self._aside.write(
                    partial(answers.hold_on, scope=scope, holder=holder, held_until=until)
                )


def _both(connection: Connection, commit: Commit, keyed: Keyed, holder: str) -> Answer:
    answer = commit(connection)
    kept = Kept(answer.status, json.dumps(answer.body))
    answers.keep(connection, keyed.scope, keyed.key, holder, kept)
    return answer
