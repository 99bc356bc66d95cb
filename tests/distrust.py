"""A node that stands before a real one and lies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

Lie = Callable[[str, list[Any], Any], Any]
"""(method, parameters, true result) to what is said instead."""


@contextmanager
def lying(url: str, lie: Lie) -> Iterator[str]:
    """The address of a node that asks the one at `url`, and changes its answers by `lie`."""

    class Liar(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told = requests.post(url, json=asked, timeout=30).json()
            many = asked if isinstance(asked, list) else [asked]
            replies = told if isinstance(told, list) else [told]
            for question, answer in zip(many, replies, strict=True):
                if "result" in answer:
                    answer["result"] = lie(question["method"], question["params"], answer["result"])
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
