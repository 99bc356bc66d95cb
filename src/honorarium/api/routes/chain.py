"""Reading the chain without a node of one's own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from honorarium.api.deps import TheFront
from honorarium.desk.chain_reads import READS

router = APIRouter(prefix="/v1/chain", tags=["chain"])

_EXAMPLES: dict[str, Any] = {
    "one": {"value": {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}},
    "many": {
        "value": [
            {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
            {"jsonrpc": "2.0", "id": 2, "method": "eth_gasPrice", "params": []},
        ]
    },
}


@router.post(
    "",
    summary="Read the chain (JSON-RPC)",
    description="Passes reads on to the desk's node, one or a batch; `Idempotency-Key` changes "
    f"nothing here. Methods: {', '.join(READS)}. eth_getLogs spans a bounded number of blocks and "
    "names its addresses, eth_call may ask any contract, within a limit of gas.",
)
async def post_chain(
    front: TheFront,
    asked: Annotated[dict[str, Any] | list[dict[str, Any]], Body(openapi_examples=_EXAMPLES)],
) -> Any:
    """Passes reads on."""
    return await front.reads.answer(asked)
