"""The API of a desk: FastAPI, thin over what the desk does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute

from honorarium.api import problems
from honorarium.api.examples import add_examples
from honorarium.api.guard import Guard
from honorarium.api.routes import (
    accounts,
    actions,
    advisors,
    chain,
    meta,
    meter,
    quotes,
    sessions,
    sign_in,
    webhooks,
)
from honorarium.desk import Desk
from honorarium.desk.front import Front

_ABOUT: Final = """\
Settles paid advice for advisors and clients who don't run a node: it relays what they sign, takes
the meter's vouchers, settles them on the chain, and tells what happened. It holds nobody's keys and
nobody's money.

Amounts are base units as decimal text, times unix seconds, addresses and hashes 0x and hex. Every
error is a problem (RFC 9457). Every POST takes an `Idempotency-Key`.
"""

_TAGS: Final = (
    ("desk", "What this desk is, and how it does."),
    ("sign-in", "Signing in with a wallet (EIP-4361)."),
    ("advisors", "Who advises, and at which tariffs."),
    ("quotes", "Terms that the advisor signed."),
    ("sessions", "What was agreed, and what became of it."),
    ("actions", "Signed actions, sent by the desk, which pays the gas."),
    ("meter", "Vouchers of a running session, and its reading."),
    ("accounts", "Money: balances, earnings, deposits, withdrawals."),
    ("webhooks", "Being told what happens."),
    ("chain", "Reading the chain without a node of one's own."),
)


def create_app(desk: Desk) -> FastAPI:
    """The API over a desk that has begun."""
    front = Front(desk)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        front.start()
        try:
            yield
        finally:
            await front.stop()

    app = _Desk(
        title="Honorarium desk",
        version=version("honorarium"),
        summary="Paid advice, metered and settled on chain.",
        description=_ABOUT,
        openapi_url="/v1/openapi.json",
        openapi_tags=[{"name": name, "description": about} for name, about in _TAGS],
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=_operation,
        redirect_slashes=False,
        responses=problems.EVERYWHERE,
    )
    app.state.desk, app.state.front = desk, front
    app.add_middleware(Guard, front=front)
    if desk.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=desk.settings.origins,
            allow_methods=["*"],
            allow_headers=["authorization", "content-type", "idempotency-key"],
            expose_headers=["idempotent-replayed", "retry-after", "x-request-id"],
            max_age=3600,
        )
    problems.install(app)
    for each in (
        meta,
        sign_in,
        advisors,
        quotes,
        sessions,
        actions,
        meter,
        accounts,
        webhooks,
        chain,
    ):
        app.include_router(each.router)
    return app


def _operation(route: APIRoute) -> str:
    """What generated clients call it."""
    return route.name


class _Desk(FastAPI):
    """FastAPI, whose document knows what a problem is."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            found = super().openapi()
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = problems.PROBLEM
            add_examples(found)
            self.openapi_schema = found
        return self.openapi_schema
