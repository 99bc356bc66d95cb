"""Whoever relays gives nothing but gas: what would act for the relayer is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Place
from honorarium.advisor import Advisor
from honorarium.artifacts import artifact
from honorarium.chain import (
    Contracts,
    Node,
    NotRelayable,
    Relayable,
    RelayableUnreadable,
    Sender,
    Status,
    calls,
)
from honorarium.chain.relay import _PARTS
from honorarium.client import Client
from honorarium.ids import ZERO_HASH, Address, SessionId
from honorarium.protocol import Key, Quote, Tariff
from honorarium.units import BaseUnits

PRICE = 1_500_000
TARIFF = Tariff.per_minute(PRICE, max_units=10)


@dataclass
class Desk:
    """A relayer with money of its own, and the crook who hands something in."""

    contracts: Contracts
    relayer: Client
    as_advisor: Advisor
    crook: Client
    quote: Quote  # the crook's, by the relayer as the advisor
    own: Quote  # by the crook as the advisor, for the relayer


@pytest.fixture
def desk(place: Place, tmp_path: Path) -> Iterator[Desk]:
    with Node(place.chain.url) as node:
        contracts = Contracts.attach(node, place.manifest, tmp_path)
        mine, theirs = Key.generate(), Key.generate()
        bank, token = Sender(node, place.key("payer")), contracts.default_token()
        for key in (mine, theirs):
            bank.transact(key.address, b"", 10**20)
        bank.transact(token, calls.mint_batch([mine.address, theirs.address], [10**10] * 2))
        relayer, crook = Client(contracts, mine), Client(contracts, theirs)
        as_advisor = Advisor(contracts, mine)
        relayer.deposit(10**9)
        crook.deposit(10**9)
        quote = as_advisor.quote(crook.address, crook.meter_key.address, TARIFF)
        crooked = Advisor(contracts, theirs)
        own = crooked.quote(relayer.address, crook.meter_key.address, TARIFF)
        yield Desk(contracts, relayer, as_advisor, crook, quote, own)
        contracts.close()


def _opening(quote: Quote, *, advisor: bytes, payer: bytes) -> bytes:
    return calls.open_from_balance(
        calls.OpeningRow(quote.terms, BaseUnits(PRICE), advisor, b"", payer)
    )


ATTACKS: dict[str, Callable[[Desk], bytes]] = {
    "the relayer's balance is paid out": lambda d: calls.withdraw(
        d.contracts.default_token(), 10**9, d.crook.address
    ),
    "the relayer's wallet is emptied into a balance": lambda d: calls.deposit(
        d.contracts.default_token(), d.crook.address, 10**9
    ),
    "the relayer's wallet opens": lambda d: calls.open(d.own.terms, PRICE, d.own.signature),
    "the relayer's balance opens": lambda d: _opening(d.own, advisor=d.own.signature, payer=b""),
    "the relayer becomes an advisor": lambda d: _opening(d.quote, advisor=b"", payer=b"\x01" * 64),
    "the relayer's quote is revoked": lambda d: calls.revoke(d.quote.terms, d.relayer.address),
    "the relayer's balance tops up": lambda d: calls.top_up_from_balance(d.own.terms, 9 * PRICE),
    "the relayer's wallet tops up": lambda d: calls.top_up(d.own.terms, 9 * PRICE),
    "the relayer leaves": lambda d: calls.request_close(d.own.terms, d.relayer.address),
    "the relayer closes for nothing": lambda d: calls.close(d.quote.terms),
    "the relayer closes a row for nothing": lambda d: calls.close_for(
        calls.ClosingRow(d.quote.terms, None)
    ),
    "the relayer closes rows for nothing": lambda d: calls.close_batch(
        [calls.ClosingRow(d.quote.terms, None)]
    ),
    "the relayer rates": lambda d: calls.rate(d.own.terms, 5, ZERO_HASH),
    "the relayer answers": lambda d: calls.answer(d.quote.terms, ZERO_HASH),
    "something is no call": lambda d: b"\x01\x02\x03\x04",
    "a call is cut off": lambda d: calls.rate(d.own.terms, 5, ZERO_HASH, b"\x01" * 64)[:-90],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_would_act_for_the_relayer_is_not_sent(desk: Desk, attack: str) -> None:
    node, escrow = desk.contracts.node, desk.contracts.escrow.contract
    before = node.transaction_count(desk.relayer.address, "pending")
    handed_in = Relayable("leave", escrow, ATTACKS[attack](desk))
    with pytest.raises(NotRelayable, match="leave"):
        desk.relayer.relay(Relayable.from_json(handed_in.to_json()))
    assert node.transaction_count(desk.relayer.address, "pending") == before


def test_the_relayer_gives_no_tip(desk: Desk) -> None:
    token, nothing = desk.contracts.default_token(), SessionId(bytes(32))
    tip = calls.tip(desk.crook.address, nothing, token, 5, ZERO_HASH)
    with pytest.raises(NotRelayable, match="tip does it for whoever sends it"):
        desk.relayer.relay(Relayable("tip", desk.contracts.tip_jar, tip))


def test_another_contract_is_never_called(desk: Desk) -> None:
    approve = calls.approve(desk.crook.address, 2**256 - 1)
    with pytest.raises(NotRelayable, match="its own chain"):
        desk.relayer.relay(Relayable("open", desk.contracts.default_token(), approve))


def test_an_advisor_relays_what_the_client_signed_to_open(desk: Desk) -> None:
    signed = desk.crook.sign_opening(desk.quote, 2 * PRICE, pay="balance")
    desk.as_advisor.relay(Relayable.from_json(signed.to_json()))
    session_id = desk.quote.terms.session_id(desk.contracts.escrow)
    assert desk.contracts.session(session_id).status is Status.OPEN
    assert int(desk.relayer.balance()) == 10**9


def test_what_one_signed_oneself_may_be_relayed(desk: Desk) -> None:
    desk.relayer.relay(desk.relayer.sign_withdrawal(amount=5))
    assert int(desk.relayer.balance()) == 10**9 - 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[" * 100_000,
        '{"action": "tip", "to": "0x00", "data": "0x00000000"}',
        '{"action": "tip", "to": 5, "data": "0x"}',
        '{"to": "0x' + "00" * 20 + '", "data": "0x"}',
    ],
    ids=range(7),
)
def test_text_that_is_no_signed_action_is_refused(text: str) -> None:
    with pytest.raises(RelayableUnreadable):
        Relayable.from_json(text)


def test_every_function_that_takes_a_partys_signature_is_known_and_no_other() -> None:
    def takes_one(inputs: list[dict[str, object]]) -> bool:
        for each in inputs:
            if "ignature" in str(each["name"]):
                return True
            parts = each.get("components")
            single = not str(each["type"]).endswith("[]")
            if isinstance(parts, list) and single and takes_one(parts):
                return True
        return False

    signed = {
        entry["name"]
        for name in ("SessionEscrow", "TipJar")
        for entry in artifact(name).abi
        if entry["type"] == "function" and takes_one(entry["inputs"])
    }
    # `open` takes the others' signatures, and the money of whoever sends it.
    assert signed - {"open"} == set(_PARTS)


def test_an_address_is_compared_as_it_is(desk: Desk) -> None:
    with pytest.raises(NotRelayable):
        Relayable("x", Address(bytes(20)), b"\0\0\0\0").must_not_act_for(desk.relayer.address)
