"""HTTP and WebSocket, in the two ways of `chain.wire`: with and without an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import requests
from websockets.asyncio.client import ClientConnection as AsyncioConnection
from websockets.asyncio.client import connect as connect_asyncio
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection as BlockingConnection
from websockets.sync.client import connect as connect_blocking

from honorarium.chain.wire import UNUSABLE, Silence, silence_of

LONGEST_FRAME = 2**22  # bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever it says. The headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Socket(Protocol):
    """An open WebSocket. Its methods raise Silence once it is broken."""

    async def send(self, text: str) -> None: ...

    async def receive(self, timeout: float | None = None) -> str | None:
        """The next message; None if none came within `timeout` seconds."""

    async def close(self) -> None: ...


class Web(Protocol):
    """What is asked at one address. Its methods raise Silence if no answer came."""

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply: ...

    async def listen(self, path: str, headers: Mapping[str, str]) -> Socket:
        """Opens a WebSocket."""

    async def close(self) -> None: ...


MakeWeb = Callable[[str, float], Web]


class BlockingWeb:
    """Blocks until the answer is there; for one thread."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self._timeout = url, timeout
        self._session = requests.Session()

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        try:
            found = self._session.request(
                method,
                self._url + path,
                headers=dict(headers),
                data=body,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except UNUSABLE as error:
            raise silence_of(error) from None
        return Reply(found.status_code, _lower(found.headers), found.content)

    async def listen(self, path: str, headers: Mapping[str, str]) -> Socket:
        try:
            return BlockingSocket(
                connect_blocking(
                    _socket_url(self._url, path),
                    additional_headers=dict(headers),
                    open_timeout=self._timeout,
                    max_size=LONGEST_FRAME,
                )
            )
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            raise _no_socket(error) from None

    async def close(self) -> None:
        self._session.close()


class BlockingSocket:
    """A WebSocket for one thread."""

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            self._connection.send(text)
        except (ConnectionClosed, OSError) as error:
            raise _broken(error) from None

    async def receive(self, timeout: float | None = None) -> str | None:
        try:
            return str(self._connection.recv(timeout, decode=True))
        except TimeoutError:
            return None
        except (ConnectionClosed, OSError) as error:
            raise _broken(error) from None

    async def close(self) -> None:
        self._connection.close()


class AsyncioWeb:
    """Leaves the event loop free while it waits; for one event loop."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self._timeout = url, timeout
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        if self._session is None:
            limit = aiohttp.ClientTimeout(total=self._timeout)
            self._session = aiohttp.ClientSession(timeout=limit)
        try:
            async with self._session.request(
                method, self._url + path, headers=headers, data=body, allow_redirects=False
            ) as found:
                return Reply(found.status, _lower(found.headers), await found.read())
        except UNUSABLE as error:
            raise silence_of(error) from None

    async def listen(self, path: str, headers: Mapping[str, str]) -> Socket:
        try:
            return AsyncioSocket(
                await connect_asyncio(
                    _socket_url(self._url, path),
                    additional_headers=dict(headers),
                    open_timeout=self._timeout,
                    max_size=LONGEST_FRAME,
                )
            )
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            raise _no_socket(error) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class AsyncioSocket:
    """A WebSocket for one event loop."""

    def __init__(self, connection: AsyncioConnection) -> None:
        self._connection = connection
        self._next: asyncio.Task[str] | None = None  # what comes next, whoever waits for it

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except (ConnectionClosed, OSError) as error:
            raise _broken(error) from None

    async def receive(self, timeout: float | None = None) -> str | None:
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        await asyncio.wait({self._next}, timeout=timeout)
        if not self._next.done():
            return None
        found, self._next = self._next, None
        try:
            return found.result()
        except (ConnectionClosed, OSError) as error:
            raise _broken(error) from None

    async def _receive(self) -> str:
        return str(await self._connection.recv(decode=True))

    async def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        await self._connection.close()


def _socket_url(url: str, path: str) -> str:
    return "ws" + url.removeprefix("http") + path  # https becomes wss


def _broken(error: Exception) -> Silence:
    said = error.rcvd if isinstance(error, ConnectionClosed) else None
    reason = f"it closed the connection: {said.reason}" if said and said.reason else str(error)
    return Silence(reason or "the connection broke", lost=True)


def _no_socket(error: Exception) -> Silence:
    response = getattr(error, "response", None)
    if response is not None:
        return Silence(f"it answered HTTP {response.status_code}", status=response.status_code)
    return Silence(str(error) or type(error).__name__, lost=isinstance(error, OSError))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
