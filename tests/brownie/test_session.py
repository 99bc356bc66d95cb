"""What the deploy script puts on a chain stands where it should, and runs a whole session."""

import json
from pathlib import Path

import brownie
import pytest
from brownie import ZERO_ADDRESS, SessionEscrow, TestUSD, TipJar, accounts, chain, run, web3
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data

ARTIFACTS = Path(__file__).parents[2] / "src" / "honorarium" / "artifacts"
CENT = 10_000  # base units of tUSD
DEPOSIT = 3600 * CENT
TARIFF = {
    "connectFee": 50 * CENT,
    "unitPrice": CENT,
    "unitSeconds": 1,
    "includedUnits": 0,
    "stepUnits": 0,
    "stepPrice": 0,
    "maxUnits": 0,
}
TYPES = {
    "Tariff": "uint80 connectFee,uint80 unitPrice,uint32 unitSeconds,uint32 includedUnits,"
    "uint32 stepUnits,uint80 stepPrice,uint32 maxUnits",
    "Terms": "address client,address payer,address advisor,address meterKey,address token,"
    "Tariff tariff,uint16 feeBps,address feeRecipient,uint40 openBefore,uint24 closeGrace,"
    "bytes32 context,uint96 salt",
    "Voucher": "bytes32 sessionId,uint32 units,bytes32 journal",
}
JOURNAL = "0x" + "0a" * 32


def typed(escrow, kind, message):
    """What is signed for a message, as wallets show it."""
    names = ["Terms", "Tariff"] if kind == "Terms" else [kind]
    fields = {
        name: [
            dict(zip(("type", "name"), field.split(), strict=True))
            for field in TYPES[name].split(",")
        ]
        for name in names
    }
    domain = {
        "name": "Honorarium",
        "version": "1",
        "chainId": 1337,
        "verifyingContract": escrow.address,
    }
    return encode_typed_data(domain, fields, message)


def pack(terms):
    """The seven words in which terms travel."""
    t = terms["tariff"]

    def word(first, *rest):
        number, width = int(first, 16), 160
        for value, bits in rest:
            number, width = (number << bits) | value, width + bits
        assert width == 256
        return number.to_bytes(32, "big")

    payer = terms["payer"] if terms["payer"] != terms["client"] else "0x0"  # the usual case
    return (
        word(terms["client"], (t["connectFee"], 80), (terms["feeBps"], 16)),
        word(payer, (t["unitPrice"], 80), (0, 16)),
        word(terms["advisor"], (t["stepPrice"], 80), (0, 16)),
        word(
            terms["meterKey"],
            (t["unitSeconds"], 32),
            (t["includedUnits"], 32),
            (t["stepUnits"], 32),
        ),
        word(
            terms["token"],
            (t["maxUnits"], 32),
            (terms["openBefore"], 40),
            (terms["closeGrace"], 24),
        ),
        word(terms["feeRecipient"], (terms["salt"], 96)),
        bytes.fromhex(terms["context"][2:]),
    )


@pytest.fixture(scope="module")
def escrow(deployed):
    return deployed["SessionEscrow"]


@pytest.fixture(scope="module")
def usd(deployed):
    return deployed["TestUSD"]


@pytest.fixture(scope="module")
def advisor():
    return accounts.add("0x" + "a1" * 32)


@pytest.fixture(scope="module")
def meter():
    return Account.from_key("0x" + "a2" * 32)


@pytest.fixture
def terms(usd, advisor, meter):
    """accounts[1] is advised and pays; a tenth is for accounts[9]."""
    return {
        "client": accounts[1].address,
        "payer": accounts[1].address,
        "advisor": advisor.address,
        "meterKey": meter.address,
        "token": usd.address,
        "tariff": TARIFF,
        "feeBps": 1000,
        "feeRecipient": accounts[9].address,
        "openBefore": chain.time() + 3600,
        "closeGrace": 600,
        "context": "0x" + "00" * 32,
        "salt": 7,
    }


def opened(escrow, usd, terms, advisor):
    accounts[2].transfer(advisor, "1 ether", silent=True)
    quote = Account.from_key(advisor.private_key).sign_message(typed(escrow, "Terms", terms))
    usd.mint(accounts[1], DEPOSIT, {"from": accounts[0]})
    usd.approve(escrow, DEPOSIT, {"from": accounts[1]})
    return escrow.open(pack(terms), DEPOSIT, quote.signature, b"", {"from": accounts[1]})


def voucher(escrow, terms, meter, units):
    session_id = "0x" + bytes(escrow.sessionIdOf(pack(terms))).hex()
    message = {"sessionId": session_id, "units": units, "journal": JOURNAL}
    signed = meter.sign_message(typed(escrow, "Voucher", message))
    r, vs = signed.r.to_bytes(32, "big"), (signed.s | (signed.v - 27) << 255).to_bytes(32, "big")
    return (units, JOURNAL, r, vs)


def test_the_script_deploys_what_the_package_ships_to_the_addresses_of_every_chain(deployed):
    deployer = bytes.fromhex("4e59b44847b379578588920cA78FbF26c0B4956C")
    salt = web3.keccak(text="Honorarium 1")
    for contract in (SessionEscrow, TipJar, TestUSD):
        shipped = json.loads((ARTIFACTS / f"{contract._name}.json").read_text())["bytecode"]
        assert "0x" + contract.bytecode == shipped
        body = b"\xff" + deployer + salt + web3.keccak(hexstr=shipped)
        assert bytes.fromhex(deployed[contract._name].address[2:]) == web3.keccak(body)[12:]


def test_the_script_run_again_changes_nothing(deployed):
    height = len(chain)
    assert {n: c.address for n, c in run("deploy").items()} == {
        n: c.address for n, c in deployed.items()
    }
    assert len(chain) == height


def test_a_session_opens_settles_and_closes(escrow, usd, terms, advisor, meter):
    tx = opened(escrow, usd, terms, advisor)
    session_id = tx.return_value
    assert session_id == tx.events["SessionOpened"]["sessionId"]
    assert bytes(session_id) == _hash_eip191_message(typed(escrow, "Terms", terms))
    assert usd.balanceOf(escrow) == DEPOSIT

    chain.sleep(300)
    chain.mine()
    first = voucher(escrow, terms, meter, 60)
    settled = escrow.settle((pack(terms), first), {"from": accounts[5]})
    assert settled.events["Settled"]["earned"] == (50 + 60) * CENT

    last = voucher(escrow, terms, meter, 90)
    closed = escrow.close((pack(terms), last), {"from": advisor})
    fee = (50 + 90) * CENT
    assert closed.events["SessionClosed"]["earned"] == fee
    assert usd.balanceOf(accounts[1]) == DEPOSIT - fee
    assert escrow.balanceOf(usd, accounts[9]) == fee // 10
    assert escrow.balanceOf(usd, advisor) == fee - fee // 10

    escrow.withdraw(usd, fee - fee // 10, accounts[8], {"from": advisor})
    assert usd.balanceOf(accounts[8]) == fee - fee // 10
    assert usd.balanceOf(escrow) == fee // 10


def test_a_session_refuses_more_seconds_than_have_passed(escrow, usd, terms, advisor, meter):
    opened(escrow, usd, terms, advisor)
    with brownie.reverts(revert_pattern=r"TooManyUnits: .*"):
        escrow.settle((pack(terms), voucher(escrow, terms, meter, 3000)), {"from": accounts[5]})


def test_a_closed_session_never_opens_again(escrow, usd, terms, advisor):
    opened(escrow, usd, terms, advisor)
    none = (0, bytes(32), bytes(32), bytes(32))
    escrow.close((pack(terms), none), {"from": advisor})
    assert usd.balanceOf(accounts[1]) == DEPOSIT
    with brownie.reverts(revert_pattern=r"SessionExists: .*"):
        opened(escrow, usd, terms, advisor)


def test_a_tip_goes_straight_to_the_advisor(deployed, usd, advisor):
    jar = deployed["TipJar"]
    before = advisor.balance()
    jar.tip(advisor, bytes(32), ZERO_ADDRESS, 5, bytes(32), {"from": accounts[1], "value": 5})
    assert advisor.balance() == before + 5
    assert jar.balance() == 0
