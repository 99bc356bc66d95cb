"""A desk under load whose processes are killed at random moments, and what must hold at the end.

Clients hand in vouchers over WebSockets, one after the other, each as soon as the last is
acknowledged; a replica is killed with -9, now and then, in the midst of whatever it does, and
started again. In the end every session is left, and closed by the chain's own rules.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from desk_process import DeskProcess
from honorarium.ids import SessionId
from honorarium.ledger.outbox import sent
from honorarium.ledger.schema import readings
from honorarium.protocol import Journal, SignedVoucher, Voucher
from honorarium.protocol.records import reading_record
from settling import PRICE, Town

SETTINGS = {
    "look_seconds": 0.2,
    "settle_idle": 1,
    "settle_seconds": 0.5,
    "settle_floor": 1,
    "requests_per_minute": 10_000_000,
    "log_level": "warning",
}
"""Settled as often as can be, so that kills find every step."""

PAUSE = 0.03
"""So long (seconds) a client waits between two vouchers."""

DEPOSIT = 1_000_000 * PRICE
"""More than is spent before the last kill."""

REST = 0.02
"""So likely a client rests after a voucher, for longer than `settle_idle`: so there is always
something to settle, too.
"""


@dataclass
class Client:
    """A session's client: what was signed, and what was acknowledged."""

    session_id: SessionId
    town: Town
    acknowledged: int = 0
    broken: int = 0
    refused: list[str] = field(default_factory=list)

    async def run(self, replicas: Sequence[DeskProcess], over: asyncio.Event) -> None:
        """Hands in vouchers at any replica that answers, until it is over."""
        turn = random.Random(self.session_id)
        while not over.is_set():
            url = turn.choice(replicas).url.replace("http", "ws")
            with suppress(OSError, WebSocketException, TimeoutError):
                address = f"{url}/v1/sessions/0x{self.session_id.hex()}/meter"
                async with connect(address, compression=None, open_timeout=5) as socket:
                    while not over.is_set():
                        await socket.send(self.frame(self.acknowledged + 1))
                        self.hear(json.loads(await asyncio.wait_for(socket.recv(), 10)))
                        rests = turn.random() < REST
                        await asyncio.sleep(turn.uniform(1.2, 3) if rests else PAUSE)
                    return
            self.broken += 1
            await asyncio.sleep(0.1)

    def frame(self, units: int) -> str:
        head = Journal(self.session_id).head
        voucher = Voucher(self.session_id, units, head)
        signed = SignedVoucher.sign(voucher, self.town.meter, self.town.domain)
        return json.dumps({"voucher": reading_record(units, head, signed.signature)})

    def hear(self, answer: dict[str, dict[str, object]]) -> None:
        if "acknowledgement" in answer:
            units = answer["acknowledgement"]["units"]
            assert isinstance(units, int)
            self.acknowledged = max(self.acknowledged, units)
            return
        problem = answer["problem"]
        if problem["title"] == "Superseded":
            # It was taken, and the answer lost with the process: the desk has more than we know.
            assert problem["inHand"] == self.acknowledged + 1, problem
            self.acknowledged += 1
        else:
            self.refused.append(f"{problem['title']}: {problem['detail']}")


@dataclass
class Campaign:
    """How it went."""

    kills: int = 0
    idle: int = 0
    """Of them, those since whose last nothing had been acknowledged."""
    acknowledged: int = 0
    broken: int = 0
    transactions: int = 0
    seconds: float = 0.0


async def play(
    town: Town,
    replicas: Sequence[DeskProcess],
    clients: Sequence[Client],
    kills: int,
    seed: int,
    told: Callable[[int], object],
) -> int:
    """The load, and the kills; how many of them found nothing done since the last."""
    over = asyncio.Event()
    dice = random.Random(seed)
    load = [asyncio.create_task(each.run(replicas, over)) for each in clients]
    idle, done = 0, -1
    for number in range(kills):
        await asyncio.sleep(dice.uniform(0.2, 2.0))
        before, done = done, sum(each.acknowledged for each in clients)
        idle += done == before
        victim = replicas[dice.randrange(len(replicas))]
        victim.kill()
        await asyncio.to_thread(victim.start)
        told(number + 1)
    over.set()
    await asyncio.gather(*load)
    return idle


def campaign(
    town: Town,
    folder: Path,
    *,
    kills: int,
    sessions: int,
    replicas: int = 1,
    seed: int = 0,
    told: Callable[[int], object] = lambda _: None,
) -> Campaign:
    """Plays it, and checks at the end. Raises AssertionError for whatever did not hold."""
    began = time.monotonic()
    manifest = folder / "manifest.json"
    town.manifest.save(manifest)
    agreed = town.open(sessions, DEPOSIT)
    up = [
        DeskProcess(town.chain.url, manifest, town.url, town.relayer, folder, SETTINGS)
        for _ in range(replicas)
    ]
    clients = [Client(town.id_of(terms), town) for terms in agreed]
    try:
        for each in up:
            each.start()
        idle = asyncio.run(play(town, up, clients, kills, seed, told))
        for terms in agreed:
            town.leave(terms)
        taken = _readings(town)
        for client in clients:
            assert client.refused == []
            # What was acknowledged is there; one more at most, whose answer was lost.
            assert client.acknowledged <= taken[client.session_id] <= client.acknowledged + 1
        expected = [PRICE * taken[client.session_id] for client in clients]
        town.until("every session is settled", lambda: town.earned(agreed) == expected, 120)
        town.until("nothing is claimed any more", lambda: town.claims() == 0, 60)
    finally:
        for each in up:
            each.kill()
    _no_transaction_is_double(town)
    return Campaign(
        kills,
        idle,
        sum(client.acknowledged for client in clients),
        sum(client.broken for client in clients),
        town.sent(),
        time.monotonic() - began,
    )


def _readings(town: Town) -> dict[bytes, int]:
    with town.ledger.read() as connection:
        found = connection.execute(select(readings.c.session_id, readings.c.units))
        return {row.session_id: row.units for row in found}


def _no_transaction_is_double(town: Town) -> None:
    """Every nonce of the relayer's is of one transaction of one batch, and all of them counted."""
    with town.ledger.read() as connection:
        ours = sent.c.fate != "void"
        rows = connection.execute(select(sent.c.nonce, sent.c.purpose).where(ours)).all()
        mined = connection.execute(
            select(func.count()).select_from(sent).where(sent.c.fate == "mined")
        ).scalar_one()
    purposes = [row.purpose for row in rows if row.purpose is not None]
    assert len(purposes) == len(set(purposes))
    assert sorted({row.nonce for row in rows}) == list(range(town.sent()))
    assert mined == town.sent()
