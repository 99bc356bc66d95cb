"""What stands before every route: limits, time, the log, and what is said of a fault."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from honorarium.api.problems import BodyTooLong, BodyTooSlow, answer, fault_of
from honorarium.desk.front import Front
from honorarium.desk.limits import TooManyConnections, TooManyRequests, network_of
from honorarium.errors import HonorariumError

_log = structlog.get_logger("honorarium.requests")

SEND_SECONDS: Final = 30.0
"""So long a client may take to read a part of an answer."""

_UNCOUNTED: Final = frozenset(("/healthz", "/readyz", "/metrics"))
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """Stands before an app. It reads a body whole before the app sees any of it."""

    def __init__(self, app: ASGIApp, front: Front) -> None:
        self._app, self._front = app, front
        self._most = front.desk.settings.body_bytes
        self._seconds = front.desk.settings.body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    # ------------------------------------------------------------------ requests

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, request_id = time.monotonic(), secrets.token_hex(8)
        started: list[int] = []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message["status"])
                own = [(b"x-request-id", request_id.encode())]
                given = {name for name, _ in message["headers"]}
                own += [header for header in _HEADERS if header[0] not in given]
                message = {**message, "headers": [*message["headers"], *own]}
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        structlog.contextvars.bind_contextvars(request=request_id)
        try:
            with ExitStack() as stack:
                self._admit(scope, stack)
                body = await self._body(scope, receive)
                await self._app(scope, _read(body, receive), sending)
        except TimeoutError:
            if not started:
                raise
            _log.info("slow client", path=scope["path"])
        except HonorariumError as error:
            if not started:
                await answer(error)(scope, receive, sending)
        except Exception as error:  # nobody is shown a traceback
            told = fault_of(error)
            if not started:
                await answer(told)(scope, receive, sending)
        finally:
            self._count(scope, started[0] if started else 0, time.monotonic() - began)
            structlog.contextvars.unbind_contextvars("request")

    def _admit(self, scope: Scope, stack: ExitStack) -> None:
        """Raises TooManyRequests, TooManyConnections."""
        if scope["path"] in _UNCOUNTED:
            return
        who = _who(scope)
        with self._refusing():
            self._front.limits.count("requests", who)
            if scope["type"] == "websocket" or scope["path"].endswith("/events"):
                stack.enter_context(self._front.limits.connected(who))
                stack.enter_context(self._front.figures.sockets.track_inprogress())

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (TooManyRequests, TooManyConnections) as error:
            self._front.figures.refused.labels(type(error).slug).inc()
            raise

    async def _body(self, scope: Scope, receive: Receive) -> list[Message]:
        """The request's body. Raises BodyTooLong, BodyTooSlow."""
        headers = dict(scope["headers"])
        said = headers.get(b"content-length", b"0")
        if said.isdigit() and int(said) > self._most:
            raise BodyTooLong(self._most)
        if said in (b"", b"0") and b"transfer-encoding" not in headers:
            return []
        parts: list[bytes] = []
        length = 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return [message]  # the client is gone
                    parts.append(message.get("body", b""))
                    length += len(parts[-1])
                    if length > self._most:
                        raise BodyTooLong(self._most)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise BodyTooSlow(self._seconds) from None
        return [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        figures, method = self._front.figures, scope["method"]
        known = method if method in ("GET", "POST", "PUT", "DELETE", "HEAD") else "other"
        figures.requests.labels(known, route, str(status)).inc()
        figures.seconds.labels(known, route).observe(seconds)
        if scope["path"] not in _UNCOUNTED:
            _log.info(
                "request",
                method=known,
                route=route,
                status=status,
                milliseconds=round(1_000 * seconds, 1),
                client=_who(scope),
            )

    # ------------------------------------------------------------------ WebSockets

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with ExitStack() as stack:
                self._admit(scope, stack)
                await self._app(scope, receive, send)
        except HonorariumError as error:
            await _deny(scope, receive, send, error)
        except Exception as error:
            await _deny(scope, receive, send, fault_of(error))


async def _deny(scope: Scope, receive: Receive, send: Send, error: HonorariumError) -> None:
    """Before a socket is accepted it can be answered; after that, only closed."""
    response = answer(error)
    if "websocket.http.response" not in scope.get("extensions", {}):
        await _quietly(send, {"type": "websocket.close", "code": 1008})
        return
    start = {
        "type": "websocket.http.response.start",
        "status": response.status_code,
        "headers": response.raw_headers,
    }
    if await _quietly(send, start):
        body = {"type": "websocket.http.response.body", "body": response.body}
        await _quietly(send, body)
    else:
        await _quietly(send, {"type": "websocket.close", "code": 1011})


async def _quietly(send: Send, message: Message) -> bool:
    """Whether it could still be said."""
    try:
        await send(message)
    except Exception:  # servers differ in what they raise once a socket is accepted or gone
        return False
    return True


def _read(body: list[Message], receive: Receive) -> Receive:
    async def receiving() -> Message:
        return body.pop() if body else await receive()

    return receiving


def _who(scope: Scope) -> str:
    client: Any = scope.get("client")
    return network_of(client[0]) if client else "unknown"
