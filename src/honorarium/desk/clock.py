"""The chain's time, as the desk reckons with it."""

from __future__ import annotations

import time

from honorarium.chain.node import AsyncNode
from honorarium.protocol.moments import present
from honorarium.units import UnixTime


class ChainClock:
    """What time the next block will have: see `present`. The watcher tells it of new blocks."""

    def __init__(self, latest: int = 0) -> None:
        self.latest = latest

    def __call__(self) -> UnixTime:
        return present(self.latest, int(time.time()))

    def saw(self, timestamp: int) -> None:
        """A block of this time is the latest one now; on a local chain it may be an earlier one."""
        self.latest = timestamp

    async def refresh(self, node: AsyncNode) -> bool:
        """Asks for the latest block. Whether it is later now than before."""
        before = self()
        self.saw((await node.block()).timestamp)
        return self() > before
