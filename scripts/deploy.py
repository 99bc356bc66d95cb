"""The contracts at the addresses that they have on every chain, with Brownie.

    scripts/brownie run deploy --network ganache-cli

Brownie compiles them itself; since its bytecode is the one that Honorarium ships, the CREATE2
deployer puts it at the same addresses as `honorarium deploy`. What is there already stays. With the
variable MANIFEST set, a manifest for `honorarium deploy --verify` is written to that file.
"""

import json
import os
from pathlib import Path

from brownie import SessionEscrow, TestUSD, TipJar, accounts, web3
from eth_utils import keccak, to_checksum_address

SALT = keccak(text="Honorarium 1")
LOCAL_CHAINS = (1337, 31337)

DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
# Signed by nobody: the account follows from the signature, and its first transaction is this one.
DEPLOYER_ACCOUNT = "0x3fAB184622Dc19b6109349B94811493BF2a45362"
DEPLOYER_COST = 10**16  # wei
DEPLOYER_TRANSACTION = (
    "0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe7f"
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b80825250505060"
    "14600cf31ba02222222222222222222222222222222222222222222222222222"
    "222222222222a022222222222222222222222222222222222222222222222222"
    "22222222222222"
)


def address_of(contract):
    """Where CREATE2 puts this contract."""
    created = keccak(hexstr=contract.bytecode)
    return to_checksum_address(keccak(b"\xff" + bytes.fromhex(DEPLOYER[2:]) + SALT + created)[12:])


def bring_up_deployer(account):
    if web3.eth.get_code(DEPLOYER):
        return
    account.transfer(DEPLOYER_ACCOUNT, DEPLOYER_COST, silent=True)
    web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(DEPLOYER_TRANSACTION))
    assert web3.eth.get_code(DEPLOYER), "the CREATE2 deployer did not come up"


def deploy(account):
    """Each contract by its name, at its address; `account` pays for what is missing."""
    bring_up_deployer(account)
    wanted = [SessionEscrow, TipJar]
    if web3.eth.chain_id in LOCAL_CHAINS:
        wanted.append(TestUSD)
    deployed = {}
    for contract in wanted:
        address = address_of(contract)
        if not web3.eth.get_code(address):
            account.transfer(DEPLOYER, data="0x" + SALT.hex() + contract.bytecode, silent=True)
        assert web3.eth.get_code(address), f"{contract._name} did not come up at {address}"
        deployed[contract._name] = contract.at(address)
    return deployed


def write_manifest(path, deployed):
    code = {name: web3.eth.get_code(each.address) for name, each in deployed.items()}
    manifest = {
        "chain_id": web3.eth.chain_id,
        "genesis_hash": "0x" + bytes(web3.eth.get_block(0)["hash"]).hex(),
        "block": first_block(each.address for each in deployed.values()),
        "contracts": {
            name: {"address": each.address, "code_hash": "0x" + keccak(bytes(code[name])).hex()}
            for name, each in deployed.items()
        },
    }
    Path(path).write_text(json.dumps(manifest, indent=2) + "\n")


def first_block(addresses):
    """The first block after which one of the contracts was there."""
    low, high = 0, web3.eth.block_number
    addresses = list(addresses)
    while low < high:
        middle = (low + high) // 2
        if any(web3.eth.get_code(each, block_identifier=middle) for each in addresses):
            high = middle
        else:
            low = middle + 1
    return low


def main():
    deployed = deploy(accounts[0])
    for name, contract in deployed.items():
        print(f"{name:<14} {contract.address}")
    if os.environ.get("MANIFEST"):
        write_manifest(os.environ["MANIFEST"], deployed)
    return deployed
