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
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from eth_utils.address import to_checksum_address

from honorarium.chain import collect, receipts
from honorarium.errors import ChainError, FateUnknown
from honorarium.protocol.events import (
    CloseRequested,
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
        _read_chain(ready, found, progress)
        sums = _write_sessions(ready, folder, found)
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
            "deposits": sums.deposits,
            "fees": sums.fees,
            "platform_fees": sums.platform_fees,
            "refunds": sums.deposits - sums.fees,
            "tips": sums.tips,
            "ratings": sums.ratings,
            "gas": sums.gas,
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


@dataclass(frozen=True, slots=True)
class _OnChain:
    """What the log says of one session. Amounts in base units, times in unix seconds."""

    deposit: int
    opened: int
    closed: int | None
    units: int
    earned: int
    score: int
    tips: int
    gas: int


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
            "closed INTEGER, units INTEGER DEFAULT 0, earned TEXT DEFAULT '0', "
            "score INTEGER DEFAULT 0) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE tips (id BLOB, tipper BLOB, token BLOB, amount TEXT, gas INTEGER)"
        )
        self._db.execute("CREATE TABLE gas (id BLOB, gas INTEGER)")

    def add(self, event: Event, time: int, gas: int) -> None:
        """Takes an event in, with the time of its block and the gas of its transaction."""
        match event:
            case SessionOpened():
                self._db.execute(
                    "INSERT OR REPLACE INTO found (id, deposit, opened) VALUES (?, ?, ?)",
                    (event.session_id, str(event.deposit), time),
                )
            case SessionClosed():
                self._db.execute(
                    "UPDATE found SET closed = ?, units = ?, earned = ? WHERE id = ?",
                    (time, event.units, str(event.earned), event.session_id),
                )
            case Settled():
                self._db.execute(
                    "UPDATE found SET units = ?, earned = ? WHERE id = ?",
                    (event.units, str(event.earned), event.session_id),
                )
            case Rated():
                self._db.execute(
                    "UPDATE found SET score = ? WHERE id = ?", (event.score, event.session_id)
                )
            case Tipped():
                tip = (event.session_id, event.tipper, event.token, str(event.amount), gas)
                self._db.execute("INSERT INTO tips VALUES (?, ?, ?, ?, ?)", tip)
                return
            case CloseRequested():
                pass
            case _:
                return
        self._db.execute("INSERT INTO gas VALUES (?, ?)", (event.session_id, gas))

    def index(self) -> None:
        """To be called when everything is in, before `session`."""
        self._db.execute("CREATE INDEX tips_of ON tips (id)")
        self._db.execute("CREATE INDEX gas_of ON gas (id)")

    def session(self, session_id: bytes, client: bytes, token: bytes) -> _OnChain | None:
        """A session with what its own client tipped in its own token; None: it was not opened.

        What others do to a session, or in other tokens, is not the replay's.
        """
        row = self._db.execute(
            "SELECT deposit, opened, closed, units, earned, score FROM found WHERE id = ?",
            (session_id,),
        ).fetchone()
        if row is None:
            return None
        tips = self._db.execute(
            "SELECT amount, gas FROM tips WHERE id = ? AND tipper = ? AND token = ?",
            (session_id, client, token),
        ).fetchall()
        (gas,) = self._db.execute(
            "SELECT COALESCE(SUM(gas), 0) FROM gas WHERE id = ?", (session_id,)
        ).fetchone()
        return _OnChain(
            deposit=int(row[0]),
            opened=row[1],
            closed=row[2],
            units=row[3],
            earned=int(row[4]),
            score=row[5],
            tips=sum(int(amount) for amount, _ in tips),
            gas=gas + sum(used for _, used in tips),
        )

    def close(self) -> None:
        self._db.close()


def _read_chain(ready: Ready, found: _Found, progress: Callable[[int, int], None]) -> None:
    """Takes all events in."""
    node, first = ready.node, ready.state.first_block
    last = node.block().number
    contracts = (ready.stage.escrow.contract, ready.stage.tip_jar)
    records = collect(node, contracts, first, last)
    while chunk := list(islice(records, _RECEIPTS_AT_ONCE)):
        hashes = list(dict.fromkeys(record.tx_hash for record in chunk))
        gas = {}
        for tx_hash, receipt in zip(hashes, receipts(node, hashes), strict=True):
            if receipt is None:
                raise FateUnknown(tx_hash)
            gas[tx_hash] = receipt.gas_used
        for record in chunk:
            found.add(record.event, record.time, gas[record.tx_hash])
        progress(chunk[-1].block - first + 1, last - first + 1)
    progress(last - first + 1, last - first + 1)
    found.index()


@dataclass
class _Sums:
    """What `_write_sessions` adds up."""

    deposits: int = 0
    fees: int = 0
    platform_fees: int = 0
    tips: int = 0
    ratings: int = 0
    gas: int = 0


def _write_sessions(ready: Ready, folder: Path, found: _Found) -> _Sums:
    sums = _Sums()

    def rows() -> Iterator[tuple[object, ...]]:
        for planned in ready.plan.sessions():
            part = cast(ready.stage, planned)
            terms = part.terms
            on_chain = found.session(part.session_id, terms.client, terms.token)
            if on_chain is None:
                raise NotAsPlanned(planned.call, "its session", "opened", "missing")
            for what, at, found_at in (
                ("the time of opening", planned.opened_at, on_chain.opened),
                ("the time of closing", planned.closed_at, on_chain.closed),
            ):
                if found_at is None or not at <= found_at <= at + ready.late:
                    raise NotAsPlanned(planned.call, what, at, found_at)
            for what, expected, value in (
                ("the deposit", planned.deposit, on_chain.deposit),
                ("the number of units", planned.units, on_chain.units),
                ("the fee", planned.fee, on_chain.earned),
                ("the score", planned.made_up.score, on_chain.score),
                ("the tip", planned.made_up.tip, on_chain.tips),
            ):
                if expected != value:
                    raise NotAsPlanned(planned.call, what, expected, value)
            platform_fee = planned.billing.platform_fee(on_chain.earned)
            sums.deposits += on_chain.deposit
            sums.fees += on_chain.earned
            sums.platform_fees += platform_fee
            sums.tips += on_chain.tips
            sums.ratings += on_chain.score > 0
            sums.gas += on_chain.gas
            yield (
                planned.call,
                "0x" + part.session_id.hex(),
                to_checksum_address(terms.client),
                to_checksum_address(terms.advisor),
                on_chain.opened,
                on_chain.closed,
                on_chain.units,
                on_chain.earned,
                platform_fee,
                on_chain.deposit - on_chain.earned,
            )

    _write_table(folder / SESSIONS, SESSION_COLUMNS, rows())
    return sums


def _write_table(path: Path, columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    draft = path.with_name(path.name + ".new")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
