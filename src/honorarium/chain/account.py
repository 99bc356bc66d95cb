"""Somebody on a chain: what client and advisor have in common.

An account does everything in one of two ways: it sends the transaction itself, or it signs and lets
anybody send it (`sign_...` gives a `Relayable`, `relay` sends one). Where the contracts have a
`carrier`, a desk, every call takes the second way by itself (`_act` alone decides). Money comes in
as `Money` and goes out as `Amount`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import cached_property, partial
from typing import Final, Literal, Protocol, TypeVar

import rlp

from honorarium.chain import calls
from honorarium.chain.contracts import AsyncContracts, Contracts, read_events
from honorarium.chain.gas import Fees
from honorarium.chain.receipts import TxReceipt
from honorarium.chain.relay import NotRelayable, Relayable, Signing
from honorarium.chain.send import AsyncSender
from honorarium.chain.signing import content_of
from honorarium.chain.wire import blocking
from honorarium.errors import ContractError, InputError, NodeError, TransactionFailed
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash
from honorarium.money import Amount, Money, Token
from honorarium.protocol.events import Event, Withdrawn
from honorarium.protocol.keys import Signature
from honorarium.protocol.messages import (
    Message,
    Permit,
    ReceiveWithAuthorization,
    Withdrawal,
    deposit_nonce,
)
from honorarium.protocol.signer import Signer, sign_message
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, UnixTime

HOUR: Final = 3600

T = TypeVar("T")
E = TypeVar("E", bound=Event)

Payment = Literal["wallet", "permit", "authorization", "balance"]
"""Where money comes from: the wallet (coin as value, tokens by an approval of exactly the amount),
the wallet by a signed permit (EIP-2612) or authorization (EIP-3009), or the escrow's balance."""

CARRIED: Final = (
    "a desk only sends what is signed; pay a token that has EIP-3009 by authorization, or sessions "
    "from the balance in the escrow; or open it at a node yourself, and tell the desk of it"
)


class OfTerms(Protocol):
    """What carries terms: a quote, an open session."""

    @property
    def terms(self) -> Terms: ...


Agreed = Terms | OfTerms
"""Terms, or what carries them."""


def terms_of(agreed: Agreed) -> Terms:
    """The terms themselves."""
    return agreed if isinstance(agreed, Terms) else agreed.terms


class WalletTooSmall(InputError):
    """A wallet that holds less than it is to pay."""

    def __init__(self, account: Address, needed: Amount, held: Amount) -> None:
        self.account, self.needed, self.held = account, needed, held
        super().__init__(
            f"the wallet 0x{account.hex()} holds {held} and {needed} are needed; nothing was sent: "
            "name a smaller amount, fill the wallet, or pay from the balance in the escrow"
        )


class PaymentNotPossible(InputError):
    """A way to pay that this money does not have."""

    def __init__(self, payment: str, token: str, reason: str) -> None:
        self.payment, self.token, self.reason = payment, token, reason
        super().__init__(f"{token} cannot be paid by {payment}: {reason}")


def meant(action: str, *values: bytes | int) -> Hash:
    """What is to be done, in 32 bytes: the same whenever it is tried again, even if a salt, a
    deadline or a signature is new.
    """
    return Hash(keccak(rlp.encode([action.encode(), *values])))


class AsyncAccount:
    """An account on a chain. `signer`: a Key, or a wallet that keeps its key to itself."""

    def __init__(
        self,
        contracts: AsyncContracts,
        signer: Signer,
        *,
        fees: Fees = Fees(),
    ) -> None:
        self.contracts, self.signer = contracts, signer
        self.address: Address = signer.address
        self._fees = fees
        # An approval is of exactly one amount, so one payment at a time. Where nothing suspends
        # (see `wire`) the lock is always free.
        self._paying = asyncio.Lock()

    @cached_property
    def sender(self) -> AsyncSender:
        """Sends this account's transactions. Raises OutboxUnusable; NotSentHere at a desk."""
        return self.contracts.sender(self.signer, fees=self._fees)

    # ------------------------------------------------------------------ money

    async def balance(self, token: Address | None = None) -> Amount:
        """What the escrow owes this account (`token` None: the test token; zero: the coin)."""
        return await self.contracts.balance(self._token(token), self.address)

    async def wallet(self, token: Address | None = None) -> Amount:
        """What this account holds itself."""
        return await self.contracts.wallet(self._token(token), self.address)

    async def deposit(
        self,
        amount: Money,
        token: Address | None = None,
        *,
        pay: Payment | None = None,
        idempotency_key: str | None = None,
    ) -> TxReceipt:
        """Fills this account's balance in the escrow, to open sessions from.

        `pay` None: from the wallet; by authorization at a desk.

        Raises AmountNotReceived, PaymentNotPossible, and what the token refuses.
        """
        given = await self._amount(amount, token)
        pay = self._way(pay, given.token)
        if pay == "balance":
            raise PaymentNotPossible(pay, str(given.token), "a balance is filled from a wallet")
        content = meant("deposit", given.token.address, given.base_units)
        if (done := await self._followed(idempotency_key, content)) is not None:
            return done
        if pay == "authorization":
            signing = partial(self.sign_deposit, given, given.token.address)
            return await self._hand_over(signing, idempotency_key, content)
        data = calls.deposit(given.token.address, self.address, given.base_units)
        async with self._paying:
            value = await self._pay(given, self.contracts.escrow.contract, pay)
            return await self._send(None, data, value, idempotency_key, content)

    async def sign_deposit(
        self, amount: Money, token: Address | None = None, *, valid_for: int = HOUR
    ) -> Relayable:
        """As `deposit`, by EIP-3009, for anybody to send within `valid_for` seconds."""
        given = await self._amount(amount, token)
        salt = Hash(secrets.token_bytes(32))
        nonce = deposit_nonce(given.token.address, self.address, salt)
        escrow = self.contracts.escrow.contract
        before, signature = await self._authorize(given, escrow, nonce, valid_for)
        values = (given.token.address, self.address, given.base_units, salt, 0, before, signature)
        return self._relayable("deposit", calls.deposit_with_authorization(*values))

    async def withdraw(
        self,
        token: Address | None = None,
        amount: Money | None = None,
        to: Address | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Amount:
        """Pays out `amount` (None: everything) to `to` (None: the own wallet); what was paid.

        Raises BalanceTooSmall, ZeroAmount, InvalidRecipient, PaymentFailed.
        """
        where, target = self._token(token), to or self.address
        wanted = None if amount is None else await self._amount(amount, where)
        how_much = b"all" if wanted is None else wanted.base_units
        content = meant("withdraw", where, target, how_much)
        receipt = await self._followed(idempotency_key, content)
        if receipt is None:
            paid = await self._owed(where, wanted)
            data = calls.withdraw(where, paid.base_units, target)
            signing = partial(self.sign_withdrawal, where, paid, target)
            receipt = await self._act(data, signing, idempotency_key, content)
        gone = self._event(receipt, Withdrawn)
        return (await self.contracts.token(where)).amount(gone.amount)

    async def sign_withdrawal(
        self,
        token: Address | None = None,
        amount: Money | None = None,
        to: Address | None = None,
        *,
        valid_for: int = HOUR,
    ) -> Relayable:
        """As `withdraw`, for anybody to send within `valid_for` seconds."""
        where, escrow = self._token(token), self.contracts.escrow
        paid = await self._owed(where, amount)
        nonce = await self.contracts.node.read(calls.nonce_of(escrow.contract, self.address))
        deadline = UnixTime(await self.contracts.now() + valid_for)
        target = to or self.address
        message = Withdrawal(self.address, where, paid.base_units, target, nonce, deadline)
        signature = await self._sign(message)
        values = (self.address, where, paid.base_units, target, nonce, deadline, signature)
        return self._relayable("withdraw", calls.withdraw_for(*values))

    # ------------------------------------------------------------------ for anybody

    async def relay(self, signed: Relayable, *, idempotency_key: str | None = None) -> TxReceipt:
        """Sends what somebody signed, and pays the gas.

        Raises what the contract refuses, before anything is sent; NotRelayable for a contract that
        is not of this deployment, and for what would act for this account, without its signature.
        """
        known = (self.contracts.escrow.contract, self.contracts.tip_jar)
        if signed.to not in known:
            raise NotRelayable(
                signed.action,
                f"it is for 0x{signed.to.hex()}, and the contracts here are "
                f"{', '.join('0x' + each.hex() for each in known)}; send it on its own chain",
            )
        if self.contracts.carrier is None:
            signed.must_not_act_for(self.address)

        async def as_it_is() -> Relayable:
            return signed

        content = content_of(signed.to, signed.data, 0)
        return await self._hand_over(as_it_is, idempotency_key, content)

    async def finalize(self, session: Agreed, *, idempotency_key: str | None = None) -> TxReceipt:
        """Ends a session whose grace is over. Raises GraceRunning, NotClosing, SessionNotOpen."""
        data = calls.finalize(terms_of(session))
        return await self._act(data, self._unsigned("finalize", data), idempotency_key)

    # ------------------------------------------------------------------ within

    def _token(self, token: Address | None) -> Address:
        return self.contracts.default_token() if token is None else token

    async def _amount(self, given: Money, token: Address | None) -> Amount:
        if isinstance(given, Amount) and token is None:
            return given
        return (await self.contracts.token(token)).amount(given)

    async def _owed(self, token: Address, amount: Money | None) -> Amount:
        if amount is None:
            return await self.contracts.balance(token, self.address)
        return await self._amount(amount, token)

    async def _act(
        self,
        data: bytes,
        signing: Signing,
        idempotency_key: str | None,
        content: bytes | None = None,
    ) -> TxReceipt:
        """Does it by this account's own call of the escrow, or where a carrier sends, by what
        `signing` gives.
        """
        if self.contracts.carrier is None:
            return await self._send(None, data, 0, idempotency_key, content)
        if content is None:  # of the call, which is the same on every attempt
            content = content_of(self.contracts.escrow.contract, data, 0)
        return await self._hand_over(signing, idempotency_key, content)

    async def _hand_over(
        self, signing: Signing, idempotency_key: str | None, content: bytes
    ) -> TxReceipt:
        """Does it by what is signed, whoever sends it."""
        if (carrier := self.contracts.carrier) is not None:
            return await carrier.carry(self.signer, signing, idempotency_key, content)
        signed = await signing()
        return await self._send(signed.to, signed.data, 0, idempotency_key, content)

    async def _send(
        self,
        to: Address | None,
        data: bytes,
        value: int,
        idempotency_key: str | None,
        content: bytes | None,
    ) -> TxReceipt:
        """Sends a transaction of this account; `to` None: to the escrow."""
        return await self.sender.transact(
            to or self.contracts.escrow.contract,
            data,
            value,
            idempotency_key=idempotency_key,
            content=content,
        )

    async def _followed(self, idempotency_key: str | None, content: Hash) -> TxReceipt | None:
        """What was begun under this key is brought to its end; None if nothing was."""
        if idempotency_key is None:
            return None
        if (carrier := self.contracts.carrier) is not None:
            return await carrier.carried(self.signer, idempotency_key, content)
        return await self.sender.followed(idempotency_key, content)

    def _way(self, pay: Payment | None, token: Token) -> Payment:
        """How it is paid if nobody said. Raises PaymentNotPossible for what no carrier can do."""
        if self.contracts.carrier is None:
            return pay or "wallet"
        if pay in ("wallet", "permit") or (pay is None and token.is_coin):
            raise PaymentNotPossible(pay or "authorization", str(token), CARRIED)
        return pay or "authorization"

    def _event(self, receipt: TxReceipt, kind: type[E]) -> E:
        """The escrow's one event of this kind. Raises NodeError if the node left it out."""
        for event in read_events(receipt, self.contracts.escrow.contract):
            if isinstance(event, kind):
                return event
        said = f"0x{receipt.tx_hash.hex()} counted, and its receipt lacks the event {kind.__name__}"
        raise NodeError("eth_getTransactionReceipt", 0, said)

    async def _aside(self, work: Callable[[], T]) -> T:
        return await self.contracts.node.wire.aside(work)

    async def _sign(self, message: Message, domain: Domain | None = None) -> bytes:
        where = domain or self.contracts.escrow
        return await self._aside(lambda: sign_message(self.signer, message, where))

    def _unsigned(self, action: str, data: bytes) -> Signing:
        """For what anybody may do: nobody has to sign it."""

        async def as_it_is() -> Relayable:
            return self._relayable(action, data)

        return as_it_is

    def _relayable(self, action: str, data: bytes, to: Address | None = None) -> Relayable:
        return Relayable(action, to or self.contracts.escrow.contract, data)

    async def _pay(self, amount: Amount, spender: Address, pay: Payment) -> int:
        """Readies wallet money for `spender`; the coin to send along (wei)."""
        token = amount.token
        held = await self.contracts.wallet(token.address, self.address)
        if held < amount:
            raise WalletTooSmall(self.address, amount, held)
        if token.is_coin:
            if pay != "wallet":
                raise PaymentNotPossible(pay, str(token), "coin is only sent along; pay by wallet")
            return amount.base_units
        allowed = await self._allowance(token, spender)
        if allowed >= amount.base_units:
            return 0
        if pay == "permit":
            data = await self._permit(token, spender, amount.base_units)
            try:
                await self.sender.transact(token.address, data)
            except (ContractError, TransactionFailed):
                # Whoever saw the permit may have sent it first: then it did what it should.
                if await self._allowance(token, spender) < amount.base_units:
                    raise
            return 0
        data = calls.approve(spender, amount.base_units)
        try:
            await self.sender.transact(token.address, data)
        except ContractError:
            if not allowed:
                raise
            # Some tokens (USDT) change an approval only from zero.
            await self.sender.transact(token.address, calls.approve(spender, 0))
            await self.sender.transact(token.address, data)
        return 0

    async def _allowance(self, token: Token, spender: Address) -> BaseUnits:
        query = calls.token_allowance(token.address, self.address, spender)
        return await self.contracts.node.read(query)

    async def _permit(self, token: Token, spender: Address, amount: BaseUnits) -> bytes:
        domain = await self.contracts.token_domain(token.address)
        nonce = await self.contracts.node.read(calls.token_nonce(token.address, self.address))
        deadline = UnixTime(await self.contracts.now() + HOUR)
        message = Permit(self.address, spender, amount, nonce, deadline)
        signature = Signature.from_bytes(await self._sign(message, domain))
        return calls.permit(self.address, spender, amount, deadline, signature)

    async def _authorize(
        self, amount: Amount, to: Address, nonce: Hash, valid_for: int
    ) -> tuple[UnixTime, bytes]:
        """An EIP-3009 authorization: until when it counts, and its signature."""
        if amount.token.is_coin:
            raise PaymentNotPossible(
                "authorization", str(amount.token), "only tokens have EIP-3009; pay by wallet"
            )
        domain = await self.contracts.token_domain(amount.token.address)
        before = UnixTime(await self.contracts.now() + valid_for)
        value = amount.base_units
        message = ReceiveWithAuthorization(self.address, to, value, UnixTime(0), before, nonce)
        return before, await self._sign(message, domain)


class Account:
    """As AsyncAccount, for programs without an event loop."""

    core: AsyncAccount

    def __init__(
        self,
        contracts: Contracts,
        signer: Signer,
        *,
        fees: Fees = Fees(),
    ) -> None:
        self.core = AsyncAccount(contracts.core, signer, fees=fees)

    @property
    def address(self) -> Address:
        """The account's own address."""
        return self.core.address

    balance = blocking(AsyncAccount.balance)
    wallet = blocking(AsyncAccount.wallet)
    deposit = blocking(AsyncAccount.deposit)
    sign_deposit = blocking(AsyncAccount.sign_deposit)
    withdraw = blocking(AsyncAccount.withdraw)
    sign_withdrawal = blocking(AsyncAccount.sign_withdrawal)
    relay = blocking(AsyncAccount.relay)
    finalize = blocking(AsyncAccount.finalize)
