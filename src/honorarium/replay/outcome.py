"""What became of a replay, read from the chain and from nothing else.

The plan says what should have happened; the chain says what did. The tables are written from the
chain, and every session is compared with its plan on the way.
"""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from eth_utils.address import to_checksum_address

from honorarium.chain import collect, receipts
from honorarium.errors import ChainError
from honorarium.ids import Hash
from honorarium.protocol.events import (
    Event,
    Rated,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
)
from honorarium.replay.parties import cast
from honorarium.replay.run import Pace
from honorarium.replay.stage import Ready, write_whole

SUMMARY: Final = "summary.json"
SESSIONS: Final = "sessions.csv"
REFUSED: Final = "refused.csv"
SESSION_COLUMNS: Final = (
    "call",
    "session_id",
    "client",
    "advisor",
    "opened_at",
    "closed_at",
    "units",
    "fee",
    "platform_fee",
    "refund",
)
_RECEIPTS_AT_ONCE: Final = 200
_SPEED: Final = ("seconds", "transactions_per_second", "ratio_to_chain")


class NotAsPlanned(ChainError):
    """What the chain says of a session is not what the records give."""

    def __init__(self, call: str, what: str, expected: object, found: object) -> None:
        self.call, self.what, self.expected, self.found = call, what, expected, found
        super().__init__(
            f"call {call}: {what} is {found} on the chain, and {expected} by records and tariffs; "
            "keep the folder and run `honorarium audit` on it"
        )


def write_outcome(
    ready: Ready,
    folder: Path,
    pace: Pace,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes summary.json, sessions.csv and refused.csv; returns the summary.

    Each file is written whole or not at all. Raises NotAsPlanned.
    """
    with closing(_Found()) as found:
        found.gas = _read_chain(ready, found, progress)
        fees, platform_fees, deposits = _write_sessions(ready, folder, found)
        _write_table(folder / REFUSED, ("call", "line", "reason"), ready.plan.refused())
        totals = ready.plan.totals
        summary: dict[str, Any] = {
            "calls": totals.calls,
            "paid": totals.paid,
            "zero": totals.zero,
            "abandoned": totals.abandoned,
            "robot_only": totals.robot_only,
            "phantom": totals.phantom,
            "refused": totals.refused,
            "capped": totals.capped,
            "deposits": deposits,
            "fees": fees,
            "platform_fees": platform_fees,
            "refunds": deposits - fees,
            "tips": found.tips,
            "ratings": found.ratings,
            "gas": found.gas,
            **_speed(folder, pace),
            "made_up": ["ratings", "tips"],
            "shifted_days": ready.state.days,
            "transactions": ready.plan.count_steps(),
            "decimals": ready.plan.decimals,
            "token": to_checksum_address(ready.stage.token.contract),
            "notes": [
                {"call": call, "line": line, "note": note}
                for call, line, note in ready.plan.notes()
            ],
        }
    write_whole(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")
    return summary


def _speed(folder: Path, pace: Pace) -> dict[str, float]:
    """How fast the last run was that had anything to do."""
    if not pace.steps and (folder / SUMMARY).exists():
        known = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        return {name: known[name] for name in _SPEED if name in known}
    figures = (round(pace.seconds, 3), round(pace.per_second, 2), round(pace.of_chain, 3))
    return dict(zip(_SPEED, figures, strict=True))


class _Found:
    """What the log said of each session, in a temporary file of SQLite: memory stays flat.

    Amounts are text, because 80 bits do not fit its integers.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("BEGIN")
        self._db.execute(
            "CREATE TABLE found (id BLOB PRIMARY KEY, deposit TEXT, opened INTEGER, "
            "closed INTEGER, units INTEGER, earned TEXT) WITHOUT ROWID"
        )
        self.tips = self.ratings = self.gas = 0

    def add(self, event: Event, time: int) -> None:
        if isinstance(event, SessionOpened):
            self._db.execute(
                "INSERT INTO found VALUES (?, ?, ?, NULL, 0, '0')",
                (event.session_id, str(event.deposit), time),
            )
        elif isinstance(event, SessionClosed):
            self._db.execute(
                "UPDATE found SET closed = ?, units = ?, earned = ? WHERE id = ?",
                (time, event.units, str(event.earned), event.session_id),
            )
        elif isinstance(event, Settled):
            self._db.execute(
                "UPDATE found SET units = ?, earned = ? WHERE id = ?",
                (event.units, str(event.earned), event.session_id),
            )
        elif isinstance(event, Tipped):
            self.tips += event.amount
        elif isinstance(event, Rated):
            self.ratings += 1

    def session(self, session_id: bytes) -> tuple[int, int, int | None, int, int] | None:
        """Deposit, opened at, closed at, units, earned."""
        row = self._db.execute(
            "SELECT deposit, opened, closed, units, earned FROM found WHERE id = ?", (session_id,)
        ).fetchone()
        return (int(row[0]), row[1], row[2], row[3], int(row[4])) if row else None

    def close(self) -> None:
        self._db.close()


def _read_chain(ready: Ready, found: _Found, progress: Callable[[int, int], None]) -> int:
    """Takes all events in; returns the gas of their transactions."""
    node, first = ready.node, ready.state.first_block
    last = node.block().number
    contracts = (ready.stage.escrow.contract, ready.stage.tip_jar)
    gas, waiting, seen = 0, list[Hash](), b""
    for record in collect(node, contracts, first, last):
        found.add(record.event, record.time)
        if record.tx_hash != seen:  # one transaction's logs stand together
            waiting.append(record.tx_hash)
            seen = record.tx_hash
        if len(waiting) == _RECEIPTS_AT_ONCE:
            gas += _gas(ready, waiting)
            waiting = []
            progress(record.block - first, last - first + 1)
    gas += _gas(ready, waiting)
    progress(last - first + 1, last - first + 1)
    return gas


def _gas(ready: Ready, hashes: list[Hash]) -> int:
    return sum(receipt.gas_used for receipt in receipts(ready.node, hashes) if receipt)


def _write_sessions(ready: Ready, folder: Path, found: _Found) -> tuple[int, int, int]:
    fees = platform_fees = deposits = 0

    def rows() -> Iterator[tuple[object, ...]]:
        nonlocal fees, platform_fees, deposits
        for planned in ready.plan.sessions():
            part = cast(ready.stage, planned)
            on_chain = found.session(part.session_id)
            if on_chain is None:
                raise NotAsPlanned(planned.call, "its session", "opened", "missing")
            deposit, opened, closed, units, earned = on_chain
            for what, expected, value in (
                ("the deposit", planned.deposit, deposit),
                ("the time of opening", planned.opened_at, opened),
                ("the time of closing", planned.closed_at, closed),
                ("the number of units", planned.units, units),
                ("the fee", planned.fee, earned),
            ):
                if expected != value:
                    raise NotAsPlanned(planned.call, what, expected, value)
            platform_fee = planned.billing.platform_fee(earned)
            fees, platform_fees, deposits = (
                fees + earned,
                platform_fees + platform_fee,
                deposits + deposit,
            )
            yield (
                planned.call,
                "0x" + part.session_id.hex(),
                to_checksum_address(part.terms.client),
                to_checksum_address(part.terms.advisor),
                opened,
                closed,
                units,
                earned,
                platform_fee,
                deposit - earned,
            )

    _write_table(folder / SESSIONS, SESSION_COLUMNS, rows())
    return fees, platform_fees, deposits


def _write_table(path: Path, columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    draft = path.with_name(path.name + ".new")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
