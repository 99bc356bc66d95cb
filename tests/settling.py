"""A chain with many sessions, and a ledger that has vouchers for them, as a desk would keep it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

from sqlalchemy import select, update

from honorarium.chain import LocalChain, Manifest, Node, OpeningRow, Sender, Session, calls
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Hash, SessionId
from honorarium.ledger import Ledger, sessions, settling
from honorarium.ledger.schema import readings
from honorarium.ledger.schema import sessions as table
from honorarium.protocol import Key, Quote, SignedVoucher, Tariff, Terms
from honorarium.protocol.messages import Leaving, Opening, Voucher
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

PRICE = 1_000
DEPOSIT = 100 * PRICE
WORKER = Path(__file__).with_name("settling_worker.py")

TARIFF = Tariff(
    connect_fee=BaseUnits(0),
    unit_price=BaseUnits(PRICE),
    unit_seconds=Seconds(0),  # interactions, so that tests need no clock
    included_units=0,
    step_units=0,
    step_price=BaseUnits(0),
    max_units=0,
)


@dataclass
class Town:
    """A chain on which a client pays an advisor, in as many sessions as somebody wants, and the
    ledger of the desk that settles them. The relayer is an account of the town's own.
    """

    chain: LocalChain
    manifest: Manifest
    url: str

    def __post_init__(self) -> None:
        self.node = Node(self.chain.url)
        self.escrow = self.manifest.address("SessionEscrow")
        self.token = self.manifest.address("TestUSD")
        self.domain = Domain(self.manifest.chain_id, self.escrow)
        self.client, self.advisor = Key.generate(), Key.generate()
        self.meter, self.relayer = Key.generate(), Key.generate()
        self.bank = Sender(self.node, self.chain.accounts["operator"])
        self.paying = Sender(self.node, self.client)
        for one in (self.client, self.relayer):
            self.bank.transact(one.address, b"", value=10**20)
        self.bank.transact(self.token, calls.mint(self.client.address, 10**12))
        self.paying.transact(self.token, calls.approve(self.escrow, 10**12))
        deposit = calls.deposit(self.token, self.client.address, 10**11)
        self.paying.transact(self.escrow, deposit)
        self.ledger = Ledger(self.url)
        self.ledger.set_up()
        self._salt = 0

    def close(self) -> None:
        self.ledger.close()
        self.node.close()

    # ------------------------------------------------------------------ sessions

    def terms(self) -> Terms:
        self._salt += 1
        now = self.node.block().timestamp
        return Terms(
            client=self.client.address,
            payer=self.client.address,
            advisor=self.advisor.address,
            meter_key=self.meter.address,
            token=self.token,
            tariff=TARIFF,
            fee_bps=Bps(0),
            fee_recipient=ZERO_ADDRESS,
            open_before=UnixTime(now + 7 * 86_400),
            close_grace=Seconds(3600),
            context=Hash(bytes(32)),
            salt=self._salt,
        )

    def open(self, count: int, deposit: int = DEPOSIT) -> list[Terms]:
        """New sessions, on the chain, and quoted in the ledger."""
        paid = BaseUnits(deposit)
        made = [self.terms() for _ in range(count)]
        for start in range(0, count, 50):
            rows = []
            for terms in made[start : start + 50]:
                quote = self.advisor.sign(terms.session_id(self.domain)).packed()
                opening = Opening(terms, paid).digest(self.domain)
                signature = self.client.sign(opening).packed()
                rows.append(OpeningRow(terms, paid, quote, payer_signature=signature))
            self.paying.transact(self.escrow, calls.open_batch(rows))
        with self.ledger.write() as connection:
            for terms in made:
                quote_ = Quote.sign(terms, self.advisor, self.domain)
                sessions.add(connection, quote_, self.domain, int(time.time()))
        return made

    def id_of(self, terms: Terms) -> SessionId:
        return terms.session_id(self.domain)

    def vouch(self, several: Iterable[Terms], units: int, *, taken_at: int = 1) -> None:
        """Vouchers as the intake would have written them; long ago, so that they are due."""
        with self.ledger.write() as connection:
            for terms in several:
                session_id = self.id_of(terms)
                signed = self.voucher(terms, units)
                connection.execute(
                    update(readings)
                    .where(readings.c.session_id == session_id)
                    .values(
                        seq=readings.c.seq + 1,
                        units=units,
                        journal=ZERO_HASH,
                        signature=signed.signature.to_bytes(),
                        taken_at=taken_at,
                    )
                )

    def voucher(self, terms: Terms, units: int) -> SignedVoucher:
        voucher = Voucher(self.id_of(terms), units, ZERO_HASH)
        return SignedVoucher.sign(voucher, self.meter, self.domain)

    def leave(self, terms: Terms) -> None:
        """The client asks to close."""
        signature = self.client.sign(Leaving(self.id_of(terms)).digest(self.domain)).packed()
        by = self.client.address
        self.bank.transact(self.escrow, calls.request_close(terms, by, signature))

    def wish(self, terms: Terms) -> None:
        with self.ledger.write() as connection:
            settling.wish(connection, self.id_of(terms), int(time.time()))

    # ------------------------------------------------------------------ what became of them

    def on_chain(self, several: Sequence[Terms]) -> list[Session]:
        asked = [calls.session(self.escrow, self.id_of(terms)) for terms in several]
        return self.node.read_all(asked)

    def earned(self, several: Sequence[Terms]) -> list[int]:
        return [each.earned for each in self.on_chain(several)]

    def rows(self, several: Sequence[Terms]) -> list[dict[str, object]]:
        with self.ledger.read() as connection:
            return [dict(sessions.get(connection, self.id_of(terms))) for terms in several]

    def outcomes(self) -> list[str]:
        with self.ledger.read() as connection:
            return list(connection.execute(select(settling.settlements.c.outcome)).scalars())

    def claims(self) -> int:
        with self.ledger.read() as connection:
            return len(connection.execute(select(settling.claims)).all())

    def batches(self) -> list[dict[str, object]]:
        with self.ledger.read() as connection:
            found = connection.execute(select(settling.batches)).mappings().all()
            return [dict(row) for row in found]

    def sent(self) -> int:
        """So many transactions of the relayer are in blocks."""
        return self.node.transaction_count(self.relayer.address)

    def until(self, what: str, done: object, seconds: float = 60) -> None:
        """Waits until `done()` is true."""
        assert callable(done)
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"not within {seconds} seconds: {what}"
            time.sleep(0.05)

    def listed(self) -> None:
        """Waits until the ledger's rows say what the chain says."""
        with self.ledger.read() as connection:
            ids = list(connection.execute(select(table.c.session_id)).scalars())
        asked = [calls.session(self.escrow, SessionId(one)) for one in ids]

        def same() -> bool:
            slots = self.node.read_all(asked)
            with self.ledger.read() as connection:
                rows = [sessions.get(connection, one) for one in ids]
            return all(
                (row["earned"], row["deposit"]) == (slot.earned, slot.deposit)
                for row, slot in zip(rows, slots, strict=True)
            )

        self.until("the ledger says what the chain says", same)

    # ------------------------------------------------------------------ replicas

    def _manifest_file(self) -> Path:
        path = self.chain.directory / "manifest.json"
        self.manifest.save(path)
        return path

    def replica(self, **options: object) -> Replica:
        """A process that watches and settles; `die_at` names the word of a log line at which it is
        killed with -9.
        """
        settings = {
            "rpc": self.chain.url,
            "ledger": self.url,
            "key": self.relayer.secret().hex(),
            "manifest": str(self._manifest_file()),
            **options,
        }
        return Replica(settings)


class Replica:
    """A process of the desk."""

    def __init__(self, settings: dict[str, object]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(WORKER.parent)}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(settings)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.said: list[str] = []
        self._lines: Queue[str | None] = Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Replica:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def hear(self, word: str, seconds: float = 60) -> str:
        """Waits for a line with this word."""
        deadline = time.monotonic() + seconds
        while (line := self._next(deadline)) is not None:
            if word in line:
                return line
        raise AssertionError(f"it said nothing of {word!r}: {''.join(self.said)[-3000:]}")

    def _next(self, deadline: float) -> str | None:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return None
        if line is not None:
            self.said.append(line)
        return line

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def died(self, seconds: float = 60) -> bool:
        """Waits for its end; whether it was killed."""
        deadline = time.monotonic() + seconds
        while self._next(deadline) is not None:
            pass
        return self.process.wait(1) == -9

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It asks nothing meanwhile: Anvil may never answer what is asked while it goes back."""
        time.sleep(0.3)
        self.process.send_signal(signal.SIGSTOP)
        yield
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As the machine would: without a word."""
        self.process.kill()
        self.process.wait()
        self._listener.join()
        for pipe in (self.process.stdout, self.process.stdin):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def end(self, seconds: float = 30) -> int:
        """Asks it to end in good order; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.write("end\n")
        self.process.stdin.flush()
        return self.process.wait(seconds)
