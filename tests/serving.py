"""A desk as its operator runs it: `honorarium serve`, a process of its own, on a real chain."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from honorarium.protocol import Key


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@dataclass
class Serving:
    """A desk that can be killed and started anew, with the same ledger at the same address."""

    rpc: str
    key: Key
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        flags = ["--rpc", self.rpc, "--port", str(self.port)]
        flags += ["--ledger", str(self.folder / "desk.sqlite3"), "--json"]
        env = {
            **os.environ,
            "HONORARIUM_KEY": "0x" + self.key.secret().hex(),
            "HONORARIUM_STATE": str(self.folder / "state"),
        }
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "honorarium.cli", "serve", *flags],
                env=env,
                stdout=log,
                stderr=log,
                text=True,
            )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                if requests.get(self.url + "/readyz", timeout=5).status_code == 200:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError("the desk was not ready within a minute")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(30) == 0, (self.folder / "log").read_text()[-2000:]
            self.process = None


@contextmanager
def serving(rpc: str, key: Key, folder: Path) -> Iterator[Serving]:
    desk = Serving(rpc, key, folder)
    desk.start()
    try:
        yield desk
    finally:
        desk.stop()


Change = Callable[[str, str, bytes], bytes | None]
"""(method, path, answer) -> what is said instead; None: the connection breaks."""


@contextmanager
def crooked(url: str, change: Change) -> Iterator[str]:
    """Somebody between client and desk who passes everything on, but changes what is answered."""

    class Between(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("host", "content-length", "connection", "accept-encoding")
            }
            asked = self.rfile.read(length)
            found = requests.request(
                self.command, url + self.path, data=asked, headers=headers, timeout=60
            )
            said = change(self.command, self.path, found.content)
            if said is None:
                self.close_connection = True
                return
            self.send_response(found.status_code)
            self.send_header("Content-Type", found.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815 - as the library names them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
