"""Settles: looks what is due, claims it, and sees to it that it is brought to its end.

Every replica settles. A session is claimed in the ledger by one of them, and its batch is followed
as a durable workflow. Each replica holds a lock that falls when its process dies; the others try
the locks, and whoever gets one takes over what the dead one left.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from sqlalchemy import RowMapping

from honorarium.chain import Fees, Manifest
from honorarium.desk.clock import ChainClock
from honorarium.desk.policy import Candidate, Policy, Reason
from honorarium.desk.settlement import Settlements, Stopping
from honorarium.desk.workflows import AT_ONCE, Workflows, left_by
from honorarium.errors import ChainError
from honorarium.ids import Address
from honorarium.ledger import Ledger, settling
from honorarium.ledger.locks import Locks
from honorarium.ledger.sessions import CLOSING
from honorarium.ledger.settling import Claim
from honorarium.protocol.documents import read_quote
from honorarium.protocol.limits import funded_units
from honorarium.protocol.signer import Signer
from honorarium.protocol.tariff import Tariff
from honorarium.units import BaseUnits

log = logging.getLogger(__name__)

PAGE = 2_000
"""So many sessions are looked at together."""

REST = 60
"""So many seconds a session rests whose row was skipped, unless it has a newer voucher."""

TARIFFS = 50_000
"""Of so many sessions the tariff is remembered."""

PRICE_HOLDS = 10.0
"""So many seconds the price of gas is taken for the same."""


class Settler:
    """Settles the sessions of a desk, beside other replicas. Start it; wake it when something is
    urgent.

    `relayer` pays for gas. It looks at what is urgent `every` seconds, and at everything every
    `scan` seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        url: str,
        manifest: Manifest,
        relayer: Signer,
        locks: Locks,
        clock: ChainClock,
        *,
        policy: Policy,
        confirmations: int = 1,
        fees: Fees = Fees(),
        every: float = 1.0,
        scan: float = 5.0,
        changed: Callable[[bytes], object] = lambda _: None,
    ) -> None:
        self._ledger, self._locks, self._clock = ledger, locks, clock
        self.policy = policy
        self.replica = secrets.token_hex(8)
        """The name of this process among the replicas."""
        self._steps = Settlements(
            ledger, url, manifest, relayer, confirmations=confirmations, fees=fees
        )
        self._workflows = Workflows(ledger, locks, self._steps, self.replica)
        self._every, self._scan, self._changed = every, scan, changed
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._price, self._price_until = 0, 0.0
        self._scan_at = 0.0
        self._tariffs: dict[bytes, Tariff] = {}
        self._problem: ChainError | None = None

    @property
    def problem(self) -> ChainError | None:
        """What keeps it from settling just now."""
        return self._problem or self._steps.problem

    async def start(self) -> None:
        """Begins to settle, and goes on with what this desk left when it ended last."""
        await asyncio.to_thread(self._join)
        await asyncio.to_thread(self._workflows.launch)
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Ends. What is not final yet is left to another replica, or to the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            await asyncio.to_thread(self._workflows.stop)
        await asyncio.to_thread(self._locks.drop, _lock(self.replica))

    def wake(self) -> None:
        """Somebody asked to close, or for their money: look at once. From any thread."""
        self._wake.set()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._join()
                self._bury_the_dead()
                self.look()
                self._problem = None
            except Stopping:
                return
            except ChainError as error:  # node or database may come back
                if str(error) != str(self._problem):
                    log.warning("settling has to wait: %s", error)
                self._problem = error
            except Exception:
                log.exception("settling")
            self._wake.wait(self._every)
            self._wake.clear()

    def look(self) -> int:
        """Claims what is due, and begins to settle it; so many sessions."""
        now, price = self._clock(), self._gas_price()
        with self._ledger.read() as connection:
            room = AT_ONCE - settling.busy(connection, self.replica)
            found = settling.urgent(connection, now, REST, PAGE)
        started = self._settle(found, now, price, room)
        if time.monotonic() < self._scan_at:
            return started
        self._scan_at = time.monotonic() + self._scan
        after = b""
        while not self._stop.is_set():
            with self._ledger.read() as connection:
                room = AT_ONCE - settling.busy(connection, self.replica)
                found = settling.candidates(connection, now, REST, after, PAGE)
            if not found or room <= 0:
                break
            started += self._settle(found, now, price, room)
            after = found[-1]["session_id"]
        return started

    def _settle(self, rows: Sequence[RowMapping], now: int, price: int, room: int) -> int:
        by_id = {row["session_id"]: row for row in rows}
        candidates = self._candidates(rows)
        started = 0
        for batch in self.policy.batches(candidates, now, price)[: max(0, room)]:
            started += self._begin([(by_id[each.session_id], why) for each, why in batch])
        return started

    def _begin(self, due: Iterable[tuple[RowMapping, Reason]]) -> int:
        """Claims sessions for a new batch, as far as nobody else has them, and settles it."""
        wanted = [
            Claim(
                row["session_id"],
                row["units"],
                row["journal"],
                row["signature"],
                row["earned"],
                why.value,
            )
            for row, why in due
        ]
        batch = secrets.token_hex(16)
        with self._ledger.write() as connection:
            won = settling.claim(connection, batch, self.replica, wanted, int(time.time()))
        if not won:
            return 0
        log.info("%s claimed: %d sessions", batch, len(won))
        self._workflows.start(batch)
        return len(won)

    def _candidates(self, rows: Sequence[RowMapping]) -> list[Candidate]:
        self._learn([row["session_id"] for row in rows])
        return [_candidate(row, self._tariffs[row["session_id"]]) for row in rows]

    def _learn(self, session_ids: Sequence[bytes]) -> None:
        """Terms never change, so each quote is read once."""
        if len(self._tariffs) > TARIFFS:
            self._tariffs.clear()
        missing = [one for one in session_ids if one not in self._tariffs]
        for start in range(0, len(missing), 500):
            part = missing[start : start + 500]
            with self._ledger.read() as connection:
                found = settling.documents(connection, part)
            for one, document in found.items():
                self._tariffs[one] = read_quote(document)[0].terms.tariff

    def _gas_price(self) -> int:
        if time.monotonic() > self._price_until:
            self._price = self._steps.gas_price()
            self._price_until = time.monotonic() + PRICE_HOLDS
        return self._price

    # ------------------------------------------------------------------ the replicas

    def _join(self) -> None:
        """Says that this process lives; again after it was taken for dead."""
        if self._locks.take(_lock(self.replica)):
            with self._ledger.write() as connection:
                settling.join(connection, self.replica, int(time.time()))

    def _bury_the_dead(self) -> None:
        with self._ledger.read() as connection:
            others = settling.others(connection, self.replica)
        for name in others:
            if not self._locks.take(_lock(name)):
                continue  # it lives
            try:
                left = left_by(self._ledger, name)
                level = logging.WARNING if left else logging.INFO
                log.log(level, "replica %s is gone, with %d settlements", name, len(left))
                for batch in left:
                    self._steps.goes_on(batch, self.replica)
                    self._workflows.adopt(batch)
                self._workflows.adopt_all(name)
                with self._ledger.write() as connection:
                    settling.bury(connection, name)
            finally:
                self._locks.drop(_lock(name))


def _lock(replica: str) -> str:
    return f"replica/{replica}"


def _candidate(row: RowMapping, tariff: Tariff) -> Candidate:
    """What a session would bring, from what the ledger knows."""
    fee = min(tariff.fee(row["units"]), row["deposit"])
    return Candidate(
        session_id=row["session_id"],
        token=Address(row["token"]),
        gain=BaseUnits(max(0, fee - row["earned"])),
        taken_at=row["taken_at"],
        left=row["status"] == CLOSING,
        wished=row["wished_at"] is not None,
        spent=row["units"] >= _funded(tariff, row["deposit"]),
    )


@lru_cache(maxsize=65_536)
def _funded(tariff: Tariff, deposit: int) -> int:
    return funded_units(tariff, deposit)
