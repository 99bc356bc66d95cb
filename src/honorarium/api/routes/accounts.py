"""Money: balances, deposits, withdrawals."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from honorarium.api.deps import AnAddress, TheDoing, TheFront, address_of
from honorarium.api.models import BalancesModel, SentModel, Signed
from honorarium.api.routes.actions import relayed
from honorarium.chain.deploy import shown
from honorarium.desk.front import TOKENS

router = APIRouter(prefix="/v1", tags=["accounts"])


@router.get(
    "/accounts/{address}/balances", summary="What an account has", response_model=BalancesModel
)
async def get_balances(
    front: TheFront,
    address: AnAddress,
    token: Annotated[
        list[str] | None,
        Query(max_length=TOKENS, description="tokens; none: those of the account's sessions"),
    ] = None,
) -> dict[str, Any]:
    """In the escrow, and in its own wallet."""
    tokens = [address_of(each) for each in token or ()]
    return {
        "account": shown(address),
        "balances": [
            {
                "token": shown(each.token.address),
                "symbol": each.token.symbol,
                "decimals": each.token.decimals,
                "balance": str(each.balance.base_units),
                "wallet": str(each.wallet.base_units),
            }
            for each in await front.balances(address, tokens)
        ],
    }


@router.post("/deposits", summary="Fill a balance", response_model=SentModel)
async def post_deposit(front: TheFront, do: TheDoing, body: Signed) -> Response:
    """By the account's authorization, from its wallet."""
    return await relayed(front, do, "deposit", body)


@router.post("/withdrawals", summary="Pay out a balance", response_model=SentModel)
async def post_withdrawal(front: TheFront, do: TheDoing, body: Signed) -> Response:
    """By the account's signed Withdrawal."""
    return await relayed(front, do, "withdraw", body)
