"""The session through Honorarium's escrow.

Opened on the advisor's signed quote, closed by the advisor on the client's signed reading of 30
minutes, which travels off chain. The fee is in the advisor's balance then; one withdrawal may empty
it after any number of sessions, so it is measured with and without.
"""

from __future__ import annotations

from typing import Final

from gas import DEPOSIT
from honorarium.chain import Status, calls
from honorarium.protocol import Key, Terms
from peers.ground import FEE, MINUTES, Ground, Purse, fee_moves, is_over
from peers.sessions import BALANCES, EARNINGS, OURS, WALLETS, Session, Step

GETS: Final = "units that the client signs, under signed terms; time bounded by the chain's clock"


def measure(ground: Ground) -> list[Session]:
    b = ground.bench
    running = b.terms(b.payers[0])  # the advisor is never without a session, in no protocol
    b.act(b.payers[0], calls.open(running, DEPOSIT, b.quote(running)))
    _from_wallet(ground)  # warms what only a first session finds cold
    opened, closed, withdrawn = _from_wallet(ground)
    _from_balance(ground)
    balance = _from_balance(ground)
    return [
        Session(OURS, WALLETS, (opened, closed, withdrawn), GETS, WALLETS),
        Session(OURS, EARNINGS, (opened, closed), GETS, EARNINGS),
        Session(OURS, BALANCES, balance, GETS, BALANCES),
    ]


def _from_wallet(ground: Ground) -> tuple[Step, Step, Step]:
    b = ground.bench
    terms = b.terms()
    with fee_moves(ground.wallet(b.client), ground.wallet(b.advisor)):
        with fee_moves(ground.wallet(b.client), _balance(ground, b.advisor)):
            opened = b.act(b.client, calls.open(terms, DEPOSIT, b.quote(terms)))
            closed = _closed(ground, terms)
        withdraw = calls.withdraw(b.token.contract, FEE, b.advisor.address)
        withdrawn = b.act(b.advisor, withdraw)
    return (
        Step("open", "client", "open", opened),
        closed,
        Step("pay", "advisor", "withdraw", withdrawn),
    )


def _from_balance(ground: Ground) -> tuple[Step, Step]:
    b = ground.bench
    terms = b.terms()
    row = b.opening(terms, b.client, signed=False)
    with fee_moves(_balance(ground, b.client), _balance(ground, b.advisor)):
        opened = b.act(b.client, calls.open_from_balance(row))
        closed = _closed(ground, terms)
    return Step("open", "client", "openFromBalance", opened), closed


def _closed(ground: Ground, terms: Terms) -> Step:
    b = ground.bench
    ground.session_passes()
    gas = b.act(b.advisor, calls.close(terms, b.reading(terms, MINUTES)))
    session = ground.node.read(calls.session(b.escrow.contract, terms.session_id(b.escrow)))
    is_over(session.status, Status.CLOSED)
    return Step("stop", "advisor", "close", gas)


def _balance(ground: Ground, who: Key) -> Purse:
    b = ground.bench
    return lambda: ground.node.read(
        calls.balance_of(b.escrow.contract, b.token.contract, who.address)
    )
