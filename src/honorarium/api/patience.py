"""How the server treats those who are slow or silent: uvicorn's own settings, and what it lacks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from honorarium.desk import Settings

BACKLOG: Final = 2_048
"""So many connections wait to be accepted."""


def patient(seconds: float) -> type[asyncio.Protocol]:
    """HTTP, for connections that have so many seconds for each request's head: uvicorn itself
    waits for ever for the first one, and for one that trickles in.
    """

    class Patient(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._expect()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._expect()

        def connection_lost(self, exc: Exception | None) -> None:
            self._relax()
            super().connection_lost(exc)

        def _expect(self) -> None:
            """While a head is awaited, time runs."""
            if self.transport.get_protocol() is not self:
                self._relax()  # it is a WebSocket now
            elif self.conn.their_state is not h11.IDLE:
                self._relax()
            elif self._late is None:
                self._late = self.loop.call_later(seconds, self._give_up)

        def _relax(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _give_up(self) -> None:
            self._late = None
            if not self.transport.is_closing():
                self.transport.close()

    return Patient


def server_settings(settings: Settings) -> dict[str, Any]:
    """What uvicorn is told."""
    proxies = settings.trusted_proxies.strip()
    return {
        "http": patient(settings.head_seconds),
        "ws": "websockets-sansio",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "timeout_keep_alive": settings.idle_seconds,
        "timeout_graceful_shutdown": 5,
        "limit_concurrency": settings.connections,
        "backlog": BACKLOG,
        "h11_max_incomplete_event_size": 32_768,
        "ws_max_size": settings.body_bytes,
        "ws_max_queue": 32,
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        "ws_per_message_deflate": False,
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": proxies or None,
    }
