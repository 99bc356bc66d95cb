"""Calldata is what any other ABI library makes of the same values, and reads back as it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from conftest import Place
from honorarium.artifacts import ContractName, artifact
from honorarium.chain import (
    CallNotEncodable,
    ClosingRow,
    Node,
    OpeningRow,
    Settlement,
    Status,
    calls,
)
from honorarium.ids import ZERO_ADDRESS, SessionId
from honorarium.protocol.keys import Key, Signature
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.terms import Terms
from protocol_values import addresses, amounts, hashes, session_ids, times, uint
from protocol_values import terms as any_terms

signatures = st.binary(max_size=70)
vouchers = st.builds(
    SignedVoucher,
    st.integers(1, 2**32 - 1),
    hashes,
    st.builds(
        Signature,
        hashes,
        st.integers(0, 2**255 - 1).map(lambda s: s.to_bytes(32, "big")),
        st.integers(0, 1),
    ),
)
openings = st.builds(OpeningRow, any_terms, amounts, signatures, signatures, signatures)
settlements = st.builds(Settlement, any_terms, st.none() | vouchers)
closings = st.builds(ClosingRow, any_terms, st.none() | vouchers, times, signatures)
words = uint(256)

# function of the contract -> (function of `calls`, how its values are made)
ESCROW: dict[str, tuple[Callable[..., bytes], list[st.SearchStrategy[Any]]]] = {
    "deposit": (calls.deposit, [addresses, addresses, words]),
    "depositWithAuthorization": (
        calls.deposit_with_authorization,
        [addresses, addresses, words, hashes, words, words, signatures],
    ),
    "withdraw": (calls.withdraw, [addresses, words, addresses]),
    "withdrawFor": (
        calls.withdraw_for,
        [addresses, addresses, words, addresses, words, words, signatures],
    ),
    "open": (calls.open, [any_terms, amounts, signatures, signatures]),
    "openWithAuthorization": (
        calls.open_with_authorization,
        [any_terms, amounts, words, words, signatures, signatures, signatures],
    ),
    "openFromBalance": (calls.open_from_balance, [openings]),
    "openBatch": (calls.open_batch, [st.lists(openings, max_size=3)]),
    "revoke": (calls.revoke, [any_terms, addresses, signatures]),
    "topUp": (calls.top_up, [any_terms, amounts]),
    "topUpWithAuthorization": (
        calls.top_up_with_authorization,
        [any_terms, amounts, words, words, signatures],
    ),
    "topUpFromBalance": (calls.top_up_from_balance, [any_terms, amounts, signatures]),
    "settle": (calls.settle, [any_terms, vouchers]),
    "settleBatch": (calls.settle_batch, [st.lists(settlements, max_size=3)]),
    "close": (calls.close, [any_terms, st.none() | vouchers]),
    "closeFor": (calls.close_for, [closings]),
    "closeBatch": (calls.close_batch, [st.lists(closings, max_size=3)]),
    "requestClose": (calls.request_close, [any_terms, addresses, signatures]),
    "finalize": (calls.finalize, [any_terms]),
    "rate": (calls.rate, [any_terms, uint(8), hashes, signatures]),
    "answer": (calls.answer, [any_terms, hashes, signatures]),
}
TIP_JAR: dict[str, tuple[Callable[..., bytes], list[st.SearchStrategy[Any]]]] = {
    "tip": (calls.tip, [addresses, session_ids, addresses, words, hashes]),
    "tipWithAuthorization": (
        calls.tip_with_authorization,
        [
            *[addresses, addresses, session_ids, addresses, words],
            *[hashes, hashes, words, words, signatures],
        ],
    ),
}
EVERY = [("SessionEscrow", name) for name in ESCROW] + [("TipJar", name) for name in TIP_JAR]


def writes(contract: ContractName) -> set[str]:
    """The functions that change something."""
    return {
        entry["name"]
        for entry in artifact(contract).abi
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }


def snake(name: str) -> str:
    """The contract's name in Python's case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_every_entry_point_of_the_contracts_has_a_function_of_its_name() -> None:
    assert set(ESCROW) == writes("SessionEscrow")
    assert set(TIP_JAR) == writes("TipJar")
    for name, (function, _) in (ESCROW | TIP_JAR).items():
        assert function.__name__ == snake(name)


def plain(value: Any) -> Any:
    """A value as web3 wants it: structs as tuples of words."""
    match value:
        case Terms():
            return value.pack()
        case None:
            return (0, bytes(32), bytes(32), bytes(32))
        case SignedVoucher(units, journal, signature):
            return (units, journal, *signature.compact())
        case OpeningRow():
            return (
                value.terms.pack(),
                value.deposit,
                value.advisor_signature,
                value.client_signature,
                value.payer_signature,
            )
        case Settlement():
            return (value.terms.pack(), plain(value.voucher))
        case ClosingRow():
            voucher = plain(value.voucher)
            return (value.terms.pack(), voucher, value.deadline, value.advisor_signature)
        case list():
            return [plain(each) for each in value]
    return value


def grouped(name: str, values: list[Any]) -> list[Any]:
    """The values as the contract's function takes them, some of them in structs."""
    if name in ("settle", "close"):
        return [Settlement(*values)]
    if name == "openWithAuthorization":
        return [*values[:2], tuple(values[2:5]), *values[5:]]
    if name.endswith("WithAuthorization"):
        return [*values[:-3], tuple(values[-3:])]
    return values


@pytest.mark.parametrize(("contract", "name"), EVERY)
def test_calldata_is_what_web3_encodes(contract: ContractName, name: str) -> None:
    function, strategies = (ESCROW | TIP_JAR)[name]
    reference = Web3().eth.contract(abi=artifact(contract).abi)

    @given(st.tuples(*strategies))
    def check(values: tuple[Any, ...]) -> None:
        data = function(*values)
        given = grouped(name, list(values))
        assert data == bytes.fromhex(reference.encode_abi(name, map_all(plain, given))[2:])

    check()


def map_all(function: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    return [function(each) for each in values]


def test_what_does_not_fit_is_refused_with_the_functions_name() -> None:
    with pytest.raises(CallNotEncodable, match="deposit"):
        calls.deposit(ZERO_ADDRESS, ZERO_ADDRESS, -1)
    with pytest.raises(CallNotEncodable, match="mint"):
        calls.mint(ZERO_ADDRESS, 2**256)


def test_what_nobody_used_reads_as_empty(place: Place, node: Node) -> None:
    escrow = place.manifest.address("SessionEscrow")
    token = place.manifest.address("TestUSD")
    nobody = Key.generate().address
    found = node.read(calls.session(escrow, SessionId(b"\x07" * 32)))
    assert found.status is Status.NONE
    assert (found.deposit, found.earned, found.opened_at, found.score) == (0, 0, 0, 0)
    assert node.read(calls.balance_of(escrow, token, nobody)) == 0
    assert node.read(calls.nonce_of(escrow, nobody)) == 0
    assert (node.read(calls.rating_of(escrow, nobody)).count) == 0
    assert node.read(calls.token_balance(token, nobody)) == 0
    assert node.balance(nobody) == 0


def test_the_tokens_domain_and_decimals_are_read_from_it(place: Place, node: Node) -> None:
    token = place.manifest.address("TestUSD")
    domain = node.read(calls.token_domain(token))
    assert (domain.name, domain.version) == ("Test USD", "1")
    assert (domain.chain_id, domain.contract) == (node.chain_id, token)
    assert node.read(calls.token_separator(token)) == domain.separator
    assert node.read(calls.token_decimals(token)) == 6


def test_an_answer_of_another_length_is_no_session() -> None:
    with pytest.raises(ValueError, match="9 words"):
        calls.decode_session(bytes(32))
