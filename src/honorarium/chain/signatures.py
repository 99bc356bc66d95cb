"""Whether an account signed a digest: by its key, or as a contract wallet (ERC-1271)."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode

from honorarium.chain.node import AsyncNode, from_hex, to_hex
from honorarium.errors import BadSignature, ContractError, NodeError
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash
from honorarium.protocol.keys import Signature, recover

GAS: Final = 300_000
"""What a wallet may use up to look at a signature."""

_VALID: Final = keccak(b"isValidSignature(bytes32,bytes)")[:4]


async def signed(node: AsyncNode, account: Address, digest: Hash, signature: bytes) -> bool:
    """Whether `account` signed `digest`. Its key counts first: an account with a key may carry code
    (EIP-7702). Raises what asking a node raises.
    """
    try:
        if recover(digest, Signature.from_bytes(signature)) == account:
            return True
    except BadSignature:
        pass  # a wallet's may look like anything
    if not await node.code(account):
        return False
    data = _VALID + encode(("bytes32", "bytes"), (digest, signature))
    asked = {"to": to_hex(account), "data": to_hex(data), "gas": hex(GAS)}
    try:
        said = from_hex(await node.request("eth_call", [asked, "latest"]))
    except (ContractError, NodeError, ValueError):
        return False
    return said == _VALID.ljust(32, b"\0")
