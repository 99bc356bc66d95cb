"""The contracts stand at the same addresses everywhere, and anything else there is noticed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_hash.auto import keccak

from conftest import Place
from honorarium.artifacts import CONTRACTS, artifact
from honorarium.chain import (
    Deployed,
    LocalChain,
    Manifest,
    ManifestUnreadable,
    Node,
    Sender,
    attach,
    calls,
    deploy,
    find,
    verify,
)
from honorarium.chain.deploy import (
    _DEPLOYER_ACCOUNT,
    _DEPLOYER_TRANSACTION,
    DEPLOYER,
    SALT,
    address_on_every_chain,
    shown,
)
from honorarium.chain.node import to_hex
from honorarium.errors import (
    ChainReset,
    LocalChainsOnly,
    NoDeployment,
    NodeUnreachable,
    NotOurCode,
    WrongChain,
)
from honorarium.ids import Address, Hash


@pytest.fixture
def fresh() -> Iterator[LocalChain]:
    """An Anvil of the test's own, with nothing on it."""
    with LocalChain.start(engine="anvil") as chain:
        yield chain


def test_the_addresses_are_the_same_on_every_chain(ganache: Place, anvil: Place) -> None:
    for name in CONTRACTS:
        assert ganache.manifest.address(name) == anvil.manifest.address(name)
        assert ganache.manifest.address(name) == address_on_every_chain(name)
    assert ganache.manifest.genesis_hash != anvil.manifest.genesis_hash


def test_the_deployers_account_follows_from_its_made_up_signature() -> None:
    assert Account.recover_transaction(_DEPLOYER_TRANSACTION) == shown(_DEPLOYER_ACCOUNT)
    created = keccak(b"\xd6\x94" + _DEPLOYER_ACCOUNT + b"\x80")[12:]  # of its first transaction
    assert created == DEPLOYER


def test_the_addresses_follow_from_salt_and_bytecode() -> None:
    for name in CONTRACTS:
        body = b"\xff" + DEPLOYER + SALT + keccak(artifact(name).bytecode)
        assert address_on_every_chain(name) == keccak(body)[12:]


def test_deploying_again_changes_nothing(place: Place, node: Node) -> None:
    before = node.block().number
    assert deploy(node, place.key("operator"), test_token=True) == place.manifest
    assert node.block().number == before


def test_what_is_missing_is_added_to_what_is_there(fresh: LocalChain) -> None:
    with Node(fresh.url) as node:
        key = fresh.accounts["operator"]
        first = deploy(node, key, test_token=False)
        assert set(first.contracts) == {"SessionEscrow", "TipJar"}
        with pytest.raises(NoDeployment):
            first.address("TestUSD")
        Sender(node, key).transact(key.address, b"")
        second = deploy(node, key, test_token=True)
        assert set(second.contracts) == set(CONTRACTS)
        assert second.block == first.block  # before it, none of them was there
        assert all(second.contracts[name] == one for name, one in first.contracts.items())


def test_the_first_block_is_right_however_it_is_found(place: Place, node: Node) -> None:
    block = place.manifest.block
    assert find(node) == place.manifest
    codes = [node.code(address_on_every_chain(name), block - 1) for name in CONTRACTS]
    assert not any(codes)
    assert any(node.code(address_on_every_chain(name), block) for name in CONTRACTS)


def test_a_deployment_verifies(place: Place, node: Node) -> None:
    attach(node, place.manifest)
    verify(node, place.manifest)
    escrow = place.manifest.contracts["SessionEscrow"]
    assert escrow.code_hash == keccak(node.code(escrow.address))


def test_changed_code_is_found(fresh: LocalChain) -> None:
    with Node(fresh.url) as node:
        manifest = deploy(node, fresh.accounts["operator"], test_token=True)
        for name in CONTRACTS:
            address = manifest.address(name)
            code = node.code(address)
            for place in (0, len(code) // 2, len(code) - 1):
                changed = bytearray(code)
                changed[place] ^= 1
                node.request("anvil_setCode", [to_hex(address), to_hex(bytes(changed))])
                with pytest.raises(NotOurCode) as caught:
                    attach(node, manifest)
                assert (caught.value.contract, caught.value.address) == (name, address)
                assert caught.value.found_hash == keccak(bytes(changed))
            node.request("anvil_setCode", [to_hex(address), to_hex(code)])
        verify(node, manifest)


def test_code_that_was_made_for_another_chain_is_found(ganache: Place, fresh: LocalChain) -> None:
    """Equal but for what the constructor cached: signatures would count elsewhere."""
    with Node(ganache.chain.url) as other, Node(fresh.url) as node:
        manifest = deploy(node, fresh.accounts["operator"], test_token=True)
        for name in ("SessionEscrow", "TestUSD"):
            one = manifest.contracts[name]
            own = node.code(one.address)
            foreign = other.code(one.address)
            assert artifact(name).hash_of_code(foreign) == artifact(name).code_hash
            node.request("anvil_setCode", [to_hex(one.address), to_hex(foreign)])
            with pytest.raises(NotOurCode, match=name):
                attach(node, manifest)
            node.request("anvil_setCode", [to_hex(one.address), to_hex(own)])


def test_an_address_without_code_is_told(place: Place, node: Node) -> None:
    nowhere = Address(b"\x5a" * 20)
    for name in CONTRACTS:
        moved = {**place.manifest.contracts, name: Deployed(nowhere, Hash(bytes(32)))}
        with pytest.raises(NotOurCode, match="no code") as caught:
            attach(node, replace(place.manifest, contracts=moved))
        assert caught.value.found_hash is None


def test_a_manifest_with_another_hash_does_not_verify(place: Place, node: Node) -> None:
    one = place.manifest.contracts["TipJar"]
    other = {**place.manifest.contracts, "TipJar": replace(one, code_hash=Hash(b"\x01" * 32))}
    with pytest.raises(NotOurCode) as caught:
        verify(node, replace(place.manifest, contracts=other))
    assert caught.value.expected_hash == b"\x01" * 32


def test_the_wrong_chain_is_told(ganache: Place, anvil: Place) -> None:
    with Node(anvil.chain.url) as node, pytest.raises(WrongChain) as caught:
        attach(node, ganache.manifest)
    assert (caught.value.expected, caught.value.found) == (1337, 31337)


def test_a_chain_that_was_started_anew_is_told(fresh: LocalChain, anvil: Place) -> None:
    with Node(fresh.url) as node:
        deploy(node, fresh.accounts["operator"], test_token=True)  # same id, same addresses
        with pytest.raises(ChainReset) as caught:
            attach(node, anvil.manifest)
        assert caught.value.expected_genesis == anvil.manifest.genesis_hash
        assert caught.value.found == node.genesis_hash


def test_a_chain_without_the_contracts_is_told(fresh: LocalChain) -> None:
    with Node(fresh.url) as node, pytest.raises(NoDeployment) as caught:
        find(node)
    assert caught.value.chain_id == 31337


def test_a_node_that_is_down_is_told(anvil: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NodeUnreachable):
        attach(Node(url), anvil.manifest)


def test_the_test_token_stays_off_every_other_chain(fresh: LocalChain) -> None:
    with Node(fresh.url) as node:
        node.request("anvil_setChainId", [8453])
        with pytest.raises(LocalChainsOnly) as caught:
            deploy(node, fresh.accounts["operator"], test_token=True)
        assert caught.value.chain_id == 8453
        assert node.block().number == 0  # nothing was sent
    with Node(fresh.url) as node:
        manifest = deploy(node, fresh.accounts["operator"], test_token=False)
        verify(node, manifest)
        assert manifest.chain_id == 8453
        assert manifest.address("SessionEscrow") == address_on_every_chain("SessionEscrow")


def test_anyones_key_deploys_to_the_same_addresses(fresh: LocalChain, ganache: Place) -> None:
    with Node(fresh.url) as node:
        manifest = deploy(node, fresh.accounts["client"], test_token=True)
    for name in CONTRACTS:
        assert manifest.address(name) == ganache.manifest.address(name)


def test_the_deployed_token_and_escrow_work(place: Place, node: Node) -> None:
    token, escrow = place.manifest.address("TestUSD"), place.manifest.address("SessionEscrow")
    key = place.key("payer")
    sender = Sender(node, key)
    before = node.read(calls.balance_of(escrow, token, key.address))
    sender.transact(token, calls.mint(key.address, 70))
    sender.transact(token, calls.approve(escrow, 70))
    sender.transact(escrow, calls.deposit(token, key.address, 70))
    assert node.read(calls.balance_of(escrow, token, key.address)) == before + 70


def test_a_manifest_is_read_as_it_was_written(anvil: Place, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "manifest.json"
    anvil.manifest.save(path)
    assert Manifest.load(path) == anvil.manifest
    written = json.loads(path.read_text())
    assert written["chain_id"] == 31337
    assert written["genesis_hash"] == to_hex(anvil.manifest.genesis_hash)
    assert written["contracts"]["TipJar"]["address"] == shown(anvil.manifest.address("TipJar"))
    assert [each.name for each in path.parent.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "list"),
        ("{}", "chain_id"),
        ('{"chain_id": 1, "genesis_hash": "0x12", "block": 1, "contracts": {}}', "32 bytes"),
        (
            '{"chain_id": 1, "genesis_hash": "0x%s", "block": 1, "contracts": {"TipJar": {}}}'
            % ("00" * 32),
            "address",
        ),
    ],
)
def test_a_file_that_is_no_manifest_is_told(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(ManifestUnreadable, match=reason) as caught:
        Manifest.load(path)
    assert caught.value.path == path


def test_a_manifest_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestUnreadable, match="No such file"):
        Manifest.load(tmp_path / "none.json")
