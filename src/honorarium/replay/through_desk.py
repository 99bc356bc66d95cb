"""The same replay through a desk: everybody signs, the desk sends, and takes the vouchers first.

The chain's clock is still the replay's to set, so the node is needed beside the desk. What is
signed is the same however often it is tried, and a desk sends what it has sent already no second
time: a replay that was interrupted does its last step again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from honorarium.advisor import Agent
from honorarium.chain import Account, Node, Relayable
from honorarium.errors import (
    ChainReset,
    ContractError,
    GraceRunning,
    NotOurCode,
    SessionNotOpen,
    TransactionFailed,
    WrongChain,
)
from honorarium.ids import Address
from honorarium.protocol import funded_units
from honorarium.remote import Desk
from honorarium.replay.parties import Part, cast
from honorarium.replay.plan import PlannedSession, Step, StepKind
from honorarium.replay.run import Pace, StepFailed, transaction
from honorarium.replay.stage import FolderUnusable, Ready, write_whole
from honorarium.units import UnixTime

DONE: Final = "desk.json"

LATE: Final = 60
"""So many seconds later than recorded a step may be in a block: the desk sends when it is ready."""


@contextmanager
def at_desk(ready: Ready, url: str, folder: Path) -> Iterator[tuple[Desk, Ready]]:
    """The desk, which has to work on the replay's chain; and what it has done of the replay.

    Raises WrongChain, ChainReset, NotOurCode, and what `Desk.connect` raises.
    """
    with Desk.connect(url, state=folder) as desk:
        ours, theirs = ready.manifest, desk.manifest
        if ours.chain_id != theirs.chain_id:
            raise WrongChain(ours.chain_id, theirs.chain_id)
        if ours.genesis_hash != theirs.genesis_hash:
            raise ChainReset(ours.genesis_hash, theirs.genesis_hash)
        for name in ("SessionEscrow", "TipJar"):
            own, other = ours.contracts[name], theirs.contracts[name]
            if own.address != other.address:
                raise NotOurCode(name, other.address, own.code_hash, other.code_hash)
        yield desk, replace(ready, done=_done(folder), late=LATE)


def run_through(
    desk: Desk,
    ready: Ready,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pace:
    """Does what is left of the plan. `progress` is told the steps done and their number.

    Raises StepFailed, and what the desk refuses; run again, it goes on from there.
    """
    total = ready.plan.count_steps()
    progress(ready.done, total)
    started, waited = time.monotonic(), 0.0
    enrolled: set[Address] = set()
    for step in ready.plan.steps(first=ready.done):
        planned = ready.plan.session(step.session)
        part = cast(ready.stage, planned)
        if part.advisor.address not in enrolled:
            Agent(desk, part.advisor).enrol(planned.advisor[:80])
            enrolled.add(part.advisor.address)
        _set_clock(ready.node, step.at)
        asked = time.monotonic()
        _do(desk, ready, step, planned, part)
        waited += time.monotonic() - asked
        write_whole(folder / DONE, json.dumps({"done": step.number + 1}) + "\n")
        progress(step.number + 1, total)
    return Pace(total - ready.done, time.monotonic() - started, waited)


def _do(desk: Desk, ready: Ready, step: Step, planned: PlannedSession, part: Part) -> None:
    to, data = transaction(ready.stage, part, step.kind)
    signed = Relayable(step.kind.name.lower(), to, data)
    try:
        if step.kind is StepKind.CLOSE and planned.units:
            funded = funded_units(part.terms.tariff, planned.deposit)
            voucher = part.reading(min(planned.units, funded))  # where a meter stops
            desk.hand_in(part.terms, voucher, part.journal().entries, after=0)
        try:
            Account(desk, part.client).relay(signed)
        except GraceRunning as early:
            # Where blocks cannot have the recorded second, somebody left a second later than that.
            _set_clock(ready.node, UnixTime(early.grace_ends))
            Account(desk, part.client).relay(signed)
    except SessionNotOpen:
        # The desk finalizes by itself, when it sees that grace is over.
        if step.kind is not StepKind.FINALIZE:
            raise
    except TransactionFailed as failed:
        raise StepFailed(step, planned.call, failed.tx_hash, failed.reason) from None
    except ContractError as refused:
        raise StepFailed(step, planned.call, None, refused) from None


def _set_clock(node: Node, at: UnixTime) -> None:
    """A block of this time, because what a desk simulates sees the latest block's; on Ganache the
    next one has it too.
    """
    if node.block().timestamp < at:
        node.set_time(at)
        node.request("evm_mine")
    if node.client.lower().startswith("ganache"):
        node.set_time(at)


def _done(folder: Path) -> int:
    try:
        return int(json.loads((folder / DONE).read_text(encoding="utf-8"))["done"])
    except FileNotFoundError:
        return 0
    except (ValueError, KeyError, TypeError) as error:
        raise FolderUnusable(folder, f"its {DONE} is not readable ({error})") from error
