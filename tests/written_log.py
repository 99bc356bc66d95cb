"""A session's log, written by hand: what contracts would say, without a chain."""

from __future__ import annotations

from typing import Self

from honorarium.chain import LogRecord
from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.money import Token
from honorarium.protocol.events import (
    CloseRequested,
    Event,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
)
from honorarium.protocol.slot import FROM_BALANCE_FLAG, OPEN_FLAG, Slot
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, BlockNumber, Bps, Seconds, UnixTime


def account(number: int) -> Address:
    return Address(bytes([number]) * 20)


CLIENT, ADVISOR, PLATFORM, METER, STRANGER = (account(n) for n in range(1, 6))
ESCROW, JAR = account(0xE), account(0xF)
USD = Token(account(0x5D), "tUSD", 6)
DOMAIN = Domain(1337, ESCROW)
START = 1_767_621_600  # 2026-01-05 14:00:00 UTC
JOURNAL_HEAD = Hash(b"\x0a" * 32)

# 2.00 to connect, 1.20 a started minute, the first one free, 0.90 from the fourth on, 10 at most.
TARIFF = Tariff(
    BaseUnits(2_000_000), BaseUnits(1_200_000), Seconds(60), 1, 3, BaseUnits(900_000), 10
)
TERMS = Terms(
    client=CLIENT,
    payer=CLIENT,
    advisor=ADVISOR,
    meter_key=METER,
    token=USD.address,
    tariff=TARIFF,
    fee_bps=Bps(250),
    fee_recipient=PLATFORM,
    open_before=UnixTime(START + 3600),
    close_grace=Seconds(600),
    context=ZERO_HASH,
    salt=7,
)
ID = TERMS.session_id(DOMAIN)


class Log:
    """Writes records as a chain would: each in a block and a transaction of its own."""

    def __init__(self, terms: Terms = TERMS, domain: Domain = DOMAIN) -> None:
        self.terms, self.domain = terms, domain
        self.id = terms.session_id(domain)
        self.records: list[LogRecord] = []

    def write(self, event: Event, at: int, *, beside: bool = False) -> Self:
        """`beside`: in the transaction of the record before it."""
        place = len(self.records) if beside else len(self.records) + 1
        home = JAR if isinstance(event, Tipped) else self.domain.contract
        block, tx = BlockNumber(100 + place), Hash(bytes([place]) * 32)
        record = LogRecord(block, len(self.records), tx, home, event, UnixTime(START + at))
        self.records.append(record)
        return self

    def opened(self, deposit: int, *, from_balance: bool = False, at: int = 0) -> Self:
        flags = OPEN_FLAG | (FROM_BALANCE_FLAG if from_balance else 0)
        slot = Slot(BaseUnits(deposit), BaseUnits(0), UnixTime(START + at), UnixTime(0), 0, flags)
        return self.write(SessionOpened(self.id, self.terms.advisor, self.terms, slot), at)

    def topped_up(self, deposit: int, at: int) -> Self:
        return self.write(ToppedUp(self.id, BaseUnits(deposit), False), at)

    def settled(self, units: int, earned: int, at: int, journal: Hash = JOURNAL_HEAD) -> Self:
        return self.write(Settled(self.id, units, BaseUnits(earned), journal), at)

    def left(self, at: int) -> Self:
        ends = UnixTime(START + at + self.terms.close_grace)
        return self.write(CloseRequested(self.id, self.terms.client, ends), at)

    def closed(self, units: int, earned: int, at: int, journal: Hash = JOURNAL_HEAD) -> Self:
        head = journal if units else ZERO_HASH
        return self.write(SessionClosed(self.id, units, BaseUnits(earned), head), at)
