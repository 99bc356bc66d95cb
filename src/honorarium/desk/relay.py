"""Sends what clients and advisors have signed, and pays the gas, without being drained.

Nothing is sent that could act for the relayer, that is not about a session of an advisor who
enrolled here (or of an account that has such sessions), in a token that the desk would settle, that
the contract would refuse just now, that somebody has asked for too often, that pays in less than
the gas is worth, or that is not within the day's budget of gas.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from sqlalchemy import Connection

from honorarium.chain import AsyncContracts, AsyncSender, NotRelayable, Relayable, TxReceipt, calls
from honorarium.chain.abi import decode_call
from honorarium.chain.gas import estimate
from honorarium.chain.node import from_hex, to_hex
from honorarium.chain.signing import content_of
from honorarium.desk.aside import Aside
from honorarium.desk.enrol import AdvisorNotKnown
from honorarium.desk.figures import Figures
from honorarium.desk.limits import Limits
from honorarium.desk.policy import Policy
from honorarium.desk.settings import Settings
from honorarium.errors import (
    ChainError,
    FateUnknown,
    HonorariumError,
    InputError,
    NodeUnreachable,
    TransactionFailed,
)
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.ledger import advisors, listing, sessions, spending
from honorarium.money import COIN
from honorarium.protocol.terms import Terms
from honorarium.units import BlockNumber

GWEI: Final = 10**9
DAY: Final = 86_400
EVERYBODY: Final = ZERO_ADDRESS
"""The account under which the whole day's gas is counted."""

BALANCE_KEPT: Final = 5.0
"""So many seconds the relayer's balance is believed."""


class AccountNotKnown(InputError):
    """An account that has no session at this desk."""

    def __init__(self, account: bytes) -> None:
        self.account = account
        super().__init__(
            f"0x{account.hex()} has no quote and no session at this desk, so it pays no gas for "
            "it; ask for a quote first, or send the transaction yourself"
        )


class NotWorthTheGas(InputError):
    """A deposit that is worth less than the gas. Amounts in base units of the token."""

    def __init__(self, needed: int, given: int) -> None:
        self.needed, self.given = needed, given
        super().__init__(
            f"it pays in {given} base units, and for less than {needed} this desk does not pay the "
            "gas; pay in more, or send the transaction yourself and tell of it"
        )


class RelayTooDear(InputError):
    """A signed action that would use more gas than the desk pays for one."""

    def __init__(self, gas: int, most: int) -> None:
        self.gas, self.most = gas, most
        super().__init__(
            f"it would use {gas} gas, and this desk pays for {most} at most; send it yourself"
        )


class GasBudgetSpent(InputError):
    """A day's gas is used up. Amounts in gwei; `wait`: seconds until the next day begins."""

    def __init__(self, account: bytes, budget: int, needed: int, wait: int) -> None:
        self.account, self.budget, self.needed, self.wait = account, budget, needed, wait
        whose = f"for 0x{account.hex()}" if any(account) else "altogether"
        super().__init__(
            f"the desk pays {budget} gwei of gas a day {whose}, and {needed} more are not left; "
            f"try again in {wait} seconds, or send the transaction yourself"
        )


class RelayerEmpty(ChainError):
    """The desk's relayer cannot pay the gas. Amounts in wei."""

    def __init__(self, relayer: bytes, balance: int, needed: int) -> None:
        self.relayer, self.balance, self.needed = relayer, balance, needed
        super().__init__(
            f"the relayer 0x{relayer.hex()} holds {balance} wei, and {needed} are needed; nothing "
            "was sent: the desk's operator has to fill it, or send the transaction yourself"
        )


@dataclass(frozen=True, slots=True)
class About:
    """What a signed action is about: a session's terms, or an account alone."""

    function: str
    terms: Terms | None = None
    session_id: SessionId | None = None
    account: Address | None = None
    advisor: Address | None = None
    token: Address | None = None
    deposit: int | None = None
    """What it pays in, base units; None: it is no payment into the escrow."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of it. `receipt` as the node writes it."""

    tx_hash: Hash
    block: BlockNumber
    gas_used: int
    receipt: Mapping[str, Any]

    def json(self) -> dict[str, Any]:
        """As it is answered."""
        return {
            "transaction": to_hex(self.tx_hash),
            "block": self.block,
            "gasUsed": self.gas_used,
            "receipt": self.receipt,
        }


ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("openWithAuthorization", "openFromBalance"),
    "revoke": ("revoke",),
    "top-up": ("topUpWithAuthorization", "topUpFromBalance"),
    "close": ("closeFor",),
    "leave": ("requestClose",),
    "rate": ("rate",),
    "answer": ("answer",),
    "tip": ("tipWithAuthorization",),
    "deposit": ("depositWithAuthorization",),
    "withdraw": ("withdrawFor",),
}
"""The contracts' functions by which each action is done."""


class Relay:
    """The relayer's door. For one event loop."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        aside: Aside,
        contracts: AsyncContracts,
        sender: AsyncSender,
        limits: Limits,
        figures: Figures,
    ) -> None:
        self._settings, self._policy, self._aside = settings, policy, aside
        self._contracts, self._sender = contracts, sender
        self._limits, self._figures = limits, figures
        self._balance, self._until = 0, 0.0

    async def send(
        self, action: str, given: Relayable, who: str, session_id: SessionId | None = None
    ) -> Sent:
        """Sends a signed action, and waits for its receipt. The same one again is not sent again.

        `who`: the network address that asks. Raises NotRelayable if it does something else than
        the action, or is about another session; AdvisorNotKnown, AccountNotKnown, TokenNotSettled,
        TooManyRequests, RelayTooDear, NotWorthTheGas, GasBudgetSpent, RelayerEmpty; what the
        contract refuses; and what sending raises.
        """
        about = self.about(action, given)
        if session_id is not None and about.session_id != session_id:
            raise NotRelayable(
                given.action,
                f"it is about the session 0x{(about.session_id or b'').hex()}, and the path names "
                f"0x{session_id.hex()}",
            )
        return await self._send(action, given.to, given.data, about, who)

    async def finalize(self, terms: Terms, who: str) -> Sent:
        """Ends a session whose grace is over; nobody needs to sign that. Raises as `send`."""
        escrow = self._contracts.escrow
        about = About("finalize", terms, terms.session_id(escrow))
        return await self._send("finalize", escrow.contract, calls.finalize(terms), about, who)

    def about(self, action: str, given: Relayable) -> About:
        """What a signed action is about. Raises NotRelayable."""
        contracts = self._contracts
        jar = action == "tip"
        wanted = contracts.tip_jar if jar else contracts.escrow.contract
        if given.to != wanted:
            raise NotRelayable(
                given.action, f"it is for 0x{given.to.hex()}, and here that is 0x{wanted.hex()}"
            )
        given.must_not_act_for(self._sender.address)
        function, values = decode_call(given.data)
        if function not in ACTIONS[action]:
            raise NotRelayable(
                given.action,
                f"it calls {function}, and to {action} is {' or '.join(ACTIONS[action])}",
            )
        return _ABOUT[function](function, values, contracts.escrow)

    # ------------------------------------------------------------------ within

    async def _send(self, action: str, to: Address, data: bytes, about: About, who: str) -> Sent:
        content = content_of(to, data, 0)
        key = f"relay:{content.hex()}"
        try:
            receipt = await self._sender.followed(key, content)
            if receipt is None:
                receipt = await self._afresh(key, content, to, data, about, who)
        except HonorariumError as error:
            self._figures.relayed.labels(action, type(error).slug).inc()
            raise
        self._figures.relayed.labels(action, "sent").inc()
        return await self._sent(receipt)

    async def _afresh(
        self, key: str, content: Hash, to: Address, data: bytes, about: About, who: str
    ) -> TxReceipt:
        charged, paid_in = await self._aside.read(
            lambda c: (self._charged(c, about), _paid_in(c, about))
        )
        if about.token is not None:
            self._policy.must_settle(about.token)
        self._limits.count("relays", who)
        node = self._contracts.node
        gas = await estimate(node, self._sender.address, to, data, 0)
        # Only now is it known to be signed: nobody uses up what is another's.
        for account in charged:
            self._limits.count("relays of one account", account.hex())
        if gas > self._settings.gas_per_relay:
            raise RelayTooDear(gas, self._settings.gas_per_relay)
        gas_price = await self._gas_price()
        cost = gas * gas_price
        if about.token is not None and paid_in is not None:
            self._must_be_worth(about.token, paid_in, gas, gas_price)
        await self._must_be_funded(cost)
        day = int(time.time()) // DAY
        reserved = -(-cost // GWEI)
        await self._aside.write(lambda c: self._reserve(c, charged[0], day, reserved))
        spent = 0
        try:
            receipt = await self._sender.transact(
                to, data, gas=gas, idempotency_key=key, content=content
            )
            spent = -(-receipt.gas_used * receipt.gas_price // GWEI)
        except (FateUnknown, TransactionFailed):
            spent = reserved  # it may have cost that much
            raise
        finally:
            self._figures.relay_gwei.inc(spent)
            left = reserved - spent
            with suppress(HonorariumError):
                await self._aside.write(lambda c: _give_back(c, charged[0], day, left))
        return receipt

    def _charged(self, connection: Connection, about: About) -> list[Address]:
        """Whose budget pays, first of all; then who else is counted."""
        if about.terms is not None:
            if advisors.find(connection, about.terms.advisor) is None:
                raise AdvisorNotKnown(about.terms.advisor)
            return [about.terms.advisor, about.terms.client]
        assert about.account is not None
        if about.session_id is not None:
            row = sessions.get(connection, about.session_id)
            advisor = Address(row["advisor"])
            if about.advisor != advisor:
                raise NotRelayable("tip", f"the session's advisor is 0x{advisor.hex()}")
            if about.token != row["token"]:  # which the advisor has agreed to, whatever gas it uses
                raise NotRelayable("tip", f"the session's token is 0x{row['token'].hex()}")
            if about.account not in (row["client"], row["payer"]):
                raise NotRelayable("tip", "whoever tips is neither client nor payer of the session")
            return [advisor, about.account]
        if advisors.find(connection, about.account) is None and not listing.known(
            connection, about.account
        ):
            raise AccountNotKnown(about.account)
        return [about.account]

    def _must_be_worth(self, token: Address, paid_in: int, gas: int, gas_price: int) -> None:
        cost = self._policy.cost(token, gas, gas_price)
        if cost is None:  # nobody knows, so the floor of settling alone decides
            needed = self._policy.least(token, gas_price) or 0
        else:
            needed = math.ceil(Fraction(self._settings.deposit_per_gas) * cost)
        if paid_in < needed:
            raise NotWorthTheGas(needed, paid_in)

    async def _gas_price(self) -> int:
        found = await self._contracts.node.request("eth_gasPrice")
        try:
            return max(int(found, 16), 1)
        except (ValueError, TypeError):
            reason = "eth_gasPrice was not answered as JSON-RPC demands"
            raise NodeUnreachable(self._contracts.node.url, reason) from None

    async def balance(self) -> int:
        """What the relayer holds, in wei, as of a few seconds ago at most."""
        if time.monotonic() > self._until:
            self._balance = await self._contracts.node.balance(self._sender.address)
            self._until = time.monotonic() + BALANCE_KEPT
            self._figures.relayer_balance.set(self._balance / 10**COIN.decimals)
        return self._balance

    @property
    def low(self) -> int:
        """The balance below which nothing is relayed, in wei."""
        return int(self._settings.relayer_low * 10**COIN.decimals)

    async def _must_be_funded(self, cost: int) -> None:
        balance = await self.balance()
        if balance < cost + self.low:
            raise RelayerEmpty(self._sender.address, balance, cost + self.low)

    def _reserve(self, connection: Connection, account: Address, day: int, gwei: int) -> None:
        settings = self._settings
        coin = 10**COIN.decimals // GWEI
        for whose, coins in (
            (account, settings.gas_budget_per_account),
            (EVERYBODY, settings.gas_budget),
        ):
            budget = int(coins * coin)
            if not spending.reserve(connection, whose, day, gwei, budget):
                raise GasBudgetSpent(whose, budget, gwei, DAY - int(time.time()) % DAY)

    async def _sent(self, receipt: TxReceipt) -> Sent:
        asked = [to_hex(receipt.tx_hash)]
        raw = await self._contracts.node.request("eth_getTransactionReceipt", asked)
        return Sent(receipt.tx_hash, receipt.block, receipt.gas_used, raw or {})


def _paid_in(connection: Connection, about: About) -> int | None:
    """What it adds to what the escrow holds: a top-up names the new deposit, not the difference."""
    if about.deposit is None or about.function not in ACTIONS["top-up"]:
        return about.deposit
    assert about.session_id is not None
    known = sessions.find(connection, about.session_id)
    return about.deposit - (0 if known is None else known["deposit"])


def _give_back(connection: Connection, account: Address, day: int, gwei: int) -> None:
    for whose in (account, EVERYBODY):
        spending.give_back(connection, whose, day, gwei)


# ---------------------------------------------------------------------- what calls are about

_Read = Callable[[str, tuple[Any, ...], Any], About]


def _session(at: Callable[[tuple[Any, ...]], Any]) -> _Read:
    def read(function: str, values: tuple[Any, ...], domain: Any) -> About:
        try:
            # As the contract knows them: their hash, whatever fills the unused bits.
            terms = Terms.unpack(list(at(values)))
        except ValueError as error:
            raise NotRelayable(function, f"its terms cannot be read ({error})") from None
        session_id = terms.session_id(domain)
        return About(function, terms, session_id, terms.client, token=terms.token)

    return read


def _paying(at: Callable[[tuple[Any, ...]], tuple[Any, int]]) -> _Read:
    def read(function: str, values: tuple[Any, ...], domain: Any) -> About:
        packed, deposit = at(values)
        found = _session(lambda _: packed)(function, values, domain)
        return replace(found, deposit=deposit)

    return read


def _deposit(function: str, values: tuple[Any, ...], domain: Any) -> About:
    token, account = (Address(from_hex(values[at])) for at in (0, 1))
    return About(function, account=account, token=token, deposit=values[2])


def _withdrawal(function: str, values: tuple[Any, ...], domain: Any) -> About:
    account, token = (Address(from_hex(values[at])) for at in (0, 1))
    return About(function, account=account, token=token)


def _tip(function: str, values: tuple[Any, ...], domain: Any) -> About:
    tipper, advisor, token = (Address(from_hex(values[at])) for at in (0, 1, 3))
    session_id = SessionId(values[2])
    return About(function, session_id=session_id, account=tipper, advisor=advisor, token=token)


_ABOUT: Final[Mapping[str, _Read]] = {
    "openWithAuthorization": _paying(lambda values: (values[0], values[1])),
    "openFromBalance": _paying(lambda values: (values[0][0], values[0][1])),
    "revoke": _session(lambda values: values[0]),
    "topUpWithAuthorization": _paying(lambda values: (values[0], values[1])),
    "topUpFromBalance": _paying(lambda values: (values[0], values[1])),
    "closeFor": _session(lambda values: values[0][0]),
    "requestClose": _session(lambda values: values[0]),
    "rate": _session(lambda values: values[0]),
    "answer": _session(lambda values: values[0]),
    "tipWithAuthorization": _tip,
    "depositWithAuthorization": _deposit,
    "withdrawFor": _withdrawal,
}
