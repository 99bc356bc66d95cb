"""What became of transactions, and why one failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from honorarium.chain.node import AsyncNode, Node, from_hex, to_hex
from honorarium.chain.wire import drive
from honorarium.errors import ContractError, NodeError, NodeUnreachable
from honorarium.ids import Address, Hash
from honorarium.units import BlockNumber


@dataclass(frozen=True, slots=True)
class TxReceipt:
    """What became of a transaction. `gas_used` in gas, `gas_price` in wei per gas."""

    tx_hash: Hash
    block: BlockNumber
    ok: bool
    gas_used: int
    gas_price: int
    contract: Address | None
    logs: tuple[dict[str, Any], ...]  # as the node writes them; see `logs.decode`


def read_receipt(found: dict[str, Any]) -> TxReceipt:
    """A receipt as JSON-RPC writes it."""
    created = found.get("contractAddress")
    return TxReceipt(
        tx_hash=Hash(from_hex(found["transactionHash"])),
        block=BlockNumber(int(found["blockNumber"], 16)),
        ok=int(found["status"], 16) == 1,
        gas_used=int(found["gasUsed"], 16),
        gas_price=int(found.get("effectiveGasPrice") or "0x0", 16),
        contract=Address(from_hex(created)) if created else None,
        logs=tuple(found["logs"]),
    )


async def receipts_of(node: AsyncNode, hashes: Iterable[Hash]) -> list[TxReceipt | None]:
    """Many receipts, in batches; None for what is in no block."""
    wanted = list(hashes)
    answers = await node.batch([("eth_getTransactionReceipt", [to_hex(each)]) for each in wanted])
    try:
        read = [read_receipt(found) if found else None for found in answers]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NodeUnreachable(node.url, f"a receipt cannot be read ({error})") from error
    for tx_hash, receipt in zip(wanted, read, strict=True):
        if receipt is not None and receipt.tx_hash != tx_hash:
            raise NodeUnreachable(node.url, "it answers with another transaction's receipt")
    return read


def receipts(node: Node, hashes: Iterable[Hash]) -> list[TxReceipt | None]:
    """Many receipts, in batches; None for what is in no block."""
    return drive(receipts_of(node.core, hashes))


async def reason_of_async(node: AsyncNode, tx_hash: Hash) -> ContractError | None:
    """Why a transaction failed: the same call again, on the state before its block.

    None if it cannot be told: it does not fail there, or the node kept no such state. A reason that
    depends on the block's time, or on others in the same block, may differ.
    """
    found = await node.request("eth_getTransactionByHash", [to_hex(tx_hash)])
    # Its block by the receipt: Anvil for a moment still shows a mined transaction as a waiting one.
    mined = await node.request("eth_getTransactionReceipt", [to_hex(tx_hash)])
    if not found or not mined:
        return None
    call = {"from": found["from"], "data": found["input"], "value": found["value"]}
    call["gas"] = found["gas"]
    if found.get("to"):
        call["to"] = found["to"]
    number = int(mined["blockNumber"], 16)
    # The block itself has the right time; before it, nothing of it has happened yet.
    for block in (number - 1, number):
        try:
            await node.request("eth_call", [call, hex(block)])
        except ContractError as reason:
            return reason
        except NodeError:
            continue
    return None


def reason_of(node: Node, tx_hash: Hash) -> ContractError | None:
    """As `reason_of_async`, for programs without an event loop."""
    return drive(reason_of_async(node.core, tx_hash))
