"""What people ask a desk for, beside vouchers: sign-ins, advisors, quotes, relays, accounts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, RowMapping, func, select, text

from honorarium.chain import AsyncContracts, reason_of_async
from honorarium.chain.node import from_hex
from honorarium.chain.send import AsyncSender
from honorarium.desk.agents import Agents
from honorarium.desk.aside import Aside
from honorarium.desk.books import DeskBook, read_books
from honorarium.desk.chain_reads import ChainReads
from honorarium.desk.desk import Desk
from honorarium.desk.enrol import Enrolment
from honorarium.desk.figures import Figures
from honorarium.desk.hooks import Deliverer, Registry
from honorarium.desk.limits import Limits
from honorarium.desk.once import Once
from honorarium.desk.quotes import Quotes
from honorarium.desk.relay import Relay
from honorarium.desk.sign_in import NotAllowed, NotSignedIn, SignIns
from honorarium.errors import ChainError, ContractError, HonorariumError, TransactionFailed
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.ledger import blocks, listing, sessions, settling
from honorarium.ledger.accounts import SignedIn
from honorarium.ledger.schema import sessions as sessions_table
from honorarium.money import Amount, Token
from honorarium.protocol.documents import read_quote
from honorarium.units import WHOLE_SHARE, BaseUnits

SHORTLY: Final = 3.0
"""So many seconds a request waits for the ledger to say what a receipt says already."""

TOKENS: Final = 20
"""So many tokens of one account are looked up at once."""

HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Held:
    """What an account has of a token."""

    token: Token
    balance: Amount
    wallet: Amount


@dataclass(frozen=True, slots=True)
class Earning:
    """What an advisor earned in a token, the platform's share taken off. `pending`: by vouchers in
    hand; `settled`: on the chain, withdrawn or not; `withdrawable`: in the balance now.
    """

    token: Token
    pending: BaseUnits
    settled: BaseUnits
    withdrawable: BaseUnits


class Front:
    """One replica's front. Start it on the event loop that serves."""

    def __init__(self, desk: Desk) -> None:
        settings = desk.settings
        self.desk = desk
        self.contracts: AsyncContracts = desk.contracts
        self.sender: AsyncSender = desk.sender
        self.aside = Aside(desk.ledger)
        self.figures = Figures()
        self.limits = Limits(
            {
                "requests": settings.requests_per_minute,
                "relays": settings.relays_per_minute,
                "relays of one account": settings.relays_per_account,
            },
            settings.sockets_per_address,
        )
        self.sign_ins = SignIns(
            desk.contracts, desk.address, settings.url, settings.token_hours * HOUR
        )
        allowed = settings.advisors
        self.enrolment = Enrolment(
            self.sign_ins,
            desk.domain.contract,
            desk.policy,
            None if allowed is None else frozenset(Address(from_hex(one)) for one in allowed),
        )
        self.agents = Agents(self.aside)
        self.quotes = Quotes(
            self.aside,
            desk.contracts,
            desk.clock,
            self.enrolment,
            self.agents,
            settings.agent_seconds,
        )
        self.relay = Relay(
            settings,
            desk.policy,
            self.aside,
            desk.contracts,
            desk.sender,
            self.limits,
            self.figures,
        )
        self.once = Once(self.aside, settings.answers_hours * HOUR)
        self.hooks = Registry(settings.webhooks_private)
        self.deliverer = Deliverer(
            self.aside,
            self.figures,
            private=settings.webhooks_private,
            wait=settings.webhook_seconds,
        )
        self.reads = ChainReads(desk.contracts.node, settings.log_blocks, settings.chain_gas)

    def start(self) -> None:
        """Begins to ask agents, and to tell webhooks."""
        self.agents.start()
        self.deliverer.start()

    async def stop(self) -> None:
        """Ends."""
        await self.deliverer.stop()
        await self.agents.stop()
        self.aside.close()

    # ------------------------------------------------------------------ sessions

    async def session(self, session_id: SessionId) -> RowMapping:
        """The row of a session. Raises SessionNotKnown."""
        return await self.aside.read(lambda c: sessions.get(c, session_id))

    async def party(self, who: SignedIn, session_id: SessionId) -> RowMapping:
        """The row of a session that the account is a party of. Raises NotAllowed."""
        row = await self.session(session_id)
        if who.account not in (row["advisor"], row["client"], row["payer"]):
            raise NotAllowed(who.account, "it is no party of this session")
        return row

    async def must_tell(self, who: SignedIn | None, session_id: SessionId) -> None:
        """Entries that no voucher carries are signed by nobody: they count from the client, the
        payer, or the key that meters. Raises NotSignedIn, NotAllowed, SessionNotKnown.
        """
        if who is None:
            raise NotSignedIn("entries without a voucher need the client, the payer or the meter")
        row = await self.session(session_id)
        tellers = {row["client"], row["payer"]}
        if who.account not in tellers and row["document"]:
            tellers.add(read_quote(row["document"])[0].terms.meter_key)
        if who.account not in tellers:
            raise NotAllowed(who.account, "it is neither client nor payer nor meter here")

    async def book(self, session_id: SessionId) -> DeskBook:
        """What is known of a session's meter, as the ledger has it. Raises SessionNotKnown."""

        def read(connection: Connection) -> DeskBook:
            found = read_books(connection, [session_id], self.desk.clock).get(session_id)
            if found is None:  # never heard of, or forgotten
                raise sessions.SessionNotKnown(session_id)
            return found

        return await self.aside.read(read)

    async def caught_up(self, block: int) -> None:
        """Waits a moment until the ledger says what this block says, so that whoever asks next
        finds it there.
        """
        until, pause = time.monotonic() + SHORTLY, 0.02
        while True:
            with suppress(ChainError):  # the watcher looks again anyway
                await self.desk.watcher.look()
            known = await self.aside.read(blocks.known)
            if max(known, default=0) >= block or time.monotonic() > until:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.3)

    async def block_of(self, tx_hash: str) -> int | None:
        """The block that a transaction is in. Raises TransactionFailed if it did nothing there."""
        found = await self.contracts.node.request("eth_getTransactionReceipt", [tx_hash])
        if not found or not found.get("blockNumber"):
            return None
        if int(found.get("status", "0x0"), 16) != 1:
            digest = Hash(from_hex(tx_hash))
            raise TransactionFailed(digest, await reason_of_async(self.contracts.node, digest))
        return int(found["blockNumber"], 16)

    # ------------------------------------------------------------------ accounts

    async def balances(self, account: Address, given: Iterable[Address]) -> list[Held]:
        """What an account has, of these tokens; none: of those it has sessions in.

        Raises TokenWithoutCode, NodeError for what is no token.
        """
        tokens = list(dict.fromkeys(given))
        if not tokens:
            used = await self.aside.read(lambda c: listing.tokens_of(c, account))
            known = {ZERO_ADDRESS, *(Address(each) for each in used)}
            if self.contracts.test_token is not None:
                known.add(self.contracts.test_token)
            tokens = sorted(known)
        contracts = self.contracts
        return [
            Held(
                await contracts.token(token),
                await contracts.balance(token, account),
                await contracts.wallet(token, account),
            )
            for token in tokens[:TOKENS]
        ]

    async def earnings(self, advisor: Address) -> list[Earning]:
        """What an advisor earned, by token."""
        sums = await self.aside.read(lambda c: _earned(c, advisor))
        if self.contracts.test_token is not None:
            sums.setdefault(self.contracts.test_token, (0, 0))
        found = []
        for address, (pending, settled) in sorted(sums.items()):
            balance = await self.contracts.balance(address, advisor)
            found.append(
                Earning(balance.token, BaseUnits(pending), BaseUnits(settled), balance.base_units)
            )
        return found

    # ------------------------------------------------------------------ health

    async def faults(self) -> list[str]:
        """Why this replica is not ready; empty if it is."""
        found = []
        try:
            await self.aside.read(lambda c: c.execute(text("SELECT 1")).scalar_one())
        except HonorariumError as error:
            found.append(f"ledger: {error}")
        try:
            await self.contracts.node.must_be_the_same_chain()
            balance = await self.relay.balance()
            if balance < self.relay.low:
                found.append(f"relayer: it holds {balance} wei, and {self.relay.low} are needed")
        except (ChainError, ContractError) as error:
            found.append(f"node: {error}")
        return found

    async def measure(self) -> bytes:
        """The figures now, for Prometheus."""
        intake = self.desk.intake
        self.figures.vouchers.set(intake.taken)
        self.figures.commits.set(intake.commits)
        self.figures.agents.set(self.agents.connected)
        with suppress(HonorariumError):
            await self.relay.balance()
        self.figures.behind.set(self.desk.watcher.behind)
        with suppress(HonorariumError):
            counts = await self.aside.read(_counts)
            self.figures.replicas.set(counts.replicas)
            for status, count in counts.sessions.items():
                self.figures.sessions.labels(status).set(count)
            for outcome, count in counts.settlements.items():
                self.figures.settlements.labels(outcome).set(count)
        return self.figures.text()


@dataclass(frozen=True, slots=True)
class _Counts:
    """What the ledger of all replicas holds."""

    sessions: dict[str, int]
    settlements: dict[str, int]
    replicas: int


def _counts(connection: Connection) -> _Counts:
    def by(column: Column[str]) -> dict[str, int]:
        query = select(column, func.count()).group_by(column)
        return {str(word): count for word, count in connection.execute(query)}

    alive = connection.execute(select(func.count()).select_from(settling.replicas)).scalar_one()
    return _Counts(by(sessions_table.c.status), by(settling.settlements.c.outcome), alive)


def _earned(connection: Connection, advisor: Address) -> dict[Address, tuple[int, int]]:
    """By token: what is pending, and what is settled, without the platform's share."""
    sums: dict[Address, tuple[int, int]] = {}
    for row in listing.earning_rows(connection, advisor):
        pending, settled = 0, 0
        share = 0
        if row["document"]:
            terms = read_quote(row["document"])[0].terms
            share = terms.fee_bps
            if row["status"] in (sessions.OPEN, sessions.CLOSING):
                fee = max(terms.tariff.fee(row["units"], row["deposit"]), row["earned"])
                pending = _own(fee, share) - _own(row["earned"], share)
        settled = _own(row["earned"], share)
        token = Address(row["token"])
        before = sums.get(token, (0, 0))
        sums[token] = (before[0] + pending, before[1] + settled)
    return sums


def _own(earned: int, share: int) -> int:
    """What is the advisor's of a fee (ESC-15)."""
    return earned - earned * share // WHOLE_SHARE


def document_of(row: RowMapping) -> dict[str, Any] | None:
    """The quote of a session, as an object of JSON; None where it was erased."""
    found: dict[str, Any] | None = json.loads(row["document"]) if row["document"] else None
    return found
