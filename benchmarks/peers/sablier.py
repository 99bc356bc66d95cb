"""The session as a stream of Sablier Flow, from the bytecode that its packages ship.

Flow streams a rate per second until the payer stops it. Stream and deposit are made in one
transaction. In the end the client either pays the advisor out, takes the rest back and pauses the
stream in one batch (the cheapest of thirteen orders and ways that were tried; `void` instead of a
pause costs about 6,000 more), or does only the latter, and the advisor withdraws alone.
"""

from __future__ import annotations

from typing import Final

from gas import DEPOSIT, TARIFF
from honorarium.chain import calls
from honorarium.ids import ZERO_ADDRESS
from honorarium.protocol import Key
from peers.artifacts import Artifact, package_json
from peers.ground import (
    DEPLOYER,
    ENOUGH,
    FEE,
    REFUND,
    Contract,
    Ground,
    fee_moves,
    is_over,
)
from peers.sessions import WALLETS, Session, Step

FLOW: Final = "@sablier/flow"
UTILS: Final = "@sablier/evm-utils"

RATE: Final = TARIFF.unit_price * 10**12 // 60
"""Whole tokens a second with 18 decimals, whatever the token has."""

PAUSED: Final = 3  # Flow.Status.PAUSED_SOLVENT

GETS: Final = "a rate a second, no units, no signed terms; Sablier's fee in coin set to 0 here"


def measure(ground: Ground) -> list[Session]:
    b, flow = ground.bench, _deploy(ground)
    for payer in (b.client, b.payers[0]):
        b.send(payer, b.token.contract, calls.approve(flow.address, ENOUGH))
    _open(ground, flow, b.payers[0])  # the advisor is never without a stream
    _batched(ground, flow)  # warms what only a first session finds cold
    batched = _batched(ground, flow)
    _apart(ground, flow)
    apart = _apart(ground, flow)
    name = f"Sablier Flow {package_json(FLOW)['version']}"
    return [
        Session(name, f"{WALLETS}, one batch", batched, GETS, WALLETS),
        Session(name, f"{WALLETS}, each alone", apart, GETS, WALLETS),
    ]


def _deploy(ground: Ground) -> Contract:
    """Flow with its comptroller behind a proxy, as Sablier sets them up; no fee and no oracle."""
    admin = DEPLOYER.address
    logic = ground.put(Artifact.read(UTILS, "artifacts/SablierComptroller.json"), admin)
    begin = logic.data("initialize", admin, 0, 0, 0, 0, ZERO_ADDRESS)
    proxy = Artifact.read(UTILS, "artifacts/ERC1967Proxy.json")
    comptroller = ground.put(proxy, logic.address, begin)
    drawing = ground.put(Artifact.read(FLOW, "artifacts/FlowNFTDescriptor.json"))
    flow = Artifact.read(FLOW, "artifacts/SablierFlow.json")
    return ground.put(flow, comptroller.address, drawing.address)


def _open(ground: Ground, flow: Contract, payer: Key) -> Step:
    b = ground.bench
    begins, transferable = 0, False  # now
    stream = (payer.address, b.advisor.address, RATE, begins, b.token.contract, transferable)
    gas = b.send(payer, flow.address, flow.data("createAndDeposit", *stream, DEPOSIT))
    return Step("open", "client", "createAndDeposit", gas)


def _batched(ground: Ground, flow: Contract) -> tuple[Step, ...]:
    b = ground.bench
    stream = flow.read("nextStreamId")
    with fee_moves(ground.wallet(b.client), ground.wallet(b.advisor)):
        opened = _open(ground, flow, b.client)
        ground.session_passes()
        withdraw = flow.data("withdraw", stream, b.advisor.address, FEE)
        refund = flow.data("refundAndPause", stream, REFUND)
        gas = b.send(b.client, flow.address, flow.data("batch", [withdraw, refund]))
    is_over(_state(flow, stream), (PAUSED, 0))
    return opened, Step("stop", "client", "batch of withdraw, refundAndPause", gas)


def _apart(ground: Ground, flow: Contract) -> tuple[Step, ...]:
    b = ground.bench
    stream = flow.read("nextStreamId")
    with fee_moves(ground.wallet(b.client), ground.wallet(b.advisor)):
        opened = _open(ground, flow, b.client)
        ground.session_passes()
        refunded = b.send(b.client, flow.address, flow.data("refundAndPause", stream, REFUND))
        withdraw = flow.data("withdraw", stream, b.advisor.address, FEE)
        withdrawn = b.send(b.advisor, flow.address, withdraw)
    is_over(_state(flow, stream), (PAUSED, 0))
    return (
        opened,
        Step("stop", "client", "refundAndPause", refunded),
        Step("pay", "advisor", "withdraw", withdrawn),
    )


def _state(flow: Contract, stream: int) -> tuple[int, int]:
    """Its status, and the money in it."""
    return flow.read("statusOf", stream), flow.read("getBalance", stream)
