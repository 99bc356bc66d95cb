"""How much one network address, client or account may ask for.

Counted in the memory of each replica: with several replicas, each allows as much.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from honorarium.errors import InputError


class TooManyRequests(InputError):
    """More than somebody may ask for in a minute. `wait`: seconds after which to ask again."""

    def __init__(self, limit: str, most: int, wait: int) -> None:
        self.limit, self.most, self.wait = limit, most, wait
        super().__init__(
            f"too many {limit}: {most} a minute are allowed; try again in {wait} seconds"
        )


class TooManyConnections(InputError):
    """More connections at once than one network address may have."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"{most} connections at once are allowed; close others first")


class Limits:
    """So many a minute, of each kind, for each who asks. For one event loop."""

    def __init__(self, most: dict[str, int], connections: int) -> None:
        self._items = {name: RateLimitItemPerMinute(count) for name, count in most.items()}
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._connections, self._open = connections, Counter[str]()

    def count(self, limit: str, who: str) -> None:
        """One more. Raises TooManyRequests, which is not counted."""
        item = self._items[limit]
        if not self._limiter.hit(item, limit, who):
            reset = self._limiter.get_window_stats(item, limit, who).reset_time
            wait = min(60, max(1, math.ceil(reset - time.time())))
            raise TooManyRequests(limit, item.amount, wait)

    @contextmanager
    def connected(self, who: str) -> Iterator[None]:
        """A connection that lasts. Raises TooManyConnections."""
        if self._open[who] >= self._connections:
            raise TooManyConnections(self._connections)
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]


def network_of(host: str) -> str:
    """Who asks, by the network address: an IPv4 address, or the /64 that an IPv6 address is in,
    because one customer has all of it.
    """
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
