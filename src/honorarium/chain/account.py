"""Somebody on a chain: what client and advisor have in common.

An account does everything in one of two ways: it sends the transaction itself, or it signs and lets
anybody send it (`sign_...` gives a `Relayable`, `relay` sends one). Money comes in as `Money` and
goes out as `Amount`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self, TypeVar

from honorarium.chain import calls
from honorarium.chain.contracts import AsyncContracts, Contracts
from honorarium.chain.node import from_hex, to_hex
from honorarium.chain.send import AsyncSender, Fees, TxReceipt
from honorarium.chain.wire import blocking
from honorarium.errors import InputError
from honorarium.ids import Address, Hash
from honorarium.money import Amount, Money, Token
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

Payment = Literal["wallet", "permit", "authorization", "balance"]
"""Where money comes from: the wallet (coin as value, tokens by an approval of exactly the amount),
the wallet by a signed permit (EIP-2612) or authorization (EIP-3009), or the escrow's balance."""


class OfTerms(Protocol):
    """What carries terms: a quote, an open session."""

    @property
    def terms(self) -> Terms: ...


Agreed = Terms | OfTerms
"""Terms, or what carries them."""


def terms_of(agreed: Agreed) -> Terms:
    """The terms themselves."""
    return agreed if isinstance(agreed, Terms) else agreed.terms


class PaymentNotPossible(InputError):
    """A way to pay that this money does not have."""

    def __init__(self, payment: str, token: str, reason: str) -> None:
        self.payment, self.token, self.reason = payment, token, reason
        super().__init__(f"{token} cannot be paid by {payment}: {reason}")


@dataclass(frozen=True, slots=True)
class Relayable:
    """What somebody signed, ready for anybody to send: `data` to the contract `to`.

    `action` says what it does: `open`, `leave`, ... Whoever sends it pays gas, and nothing else.
    """

    action: str
    to: Address
    data: bytes

    def to_json(self) -> str:
        """As text, for a file or a message."""
        fields = {"action": self.action, "to": to_hex(self.to), "data": to_hex(self.data)}
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads `to_json`. Raises InputError if it is none."""
        try:
            found = json.loads(text)
            to, data = from_hex(found["to"]), from_hex(found["data"])
            if len(to) != 20 or len(data) < 4:
                raise ValueError("an address has 20 bytes, and a call 4 or more")
            return cls(str(found["action"]), Address(to), data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"this is no signed action: {error}; give the text that `sign_...` made"
            ) from None


class AsyncAccount:
    """An account on a chain. `signer`: a Key, or a wallet that keeps its key to itself."""

    def __init__(
        self,
        contracts: AsyncContracts,
        signer: Signer,
        *,
        fees: Fees = Fees(),  # noqa: B008 - it is frozen
    ) -> None:
        self.contracts, self.signer = contracts, signer
        self.address: Address = signer.address
        self.sender: AsyncSender = contracts.sender(signer, fees=fees)

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
        pay: Payment = "wallet",
        idempotency_key: str | None = None,
    ) -> TxReceipt:
        """Fills this account's balance in the escrow, to open sessions from.

        Raises AmountNotReceived, PaymentNotPossible, and what the token refuses.
        """
        given = await self._amount(amount, token)
        if pay == "authorization":
            return await self.relay(
                await self.sign_deposit(given, given.token.address), idempotency_key=idempotency_key
            )
        value = await self._pay(given, self.contracts.escrow.contract, pay, idempotency_key)
        data = calls.deposit(given.token.address, self.address, given.base_units)
        return await self._act(data, value, idempotency_key)

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
        where = self._token(token)
        paid = await self._owed(where, amount)
        data = calls.withdraw(where, paid.base_units, to or self.address)
        await self._act(data, 0, idempotency_key)
        return paid

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

        Raises what the contract refuses, before anything is sent; InputError for a contract that is
        not of this deployment.
        """
        known = (self.contracts.escrow.contract, self.contracts.tip_jar)
        if signed.to not in known:
            raise InputError(
                f"the action {signed.action!r} is for 0x{signed.to.hex()}, and the contracts here "
                f"are {', '.join('0x' + each.hex() for each in known)}; send it on its own chain"
            )
        return await self.sender.transact(signed.to, signed.data, idempotency_key=idempotency_key)

    async def finalize(self, session: Agreed, *, idempotency_key: str | None = None) -> TxReceipt:
        """Ends a session whose grace is over. Raises GraceRunning, NotClosing, SessionNotOpen."""
        return await self._act(calls.finalize(terms_of(session)), 0, idempotency_key)

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

    async def _act(self, data: bytes, value: int, idempotency_key: str | None) -> TxReceipt:
        escrow = self.contracts.escrow.contract
        return await self.sender.transact(escrow, data, value, idempotency_key=idempotency_key)

    async def _aside(self, work: Callable[[], T]) -> T:
        return await self.contracts.node.wire.aside(work)

    async def _sign(self, message: Message, domain: Domain | None = None) -> bytes:
        where = domain or self.contracts.escrow
        return await self._aside(lambda: sign_message(self.signer, message, where))

    def _relayable(self, action: str, data: bytes, to: Address | None = None) -> Relayable:
        return Relayable(action, to or self.contracts.escrow.contract, data)

    async def _pay(
        self, amount: Amount, spender: Address, pay: Payment, idempotency_key: str | None
    ) -> int:
        """Readies wallet money for `spender`; the coin to send along (wei)."""
        token = amount.token
        if token.is_coin:
            if pay != "wallet":
                raise PaymentNotPossible(pay, str(token), "coin is only sent along; pay by wallet")
            return amount.base_units
        allowed = await self.contracts.node.read(
            calls.token_allowance(token.address, self.address, spender)
        )
        if allowed < amount.base_units:
            if pay == "permit":
                data = await self._permit(token, spender, amount.base_units)
            else:
                data = calls.approve(spender, amount.base_units)
            key = None if idempotency_key is None else f"{idempotency_key}:approve"
            await self.sender.transact(token.address, data, idempotency_key=key)
        return 0

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
        fees: Fees = Fees(),  # noqa: B008 - it is frozen
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
