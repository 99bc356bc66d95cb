"""Receipts: contradictions in a log are found, with the rule and the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from honorarium.client import (
    ForeignRecord,
    LogContradicts,
    Receipt,
    SessionRevoked,
    SessionUnknown,
    TimeMissing,
    WrongDomain,
    WrongToken,
)
from honorarium.ids import ZERO_HASH, SessionId
from honorarium.money import COIN
from honorarium.protocol.events import (
    Event,
    Rated,
    RefundCredited,
    Revoked,
    Tipped,
)
from honorarium.protocol.slot import OPEN_FLAG, Slot
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, BlockNumber, UnixTime
from receipts import Log, whole_life
from written_log import (
    ADVISOR,
    CLIENT,
    DOMAIN,
    ESCROW,
    ID,
    JAR,
    START,
    STRANGER,
    TERMS,
    USD,
)

Change = Callable[[Log], None]


def changed(at: int, **fields: Any) -> Change:
    """The event at this place with other fields."""

    def change(log: Log) -> None:
        record = log.records[at]
        log.records[at] = replace(record, event=replace(record.event, **fields))

    return change


def added(event: Event) -> Change:
    def change(log: Log) -> None:
        log.write(event, 600)

    return change


def again(at: int) -> Change:
    return lambda log: added(log.records[at].event)(log)


def without(*places: int) -> Change:
    def change(log: Log) -> None:
        log.records = [r for n, r in enumerate(log.records) if n not in places]

    return change


def elsewhere(at: int, **fields: Any) -> Change:
    def change(log: Log) -> None:
        log.records[at] = replace(log.records[at], **fields)

    return change


OPENED, TOPPED, SETTLED, LEFT, CLOSED, CREDITED, TIPPED, RATED, ANSWERED = range(9)
SLOT = Slot(BaseUnits(6_000_000), BaseUnits(0), UnixTime(START + 1), UnixTime(0), 0, OPEN_FLAG)


@pytest.mark.parametrize(
    ("change", "rule", "expected", "found"),
    [
        (changed(SETTLED, earned=4_400_001), "ESC-4", 4_400_000, 4_400_001),
        (changed(CLOSED, earned=7_999_999), "ESC-4", 8_000_000, 7_999_999),
        (changed(CLOSED, units=6), "ESC-4", 7_100_000, 8_000_000),
        (changed(SETTLED, units=5), "ESC-5", "at most 4", 5),  # 200 s
        (changed(CLOSED, units=8), "ESC-5", "at most 7", 8),  # 400 s until somebody left
        (changed(OPENED, slot=SLOT), "ESC-5", START, START + 1),
        (changed(TOPPED, deposit=6_000_000), "ESC-1", "above 6000000", 6_000_000),
        (without(SETTLED, TOPPED), "ESC-4", 6_000_000, 8_000_000),
        (again(OPENED), "ESC-6", "NONE", "CLOSED"),
        (again(CLOSED), "ESC-6", "none", "there"),
        (again(SETTLED), "ESC-6", "none", "there"),
        (again(LEFT), "ESC-7", "OPEN", "CLOSED"),
        (again(TOPPED), "ESC-7", "OPEN", "CLOSED"),
        (added(Revoked(ID, ADVISOR)), "ESC-6", "NONE", "CLOSED"),
        (changed(LEFT, by=STRANGER), "ESC-7", None, f"0x{STRANGER.hex()}"),
        (changed(LEFT, grace_ends=START + 999), "ESC-7", START + 1000, START + 999),
        (changed(CREDITED, refund=4_000_001), "ESC-7", 4_000_000, 4_000_001),
        (changed(CREDITED, payer=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (again(CREDITED), "ESC-6", None, None),
        (changed(RATED, score=6), "ESC-10", "1 to 5", 6),
        (changed(RATED, score=0), "ESC-10", "1 to 5", 0),
        (changed(RATED, client=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (changed(RATED, advisor=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (again(RATED), "ESC-10", 0, 5),
        (without(RATED), "ESC-10", True, False),
        (without(CLOSED, CREDITED), "ESC-10", "CLOSED", "CLOSING"),
        (again(ANSWERED), "ESC-10", 0, 1),
        (changed(ANSWERED, advisor=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (changed(OPENED, advisor=STRANGER), "ESC-11", None, f"0x{STRANGER.hex()}"),
        (elsewhere(RATED, time=UnixTime(START + 501 + 30 * 86_400)), "ESC-10", None, None),
        (elsewhere(SETTLED, block=BlockNumber(1)), "log", "after (102, 1)", (1, 2)),
        (lambda log: log.records.insert(3, log.records[2]), "log", "after (103, 2)", (103, 2)),
    ],
)
def test_what_cannot_follow_is_refused_with_the_rule_and_the_numbers(
    change: Change, rule: str, expected: object, found: object
) -> None:
    log = whole_life()
    change(log)
    with pytest.raises(LogContradicts, match="collect the log again") as refused:
        log.receipt()
    error = refused.value
    assert error.rule == rule
    assert expected is None or error.expected == expected
    assert found is None or error.found == found
    assert error.slug == "log-contradicts"


def test_a_settlement_that_brings_nothing_is_no_settlement() -> None:
    log = Log().opened(12_000_000).settled(3, 4_400_000, 200).settled(3, 4_400_000, 210)
    with pytest.raises(LogContradicts, match=r"^ESC-2: .* must be above 4400000"):
        log.receipt()


def test_a_rating_of_nothing_earned_is_refused() -> None:
    log = Log().opened(12_000_000).closed(0, 0, 20)
    log.write(Rated(ID, CLIENT, ADVISOR, 5, ZERO_HASH), 30)
    with pytest.raises(LogContradicts, match=r"^ESC-10"):
        log.receipt()


def test_a_refund_into_a_balance_is_not_credited_twice() -> None:
    log = Log().opened(12_000_000, from_balance=True).closed(0, 0, 20)
    log.write(RefundCredited(ID, CLIENT, BaseUnits(12_000_000)), 20, beside=True)
    with pytest.raises(LogContradicts, match=r"^ESC-6"):
        log.receipt()


def test_a_session_that_is_not_in_the_log_is_unknown() -> None:
    for records in ([], whole_life().records[1:]):
        with pytest.raises(SessionUnknown, match="from an earlier block on") as unknown:
            Receipt.from_log(records, ID, DOMAIN, USD, tip_jar=JAR)
        assert unknown.value.session_id == ID
    with pytest.raises(SessionUnknown, match="9 records read"):
        Receipt.from_log(whole_life().records, SessionId(bytes(32)), DOMAIN, USD, tip_jar=JAR)


def test_a_revoked_quote_has_no_receipt_and_says_who_revoked_it() -> None:
    with pytest.raises(SessionRevoked, match="nothing was paid") as revoked:
        Log().write(Revoked(ID, ADVISOR), 5).receipt()
    assert (revoked.value.by, revoked.value.at) == (ADVISOR, START + 5)
    with pytest.raises(LogContradicts, match=r"^ESC-6"):
        Log().write(Revoked(ID, ADVISOR), 5).opened(12_000_000, at=6).receipt()


@pytest.mark.parametrize("domain", [Domain(1, ESCROW), Domain(1337, ESCROW, version="2")])
def test_the_session_id_is_computed_from_the_terms(domain: Domain) -> None:
    with pytest.raises(WrongDomain) as wrong:
        Receipt.from_log(whole_life().records, ID, domain, USD, tip_jar=JAR)
    assert wrong.value.computed == TERMS.session_id(domain)
    log = whole_life()
    changed(OPENED, terms=replace(TERMS, salt=8))(log)
    with pytest.raises(WrongDomain):
        log.receipt()


def test_another_token_than_the_terms_name_is_refused() -> None:
    with pytest.raises(WrongToken, match="decimals of that token"):
        whole_life().receipt(token=COIN)


def test_records_of_other_contracts_are_refused() -> None:
    log = whole_life()
    log.records[SETTLED] = replace(log.records[SETTLED], address=STRANGER)
    with pytest.raises(ForeignRecord, match="wrote a Settled of this session"):
        log.receipt()
    with pytest.raises(ForeignRecord, match="no tip jar was named"):
        Receipt.from_log(whole_life().records, ID, DOMAIN, USD)
    no_tips = [r for r in whole_life().records if not isinstance(r.event, Tipped)]
    assert not Receipt.from_log(no_tips, ID, DOMAIN, USD).tipped


@pytest.mark.parametrize("time", [0, -1, 2**40])
def test_records_without_a_time_are_refused(time: int) -> None:
    log = whole_life()
    log.records[0] = replace(log.records[0], time=UnixTime(time))
    with pytest.raises(TimeMissing, match="times=True"):
        log.receipt()
