"""Clients of a desk, as many as are wanted, each with a session and a socket of its own.

A process apart from the desk: what it costs to be a client is not the desk's.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from honorarium.ids import SessionId
from honorarium.protocol import Domain, Entry, EntryKind, Journal, Key, SignedVoucher, Voucher
from honorarium.protocol.records import entry_record, reading_record
from honorarium.units import UnixTime


@dataclass(frozen=True)
class Seeded:
    """A session that the desk knows: its id, and the key of its meter."""

    session_id: SessionId
    meter: Key


def frames(seeded: Seeded, domain: Domain, began: int, ticks: int) -> list[str]:
    """What a meter sends, signed beforehand: `ticks` vouchers, one unit more each."""
    answered = Entry(UnixTime(began), EntryKind.ANSWERED)
    head = Journal(seeded.session_id, [answered]).head
    made = []
    for units in range(1, ticks + 1):
        voucher = Voucher(seeded.session_id, units, head)
        signed = SignedVoucher.sign(voucher, seeded.meter, domain)
        frame: dict[str, Any] = {"voucher": reading_record(units, head, signed.signature)}
        if units == 1:
            frame["entries"] = [entry_record(answered)]
        made.append(orjson.dumps(frame).decode())
    return made


async def tick(socket: ClientConnection, frame: str) -> float:
    """Sends one voucher, awaits its acknowledgement; how long that took, seconds."""
    began = time.perf_counter()
    await socket.send(frame)
    answer = await socket.recv()
    took = time.perf_counter() - began
    if b"acknowledgement" not in (answer if isinstance(answer, bytes) else answer.encode()):
        raise RuntimeError(f"the desk answered {answer!r}")
    return took


async def attach(urls: Sequence[str], several: Sequence[Seeded]) -> list[ClientConnection]:
    """A socket per session, the sessions taking the desk's replicas in turn."""
    sockets: list[ClientConnection] = []
    for start in range(0, len(several), 200):
        part = several[start : start + 200]
        sockets += await asyncio.gather(
            *(
                connect(
                    f"{urls[(start + n) % len(urls)].replace('http', 'ws', 1)}"
                    f"/v1/sessions/0x{each.session_id.hex()}/meter",
                    compression=None,
                    ping_interval=None,
                    open_timeout=60,
                )
                for n, each in enumerate(part)
            )
        )
    return sockets


async def flat_out(
    sockets: Sequence[ClientConnection], sent: Sequence[Sequence[str]]
) -> tuple[float, list[float]]:
    """Every session sends its next voucher when the last is acknowledged: (seconds, latencies)."""

    async def one(socket: ClientConnection, mine: Sequence[str]) -> list[float]:
        return [await tick(socket, frame) for frame in mine]

    began = time.perf_counter()
    found = await asyncio.gather(
        *(one(socket, mine) for socket, mine in zip(sockets, sent, strict=True))
    )
    return time.perf_counter() - began, [took for several in found for took in several]


async def paced(
    sockets: Sequence[ClientConnection], sent: Sequence[Sequence[str]], every: float
) -> list[float]:
    """Every session sends a voucher each `every` seconds, evenly spread: the latencies."""

    async def one(number: int, socket: ClientConnection, mine: Sequence[str]) -> list[float]:
        start = asyncio.get_running_loop().time() + every * number / len(sockets)
        took = []
        for count, frame in enumerate(mine):
            await asyncio.sleep(start + count * every - asyncio.get_running_loop().time())
            took.append(await tick(socket, frame))
        return took

    found = await asyncio.gather(
        *(one(n, *pair) for n, pair in enumerate(zip(sockets, sent, strict=True)))
    )
    return [took for several in found for took in several]


async def run(order: dict[str, Any]) -> dict[str, Any]:
    """One load, as `benchmarks/ticks.py` orders it."""
    domain = Domain(order["chainId"], bytes.fromhex(order["contract"]))  # type: ignore[arg-type]
    meter = Key.from_bytes(bytes.fromhex(order["meter"]))
    several = [Seeded(SessionId(bytes.fromhex(each)), meter) for each in order["sessions"]]
    ticks = order["flat_out"] + order["paced"] + 1
    signed = [frames(each, domain, order["began"], ticks) for each in several]
    alone = frames(several[0], domain, order["began"], ticks + order["alone"])[ticks:]
    sockets = await attach(order["urls"], several)
    await flat_out(sockets, [mine[:1] for mine in signed])  # the books are in memory from here on
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    told: dict[str, Any] = {}
    if order["flat_out"]:
        until = 1 + order["flat_out"]
        seconds, latencies = await flat_out(sockets, [mine[1:until] for mine in signed])
        told["flat_out"] = {"seconds": seconds, "latencies": latencies}
    if order["paced"]:
        until = 1 + order["flat_out"]
        told["paced"] = await paced(sockets, [mine[until:] for mine in signed], order["every"])
    if order["alone"]:
        told["alone"] = [await tick(sockets[0], frame) for frame in alone]
    await asyncio.gather(*(socket.close() for socket in sockets))
    return told


def main() -> int:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    order = json.loads(sys.stdin.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(order))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
