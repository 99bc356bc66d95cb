"""The ground that all protocols stand on: one Anvil, and the bench that measures ours."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gas import BATCH_GAS, BEGIN, DEPOSIT, TARIFF, Bench, key
from honorarium import chain
from honorarium.chain import Node, Sender, TxReceipt, calls
from honorarium.errors import NodeUnreachable
from honorarium.ids import Address
from honorarium.protocol import Key
from peers.artifacts import Artifact, NotInstalled

MINUTES: Final = 30
FEE: Final = TARIFF.unit_price * MINUTES
REFUND: Final = DEPOSIT - FEE
ENOUGH: Final = 2**256 - 1
"""An allowance that is never used up."""

HARDFORK: Final = "cancun"
"""The oldest that all of them run on: Superfluid is compiled for it."""

CHAIN_ID: Final = 31337  # TestUSD deploys on local chains only
GAS_LIMIT: Final = 60_000_000
FUNDS: Final = 10**30
OPERATOR: Final = key("operator")
DEPLOYER: Final = key("deployer of the peers")

TOOLS: Final = Path(__file__).resolve().parents[2] / "node_modules"

Purse = Callable[[], int]
"""What somebody has in one place, in base units of the token there."""


class NotTheSession(Exception):
    """A session ended with other amounts than it should, or did not end."""


@contextmanager
def anvil() -> Iterator[Node]:
    """A fresh Anvil that starts an hour before the benchmark's first block.

    Superfluid's test deployer, a contract that no public chain carries, is larger than chains
    allow: the limit is lifted here. Every contract that a session meets keeps within it.
    """
    programs = sorted(TOOLS.glob("@foundry-rs/anvil-*/bin/anvil"))
    if not programs:
        raise NotInstalled(f"there is no Anvil in {TOOLS}: run make setup")
    keeper = Path(chain.__file__).with_name("keeper.py")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    command = [sys.executable, "-I", "-S", str(keeper), str(programs[0])]
    command += ["--host", "127.0.0.1", "--port", str(port), "--quiet", "--accounts", "0"]
    command += ["--chain-id", str(CHAIN_ID), "--hardfork", HARDFORK]
    command += ["--gas-limit", str(GAS_LIMIT), "--disable-code-size-limit"]
    command += ["--timestamp", str(BEGIN - 3600)]
    with tempfile.TemporaryFile() as log:
        # The keeper ends Anvil when its standard input closes, whatever becomes of this program.
        kept = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
        try:
            with Node(f"http://127.0.0.1:{port}") as node:
                _await(node, kept)
                node.request("anvil_setBalance", [f"0x{OPERATOR.address.hex()}", hex(FUNDS)])
                yield node
        finally:
            assert kept.stdin is not None
            kept.stdin.close()
            kept.wait(30)


def _await(node: Node, kept: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            node.request("eth_chainId")
            return
        except NodeUnreachable:
            if kept.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


# ---------------------------------------------------------------------- contracts


class Contract:
    """A contract on the chain."""

    def __init__(self, node: Node, address: Address, artifact: Artifact) -> None:
        self.node, self.address, self.artifact = node, address, artifact

    def data(self, function: str, *args: Any) -> bytes:
        return self.artifact.call(function, *args)

    def read(self, function: str, *args: Any) -> Any:
        """What the function would answer now."""
        data = self.artifact.call(function, *args)
        return self.artifact.answer(function, self.node.call(self.address, data))


class Ground:
    """The chain with Honorarium's benchmark on it, and an account that deploys the others."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.bench = Bench(node, OPERATOR)
        self.bench.send(OPERATOR, DEPLOYER.address, b"", value=10**24)
        self.bench.senders[DEPLOYER.address] = Sender(node, DEPLOYER)

    def put(
        self, artifact: Artifact, *args: Any, libraries: Mapping[str, Address] | None = None
    ) -> Contract:
        """Deploys a contract."""
        receipt = self.as_deployer(None, artifact.deployment(args, libraries or {}))
        assert receipt.contract is not None
        return Contract(self.node, receipt.contract, artifact)

    def as_deployer(self, to: Address | None, data: bytes) -> TxReceipt:
        # Without a time of its own a block gets this machine's, which may run ahead of the bench's.
        self.bench.at(self.bench.now + 1)
        return self.bench.senders[DEPLOYER.address].transact(to, data, gas=BATCH_GAS)

    def session_passes(self) -> None:
        """The next transaction comes exactly as long after the last one as is paid for."""
        self.bench.at(self.bench.now + MINUTES * 60 - 1)

    def wallet(self, who: Key) -> Purse:
        token = self.bench.token.contract
        return lambda: self.node.read(calls.token_balance(token, who.address))


@contextmanager
def fee_moves(client: Purse, advisor: Purse, unit: int = 1) -> Iterator[None]:
    """Within it exactly the fee goes from one purse to the other, or NotTheSession is raised.

    `unit`: how many base units of the purses' token make one of the session's.
    """
    had, held = client(), advisor()
    yield
    paid, earned = had - client(), advisor() - held
    if paid != FEE * unit or earned != FEE * unit:
        raise NotTheSession(
            f"the client paid {paid} and the advisor got {earned}, not {FEE * unit}"
        )


def is_over(found: object, expected: object) -> None:
    """Raises NotTheSession unless what is read of a session says that it has ended."""
    if found != expected:
        raise NotTheSession(f"the session still runs: {found} instead of {expected}")
