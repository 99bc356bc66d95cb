"""Where a desk is: its address, the way to its chain, and what it says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from honorarium.chain import AsyncNode, Manifest
from honorarium.chain.wire import Asked, AsyncioWire, BlockingWire, Silence, Wire
from honorarium.remote.api import AsyncApi
from honorarium.remote.problems import DeskRefused
from honorarium.remote.refusals import NotADesk
from honorarium.remote.values import Facts
from honorarium.remote.web import MakeWeb

CHAIN: Final = "/v1/chain"
"""Where a desk answers as a node does."""


def chain_at(url: str) -> str:
    """Where the desk at `url` answers as a node does. Raises NotADesk."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotADesk(url, "it does not begin with http:// or https://")
    return url.rstrip("/") + CHAIN


class _Through:
    """A wire to a desk's node. When that is down, the desk itself is there, and says so."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.sleep, self.aside, self.close = wire.sleep, wire.aside, wire.close

    async def ask(self, method: str, params: Sequence[Any], *, within: float | None = None) -> Any:
        try:
            return await self._wire.ask(method, params, within=within)
        except Silence as silence:
            raise _told(silence) from None

    async def ask_many(self, asked: Asked) -> Any:
        try:
            return await self._wire.ask_many(asked)
        except Silence as silence:
            raise _told(silence) from None


def _told(silence: Silence) -> Silence:
    if silence.status == 503:
        silence.reason = "the desk is there, but its own node does not answer it (HTTP 503)"
    return silence


def blocking_through(url: str, timeout: float) -> Wire:
    """A wire to the node of a desk, as BlockingWire."""
    return _Through(BlockingWire(url, timeout))


def asyncio_through(url: str, timeout: float) -> Wire:
    """A wire to the node of a desk, as AsyncioWire."""
    return _Through(AsyncioWire(url, timeout))


async def deployment(node: AsyncNode, web: MakeWeb, given: Manifest | Path | None) -> Manifest:
    """The manifest that is named, or the one that the desk names.

    Raises NotADesk, DeskUnreachable, ManifestUnreadable.
    """
    if isinstance(given, Path):
        return Manifest.load(given)
    if given is not None:
        return given
    api = AsyncApi(node.url.removesuffix(CHAIN), node.wire, web)
    try:
        return (await facts_of(api)).manifest
    finally:
        await api.close()


async def facts_of(api: AsyncApi) -> Facts:
    """What the desk says of itself. Raises NotADesk, DeskUnreachable."""
    try:
        return Facts.of(await api.call("GET", "/v1"))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise NotADesk(api.url, f"what it says of itself is not understood ({error!r})") from None
    except DeskRefused as refused:
        said = " ".join(refused.detail.split())  # a page, perhaps
        raise NotADesk(api.url, f"it answered HTTP {refused.status}, {said!r}") from None
