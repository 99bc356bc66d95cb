"""The contracts' errors and Python's exceptions are one list."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from honorarium import errors
from honorarium.artifacts import CONTRACTS, artifact
from honorarium.errors import (
    ContractError,
    DepositTooSmall,
    InvalidParty,
    Panicked,
    Party,
    RevertedWithReason,
    TransactionFailed,
    UnknownContractError,
    contract_errors,
)

SAMPLES: dict[str, Any] = {
    "address": "0x" + "ab" * 20,
    "bytes32": b"\xcd" * 32,
    "string": "words",
}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def declared() -> dict[str, tuple[tuple[str, str], ...]]:
    """Name -> ((type, name in Python), ...) of every error in the contracts' ABIs."""
    return {
        entry["name"]: tuple((field["type"], snake(field["name"])) for field in entry["inputs"])
        for name in CONTRACTS
        for entry in artifact(name).abi
        if entry["type"] == "error"
    }


def sample(kind: str, number: int) -> Any:
    return SAMPLES.get(kind, number)


def made(error: type[ContractError]) -> ContractError:
    body = encode(
        [kind for kind, _ in error.FIELDS],
        [sample(kind, at) for at, (kind, _) in enumerate(error.FIELDS, start=2)],
    )
    return ContractError.decode(error.SELECTOR + body)


def test_python_has_every_error_of_the_contracts_with_its_fields_and_no_other() -> None:
    assert {error.__name__: error.FIELDS for error in contract_errors()} == declared()


def test_every_error_is_exported_and_no_two_share_a_selector_or_a_slug() -> None:
    listed = contract_errors()
    assert all(getattr(errors, error.__name__) is error for error in listed)
    assert len({error.SELECTOR for error in listed}) == len(listed)
    assert len({error.slug for error in listed}) == len(listed)


@pytest.mark.parametrize("error", contract_errors(), ids=lambda error: error.__name__)
def test_revert_data_becomes_the_error_with_its_fields_as_attributes(
    error: type[ContractError],
) -> None:
    found = made(error)

    assert type(found) is error
    for number, (kind, field) in enumerate(error.FIELDS, start=2):
        expected = sample(kind, number)
        got = getattr(found, field)
        assert got == (bytes.fromhex(expected[2:]) if kind == "address" else expected)


@pytest.mark.parametrize("error", contract_errors(), ids=lambda error: error.__name__)
def test_every_message_is_a_sentence_with_the_numbers(error: type[ContractError]) -> None:
    found = made(error)
    message = str(found)

    assert len(message) > 40
    assert "<" not in message
    assert not message.endswith(".")
    for number, (kind, field) in enumerate(error.FIELDS, start=2):
        if (kind, field) == ("uint8", "party"):
            assert "advisor" in message
            continue
        shown = {"address": "ab" * 20, "bytes32": "cd" * 32, "string": "words"}
        assert shown.get(kind, str(number)) in message, f"{field} is not in: {message}"


def test_an_error_survives_pickling_and_equals_one_of_the_same_fields() -> None:
    error = DepositTooSmall(needed=250, given=9)

    assert pickle.loads(pickle.dumps(error)) == error == DepositTooSmall(250, 9)
    assert error != DepositTooSmall(250, 10)
    assert len({error, DepositTooSmall(250, 9)}) == 1


@pytest.mark.parametrize(
    ("error", "slug"),
    [
        ("DepositTooSmall", "deposit-too-small"),
        ("HighS", "high-s"),
        ("NotAParty", "not-a-party"),
        ("ERC20InsufficientBalance", "erc20-insufficient-balance"),
        ("ECDSAInvalidSignatureS", "ecdsa-invalid-signature-s"),
        ("NodeUnreachable", "node-unreachable"),
    ],
)
def test_the_slug_is_the_name_in_words(error: str, slug: str) -> None:
    assert getattr(errors, error).slug == slug


def test_a_missing_or_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="takes needed, given"):
        DepositTooSmall(1)  # type: ignore[call-arg]  # what is tested
    with pytest.raises(TypeError, match="takes needed, given"):
        DepositTooSmall(1, wanted=2)  # type: ignore[call-arg]  # what is tested


def test_the_parties_are_numbered_as_in_the_contract() -> None:
    source = Path(__file__).parents[1] / "contracts" / "interfaces" / "IErrors.sol"
    listed = re.search(r"enum Party \{(.*?)\}", source.read_text(), re.DOTALL)
    assert listed
    assert [snake(name) for name in re.findall(r"\w+", listed[1])] == [
        party.name.lower() for party in Party
    ]


def test_a_party_that_is_nobody_is_unknown() -> None:
    data = InvalidParty.SELECTOR + encode(["uint8", "address"], [6, "0x" + "11" * 20])
    assert ContractError.decode(data) == UnknownContractError(data)


def test_what_solidity_itself_refuses_with_is_understood() -> None:
    words = ContractError.decode(
        bytes.fromhex("08c379a0") + encode(["string"], ["blacklisted: äöü, and more than a word"])
    )
    panic = ContractError.decode(bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]))

    assert words == RevertedWithReason("blacklisted: äöü, and more than a word")
    assert "blacklisted" in str(words)
    assert panic == Panicked(0x11)
    assert "left its range" in str(panic)


def test_no_revert_data_says_what_to_look_at() -> None:
    assert "ran out of gas" in str(ContractError.decode(b""))


@given(st.sampled_from(contract_errors()), st.data())
def test_malformed_revert_data_is_unknown_and_kept(
    error: type[ContractError], data: st.DataObject
) -> None:
    whole = made_data(error)
    cut = data.draw(st.integers(0, len(whole) - 1))

    for malformed in (whole[:cut], whole + b"\0"):
        found = ContractError.decode(malformed)
        assert found == UnknownContractError(malformed)


def made_data(error: type[ContractError]) -> bytes:
    kinds = [kind for kind, _ in error.FIELDS]
    return error.SELECTOR + encode(kinds, [sample(k, n) for n, k in enumerate(kinds, start=2)])


@given(st.binary(max_size=200))
def test_decoding_never_raises(data: bytes) -> None:
    assert isinstance(ContractError.decode(data), ContractError)


def test_a_number_beyond_its_type_is_unknown() -> None:
    data = errors.ScoreOutOfRange.SELECTOR + (256).to_bytes(32, "big")
    assert ContractError.decode(data) == UnknownContractError(data)


def test_errors_of_the_chain_say_what_to_do_and_hide_access_keys() -> None:
    unreachable = errors.NodeUnreachable("https://me:pass@node.example:8545/key123", "refused")
    assert "https://node.example:8545/..." in str(unreachable)
    assert "pass" not in str(unreachable)
    assert "key123" not in str(unreachable)

    for error, needle in (
        (errors.NodeError("eth_foo", -32601, "unknown"), "does not offer"),
        (errors.WrongChain(1337, 1), "chain 1337"),
        (errors.ChainReset(b"\1" * 32, b"\2" * 32), "started anew"),
        (errors.NotOurCode("TipJar", b"\3" * 20, b"\4" * 32, None), "no code"),
        (errors.NotOurCode("TipJar", b"\3" * 20, b"\4" * 32, b"\5" * 32), "05" * 32),
        (errors.NoDeployment(5, [1, 2]), "only on 1, 2"),
        (errors.ClockNotSettable("Geth/v1", 100, None), "cannot be set"),
        (errors.ClockNotSettable("Ganache/v7", 100, 200), "at 1970-01-01 00:03:20 UTC"),
        (errors.FateUnknown(b"\6" * 32), "never a new one"),
        (errors.FeeTooHigh(21_000, 10**15, 10**18), "could cost 21000000000000000000 wei"),
        (TransactionFailed(b"\7" * 32, DepositTooSmall(5, 4)), "deposit 5 or more"),
        (TransactionFailed(b"\7" * 32, None), "compare its gas"),
    ):
        assert needle in str(error)


def test_messages_are_unlike_each_other() -> None:
    messages = {re.sub(r"\d+", "", str(made(error))) for error in contract_errors()}
    assert len(messages) == len(contract_errors()), json.dumps(sorted(messages), indent=1)
