"""A process of the desk that watches and settles, for tests: `settling.Replica` starts it."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from honorarium.chain import AsyncContracts, AsyncNode, Fees, Manifest
from honorarium.desk.clock import ChainClock
from honorarium.desk.policy import Policy
from honorarium.desk.settle import Settler
from honorarium.desk.watch import Watcher
from honorarium.ledger import Ledger
from honorarium.ledger.locks import Locks
from honorarium.protocol import Key


class Teller(logging.Handler):
    """Tells every line, and dies where it is told to."""

    def __init__(self, die_at: str | None) -> None:
        super().__init__()
        self._die_at = die_at

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.exc_info:
            line += " " + logging.Formatter().formatException(record.exc_info)
        print(line.replace("\n", " | "), flush=True)
        if self._die_at is not None and self._die_at in line:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(settings: dict[str, Any]) -> None:
    """Runs until standard input says a line, or ends."""
    faulthandler.register(signal.SIGUSR1)
    logger = logging.getLogger("honorarium")
    logger.setLevel(logging.INFO)
    logger.addHandler(Teller(settings.get("die_at")))
    ledger = Ledger(settings["ledger"])
    ledger.set_up()
    manifest = Manifest.load(Path(settings["manifest"]))
    contracts = AsyncContracts(AsyncNode(settings["rpc"]), manifest)
    clock, locks = ChainClock(), Locks(ledger)
    confirmations = settings.get("confirmations", 1)
    every = settings.get("every", 0.2)
    settler = Settler(
        ledger,
        settings["rpc"],
        manifest,
        Key.from_bytes(bytes.fromhex(settings["key"])),
        locks,
        clock,
        policy=Policy(floor=1, **settings.get("policy", {})),
        confirmations=confirmations,
        fees=Fees(**settings.get("fees", {})),
        every=every,
        scan=every,
    )
    watcher = Watcher(
        ledger,
        contracts,
        locks,
        clock,
        confirmations=confirmations,
        every=every,
        urgent=settler.wake,
    )
    await watcher.start()
    if settings.get("settles", True):
        await settler.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await settler.stop()
    await watcher.stop()
    await contracts.close()
    ledger.close()
    print("ended", flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
