"""Client and advisor through a desk: the same calls, over the real service on a real chain.

Each scenario is written once (sdk_forms) and played in both forms.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from honorarium.advisor import Agent, AsyncAgent, Earned, Offer
from honorarium.chain import (
    Contracts,
    IdempotencyKeyReused,
    LocalChain,
    Node,
    PaymentNotPossible,
    Status,
    calls,
)
from honorarium.client import AsyncClient, AsyncLiveMeter, Client, LiveMeter, OtherAcknowledger
from honorarium.errors import (
    AlreadyClosing,
    DepositNotRaised,
    GraceRunning,
    NothingEarned,
    NotRated,
    SessionNotClosed,
    SessionNotOpen,
    StaleVoucher,
    TooManyUnits,
)
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Hash
from honorarium.protocol import EntryKind, Key, Tariff
from honorarium.remote import AsyncDesk, Desk, DeskRefused, NotSentHere
from honorarium.units import BaseUnits, Seconds, UnixTime
from sdk_forms import Calls, done, methods
from serving import Serving

PRICE = 1_500_000
MONEY = 10**10
COIN = 10**20

PAIRS: dict[type, type] = {AsyncDesk: Desk, AsyncAgent: Agent, AsyncLiveMeter: LiveMeter}
CALLS = Calls(frozenset(("test_remote.py",)), PAIRS)
PLAYED: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Form:
    name: str
    desk: Any
    client: Any
    agent: Any
    live: Any


BLOCKING = Form("blocking", Desk, Client, Agent, LiveMeter)
ASYNC = Form("async", AsyncDesk, AsyncClient, AsyncAgent, AsyncLiveMeter)


@dataclass
class World:
    """A client and an advisor who are new to the chain, at a desk."""

    form: Form
    serving: Serving
    chain: LocalChain
    desk: Any
    client: Any
    agent: Any
    keys: dict[str, Key]
    folder: Path

    @property
    def tariff(self) -> Tariff:
        return Tariff.per_interaction(PRICE, max_units=10)

    @property
    def offer(self) -> Offer:
        return Offer(self.desk.default_token(), self.tariff, close_grace=Seconds(600))

    async def quote(self, tariff: Tariff | None = None, **terms: Any) -> Any:
        key = self.client.meter_key.address
        asked = (self.client.address, key, tariff or self.tariff)
        return await done(self.agent.quote(*asked, close_grace=600, **terms))

    async def opened(self, tariff: Tariff | None = None, **terms: Any) -> Any:
        return await done(self.client.open(await self.quote(tariff, **terms)))

    async def wait(self, seconds: int) -> UnixTime:
        later = UnixTime(await done(self.desk.now()) + seconds)
        with Node(self.chain.url) as node:
            node.set_time(later)
            node.request("evm_mine")
        return later

    def live(self, session: Any) -> Any:
        return self.form.live(self.desk, session)


Scenario = Callable[[World], Awaitable[None]]


def play(form: Form, chain: LocalChain, desk: Serving, folder: Path, scenario: Scenario) -> None:
    keys = {name: Key.generate() for name in ("client", "advisor")}
    with Contracts.connect(chain.url) as contracts:
        bank = contracts.sender(chain.accounts["payer"])
        people = [key.address for key in keys.values()]
        bank.transact(contracts.default_token(), calls.mint_batch(people, [MONEY] * 2))

    async def on_stage() -> None:
        place = await done(form.desk.connect(desk.url, state=folder))
        agent = form.agent(place, keys["advisor"])
        await done(agent.enrol("Ada"))
        client = form.client(place, keys["client"])
        try:
            await scenario(World(form, desk, chain, place, client, agent, keys, folder))
        finally:
            await done(place.close())

    with CALLS.noted():
        asyncio.run(on_stage())
    PLAYED.add((form.name, scenario.__name__))


# ---------------------------------------------------------------------- the life of a session


async def a_session_is_metered_to_its_end(w: World) -> None:
    await done(w.agent.offer("standard", w.offer))
    quote = await w.quote()
    session = await done(w.client.open(quote))
    assert session.meter.acknowledged_by == (await done(w.desk.facts())).acknowledger
    assert await done(w.desk.acknowledger(quote.terms)) == session.meter.acknowledged_by
    line = w.live(session)
    async with line if w.form is ASYNC else _blocking(line):
        await done(w.agent.note(session, EntryKind.ANSWERED))
        await _until(line.tick, lambda tick: _tells(tick, EntryKind.ANSWERED))
        for _ in range(3):
            tick = await done(line.count())
            assert tick.voucher is not None
        await done(w.agent.count(session, 3))
        assert (session.meter.signed_units, session.meter.exposure) == (3, 0)
        assert session.meter.acknowledgement is not None
        await done(line.note(EntryKind.HANDED_OVER))
    told = await done(w.desk.journal(session.id, w.keys["client"]))
    assert told == list(session.meter.journal.entries)
    before = (await done(w.agent.earnings()))[session.terms.token]
    assert int(before.pending) + int(before.settled) == 3 * PRICE
    voucher = await done(w.agent.voucher(session))
    assert voucher is not None
    assert voucher.units == 3
    assert await done(w.desk.voucher(session.terms, w.keys["client"])) == voucher
    earned = await done(w.agent.close(session, voucher))
    assert (earned.units, int(earned.earned)) == (3, 3 * PRICE)
    assert (await done(w.desk.session(session.id))).status is Status.CLOSED
    after = (await done(w.agent.earnings()))[session.terms.token]
    assert (int(after.pending), int(after.settled)) == (0, 3 * PRICE)
    assert int(await done(w.agent.withdraw())) == 3 * PRICE
    assert int(await done(w.agent.wallet())) == MONEY + 3 * PRICE
    with pytest.raises(NotRated):
        await done(w.agent.answer(session, Hash(bytes(32))))
    await done(w.client.rate(session, 5))
    await done(w.agent.answer(session, Hash(b"\1" * 32)))
    assert int(await done(w.client.tip(session, "2"))) == 2_000_000
    assert await done(w.agent.rating()) == calls.Tally(1, 5)


async def time_is_metered_live_and_pauses_are_told_at_once(w: World) -> None:
    session = await w.opened(Tariff.per_second(PRICE, max_units=600))
    line = w.live(session)
    async with line if w.form is ASYNC else _blocking(line):
        await done(line.answer())
        ticks: list[Any] = []
        last = await done(line.run(seconds=1.5, every=0.1, each=ticks.append))
        assert ticks[-1] == last
        assert 1 <= session.meter.signed_units <= 3
        assert session.meter.exposure == 0
        assert line.trouble is None
        await done(line.pause())
        told = await done(w.desk.journal(session.id, w.keys["advisor"]))
        assert told[-1].kind is EntryKind.PAUSED
        stood = session.meter.signed_units
        await done(line.run(seconds=1.2, every=0.1))
        assert session.meter.signed_units == stood
        session.meter.read(int(time.time()))
        await done(line.again())
        assert session.meter.exposure == 0
        await done(line.resume())
        await done(w.agent.note(session, EntryKind.ANSWERED))
        await done(w.agent.note(session, EntryKind.PAUSED))
        await _until(line.tick, lambda tick: tick.entries)
        assert _last(session) is EntryKind.PAUSED
        await done(w.agent.note(session, EntryKind.RESUMED))
        await _until(line.tick, lambda tick: tick.entries)
        assert _last(session) is EntryKind.RESUMED
        ends = await done(w.client.leave(session))
        assert ends >= session.opened_at + 600
        await done(line.run(every=0.1))  # ends by itself, because somebody has left
    assert await done(w.client.leave(session)) == ends  # said already
    with pytest.raises(AlreadyClosing):
        await done(w.client.top_up(session, "999"))
    with pytest.raises(GraceRunning):
        await done(w.client.finalize(session))


async def money_comes_by_signature_and_by_nothing_else(w: World) -> None:
    for pay in ("wallet", "permit"):
        with pytest.raises(PaymentNotPossible, match="desk"):
            await done(w.client.open(await w.quote(), pay=pay))
    with pytest.raises(PaymentNotPossible, match="balance"):
        await done(w.client.open(await w.quote(token=ZERO_ADDRESS)))
    with pytest.raises(NotSentHere):
        w.desk.sender(w.keys["client"])
    with pytest.raises(DeskRefused, match="AccountNotKnown"):  # it pays no stranger's gas
        await done(w.client.deposit("100"))
    await done(w.agent.sign_ahead(await w.quote(salt=1)))
    await done(w.client.deposit("100"))
    assert int(await done(w.client.balance())) == 100_000_000
    quote = await w.quote()
    session = await done(w.client.open(quote, 2 * PRICE, pay="balance"))
    assert (await done(w.client.open(quote, pay="balance"))).id == session.id
    assert int(await done(w.client.balance())) == 100_000_000 - 2 * PRICE
    with pytest.raises(DepositNotRaised) as refused:
        await done(w.client.top_up(session, BaseUnits(PRICE), pay="balance"))
    assert (refused.value.deposit, refused.value.given) == (2 * PRICE, PRICE)
    await done(w.client.top_up(session, BaseUnits(3 * PRICE), pay="balance"))
    await done(w.client.top_up(session, BaseUnits(4 * PRICE)))
    assert session.meter.deposit == 4 * PRICE
    assert (await done(w.desk.session(session.id))).deposit == 4 * PRICE
    await done(w.client.withdraw(amount="50"))
    revoked = await w.quote(salt=7)
    await done(w.agent.revoke(revoked))
    other = await w.quote(salt=8)
    await done(w.client.relay(await done(w.client.sign_revocation(other))))
    await done(w.agent.close(session, None))
    with pytest.raises(NothingEarned):
        await done(w.client.rate(session, 4))


async def a_key_does_a_thing_once_across_a_crash_too(w: World) -> None:
    session = await w.opened()
    first = await done(w.client.tip(session, "1", idempotency_key="thanks"))
    with pytest.raises(IdempotencyKeyReused):
        await done(w.client.tip(session, "2", idempotency_key="thanks"))
    later = await done(w.form.desk.connect(w.serving.url, state=w.folder))
    again = w.form.client(later, w.keys["client"])
    before = int(await done(again.wallet()))
    assert await done(again.tip(session, "1", idempotency_key="thanks")) == first
    assert int(await done(again.wallet())) == before
    assert await done(later.purpose(w.client.address, "tea")) == ("tea/0", False)
    await done(later.close())
    signed = await done(w.client.sign_rating(session, 3))
    with pytest.raises(SessionNotClosed):
        await done(w.client.relay(signed, idempotency_key="stars"))
    await done(w.agent.close(session, None, idempotency_key="end"))
    with pytest.raises(NothingEarned):
        await done(w.client.relay(signed, idempotency_key="stars"))


async def settling_takes_what_a_voucher_proves(w: World) -> None:
    one, two = await w.opened(), await w.opened(salt=2)
    rows = []
    for session in (one, two):
        session.meter.answer(session.opened_at)
        session.meter.count(2)
        voucher = session.meter.read(int(time.time()))
        entries = session.meter.journal.entries
        accepted = await done(w.desk.hand_in(session.terms, voucher, entries, after=0))
        session.meter.acknowledge(accepted)
        rows.append(calls.Settlement(session.terms, voucher))
    earned = await done(w.agent.settle(one, rows[0].voucher))
    assert int(earned.earned) == 2 * PRICE
    both = await done(w.agent.settle_all(rows))
    assert [type(each) for each in both] == [StaleVoucher, Earned]
    signed = await done(w.agent.sign_closing(one, rows[0].voucher))
    own = calls.ClosingRow(two.terms, rows[1].voucher)
    closed = await done(w.agent.close_all([signed, own, own]))
    assert [int(each.earned) for each in closed[:2]] == [2 * PRICE] * 2
    assert isinstance(closed[2], SessionNotOpen)
    session = await w.opened(Tariff.per_second(PRICE, max_units=600), salt=3)
    session.meter.answer(session.opened_at)
    much = session.meter.read(session.opened_at + 500)
    with pytest.raises(TooManyUnits) as refused:
        await done(w.desk.hand_in(session.terms, much, session.meter.journal.entries, after=0))
    assert refused.value.given == 500 > refused.value.allowed


async def advisors_are_found_and_come_and_go(w: World) -> None:
    await done(w.agent.offer("dear", w.offer))
    await done(w.agent.drop_offer("dear"))
    await done(w.agent.offer("standard", w.offer))
    listed = await done(w.desk.advisors())
    mine = next(each for each in listed if each.address == w.agent.address)
    assert (mine.name, mine.away, dict(mine.offers)) == ("Ada", True, {"standard": w.offer})
    await done(w.agent.available(False))
    assert not (await done(w.desk.advisor(w.agent.address))).available
    assert w.agent.address in {e.address for e in await done(w.desk.advisors(available=False))}
    await done(w.agent.available(True))
    with pytest.raises(DeskRefused, match="AdvisorNotKnown"):
        await done(w.desk.advisor(w.client.address))
    await done(w.desk.sign_in(w.keys["client"]))
    webhooks = await done(w.desk.api.call("GET", "/v1/webhooks", signer=w.keys["client"]))
    assert webhooks == {"items": [], "next": None}
    await done(w.desk.sign_out(w.keys["client"]))
    asked = (w.agent.address, "standard", w.client.address, w.client.meter_key.address)
    ahead = await w.quote(context=ZERO_HASH)
    await done(w.agent.sign_ahead(ahead))
    assert (await done(w.desk.quote(*asked))).terms.advisor == w.agent.address
    over = threading.Event()
    seen: list[Any] = []
    serving_ = await _serve(w, over, seen)
    try:
        await _present(w)
        quote = await done(w.desk.quote(*asked, context=Hash(b"\7" * 32)))
        assert quote.terms.context == b"\7" * 32
        assert quote.terms.tariff == w.tariff
        assert [declined for _, declined in seen if declined] == []
    finally:
        over.set()
        await serving_()


async def a_session_opened_elsewhere_is_told(w: World) -> None:
    quote = await w.quote(token=ZERO_ADDRESS)
    with Contracts.connect(w.chain.url, state=w.folder / "own") as contracts:
        bank = contracts.sender(w.chain.accounts["payer"])
        bank.transact(w.client.address, b"", COIN)
        direct = Client(contracts, w.keys["client"], w.client.meter_key)
        session = direct.open(quote)
        (opening, *_) = contracts.history(session.id)
    await done(w.desk.tell_opened(quote, opening.tx_hash))
    line = w.live(session)
    entering = line if w.form is ASYNC else _blocking(line)
    with pytest.raises(OtherAcknowledger):
        await entering.__aenter__()
    known = await done(w.client.join(quote))
    line = w.live(known)
    async with line if w.form is ASYNC else _blocking(line):
        await done(line.answer())
        assert (await done(line.count())).voucher is not None
        await done(line.close())
    earned = await done(w.agent.close(known, await done(w.agent.voucher(known))))
    assert int(earned.earned) == PRICE


SCENARIOS: list[Scenario] = [
    a_session_is_metered_to_its_end,
    time_is_metered_live_and_pauses_are_told_at_once,
    money_comes_by_signature_and_by_nothing_else,
    a_key_does_a_thing_once_across_a_crash_too,
    settling_takes_what_a_voucher_proves,
    advisors_are_found_and_come_and_go,
    a_session_opened_elsewhere_is_told,
]


@pytest.mark.parametrize("form", [BLOCKING, ASYNC], ids=lambda form: form.name)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_through_a_desk(
    scenario: Scenario, form: Form, chain: LocalChain, desk: Serving, tmp_path: Path
) -> None:
    play(form, chain, desk, tmp_path, scenario)


@pytest.mark.parametrize("asynchronous", PAIRS, ids=lambda cls: cls.__name__)
def test_the_blocking_class_has_exactly_the_methods_of_its_async_class(asynchronous: type) -> None:
    blocking = PAIRS[asynchronous]
    assert methods(blocking) - {"deploy"} == methods(asynchronous)


def test_the_scenarios_call_every_public_method_in_both_forms(
    chain: LocalChain, desk: Serving, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for form, scenario in product((BLOCKING, ASYNC), SCENARIOS):
        if (form.name, scenario.__name__) not in PLAYED:  # this test was chosen without them
            play(form, chain, desk, tmp_path_factory.mktemp("play"), scenario)
    # Those of `carry` and `carried` are called by accounts, and by nobody else.
    missing = {cls.__name__: CALLS.missing(cls) for pair in PAIRS.items() for cls in pair}
    inner = {"carry", "carried"}
    assert not {name: which - inner for name, which in missing.items() if which - inner}


# ---------------------------------------------------------------------- helpers


@asynccontextmanager
async def _blocking(line: Any) -> AsyncIterator[Any]:
    """A context of the blocking form, in a scenario that awaits."""
    with line as entered:
        yield entered


def _last(session: Any) -> EntryKind:
    kind: EntryKind = session.meter.journal.entries[-1].kind
    return kind


def _tells(tick: Any, kind: EntryKind) -> bool:
    return any(entry.kind is kind for entry in tick.entries)


async def _until(act: Callable[[], Any], reached: Callable[[Any], Any]) -> None:
    until = time.monotonic() + 10
    while not reached(await done(act())):
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


async def _serve(w: World, over: threading.Event, seen: list[Any]) -> Callable[[], Awaitable[None]]:
    """The advisor's agent at work beside the scenario; what ends it."""

    def each(terms: Any, declined: str | None) -> None:
        seen.append((terms, declined))

    offers = {"standard": w.offer}
    if w.form is ASYNC:
        place = await AsyncDesk.connect(w.serving.url, state=w.folder)
        agent = AsyncAgent(place, w.keys["advisor"], offers)
        task = asyncio.create_task(agent.serve(over.is_set, each=each))

        async def end() -> None:
            await task
            await place.close()

        return end

    def work() -> None:
        with Desk.connect(w.serving.url, state=w.folder) as place:
            Agent(place, w.keys["advisor"], offers).serve(over.is_set, each=each)

    thread = threading.Thread(target=work)
    thread.start()

    async def join() -> None:
        thread.join(20)
        assert not thread.is_alive()

    return join


async def _present(w: World) -> None:
    async def look() -> Any:
        return await done(w.desk.advisor(w.agent.address))

    await _until(look, lambda found: not found.away)
