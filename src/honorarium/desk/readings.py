"""What a session's meter shows at a moment, and who wants to know when it changes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from honorarium.desk.books import DeskBook, warning_of
from honorarium.errors.base import slug_of
from honorarium.ids import ZERO_HASH, Hash, SessionId
from honorarium.protocol.journal import Entry
from honorarium.units import BaseUnits, UnixTime


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a session's meter.

    `units` and `journal` are those of the best voucher, `fee` what they cost and `left` what the
    deposit holds beyond it, in base units. `delivered` counts units by the advisor's own count,
    `exposure` those without a voucher and `at_stake` what they cost. `stop` is why not to advise
    on (a word of `protocol.exposure`), `warning` the share of the funded units that is used up, 80
    or 100 percent. `told` is the client's journal, `noted` the advisor's.
    """

    session_id: SessionId
    status: str
    at: UnixTime
    units: int
    funded: int
    fee: BaseUnits
    deposit: BaseUnits
    left: BaseUnits
    delivered: int
    exposure: int
    at_stake: BaseUnits
    stop: str | None
    warning: int | None
    journal: Hash
    told: tuple[Entry, ...]
    noted: tuple[Entry, ...]


def reading_of(book: DeskBook, now: UnixTime) -> Reading:
    """What a book says at a moment."""
    shown = book.exposure(now)
    fee = book.terms.tariff.fee(book.units)
    funded = book.funded_units
    used = max(book.units, shown.delivered)
    return Reading(
        session_id=book.session_id,
        status=book.status,
        at=now,
        units=book.units,
        funded=funded,
        fee=BaseUnits(min(fee, book.deposit)),
        deposit=book.deposit,
        left=BaseUnits(max(0, book.deposit - fee)),
        delivered=shown.delivered,
        exposure=shown.units,
        at_stake=shown.amount,
        stop=slug_of(type(shown.stop).__name__) if shown.stop else None,
        warning=warning_of(used, funded),
        journal=book.best.journal if book.best else ZERO_HASH,
        told=book.told,
        noted=book.noted,
    )


class Readings:
    """Wakes whoever follows a session. For any thread."""

    def __init__(self) -> None:
        self._followers: dict[bytes, set[_Follower]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def follow(self, session_id: bytes, *, vouchers: bool = True) -> Iterator[asyncio.Event]:
        """An event that is set at every change; without `vouchers` not at mere readings."""
        follower = _Follower(asyncio.get_running_loop(), asyncio.Event(), vouchers)
        with self._lock:
            self._followers.setdefault(session_id, set()).add(follower)
        try:
            yield follower.event
        finally:
            with self._lock:
                self._followers[session_id].discard(follower)
                if not self._followers[session_id]:
                    del self._followers[session_id]

    def changed(self, session_id: bytes, *, only_reading: bool = False) -> None:
        """Something of this session is different now."""
        if session_id not in self._followers:
            return
        with self._lock:
            followers = list(self._followers.get(session_id, ()))
        for follower in followers:
            if follower.vouchers or not only_reading:
                follower.wake()

    def followed(self) -> list[bytes]:
        """The sessions that anybody follows."""
        with self._lock:
            return list(self._followers)


@dataclass(frozen=True, eq=False, slots=True)
class _Follower:
    loop: asyncio.AbstractEventLoop
    event: asyncio.Event
    vouchers: bool

    def wake(self) -> None:
        _soon(self.loop, self.event.set)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # that loop has ended, and whoever followed with it
        loop.call_soon_threadsafe(call)
