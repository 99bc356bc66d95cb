"""What the audit's book notes, line by line: each a tuple that can be stored as it is."""

from __future__ import annotations

from typing import NamedTuple

from honorarium.ids import Address, Hash, SessionId
from honorarium.units import BlockNumber, UnixTime


class Head(NamedTuple):
    """A reading's place in the journal."""

    units: int
    journal: Hash
    time: UnixTime
    block: BlockNumber
    log: int
    tx_hash: Hash


class Posting(NamedTuple):
    """A change of an account's balance. `what` for an amount below zero: the use of the money."""

    block: BlockNumber
    log: int
    tx_hash: Hash
    session: SessionId | None
    token: Address
    account: Address
    amount: int
    what: str


class Reading(NamedTuple):
    """Units that were credited."""

    session: SessionId
    block: BlockNumber
    log: int
    time: UnixTime
    tx_hash: Hash
    units: int
    earned: int
    journal: Hash
    closing: bool


class TipMade(NamedTuple):
    """A tip, as the tip jar recorded it."""

    block: BlockNumber
    log: int
    time: UnixTime
    tx_hash: Hash
    session: SessionId
    tipper: Address
    advisor: Address
    token: Address
    amount: int
    memo: Hash


class RatingMade(NamedTuple):
    """A rating, as the escrow recorded it."""

    block: BlockNumber
    log: int
    time: UnixTime
    tx_hash: Hash
    session: SessionId
    client: Address
    advisor: Address
    score: int
    comment: Hash


Moved = tuple[Hash, Address, Address, Address, int]
"""Tokens that moved: in which transaction, which token, from whom to whom, how much."""


class Movement(NamedTuple):
    """Tokens that must have gone to the escrow or left it (a `Moved`), and why."""

    tx_hash: Hash
    token: Address
    sender: Address
    recipient: Address
    amount: int
    rule: str
    session: SessionId | None
    block: BlockNumber
    log: int

    @property
    def moved(self) -> Moved:
        """What moved."""
        return self[:5]
