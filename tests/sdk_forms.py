"""One scenario, two forms: the SDK's classes for asyncio, and those that block.

A scenario is a coroutine that passes whatever a method gives through `done`. `Calls` notes which
public methods the scenarios called.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from conftest import Place
from honorarium.advisor import Advisor, AsyncAdvisor
from honorarium.chain import (
    Account,
    AsyncAccount,
    AsyncContracts,
    AsyncNode,
    AsyncSender,
    Contracts,
    Node,
    Sender,
    attach,
    attach_async,
    calls,
    collect,
    collect_async,
    find,
    find_async,
    reason_of,
    reason_of_async,
)
from honorarium.client import AsyncClient, Client
from honorarium.protocol import Key, Quote, Tariff
from honorarium.units import UnixTime

PRICE = 1_500_000
MONEY = 10**10
COIN = 10**20

PAIRS: dict[type, type] = {
    AsyncNode: Node,
    AsyncSender: Sender,
    AsyncContracts: Contracts,
    AsyncAccount: Account,
    AsyncClient: Client,
    AsyncAdvisor: Advisor,
}
PROPERTIES = {"Node": {"chain_id", "genesis_hash", "client"}}
"""What blocks without being called."""


@dataclass(frozen=True)
class Form:
    """The classes and functions of one form."""

    name: str
    node: Any
    sender: Any
    contracts: Any
    client: Any
    advisor: Any
    find: Any
    attach: Any
    collect: Any
    reason_of: Any

    def bare(self, node: Any) -> Any:
        """A node as the module's functions take it."""
        return node


BLOCKING = Form(
    "blocking", Node, Sender, Contracts, Client, Advisor, find, attach, collect, reason_of
)
ASYNC = Form(
    "async",
    AsyncNode,
    AsyncSender,
    AsyncContracts,
    AsyncClient,
    AsyncAdvisor,
    find_async,
    attach_async,
    collect_async,
    reason_of_async,
)


async def done(given: Any) -> Any:
    """What a method gives, waited for if need be."""
    return await given if inspect.isawaitable(given) else given


async def asked(node: Any, name: str) -> Any:
    """What a node says of itself."""
    found = getattr(node, name)
    return await done(found() if callable(found) else found)


async def listed(items: Any) -> list[Any]:
    if hasattr(items, "__aiter__"):
        return [item async for item in items]
    return list(items)


# ---------------------------------------------------------------------- which methods were called


def methods(cls: type) -> set[str]:
    """The public methods of a class, inherited ones too."""
    found = {n for n in dir(cls) if not n.startswith("_") and callable(getattr(cls, n))}
    return found | PROPERTIES.get(cls.__name__, set())


@dataclass
class Calls:
    """(class, method) of what was called from `files`."""

    files: frozenset[str]
    pairs: dict[type, type] = field(default_factory=lambda: PAIRS)
    seen: set[tuple[str, str]] = field(default_factory=set)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """While it runs, calls are noted."""
        before: list[tuple[type, str, Any]] = []
        for cls in (*self.pairs, *self.pairs.values()):
            own = methods(cls) & set(vars(cls))
            for name in own:
                before.append((cls, name, vars(cls)[name]))
                setattr(cls, name, self._watched(cls, name, vars(cls)[name]))
        try:
            yield
        finally:
            for cls, name, old in before:
                setattr(cls, name, old)

    def _watched(self, cls: type, name: str, old: Any) -> Any:
        def noting(inner: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(inner)
            def call(*args: Any, **kwargs: Any) -> Any:
                if Path(sys._getframe(1).f_code.co_filename).name in self.files:
                    self.seen.add((cls.__name__, name))
                return inner(*args, **kwargs)

            return call

        if isinstance(old, classmethod):
            return classmethod(noting(old.__func__))
        if isinstance(old, property):
            assert old.fget is not None
            return property(noting(old.fget))
        return noting(old)

    def missing(self, cls: type) -> set[str]:
        """The methods of this class itself that nobody called."""
        own = methods(cls) & set(vars(cls))
        return {name for name in own if (cls.__name__, name) not in self.seen}


# ---------------------------------------------------------------------- who plays


@dataclass
class World:
    """Four people of the scenario's own, on a chain with the contracts."""

    form: Form
    place: Place
    node: Any
    contracts: Any
    keys: dict[str, Key]
    client: Any
    sponsor: Any
    advisor: Any
    stranger: Any
    folder: Path

    @property
    def token(self) -> Any:
        return self.contracts.default_token()

    async def now(self) -> UnixTime:
        found: UnixTime = await done(self.contracts.now())
        return found

    async def wait(self, seconds: int) -> UnixTime:
        later = UnixTime(await self.now() + seconds)
        await done(self.node.set_time(later))
        await done(self.node.request("evm_mine"))
        return later

    async def quote(self, **terms: Any) -> Quote:
        tariff = terms.pop("tariff", Tariff.per_minute(PRICE, max_units=10))
        key = self.client.meter_key.address
        found: Quote = await done(
            self.advisor.quote(self.client.address, key, tariff, close_grace=600, **terms)
        )
        return found

    async def answered(self, **terms: Any) -> Any:
        """A session that is open, and whose meter runs."""
        session = await done(self.client.open(await self.quote(**terms)))
        session.meter.answer(session.opened_at)
        return session

    async def held(self, agreed: Any) -> calls.Session:
        escrow = self.contracts.escrow
        terms = getattr(agreed, "terms", agreed)
        found: calls.Session = await done(self.contracts.session(terms.session_id(escrow)))
        return found


Scenario = Callable[[World], Any]


def play(form: Form, place: Place, folder: Path, scenario: Scenario) -> None:
    """Plays a scenario in one form, among people who are new to the chain."""
    keys = {name: Key.generate() for name in ("client", "advisor", "sponsor", "stranger")}
    with Node(place.chain.url) as node:
        bank, token = Sender(node, place.key("payer")), place.manifest.address("TestUSD")
        sent = [bank.send(key.address, b"", COIN, 21_000) for key in keys.values()]
        people = [key.address for key in keys.values()]
        bank.transact(token, calls.mint_batch(people, [MONEY] * len(people)))
        assert all(bank.receipt(each).ok for each in sent)

    async def on_stage() -> None:
        node = form.node(place.chain.url)
        contracts = await done(form.contracts.attach(node, place.manifest, folder))
        try:
            await scenario(
                World(
                    form,
                    place,
                    node,
                    contracts,
                    keys,
                    form.client(contracts, keys["client"]),
                    form.client(contracts, keys["sponsor"]),
                    form.advisor(contracts, keys["advisor"]),
                    form.advisor(contracts, keys["stranger"]),
                    folder,
                )
            )
        finally:
            await done(contracts.close())

    asyncio.run(on_stage())
