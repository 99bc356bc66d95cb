"""One process that serves a desk."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import uvicorn

from honorarium.api import logs
from honorarium.api.app import create_app
from honorarium.api.patience import BACKLOG, server_settings
from honorarium.desk import Desk, Settings
from honorarium.errors import InputError
from honorarium.protocol import Key

OTHER_FILES: Final = 500
"""Open files beside connections: the ledger, the node, locks."""


class NotListening(InputError):
    """A place where this machine cannot listen. Nothing was begun."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host, self.port, self.reason = host, port, reason
        super().__init__(
            f"the desk cannot listen on {host}, port {port}: {reason}; end what listens there, or "
            "name another --host or --port"
        )


def run(settings: Settings, key: Key, ready: Callable[[Desk], None]) -> None:
    """Serves until SIGINT or SIGTERM, and ends in good order; `ready` is called once it listens.

    Raises NotListening, and what `Desk.connect` raises.
    """
    logs.set_up(settings.log_level)
    allow_open_files(settings.connections + OTHER_FILES)
    _run(_serve(settings, key, ready))


async def _serve(settings: Settings, key: Key, ready: Callable[[Desk], None]) -> None:
    with _places(settings.host, settings.port) as places:
        async with await Desk.connect(settings, key) as desk:
            await desk.begin()
            server = _Server(uvicorn.Config(create_app(desk), **server_settings(settings)))
            _listen(places, settings)
            ready(desk)
            await server.serve(places)


class _Server(uvicorn.Server):
    """Uvicorn raises the signal that stopped it once more, which would end the process before the
    desk has let go of its ledger.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


@contextmanager
def _places(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Sockets at every address of the host, which are taken, and do not listen yet: who asks while
    the desk is set up is refused, and does not wait.
    """
    with ExitStack() as stack:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            places = []
            for family, kind, protocol, _, address in dict.fromkeys(found):
                place = stack.enter_context(socket.socket(family, kind, protocol))
                place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                place.bind(address)
                places.append(place)
        except OSError as error:
            raise NotListening(host, port, error.strerror or str(error)) from None
        yield places


def _listen(places: list[socket.socket], settings: Settings) -> None:
    """Raises NotListening, if somebody else was there first."""
    try:
        for place in places:
            place.listen(BACKLOG)
    except OSError as error:
        raise NotListening(settings.host, settings.port, error.strerror or str(error)) from None


def allow_open_files(wanted: int) -> None:
    """Each connection is an open file, and many systems begin with 1,024 of them; the limit may be
    raised up to a second one.
    """
    if sys.platform == "win32":
        return
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now != resource.RLIM_INFINITY and now < wanted:
        raised = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, most))


def _run(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
