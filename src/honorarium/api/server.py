"""One process that serves a desk."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn
from honorarium.api.app import create_app

from honorarium.desk import Desk, Settings
from honorarium.protocol import Key


def run(settings: Settings, key: Key, ready: Callable[[Desk], None]) -> None:
    """Serves until SIGINT or SIGTERM; `ready` is called once it is about to listen.

    Raises what `Desk.connect` raises.
    """
    _run(_serve(settings, key, ready))


async def _serve(settings: Settings, key: Key, ready: Callable[[Desk], None]) -> None:
    async with await Desk.connect(settings, key) as desk:
        config = uvicorn.Config(
            create_app(desk),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=settings.idle_seconds,
            timeout_graceful_shutdown=5,
            limit_concurrency=settings.connections,
            ws_max_size=settings.body_bytes,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
        )
        ready(desk)
        await uvicorn.Server(config).serve()


def _run(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
