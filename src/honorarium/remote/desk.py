"""A desk, in the place of the contracts: the same calls, without a node and without gas.

Reading goes through the desk's read-only JSON-RPC, so what is read is the chain's own word, and the
code on it is compared with this package's. Sending is the desk's: what an account would send, it
signs, and the desk relays it. No key ever leaves its owner.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from honorarium.chain import (
    AsyncContracts,
    AsyncNode,
    AsyncSender,
    Contracts,
    Fees,
    Manifest,
    Node,
    Relayable,
    Sender,
    Status,
    TxReceipt,
    reason_of_async,
)
from honorarium.chain.deploy import shown
from honorarium.chain.node import from_hex, to_hex
from honorarium.chain.receipts import read_receipt, receipts_of
from honorarium.chain.relay import Signing
from honorarium.chain.signatures import signed as was_signed
from honorarium.chain.wire import blocking, drive
from honorarium.errors import (
    ChainError,
    ContractError,
    FateUnknown,
    InputError,
    NodeError,
    SessionNotOpen,
    StaleVoucher,
    TransactionFailed,
    WrongSignature,
)
from honorarium.ids import Address, Hash, SessionId
from honorarium.onfailure import AsyncOnFailure, OnFailure
from honorarium.protocol import Entry, Quote, SignedAcknowledgement, SignedVoucher, Signer, Terms
from honorarium.protocol.book import Superseded
from honorarium.protocol.documents import read_quote, write_quote
from honorarium.protocol.events import SessionClosed, Settled
from honorarium.protocol.records import (
    entry_record,
    read_bytes,
    read_entry,
    read_signature,
    reading_record,
)
from honorarium.protocol.sign_in import SignIn, SignInUnreadable, enrolment_statement, text_hash
from honorarium.remote.api import Api, AsyncApi, SignedIn, read, read_or_refuse
from honorarium.remote.handed import Handed
from honorarium.remote.place import (
    CHAIN,
    asyncio_through,
    blocking_through,
    chain_at,
    deployment,
    facts_of,
)
from honorarium.remote.problems import DeskRefused
from honorarium.remote.refusals import (
    DeskNotNamed,
    NotADesk,
    NotSentHere,
    NotSettledYet,
    OtherQuote,
)
from honorarium.remote.routes import Wish, handing, session_path
from honorarium.remote.values import Enrolled, Facts
from honorarium.remote.web import AsyncioWeb, BlockingWeb, MakeWeb

T = TypeVar("T")

MINED: Final = 300.0
"""So many seconds a transaction that the desk sent is waited for."""

_REFUSED: Final = (ContractError, InputError, DeskRefused)
"""After these nothing was sent."""


class AsyncDesk(AsyncContracts):
    """A desk. Use `connect`; then give it to a client or an advisor where they take contracts.

    `api` is for what else it offers (docs/desk.md has all of it).
    """

    def __init__(
        self,
        node: AsyncNode,
        manifest: Manifest,
        state: Path | None = None,
        *,
        web: MakeWeb = AsyncioWeb,
    ) -> None:
        if not node.url.endswith(CHAIN):
            raise NotADesk(node.url, f"the node of a desk ends with {CHAIN}")
        super().__init__(node, manifest, state)
        self.api = AsyncApi(node.url.removesuffix(CHAIN), node.wire, web)
        self.carrier = self
        chain = manifest.filename.removesuffix(".json")
        self._handed = Handed(self.state / "handed" / chain)
        self._facts: Facts | None = None
        self._named: set[Address] = set()  # advisors whose enrolment was checked

    @classmethod
    async def connect(
        cls, url: str, *, manifest: Manifest | Path | None = None, state: Path | None = None
    ) -> Self:
        """The desk at `url`.

        `manifest` None: the deployment that the desk says it works with; its code is compared with
        this package's all the same. `state` is the folder for what must survive a crash.

        Raises NotADesk, DeskUnreachable, and what `AsyncContracts.connect` raises.
        """
        node = AsyncNode(chain_at(url), wire=asyncio_through)
        async with AsyncOnFailure(node.close):
            known = await deployment(node, AsyncioWeb, manifest)
            return await cls.attach(node, known, state)

    async def close(self) -> None:
        """Closes the connections."""
        await self.api.close()
        await super().close()

    def sender(self, signer: Signer, *, fees: Fees = Fees()) -> AsyncSender:
        """Nobody sends here. Raises NotSentHere."""
        raise NotSentHere(signer.address)

    # ------------------------------------------------------------------ the desk and its people

    async def facts(self) -> Facts:
        """What the desk says of itself. Asked once, and remembered."""
        if self._facts is None:
            self._facts = await facts_of(self.api)
        return self._facts

    async def sign_in(self, signer: Signer) -> SignedIn:
        """Signs in (EIP-4361). What needs it does so by itself; the token stays in memory.

        Raises OtherDesk, TextNotSigned.
        """
        return await self.api.sign_in(signer)

    async def sign_out(self, signer: Signer) -> None:
        """The token counts no more."""
        await self.api.sign_out(signer)

    async def advisors(self, *, available: bool | None = None) -> list[Enrolled]:
        """Who advises here; `available`: only those who do, or do not, take sessions now."""
        query = "" if available is None else f"&available={str(available).lower()}"
        found: list[Enrolled] = []
        cursor = ""
        while True:
            page = await self.api.call("GET", f"/v1/advisors?limit=200{query}{cursor}")
            items, more = read_or_refuse(page, "items", "next")
            found += [read(Enrolled.of, each) for each in items]
            if more is None:
                return found
            cursor = f"&cursor={more}"

    async def advisor(self, address: Address) -> Enrolled:
        """One of them. Raises DeskRefused (AdvisorNotKnown)."""
        return read(Enrolled.of, await self.api.call("GET", f"/v1/advisors/{shown(address)}"))

    async def acknowledger(self, terms: Terms) -> Address | None:
        """The desk's own key, which the advisor named to acknowledge vouchers for them.

        What they signed when they enrolled is checked here. Raises DeskNotNamed.
        """
        desk, advisor = (await self.facts()).acknowledger, terms.advisor
        if advisor in self._named:
            return desk
        known = await self.advisor(advisor)
        try:
            said = SignIn.read(known.message)
        except SignInUnreadable as error:
            raise DeskNotNamed(advisor, desk, error.reason) from None
        for what, wanted, found in (
            ("account", shown(advisor), shown(said.account)),
            ("chain", str(self.manifest.chain_id), str(said.chain_id)),
            ("statement", enrolment_statement(desk), said.statement),
        ):
            if wanted != found:
                raise DeskNotNamed(advisor, desk, f"its {what} is {found!r}, not {wanted!r}")
        digest = text_hash(known.message)
        if not await was_signed(self.node, advisor, digest, known.signature):
            raise DeskNotNamed(advisor, desk, "the enrolment is not signed by the advisor")
        self._named.add(advisor)
        return desk

    async def quote(
        self,
        advisor: Address,
        tariff: str,
        client: Address,
        meter_key: Address,
        *,
        payer: Address | None = None,
        context: Hash | None = None,
    ) -> Quote:
        """A quote of one of the advisor's tariffs, by its name, for this client.

        Who is in it, and that the advisor signed it, is checked; what it costs is for you to look
        at (`quote.terms`). Raises OtherQuote, WrongSignature, DeskRefused.
        """
        asked: dict[str, Any] = {
            "advisor": shown(advisor),
            "tariff": tariff,
            "client": shown(client),
            "meterKey": shown(meter_key),
        }
        if payer is not None:
            asked["payer"] = shown(payer)
        if context is not None:
            asked["context"] = to_hex(context)
        (document,) = read_or_refuse(await self.api.call("POST", "/v1/quotes", asked), "quote")
        quote, domain = read_quote(json.dumps(document))
        terms = quote.terms
        for what, wanted, found in (
            ("contract", self.escrow.contract, domain.contract),
            ("advisor", advisor, terms.advisor),
            ("client", client, terms.client),
            ("payer", payer or client, terms.payer),
            ("meter key", meter_key, terms.meter_key),
            ("context", context or terms.context, terms.context),
        ):
            if wanted != found:
                raise OtherQuote(what, to_hex(wanted), to_hex(found))
        if domain.chain_id != self.escrow.chain_id:
            raise OtherQuote("chain", str(self.escrow.chain_id), str(domain.chain_id))
        session_id = Hash(quote.session_id(self.escrow))
        if not await was_signed(self.node, advisor, session_id, quote.signature):
            quote.verify(self.escrow)
            raise WrongSignature("quote", advisor, advisor)
        return quote

    async def tell_opened(self, quote: Quote, tx_hash: Hash) -> None:
        """Tells the desk of a session opened without it, and waits until the desk has seen it."""
        document = json.loads(write_quote(quote, self.escrow))
        body = {"quote": document, "transaction": to_hex(tx_hash)}
        until = time.monotonic() + MINED
        while (await self.api.answer("POST", "/v1/sessions", body))[0] == 202:
            if time.monotonic() > until:
                raise FateUnknown(tx_hash)
            await self.node.wire.sleep(0.5)

    # ------------------------------------------------------------------ vouchers

    async def hand_in(
        self,
        terms: Terms,
        voucher: SignedVoucher,
        entries: Sequence[Entry] = (),
        after: int | None = None,
    ) -> SignedAcknowledgement:
        """Gives the desk a voucher, and the entries that lead to it behind the first `after` ones.

        What comes back is the desk's signature: the voucher is durable. Raises DeskNotNamed, and
        what a `VoucherBook` raises.
        """
        desk = await self.acknowledger(terms)
        body: dict[str, Any] = reading_record(voucher.units, voucher.journal, voucher.signature)
        if entries:
            body["entries"] = [entry_record(entry) for entry in entries]
        if after is not None:
            body["after"] = after
        path = session_path(terms.session_id(self.escrow), "vouchers")
        (said,) = read_or_refuse(await self.api.call("POST", path, body), "acknowledgement")
        accepted = read_acknowledgement(said)
        accepted.verify(terms, self.escrow, desk)
        return accepted

    async def voucher(self, terms: Terms, party: Signer) -> SignedVoucher | None:
        """The best voucher that the desk has, for one of the parties. Raises WrongSignature."""
        path = session_path(terms.session_id(self.escrow))
        (reading,) = read_or_refuse(await self.api.call("GET", path, signer=party), "reading")
        if reading is None or not reading["units"]:
            return None
        units, journal, signature = read_or_refuse(reading, "units", "journal", "signature")
        found = SignedVoucher(int(units), Hash(read_bytes(journal, 32)), read_signature(signature))
        found.verify(terms, self.escrow)
        return found

    async def journal(self, session_id: SessionId, party: Signer) -> list[Entry]:
        """What the client's meter told the desk, for one of the parties."""
        found: list[Entry] = []
        cursor = ""
        while True:
            path = session_path(session_id, f"journal?limit=200{cursor}")
            page = await self.api.call("GET", path, signer=party)
            items, more = read_or_refuse(page, "items", "next")
            found += [read_entry(each) for each in items]
            if more is None:
                return found
            cursor = f"&cursor={more}"

    # ------------------------------------------------------------------ sending

    async def carry(
        self, signer: Signer, signing: Signing, idempotency_key: str | None, content: bytes
    ) -> TxReceipt:
        """See `chain.relay.Carrier`."""
        if idempotency_key is None:
            return await self._send(await signing(), signer)
        account, key = signer.address, idempotency_key
        signed = await self._aside(lambda: self._handed.find(account, key, content))
        if signed is None:
            fresh = signed = await signing()
            await self._aside(lambda: self._handed.keep(account, key, content, fresh))
        try:
            receipt = await self._send(signed, signer)
        except (*_REFUSED, TransactionFailed):
            await self._aside(lambda: self._handed.drop(account, key))
            raise
        await self._aside(lambda: self._handed.done(account, key))
        return receipt

    async def carried(
        self, signer: Signer, idempotency_key: str, content: bytes
    ) -> TxReceipt | None:
        """See `chain.relay.Carrier`."""
        account, key = signer.address, idempotency_key
        signed = await self._aside(lambda: self._handed.find(account, key, content))
        if signed is None:
            return None
        try:
            receipt = await self._send(signed, signer)
        except _REFUSED:
            await self._aside(lambda: self._handed.drop(account, key))
            return None  # it never counts, so it may be done anew
        except TransactionFailed:
            await self._aside(lambda: self._handed.drop(account, key))
            raise
        await self._aside(lambda: self._handed.done(account, key))
        return receipt

    async def purpose(self, account: Address, action: str) -> tuple[str, bool]:
        """An idempotency key for an action that may be meant more than once, as `Outbox.purpose`
        gives one; and whether it was begun already.
        """
        return await self._aside(lambda: self._handed.purpose(account, action))

    async def _send(self, signed: Relayable, signer: Signer) -> TxReceipt:
        """Hands it over and waits. Handed over again, it is the same transaction."""
        where = handing(signed, self.escrow)
        if isinstance(where, Wish):
            return await self._settled(where, signer)
        until = time.monotonic() + MINED
        while True:
            status, found = await self.api.answer("POST", where.path, where.body)
            sent = found.get("sent", found) if isinstance(found, dict) else None
            if not isinstance(sent, dict):
                raise DeskRefused("AnswerUnreadable", status, "it does not say what was sent")
            if status != 202:
                return await self._succeeded(sent)
            if time.monotonic() > until:
                raise FateUnknown(from_hex(str(sent.get("transaction"))))
            await self.node.wire.sleep(0.5)

    async def _settled(self, wish: Wish, advisor: Signer) -> TxReceipt:
        """The transaction in which the desk settled this voucher, or a better one.

        Raises what the contract would raise.
        """
        terms, voucher = wish.terms, wish.voucher
        session_id = terms.session_id(self.escrow)
        held = await self.session(session_id)
        fee = terms.tariff.fee(voucher.units, held.deposit)
        if held.status not in (Status.OPEN, Status.CLOSING):
            raise SessionNotOpen(session_id)
        if fee <= held.earned:
            raise StaleVoucher(held.earned, fee)
        first = (await self.node.block()).number
        body = reading_record(voucher.units, voucher.journal, voucher.signature)
        with suppress(Superseded):  # a better one does as well
            await self.api.call("POST", session_path(session_id, "vouchers"), body)
        await self.api.call("POST", session_path(session_id, "settle"), signer=advisor)
        until = time.monotonic() + MINED
        while (await self.session(session_id)).earned < fee:
            if time.monotonic() > until:
                raise NotSettledYet(session_id, fee, MINED)
            await self.node.wire.sleep(0.1)
        for record in reversed(await self.history(session_id, first=first)):
            if isinstance(record.event, Settled | SessionClosed):
                (receipt,) = await receipts_of(self.node, [record.tx_hash])
                if receipt is not None:
                    return receipt
        raise NodeError("eth_getLogs", 0, f"0x{session_id.hex()} is settled, and no log tells how")

    async def _succeeded(self, sent: dict[str, Any]) -> TxReceipt:
        receipt = read(read_receipt, sent.get("receipt"))
        if receipt.ok:
            return receipt
        try:
            reason = await reason_of_async(self.node, receipt.tx_hash)
        except ChainError:
            reason = None
        raise TransactionFailed(receipt.tx_hash, reason)

    async def _aside(self, work: Callable[[], T]) -> T:
        return await self.node.wire.aside(work)


class Desk(Contracts):
    """As AsyncDesk, for programs without an event loop."""

    core: AsyncDesk

    def __init__(self, node: Node, manifest: Manifest, state: Path | None = None) -> None:
        self.node = node
        self.core = AsyncDesk(node.core, manifest, state, web=BlockingWeb)
        self.api = Api(self.core.api)

    @classmethod
    def connect(
        cls, url: str, *, manifest: Manifest | Path | None = None, state: Path | None = None
    ) -> Self:
        """As AsyncDesk.connect."""
        node = Node(chain_at(url), wire=blocking_through)
        with OnFailure(node.close):
            return cls.attach(node, drive(deployment(node.core, BlockingWeb, manifest)), state)

    def sender(self, signer: Signer, *, fees: Fees = Fees()) -> Sender:
        """Nobody sends here. Raises NotSentHere."""
        raise NotSentHere(signer.address)

    def close(self) -> None:
        """Closes the connections."""
        drive(self.core.close())

    def acknowledger(self, terms: Terms) -> Address | None:
        """As AsyncDesk.acknowledger."""
        return drive(self.core.acknowledger(terms))

    facts = blocking(AsyncDesk.facts)
    sign_in = blocking(AsyncDesk.sign_in)
    sign_out = blocking(AsyncDesk.sign_out)
    advisors = blocking(AsyncDesk.advisors)
    advisor = blocking(AsyncDesk.advisor)
    quote = blocking(AsyncDesk.quote)
    tell_opened = blocking(AsyncDesk.tell_opened)
    hand_in = blocking(AsyncDesk.hand_in)
    voucher = blocking(AsyncDesk.voucher)
    journal = blocking(AsyncDesk.journal)
    carry = blocking(AsyncDesk.carry)
    carried = blocking(AsyncDesk.carried)
    purpose = blocking(AsyncDesk.purpose)


def read_acknowledgement(found: Any) -> SignedAcknowledgement:
    """A desk's countersignature in JSON. Raises DeskRefused if it is none."""
    units, journal, signature = read_or_refuse(found, "units", "journal", "signature")
    return read(
        lambda _: SignedAcknowledgement(
            int(units), Hash(read_bytes(journal, 32)), read_signature(signature)
        ),
        found,
    )
