"""Databases for tests: a real PostgreSQL, and empty databases on it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import psycopg
from pgserver.postgres_server import get_server
from psycopg import sql


class Databases:
    """A PostgreSQL server at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    @contextmanager
    def serve(cls, folder: Path | None = None) -> Iterator[Self]:
        """The server of DATABASE_URL, else one of our own, for as long as it takes; `folder` None:
        in a temporary one.
        """
        if named := os.environ.get("DATABASE_URL"):
            yield cls(named)
            return
        # Not among pytest's folders: another run may clear those away.
        with TemporaryDirectory(prefix="honorarium-pg-", ignore_cleanup_errors=True) as temporary:
            home = folder or Path(temporary)
            home.chmod(0o755)  # the server runs as a user of its own where we are root
            server = get_server(str(home), cleanup_mode="stop")
            try:
                yield cls(server.get_uri())
            finally:
                server.cleanup()

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The address of a new database, which is dropped afterwards."""
        name = f"honorarium_{secrets.token_hex(6)}"
        with psycopg.connect(self.url, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            try:
                yield psycopg_url(self.url, name)
            finally:
                dropped = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                server.execute(dropped)


def psycopg_url(url: str, database: str) -> str:
    """The address of another database on the same server."""
    head, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    return f"{head}://{place.split('/')[0]}/{database}" + (f"?{query}" if query else "")
