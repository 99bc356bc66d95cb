"""Every public method of the SDK, on both engines, in both forms; and none is left out.

Each scenario is written once (sdk_forms) and played four times.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from conftest import Place
from honorarium.advisor import Advisor, AsyncAdvisor, Earned
from honorarium.chain import Account, AsyncAccount, Contracts, Node, Outbox, Status, calls
from honorarium.chain.receipts import TxReceipt
from honorarium.chain.signing import content_of
from honorarium.errors import (
    AlreadyAnswered,
    AlreadyClosing,
    AlreadyRated,
    BalanceTooSmall,
    DepositNotRaised,
    GraceRunning,
    NotClosing,
    NotRated,
    SessionExists,
    SessionNotClosed,
    SessionNotOpen,
    StaleVoucher,
    TooManyUnits,
    TransactionFailed,
    WrongSigner,
)
from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.protocol import (
    Answered,
    CloseRequested,
    Deposited,
    Key,
    Rated,
    RowSkipped,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
    Withdrawn,
)
from honorarium.units import UnixTime
from old_token import OLD_TOKEN
from sdk_forms import (
    ASYNC,
    BLOCKING,
    COIN,
    MONEY,
    PAIRS,
    PRICE,
    Calls,
    Form,
    World,
    asked,
    done,
    listed,
    methods,
    play,
)

SOMEBODY = Address(bytes.fromhex("00" * 19 + "97"))
WORDS = Hash(b"\x07" * 32)
BLOCKING_ONLY = {"deploy"}
"""A local chain is started by a program that blocks anyway."""

CALLS = Calls(frozenset(("test_sdk_async.py", "sdk_forms.py")))
PLAYED: set[tuple[str, str]] = set()


# ---------------------------------------------------------------------- scenarios


async def quotes_are_revoked_by_either_side_and_by_signature(w: World) -> None:
    mine, theirs, signed, theirs_signed = [await w.quote(salt=n) for n in range(4)]
    await done(w.advisor.revoke(mine))
    await done(w.client.revoke(theirs.terms))
    await done(w.stranger.relay(await done(w.advisor.sign_revocation(signed))))
    await done(w.stranger.relay(await done(w.client.sign_revocation(theirs_signed))))
    for each in (mine, theirs, signed, theirs_signed):
        assert (await w.held(each)).status is Status.REVOKED
        with pytest.raises(SessionExists):
            await done(w.client.open(each))


async def sessions_are_opened_in_every_way_to_pay(w: World) -> None:
    await done(w.client.deposit(20 * PRICE))
    before = await done(w.client.wallet())
    for pay in ("wallet", "permit", "authorization", "balance"):
        quote = await w.quote()
        session = await done(w.client.open(quote, 3 * PRICE, pay=pay))
        held = await w.held(session)
        assert (held.status, held.deposit) == (Status.OPEN, 3 * PRICE)
        assert held.refunds_to_balance is (pay == "balance")
        assert (session.opened_at, session.meter.deposit) == (held.opened_at, 3 * PRICE)
        assert (await done(w.client.open(quote))).id == session.id  # once
    assert before - await done(w.client.wallet()) == before.token.amount(9 * PRICE)
    coin = await done(w.client.open(await w.quote(token=ZERO_ADDRESS), 5 * PRICE))
    assert (await w.held(coin)).deposit == 5 * PRICE


async def a_stranger_opens_what_the_payer_signed(w: World) -> None:
    await done(w.client.deposit(10 * PRICE))
    for pay in ("authorization", "balance"):
        quote = await w.quote()
        signed = await done(w.client.sign_opening(quote, 2 * PRICE, pay=pay))
        receipt = await done(w.stranger.relay(signed))
        assert isinstance(receipt, TxReceipt)
        session = await done(w.client.join(quote))
        assert session.meter.deposit == 2 * PRICE
    assert await done(w.stranger.wallet()) == (await done(w.contracts.token())).amount(MONEY)


async def a_sponsor_pays_for_a_client_who_consented(w: World) -> None:
    quote = await w.quote(payer=w.sponsor.address)
    consent = await done(w.client.consent(quote))
    session_id = await done(w.sponsor.fund(quote, 4 * PRICE, client_signature=consent))
    session = await done(w.client.join(quote))
    assert session.id == session_id
    session.meter.answer(session.opened_at)
    await done(w.advisor.close(session, session.meter.read(await w.wait(70))))
    spent = (await done(w.contracts.token())).amount(2 * PRICE)
    assert await done(w.sponsor.wallet()) == spent.token.amount(MONEY) - spent
    await done(w.client.rate(session, 5))  # the client's right, whoever paid

    other = await w.quote(payer=w.sponsor.address)
    consent = await done(w.client.consent(other))
    signed = await done(w.sponsor.sign_opening(other, 4 * PRICE, client_signature=consent))
    await done(w.stranger.relay(signed))
    assert (await w.held(other)).status is Status.OPEN
    await done(w.sponsor.leave(other))
    assert (await w.held(other)).status is Status.CLOSING


async def vouchers_are_settled_one_by_one_and_many_at_once(w: World) -> None:
    one, two, three = [await w.answered(salt=n) for n in range(3)]
    now = await w.wait(70)
    first = await done(w.advisor.settle(one, one.meter.read(now)))
    assert (first.units, int(first.earned)) == (2, 2 * PRICE)
    with pytest.raises(StaleVoucher):
        await done(w.advisor.settle(one, one.meter.read(now)))
    now = await w.wait(60)
    rows = [
        calls.Settlement(one.terms, one.meter.read(now)),
        calls.Settlement(two.terms, two.meter.read(UnixTime(now + 400))),  # ahead of the chain
        calls.Settlement(three.terms, three.meter.read(now)),
    ]
    # What anybody may send: the money goes to the advisor.
    good, bad, also = await done(w.stranger.settle_all(rows, idempotency_key="evening"))
    assert isinstance(good, Earned)
    assert isinstance(also, Earned)
    assert (int(good.earned), int(also.earned)) == (3 * PRICE, 3 * PRICE)
    assert isinstance(bad, TooManyUnits)
    assert bad.given > bad.allowed
    again = await done(w.stranger.settle_all(rows, idempotency_key="evening"))
    assert again == [good, bad, also]
    ended = await done(w.advisor.close(two))
    assert (ended.units, int(ended.earned)) == (0, 0)
    with pytest.raises(SessionNotOpen):
        await done(w.advisor.close(two))
    assert await done(w.advisor.balance()) == good.earned + also.earned


async def a_stranger_closes_what_the_advisor_signed(w: World) -> None:
    one, two, three = [await w.answered(salt=n) for n in range(3)]
    now = await w.wait(100)
    rows = [
        await done(w.advisor.sign_closing(one, one.meter.read(now))),
        await done(w.advisor.sign_closing(two)),
        await done(w.advisor.sign_closing(three)),
    ]
    rows[1] = replace(rows[1], advisor_signature=rows[0].advisor_signature)
    good, bad, free = await done(w.stranger.close_all(rows, idempotency_key="night"))
    assert (good.units, int(good.earned), int(free.earned)) == (2, 2 * PRICE, 0)
    assert isinstance(bad, WrongSigner)
    assert (await w.held(two)).status is Status.OPEN
    assert (await w.held(three)).status is Status.CLOSED


async def who_leaves_gets_the_rest_after_the_grace(w: World) -> None:
    one, two, three = [await w.answered(salt=n) for n in range(3)]
    with pytest.raises(NotClosing):
        await done(w.stranger.finalize(one))
    grace_ends = await done(w.client.leave(one))
    assert grace_ends == (await w.held(one)).closing_at + 600
    with pytest.raises(AlreadyClosing):
        await done(w.client.leave(one))
    await done(w.stranger.relay(await done(w.client.sign_leaving(two))))
    assert (await w.held(two)).status is Status.CLOSING
    with pytest.raises(GraceRunning):
        await done(w.stranger.finalize(one))
    await w.wait(601)
    for each in (one, two):
        await done(w.stranger.finalize(each))
        assert (await w.held(each)).status is Status.CLOSED
    await done(w.advisor.close(three))
    assert await done(w.client.wallet()) == (await done(w.contracts.token())).amount(MONEY)


async def deposits_are_topped_up_in_every_way_to_pay(w: World) -> None:
    await done(w.client.deposit(10 * PRICE))
    session = await done(w.client.open(await w.quote(), PRICE))
    deposit = PRICE
    for pay in ("wallet", "permit", "authorization", "balance"):
        deposit += PRICE
        raised = await done(w.client.top_up(session, deposit, pay=pay))
        assert (await w.held(session)).deposit == session.meter.deposit == int(raised) == deposit
    for pay in ("authorization", "balance"):
        deposit += PRICE
        await done(w.stranger.relay(await done(w.client.sign_top_up(session, deposit, pay=pay))))
        assert (await w.held(session)).deposit == deposit
        assert session.meter.deposit < deposit  # only its owner raises it
    with pytest.raises(DepositNotRaised):
        await done(w.client.top_up(session, deposit))
    coin = await done(w.client.open(await w.quote(token=ZERO_ADDRESS), PRICE))
    await done(w.client.top_up(coin, 2 * PRICE))
    assert (await w.held(coin)).deposit == 2 * PRICE


async def tips_ratings_and_answers(w: World) -> None:
    session, coin = await w.answered(), await w.answered(token=ZERO_ADDRESS)
    start = await done(w.advisor.wallet())
    for pay in ("wallet", "permit", "authorization"):
        assert int(await done(w.client.tip(session, "0.5", memo=WORDS, pay=pay))) == 500_000
    await done(w.stranger.relay(await done(w.client.sign_tip(session, "0.5"))))
    assert await done(w.advisor.wallet()) == start + start.token.amount("2")
    await done(w.client.tip(coin, 77))
    assert int(await done(w.advisor.wallet(ZERO_ADDRESS))) == COIN + 77

    with pytest.raises(SessionNotClosed):
        await done(w.client.rate(session, 4))
    now = await w.wait(10)
    for each in (session, coin):
        await done(w.advisor.close(each, each.meter.read(now)))
    with pytest.raises(NotRated):
        await done(w.advisor.answer(session, WORDS))
    await done(w.client.rate(session, 4, WORDS))
    with pytest.raises(AlreadyRated):
        await done(w.client.rate(session, 1))
    await done(w.stranger.relay(await done(w.client.sign_rating(coin, 3, WORDS))))
    await done(w.advisor.answer(session, WORDS))
    with pytest.raises(AlreadyAnswered):
        await done(w.advisor.answer(session, WORDS))
    await done(w.stranger.relay(await done(w.advisor.sign_answer(coin, WORDS))))
    held = await w.held(coin)
    assert (held.score, held.answered) == (3, True)
    tally = calls.Tally(count=2, sum=7)
    assert await done(w.advisor.rating()) == tally
    assert await done(w.contracts.rating(w.advisor.address)) == tally
    assert await done(w.contracts.acknowledger(coin.terms)) is None  # the advisor does it
    elsewhere, somebody = Outbox(), Key.generate().address
    w.contracts.use_outbox(somebody, elsewhere)
    assert w.contracts.outbox(somebody) is elsewhere


async def balances_are_filled_and_paid_out(w: World) -> None:
    for pay in ("wallet", "permit", "authorization"):
        await done(w.client.deposit("1", pay=pay))
    await done(w.stranger.relay(await done(w.client.sign_deposit("1"))))
    await done(w.client.deposit(9, ZERO_ADDRESS))
    assert (await done(w.client.balance())).text == "4"
    assert int(await done(w.contracts.balance(ZERO_ADDRESS, w.client.address))) == 9
    held = await done(w.contracts.wallet(w.token, w.client.address))
    assert held == await done(w.client.wallet())
    assert int(held) == MONEY - 4_000_000

    assert str(await done(w.client.withdraw(amount="1.5"))) == "1.5 tUSD"
    assert int(await done(w.client.withdraw(amount=500_000, to=SOMEBODY))) == 500_000
    with pytest.raises(BalanceTooSmall):
        await done(w.client.withdraw(amount="100"))
    signed = await done(w.client.sign_withdrawal(amount="1"))
    await done(w.stranger.relay(signed))
    assert (await done(w.client.balance())).text == "1"
    # Everything; and with the key once more, it tells what was paid then.
    for _ in range(2):
        assert (await done(w.client.withdraw(idempotency_key="all"))).text == "1"
    assert int(await done(w.client.withdraw(ZERO_ADDRESS))) == 9


async def the_log_tells_a_session_and_an_account(w: World) -> None:
    first = (await done(w.node.block())).number
    session = await w.answered()
    reading = session.meter.read(await w.wait(10))
    await done(w.advisor.settle(session, reading))
    (stale,) = await done(w.stranger.settle_all([calls.Settlement(session.terms, reading)]))
    assert isinstance(stale, StaleVoucher)
    await done(w.client.tip(session, 5))
    await done(w.client.top_up(session, 12 * PRICE))
    await done(w.client.leave(session))
    other = await w.answered(salt=1)
    await done(w.advisor.close(session))
    await done(w.client.rate(session, 5))
    await done(w.advisor.answer(session, WORDS))
    await done(w.advisor.withdraw())
    await done(w.client.deposit(3))

    kinds = [SessionOpened, Settled, RowSkipped, Tipped, ToppedUp, CloseRequested]
    kinds += [SessionClosed, Rated, Answered]
    for since in (None, first):
        told = await done(w.contracts.history(session.id, first=since))
        assert [type(record.event) for record in told] == kinds
        assert all(record.time for record in told)

    told = await done(w.contracts.account_history(w.advisor.address, first=first))
    assert [type(r.event) for r in told if r.event.__class__ not in kinds] == [Withdrawn]
    told = await done(w.contracts.account_history(w.client.address))
    assert [type(r.event) for r in told].count(SessionOpened) == 2
    assert isinstance(told[-1].event, Deposited)
    assert not await done(w.contracts.account_history(SOMEBODY, first=told[0].block))
    assert (await w.held(other)).status is Status.OPEN

    last = (await done(w.node.block())).number
    escrow = w.contracts.escrow.contract
    read = await listed(w.form.collect(w.node, [escrow, w.contracts.tip_jar], first, last))
    assert [r for r in read if getattr(r.event, "session_id", None) == session.id] == [
        r for r in told if getattr(r.event, "session_id", None) == session.id
    ]


async def tokens_tell_what_they_are(w: World) -> None:
    token = await done(w.contracts.token())
    assert (token.symbol, token.decimals, token.address) == ("tUSD", 6, w.token)
    assert (await done(w.contracts.token_domain(w.token))).name == "Test USD"

    sender = w.contracts.sender(w.keys["client"])
    old = (await done(sender.transact(None, OLD_TOKEN))).contract
    domain = await done(w.contracts.token_domain(old))
    assert (domain.name, domain.version, domain.contract) == ("Old Dollar", "2", old)
    await done(sender.transact(old, calls.mint(w.client.address, 10**8)))
    permitted = await done(w.client.open(await w.quote(token=old), "30000.00", pay="permit"))
    assert (await w.held(permitted)).deposit == 3_000_000
    # It changes no approval but from zero; so that is where it goes first.
    await done(sender.transact(old, calls.approve(w.contracts.escrow.contract, 5)))
    approved = await done(w.client.open(await w.quote(token=old, salt=1), "30000.00"))
    assert (await w.held(approved)).deposit == 3_000_000


async def a_node_answers_in_every_way_it_can_be_asked(w: World) -> None:
    form, node, url = w.form, w.node, w.place.chain.url
    assert await asked(node, "chain_id") == w.place.manifest.chain_id
    assert await asked(node, "genesis_hash") == w.place.manifest.genesis_hash
    assert await asked(node, "client")
    await done(node.must_be_the_same_chain())
    await done(node.must_be_synced())
    assert (await done(node.block(0))).number == 0
    escrow, client = w.contracts.escrow.contract, w.client.address
    query = calls.token_balance(w.token, client)
    answer = await done(node.call(query.to, query.data))
    assert int.from_bytes(answer, "big") == await done(node.read(query)) == MONEY
    assert await done(node.calls([(query.to, query.data)] * 2)) == [answer, answer]
    assert await done(node.read_all([query, query])) == [MONEY, MONEY]
    assert await done(node.code(escrow))
    assert await done(node.balance(client)) == COIN
    assert await done(node.transaction_count(client)) == 0
    assert await done(node.request("eth_chainId")) == hex(await asked(node, "chain_id"))
    assert len(await done(node.batch([("eth_chainId", [])] * 3))) == 3

    sender = form.sender(node, w.keys["client"])
    signed = await done(sender.sign(SOMEBODY, b"", value=1))
    later = UnixTime(await w.now() + 100)
    await done(node.send_at(later, signed.raw))
    receipt = await done(sender.receipt(signed.hash))
    assert (await done(node.block(receipt.block))).timestamp == later
    assert await done(sender.submit(signed)) == signed.hash  # known already
    sent = await done(sender.send(SOMEBODY, b"", 2, idempotency_key="two"))
    assert (await done(sender.receipt(sent))).ok
    content = content_of(SOMEBODY, b"", 2)
    assert (await done(sender.followed("two", content))).tx_hash == sent
    assert await done(sender.followed("three", content)) is None
    assert await done(sender.resume()) == 0
    data = calls.withdraw(w.token, 5, client)
    with pytest.raises(TransactionFailed) as failed:
        await done(sender.transact(escrow, data, gas=200_000))
    assert failed.value.reason == BalanceTooSmall(client, 5, 0)
    tx_hash = failed.value.tx_hash
    assert await done(form.reason_of(node, Hash(tx_hash))) == BalanceTooSmall(client, 5, 0)

    assert await done(form.find(node)) == w.place.manifest
    await done(form.attach(node, w.place.manifest))
    connected = await done(form.contracts.connect(url, manifest=w.place.manifest, state=w.folder))
    assert connected.outbox(client) is connected.outbox(client)
    assert connected.default_token() == w.token
    await done(connected.close())
    own = form.node(url)
    again = await done(form.contracts.attach(own, w.place.manifest, w.folder))
    assert await done(again.now()) == await w.now()
    await done(own.close())


SCENARIOS = (
    quotes_are_revoked_by_either_side_and_by_signature,
    sessions_are_opened_in_every_way_to_pay,
    a_stranger_opens_what_the_payer_signed,
    a_sponsor_pays_for_a_client_who_consented,
    vouchers_are_settled_one_by_one_and_many_at_once,
    a_stranger_closes_what_the_advisor_signed,
    who_leaves_gets_the_rest_after_the_grace,
    deposits_are_topped_up_in_every_way_to_pay,
    tips_ratings_and_answers,
    balances_are_filled_and_paid_out,
    the_log_tells_a_session_and_an_account,
    tokens_tell_what_they_are,
    a_node_answers_in_every_way_it_can_be_asked,
)


@pytest.fixture(autouse=True)
def _noted() -> Iterator[None]:
    with CALLS.noted():
        yield


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("form", [BLOCKING, ASYNC], ids=lambda form: form.name)
def test_in_both_forms(form: Form, scenario: Any, place: Place, tmp_path: Path) -> None:
    play(form, place, tmp_path, scenario)
    PLAYED.add((form.name, scenario.__name__))


def test_contracts_are_deployed_on_a_local_chain_in_one_call(place: Place) -> None:
    with Contracts.deploy(place.chain) as contracts:
        assert contracts.manifest == place.manifest
        assert int(contracts.wallet(contracts.default_token(), place.key("client").address)) > 0


# ---------------------------------------------------------------------- and none is left out


@pytest.mark.parametrize("asynchronous", PAIRS, ids=lambda cls: cls.__name__)
def test_the_blocking_class_has_exactly_the_methods_of_its_async_class(
    asynchronous: type,
) -> None:
    blocking = PAIRS[asynchronous]
    assert methods(blocking) - BLOCKING_ONLY == methods(asynchronous)
    for name in methods(asynchronous):
        one, other = getattr(asynchronous, name), getattr(blocking, name)
        if not isinstance(other, property):
            assert list(inspect.signature(one).parameters) == list(
                inspect.signature(other).parameters
            ), name


def test_the_scenarios_call_every_public_method_in_both_forms(
    anvil: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for form, scenario in product((BLOCKING, ASYNC), SCENARIOS):
        if (form.name, scenario.__name__) not in PLAYED:  # this test was chosen without them
            play(form, anvil, tmp_path_factory.mktemp("play"), scenario)
    missing = {
        cls.__name__: CALLS.missing(cls) - BLOCKING_ONLY for pair in PAIRS.items() for cls in pair
    }
    assert not {name: which for name, which in missing.items() if which}


def test_a_method_that_nobody_calls_would_be_noticed() -> None:
    calls_ = Calls(frozenset(("test_sdk_async.py",)))
    assert "open" in calls_.missing(PAIRS[next(c for c in PAIRS if c.__name__ == "AsyncClient")])
    with calls_.noted(), Node("http://127.0.0.1:1") as node:
        node.close()
    assert ("Node", "close") in calls_.seen
    assert issubclass(Advisor, Account)
    assert issubclass(AsyncAdvisor, AsyncAccount)
