"""Archives that somebody falsified: rows of a real one are others, and its digests fit again.

The archive is of a real day on a real Anvil.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from honorarium.audit import Archive, Contents, Verdict, audit_live, catch_up
from honorarium.audit.archive import TABLES
from honorarium.audit.tables import Row
from honorarium.chain import LocalChain, Node, calls
from honorarium.chain.node import to_hex
from honorarium.ids import ZERO_ADDRESS, Address, SessionId
from honorarium.units import BlockNumber
from lives import MORNING, PARTIES, Day, Stage, live_a_day

STRANGER = Address(b"\x99" * 20)
HASH, BLOCK, SENDER, TO, DATA, HEAD, TAIL = range(7)  # columns of transactions
TOPICS = 6  # and of logs
TX_OF_LOG = 4


@dataclass
class Kept:
    stage: Stage
    day: Day
    folder: Path
    verdict: Verdict

    def tx_of(self, kind: Any, session: SessionId) -> bytes:
        """The transaction of an event."""
        for row in Archive.read(self.folder).rows("logs"):
            if row[TOPICS].startswith(kind.TOPIC + session):
                return bytes(row[TX_OF_LOG])
        raise LookupError(kind)


@contextmanager
def kept_day(folder: Path) -> Iterator[Kept]:
    """The archive of a day on a chain that still runs."""
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        stage = Stage(chain, node)
        day = live_a_day(stage)
        _finalize_in_the_middle_of_a_withdrawal(stage, day)
        _withdraw_in_the_middle_of_a_withdrawal(stage)
        contents = Contents(node.genesis_hash, stage.domain, stage.tip_jar, BlockNumber(0))
        with Archive.keep(folder, contents) as archive:
            catch_up(node, archive)
            verdict = audit_live(node, archive)
        yield Kept(stage, day, folder, verdict)


def _finalize_in_the_middle_of_a_withdrawal(stage: Stage, day: Day) -> None:
    """Somebody's contract is paid out of a balance, and calls the escrow then."""
    left = day.terms["left in a withdrawal"] = stage.terms()
    day.ids["left in a withdrawal"] = stage.open(left, 5_000_000)
    stage.leave(left)
    stage.wait(600)
    wallet = Address(b"\x73" * 20)
    _calls_when_paid(stage, wallet, calls.finalize(left))
    stage.send("client", stage.escrow, calls.deposit(ZERO_ADDRESS, stage.address("client"), 9), 9)
    stage.send("client", stage.escrow, calls.withdraw(ZERO_ADDRESS, 9, wallet))


def _withdraw_in_the_middle_of_a_withdrawal(stage: Stage) -> None:
    """A contract with a balance of its own is paid, and withdraws that then."""
    wallet = Address(b"\x74" * 20)
    _calls_when_paid(stage, wallet, calls.withdraw(ZERO_ADDRESS, 5, STRANGER))
    stage.send("client", stage.escrow, calls.deposit(ZERO_ADDRESS, wallet, 5), 5)
    stage.send("client", stage.escrow, calls.deposit(ZERO_ADDRESS, stage.address("client"), 9), 9)
    stage.send("client", stage.escrow, calls.withdraw(ZERO_ADDRESS, 9, wallet))


def _calls_when_paid(stage: Stage, wallet: Address, data: bytes) -> None:
    """Puts a contract there that calls the escrow with this data."""
    size = len(data).to_bytes(2, "big")
    # Copies what stands behind it to memory, and calls with that.
    code = b"\x61" + size + bytes.fromhex("60275f395f5f61") + size + bytes.fromhex("5f5f73")
    code += stage.escrow + bytes.fromhex("5af15000") + data
    assert len(code) == 0x27 + len(data)
    stage.node.request("anvil_setCode", [to_hex(wallet), to_hex(code)])


Change = Callable[[Row], Row | list[Row]]


def falsified(kept: Kept, folder: Path, **changes: Change) -> Archive:
    """A copy in which rows of tables are others, with digests that fit. It has one segment."""
    source = Archive.read(kept.folder)
    contents = replace(source.contents, tokens=[], since=[], segments=[], states={}, at=[])
    with Archive.keep(folder, contents) as copy:
        copy.contents.tokens, copy.contents.since = source.contents.tokens, source.contents.since
        for segment in source.segments:
            rows: dict[str, list[Row]] = {table: [] for table in TABLES}
            for table in TABLES:
                for row in source.rows(table):
                    new = changes[table](row) if table in changes else row
                    rows[table] += new if isinstance(new, list) else [new]
            copy.append(segment.first, segment.last, (segment.anchor, segment.anchor_hash), rows)
        copy.put_states({copy.last: list(source.state_rows(source.last))})
    return Archive.read(folder)


def with_column(tx: bytes, **columns: Any) -> Change:
    names = {"sender": SENDER, "to": TO, "data": DATA, "head": HEAD, "tail": TAIL}

    def change(row: Row) -> Row:
        if row[HASH] != tx:
            return row
        new = list(row)
        for name, value in columns.items():
            old = new[names[name]]
            new[names[name]] = value(old) if callable(value) else value
        return tuple(new)

    return change


def rules(verdict: Verdict, kept: Kept) -> set[tuple[str, str | None]]:
    names = {session: name for name, session in kept.day.ids.items()}
    return {
        (each.rule, None if each.session is None else names.get(each.session))
        for each in verdict.findings
    }


def unsigned(**columns: Any) -> dict[str, Any]:
    """Without the signature: as whoever falsifies a transaction must keep it."""
    return {"head": None, "tail": None, **columns}


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
