"""The replay itself: the steps of a plan as transactions, each at its recorded second.

One transaction at a time, because time passes between them; everybody only signs, the operator
sends. A transaction that fails stops the replay: nothing is skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from honorarium.chain import ClosingRow, calls, reason_of
from honorarium.chain.node import from_hex, to_hex
from honorarium.errors import ChainError, ContractError
from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.replay.parties import Part, Stage, cast
from honorarium.replay.plan import PlannedSession, Step, StepKind
from honorarium.replay.stage import Ready

STEP_GAS: Final = 700_000
"""Enough for every step: the dearest sends a refund, for which the escrow holds 200,000 ready."""


LOOK_BACK: Final = 100
"""So many blocks are searched for the last step of a replay that goes on."""


class StepFailed(ChainError):
    """A step of the plan was refused by the contract."""

    def __init__(
        self, step: Step, call: str, tx_hash: bytes | None, reason: ContractError | None
    ) -> None:
        self.step, self.call, self.tx_hash, self.reason = step, call, tx_hash, reason
        where = "before it was sent" if tx_hash is None else f"in transaction 0x{tx_hash.hex()}"
        super().__init__(
            f"step {step.number} ({step.kind.name.lower()} of call {call}) failed {where}: "
            f"{reason or 'for an unknown reason'}"
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it went: steps of this run, seconds in all, seconds spent waiting for the chain."""

    steps: int
    seconds: float
    chain_seconds: float

    @property
    def per_second(self) -> float:
        """Transactions per second."""
        return self.steps / self.seconds if self.seconds else 0.0

    @property
    def of_chain(self) -> float:
        """Which part of the chain's own rate was reached; 1: only the chain took time."""
        return self.chain_seconds / self.seconds if self.seconds else 1.0


def run(ready: Ready, progress: Callable[[int, int], None] = lambda done, total: None) -> Pace:
    """Does what is left of the plan. `progress` is told the steps done and their number.

    Raises StepFailed, and what the chain room raises; run again, it goes on from there.
    """
    total = ready.plan.count_steps()
    _check_last(ready)
    progress(ready.done, total)
    started, waited = time.monotonic(), 0.0
    for step in ready.plan.steps(first=ready.done):
        planned = ready.plan.session(step.session)
        to, data = transaction(ready.stage, cast(ready.stage, planned), step.kind)
        signed = ready.sender.sign(to, data, gas=STEP_GAS)
        asked = time.monotonic()
        ready.sender.submit(signed, at=step.at)
        receipt = ready.sender.receipt(signed.hash)
        waited += time.monotonic() - asked
        if not receipt.ok:
            raise _failure(ready, step, planned, signed.hash)
        progress(step.number + 1, total)
    return Pace(total - ready.done, time.monotonic() - started, waited)


def transaction(stage: Stage, part: Part, kind: StepKind) -> tuple[Address, bytes]:
    """Where a step goes, and its calldata."""
    planned, terms = part.planned, part.terms
    escrow = stage.escrow.contract
    match kind:
        case StepKind.OPEN:
            valid_before, paid = part.opening_payment()
            return escrow, calls.open_with_authorization(
                terms, planned.deposit, 0, valid_before, paid, part.quote()
            )
        case StepKind.CLOSE:
            deadline, consent = part.closing()
            row = ClosingRow(terms, part.voucher(), deadline, consent)
            return escrow, calls.close_for(row)
        case StepKind.REQUEST_CLOSE:
            return escrow, calls.request_close(terms, terms.client, part.leaving())
        case StepKind.FINALIZE:
            return escrow, calls.finalize(terms)
        case StepKind.RATE:
            comment, signature = part.rating()
            return escrow, calls.rate(terms, planned.made_up.score, comment, signature)
        case StepKind.TIP:
            valid_before, salt, paid = part.tip_payment()
            return stage.tip_jar, calls.tip_with_authorization(
                terms.client,
                terms.advisor,
                part.session_id,
                terms.token,
                planned.made_up.tip,
                ZERO_HASH,
                salt,
                0,
                valid_before,
                paid,
            )


def _check_last(ready: Ready) -> None:
    """A step that failed took its nonce too: who goes on after it must be told again.

    Every other step's receipt was looked at before the next one was sent.
    """
    if ready.done == 0:
        return
    nonce, sender = hex(ready.first_nonce + ready.done - 1), to_hex(ready.sender.address)
    latest = ready.node.block().number
    for number in range(latest, max(latest - LOOK_BACK, -1), -1):
        block = ready.node.request("eth_getBlockByNumber", [hex(number), True])
        for found in block["transactions"]:
            if found["nonce"] == nonce and found["from"].lower() == sender:
                tx_hash = Hash(from_hex(found["hash"]))
                if not ready.sender.receipt(tx_hash).ok:
                    step = next(ready.plan.steps(first=ready.done - 1))
                    raise _failure(ready, step, ready.plan.session(step.session), tx_hash)
                return


def _failure(ready: Ready, step: Step, planned: PlannedSession, tx_hash: Hash) -> StepFailed:
    return StepFailed(step, planned.call, tx_hash, reason_of(ready.node, tx_hash))
