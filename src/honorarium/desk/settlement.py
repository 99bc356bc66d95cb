"""One settlement: from the rows of a batch to what they brought.

Its steps may run any number of times, in one process or another, and twice at once: the rows lie in
the ledger, and the batch's name is the idempotency key of its one transaction in the outbox.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import RowMapping

from honorarium.chain import AsyncNode, AsyncSender, Fees, Manifest, Outbox, Settlement, calls
from honorarium.chain.logs import decode, read_log
from honorarium.chain.node import to_hex
from honorarium.chain.receipts import TxReceipt, receipts_of
from honorarium.chain.wire import BlockingWire, drive
from honorarium.errors import (
    ChainError,
    ContractError,
    FateUnknown,
    NonceTaken,
    SessionNotOpen,
    StaleVoucher,
)
from honorarium.hashing import keccak
from honorarium.ids import Hash, SessionId
from honorarium.ledger import Ledger, settling
from honorarium.ledger.outbox import LedgerStore
from honorarium.ledger.settling import FAILED, Outcome
from honorarium.protocol.documents import read_quote
from honorarium.protocol.events import RowSkipped, Settled
from honorarium.protocol.keys import Signature
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.signer import Signer
from honorarium.protocol.slot import Status
from honorarium.protocol.terms import Terms

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_ROW_GAS: Final = 75_000
"""A row never takes more: the advisor's and the platform's balances were both empty."""

MOST_BATCH_GAS: Final = 60_000
"""Nor does a batch beside its rows."""

PAUSE: Final = 1.0
"""After so many seconds what did not answer is asked again."""


class Stopping(BaseException):
    """The process ends; somebody else will go on. No Exception: nobody takes it for an outcome."""


class StoppableWire(BlockingWire):
    """Waits until the answer is there, or the process is to end."""

    def __init__(self, stop: threading.Event, url: str, timeout: float) -> None:
        super().__init__(url, timeout)
        self._stop = stop

    async def sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopping


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch's transaction in a block that is final, and what it did to each session."""

    transaction_hash: bytes
    block: int
    gas_used: int
    gas_price: int
    problem: str | None
    outcomes: list[Outcome]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the batch, as the contract takes it."""

    session_id: SessionId
    settlement: Settlement

    @property
    def terms(self) -> Terms:
        return self.settlement.terms


class Settlements:
    """The steps of settlements, for threads that may block.

    `relayer` pays for gas. `confirmations`: so many blocks, its own included, make a transaction
    final. `stop` ends whoever waits, by Stopping.
    """

    def __init__(
        self,
        ledger: Ledger,
        url: str,
        manifest: Manifest,
        relayer: Signer,
        *,
        confirmations: int = 1,
        fees: Fees = Fees(),
        poll: float = 0.5,
    ) -> None:
        self._ledger, self._url, self._manifest = ledger, url, manifest
        self._relayer, self._fees = relayer, fees
        self._confirmations, self._poll = max(1, confirmations), poll
        self._escrow = manifest.address("SessionEscrow")
        self._outbox = relayer_outbox(ledger, relayer, manifest)
        self._local = threading.local()
        self.stop = threading.Event()
        self.problem: ChainError | None = None
        """What keeps a transaction from being sent, or seen, just now."""

    # ------------------------------------------------------------------ the steps

    def goes_on(self, batch: str, replica: str) -> bool:
        """A replica works on the batch from now on. Whether there is anything left to do."""

        def mine() -> bool:
            with self._ledger.write() as connection:
                return settling.works(connection, batch, replica)

        return self._patiently(mine)

    def send(self, batch: str) -> bool:
        """Signs the batch's transaction, stores it, and broadcasts it. False: there is nothing to
        settle, and the batch is at its end.
        """
        return self._patiently(lambda: drive(self._send(batch)))

    def confirm(self, batch: str) -> Finished:
        """Waits until the transaction is final; what it brought. If it is undone or refused
        meanwhile, it is sent again.
        """
        return self._patiently(lambda: drive(self._confirm(batch)))

    def record(self, batch: str, final: Finished) -> None:
        """Keeps what the transaction brought, and lets the sessions go."""

        def keep() -> None:
            with self._ledger.write() as connection:
                settling.finish(
                    connection,
                    batch,
                    final.outcomes,
                    int(time.time()),
                    state=settling.DONE if final.problem is None else FAILED,
                    transaction_hash=final.transaction_hash,
                    block=final.block,
                    gas_used=final.gas_used,
                    gas_price=final.gas_price,
                    problem=final.problem,
                )

        self._patiently(keep)
        log.info("%s recorded: %s", batch, _summary(final.outcomes))

    def give_up(self, batch: str, problem: str) -> None:
        """Something is wrong with the batch itself: its sessions wait for another one."""
        with self._ledger.write() as connection:
            rows = settling.rows_of(connection, batch)
            outcomes = [Outcome(row["session_id"], refusal=problem) for row in rows]
            now = int(time.time())
            settling.finish(connection, batch, outcomes, now, state=FAILED, problem=problem)
        log.error("%s given up: %s", batch, problem)

    def _patiently(self, work: Callable[[], T]) -> T:
        """Again and again, while node or database do not do what they should."""
        while True:
            if self.stop.is_set():
                raise Stopping
            try:
                result = work()
                self.problem = None
                return result
            except FateUnknown:
                continue  # it has waited already
            except ChainError as error:
                if str(error) != str(self.problem):
                    log.warning("a settlement has to wait: %s", error)
                self.problem = error
            if self.stop.wait(PAUSE):
                raise Stopping

    # ------------------------------------------------------------------ sending

    async def _send(self, batch: str) -> bool:
        if self._outbox.of_purpose(batch) is None:
            await self._leave_out(batch)
        return await self._transmit(batch)

    async def _leave_out(self, batch: str) -> None:
        """Rows that would bring nothing are not sent: settled by others, or closed meanwhile."""
        rows = self._rows(batch)
        asked = [calls.session(self._escrow, row.session_id) for row in rows]
        slots = await self._node.read_all(asked)
        bad: list[Outcome] = []
        before: dict[bytes, int] = {}
        for row, slot in zip(rows, slots, strict=True):
            refusal = _refusal(row, slot)
            if refusal is None:
                before[row.session_id] = slot.earned
            else:
                bad.append(Outcome(row.session_id, refusal=str(refusal)))
        with self._ledger.write() as connection:
            settling.found_before(connection, batch, before)
            settling.set_outcomes(connection, batch, bad, int(time.time()))
        for each in bad:
            log.info("%s leaves out 0x%s: %s", batch, each.session_id.hex(), each.refusal)

    async def _transmit(self, batch: str) -> bool:
        rows = self._rows(batch)
        sender, content = self._sender, Hash(keccak(batch.encode()))
        if not rows and self._outbox.of_purpose(batch) is None:
            with self._ledger.write() as connection:
                settling.finish(connection, batch, [], int(time.time()))
            return False
        data = calls.settle_batch([row.settlement for row in rows])
        gas = MOST_BATCH_GAS + MOST_ROW_GAS * len(rows)
        signing: dict[str, Any] = {"gas": gas, "idempotency_key": batch, "content": content}
        if self._outbox.of_purpose(batch) is None:
            await self._try(data, gas)
            signed = await sender.sign(self._escrow, data, **signing)
            log.info("%s signed: 0x%s", batch, signed.hash.hex())
        tx_hash = await sender.send(self._escrow, data, **signing)
        log.info("%s sent: 0x%s", batch, tx_hash.hex())
        return True

    async def _try(self, data: bytes, gas: int) -> None:
        """Whether the batch as a whole works, before it is paid for. Raises the ContractError.

        It is tried once with all its gas, not estimated: an estimate tries it dozens of times, and
        is of a block whose clock may still refuse the units of the last seconds.
        """
        wanted = {
            "from": to_hex(self._relayer.address),
            "to": to_hex(self._escrow),
            "data": to_hex(data),
            "gas": hex(gas),
        }
        await self._node.request("eth_call", [wanted, "latest"])

    # ------------------------------------------------------------------ what became of it

    async def _confirm(self, batch: str) -> Finished:
        sender = self._sender
        while True:
            known = self._outbox.of_purpose(batch)
            if known is None:  # refused, or its nonce was somebody else's
                if not await self._transmit(batch):
                    return Finished(b"", 0, 0, 0, "nothing was left to settle", [])
                continue
            try:
                receipt = await sender.receipt(known.hash)
            except NonceTaken:
                continue
            log.info("%s mined: block %d", batch, receipt.block)
            if (final := await self._final(receipt)) is not None:
                log.info("%s final: block %d", batch, final.block)
                return self._read(batch, final)
            log.warning("%s undone: block %d is gone", batch, receipt.block)

    async def _final(self, receipt: TxReceipt) -> TxReceipt | None:
        """The receipt when it is final; None if the chain has changed its mind about it."""
        while True:
            head = (await self._node.block()).number
            (now,) = await receipts_of(self._node, [receipt.tx_hash])
            if now is None or now.block != receipt.block:
                return None
            if head - now.block + 1 >= self._confirmations:
                return now
            await self._node.wire.sleep(self._poll)

    def _read(self, batch: str, receipt: TxReceipt) -> Finished:
        head = (bytes(receipt.tx_hash), int(receipt.block), receipt.gas_used, receipt.gas_price)
        if not receipt.ok:
            self._outbox.release(receipt.tx_hash)
            problem = f"transaction 0x{receipt.tx_hash.hex()} failed"
            refused = [Outcome(row.session_id, refusal=problem) for row in self._rows(batch)]
            return Finished(*head, problem, refused)
        outcomes = []
        for written in map(read_log, receipt.logs):
            if written.address != self._escrow:
                continue
            event = decode(written).event
            if isinstance(event, Settled):
                outcomes.append(Outcome(event.session_id, event.units, event.earned))
            elif isinstance(event, RowSkipped):
                outcomes.append(Outcome(event.session_id, refusal=str(event.reason)))
        return Finished(*head, None, outcomes)

    # ------------------------------------------------------------------ within

    def _rows(self, batch: str) -> list[_Row]:
        with self._ledger.read() as connection:
            return [_row(each) for each in settling.rows_of(connection, batch)]

    @property
    def _node(self) -> AsyncNode:
        """A connection of this thread's own."""
        if not hasattr(self._local, "sender"):
            node = AsyncNode(self._url, wire=partial(StoppableWire, self.stop))
            sender = AsyncSender(node, self._relayer, outbox=self._outbox, fees=self._fees)
            self._local.node, self._local.sender = node, sender
        node_: AsyncNode = self._local.node
        return node_

    @property
    def _sender(self) -> AsyncSender:
        _ = self._node
        sender: AsyncSender = self._local.sender
        return sender

    def gas_price(self) -> int:
        """What a unit of gas costs just now, in wei."""
        return int(drive(self._node.request("eth_gasPrice")), 16)


def relayer_outbox(ledger: Ledger, relayer: Signer, manifest: Manifest) -> Outbox:
    """The outbox that all replicas share, in the ledger."""
    return Outbox(LedgerStore(ledger, relayer.address, manifest.filename.removesuffix(".json")))


def _row(row: RowMapping) -> _Row:
    quote, _ = read_quote(row["document"])
    signature = Signature.from_bytes(row["signature"])
    voucher = SignedVoucher(row["units"], Hash(row["journal"]), signature)
    return _Row(SessionId(row["session_id"]), Settlement(quote.terms, voucher))


def _refusal(row: _Row, slot: calls.Session) -> ContractError | None:
    """Why the contract would skip a row, as far as its session's slot tells."""
    if slot.status not in (Status.OPEN, Status.CLOSING):
        return SessionNotOpen(row.session_id)
    assert row.settlement.voucher is not None
    fee = row.terms.tariff.fee(row.settlement.voucher.units)
    if min(fee, slot.deposit) <= slot.earned:
        return StaleVoucher(slot.earned, fee)
    return None


def _summary(outcomes: Sequence[Outcome]) -> str:
    skipped = sum(each.refusal is not None for each in outcomes)
    return f"{len(outcomes) - skipped} settled, {skipped} skipped"
