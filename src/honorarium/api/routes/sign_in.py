"""Signing in with a wallet."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, status
from fastapi.responses import Response
from sqlalchemy import Connection

from honorarium.api.deps import TheCaller, TheDoing, TheFront, token_of
from honorarium.api.models import NonceModel, SignedMessage, TokenModel
from honorarium.chain.deploy import shown
from honorarium.desk.once import Answer
from honorarium.desk.sign_in import new_token

router = APIRouter(prefix="/v1/sign-in", tags=["sign-in"])


@router.post("/nonce", summary="Ask for something to sign", response_model=NonceModel)
async def post_nonce(front: TheFront, do: TheDoing) -> Response:
    """A nonce for one message, and what else that message has to say."""

    def commit(connection: Connection) -> Answer:
        nonce, until = front.sign_ins.nonce(connection)
        return Answer(
            200,
            {
                "nonce": nonce,
                "expiresAt": until,
                "domain": front.sign_ins.domain,
                "uri": front.sign_ins.url,
                "chainId": front.contracts.manifest.chain_id,
                "enrolmentStatement": front.sign_ins.enrolment_statement,
            },
        )

    async def prepare() -> Any:
        return commit

    return await do(prepare)


@router.post("", summary="Sign in", response_model=TokenModel)
async def post_sign_in(front: TheFront, do: TheDoing, body: SignedMessage) -> Response:
    """A token for the account that signed the message. The message counts once.

    With an Idempotency-Key the same message and signature give the same token again.
    """
    signature = bytes.fromhex(body.signature[2:])
    key = None if do.keyed is None else do.keyed.key
    token = new_token(body.message, signature, key)

    async def prepare() -> Any:
        message = await front.sign_ins.read(body.message, signature)

        def commit(connection: Connection) -> Answer:
            found = front.sign_ins.let_in(connection, message, token)
            told = {"account": shown(found.account), "expiresAt": found.expires_at}
            return Answer(200, told)

        return commit

    return await do(prepare, {"token": token})


@router.delete("", summary="Sign out", status_code=status.HTTP_204_NO_CONTENT)
async def delete_sign_in(request: Request, front: TheFront, who: TheCaller) -> Response:
    """The token counts no more."""
    token = token_of(request) or ""
    await front.aside.write(lambda c: front.sign_ins.let_out(c, token))
    return Response(status_code=204)
