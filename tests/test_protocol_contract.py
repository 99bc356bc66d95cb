"""Python and Solidity agree, digest for digest and fee for fee, on a real Anvil."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from eth_abi.abi import decode
from eth_hash.auto import keccak

from build_vectors import value
from conftest import Place
from honorarium.chain import Node
from honorarium.errors import ContractError, StepPriceWithoutStep
from honorarium.ids import Address
from honorarium.protocol.terms import PACKED_WORDS
from honorarium.protocol.typed_data import Domain
from honorarium.units import MAX_UNITS
from protocol_values import terms_of

PACKED = f"({','.join(['bytes32'] * PACKED_WORDS)})"
ROUND = 100
"""So many random cases travel in one batch."""


class Chain:
    """The escrow on the shared Anvil, asked many things at once."""

    def __init__(self, node: Node, escrow: Address) -> None:
        self.node, self.escrow = node, escrow

    def calls(self, signature: str, arguments: Sequence[bytes]) -> list[bytes]:
        selector = keccak(signature.encode())[:4]
        return self.node.calls((self.escrow, selector + one) for one in arguments)


@pytest.fixture(scope="module")
def chain(anvil: Place) -> Iterator[Chain]:
    with Node(anvil.chain.url) as node:
        yield Chain(node, anvil.manifest.address("SessionEscrow"))


@pytest.fixture(scope="module")
def domain(chain: Chain) -> Domain:
    return Domain(chain.node.chain_id, chain.escrow)


@pytest.mark.parametrize("seed", range(4))
def test_session_ids_are_the_contracts(chain: Chain, domain: Domain, seed: int) -> None:
    random_ = random.Random(seed)
    drawn = [terms_of(value(random_, "Terms")) for _ in range(ROUND)]

    found = chain.calls(f"sessionIdOf({PACKED})", [b"".join(t.pack()) for t in drawn])

    assert found == [t.session_id(domain) for t in drawn]
    assert len(set(found)) == ROUND


@pytest.mark.parametrize("seed", range(4))
def test_fees_are_the_contracts(chain: Chain, seed: int) -> None:
    """Any tariff, a step within the free units included, and readings at its bounds."""
    random_ = random.Random(seed)
    readings = []
    for _ in range(ROUND):
        terms = terms_of(value(random_, "Terms"))
        t = terms.tariff
        bound = random_.choice((t.included_units, t.step_units, t.max_units, 0, MAX_UNITS))
        units = random_.choice((bound - 1, bound, bound + 1, random_.getrandbits(32)))
        readings.append((terms, min(max(units, 0), MAX_UNITS)))

    found = chain.calls(
        f"feeOf({PACKED},uint32)",
        [b"".join(terms.pack()) + units.to_bytes(32, "big") for terms, units in readings],
    )

    fees = [int.from_bytes(fee, "big") for fee in found]
    assert fees == [terms.tariff.fee(units) for terms, units in readings]
    assert len(set(fees)) > ROUND // 3


def test_the_domain_is_the_contracts(chain: Chain, domain: Domain) -> None:
    (answer,) = chain.calls("eip712Domain()", [b""])
    kinds = ["bytes1", "string", "string", "uint256", "address", "bytes32", "uint256[]"]
    fields, name, version, chain_id, contract, salt, extensions = decode(kinds, answer)

    assert fields == b"\x0f"
    assert (name, version, chain_id) == (domain.name, domain.version, domain.chain_id)
    assert bytes.fromhex(contract[2:]) == domain.contract
    assert (salt, extensions) == (bytes(32), ())


def test_a_refusal_of_the_contract_becomes_its_exception(chain: Chain) -> None:
    """Terms of zeros with a step price: what the node answers is what ContractError reads."""
    words = [bytes(32), bytes(32), bytes(20) + (7).to_bytes(10, "big") + bytes(2)]
    words += [bytes(32)] * 4
    head = b"".join(words) + bytes(32) + (320).to_bytes(32, "big") + (352).to_bytes(32, "big")
    data = keccak(f"open({PACKED},uint80,bytes,bytes)".encode())[:4] + head + bytes(64)
    call = {"to": "0x" + chain.escrow.hex(), "data": "0x" + data.hex(), "from": "0x" + "00" * 20}

    with pytest.raises(ContractError) as caught:
        chain.node.request("eth_call", [call, "latest"])
    refused = caught.value

    assert refused == StepPriceWithoutStep(7)
    assert "step price of 7 base units" in str(refused)
