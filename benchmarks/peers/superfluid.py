"""The session as a flow of Superfluid, from the bytecode that its package ships.

A flow moves a super token (a wrapper of 18 decimals) every second until somebody stops it. There is
no deposit for a session, but the framework holds a buffer of four hours of the flow until it stops.
From the wallet the client wraps deposit and buffer and starts the flow in one batch, stops it and
unwraps what is left in another, and the advisor unwraps the fee. Where both keep wrapped money, the
flow alone is started and stopped, straight through the host (the cheapest of four ways that were
tried; through the forwarder it costs 26,000 more).
"""

from __future__ import annotations

from typing import Any, Final

from eth_abi.abi import encode

from gas import DEPOSIT, TARIFF
from honorarium.chain import calls
from honorarium.ids import Address, Hash
from honorarium.protocol import Key
from peers.artifacts import Artifact, package_json
from peers.ground import (
    DEPLOYER,
    ENOUGH,
    FEE,
    Contract,
    Ground,
    Purse,
    fee_moves,
    is_over,
)
from peers.sessions import BALANCES, WALLETS, Session, Step

PACKAGE: Final = "@superfluid-finance/ethereum-contracts"

UNIT: Final = 10**12
"""Super tokens have 18 decimals, the token that they wrap has 6."""

RATE: Final = TARIFF.unit_price * UNIT // 60
"""Base units of the super token a second."""

WRAPPED: Final = DEPOSIT * UNIT + RATE * 4 * 3600
"""The deposit, and the buffer that the package's framework holds by default."""

WARM: Final = 10 * WRAPPED
"""What everybody has wrapped before."""

UPGRADE, DOWNGRADE, CALL_AGREEMENT = 101, 102, 201
"""Operations of a batch, as the package's Definitions.sol numbers them."""

SEMI_UPGRADABLE: Final = 1
"""The usual kind of wrapper (ISuperTokenFactory.Upgradability)."""

GETS: Final = "a rate a second, no units, no signed terms, no cap; 360.00 more are held meanwhile"


def measure(ground: Ground) -> list[Session]:
    money = Superfluid(ground)
    b = ground.bench
    for who in (b.client, b.advisor, b.payers[0]):
        b.send(who, b.token.contract, calls.approve(money.token.address, ENOUGH))
        b.send(who, money.token.address, money.token.data("upgrade", WARM))
    money.call(b.payers[0], money.starting)  # the advisor is never without a flow
    money.from_wallet()  # warms what only a first session finds cold
    wallet = money.from_wallet()
    money.from_balance()
    balance = money.from_balance()
    name = f"Superfluid {package_json(PACKAGE)['version']}"
    return [
        Session(name, WALLETS, wallet, GETS, WALLETS),
        Session(name, "wrapped → wrapped", balance, GETS, BALANCES),
    ]


class Superfluid:
    """The framework, and TestUSD's wrapper in it."""

    def __init__(self, ground: Ground) -> None:
        self.ground, b = ground, ground.bench
        _put_registry(ground)
        framework = _put_framework(ground)
        self.host = _known(ground, framework["host"], "superfluid/Superfluid")
        self.flows = _known(ground, framework["cfa"], "agreements/ConstantFlowAgreementV1")
        factory = _known(ground, framework["superTokenFactory"], "superfluid/SuperTokenFactory")
        create = "createERC20Wrapper(address,uint8,uint8,string,string)"
        wrapper = (b.token.contract, 6, SEMI_UPGRADABLE, "Super Test USD", "TestUSDx")
        token = factory.read(create, *wrapper)
        ground.as_deployer(factory.address, factory.data(create, *wrapper))
        self.token = _known(ground, token, "superfluid/SuperToken")
        parties = (b.client.address, b.advisor.address)
        self.starting = self.flows.data("createFlow", self.token.address, parties[1], RATE, b"")
        self.stopping = self.flows.data("deleteFlow", self.token.address, *parties, b"")

    def call(self, who: Key, data: bytes) -> int:
        """A function of the flows, through the host as they want it; gas."""
        called = self.host.data("callAgreement", self.flows.address, data, b"")
        return self.ground.bench.send(who, self.host.address, called)

    def batch(self, who: Key, *operations: tuple[int, Address, bytes]) -> int:
        return self.ground.bench.send(
            who, self.host.address, self.host.data("batchCall", list(operations))
        )

    def from_wallet(self) -> tuple[Step, ...]:
        ground, b, token = self.ground, self.ground.bench, self.token
        with fee_moves(ground.wallet(b.client), ground.wallet(b.advisor)):
            wrap = UPGRADE, token.address, encode(["uint256"], [WRAPPED])
            opened = self.batch(b.client, wrap, self._operation(self.starting))
            ground.session_passes()
            unwrap = DOWNGRADE, token.address, encode(["uint256"], [WRAPPED - FEE * UNIT])
            stopped = self.batch(b.client, self._operation(self.stopping), unwrap)
            paid = b.send(b.advisor, token.address, token.data("downgrade", FEE * UNIT))
        self._is_over()
        return (
            Step("open", "client", "batch of upgrade, createFlow", opened),
            Step("stop", "client", "batch of deleteFlow, downgrade", stopped),
            Step("pay", "advisor", "downgrade", paid),
        )

    def from_balance(self) -> tuple[Step, ...]:
        ground, b = self.ground, self.ground.bench
        with fee_moves(self._wrapped(b.client), self._wrapped(b.advisor, RATE), UNIT):
            opened = self.call(b.client, self.starting)
            ground.session_passes()
            stopped = self.call(b.client, self.stopping)
        self._is_over()
        return (
            Step("open", "client", "createFlow", opened),
            Step("stop", "client", "deleteFlow", stopped),
        )

    def _operation(self, data: bytes) -> tuple[int, Address, bytes]:
        return CALL_AGREEMENT, self.flows.address, encode(["bytes", "bytes"], [data, b""])

    def _wrapped(self, who: Key, inflow: int = 0) -> Purse:
        """Super tokens at the bench's time, without what another flow has brought until then."""
        b = self.ground.bench

        def read() -> int:
            available: int = self.token.read("realtimeBalanceOf", who.address, b.now)[0]
            return available - inflow * b.now

        return read

    def _is_over(self) -> None:
        b = self.ground.bench
        parties = (b.client.address, b.advisor.address)
        _, rate, buffer, _ = self.flows.read("getFlow", self.token.address, *parties)
        is_over((rate, buffer), (0, 0))


def _artifact(source: str, name: str = "") -> Artifact:
    name = name or source.rpartition("/")[2]
    return Artifact.read(PACKAGE, f"build/hardhat/contracts/{source}.sol/{name}.json")


def _known(ground: Ground, address: str, source: str) -> Contract:
    """A contract that somebody else deployed."""
    return Contract(ground.node, Address(bytes.fromhex(address[2:])), _artifact(source))


def _put_registry(ground: Ground) -> None:
    """The ERC-1820 registry, by its keyless transaction: its signature was made up, so whoever pays
    the account that follows from it may send it on any chain.
    """
    registry = package_json(PACKAGE, "dev-scripts/artifacts/ERC1820Registry.json")
    made_up = "1820" * 16
    raw = f"f90a388085174876e800830c35008080b909e5{registry['bin'].removeprefix('0x')}"
    raw += f"1ba0{made_up}a0{made_up}"
    b = ground.bench
    account = Address(bytes.fromhex("a990077c3205cbdf861e17fa532eeb069ce9ff96"))
    b.send(DEPLOYER, account, b"", value=800_000 * 100 * 10**9)
    b.at(b.now + 1)
    sent = ground.node.request("eth_sendRawTransaction", [f"0x{raw}"])
    b.senders[DEPLOYER.address].receipt(Hash(bytes.fromhex(sent[2:])))


def _put_framework(ground: Ground) -> dict[str, str]:
    """By the package's own test deployer, step by step; name to address."""
    libraries: dict[str, Address] = {}
    for source in ("libs/SlotsBitmapLibrary", "agreements/gdav1/SuperfluidPoolDeployerLibrary"):
        artifact = _artifact(source)
        libraries[source.rpartition("/")[2]] = ground.put(artifact, libraries=libraries).address
    deployer = _artifact("utils/SuperfluidFrameworkDeployer.t", "SuperfluidFrameworkDeployer")
    for name in deployer.links:
        artifact = _artifact("utils/SuperfluidFrameworkDeploymentSteps.t", name)
        libraries[name] = ground.put(artifact, libraries=libraries).address
    deploying = ground.put(deployer, libraries=libraries)
    for step in range(deploying.read("getNumSteps")):
        ground.as_deployer(deploying.address, deploying.data("executeStep", step))
    found: Any = deploying.read("getFramework")
    (returned,) = (each["outputs"] for each in deployer.abi if each.get("name") == "getFramework")
    names = [component["name"] for component in returned[0]["components"]]
    return dict(zip(names, found, strict=True))
