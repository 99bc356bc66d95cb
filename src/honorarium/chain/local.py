"""A chain of one's own: Ganache or Anvil on this machine, with funded accounts that have names.

    with LocalChain.start(directory=Path("run")) as chain:
        node = Node(chain.url)
        operator = chain.accounts["operator"]

With a directory the chain lives there and goes on when it is started again; without one it is gone
when it stops. It ends with the program that started it, however that ends. Its first block is
unlike any other chain's, so that a chain that was started anew is never taken for the old one.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Literal, Self, get_args

from honorarium.chain.node import Node, to_hex
from honorarium.errors import ChainError, NodeUnreachable
from honorarium.hashing import keccak
from honorarium.onfailure import OnFailure
from honorarium.protocol.keys import Key
from honorarium.units import UnixTime

Engine = Literal["ganache", "anvil"]
"""The programs that can be a local chain."""

NAMES: Final = ("operator", "advisor", "client", "payer", "platform")
CHAIN_ID: Final[Mapping[Engine, int]] = {"ganache": 1337, "anvil": 31337}
GAS_LIMIT: Final = 60_000_000
FUNDS: Final = 10**30
"""Coin of each named account at the start, in wei: gas is never what ends a local run."""

_READY: Final = 60.0  # seconds to start in
_RECORD: Final = "chain.json"


class EngineMissing(ChainError):
    """The program of a local chain is not installed."""

    def __init__(self, engine: str, searched: Iterable[Path]) -> None:
        self.engine, self.searched = engine, tuple(searched)
        places = ", ".join(str(place) for place in self.searched)
        super().__init__(
            f"{engine} is not installed: it is neither in {places} nor on the PATH; run `npm ci` "
            "in the folder of Honorarium's package.json, or install it with npm"
        )


class ChainInUse(ChainError):
    """Another program runs the chain of this directory."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory, self.url = directory, url
        super().__init__(
            f"the chain of {directory} runs already{f' at {url}' if url else ''}; use it with "
            f"--rpc{f' {url}' if url else ''}, or end the program that started it"
        )


class ChainNotStarted(ChainError):
    """The program of a local chain ended at once, or never answered. `log`: its last output."""

    def __init__(self, engine: str, reason: str, log: str) -> None:
        self.engine, self.reason, self.log = engine, reason, log
        said = f"; it said:\n{log}" if log else ""
        super().__init__(f"{engine} did not start: {reason}{said}")


class DirectoryNotOurs(ChainError):
    """A directory that holds something else than the chain that is meant."""

    def __init__(self, directory: Path, reason: str) -> None:
        self.directory, self.reason = directory, reason
        super().__init__(f"{directory} cannot hold this chain: {reason}; name another directory")


@dataclass(frozen=True)
class _Record:
    """What a chain's directory remembers. `seed` makes the accounts, `salt` the first block."""

    engine: Engine
    seed: str
    salt: str
    clock: int | None  # time of the first block; None: the machine's own clock
    pid: int = 0  # of the chain's own process; 0 = it was stopped
    started: str = ""  # when that process began: numbers of processes are used again
    port: int = 0


class LocalChain:
    """A running local chain. Use `start`."""

    def __init__(
        self,
        engine: Engine,
        url: str,
        directory: Path,
        accounts: Mapping[str, Key],
        *,
        keeper: subprocess.Popen[str],
        record: _Record,
        lock: IO[str],
        temporary: bool,
    ) -> None:
        self.engine: Engine = engine
        self.url = url
        self.directory = directory
        self.accounts = dict(accounts)
        self.chain_id = CHAIN_ID[engine]
        self.pid = record.pid
        self._keeper, self._record, self._lock = keeper, record, lock
        self._temporary = temporary

    @classmethod
    def start(
        cls,
        *,
        engine: Engine | None = None,
        directory: Path | None = None,
        port: int | None = None,
        names: Iterable[str] = NAMES,
        clock: UnixTime | None = None,
    ) -> LocalChain:
        """Starts a chain, or goes on with the one in `directory`, on a loopback port.

        `engine` None: the one that the directory's chain runs on, else Ganache. `names` are its
        funded accounts; in the same directory a name has the same key each time. `clock` is the
        time of the first block (unix seconds), None: this machine's clock; a chain that goes on
        continues from its last block's.

        Raises EngineMissing, ChainInUse, DirectoryNotOurs, ChainNotStarted.
        """
        if engine is None:
            held = _read(directory) if directory is not None else None
            engine = held.engine if held is not None else "ganache"
        if engine not in get_args(Engine):
            raise ChainNotStarted(engine, f"the engines are {' and '.join(get_args(Engine))}", "")
        program = _program(engine)
        temporary = directory is None
        home = Path(tempfile.mkdtemp(prefix="honorarium-")) if directory is None else directory
        home = home.absolute()
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DirectoryNotOurs(home, str(error)) from error
        lock = _locked(home)
        try:
            record = _prepare(home, engine, clock)
            accounts = {name: _key(record.seed, name) for name in names}
            chosen = port or _free_port()
            if port is not None and not _is_free(port):
                raise ChainNotStarted(engine, f"port {port} is taken; name another", "")
            command = _command(program, engine, home, record, accounts, chosen)
            chain = cls._run(command, home, record, accounts, chosen, lock, temporary)
        except BaseException:  # an interruption too, and then it goes on
            lock.close()
            if temporary:
                shutil.rmtree(home, ignore_errors=True)
            raise
        return chain

    @classmethod
    def _run(
        cls,
        command: list[str],
        home: Path,
        record: _Record,
        accounts: Mapping[str, Key],
        port: int,
        lock: IO[str],
        temporary: bool,
    ) -> LocalChain:
        url = f"http://127.0.0.1:{port}"
        with (home / "chain.log").open("w") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for us; the chain is stopped in good order
            )
        assert keeper.stdout is not None
        pid = int(keeper.stdout.readline() or 0)
        running = replace(record, pid=pid, started=_started(pid), port=port)
        chain = cls(
            record.engine,
            url,
            home,
            accounts,
            keeper=keeper,
            record=running,
            lock=lock,
            temporary=temporary,
        )
        with OnFailure(chain.stop):
            _write(home, running)
            _await(record.engine, url, keeper, home)
            _go_on(running, url, accounts.values())
        return chain

    def stop(self) -> None:
        """Ends the chain; it keeps its data if it has a directory. Again is fine."""
        if self._keeper.stdin is not None and not self._keeper.stdin.closed:
            self._keeper.stdin.close()
        try:
            self._keeper.wait(30)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()
        if self._lock.closed:
            return
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            _write(self.directory, replace(self._record, pid=0, started="", port=0))
        self._lock.close()

    def poll(self) -> int | None:
        """The exit code of the chain's program, if it has ended by itself; else None."""
        return self._keeper.poll()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


# ---------------------------------------------------------------------- the directory


def _locked(home: Path) -> IO[str]:
    """Holds the directory for this program; the lock falls with it. Raises ChainInUse."""
    lock = (home / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        record = _read(home)
        url = f"http://127.0.0.1:{record.port}" if record and record.port else ""
        raise ChainInUse(home, url) from None
    return lock


def _prepare(home: Path, engine: Engine, clock: UnixTime | None) -> _Record:
    """The directory's record, for a chain that does not run yet."""
    record = _read(home)
    if record is not None:
        if record.engine != engine:
            raise DirectoryNotOurs(home, f"it holds a chain of {record.engine}, not of {engine}")
        _end_stale(home, record)
    data = home / "db" if engine == "ganache" else home / "state.json"
    begun = data.is_file() or (data.is_dir() and any(data.iterdir()))
    if record is not None and begun:
        return record
    return _Record(
        engine=engine,
        seed=record.seed if record else secrets.token_hex(32),
        salt=secrets.token_hex(16),  # a chain begun anew is another chain
        clock=clock,
    )


def _read(home: Path) -> _Record | None:
    path = home / _RECORD
    try:
        return _Record(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OSError) as error:
        raise DirectoryNotOurs(home, f"its {_RECORD} is not readable ({error})") from error


def _write(home: Path, record: _Record) -> None:
    fresh = home / (_RECORD + ".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(asdict(record), indent=2) + "\n")
    fresh.replace(home / _RECORD)


def _end_stale(home: Path, record: _Record) -> None:
    """Ends what is left of a chain whose owner is gone; the lock says that it is."""
    deadline = time.monotonic() + 10
    asked = False
    while record.pid and record.started and _started(record.pid) == record.started:
        if not asked:
            os.kill(record.pid, signal.SIGTERM)
            asked = True
        if time.monotonic() > deadline:
            raise DirectoryNotOurs(home, f"process {record.pid} still runs its chain; end it")
        time.sleep(0.05)


def _started(pid: int) -> str:
    """When a process began, as this machine tells it; empty if it does not run."""
    if not pid:
        return ""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]
    asked = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


# ---------------------------------------------------------------------- the program


def _program(engine: Engine) -> Path:
    folders = [
        folder / "node_modules"
        for start in (Path.cwd(), Path(__file__).resolve().parent)
        for folder in (start, *start.parents)
    ]
    for folder in folders:
        if engine == "anvil":
            # The binary itself: npm's launcher in front of it would outlive nobody, but hide it.
            for found in sorted(folder.glob("@foundry-rs/anvil-*/bin/anvil")):
                if os.access(found, os.X_OK):
                    return found
        if (found := folder / ".bin" / engine).exists():
            return found
    if on_path := shutil.which(engine):
        return Path(on_path)
    raise EngineMissing(engine, (Path.cwd() / "node_modules",))


def _command(
    program: Path,
    engine: Engine,
    home: Path,
    record: _Record,
    accounts: Mapping[str, Key],
    port: int,
) -> list[str]:
    unique = keccak(bytes.fromhex(record.salt))
    if engine == "anvil":
        # Its first block's hash leaves the accounts out; the gas price is what can be varied.
        base_fee = 10**9 + int.from_bytes(unique[:4], "big") % 10**9
        command = [str(program), "--host", "127.0.0.1", "--port", str(port), "--quiet"]
        command += ["--chain-id", str(CHAIN_ID[engine]), "--hardfork", "shanghai"]
        command += ["--gas-limit", str(GAS_LIMIT), "--accounts", "0"]
        command += ["--state", str(home / "state.json"), "--preserve-historical-states"]
        if record.clock is not None:
            command += ["--timestamp", str(record.clock)]
        if not (home / "state.json").exists():
            command += ["--block-base-fee-per-gas", str(base_fee)]
        return command
    command = [str(program), "--server.host", "127.0.0.1", "--server.port", str(port)]
    command += ["--chain.chainId", str(CHAIN_ID[engine]), "--chain.networkId", "1337"]
    command += ["--chain.hardfork", "shanghai"]
    if record.clock is not None:
        first = datetime.fromtimestamp(record.clock, UTC)
        command += ["--chain.time", f"{first:%Y-%m-%dT%H:%M:%SZ}"]
    command += ["--miner.blockGasLimit", str(GAS_LIMIT), "--miner.callGasLimit", str(GAS_LIMIT)]
    command += ["--database.dbPath", str(home / "db"), "--logging.quiet"]
    # The last account is nobody's: it makes the first block unlike any other.
    for key in (*accounts.values(), Key.from_bytes(unique)):
        command += ["--wallet.accounts", f"{to_hex(key.secret())},{FUNDS:#x}"]
    return command


def _key(seed: str, name: str) -> Key:
    return Key.from_bytes(keccak(bytes.fromhex(seed) + name.encode()))


def _await(engine: Engine, url: str, keeper: subprocess.Popen[str], home: Path) -> None:
    """Returns when the chain answers. Raises ChainNotStarted."""
    deadline = time.monotonic() + _READY
    while True:
        try:
            with Node(url, timeout=5) as node:
                if node.chain_id != CHAIN_ID[engine]:
                    raise ChainNotStarted(engine, f"at {url} chain {node.chain_id} answers", "")
            return
        except NodeUnreachable:
            pass
        if keeper.poll() is not None:
            raise ChainNotStarted(engine, f"it ended with {keeper.returncode}", _log(home))
        if time.monotonic() > deadline:
            raise ChainNotStarted(engine, f"no answer within {_READY:.0f} seconds", _log(home))
        time.sleep(0.02)


def _log(home: Path) -> str:
    try:
        return (home / "chain.log").read_text(errors="replace")[-2000:].strip()
    except OSError:
        return ""


def _go_on(record: _Record, url: str, accounts: Iterable[Key]) -> None:
    """What the engines do not do themselves: the clock goes on where it was, and all have funds."""
    with Node(url) as node:
        if record.clock is not None and (latest := node.block()).number > 0:
            unit = 1000 if record.engine == "ganache" else 1
            node.request("evm_setTime", [latest.timestamp * unit])
        if record.engine == "ganache":
            return  # it funds any account
        asked: list[tuple[str, list[Any]]] = []
        for key in accounts:
            if node.balance(key.address) < FUNDS // 2:
                asked.append(("anvil_setBalance", [to_hex(key.address), hex(FUNDS)]))
        node.batch(asked)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
