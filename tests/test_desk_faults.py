"""What happens to a desk whose database, disk or clock fails, and whose clients send nonsense."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from pgserver.postgres_server import PostgresServer, get_server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from conftest import Place
from desk_process import DeskProcess
from honorarium.desk import Intake, Readings
from honorarium.desk.clock import ChainClock
from honorarium.errors import TooManyUnits
from honorarium.ids import SessionId
from honorarium.ledger import Ledger
from honorarium.protocol import Journal, SignedVoucher, Terms, Voucher
from honorarium.protocol.book import Superseded
from honorarium.protocol.records import reading_record
from honorarium.units import UnixTime
from metering import BEGAN
from settling import PRICE, Town
from test_intake import ANSWERED, DESK, one, opened, voucher
from under_load import SETTINGS


def signed(town: Town, session_id: SessionId, units: int) -> dict[str, object]:
    head = Journal(session_id).head
    made = SignedVoucher.sign(Voucher(session_id, units, head), town.meter, town.domain)
    return reading_record(units, head, made.signature)


class Hand:
    """Hands vouchers in over HTTP."""

    def __init__(self, town: Town, terms: Terms, desk: DeskProcess) -> None:
        self.town, self.desk = town, desk
        self.session_id = town.id_of(terms)
        self.path = f"/v1/sessions/0x{self.session_id.hex()}/vouchers"

    def give(self, units: int) -> httpx.Response:
        body = signed(self.town, self.session_id, units)
        return httpx.post(self.desk.url + self.path, json=body, timeout=60)

    def until_taken(self, units: int, seconds: float = 60) -> None:
        """Sends the same voucher until it is acknowledged, as every client does."""
        deadline = time.monotonic() + seconds
        while (answer := self.give(units)).status_code != 200:
            assert answer.status_code == 503, answer.text
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)


def desk_of(town: Town, folder: Path) -> DeskProcess:
    manifest = folder / "manifest.json"
    town.manifest.save(manifest)
    return DeskProcess(town.chain.url, manifest, town.url, town.relayer, folder, SETTINGS)


@pytest.fixture
def town(anvil: Place, tmp_path: Path) -> Iterator[Town]:
    made = Town(anvil.chain, anvil.manifest, f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    yield made
    made.close()


def test_a_database_that_is_killed_loses_nothing_and_is_used_again(
    anvil: Place, tmp_path: Path
) -> None:
    with TemporaryDirectory(prefix="honorarium-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = get_server(folder, cleanup_mode="stop")
        town = Town(anvil.chain, anvil.manifest, server.get_uri())
        (terms,) = town.open(1)
        try:
            with desk_of(town, tmp_path).running() as desk:
                hand = Hand(town, terms, desk)
                hand.until_taken(3)
                _kill(server)
                refused = hand.give(4)
                assert (refused.status_code, refused.json()["title"]) == (503, "LedgerUnusable")
                assert httpx.get(desk.url + "/healthz").status_code == 200
                assert httpx.get(desk.url + "/readyz").status_code == 503
                # A process that nobody has reaped yet counts as running.
                for lock in ("postmaster.pid", ".s.PGSQL.5432.lock"):
                    (Path(folder) / lock).unlink()
                server.ensure_postgres_running()
                hand.until_taken(4)
                again = hand.give(3)
                assert (again.status_code, again.json()["title"]) == (409, "Superseded")
                town.leave(terms)
                town.until("it is settled", lambda: town.earned([terms]) == [4 * PRICE])
        finally:
            town.close()
            server.cleanup()


def _kill(server: PostgresServer) -> None:
    """As a machine that loses its power: the postmaster, and with it all it started."""
    pid = server.get_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        time.sleep(0.02)


def test_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room(
    town: Town, tmp_path: Path
) -> None:
    (terms,) = town.open(1)
    with desk_of(town, tmp_path).running() as desk:
        hand = Hand(town, terms, desk)
        hand.until_taken(1)
        assert desk.process is not None
        _, hard = resource.prlimit(desk.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(desk.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
        refused = hand.give(2)
        assert (refused.status_code, refused.json()["title"]) == (503, "LedgerUnusable")
        resource.prlimit(desk.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        hand.until_taken(2)
        desk.kill()
        desk.start()
        assert hand.give(1).json()["title"] == "Superseded"
        assert hand.give(2).status_code == 200


def test_a_clock_that_jumps_forth_and_back_loses_nothing(tmp_path: Path) -> None:
    clock = Jumping(BEGAN + 120)
    with Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}") as ledger:
        ledger.set_up()
        session_id = opened(ledger, deposit=100_000)
        intake = Intake(ledger, DESK, clock, Readings())
        intake.start()
        try:
            one(lambda: intake.take(session_id, voucher(session_id, 3, ANSWERED), [ANSWERED]))
            clock.latest = BEGAN + 6000
            one(lambda: intake.take(session_id, voucher(session_id, 101, ANSWERED)))
            clock.latest = BEGAN + 120
            with pytest.raises(TooManyUnits):
                one(lambda: intake.take(session_id, voucher(session_id, 102, ANSWERED)))
            with pytest.raises(Superseded):
                one(lambda: intake.take(session_id, voucher(session_id, 4, ANSWERED)))
            assert one(lambda: intake.read(session_id)).units == 101
            clock.latest = BEGAN + 7000
            one(lambda: intake.take(session_id, voucher(session_id, 102, ANSWERED)))
        finally:
            intake.stop()


class Jumping(ChainClock):
    """Shows what it was set to."""

    def __call__(self) -> UnixTime:
        return UnixTime(self.latest)


def test_nonsense_on_a_meters_line_is_answered_and_hurts_nobody(town: Town, tmp_path: Path) -> None:
    (terms,) = town.open(1)
    session_id = town.id_of(terms)
    good = signed(town, session_id, 1)
    dice = random.Random(7)
    with desk_of(town, tmp_path).running() as desk:
        Hand(town, terms, desk).until_taken(1)
        line = f"{desk.url.replace('http', 'ws')}/v1/sessions/0x{session_id.hex()}/meter"
        answered = 0
        socket: ClientConnection | None = None
        for _ in range(300):
            if socket is None:
                socket = connect(line)
            try:
                socket.send(_frame(dice, good))
                answer = json.loads(socket.recv(10))
                assert answer.keys() <= {"problem", "acknowledgement", "heard"}, answer
                assert answer.get("problem", {}).get("status", 400) < 500, answer
                answered += 1
            except ConnectionClosed:
                socket = None
        if socket is not None:
            socket.close()
        assert answered > 250
        for path in ("0x00", "0x" + "11" * 32, "%00", "..%2f"):
            with pytest.raises(Exception, match=r"HTTP (403|404|400|422)|1008|4404|close"):
                connect(f"{desk.url.replace('http', 'ws')}/v1/sessions/{path}/meter").recv(5)
        Hand(town, terms, desk).until_taken(2)
        assert "Traceback" not in desk.said()


def _frame(dice: random.Random, good: dict[str, object]) -> str | bytes:
    """A frame that is wrong in one of many ways, or right."""
    kind = dice.randrange(8)
    if kind == 0:
        return dice.randbytes(dice.randrange(200))
    if kind == 1:
        return json.dumps(dice.choice([None, [], 3, "x", {}, {"voucher": 3}, {"entries": [1]}]))
    if kind == 2:
        return json.dumps({"voucher": good})[: dice.randrange(1, 150)]
    broken = dict(good)
    name = dice.choice(sorted(broken))
    broken[name] = dice.choice(
        [None, -1, 2**32, 2**70, 1.5, "", "0x", "0x" + "00" * 65, [], {}, "\ud83d\ude00" * 50, True]
    )
    entry = {"at": dice.choice([0, -5, 2**50, "1"]), "kind": dice.choice(["answered", "", 7])}
    entries = [entry] * dice.choice([0, 0, 1, 3])
    after = dice.choice([None, 0, -1, 10**9, "1"])
    return json.dumps({"voucher": broken, "entries": entries, "after": after})
