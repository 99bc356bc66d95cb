"""An archive as large as wanted, made of real calls repeated, without a chain.

What people sign, what travels in calldata and what the contracts write into the log is made by the
code that a replay uses; only the contracts' own work is done here, in a few lines that know nothing
of the audit: who holds what at the end. Every repetition of the calls comes a whole number of days
after the one before, with meters of its own.

    python benchmarks/audit_data.py FOLDER --sessions 1000000 [--calls FILE]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import rlp
from eth_hash.auto import keccak

from honorarium.audit.archive import STATE, TABLES, Archive, Contents, Segment
from honorarium.audit.facts import State, Token
from honorarium.audit.state import rows_of_state, rows_said
from honorarium.audit.tables import Row, Stored, Writer
from honorarium.ids import ZERO_HASH, Address, Hash, SessionId
from honorarium.protocol import Domain
from honorarium.protocol.events import (
    CloseRequested,
    Event,
    Rated,
    SessionClosed,
    SessionOpened,
    Tipped,
)
from honorarium.protocol.slot import OPEN_FLAG, Slot
from honorarium.protocol.typed_data import word
from honorarium.replay import load_tariffs, plan_calls
from honorarium.replay.calls import DAY
from honorarium.replay.parties import Part, Stage, cast, key_of
from honorarium.replay.plan import Plan, Step, StepKind
from honorarium.replay.run import transaction
from honorarium.units import BaseUnits, BlockNumber, Seconds, UnixTime

ROOT: Final = Path(__file__).parents[1]
CALLS: Final = ROOT / "examples" / "calls.csv"
TARIFFS: Final = ROOT / "examples" / "tariffs.toml"
DECIMALS: Final = 6
LOGS_IN_A_SEGMENT: Final = 4_000
FIRST: Final = BlockNumber(10)

STAGE: Final = Stage(
    escrow=Domain(1337, Address(b"\xe5" * 20)),
    tip_jar=Address(b"\x71" * 20),
    token=Domain(1337, Address(b"\x05" * 20), name="Test USD"),
    platform=key_of("platform"),
    close_grace=Seconds(600),
)
GENESIS: Final = Hash(keccak(b"the bench's first block"))
OPERATOR: Final = key_of("operator")


@dataclass
class Left:
    """What the contracts hold after some repetitions."""

    slots: dict[SessionId, int] = field(default_factory=dict)
    balances: Counter[Address] = field(default_factory=Counter)
    tallies: dict[Address, tuple[int, int]] = field(default_factory=dict)
    held: int = 0
    signatures: int = 0

    def add(self, other: Left) -> None:
        self.balances.update(other.balances)
        for advisor, (count, total) in other.tallies.items():
            known = self.tallies.get(advisor, (0, 0))
            self.tallies[advisor] = known[0] + count, known[1] + total
        self.held += other.held
        self.signatures += other.signatures


def log_of(event: Event) -> tuple[bytes, bytes]:
    """An event's topics, one behind the other, and its data, as the contracts write them."""
    topics: list[bytes]
    data: list[int | bytes]
    match event:
        case SessionOpened():
            topics = [event.session_id, event.advisor]
            data = [*event.terms.pack(), event.slot.pack()]
        case SessionClosed():
            topics = [event.session_id]
            data = [event.units, event.earned, event.journal]
        case CloseRequested():
            topics = [event.session_id, event.by]
            data = [event.grace_ends]
        case Rated():
            topics = [event.session_id, event.client, event.advisor]
            data = [event.score, event.comment_hash]
        case Tipped():
            topics = [event.advisor, event.tipper, event.session_id]
            data = [event.token, event.amount, event.memo]
        case _:
            raise TypeError(f"a replay writes no {type(event).__name__}")
    return event.TOPIC + b"".join(map(word, topics)), b"".join(map(word, data))


SIGNATURES: Final = {
    StepKind.OPEN: 2,  # the advisor's quote, the client's authorization
    StepKind.CLOSE: 1,  # the advisor's; the meter's beside it if there are units
    StepKind.REQUEST_CLOSE: 1,
    StepKind.FINALIZE: 0,
    StepKind.RATE: 1,
    StepKind.TIP: 1,
}


class _Maker:
    """Rows of some repetitions."""

    def __init__(self, left: Left) -> None:
        self._left = left
        self.rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        self._parts: dict[int, Part] = {}

    def repeat(self, plan: Plan, repetition: int, block: int) -> int:
        """The calls once more, from this block on; returns the block after them."""
        self._parts.clear()
        for step in plan.steps():
            part = self._parts.get(step.session)
            if part is None:
                planned = plan.session(step.session)
                part = cast(STAGE, replace(planned, call=f"{planned.call}/{repetition}"))
                self._parts[step.session] = part
            self._take(part, step, block)
            block += 1
        return block

    def _take(self, part: Part, step: Step, block: int) -> None:
        to, calldata = transaction(STAGE, part, step.kind)
        tx_hash, head, tail = _signed(block, to, calldata)
        event, moves = self._happens(part, step)
        topics, data = log_of(event)
        block_hash = keccak(b"block" + block.to_bytes(8, "big"))
        self.rows["logs"].append(
            (block, len(moves), step.at, block_hash, tx_hash, to, topics, data)
        )
        self.rows["transactions"].append(
            (tx_hash, block, OPERATOR.address, to, calldata, head, tail)
        )
        for index, (sender, recipient, amount) in enumerate(moves):
            token = STAGE.token.contract
            self.rows["transfers"].append(
                (block, index, tx_hash, token, sender, recipient, word(amount))
            )
        left = self._left
        left.signatures += SIGNATURES[step.kind]
        if step.kind is StepKind.CLOSE and part.planned.units:
            left.signatures += 1

    def _happens(self, part: Part, step: Step) -> tuple[Event, list[tuple[Address, Address, int]]]:
        """What the contracts do: an event, and the tokens that move."""
        planned, terms, left = part.planned, part.terms, self._left
        escrow, jar, advisor = STAGE.escrow.contract, STAGE.tip_jar, terms.advisor
        made = planned.made_up
        match step.kind:
            case StepKind.OPEN:
                slot = Slot(planned.deposit, BaseUnits(0), step.at, UnixTime(0), 0, OPEN_FLAG)
                moved = [(terms.client, escrow, int(planned.deposit))]
                return SessionOpened(part.session_id, advisor, terms, slot), moved
            case StepKind.CLOSE | StepKind.FINALIZE:
                left.balances[advisor] += planned.fee - planned.platform_fee
                if terms.fee_bps:
                    left.balances[terms.fee_recipient] += planned.platform_fee
                left.held += planned.fee
                closed = Slot(
                    planned.deposit, planned.fee, planned.opened_at, step.at, made.score, 0
                )
                left.slots[part.session_id] = closed.pack()
                journal = part.journal().head if planned.units else ZERO_HASH
                event = SessionClosed(part.session_id, planned.units, planned.fee, journal)
                moved = [(escrow, terms.client, int(planned.refund))] if planned.refund else []
                return event, moved
            case StepKind.REQUEST_CLOSE:
                ends = UnixTime(step.at + terms.close_grace)
                return CloseRequested(part.session_id, terms.client, ends), []
            case StepKind.RATE:
                count, total = left.tallies.get(advisor, (0, 0))
                left.tallies[advisor] = count + 1, total + made.score
                comment = part.rating()[0]
                return Rated(part.session_id, terms.client, advisor, made.score, comment), []
            case StepKind.TIP:
                tip = Tipped(
                    advisor, terms.client, part.session_id, terms.token, made.tip, ZERO_HASH
                )
                halves = [(terms.client, jar, int(made.tip)), (jar, advisor, int(made.tip))]
                return tip, halves


def _signed(nonce: int, to: Address, calldata: bytes) -> tuple[bytes, bytes, bytes]:
    """The operator's transaction: its hash, and what stands around the calldata."""
    fields = [nonce, 10**9, 10**6, bytes(to), 0, calldata]
    chain = STAGE.escrow.chain_id
    signature = OPERATOR.sign(Hash(keccak(rlp.encode([*fields, chain, 0, 0]))))
    r, s = (int.from_bytes(half, "big") for half in (signature.r, signature.s))
    raw = bytes(rlp.encode([*fields, 35 + 2 * chain + signature.y_parity, r, s]))
    head, _, tail = raw.partition(calldata)
    return keccak(raw), head, tail


def make_segment(
    folder: Path, calls: Path, number: int, repetitions: range, days: int
) -> tuple[Segment, Left]:
    """One segment of the archive: these repetitions of the calls."""
    with plan_calls(calls, load_tariffs(TARIFFS, DECIMALS)) as plan:
        maker = _Maker(left := Left())
        block = first = FIRST + plan.count_steps() * repetitions.start
        for repetition in repetitions:
            block = maker.repeat(plan.shift(repetition * days), repetition, block)
    files: dict[str, Stored] = {}
    for table, columns in TABLES.items():
        writer = Writer(folder / f"{number:06}-{table}.parquet", columns)
        writer.extend(maker.rows[table])
        files[table] = writer.finish()
    last = BlockNumber(block - 1)
    anchor = Hash(keccak(b"block" + last.to_bytes(8, "big")))
    return Segment(number, BlockNumber(first), last, last, anchor, files), left


def make_archive(
    folder: Path, sessions: int, calls: Path = CALLS, jobs: int | None = None
) -> tuple[int, int]:
    """An archive of at least so many sessions; returns how many, and their signatures."""
    with plan_calls(calls, load_tariffs(TARIFFS, DECIMALS)) as plan:
        each, steps = sum(1 for _ in plan.sessions()), plan.count_steps()
        first, last = plan.first_at, plan.last_at
        assert first is not None
        assert last is not None
    days = (last - first) // DAY + 2
    repetitions = -(-sessions // each)
    together = max(1, LOGS_IN_A_SEGMENT // steps)
    spans = [
        range(start, min(start + together, repetitions))
        for start in range(0, repetitions, together)
    ]
    folder.mkdir(parents=True)
    contents = Contents(GENESIS, STAGE.escrow, STAGE.tip_jar, FIRST, [STAGE.token.contract], [1])
    left = Left()
    state = Writer(folder / "state.parquet", STATE)
    with ProcessPoolExecutor(jobs or os.cpu_count(), get_context("spawn")) as pool:
        made = pool.map(
            make_segment,
            [folder] * len(spans),
            [calls] * len(spans),
            range(1, len(spans) + 1),
            spans,
            [days] * len(spans),
        )
        for segment, part in made:
            contents.segments.append(segment)
            left.add(part)
            state.extend(list(rows_of_state(State(part.slots, {}, {}, {}))))
    for row in _rest(left):
        state.add(row)
    contents.states[contents.segments[-1].last] = state.finish()
    Archive(folder, contents).save()
    return each * repetitions, left.signatures


def _rest(left: Left) -> Iterator[Row]:
    token = STAGE.token.contract
    balances = {(token, who): BaseUnits(amount) for who, amount in left.balances.items()}
    tokens = {token: Token(token, BaseUnits(left.held), DECIMALS)}
    yield from rows_of_state(State({}, balances, left.tallies, tokens))
    yield from rows_said({token: STAGE.token.separator}, {})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--calls", type=Path, default=CALLS)
    options = parser.parse_args()
    began = time.monotonic()
    sessions, signatures = make_archive(options.folder, options.sessions, options.calls)
    print(f"{sessions:,} sessions, {signatures:,} signatures, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
