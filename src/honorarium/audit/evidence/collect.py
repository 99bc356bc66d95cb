"""Collecting the evidence of a session from a node.

Nothing that the node says is believed: headers must have their hashes, trees their roots, and what
was collected is examined before it is given out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from honorarium.audit.calldata import Authorized, OpenRow, rows_of, vouchers_of
from honorarium.audit.encoding import (
    NotEncodable,
    header_of,
    read_transaction,
    receipt_of,
    transaction_of,
)
from honorarium.audit.evidence.bundle import Block, Bundle, Claims, Proof, Sent, plain_symbol
from honorarium.audit.evidence.found import Standing
from honorarium.audit.evidence.given import Given
from honorarium.audit.evidence.ground import ground_of
from honorarium.audit.evidence.merkle import Tree
from honorarium.audit.evidence.verify import verify, wallets_of
from honorarium.audit.state import slot_key
from honorarium.bill import SessionRevoked, SessionUnknown
from honorarium.chain import AsyncContracts, Contracts, LogRecord, calls
from honorarium.chain.node import AsyncNode, from_hex, to_hex
from honorarium.chain.wire import drive
from honorarium.errors import BadSignature, ChainError, ContractError, NodeError, NodeUnreachable
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.events import (
    Revoked,
    RowSkipped,
    SessionClosed,
    SessionOpened,
    Settled,
)
from honorarium.protocol.keys import Signature
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.terms import Terms

LINKS: Final = 256
"""So many headers at most link the session's blocks to the last one."""

_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError)


class StateForgotten(ChainError):
    """The node proves no storage at the block that is wanted."""

    def __init__(self, block: int, reason: str) -> None:
        self.block, self.reason = block, reason
        super().__init__(
            f"the node proves no storage as of block {block}: {reason}; take a newer block "
            "(--block), or a node that keeps old states (an archive node) and offers eth_getProof"
        )


class NodeNotBelieved(ChainError):
    """What the node says cannot be proven by what it says."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the node's answers prove nothing: {reason}; ask another node")


def evidence_of(
    contracts: Contracts,
    session_id: SessionId,
    given: Given | None = None,
    *,
    block: int | None = None,
    links: int = LINKS,
) -> Bundle:
    """As `evidence_of_async`, for programs without an event loop."""
    return drive(evidence_of_async(contracts.core, session_id, given, block=block, links=links))


async def evidence_of_async(
    contracts: AsyncContracts,
    session_id: SessionId,
    given: Given | None = None,
    *,
    block: int | None = None,
    links: int = LINKS,
) -> Bundle:
    """The evidence of a session as it was after `block` (None: the newest, which a chain may still
    replace), with what was kept off the chain.

    If no more than `links` headers lie from the opening to that block, all of them are in it: then
    whoever trusts the last block needs to trust no other.

    Raises SessionUnknown, SessionRevoked, StateForgotten, NodeNotBelieved if its own answers do not
    prove what it says or contradict each other, and what asking a node raises. Whether signatures
    and papers are right is not asked here: see `verify`.
    """
    collector = _Collector(contracts, session_id, given or Given())
    try:
        return await collector.collect(block, links)
    except _UNREADABLE as error:
        reason = f"its answers cannot be read ({type(error).__name__}: {error})"
        raise NodeUnreachable(contracts.node.url, reason) from error


class _Collector:
    def __init__(self, contracts: AsyncContracts, session_id: SessionId, given: Given) -> None:
        self.contracts, self.session_id, self.given = contracts, session_id, given
        self.node: AsyncNode = contracts.node
        self.domain = contracts.escrow
        self.shown: list[bytes] = []  # the calldata that is proven

    async def collect(self, block: int | None, links: int) -> Bundle:
        last = await self._block(block, full=False)
        number = int(last["number"], 16)
        records = [
            record
            for record in await self.contracts.history(self.session_id)
            if record.block <= number and not isinstance(record.event, RowSkipped)
        ]
        terms = self._terms(records)
        blocks = await self._blocks(records, last, links)
        at = hex(number)
        accounts = {self.domain.contract: await self._account(self.domain.contract, at)}
        accounts[self.contracts.tip_jar] = await self._account(self.contracts.tip_jar, at)
        newest, vouchers = self._vouchers(terms, records)
        bundle = Bundle(
            domain=self.domain,
            tip_jar=self.contracts.tip_jar,
            session_id=self.session_id,
            terms=terms,
            quote=self._quote(terms),
            vouchers=vouchers,
            journal=self.given.journal_to(terms, self.domain, newest) if newest else None,
            acknowledgements=self.given.acknowledgements,
            blocks=tuple(blocks),
            accounts=accounts,
            slot=await self._slot(at),
            claims=await self._claims(terms),
        )
        for wallet in sorted(wallets_of(bundle)):
            accounts[wallet] = await self._account(wallet, at)
        bundle = replace(bundle, accounts=accounts)
        if faults := ground_of(bundle, ()).faults:
            raise NodeNotBelieved("; ".join(fault.text for fault in faults))
        # What is off about papers and signatures is what evidence is for; what the node left out
        # makes its receipts contradict each other, or its own storage.
        off = verify(bundle).of(Standing.OFF)
        if left_out := [each.text for each in off if each.about in ("log", "storage")]:
            raise NodeNotBelieved("; ".join(left_out))
        return bundle

    def _terms(self, records: Sequence[LogRecord]) -> Terms:
        for record in records:
            if isinstance(record.event, SessionOpened):
                return record.event.terms
        for record in records:
            if isinstance(record.event, Revoked):
                raise SessionRevoked(self.session_id, record.event.by, record.time)
        raise SessionUnknown(self.session_id, len(records))

    # ------------------------------------------------------------------ blocks

    async def _block(self, number: int | None, *, full: bool) -> dict[str, Any]:
        named = "latest" if number is None else hex(number)
        found: dict[str, Any] | None = await self.node.request(
            "eth_getBlockByNumber", [named, full]
        )
        if found is None:
            raise NodeError("eth_getBlockByNumber", 0, f"there is no block {number}")
        return found

    async def _blocks(
        self, records: Sequence[LogRecord], last: Mapping[str, Any], links: int
    ) -> list[Block]:
        wanted: dict[int, set[Hash]] = {}
        for record in records:
            wanted.setdefault(record.block, set()).add(record.tx_hash)
        first, end = records[0].block, int(last["number"], 16)
        between = range(first, end) if end - first < links else ()
        numbers = sorted({*wanted, *between, end})
        found = [
            await self._session_block(number, wanted[number])
            if number in wanted
            else Block(Hash(b""), b"")
            for number in numbers
        ]
        plain = [number for number in numbers if number not in wanted]
        heads = await self.node.batch(
            ("eth_getBlockByNumber", [hex(number), False]) for number in plain
        )
        for number, head in zip(plain, heads, strict=True):
            if head is None:
                raise NodeError("eth_getBlockByNumber", 0, f"there is no block {number}")
            found[numbers.index(number)] = Block(Hash(from_hex(head["hash"])), _header(head))
        if found[-1].hash != from_hex(last["hash"]):
            raise NodeNotBelieved(f"block {end} was replaced while it was read")
        return found

    async def _session_block(self, number: int, wanted: set[Hash]) -> Block:
        """A block with the session's transactions, proven by trees of all that are in it."""
        block = await self._block(number, full=True)
        sent = block["transactions"]
        receipts = await self.node.batch(
            ("eth_getTransactionReceipt", [each["hash"]]) for each in sent
        )
        try:
            outcomes = Tree([receipt_of(each) for each in receipts])
        except NotEncodable as error:
            raise NodeNotBelieved(f"block {number} cannot be proven from here: {error}") from None
        if outcomes.root != from_hex(block["receiptsRoot"]):
            raise NodeNotBelieved(f"the receipts of block {number} have not its receipts root")
        raw = self._raw(sent)
        tree = Tree(raw) if raw is not None else None
        if tree is not None and tree.root != from_hex(block["transactionsRoot"]):
            raise NodeNotBelieved(f"the transactions of block {number} have not its root")
        shown = []
        for index, each in enumerate(sent):
            if from_hex(each["hash"]) in wanted:
                proof = tree.proof(index) if tree is not None else None
                shown.append(Sent(index, proof, outcomes.proof(index)))
                if raw is not None:
                    self.shown.append(read_transaction(raw[index]).data)
        if len(shown) != len(wanted):
            raise NodeNotBelieved(f"block {number} has not the transactions that its log names")
        return Block(Hash(from_hex(block["hash"])), _header(block), tuple(shown))

    def _raw(self, sent: Sequence[Mapping[str, Any]]) -> list[bytes] | None:
        """The block's transactions as they were broadcast; None if one is of an unknown kind, or
        was put into the block without a signature, as test chains can.
        """
        try:
            raw = [transaction_of(each) for each in sent]
            for each in raw:
                read_transaction(each)
        except ValueError:
            return None
        return raw

    # ------------------------------------------------------------------ state

    async def _account(self, account: Address, at: str) -> Proof:
        found = await self._proof(account, [], at)
        return tuple(map(from_hex, found["accountProof"]))

    async def _slot(self, at: str) -> Proof:
        key = to_hex(slot_key(self.session_id).to_bytes(32, "big"))
        found = await self._proof(self.domain.contract, [key], at)
        return tuple(map(from_hex, found["storageProof"][0]["proof"]))

    async def _proof(self, account: Address, keys: list[str], at: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = await self.node.request(
                "eth_getProof", [to_hex(account), keys, at]
            )
        except NodeError as error:
            raise StateForgotten(int(at, 16), error.message) from error
        return found

    # ------------------------------------------------------------------ papers

    def _quote(self, terms: Terms) -> bytes | None:
        for data in self.shown:
            for row in rows_of(data):
                if isinstance(row, OpenRow) and row.terms == terms:
                    return row.advisor_signature
        return self.given.quote

    def _vouchers(
        self, terms: Terms, records: Sequence[LogRecord]
    ) -> tuple[Hash | None, tuple[SignedVoucher, ...]]:
        """The newest known head of the journal, and all vouchers that belong into the file."""
        readings = [
            (r.event.units, r.event.journal)
            for r in records
            if isinstance(r.event, Settled | SessionClosed) and r.event.units
        ]
        settled = max(readings, default=None)
        chosen = list(self.given.equivocation)
        chosen += [voucher for voucher in self._on_chain(terms) if self._is(voucher, settled)][:1]
        best = max(self.given.vouchers, key=lambda voucher: voucher.units, default=None)
        if best is not None and (settled is None or best.units >= settled[0]):
            chosen.append(best)
        # The same reading may have come in two ways; its signature may have two forms.
        distinct = {(voucher.units, voucher.journal): voucher for voucher in reversed(chosen)}
        ordered = tuple(distinct[reading] for reading in sorted(distinct))
        return (ordered[-1].journal if ordered else None), ordered

    def _on_chain(self, terms: Terms) -> list[SignedVoucher]:
        found = []
        for data in self.shown:
            for row in vouchers_of(data):
                if row.terms == terms and row.units:
                    try:
                        signature = Signature.from_bytes(row.signature)
                    except BadSignature:
                        continue  # of a row that the contract skipped
                    found.append(SignedVoucher(row.units, row.journal, signature))
        return found

    @staticmethod
    def _is(voucher: SignedVoucher, reading: tuple[int, Hash] | None) -> bool:
        return (voucher.units, voucher.journal) == reading

    async def _claims(self, terms: Terms) -> Claims:
        try:
            token = await self.contracts.token(terms.token)
            symbol, decimals = plain_symbol(token.symbol), token.decimals
        except ChainError:
            symbol, decimals = "?", 0
        authorized = any(
            isinstance(row, OpenRow) and row.terms == terms and isinstance(row.payer, Authorized)
            for data in self.shown
            for row in rows_of(data)
        )
        return Claims(symbol, decimals, await self._separator(terms.token) if authorized else None)

    async def _separator(self, token: Address) -> Hash | None:
        try:
            found = await self.node.read(calls.token_separator(token))
        except (NodeError, ContractError):
            return None
        return Hash(found) if len(found) == 32 else None


def _header(block: Mapping[str, Any]) -> bytes:
    try:
        return header_of(block)
    except NotEncodable as error:
        raise NodeNotBelieved(str(error)) from None
