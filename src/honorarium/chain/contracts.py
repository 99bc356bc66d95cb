"""The deployed contracts of one chain, ready to use."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from eth_abi.abi import decode as decode_abi
from platformdirs import user_state_path

from honorarium.chain import calls
from honorarium.chain.deploy import Manifest, attach_async, deploy, find_async
from honorarium.chain.gas import Fees
from honorarium.chain.history import account_history, session_history
from honorarium.chain.local import LocalChain
from honorarium.chain.logs import LogRecord, decode, read_log
from honorarium.chain.node import AsyncNode, Node, Query, to_hex
from honorarium.chain.outbox import Outbox
from honorarium.chain.receipts import TxReceipt
from honorarium.chain.relay import Carrier
from honorarium.chain.send import AsyncSender, Sender
from honorarium.chain.wire import blocking, drive
from honorarium.errors import ContractError, InputError, NodeError, TokenWithoutCode
from honorarium.hashing import keccak
from honorarium.ids import ZERO_ADDRESS, Address, SessionId
from honorarium.money import COIN, Amount, Token
from honorarium.onfailure import AsyncOnFailure, OnFailure
from honorarium.protocol.events import Event
from honorarium.protocol.signer import Signer
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BlockNumber, UnixTime

PLAY_MONEY: Final = 10**12
"""What `Contracts.deploy` gives each account: a million test tokens of 6 decimals."""

STATE_VARIABLE: Final = "HONORARIUM_STATE"
MANIFEST_VARIABLE: Final = "HONORARIUM_MANIFEST"
MANIFESTS: Final = Path("deployments")


class TokenWithoutDomain(InputError):
    """A token that does not tell what its owners' signatures are bound to."""

    def __init__(self, token: Address) -> None:
        self.token = token
        super().__init__(
            f"token 0x{token.hex()} tells no EIP-712 domain, so nobody can sign for it; pay with "
            "an approval or from a balance"
        )


class AsyncContracts:
    """The escrow, the tip jar and, on local chains, the test token, with the node to reach them.

    Use `connect`. `state` is the folder for what must survive a crash: the outboxes of those who
    send; None: HONORARIUM_STATE, else the user's own state folder.
    """

    def __init__(self, node: AsyncNode, manifest: Manifest, state: Path | None = None) -> None:
        self.node, self.manifest = node, manifest
        self.escrow = Domain(manifest.chain_id, manifest.address("SessionEscrow"))
        self.tip_jar: Address = manifest.address("TipJar")
        self.test_token: Address | None = (
            manifest.address("TestUSD") if "TestUSD" in manifest.contracts else None
        )
        self.state = state or state_folder()
        self.carrier: Carrier | None = None
        """Who sends what accounts sign; None: each account sends for itself."""
        self._outboxes: dict[Address, Outbox] = {}
        self._opening = threading.Lock()
        self._tokens: dict[Address, Token] = {}
        self._domains: dict[Address, Domain] = {}

    @classmethod
    async def connect(
        cls, url: str, *, manifest: Manifest | Path | None = None, state: Path | None = None
    ) -> Self:
        """The contracts on the chain that the node at `url` serves.

        `manifest` None: the file that HONORARIUM_MANIFEST names, else the one in `deployments/`
        for this chain, else what stands where the contracts are on every chain. The code on chain
        is compared with this package's.

        Raises WrongChain, ChainReset, NoDeployment, NotOurCode, ManifestUnreadable, NodeBehind,
        and what asking a node raises.
        """
        node = AsyncNode(url)
        async with AsyncOnFailure(node.close):
            return await cls.attach(node, await manifest_of(node, manifest), state)

    @classmethod
    async def attach(cls, node: AsyncNode, manifest: Manifest, state: Path | None = None) -> Self:
        """The contracts of a manifest.

        Raises WrongChain, ChainReset, NotOurCode or NodeBehind if the node does not serve them.
        """
        await node.must_be_synced()
        await attach_async(node, manifest)
        return cls(node, manifest, state)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection and the outboxes."""
        for outbox in self._outboxes.values():
            outbox.close()
        self._outboxes.clear()
        await self.node.close()

    def outbox(self, account: Address) -> Outbox:
        """The durable outbox of an account on this chain. Raises OutboxUnusable."""
        with self._opening:  # one per account, whichever thread asks first
            if account not in self._outboxes:
                chain = self.manifest.filename.removesuffix(".json")
                path = self.state / "outbox" / f"{chain}-{account.hex()}.sqlite3"
                self._outboxes[account] = Outbox(path)
            return self._outboxes[account]

    def use_outbox(self, account: Address, outbox: Outbox) -> None:
        """From now on the account sends by this outbox, which lies elsewhere."""
        with self._opening:
            if (old := self._outboxes.get(account)) is not None and old is not outbox:
                old.close()
            self._outboxes[account] = outbox

    def sender(self, signer: Signer, *, fees: Fees = Fees()) -> AsyncSender:
        """Sends transactions for the account of `signer`, by its durable outbox."""
        return AsyncSender(self.node, signer, outbox=self.outbox(signer.address), fees=fees)

    # ------------------------------------------------------------------ reading

    async def now(self) -> UnixTime:
        """The time of the latest block (unix seconds)."""
        return (await self.node.block()).timestamp

    def default_token(self) -> Address:
        """The test token. Raises TokenWithoutCode where there is none: name a token there."""
        if self.test_token is None:
            raise TokenWithoutCode(ZERO_ADDRESS)
        return self.test_token

    async def token(self, address: Address | None = None) -> Token:
        """What is known of a token; zero: the chain's coin; None: the test token.

        Asked once, and remembered. Raises TokenWithoutCode if nothing is there, NodeError if it is
        no token.
        """
        where = self.default_token() if address is None else address
        if where == ZERO_ADDRESS:
            return COIN
        if where not in self._tokens:
            if not await self.node.code(where):
                raise TokenWithoutCode(where)
            decimals = await self.node.read(calls.token_decimals(where))
            if decimals > 255:
                raise NodeError("eth_call", 0, f"{to_hex(where)} says it has {decimals} decimals")
            try:
                symbol = await self.node.read(calls.token_symbol(where))
            except (NodeError, ContractError):
                symbol = "?"  # not every token has a name
            self._tokens[where] = Token(where, symbol, decimals)
        return self._tokens[where]

    async def balance(self, token: Address, account: Address) -> Amount:
        """What the escrow owes `account`, beside sessions."""
        query = calls.balance_of(self.escrow.contract, token, account)
        return (await self.token(token)).amount(await self.node.read(query))

    async def wallet(self, token: Address, account: Address) -> Amount:
        """What `account` holds in its own wallet."""
        known = await self.token(token)
        if known.is_coin:
            return known.amount(await self.node.balance(account))
        return known.amount(await self.node.read(calls.token_balance(token, account)))

    async def acknowledger(self, terms: Terms) -> Address | None:
        """Who acknowledges this session's vouchers in the advisor's place; None: nobody does."""
        return None

    async def session(self, session_id: SessionId) -> calls.Session:
        """A session as the escrow holds it; status NONE if it never opened."""
        return await self.node.read(calls.session(self.escrow.contract, session_id))

    async def rating(self, advisor: Address) -> calls.Tally:
        """An advisor's ratings: how many, and the sum of their scores."""
        return await self.node.read(calls.rating_of(self.escrow.contract, advisor))

    async def token_domain(self, token: Address) -> Domain:
        """Where signatures for a token count: as it says itself (EIP-5267), or by its name and
        version if they make the separator that it gives (EIP-2612). Asked once, and remembered.

        Raises TokenWithoutDomain.
        """
        if token not in self._domains:
            self._domains[token] = await self._token_domain(token)
        return self._domains[token]

    async def _token_domain(self, token: Address) -> Domain:
        chain_id = await self.node.chain_id()
        with suppress(NodeError, ContractError):
            found = await self.node.read(calls.token_domain(token))
            # Else a token could have its payers sign for another one.
            if (found.chain_id, found.contract) != (chain_id, token):
                raise TokenWithoutDomain(token)
            return found
        try:
            separator = await self.node.read(calls.token_separator(token))
            name = await self.node.read(_text(token, "name()"))
            try:
                version = await self.node.read(_text(token, "version()"))
            except (NodeError, ContractError):
                version = "1"
        except (NodeError, ContractError):
            raise TokenWithoutDomain(token) from None
        domain = Domain(chain_id, token, name, version)
        if domain.separator != separator:
            raise TokenWithoutDomain(token)
        return domain

    async def history(self, session_id: SessionId, *, first: int | None = None) -> list[LogRecord]:
        """Everything that the log says of a session, tips and skipped rows included, in order.

        `first`: the block to begin at, None: the deployment's.
        """
        return await session_history(
            self.node, self.escrow.contract, self.tip_jar, session_id, self._from(first)
        )

    async def account_history(
        self, account: Address, *, first: int | None = None
    ) -> list[LogRecord]:
        """Everything that the log says of an account's sessions, balances and tips, in order.

        Not all of it can be asked for by account, so the whole log is read from block `first` on
        (None: the deployment's).
        """
        return await account_history(
            self.node, self.escrow.contract, self.tip_jar, account, self._from(first)
        )

    def _from(self, first: int | None) -> BlockNumber:
        return self.manifest.block if first is None else BlockNumber(first)


class Contracts:
    """As AsyncContracts, for programs without an event loop."""

    def __init__(self, node: Node, manifest: Manifest, state: Path | None = None) -> None:
        self.node = node
        self.core = AsyncContracts(node.core, manifest, state)

    @classmethod
    def connect(
        cls, url: str, *, manifest: Manifest | Path | None = None, state: Path | None = None
    ) -> Self:
        """As AsyncContracts.connect."""
        node = Node(url)
        with OnFailure(node.close):
            return cls.attach(node, drive(manifest_of(node.core, manifest)), state)

    @classmethod
    def attach(cls, node: Node, manifest: Manifest, state: Path | None = None) -> Self:
        """As AsyncContracts.attach."""
        drive(AsyncContracts.attach(node.core, manifest, state))
        return cls(node, manifest, state)

    @classmethod
    def deploy(cls, chain: LocalChain) -> Self:
        """Puts the contracts on a local chain and gives each of its accounts test tokens."""
        node = Node(chain.url)
        with OnFailure(node.close):
            operator = chain.accounts["operator"]
            manifest = deploy(node, operator, test_token=True)
            people = [key.address for key in chain.accounts.values()]
            minted = calls.mint_batch(people, [PLAY_MONEY] * len(people))
            Sender(node, operator).transact(manifest.address("TestUSD"), minted)
            return cls.attach(node, manifest, chain.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def manifest(self) -> Manifest:
        """Where the contracts are, and on which chain."""
        return self.core.manifest

    @property
    def escrow(self) -> Domain:
        """The escrow's address and chain: the domain of every signature."""
        return self.core.escrow

    @property
    def tip_jar(self) -> Address:
        """Where tips go through."""
        return self.core.tip_jar

    @property
    def test_token(self) -> Address | None:
        """TestUSD, on local chains only."""
        return self.core.test_token

    def default_token(self) -> Address:
        """The test token. Raises TokenWithoutCode where there is none: name a token there."""
        return self.core.default_token()

    def outbox(self, account: Address) -> Outbox:
        """The durable outbox of an account on this chain. Raises OutboxUnusable."""
        return self.core.outbox(account)

    def use_outbox(self, account: Address, outbox: Outbox) -> None:
        """From now on the account sends by this outbox, which lies elsewhere."""
        self.core.use_outbox(account, outbox)

    def sender(self, signer: Signer, *, fees: Fees = Fees()) -> Sender:
        """Sends transactions for the account of `signer`, by its durable outbox."""
        return Sender(self.node, signer, outbox=self.core.outbox(signer.address), fees=fees)

    close = blocking(AsyncContracts.close)
    now = blocking(AsyncContracts.now)
    token = blocking(AsyncContracts.token)
    balance = blocking(AsyncContracts.balance)
    wallet = blocking(AsyncContracts.wallet)
    session = blocking(AsyncContracts.session)
    rating = blocking(AsyncContracts.rating)
    acknowledger = blocking(AsyncContracts.acknowledger)
    token_domain = blocking(AsyncContracts.token_domain)
    history = blocking(AsyncContracts.history)
    account_history = blocking(AsyncContracts.account_history)


async def manifest_of(node: AsyncNode, given: Manifest | Path | None) -> Manifest:
    """The manifest that is named, or found. Raises NoDeployment, NotOurCode, ManifestUnreadable."""
    if isinstance(given, Manifest):
        return given
    if given is None and (named := os.environ.get(MANIFEST_VARIABLE)):
        given = Path(named)
    if given is not None:
        return Manifest.load(given)
    name = f"{await node.chain_id()}-{(await node.genesis_hash()).hex()[:8]}.json"
    if (path := MANIFESTS / name).is_file():
        return Manifest.load(path)
    return await find_async(node)


def read_events(receipt: TxReceipt, contract: Address) -> list[Event]:
    """What `contract` wrote in this transaction, in order. Raises UnreadableLog."""
    written: Sequence[LogRecord] = [
        decode(log) for log in map(read_log, receipt.logs) if log.address == contract
    ]
    return [record.event for record in written]


def state_folder() -> Path:
    """Where what must survive a crash is kept: HONORARIUM_STATE, else the user's own folder."""
    named = os.environ.get(STATE_VARIABLE)
    return Path(named) if named else user_state_path("honorarium")


def _text(token: Address, function: str) -> Query[str]:
    return Query(
        token, keccak(function.encode())[:4], lambda data: decode_abi(("string",), data)[0]
    )
