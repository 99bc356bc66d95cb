"""Python and Solidity agree on thousands of random terms and lives of sessions.

The Solidity side is the shipped library, compiled as it ships, and the shipped escrow and tip jar;
all answer by eth_call. `make differential` compares 100,000 rows of each kind and tells how many of
what; HONORARIUM_ROWS and HONORARIUM_SEED choose other ones.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice

import pytest
from eth_hash.auto import keccak

from asker import Asker, Override
from conftest import Place
from draws import Draw
from honorarium.artifacts import artifact
from honorarium.chain import Node
from honorarium.chain.node import to_hex
from honorarium.errors import ContractError, WrongSigner
from honorarium.ids import Address
from honorarium.protocol.keys import Key
from honorarium.protocol.terms import LONGEST_QUOTE
from honorarium.protocol.typed_data import TYPES, word
from honorarium.units import UnixTime
from life_rows import STEPS, Scene, draw_life
from terms_rows import draw_rows

ROWS = int(os.environ.get("HONORARIUM_ROWS", "10000"))
SEED = os.environ.get("HONORARIUM_SEED", "1")
AT_ONCE = 500
"""So many rows travel in one call."""

REFUSALS = {
    "CapWithinFreeUnits",
    "DepositTooSmall",
    "GraceOutOfRange",
    "InvalidParty",
    "NothingToPay",
    "QuoteExpired",
    "QuoteTooFarAhead",
    "ShareTooHigh",
    "ShareWithoutRecipient",
    "StepInsideFreeUnits",
    "StepPriceWithoutStep",
    "TermsNotCanonical",
    "UnitTooLong",
    "none",
}

SIGNED = {
    *(("Answer", "answer"), ("Closing", "close"), ("Leaving", "request close")),
    *(("Opening", "open"), ("Rating", "rate"), ("Revocation", "revoke"), ("Terms", "open")),
    *(("TopUp", "top up"), ("Voucher", "close"), ("Voucher", "settle")),
    *(("ReceiveWithAuthorization", step) for step in ("deposit", "open", "tip", "top up")),
    ("Withdrawal", "withdraw"),
}
"""Every message that a contract reads, and the step of a life in which it does."""


@pytest.fixture(scope="module")
def asker(anvil: Place) -> Iterator[Asker]:
    manifest = anvil.manifest
    with Node(anvil.chain.url, timeout=120) as node:
        yield Asker(node, manifest.address("SessionEscrow"), manifest.address("TipJar"))


def cast(draw: Draw, asker: Asker) -> tuple[Scene, dict[Address, Override]]:
    """A moment, wallets, tokens and meters for some lives, and the state in which they exist."""
    wallets = [Address(draw.randbytes(20)) for _ in range(11)] + [Address(b"\xff" * 20)]
    tokens = [Address(draw.randbytes(20)) for _ in range(4)]
    meters = [Key.from_bytes(draw.randbytes(32)) for _ in range(4)]
    scene = Scene(
        domain=asker.domain,
        jar=asker.jar,
        wallets=wallets,
        tokens=tokens,
        meters={meter.address: meter for meter in meters},
        time=UnixTime(1 + draw.uint(40) % (2**40 - 1 - LONGEST_QUOTE)),
        nonces={wallet: draw.uint(256) % (2**256 - AT_ONCE) for wallet in wallets},
    )
    (nonces,) = (e.slot for e in artifact("SessionEscrow").storage if e.label == "nonces")
    stored = {
        to_hex(keccak(word(wallet) + word(nonces))): to_hex(word(nonce))
        for wallet, nonce in scene.nonces.items()
    }
    return scene, {
        **dict.fromkeys(wallets, asker.rows["EchoWallet"].override()),
        **dict.fromkeys(tokens, asker.rows["PaperToken"].override()),
        asker.escrow: {"stateDiff": stored},
    }


def refused(found: bytes) -> tuple[str, ContractError]:
    """The step that failed in a `LifeRows.Found`, and why."""
    size = int.from_bytes(found[32:64], "big")
    return STEPS[int.from_bytes(found[:32], "big")], ContractError.decode(found[64 : 64 + size])


def difference(number: int, row: object, found: bytes, expected: bytes) -> str:
    """Which words are not the same, and all that is needed to see it again."""
    lines = [f"row {number} of seed {SEED} differs", repr(row)]
    for at in range(0, max(len(found), len(expected)), 32):
        solidity, python = found[at : at + 32].hex(), expected[at : at + 32].hex()
        if solidity != python:
            lines.append(f"word {at // 32}: Solidity 0x{solidity}, Python 0x{python}")
    return "\n".join(lines)


def tell(what: str, counted: Mapping[str, int]) -> None:
    print(f"\n{what} (seed {SEED}):")
    for kind, count in sorted(counted.items()):
        print(f"  {count:>9,}  {kind}")


def test_esc_4_esc_19_terms_are_packed_hashed_priced_and_refused_alike(asker: Asker) -> None:
    draw = Draw(f"terms {SEED}")
    rows = draw_rows(draw, asker.domain)
    counted: Counter[str] = Counter()
    for start in range(0, ROWS, AT_ONCE):
        asked = list(islice(rows, min(AT_ONCE, ROWS - start)))
        found = asker.read([row.encode() for row in asked])
        for number, (row, answer) in enumerate(zip(asked, found, strict=True), start):
            expected = row.expected(asker.domain)
            assert answer == expected, difference(number, row, answer, expected)
            why = row.refusal()
            counted["none" if why is None else type(why).__name__] += 1

    tell("terms compared, by what the contract says of them", counted)
    print(f"  {ROWS * 2 * len(asked[0].units):>9,}  fees, half of them by the escrow itself")
    assert counted.total() == ROWS
    assert set(counted) == REFUSALS


def test_esc_14_esc_15_lives_are_signed_settled_and_booked_alike(asker: Asker) -> None:
    """Every signature is over Python's digest, and the ledger ends as Python reckons."""
    draw = Draw(f"lives {SEED}")
    counted: Counter[tuple[str, str]] = Counter()
    for start in range(0, ROWS, AT_ONCE):
        scene, state = cast(draw, asker)
        rows = [draw_life(draw, scene) for _ in range(min(AT_ONCE, ROWS - start))]
        found = asker.live([row.encoded for row in rows], state, scene.time)
        for number, (row, answer) in enumerate(zip(rows, found, strict=True), start):
            assert answer == row.expected, (
                difference(number, row, answer, row.expected) + f"\n{refused(answer)}"
            )
            counted.update(row.signed.keys())

    signatures = {f"{name} at {step}": count for (name, step), count in counted.items()}
    tell(f"{ROWS:,} lives compared, with their signatures", signatures)
    assert set(counted) == SIGNED
    assert {name for name, _ in SIGNED} == set(TYPES) - {"Tariff", "Acknowledgement", "Permit"}


def test_esc_14_a_signature_that_is_off_by_one_bit_fails_at_its_step(asker: Asker) -> None:
    draw = Draw("one bit")
    missing = set(SIGNED)
    while missing:
        scene, state = cast(draw, asker)
        row = draw_life(draw, scene)
        for (name, step), signature in row.signed.items():
            spoiled = bytearray(signature)
            spoiled[draw.randrange(31)] ^= 1 << draw.randrange(8)
            encoded = row.encoded.replace(signature, bytes(spoiled), 1)
            (found,) = asker.live([encoded], state, scene.time)
            if step == "withdraw":
                found = bytes(32) + found[192:]  # its refusal stands after that of the steps
            at, why = refused(found)
            assert (at, type(why)) == ("none" if step == "withdraw" else step, WrongSigner), name
            missing.discard((name, step))
