"""Tokens that mislead, and strangers who are faster: nobody signs for what they did not mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Place
from honorarium.chain import Contracts, Node, Sender, TokenWithoutDomain, calls
from honorarium.chain.account import AsyncAccount
from honorarium.client import Client
from honorarium.errors import NodeError, TokenWithoutCode
from honorarium.ids import Address
from honorarium.money import Token
from honorarium.protocol import Key
from lives import REFUSES_ALL
from test_node_errors import _creates, calls_back


@pytest.fixture
def contracts(place: Place, tmp_path: Path) -> Iterator[Contracts]:
    with Node(place.chain.url) as node:
        yield (found := Contracts.attach(node, place.manifest, tmp_path))
        found.close()


@pytest.fixture
def bank(place: Place, contracts: Contracts) -> Sender:
    return Sender(contracts.node, place.key("payer"))


def test_a_token_that_has_its_payers_sign_for_another_one_is_refused(
    contracts: Contracts, bank: Sender
) -> None:
    mask = bank.transact(None, _creates(calls_back(contracts.default_token()))).contract
    assert mask is not None
    assert contracts.node.read(calls.token_domain(mask)).contract == contracts.default_token()
    assert contracts.token(mask).symbol == "tUSD"  # it can say that, and it is another token
    assert contracts.token(mask) != contracts.token()
    with pytest.raises(TokenWithoutDomain):
        contracts.token_domain(mask)


@pytest.mark.parametrize("code", ["60055ff3", "61ffff5ff3", REFUSES_ALL.hex()])
def test_what_is_no_token_is_told(contracts: Contracts, bank: Sender, code: str) -> None:
    answers_nonsense = bank.transact(None, _creates(bytes.fromhex(code))).contract
    assert answers_nonsense is not None
    with pytest.raises((NodeError, Exception)) as told:
        contracts.token(answers_nonsense)
    assert type(told.value).__module__.startswith("honorarium.")
    with pytest.raises(TokenWithoutDomain):
        contracts.token_domain(answers_nonsense)
    with pytest.raises(TokenWithoutCode):
        contracts.token(Address(b"\x08" * 20))


def test_a_token_is_the_same_by_any_name() -> None:
    one, other = Token(Address(b"\x01" * 20), "?", 6), Token(Address(b"\x01" * 20), "USDC", 6)
    assert one == other
    assert one.amount("1") + other.amount("2") == one.amount("3")
    assert one != Token(Address(b"\x01" * 20), "USDC", 8)


def test_a_permit_that_somebody_sent_first_pays_all_the_same(
    contracts: Contracts, bank: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, token = Key.generate(), contracts.default_token()
    bank.transact(key.address, b"", 10**18)
    bank.transact(token, calls.mint(key.address, 10**9))
    real = AsyncAccount._permit

    async def seen(self: AsyncAccount, *given: Any) -> bytes:
        data = await real(self, *given)
        bank.transact(token, data)  # a stranger was faster
        return data

    monkeypatch.setattr(AsyncAccount, "_permit", seen)
    client = Client(contracts, key)
    client.deposit("5", pay="permit")
    assert client.balance().text == "5"
