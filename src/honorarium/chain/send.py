"""Transactions: built and signed here, sent, and followed to their receipt.

A sender is one account's voice. What it signs goes into an `Outbox` before it is broadcast; any
number of senders of one account may work at once, in one program or in several, if they share the
outbox's file. A transaction that gets stuck is offered more under the same nonce.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from honorarium.chain.gas import Fees, Offers, affordable, estimate, must_be_affordable, raised
from honorarium.chain.handing import Handing, is_known
from honorarium.chain.node import AsyncNode, Node, to_hex
from honorarium.chain.outbox import ALL, Outbox, SignedTransaction
from honorarium.chain.receipts import TxReceipt, reason_of_async, receipts_of
from honorarium.chain.signing import content_of, fields_of, signed_by
from honorarium.chain.wire import blocking
from honorarium.errors import (
    ChainError,
    ContractError,
    FateUnknown,
    NodeError,
    NodeUnreachable,
    NonceTaken,
    OutboxUnusable,
    RateLimited,
    TransactionFailed,
)
from honorarium.ids import Address, Hash
from honorarium.protocol.signer import Signer, TransactionFields
from honorarium.units import UnixTime

T = TypeVar("T")

GONE_AFTER: Final = 1.0
"""So many seconds after signing a transaction a program must have sent it, or it is gone."""

TAKEN_AGAIN: Final = 20
"""So often a nonce is taken anew if programs with another outbox were faster."""


class AsyncSender:
    """Sends for the account of `signer`.

    `outbox` None: one in memory, for this sender alone; what a crash interrupts is then not known
    to the next program. What is in the outbox may count, even if whoever waited for it was
    interrupted: with an `idempotency_key` the next attempt follows it.
    """

    def __init__(
        self,
        node: AsyncNode,
        signer: Signer,
        *,
        outbox: Outbox | None = None,
        fees: Fees = Fees(),
    ) -> None:
        self.node, self.signer, self.fees = node, signer, fees
        self.outbox = Outbox() if outbox is None else outbox
        self.address: Address = signer.address
        self._no_more: set[int] = set()  # nonces for which the wallet signs no second time
        self._offers = Offers(node, fees)
        self._handing = Handing(node)

    # ------------------------------------------------------------------ step by step

    async def sign(
        self,
        to: Address | None,
        data: bytes,
        *,
        value: int = 0,
        gas: int | None = None,
        idempotency_key: str | None = None,
        content: bytes | None = None,
    ) -> SignedTransaction:
        """The next transaction of the account, signed and stored, and not sent yet.

        `gas` None: as much as the node estimates and a fifth more; then a call that a contract
        refuses raises its ContractError here, and takes no nonce. `to` None creates a contract.
        With an `idempotency_key` that was used before: the transaction that was signed then.
        `content` is a digest of what is done, if trying it again gives other bytes (a new deadline,
        say); None: of `to`, `data` and `value`. Raises IdempotencyKeyReused if the key was used for
        something else, FeeTooHigh if it could cost more than `fees.most`.
        """
        if content is None:
            content = content_of(to, data, value)
        if idempotency_key is not None:
            known = await self._aside(lambda: self.outbox.of_purpose(idempotency_key, content))
            if known is not None:
                return known
        if gas is None:
            gas = await estimate(self.node, self.address, to, data, value)
        if not await self._aside(self.outbox.counted):
            await self._count()
        fields: TransactionFields = {
            "chainId": await self.node.chain_id(),
            "gas": gas,
            "value": value,
            "data": data,
            **await self._offers.now(),
        }
        if to is not None:
            fields["to"] = to
        must_be_affordable(fields, self.fees)
        signed, fresh = await self._aside(
            lambda: self.outbox.take(
                lambda nonce: signed_by(self.signer, {**fields, "nonce": nonce}),
                idempotency_key,
                content,
            )
        )
        if fresh:
            self._handing.never_sent(signed)
        return signed

    async def submit(self, signed: SignedTransaction, at: UnixTime | None = None) -> Hash:
        """Broadcasts it; on a local chain its block can be `at` a time. Again is fine: what the
        node knows already is not sent twice.

        Raises NodeError if the node refuses it, FateUnknown if no answer came or the node asks to
        be left alone: it is in the outbox, and may still be sent.
        """
        try:
            await self._handing.over(signed, at)
        except (NodeUnreachable, RateLimited) as error:
            await self._must_not_be_reset()
            raise FateUnknown(signed.hash) from error
        with suppress(OutboxUnusable):  # it is sent; whoever signs next is told about the file
            await self._aside(partial(self.outbox.told, signed.hash))
        return signed.hash

    async def send(
        self,
        to: Address | None,
        data: bytes,
        value: int = 0,
        gas: int | None = None,
        *,
        idempotency_key: str | None = None,
        content: bytes | None = None,
    ) -> Hash:
        """Signs and broadcasts; the hash by which `receipt` finds it.

        Raises as `sign` and `submit` do. If somebody else used the nonce, another one is taken.
        """
        for again in range(TAKEN_AGAIN):
            signed = await self.sign(
                to,
                data,
                value=value,
                gas=gas,
                idempotency_key=idempotency_key,
                content=content,
            )
            if idempotency_key is not None and await self._aside(
                partial(self.outbox.decided, signed)
            ):
                return signed.hash  # done long ago, perhaps; not every node remembers that
            try:
                await self._let_older_ones_go_first(signed.nonce)
                return await self.submit(signed)
            except FateUnknown as unknown:
                if unknown.tx_hash == signed.hash:
                    raise
                raise FateUnknown(signed.hash) from unknown  # of one that must go first
            except (NodeUnreachable, RateLimited) as error:
                raise FateUnknown(signed.hash) from error
            except (NodeError, ContractError) as error:
                if await self._was_it_taken_after_all(signed):
                    return signed.hash
                # Refused outright: it cannot count, and its nonce is free or somebody else's.
                await self._aside(partial(self.outbox.void, signed))
                self._offers.forget()
                await self._count()
                taken = isinstance(error, NodeError) and _nonce_is_taken(error)
                if not taken or again == TAKEN_AGAIN - 1:
                    raise
        raise AssertionError("the last round raises")

    # ------------------------------------------------------------------ what became of it

    async def receipt(self, tx_hash: Hash) -> TxReceipt:
        """Waits until the transaction, or one that replaced it, is in a block.

        Meanwhile it sees to it that the account's older transactions, whoever signed them into the
        same outbox, are with the node too, and that a stuck one is offered more.

        Raises FateUnknown if patience ends first, NonceTaken if it can never count, ChainReset.
        """
        began = time.monotonic()
        pause, look_after = 0.01, 2.0
        while True:
            waited, silence = time.monotonic() - began, None
            signed, hashes = await self._aside(partial(self._hashes, tx_hash))
            try:
                for found in await receipts_of(self.node, hashes):
                    if found is not None:
                        if signed is not None:
                            with suppress(OutboxUnusable):  # it is mined, noted down or not
                                await self._aside(partial(self.outbox.mined, found.tx_hash))
                        return found
                if signed is not None and waited > look_after:
                    look_after = waited + 2.0
                    await self._look_after(signed, waited)
            except (NodeUnreachable, RateLimited, NodeError, FateUnknown) as error:
                silence = error  # it is sent, whatever the node says now; it may come back
            if waited > self.fees.patience:
                raise FateUnknown(tx_hash) from silence
            await self.node.wire.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _hashes(self, tx_hash: Hash) -> tuple[SignedTransaction | None, list[Hash]]:
        """What a receipt may be found under."""
        signed = self.outbox.find(tx_hash)
        if signed is None:
            return None, [tx_hash]
        return signed, [each.hash for each in self.outbox.family(signed)]

    async def transact(
        self,
        to: Address | None,
        data: bytes,
        value: int = 0,
        gas: int | None = None,
        *,
        idempotency_key: str | None = None,
        content: bytes | None = None,
    ) -> TxReceipt:
        """Sends and waits. Raises TransactionFailed, with the contract's reason, if it failed;
        then nothing was changed, and the same `idempotency_key` tries it again.
        """
        try:
            tx_hash = await self.send(
                to, data, value, gas, idempotency_key=idempotency_key, content=content
            )
        except FateUnknown as unknown:
            tx_hash = Hash(unknown.tx_hash)  # it is in the outbox: looked after like any other
        return await self._succeeded(await self.receipt(tx_hash))

    async def followed(self, idempotency_key: str, content: bytes) -> TxReceipt | None:
        """The receipt of what was signed under this key already; None if nothing was.

        Raises as `transact`, which goes on with it in the same way, but needs to know how to do it.
        """
        known = await self._aside(lambda: self.outbox.of_purpose(idempotency_key, content))
        if known is None:
            return None
        try:
            if not await self._aside(partial(self.outbox.decided, known)):
                await self._let_older_ones_go_first(known.nonce)
                await self.submit(known)
        except (NodeError, ContractError):
            if not await self._was_it_taken_after_all(known):
                await self._aside(partial(self.outbox.void, known))
                return None  # it never counts, so it may be done anew
        except (FateUnknown, NodeUnreachable, RateLimited):
            pass  # looked after like any other
        return await self._succeeded(await self.receipt(known.hash))

    async def _succeeded(self, receipt: TxReceipt) -> TxReceipt:
        if receipt.ok:
            return receipt
        with suppress(OutboxUnusable):
            await self._aside(partial(self.outbox.release, receipt.tx_hash))
        reason = None
        with suppress(ChainError):  # that it failed is known, whatever the node says of why
            reason = await reason_of_async(self.node, receipt.tx_hash)
        raise TransactionFailed(receipt.tx_hash, reason)

    async def resume(self) -> int:
        """Sends again what an interrupted program signed and the node does not know; how many."""
        latest = await self.node.transaction_count(self.address)
        return await self._send_again(latest, limit=ALL)

    # ------------------------------------------------------------------ looking after the outbox

    async def _let_older_ones_go_first(self, nonce: int) -> None:
        """Not every node keeps a transaction whose turn is later. Whoever signed an older one is
        given a moment to send it; after that they are gone, and it is sent for them.
        """
        last, since = None, 0.0
        while (older := await self._aside(partial(self.outbox.untold_before, nonce))) is not None:
            signed, age = older
            if signed.hash != last:
                last, since = signed.hash, time.monotonic()
            # This machine's clock may have been set back since it was signed.
            if min(age, GONE_AFTER) + (time.monotonic() - since) < GONE_AFTER:
                await self.node.wire.sleep(0.005)
            else:
                await self._send_for_another(signed)

    async def _send_for_another(self, signed: SignedTransaction) -> None:
        try:
            await self.submit(signed)
        except (NodeError, ContractError):
            if await self._is_in_a_block(signed):
                await self._aside(partial(self.outbox.told, signed.hash))
            else:  # it never counts, and must not hold up the others
                await self._aside(partial(self.outbox.void, signed))
                await self._count()

    async def _look_after(self, waiting: SignedTransaction, waited: float) -> None:
        latest = await self.node.transaction_count(self.address)
        if latest > waiting.nonce:
            await self._must_not_be_taken(waiting)
            return
        last = await self._aside(self.outbox.last_mined)
        if last is not None and latest <= last.nonce:
            # The chain forgot what it had: reorganised, and the same transactions count again.
            await self.node.must_be_the_same_chain()
            await self._aside(partial(self.outbox.unmined, latest))
        if not await self._aside(partial(self.outbox.attempts, latest)):
            await self._fill(latest)
        await self._send_again(latest)
        if waited > self.fees.stuck_after:
            await self._offer_more(latest)

    async def _must_not_be_taken(self, waiting: SignedTransaction) -> None:
        """The nonce counted: for an attempt of ours, or the account was used from elsewhere."""
        family = await self._aside(partial(self.outbox.family, waiting))
        asked: list[tuple[str, list[Any]]] = [
            ("eth_getTransactionCount", [to_hex(self.address), "latest"])
        ]
        asked += [("eth_getTransactionReceipt", [to_hex(each.hash)]) for each in family]
        for _ in range(3):  # nodes behind a balancer differ for a moment; one message is for one
            count, *found = await self.node.batch(asked)
            if any(found) or int(count, 16) <= waiting.nonce:
                return
            await self.node.wire.sleep(1.0)
        if await self._aside(partial(self.outbox.decided, waiting)):
            return  # it was seen in a block; this node does not remember old receipts
        for each in family:
            await self._aside(partial(self.outbox.void, each))
        await self._count()
        raise NonceTaken(waiting.hash, waiting.nonce)

    async def _fill(self, nonce: int) -> None:
        """A nonce that nobody has any more, because the node refused its transaction: nothing
        later can count before it does, so it pays nothing to oneself.
        """
        if await self.node.transaction_count(self.address, "pending") > nonce:
            return  # somebody else's, on its way
        fields: TransactionFields = {
            "chainId": await self.node.chain_id(),
            "gas": 21_000,
            "value": 0,
            "data": b"",
            "to": self.address,
            "nonce": nonce,
            **await self._offers.now(),
        }
        if not affordable(fields, self.fees):
            return  # cheaper later, or never: what waits was sent, and its fate stays open
        await self._aside(lambda: self.outbox.fill(nonce, lambda _: signed_by(self.signer, fields)))

    async def _send_again(self, latest: int, limit: int = 50) -> int:
        again = 0
        for nonce in await self._aside(partial(self.outbox.open_nonces, latest, limit)):
            attempts = await self._aside(partial(self.outbox.attempts, nonce))
            if not attempts or await is_known(self.node, attempts[-1].hash):
                continue
            try:
                await self.submit(attempts[-1])
                again += 1
            except (NodeError, ContractError):
                continue  # whoever waits for it is told when patience ends
        return again

    async def _offer_more(self, nonce: int) -> None:
        """The oldest open transaction once more, for more, if that can be why it waits."""
        attempts = await self._aside(partial(self.outbox.attempts, nonce))
        if not attempts or nonce in self._no_more:
            return
        old = attempts[-1]
        self._offers.forget()
        fields = raised(fields_of(old.raw), await self._offers.now(), self.fees)
        if fields is None:
            return
        try:
            new = await self._aside(
                lambda: self.outbox.replace(old, lambda _: signed_by(self.signer, fields))
            )
        except OutboxUnusable:
            raise
        except Exception:  # the wallet's owner may decline: what was sent before may still count
            self._no_more.add(nonce)
            return
        try:
            await self.submit(new)
        except (NodeError, ContractError):
            # Not taken: the older attempt may still count, this one never does.
            if not await self._is_in_a_block(new):
                await self._aside(partial(self.outbox.void, new))

    async def _must_not_be_reset(self) -> None:
        """A node that does not answer may be another one now. Raises ChainReset."""
        with suppress(NodeUnreachable, RateLimited, NodeError):
            await self.node.must_be_the_same_chain()

    # ------------------------------------------------------------------ within

    async def _aside(self, work: Callable[[], T]) -> T:
        """The outbox waits for the disk, and for whoever else has it: never on an event loop."""
        return await self.node.wire.aside(work)

    async def _count(self) -> None:
        count = await self.node.transaction_count(self.address, "pending")
        await self._aside(partial(self.outbox.count_from, count))

    async def _is_in_a_block(self, signed: SignedTransaction) -> bool:
        family = await self._aside(partial(self.outbox.family, signed))
        return any(await receipts_of(self.node, [each.hash for each in family]))

    async def _was_it_taken_after_all(self, signed: SignedTransaction) -> bool:
        """Whether a transaction counted that the node refuses now."""
        try:
            return await self._is_in_a_block(signed)
        except (NodeUnreachable, RateLimited, NodeError) as error:
            raise FateUnknown(signed.hash) from error


class Sender:
    """As AsyncSender, for programs without an event loop."""

    def __init__(
        self,
        node: Node,
        signer: Signer,
        *,
        outbox: Outbox | None = None,
        fees: Fees = Fees(),
    ) -> None:
        self.node = node
        self.core = AsyncSender(node.core, signer, outbox=outbox, fees=fees)

    @property
    def address(self) -> Address:
        """The account that pays for gas."""
        return self.core.address

    @property
    def signer(self) -> Signer:
        """Who signs its transactions."""
        return self.core.signer

    @property
    def outbox(self) -> Outbox:
        """What was signed and is not certain yet."""
        return self.core.outbox

    sign = blocking(AsyncSender.sign)
    submit = blocking(AsyncSender.submit)
    send = blocking(AsyncSender.send)
    receipt = blocking(AsyncSender.receipt)
    transact = blocking(AsyncSender.transact)
    followed = blocking(AsyncSender.followed)
    resume = blocking(AsyncSender.resume)


def _nonce_is_taken(error: NodeError) -> bool:
    said = error.message.lower()
    return "nonce" in said or "underpriced" in said or "already" in said
