"""One process that serves a desk."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn

from honorarium.api import logs
from honorarium.api.app import create_app
from honorarium.api.patience import server_settings
from honorarium.desk import Desk, Settings
from honorarium.protocol import Key


def run(settings: Settings, key: Key, ready: Callable[[Desk], None]) -> None:
    """Serves until SIGINT or SIGTERM; `ready` is called once it is about to listen.

    Raises what `Desk.connect` raises.
    """
    logs.set_up(settings.log_level)
    _run(_serve(settings, key, ready))


async def _serve(settings: Settings, key: Key, ready: Callable[[Desk], None]) -> None:
    async with await Desk.connect(settings, key) as desk:
        await desk.begin()
        ready(desk)
        config = uvicorn.Config(create_app(desk), **server_settings(settings))
        await uvicorn.Server(config).serve()


def _run(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
