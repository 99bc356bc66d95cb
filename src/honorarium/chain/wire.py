"""Waiting, in two ways: how the same logic serves programs with and without asyncio.

What waits (for a node, a disk, a wallet) is written once, as coroutines over a `Wire`. On asyncio
they are awaited as they are. Elsewhere a wire is used that never suspends: it blocks until the
answer is there, so `drive` runs a coroutine to its end in one go, without an event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import aiohttp
import requests
from web3 import AsyncHTTPProvider, HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

T = TypeVar("T")
P = ParamSpec("P")
C = TypeVar("C", covariant=True)

Asked = Sequence[tuple[str, Sequence[Any]]]
"""JSON-RPC requests: (method, parameters), ..."""


class Silence(Exception):
    """No usable answer came. `lost`: the connection broke, or nobody waited long, which says
    nothing about the node.

    `status` is HTTP's, 0 if there was none; `retry_after` in seconds, if the node said it.
    """

    def __init__(
        self, reason: str, *, lost: bool = False, status: int = 0, retry_after: float | None = None
    ) -> None:
        self.reason, self.lost, self.status, self.retry_after = reason, lost, status, retry_after
        super().__init__(reason)


class Wire(Protocol):
    """What coroutines of this package wait on."""

    async def ask(self, method: str, params: Sequence[Any], *, within: float | None = None) -> Any:
        """The answer to one JSON-RPC request, errors included. Raises Silence: `lost` if there was
        no answer within so many seconds, fewer than are waited for otherwise.
        """

    async def ask_many(self, asked: Asked) -> Any:
        """The answers to a batch. Raises Silence."""

    async def sleep(self, seconds: float) -> None: ...

    async def aside(self, work: Callable[[], T]) -> T:
        """The result of work that blocks: a disk, a wallet that asks its owner."""

    async def close(self) -> None:
        """Closes the connection; the next request opens a new one."""


class BlockingWire:
    """Blocks until the answer is there; each thread that asks meanwhile has its own connection."""

    def __init__(self, url: str, timeout: float) -> None:
        self._session, self._url, self._timeout = requests.Session(), url, timeout
        self._provider = self._waiting(timeout)

    def _waiting(self, timeout: float) -> HTTPProvider:
        return HTTPProvider(
            self._url,
            # Nobody but the node is asked, wherever it points.
            request_kwargs={"timeout": timeout, "allow_redirects": False},
            session=self._session,
            exception_retry_configuration=None,
        )

    async def ask(self, method: str, params: Sequence[Any], *, within: float | None = None) -> Any:
        provider = self._provider
        if within is not None:
            provider = self._waiting(min(within, self._timeout))
        try:
            return provider.make_request(RPCEndpoint(method), list(params))
        except UNUSABLE as error:
            raise silence_of(error, in_a_hurry=within is not None) from None

    async def ask_many(self, asked: Asked) -> Any:
        try:
            return self._provider.make_batch_request(_endpoints(asked))
        except UNUSABLE as error:
            raise silence_of(error) from None

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def aside(self, work: Callable[[], T]) -> T:
        return work()

    async def close(self) -> None:
        self._session.close()


class AsyncioWire:
    """Leaves the event loop free while it waits; for one event loop."""

    def __init__(self, url: str, timeout: float) -> None:
        self._provider = AsyncHTTPProvider(
            url,
            request_kwargs={
                "timeout": aiohttp.ClientTimeout(total=timeout),
                "allow_redirects": False,
            },
            exception_retry_configuration=None,
        )

    async def ask(self, method: str, params: Sequence[Any], *, within: float | None = None) -> Any:
        try:
            async with asyncio.timeout(within):
                return await self._provider.make_request(RPCEndpoint(method), list(params))
        except UNUSABLE as error:
            raise silence_of(error, in_a_hurry=within is not None) from None

    async def ask_many(self, asked: Asked) -> Any:
        try:
            return await self._provider.make_batch_request(_endpoints(asked))
        except UNUSABLE as error:
            raise silence_of(error) from None

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def aside(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    async def close(self) -> None:
        await self._provider.disconnect()


# ---------------------------------------------------------------------- without an event loop


def drive(waiting: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that waits on blocking wires only, to its end."""
    try:
        waiting.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    waiting.close()
    raise RuntimeError("a coroutine over a blocking wire suspended; it needs an event loop")


def drive_iter(items: AsyncIterator[T]) -> Iterator[T]:
    """The items of an asynchronous iterator that waits on blocking wires only."""
    while True:
        try:
            yield drive(_next(items))
        except StopAsyncIteration:
            return


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


class Blocking(Protocol[C]):
    """A class whose methods are those of its `core`, but return when all is done."""

    @property
    def core(self) -> C: ...


def blocking(
    method: Callable[Concatenate[C, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Blocking[C], P], T]:
    """The method of a class with a `core` that waits for what the core's coroutine gives."""

    @wraps(method)
    def wait(self: Blocking[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return drive(method(self.core, *args, **kwargs))

    return wait


# ---------------------------------------------------------------------- what went wrong

# Errors of the libraries quote the node's whole address, and with it an access key: they are not
# shown along.
UNUSABLE = (
    requests.RequestException,
    aiohttp.ClientError,
    TimeoutError,
    Web3Exception,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
)
"""How it shows that no usable answer came: no connection, an error of HTTP, no JSON-RPC."""


def _endpoints(asked: Asked) -> list[tuple[RPCEndpoint, Any]]:
    return [(RPCEndpoint(method), list(params)) for method, params in asked]


def silence_of(error: Exception, *, in_a_hurry: bool = False) -> Silence:
    if isinstance(error, requests.Timeout | TimeoutError | aiohttp.ServerTimeoutError):
        return Silence("it did not answer in time", lost=in_a_hurry)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _refused(error.response.status_code, error.response.headers.get("Retry-After"))
    if isinstance(error, aiohttp.ClientResponseError):
        return _refused(error.status, error.headers.get("Retry-After") if error.headers else None)
    if isinstance(error, requests.exceptions.ChunkedEncodingError | aiohttp.ClientPayloadError):
        return Silence("the connection broke in the middle of its answer", lost=True)
    if isinstance(error, requests.ConnectionError | aiohttp.ClientConnectionError):
        cause: BaseException = error
        while cause.__context__ is not None:  # the socket's own words, below two libraries'
            cause = cause.__context__
        return Silence(str(cause) or type(cause).__name__, lost=True)
    return Silence(f"its answer is no JSON-RPC ({str(error)[:80] or type(error).__name__})")


def _refused(status: int, retry_after: str | None) -> Silence:
    try:
        wait = float(retry_after) if retry_after is not None else None
    except ValueError:  # a date
        wait = None
    if wait is not None and not 0 <= wait < float("inf"):  # a number that is no time
        wait = None
    return Silence(f"it answered HTTP {status}", status=status, retry_after=wait)
