"""What this desk is, and how it does."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from honorarium.api.deps import TheFront
from honorarium.api.models import FactsModel, Health
from honorarium.api.problems import NotReady
from honorarium.chain.deploy import shown
from honorarium.chain.node import to_hex
from honorarium.desk.chain_reads import BATCH

router = APIRouter(tags=["desk"])


@router.get("/v1", summary="What this desk is", response_model=FactsModel)
async def get_facts(front: TheFront) -> dict[str, Any]:
    """The chain, the contracts, the desk's key, and its limits."""
    desk, contracts = front.desk, front.contracts
    settings, manifest = desk.settings, contracts.manifest
    return {
        "name": settings.name,
        "version": version("honorarium"),
        "api": "v1",
        "url": settings.url,
        "chain": {
            "chainId": manifest.chain_id,
            "genesisHash": to_hex(manifest.genesis_hash),
            "escrow": shown(contracts.escrow.contract),
            "tipJar": shown(contracts.tip_jar),
            "testToken": shown(contracts.test_token) if contracts.test_token else None,
            "block": manifest.block,
        },
        "manifest": manifest.to_dict(),
        "acknowledger": shown(desk.address),
        "relayer": shown(front.sender.address),
        "confirmations": settings.confirmations,
        "enrolmentStatement": front.sign_ins.enrolment_statement,
        "limits": {
            "bodyBytes": settings.body_bytes,
            "requestsPerMinute": settings.requests_per_minute,
            "logBlocks": settings.log_blocks,
            "batch": BATCH,
        },
    }


@router.get("/healthz", summary="Whether this process lives", response_model=Health)
async def get_health() -> dict[str, str]:
    """Answers as long as the process does; it asks nobody."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether this replica can work", response_model=Health)
async def get_readiness(front: TheFront) -> dict[str, str]:
    """Asks the ledger and the node, and whether it is still the same chain, and whether the relayer
    can pay gas; 503 with what is wrong.
    """
    if faults := await front.faults():
        raise NotReady(faults)
    return {"status": "ready"}


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' own format"}},
)
async def get_metrics(front: TheFront) -> Response:
    """Counts and times of this replica since it started."""
    return Response(await front.measure(), media_type=front.figures.content_type)
