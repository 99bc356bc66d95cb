"""The audit finds every kind of false event, and nothing where nothing is false (falsified.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from falsified import DAYS, STRANGER, Falsehoods, Lived, lived_day, with_time
from honorarium.ids import ZERO_ADDRESS, Hash
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Deposited,
    Rated,
    RefundCredited,
    Revoked,
    SessionClosed,
    SessionOpened,
    Settled,
    ToppedUp,
    Withdrawn,
)
from honorarium.units import BaseUnits, UnixTime
from recorded import Recorded

false = Falsehoods()


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    with lived_day() as lived:
        yield lived


def test_a_day_on_which_everybody_kept_the_rules_has_no_findings(lived: Lived) -> None:
    assert lived.verdict.findings == []
    assert lived.verdict.counts["sessions"] == 14
    assert lived.verdict.surplus == {lived.token: 77, ZERO_ADDRESS: 0}
    assert lived.facts.judge() == lived.verdict


def test_every_token_s_deposits_are_its_fees_refunds_and_what_is_still_open(lived: Lived) -> None:
    for sums in lived.verdict.sums.values():
        assert sums.deposits == sums.fees + sums.refunds + sums.open
        assert 0 < sums.platform_fees < sums.fees


def test_consent_that_only_a_contract_can_vouch_for_is_counted_not_found(lived: Lived) -> None:
    assert lived.verdict.unproven.contract_signers == 1
    assert lived.verdict.unproven.through_contracts == 1


# ---------------------------------------------------------------------- what was earned


@false("a settlement credits one unit too much", ("ESC-4", "rated"))
def _(w: Lived) -> Recorded:
    at = w.at(Settled, "rated")
    event: Any = w.facts.entries[at].event
    return w.facts.event(at, earned=event.earned + 1)


@false("what is earned falls", ("ESC-2", "rated"), ("ESC-4", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Settled, "rated", 1), earned=5)


@false(
    "more is earned than was deposited",
    ("ESC-2", "running"),
    ("ESC-4", "running"),
    ("ESC-1", None),
    ("ESC-15", None),
)
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Settled, "running"), earned=5_000_001)


@false(
    "a close pays another sum than the contract did",
    ("ESC-4", "rated"),
    ("ESC-1", None),
    ("ESC-7", "rated"),
    ("ESC-15", None),
)
def _(w: Lived) -> Recorded:
    at = w.at(SessionClosed, "rated")
    event: Any = w.facts.entries[at].event
    return w.facts.event(at, earned=event.earned + 100)


@false("units are others than those that were paid", ("ESC-4", "rated"), ("ESC-3", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Settled, "rated"), units=1)


@false("more units than time", ("ESC-5", "rated"), ("ESC-4", "rated"), ("ESC-3", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Settled, "rated"), units=5)


@false("a settlement before its time had passed", ("ESC-5", "rated"))
def _(w: Lived) -> Recorded:
    opened = w.facts.entries[w.at(SessionOpened, "rated")].time
    return w.facts.entry(w.at(Settled, "rated"), time=UnixTime(opened + 59))


@false("time that counted on after somebody asked to close", ("ESC-5", "settled in grace"))
def _(w: Lived) -> Recorded:
    # The event asks as early as the opening; its grace is moved along, and the end is later still.
    opened = w.facts.entries[w.at(SessionOpened, "settled in grace")].time
    at = w.at(CloseRequested, "settled in grace")
    return w.facts.entry(at, time=opened).event(at, grace_ends=opened + 600)


@false("an opening at another time than in storage", ("ESC-5", "running"))
def _(w: Lived) -> Recorded:
    at = w.at(SessionOpened, "running")
    return w.facts.entry(at, time=UnixTime(w.facts.entries[at].time - 1))


# ---------------------------------------------------------------------- what is missing


@false("a settlement is missing", ("ESC-4", "running"), ("ESC-1", None), ("ESC-15", None))
def _(w: Lived) -> Recorded:
    return w.facts.without(w.at(Settled, "running"))


@false("a settlement that a later one covers is missing")
def _(w: Lived) -> Recorded:
    return w.facts.without(w.at(Settled, "rated"))


@false(
    "a close is missing",
    ("ESC-6", "closed early"),
    ("ESC-7", "closed early"),
    ("ESC-1", None),
)
def _(w: Lived) -> Recorded:
    return w.facts.without(w.at(SessionClosed, "closed early"))


@false("an opening is missing", ("ESC-11", "left"), ("ESC-1", None))
def _(w: Lived) -> Recorded:
    return w.facts.without(w.at(SessionOpened, "left"))


@false("a top-up is missing", ("ESC-1", "running"))
def _(w: Lived) -> Recorded:
    return w.facts.without(w.at(ToppedUp, "running"))


@false(
    "a deposit is missing",
    ("ESC-1", None),
    ("ESC-1", "batch 1"),
    ("ESC-1", "batch 2"),
    ("ESC-1", "through a contract"),
)
def _(w: Lived) -> Recorded:
    return w.facts.without(w.facts.at(Deposited, None))


@false("a withdrawal is missing", ("ESC-1", None))
def _(w: Lived) -> Recorded:
    return w.facts.without(w.facts.at(Withdrawn, None))


@false("a rating is missing", ("ESC-10", "rated"), ("ESC-10", None))
def _(w: Lived) -> Recorded:
    return w.facts.without(w.at(Rated, "rated"))


@false("a credited refund is missing", ("ESC-7", "token refused"), ("ESC-1", None))
def _(w: Lived) -> Recorded:
    return w.facts.without(w.at(RefundCredited, "token refused"))


@false("a request to close is missing", ("ESC-7", "leaving"), ("ESC-6", "leaving"))
def _(w: Lived) -> Recorded:
    return w.facts.without(w.at(CloseRequested, "leaving"))


# ---------------------------------------------------------------------- what is too much


@false("a session settles after it closed", ("ESC-6", "rated"))
def _(w: Lived) -> Recorded:
    closed: Any = w.facts.entries[w.at(SessionClosed, "rated")].event
    return w.facts.with_extra(Settled(w.id("rated"), 9, closed.earned, Hash(bytes(32))))


@false("a session closes twice", ("ESC-6", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.again(w.at(SessionClosed, "rated"))


@false("a closed session opens again", ("ESC-6", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.again(w.at(SessionOpened, "rated"))


@false("a running session opens again", ("ESC-6", "running"))
def _(w: Lived) -> Recorded:
    return w.facts.again(w.at(SessionOpened, "running"))


@false("a revoked quote is settled", ("ESC-6", "revoked"), ("ESC-11", "revoked"))
def _(w: Lived) -> Recorded:
    return w.facts.with_extra(Settled(w.id("revoked"), 1, BaseUnits(1), Hash(bytes(32))))


@false("an open session is revoked", ("ESC-6", "running"))
def _(w: Lived) -> Recorded:
    return w.facts.with_extra(Revoked(w.id("running"), w.who["advisor"]))


@false("a refund is credited long after the close", ("ESC-6", "sponsored"), ("ESC-1", None))
def _(w: Lived) -> Recorded:
    refund = RefundCredited(w.id("sponsored"), w.who["sponsor"], BaseUnits(1_533_304))
    return w.facts.with_extra(refund)


@false("a refund is credited to somebody else", ("ESC-7", "coin refused"), ("ESC-1", None))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(RefundCredited, "coin refused"), payer=STRANGER)


@false("more is withdrawn than is there", ("ESC-1", None))
def _(w: Lived) -> Recorded:
    at = w.facts.at(Withdrawn, None)
    return w.facts.event(at, amount=10**12)


# ---------------------------------------------------------------------- leaving


@false("a stranger asks to close", ("ESC-7", "left"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(CloseRequested, "left"), by=STRANGER)


@false("a shorter grace than the terms'", ("ESC-7", "left"))
def _(w: Lived) -> Recorded:
    at = w.at(CloseRequested, "left")
    return w.facts.event(at, grace_ends=w.facts.entries[at].time + 599)


@false("somebody asks to close twice", ("ESC-7", "leaving"))
def _(w: Lived) -> Recorded:
    return w.facts.again(w.at(CloseRequested, "leaving"))


@false("a top-up while somebody leaves", ("ESC-7", "leaving"), ("ESC-1", "leaving"))
def _(w: Lived) -> Recorded:
    return w.facts.with_extra(ToppedUp(w.id("leaving"), BaseUnits(6_000_000), False))


@false("finalized a second before grace ends", ("ESC-7", "left"))
def _(w: Lived) -> Recorded:
    asked = w.facts.entries[w.at(CloseRequested, "left")].time
    at = w.at(SessionClosed, "left")
    time = UnixTime(asked + 599)
    return w.facts.entry(at, time=time).slot(w.id("left"), lambda s: with_time(s, time))


@false("somebody else closes within grace", ("ESC-7", "closed early"))
def _(w: Lived) -> Recorded:
    return w.facts.sent(w.at(SessionClosed, "closed early"), sender=STRANGER)


@false("closed at another time than in storage", ("ESC-7", "rated"))
def _(w: Lived) -> Recorded:
    at = w.at(SessionClosed, "rated")
    return w.facts.entry(at, time=UnixTime(w.facts.entries[at].time - 1))


# ---------------------------------------------------------------------- ratings


@false("a stranger rates", ("ESC-10", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Rated, "rated"), client=STRANGER)


@false("a rating of another advisor", ("ESC-10", "rated"), ("ESC-10", None))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Rated, "rated"), advisor=STRANGER)


@false("another score than the client gave", ("ESC-10", "rated"), ("ESC-10", None))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Rated, "rated"), score=4)


@false("a score of six", ("ESC-10", "rated"), ("ESC-10", None))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Rated, "rated"), score=6)


@false("a rating a second after its window", ("ESC-10", "rated"))
def _(w: Lived) -> Recorded:
    closed = w.facts.entries[w.at(SessionClosed, "rated")].time
    return w.facts.entry(w.at(Rated, "rated"), time=UnixTime(closed + 30 * DAYS + 1))


@false("a rating in its window's last second")
def _(w: Lived) -> Recorded:
    closed = w.facts.entries[w.at(SessionClosed, "rated")].time
    return w.facts.entry(w.at(Rated, "rated"), time=UnixTime(closed + 30 * DAYS))


@false("a second rating", ("ESC-10", "rated"), ("ESC-10", None))
def _(w: Lived) -> Recorded:
    return w.facts.again(w.at(Rated, "rated"))


@false("a rating of a session that earned nothing", ("ESC-10", "left"), ("ESC-10", None))
def _(w: Lived) -> Recorded:
    rated = Rated(w.id("left"), w.who["client"], w.who["advisor"], 1, Hash(b"c" * 32))
    return w.facts.with_extra(rated)


@false("a rating of a running session", ("ESC-10", "running"), ("ESC-10", None))
def _(w: Lived) -> Recorded:
    rated = Rated(w.id("running"), w.who["client"], w.who["advisor"], 1, Hash(b"c" * 32))
    return w.facts.with_extra(rated)


@false("a second answer", ("ESC-10", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.again(w.at(Answered, "rated"))


@false("another answer than the advisor signed", ("ESC-10", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Answered, "rated"), answer_hash=Hash(b"b" * 32))


@false("a rating whose signature is not the client's", ("ESC-10", "sponsored"))
def _(w: Lived) -> Recorded:
    at = w.at(Rated, "sponsored")
    data = w.facts.entries[at].transaction.data  # type: ignore[union-attr]
    # The comment's hash is in the signed message: with another one the signature is nobody's.
    changed = w.facts.sent(at, data=data.replace(b"c" * 32, b"d" * 32))
    return changed.event(at, comment_hash=Hash(b"d" * 32))


@pytest.mark.parametrize("name", false)
def test_a_false_fact_is_found_and_nothing_else(lived: Lived, name: str) -> None:
    falsify, expected = false[name]
    assert lived.found(falsify(lived)) == expected
