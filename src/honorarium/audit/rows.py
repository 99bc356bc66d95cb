"""What an audit tells of each session, settlement, tip, rating and balance: rows, and their types.

Amounts are base units, times unix seconds (0: not yet). In Parquet an amount that one session can
hold (80 bits) is a decimal number; one that only a token bounds (256 bits) is text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa

from honorarium.audit.book import (
    Book,
    SessionRecord,
    share_of,
)
from honorarium.audit.records import (
    Reading,
)
from honorarium.audit.tables import B20, B32, Columns
from honorarium.ids import Address, Hash, SessionId

AMOUNT: Final = pa.decimal128(25, 0)
ANY_AMOUNT: Final = pa.string()
TIME: Final = pa.uint64()


class SessionRow(NamedTuple):
    """A session as the audit's book has it at the last block."""

    session_id: SessionId
    status: str
    client: Address
    payer: Address
    advisor: Address
    meter_key: Address
    token: Address
    fee_recipient: Address
    fee_bps: int
    connect_fee: int
    unit_price: int
    unit_seconds: int
    included_units: int
    step_units: int
    step_price: int
    max_units: int
    close_grace: int
    opened_at: int
    closing_at: int
    closed_at: int
    deposit: int
    units: int
    earned: int
    platform_fee: int
    refund: int
    from_balance: bool
    score: int
    rated_at: int
    answered: bool
    journal: Hash
    opened_block: int
    opened_log: int
    opened_tx: Hash
    closed_block: int
    closed_tx: Hash | None

    @property
    def net(self) -> int:
        """What the advisor got."""
        return self.earned - self.platform_fee


SESSIONS: Final[Columns] = {
    "session_id": B32,
    "status": pa.string(),
    "client": B20,
    "payer": B20,
    "advisor": B20,
    "meter_key": B20,
    "token": B20,
    "fee_recipient": B20,
    "fee_bps": pa.uint16(),
    "connect_fee": AMOUNT,
    "unit_price": AMOUNT,
    "unit_seconds": pa.uint32(),
    "included_units": pa.uint32(),
    "step_units": pa.uint32(),
    "step_price": AMOUNT,
    "max_units": pa.uint32(),
    "close_grace": pa.uint32(),
    "opened_at": TIME,
    "closing_at": TIME,
    "closed_at": TIME,
    "deposit": AMOUNT,
    "units": pa.uint32(),
    "earned": AMOUNT,
    "platform_fee": AMOUNT,
    "refund": AMOUNT,
    "from_balance": pa.bool_(),
    "score": pa.uint8(),
    "rated_at": TIME,
    "answered": pa.bool_(),
    "journal": B32,
    "opened_block": pa.uint64(),
    "opened_log": pa.uint32(),
    "opened_tx": B32,
    "closed_block": pa.uint64(),
    "closed_tx": B32,
}

SETTLEMENTS: Final[Columns] = {
    "session_id": B32,
    "block": pa.uint64(),
    "log": pa.uint32(),
    "time": TIME,
    "tx": B32,
    "units": pa.uint32(),
    "earned": AMOUNT,
    "journal": B32,
    "closing": pa.bool_(),
}

TIPS: Final[Columns] = {
    "block": pa.uint64(),
    "log": pa.uint32(),
    "time": TIME,
    "tx": B32,
    "session_id": B32,
    "tipper": B20,
    "advisor": B20,
    "token": B20,
    "amount": ANY_AMOUNT,
    "memo": B32,
}

RATINGS: Final[Columns] = {
    "block": pa.uint64(),
    "log": pa.uint32(),
    "time": TIME,
    "tx": B32,
    "session_id": B32,
    "client": B20,
    "advisor": B20,
    "score": pa.uint8(),
    "comment": B32,
}

BALANCES: Final[Columns] = {"token": B20, "account": B20, "amount": ANY_AMOUNT}

FINDINGS: Final[Columns] = {
    "severity": pa.string(),
    "rule": pa.string(),
    "session": B32,
    "expected": pa.string(),
    "found": pa.string(),
    "about": pa.string(),
    "block": pa.uint64(),
    "log": pa.uint32(),
    "tx": B32,
    "token": B20,
}


def session_rows(book: Book) -> Iterator[SessionRow]:
    """The sessions of a book, in the order in which they opened."""
    for session_id, session in book.sessions.items():
        yield session_row(session_id, session)


def session_row(session_id: SessionId, session: SessionRecord) -> SessionRow:
    terms, over = session.terms, session.over
    tariff = terms.tariff
    return SessionRow(
        session_id,
        session.status.name.lower(),
        terms.client,
        terms.payer,
        terms.advisor,
        terms.meter_key,
        terms.token,
        terms.fee_recipient,
        terms.fee_bps,
        tariff.connect_fee,
        tariff.unit_price,
        tariff.unit_seconds,
        tariff.included_units,
        tariff.step_units,
        tariff.step_price,
        tariff.max_units,
        terms.close_grace,
        session.opened_at,
        session.closing_at,
        session.closed_at,
        session.deposit,
        session.units,
        session.earned,
        share_of(session.earned, terms.fee_bps),
        session.refund if over else 0,
        session.from_balance,
        session.score,
        session.rated_at,
        session.answered,
        session.journal,
        session.opened_block,
        session.opened_log,
        session.opened_in,
        session.closed_block,
        session.closed_in,
    )


def settlement_row(reading: Reading) -> tuple[object, ...]:
    """A reading as a row of `SETTLEMENTS`."""
    return tuple(reading)
