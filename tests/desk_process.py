"""`honorarium serve` as a process, as an operator runs it: asked, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from honorarium.protocol import Key


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class DeskProcess:
    """One replica. `settings` are those of `Settings`, by their names."""

    rpc: str
    manifest: Path
    ledger: str
    key: Key
    folder: Path
    settings: Mapping[str, object] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it logs."""
        return self.folder / f"serve-{self.port}.log"

    def start(self) -> None:
        """Begins; returns when it listens."""
        named = {f"HONORARIUM_DESK_{name.upper()}": str(v) for name, v in self.settings.items()}
        environment = {
            **os.environ,
            "HONORARIUM_KEY": "0x" + self.key.secret().hex(),
            "HONORARIUM_STATE": str(self.folder),
            **named,
        }
        command = [sys.executable, "-m", "honorarium.cli", "serve", "--json", "--rpc", self.rpc]
        command += ["--ledger", self.ledger, "--port", str(self.port)]
        command += ["--manifest", str(self.manifest)]
        with self.log.open("a") as errors:
            self.process = subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, text=True
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended with {self.process.returncode}: {self.said()}")
            time.sleep(0.02)
        raise RuntimeError(f"it does not listen after a minute: {self.said()}")

    def kill(self) -> None:
        """As the machine would: without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """Asks it to end in good order; its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self.process = None
        return code

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]

    def resident(self) -> int:
        """Bytes of memory that it holds."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(each for each in status.splitlines() if each.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    @contextmanager
    def running(self) -> Iterator[DeskProcess]:
        """For as long as the block; killed if it does not end by itself."""
        self.start()
        try:
            yield self
        finally:
            with suppress(subprocess.TimeoutExpired):
                self.stop()
