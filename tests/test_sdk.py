"""Client and advisor on real chains: every way a session ends, in tokens and in coin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from conftest import Place
from honorarium.advisor import Advisor
from honorarium.chain import Contracts, Node, Status, calls
from honorarium.client import Client, OpenSession, WrongMeterKey
from honorarium.errors import (
    AlreadyClosing,
    AlreadyRated,
    DepositNotRaised,
    DepositTooSmall,
    GraceRunning,
    NotRated,
    SessionExists,
    SessionNotOpen,
    SignatureMissing,
    TooManyUnits,
    TransactionFailed,
    WrongSignature,
)
from honorarium.ids import ZERO_ADDRESS, Hash
from honorarium.protocol import Key, Quote, Tariff
from honorarium.units import UnixTime

PRICE = 1_500_000


@dataclass
class Pair:
    """A client and an advisor who meet on a chain."""

    contracts: Contracts
    client: Client
    advisor: Advisor

    def open(self, **terms: Any) -> OpenSession:
        return self.client.open(self.quote(**terms))

    def quote(self, **terms: Any) -> Quote:
        tariff = Tariff.per_minute(PRICE, max_units=10)
        key = self.client.meter_key.address
        return self.advisor.quote(self.client.address, key, tariff, **terms)

    def wait(self, seconds: int) -> UnixTime:
        later = UnixTime(self.contracts.now() + seconds)
        self.contracts.node.set_time(later)
        self.contracts.node.request("evm_mine")
        return later

    def held(self, session: OpenSession) -> calls.Session:
        contracts = self.contracts
        return contracts.node.read(calls.session(contracts.escrow.contract, session.id))


@pytest.fixture
def pair(place: Place) -> Iterator[Pair]:
    with Node(place.chain.url) as node:
        contracts = Contracts.attach(node, place.manifest)
        people = [place.key("client"), place.key("advisor")]
        token = contracts.default_token()
        minted = calls.mint_batch([key.address for key in people], [10**10] * 2)
        contracts.sender(place.key("operator")).transact(token, minted)
        yield Pair(contracts, Client(contracts, people[0]), Advisor(contracts, people[1]))


def test_a_session_pays_the_advisor_and_refunds_the_rest(pair: Pair) -> None:
    node, token = pair.contracts.node, pair.contracts.default_token()
    before = node.read(calls.token_balance(token, pair.client.address))
    owed = pair.advisor.balance(token)
    session = pair.open()
    session.meter.answer(session.opened_at)
    now = pair.wait(150)
    earned = pair.advisor.close(session.terms, session.meter.read(now))
    assert earned.earned.base_units == 3 * PRICE
    assert pair.advisor.balance(token) - owed == earned.earned
    assert node.read(calls.token_balance(token, pair.client.address)) == before - 3 * PRICE
    assert pair.held(session).status is Status.CLOSED


def test_the_chains_own_coin_pays_as_tokens_do(pair: Pair) -> None:
    session = pair.open(token=ZERO_ADDRESS)
    session.meter.answer(session.opened_at)
    owed = pair.advisor.balance(ZERO_ADDRESS)
    pair.advisor.close(session.terms, session.meter.read(pair.wait(30)))
    assert (pair.advisor.balance(ZERO_ADDRESS) - owed).base_units == PRICE
    pair.client.tip(session, 77)
    pair.advisor.withdraw(ZERO_ADDRESS, PRICE)
    assert pair.advisor.balance(ZERO_ADDRESS) == owed


def test_a_client_who_leaves_gets_everything_back_after_the_grace(pair: Pair) -> None:
    session = pair.open(close_grace=600)
    pair.client.leave(session)
    with pytest.raises(AlreadyClosing):
        pair.client.leave(session)
    with pytest.raises(GraceRunning):
        pair.client.finalize(session)
    pair.wait(601)
    pair.client.finalize(session)
    held = pair.held(session)
    assert (held.status, held.earned) == (Status.CLOSED, 0)


def test_an_advisor_settles_after_the_client_left_what_was_advised_before(pair: Pair) -> None:
    session = pair.open(close_grace=600)
    session.meter.answer(session.opened_at)
    reading = session.meter.read(pair.wait(100))
    pair.client.leave(session)
    pair.wait(300)
    assert int(pair.advisor.settle(session, reading).earned) == 2 * PRICE


def test_a_top_up_raises_the_deposit_and_the_meter_follows(pair: Pair) -> None:
    quote = pair.quote()
    session = pair.client.open(quote, deposit=2 * PRICE)
    assert session.meter.funded_units == 2
    pair.client.top_up(session, 5 * PRICE)
    assert session.meter.funded_units == 5
    assert pair.held(session).deposit == 5 * PRICE
    with pytest.raises(DepositNotRaised):
        pair.client.top_up(session, 5 * PRICE)


def test_a_quote_opens_once_and_a_revoked_one_never(pair: Pair) -> None:
    quote = pair.quote()
    session, held = pair.client.open(quote), pair.client.wallet()
    assert pair.client.open(quote).id == session.id  # the same session, paid once
    assert pair.client.wallet() == held
    pair.advisor.close(session)
    with pytest.raises(SessionExists):
        pair.client.open(quote)
    revoked = pair.quote()
    pair.advisor.revoke(revoked.terms)
    with pytest.raises(SessionExists):
        pair.client.open(revoked)


def test_a_quote_of_somebody_else_is_refused_before_any_money_moves(pair: Pair) -> None:
    quote = pair.quote()
    forged = Quote.sign(quote.terms, Key.generate(), pair.contracts.escrow)
    with pytest.raises(WrongSignature):
        pair.client.open(forged)


def test_a_quote_for_another_meter_is_refused_before_any_money_moves(pair: Pair) -> None:
    node, token = pair.contracts.node, pair.contracts.default_token()
    before = node.read(calls.token_balance(token, pair.client.address))
    tariff = Tariff.per_minute(PRICE, max_units=10)
    quote = pair.advisor.quote(pair.client.address, Key.generate().address, tariff)
    with pytest.raises(WrongMeterKey):
        pair.client.open(quote)
    assert node.read(calls.token_balance(token, pair.client.address)) == before


def test_a_deposit_below_the_first_unit_is_refused_with_both_numbers(pair: Pair) -> None:
    with pytest.raises(DepositTooSmall) as refused:
        pair.client.open(pair.quote(), deposit=PRICE - 1)
    assert (refused.value.needed, refused.value.given) == (PRICE, PRICE - 1)


def test_a_rating_is_answered_once_and_given_once(pair: Pair) -> None:
    session = pair.open()
    session.meter.answer(session.opened_at)
    pair.advisor.close(session.terms, session.meter.read(pair.wait(10)))
    with pytest.raises(NotRated):
        pair.advisor.answer(session.terms, Hash(b"\x01" * 32))
    pair.client.rate(session.terms, 4)
    with pytest.raises(AlreadyRated):
        pair.client.rate(session.terms, 5)
    pair.advisor.answer(session.terms, Hash(b"\x01" * 32))
    held = pair.held(session)
    assert (held.score, held.answered) == (4, True)


def test_a_closed_session_takes_nothing_more(pair: Pair) -> None:
    session = pair.open()
    session.meter.answer(session.opened_at)
    reading = session.meter.read(pair.wait(10))
    pair.advisor.close(session.terms)
    with pytest.raises(SessionNotOpen):
        pair.advisor.settle(session.terms, reading)
    with pytest.raises(SessionNotOpen):
        pair.client.top_up(session, 20 * PRICE)


def test_only_the_advisor_closes(pair: Pair, place: Place) -> None:
    session = pair.open()
    stranger = Advisor(pair.contracts, place.key("platform"))
    with pytest.raises(SignatureMissing):
        stranger.close(session.terms)


def test_a_transaction_that_fails_in_a_block_says_why(pair: Pair, place: Place) -> None:
    session = pair.open()
    session.meter.answer(session.opened_at)
    ahead = session.meter.read(UnixTime(session.opened_at + 500))
    data = calls.settle(session.terms, ahead)
    sender = pair.contracts.sender(place.key("platform"))
    with pytest.raises(TransactionFailed) as failed:
        sender.transact(pair.contracts.escrow.contract, data, gas=300_000)
    assert failed.value.reason == TooManyUnits(1, 9)
    assert pair.held(session).earned == 0


def test_an_offer_holds_from_now_on_however_long_the_chain_stood_still(pair: Pair) -> None:
    before = int(time.time())
    assert pair.quote(holds=300).terms.open_before >= max(before, pair.contracts.now()) + 300
