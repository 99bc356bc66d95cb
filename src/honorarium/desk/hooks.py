"""Webhooks: what happened is told, signed, at least once, by whichever replica is free.

Signed as Standard Webhooks has it. An address inside the desk's own network is never called: each
connection is checked when it is made, so no name can lead there, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import secrets
import socket
import time
from asyncio import FIRST_COMPLETED
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import structlog
from sqlalchemy import Connection, RowMapping
from standardwebhooks import Webhook

from honorarium.desk.aside import Aside
from honorarium.desk.figures import Figures
from honorarium.errors import HonorariumError, InputError
from honorarium.ids import Address
from honorarium.ledger import events

MOST: Final = 20
"""So many webhooks an account may have."""

TIMEOUT: Final = 10.0
CLAIMED: Final = 60
"""A replica that has not finished a delivery after so many seconds is taken for dead."""

AT_ONCE: Final = 100
"""So many webhooks are told at once, each of one thing at a time."""

LOOK: Final = 0.5

WAITS: Final = (1, 60, 360, 1_440, 3_600, 7_200, 10_080, 14_400, 17_280)
"""What is waited between attempts, in multiples of the first wait: with 5 seconds, three days."""

_GONE: Final = 410

_log = structlog.get_logger("honorarium.hooks")


class WebhookNotUsable(InputError):
    """An address that the desk does not call."""

    def __init__(self, url: str, reason: str) -> None:
        self.address, self.reason = url[:200], reason
        super().__init__(f"{url[:200]!r} cannot be a webhook: {reason}")


class WebhookNotKnown(InputError):
    """A webhook that the account does not have."""

    def __init__(self, webhook: str) -> None:
        self.webhook = webhook
        super().__init__(f"you have no webhook {webhook[:40]!r}; GET /v1/webhooks lists them")


class TooManyWebhooks(InputError):
    """More webhooks than an account needs."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"an account has {most} webhooks at most; remove one first")


class _Private(Exception):
    """An address that is not on the public net."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Who wants to be told what. `private`: at private addresses and by http, too."""

    private: bool = False

    def add(
        self, connection: Connection, account: Address, url: str, kinds: list[str]
    ) -> tuple[str, str, int]:
        """A new webhook: its id, its secret (told once), when. Raises WebhookNotUsable."""
        self._must_be_callable(url)
        if unknown := sorted(set(kinds) - set(events.KINDS)):
            raise WebhookNotUsable(
                url, f"{', '.join(unknown)[:80]} never happens; these do: {', '.join(events.KINDS)}"
            )
        if events.count_webhooks(connection, account) >= MOST:
            raise TooManyWebhooks(MOST)
        webhook_id, now = "whk_" + secrets.token_hex(12), int(time.time())
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        events.add_webhook(connection, webhook_id, account, url, kinds, secret, now)
        return webhook_id, secret, now

    def get(self, connection: Connection, webhook_id: str, account: Address) -> RowMapping:
        """An account's webhook. Raises WebhookNotKnown."""
        found = events.find_webhook(connection, webhook_id, account)
        if found is None:
            raise WebhookNotKnown(webhook_id)
        return found

    def drop(self, connection: Connection, webhook_id: str, account: Address) -> None:
        """It is told nothing any more. Raises WebhookNotKnown."""
        if not events.drop_webhook(connection, webhook_id, account):
            raise WebhookNotKnown(webhook_id)

    def _must_be_callable(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise WebhookNotUsable(url, str(error)) from None
        allowed = ("https", "http") if self.private else ("https",)
        if parts.scheme not in allowed or not host:
            raise WebhookNotUsable(url, f"it has to begin with {' or '.join(allowed)}://")
        if parts.username or parts.password or "@" in parts.netloc:
            raise WebhookNotUsable(url, "it must carry no user and no password")
        if port == 0 or len(url) > 2_000 or any(c.isspace() or ord(c) < 33 for c in url):
            raise WebhookNotUsable(url, "it is no address of a server")
        with suppress(ValueError):
            if not self.private and not is_public(host):
                raise WebhookNotUsable(url, "it is no public address")


def is_public(host: str) -> bool:
    """Whether an IP address is on the public net. Raises ValueError if it is none."""
    found = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is None and found in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None and found in ipaddress.ip_network("::/96"):
            return False
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast and not found.is_reserved


class Deliverer:
    """Tells webhooks what is due. Each replica has one; no two tell the same at once."""

    def __init__(self, aside: Aside, figures: Figures, *, private: bool, wait: float) -> None:
        self._aside, self._figures, self._private, self._wait = aside, figures, private, wait
        self._task: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Begins to tell."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends; what was not told is told by another replica, or later."""
        tasks = [*self._telling, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _run(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=self._socket, use_dns_cache=False, force_close=True
            ),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        while True:
            try:
                await self.look()
            except HonorariumError as error:  # the ledger may be away for a moment
                _log.warning("webhooks wait", reason=str(error))
            except Exception as error:  # whatever it is, the others are told all the same
                _log.error("webhooks wait", exc_info=error)
            if self._telling:  # whoever has listened may be told the next thing at once
                await asyncio.wait(self._telling, timeout=LOOK, return_when=FIRST_COMPLETED)
            else:
                await asyncio.sleep(LOOK)

    async def look(self) -> int:
        """Begins to tell what is due; how many attempts."""
        now, room = int(time.time()), AT_ONCE - len(self._telling)
        due = await self._aside.read(lambda c: events.due(c, now, room)) if room > 0 else ()
        if not due:
            return 0
        claimed = await self._aside.write(lambda c: events.claim(c, due, now, now + CLAIMED))
        for row in claimed:
            task = asyncio.create_task(self._tell(row))
            self._telling.add(task)
            task.add_done_callback(self._told)
        return len(claimed)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("webhooks wait", reason=str(error))  # it is told again when its time is up

    async def _tell(self, row: RowMapping) -> None:
        status, problem = await self._post(row)
        now, delivery, webhook = int(time.time()), row["id"], row["webhook"]
        values: dict[str, Any] = {"answered": status, "problem": problem}
        if status is not None and 200 <= status < 300:
            values |= {"status": events.DELIVERED, "problem": None}
        elif row["attempts"] >= len(WAITS):
            values |= {"status": events.FAILED}
        else:
            pause = self._wait * WAITS[row["attempts"]]
            values |= {"next_at": now + max(1, round(pause * (0.9 + secrets.randbelow(21) / 100)))}
        listens = values.get("status") == events.DELIVERED
        self._figures.deliveries.labels(values.get("status", "again")).inc()

        def write(connection: Connection) -> None:
            events.attempted(connection, delivery, now, values)
            if status == _GONE:
                events.disable(connection, webhook, now)
            elif not listens:
                events.postpone(connection, webhook, values.get("next_at", now + CLAIMED))

        await self._aside.write(write)

    async def _post(self, row: RowMapping) -> tuple[int | None, str | None]:
        """HTTP's status, and what went wrong."""
        at = datetime.fromtimestamp(row["created_at"], UTC)
        body = {
            "type": row["kind"],
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "data": json.loads(row["body"])
            | ({"session": "0x" + row["session_id"].hex()} if row["session_id"] else {}),
        }
        text, now = json.dumps(body, separators=(",", ":")), datetime.now(UTC)
        message_id = f"evt_{row['event']}_{row['webhook']}"
        headers = {
            "content-type": "application/json",
            "user-agent": "Honorarium",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(row["secret"]).sign(message_id, now, text),
        }
        assert self._session is not None
        try:
            async with self._session.post(
                row["url"], data=text.encode(), headers=headers, allow_redirects=False
            ) as response:
                await response.content.read(1_024)
                problem = None if response.ok else f"it answered HTTP {response.status}"
                return response.status, problem
        except _Private:
            return None, "its name leads to an address that is not public"
        except TimeoutError:
            return None, f"it did not answer within {TIMEOUT:g} seconds"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, (str(error) or type(error).__name__)[:200]

    def _socket(self, info: Any) -> socket.socket:
        """A socket for exactly this address, which is what the name led to. Raises _Private."""
        family, kind, proto, _, address = info
        if not self._private and not is_public(str(address[0])):
            raise _Private
        return socket.socket(family, kind, proto)
