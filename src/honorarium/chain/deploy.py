"""Putting the contracts on a chain, and knowing them again.

The contracts take no arguments and go through the keyless CREATE2 deployer that chains have in
common, so they have the same addresses on every chain; what stands there can be nothing else. A
manifest says where they are on one chain and which chain that is: its id and its first block.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal, Self

from eth_utils.address import to_checksum_address

from honorarium.artifacts import CONTRACTS, ContractName, artifact
from honorarium.chain import calls
from honorarium.chain.node import AsyncNode, Node, from_hex, to_hex
from honorarium.chain.send import Sender
from honorarium.chain.wire import drive
from honorarium.errors import (
    ChainError,
    ChainReset,
    InputError,
    LocalChainsOnly,
    NodeError,
    NoDeployment,
    NotOurCode,
    WrongChain,
)
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash
from honorarium.protocol.keys import Key
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, BlockNumber, Bps, Seconds, UnixTime

SALT: Final = Hash(keccak(b"Honorarium 1"))
"""With another salt the contracts would have other addresses."""

LOCAL_CHAINS: Final = (1337, 31337)
"""The only chains that TestUSD lets itself be put on."""

DEPLOYER: Final = Address(bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c"))
_DEPLOYER_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
# Nobody has the key of the account that this transaction comes from: its signature was made up, so
# that the account follows from it. Whoever pays the account may broadcast it, on any chain.
_DEPLOYER_TRANSACTION: Final = bytes.fromhex(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe" + _DEPLOYER_CODE.hex() + "1ba0"
    "2222222222222222222222222222222222222222222222222222222222222222a0"
    "2222222222222222222222222222222222222222222222222222222222222222"
)
_DEPLOYER_ACCOUNT: Final = Address(bytes.fromhex("3fab184622dc19b6109349b94811493bf2a45362"))
_DEPLOYER_COST: Final = 100_000 * 100_000_000_000  # gas times wei per gas, fixed by its signature


class DeployerMissing(ChainError):
    """The CREATE2 deployer is not on the chain, and could not be brought up."""

    def __init__(self, chain_id: int, reason: str) -> None:
        self.chain_id, self.reason = chain_id, reason
        super().__init__(
            f"the CREATE2 deployer {shown(DEPLOYER)} is not on chain {chain_id} and could not be "
            f"brought up: {reason}; the chain's operator has to put it there"
        )


class ManifestUnreadable(InputError):
    """A file that is no deployment's manifest."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} is not readable as a manifest: {reason}; `honorarium deploy` writes a new one"
        )


@dataclass(frozen=True, slots=True)
class Deployed:
    """One contract on one chain. `code_hash` is the hash of its code as it stands there."""

    address: Address
    code_hash: Hash


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where the contracts are on one chain. Before `block` none of them was there."""

    chain_id: int
    genesis_hash: Hash
    block: BlockNumber
    contracts: Mapping[str, Deployed]

    def address(self, name: ContractName) -> Address:
        """Where a contract is. Raises NoDeployment if it is not on this chain."""
        if name not in self.contracts:
            raise NoDeployment(self.chain_id)
        return self.contracts[name].address

    @property
    def filename(self) -> str:
        """What its file is called if nobody says otherwise: no two chains share it."""
        return f"{self.chain_id}-{self.genesis_hash.hex()[:8]}.json"

    def save(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises ManifestUnreadable."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            manifest = cls(
                chain_id=int(found["chain_id"]),
                genesis_hash=Hash(_sized(found["genesis_hash"], 32)),
                block=BlockNumber(int(found["block"])),
                contracts={
                    str(name): Deployed(
                        Address(_sized(one["address"], 20)), Hash(_sized(one["code_hash"], 32))
                    )
                    for name, one in found["contracts"].items()
                },
            )
        except OSError as error:
            raise ManifestUnreadable(path, error.strerror or str(error)) from error
        except KeyError as error:
            raise ManifestUnreadable(path, f"it has no {error}") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise ManifestUnreadable(path, str(error)) from error
        return manifest

    def to_dict(self) -> dict[str, Any]:
        """As its file has it."""
        return {
            "chain_id": self.chain_id,
            "genesis_hash": to_hex(self.genesis_hash),
            "block": self.block,
            "contracts": {
                name: {"address": shown(one.address), "code_hash": to_hex(one.code_hash)}
                for name, one in self.contracts.items()
            },
        }


# ---------------------------------------------------------------------- putting them there


@cache
def address_on_every_chain(name: ContractName) -> Address:
    """Where CREATE2 puts this contract."""
    created = keccak(artifact(name).bytecode)
    return Address(keccak(b"\xff" + DEPLOYER + SALT + created)[12:])


def deploy(node: Node, key: Key, *, test_token: bool) -> Manifest:
    """Puts on the chain what is not there yet, paid for by `key`; what is there stays.

    `test_token`: TestUSD too. Raises LocalChainsOnly for it on any other chain, NotOurCode if
    something else stands at an address, DeployerMissing, and what sending raises.
    """
    names = wanted(test_token)
    if test_token and node.chain_id not in LOCAL_CHAINS:
        raise LocalChainsOnly(node.chain_id)
    sender = Sender(node, key)
    _bring_up_deployer(sender)
    found = {name: node.code(address_on_every_chain(name)) for name in names}
    blocks = [
        drive(_first_block(node.core, address_on_every_chain(name)))
        for name in names
        if found[name]
    ]
    for name in names:
        if not found[name]:
            receipt = sender.transact(DEPLOYER, SALT + artifact(name).bytecode)
            blocks.append(receipt.block)
    return replace(drive(_manifest(node.core, names)), block=min(blocks))


async def find_async(node: AsyncNode) -> Manifest:
    """The deployment on a chain of which no manifest is at hand.

    Raises NoDeployment if the contracts are not where CREATE2 puts them, NotOurCode if they differ.
    """
    there = [name for name in CONTRACTS if await node.code(address_on_every_chain(name))]
    if not {"SessionEscrow", "TipJar"} <= set(there):
        raise NoDeployment(await node.chain_id())
    return await _manifest(node, tuple(there))


def find(node: Node) -> Manifest:
    """As `find_async`, for programs without an event loop."""
    return drive(find_async(node.core))


def wanted(test_token: bool) -> tuple[ContractName, ...]:
    """The contracts of a deployment, in order."""
    return tuple(name for name in CONTRACTS if test_token or name != "TestUSD")


async def _manifest(node: AsyncNode, names: tuple[ContractName, ...]) -> Manifest:
    contracts: dict[str, Deployed] = {}
    for name in names:
        address = address_on_every_chain(name)
        contracts[name] = Deployed(address, Hash(keccak(await _our_code(node, name, address))))
    block = min([await _first_block(node, one.address) for one in contracts.values()])
    return Manifest(await node.chain_id(), await node.genesis_hash(), block, contracts)


def _bring_up_deployer(sender: Sender) -> None:
    node = sender.node
    if node.code(DEPLOYER) == _DEPLOYER_CODE:
        return
    used = int(node.request("eth_getTransactionCount", [to_hex(_DEPLOYER_ACCOUNT), "latest"]), 16)
    if used:
        raise DeployerMissing(node.chain_id, f"{shown(_DEPLOYER_ACCOUNT)} has sent something else")
    missing = _DEPLOYER_COST - node.balance(_DEPLOYER_ACCOUNT)
    if missing > 0:
        sender.transact(_DEPLOYER_ACCOUNT, b"", value=missing)
    try:
        node.request("eth_sendRawTransaction", [to_hex(_DEPLOYER_TRANSACTION)])
    except NodeError as error:
        raise DeployerMissing(node.chain_id, error.message) from error
    sender.receipt(Hash(keccak(_DEPLOYER_TRANSACTION)))
    if node.code(DEPLOYER) != _DEPLOYER_CODE:
        raise DeployerMissing(node.chain_id, "its transaction left other code there")


async def _first_block(node: AsyncNode, address: Address) -> BlockNumber:
    """The block that brought the code; 0 if the node kept no old states to tell it."""
    low, high = 0, int((await node.block()).number)
    try:
        while low < high:
            middle = (low + high) // 2
            if await node.code(address, middle):
                high = middle
            else:
                low = middle + 1
    except NodeError:
        return BlockNumber(0)
    return BlockNumber(low)


# ---------------------------------------------------------------------- knowing them again


async def attach_async(node: AsyncNode, manifest: Manifest) -> None:
    """Makes sure that `node` serves the manifest's chain, and that our contracts are on it.

    Raises WrongChain, ChainReset, NotOurCode.
    """
    chain_id, genesis = await node.chain_id(), await node.genesis_hash()
    if chain_id != manifest.chain_id:
        raise WrongChain(manifest.chain_id, chain_id)
    if genesis != manifest.genesis_hash:
        raise ChainReset(manifest.genesis_hash, genesis)
    for name in CONTRACTS:
        if name in manifest.contracts:
            await _our_code(node, name, manifest.contracts[name].address)


def attach(node: Node, manifest: Manifest) -> None:
    """As `attach_async`, for programs without an event loop."""
    drive(attach_async(node.core, manifest))


def verify(node: Node, manifest: Manifest) -> None:
    """As `attach`, and the escrow names the domain and the session ids that this package computes.

    Raises as `attach`; NotOurCode also if the manifest's hash differs or the escrow answers
    otherwise.
    """
    attach(node, manifest)
    for name in CONTRACTS:
        if name in manifest.contracts:
            one = manifest.contracts[name]
            found = keccak(node.code(one.address))
            if found != one.code_hash:
                raise NotOurCode(name, one.address, one.code_hash, found)
    escrow = manifest.address("SessionEscrow")
    domain = Domain(node.chain_id, escrow)
    sample = _sample()
    answered = node.read(calls.session_id_of(escrow, sample))
    if node.read(calls.token_domain(escrow)) != domain or answered != sample.session_id(domain):
        expected = artifact("SessionEscrow").code_hash
        raise NotOurCode("SessionEscrow", escrow, expected, keccak(node.code(escrow)))


async def _our_code(node: AsyncNode, name: ContractName, address: Address) -> bytes:
    """The code at `address`. Raises NotOurCode unless it is this contract's, for this chain."""
    ours = artifact(name)
    code = await node.code(address)
    if not code:
        raise NotOurCode(name, address, ours.code_hash, None)
    if ours.hash_of_code(code) != ours.code_hash:
        raise NotOurCode(name, address, ours.code_hash, keccak(code))
    cached = {code[start : start + length] for start, length in ours.immutables}
    if cached != _immutables(name, await node.chain_id(), address):
        raise NotOurCode(name, address, ours.code_hash, keccak(code))
    return code


def code_hashes(
    name: Literal["SessionEscrow", "TipJar"], chain_id: int, address: Address
) -> frozenset[Hash]:
    """What the code of this contract can hash to at `address`: for whoever has the hash alone.

    Several, because an artifact says where immutables lie and not which lies where.
    """
    ours = artifact(name)
    words = sorted(_immutables(name, chain_id, address))
    found = set()
    for cached in product(words, repeat=len(ours.immutables)):
        if set(cached) != set(words):
            continue
        code = bytearray(ours.deployed_bytecode)
        for (start, length), word in zip(ours.immutables, cached, strict=True):
            code[start : start + length] = word
        found.add(Hash(keccak(bytes(code))))
    return frozenset(found)


def _immutables(name: ContractName, chain_id: int, address: Address) -> set[bytes]:
    """The words that the constructor leaves in the code: what it cached of chain and domain."""
    chain = chain_id.to_bytes(32, "big")
    if name == "SessionEscrow":
        return {chain, Domain(chain_id, address).separator}
    if name == "TestUSD":
        domain = Domain(chain_id, address, "Test USD", "1")
        words = {chain, domain.separator, address.rjust(32, b"\0")}
        for text in (domain.name.encode(), domain.version.encode()):
            # As a hash, and as OpenZeppelin's ShortString: the text, its length in the last byte.
            words |= {keccak(text), text.ljust(31, b"\0") + bytes((len(text),))}
        return words
    return set()


def _sample() -> Terms:
    """Terms in which every field is another number."""
    account = [Address(bytes([n]) * 20) for n in range(1, 7)]
    tariff = Tariff(BaseUnits(11), BaseUnits(12), Seconds(13), 14, 15, BaseUnits(16), max_units=17)
    return Terms(
        client=account[0],
        payer=account[1],
        advisor=account[2],
        meter_key=account[3],
        token=account[4],
        tariff=tariff,
        fee_bps=Bps(18),
        fee_recipient=account[5],
        open_before=UnixTime(19),
        close_grace=Seconds(20),
        context=Hash(bytes([21]) * 32),
        salt=22,
    )


def shown(address: Address) -> str:
    """An address for people, with its checksum (EIP-55)."""
    return str(to_checksum_address(address))


def _sized(text: str, length: int) -> bytes:
    data = from_hex(text)
    if len(data) != length:
        raise ValueError(f"{text} has not {length} bytes")
    return data
