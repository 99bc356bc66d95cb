"""The audit finds consent that nobody gave, and storage and tokens that say something else
(falsified.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from falsified import DAYS, STRANGER, Falsehoods, Lived, lived_day, with_time
from honorarium.audit import as_json
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.protocol.events import (
    CloseRequested,
    Deposited,
    Rated,
    Revoked,
    RowSkipped,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
    Withdrawn,
)
from honorarium.units import UnixTime
from recorded import Recorded

false = Falsehoods()


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    with lived_day() as lived:
        yield lived


# ---------------------------------------------------------------------- consent


def _opening_data(w: Lived, name: str) -> bytes:
    sent = w.facts.entries[w.at(SessionOpened, name)].transaction
    assert sent is not None
    return sent.data


@false("a quote that the advisor did not sign", ("ESC-11", "rated"))
def _(w: Lived) -> Recorded:
    data = _opening_data(w, "rated")
    return w.facts.sent(w.at(SessionOpened, "rated"), data=_flip(data, 4 + 11 * 32 + 5))


@false("an opening without the advisor's signature", ("ESC-11", "rated"))
def _(w: Lived) -> Recorded:
    data = bytearray(_opening_data(w, "rated"))
    data[4 + 10 * 32 : 4 + 11 * 32] = bytes(32)  # its length
    return w.facts.sent(w.at(SessionOpened, "rated"), data=bytes(data))


@false("an opening sent by somebody else than the payer", ("ESC-11", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.sent(w.at(SessionOpened, "rated"), sender=STRANGER)


@false("an authorization for another token", ("ESC-11", "sponsored"))
def _(w: Lived) -> Recorded:
    return replace(w.facts, separators={w.token: b"\x01" * 32})


@false("a client who did not sign what a sponsor pays", ("ESC-11", "sponsored"))
def _(w: Lived) -> Recorded:
    data = _opening_data(w, "sponsored")
    offset = int.from_bytes(data[4 + 10 * 32 : 4 + 11 * 32], "big")
    return w.facts.sent(w.at(SessionOpened, "sponsored"), data=_flip(data, 4 + offset + 32 + 3))


@false("a batch with the opening of another deposit", ("ESC-11", "batch 1"))
def _(w: Lived) -> Recorded:
    at = w.at(SessionOpened, "batch 1")
    old, new = (amount.to_bytes(32, "big") for amount in (9_000_000, 9_000_001))
    return w.facts.swap(at, old, new)


@false(
    "a session under another id than its terms'",
    ("ESC-11", None),  # the id is not the terms'
    ("ESC-11", "running"),  # and what is settled was never opened
    ("ESC-1", None),
    ("ESC-5", None),
    ("ESC-6", None),
    ("ESC-15", None),
)
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(SessionOpened, "running"), session_id=SessionId(b"\x01" * 32))


@false("an opening whose transaction the node does not have", ("ESC-11", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.entry(w.at(SessionOpened, "rated"), transaction=None)


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


@false("a voucher that the meter did not sign", ("ESC-3", "rated"))
def _(w: Lived) -> Recorded:
    at = w.at(Settled, "rated")
    sent = w.facts.entries[at].transaction
    assert sent is not None
    return w.facts.sent(at, data=_flip(sent.data, 4 + 10 * 32 + 7))  # vs, behind terms and units


@false("a voucher in a batch that the meter did not sign", ("ESC-3", "batch 1"))
def _(w: Lived) -> Recorded:
    at = w.at(Settled, "batch 1")
    sent = w.facts.entries[at].transaction
    assert sent is not None
    return w.facts.sent(at, data=_flip(sent.data, 4 + 64 + 10 * 32 + 7))


@false("a close on a voucher that the meter did not sign", ("ESC-3", "sponsored"))
def _(w: Lived) -> Recorded:
    at = w.at(SessionClosed, "sponsored")
    sent = w.facts.entries[at].transaction
    assert sent is not None
    return w.facts.sent(at, data=_flip(sent.data, 4 + 32 + 10 * 32 + 7))


@false("another journal than the meter signed", ("ESC-3", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Settled, "rated"), journal=Hash(b"x" * 32))


@false("a settlement whose transaction the node does not have", ("ESC-3", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.entry(w.at(Settled, "rated"), transaction=None)


@false("a settlement that brings nothing", ("ESC-17", "running"), ("ESC-3", "running"))
def _(w: Lived) -> Recorded:
    event: Any = w.facts.entries[w.at(Settled, "running")].event
    return w.facts.with_extra(event)


@false("somebody else closes", ("ESC-7", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.sent(w.at(SessionClosed, "rated"), sender=STRANGER)


@false(
    "a relayed close whose signature had run out", ("ESC-7", "sponsored"), ("ESC-10", "sponsored")
)
def _(w: Lived) -> Recorded:
    at = w.at(SessionClosed, "sponsored")
    time = UnixTime(w.facts.entries[at].time + 2 * DAYS)
    # The client rated before that time, and only a closed session is rated.
    late = w.facts.entry(at, time=time).slot(w.id("sponsored"), lambda s: with_time(s, time))
    return late.entry(w.at(Rated, "sponsored"), time=UnixTime(time + 31 * DAYS))


@false("a relayed wish to leave that nobody signed", ("ESC-7", "left"))
def _(w: Lived) -> Recorded:
    at = w.at(CloseRequested, "left")
    sent = w.facts.entries[at].transaction
    assert sent is not None
    return w.facts.sent(at, data=_flip(sent.data, 4 + 10 * 32 + 3))


@false("a stranger's call to leave", ("ESC-7", "leaving"))
def _(w: Lived) -> Recorded:
    return w.facts.sent(w.at(CloseRequested, "leaving"), sender=STRANGER)


@false("a top-up that the payer did not send", ("ESC-11", "running"))
def _(w: Lived) -> Recorded:
    return w.facts.sent(w.at(ToppedUp, "running"), sender=STRANGER)


@false("a stranger revokes", ("ESC-12", "revoked"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Revoked, "revoked"), by=STRANGER)


@false("a withdrawal that the account did not send", ("ESC-14", None))
def _(w: Lived) -> Recorded:
    return w.facts.sent(w.facts.at(Withdrawn, None), sender=STRANGER)


@false("a withdrawal to somebody else than was asked for", ("ESC-1", None))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.facts.at(Withdrawn, None), to=STRANGER)


@false("a deposit that nobody sent", ("ESC-11", None))
def _(w: Lived) -> Recorded:
    return w.facts.sent(w.facts.at(Deposited, None), sender=STRANGER)


@false("a tip that the tipper did not send", ("ESC-13", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.sent(w.at(Tipped, "rated"), sender=STRANGER)


@false("a tip of another amount", ("ESC-13", "rated"))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.at(Tipped, "rated"), amount=2_000_001)


@false("a tip that is not in the token's log", ("ESC-13", "rated"))
def _(w: Lived) -> Recorded:
    tipped = w.facts.entries[w.at(Tipped, "rated")].tx_hash
    return w.facts.with_transfers(t for t in w.facts.transfers if t.tx_hash != tipped)


@false("a batch that skipped another row than it says", ("ESC-16", None))
def _(w: Lived) -> Recorded:
    return w.facts.event(w.facts.at(RowSkipped, None), row=0)


@false("a wallet that never was a contract and did not sign", ("ESC-11", "signed by a contract"))
def _(w: Lived) -> Recorded:
    return replace(w.facts, contracts=frozenset())


# ---------------------------------------------------------------------- storage and tokens


for _field, _bit, _rule in (
    ("deposit", 176, "ESC-1"),
    ("earned", 96, "ESC-4"),
    ("opening time", 56, "ESC-5"),
    ("closing time", 16, "ESC-7"),
    ("score", 8, "ESC-10"),
    ("standing", 0, "ESC-6"),
    ("refunds to balance", 1, "ESC-7"),
    ("answered", 2, "ESC-10"),
):

    def _falsified(w: Lived, bit: int = _bit) -> Recorded:
        # Closed: what the slot owes does not count for what the escrow must hold.
        return w.facts.slot(w.id("rated"), lambda slot: slot ^ 1 << bit)

    false[f"another {_field} in storage"] = (_falsified, {(_rule, "rated")})

_falsify, _expected = false["another standing in storage"]
false["another standing in storage"] = (_falsify, _expected | {("ESC-1", None)})


@false(
    "a session's slot is empty",
    ("ESC-1", "running"),
    ("ESC-4", "running"),
    ("ESC-5", "running"),
    ("ESC-6", "running"),
)
def _(w: Lived) -> Recorded:
    return w.facts.slot(w.id("running"), lambda slot: 0)


@false("a revoked quote's slot is empty", ("ESC-6", "revoked"))
def _(w: Lived) -> Recorded:
    return w.facts.slot(w.id("revoked"), lambda slot: 0)


@false("an advisor's balance is too low", ("ESC-1", None))
def _(w: Lived) -> Recorded:
    return w.facts.balance(w.token, w.who["advisor"], -1)


@false("a platform's balance is too low", ("ESC-1", None), ("ESC-15", None))
def _(w: Lived) -> Recorded:
    return w.facts.balance(w.token, w.who["platform"], -1)


@false("the escrow holds a unit less than it owes", ("ESC-1", None))
def _(w: Lived) -> Recorded:
    return w.facts.held(w.token, lambda held: held - 78)


@false("the escrow holds less coin than it owes", ("ESC-1", None))
def _(w: Lived) -> Recorded:
    return w.facts.held(ZERO_ADDRESS, lambda held: held - 1)


@false("the surplus is gone, and nothing else")
def _(w: Lived) -> Recorded:
    return w.facts.held(w.token, lambda held: held - 77)


@false("an advisor's ratings are counted wrong", ("ESC-10", None))
def _(w: Lived) -> Recorded:
    return w.facts.tally(w.who["advisor"], (2, 8))


@false("the tokens of an opening never came", ("ESC-1", "rated"))
def _(w: Lived) -> Recorded:
    opened = w.facts.entries[w.at(SessionOpened, "rated")].tx_hash
    return w.facts.with_transfers(t for t in w.facts.transfers if t.tx_hash != opened)


@false("a refund never left", ("ESC-7", "left"))
def _(w: Lived) -> Recorded:
    closed = w.facts.entries[w.at(SessionClosed, "left")].tx_hash
    return w.facts.with_transfers(t for t in w.facts.transfers if t.tx_hash != closed)


@false("a refund went to somebody else", ("ESC-7", "left"), ("ESC-1", None))
def _(w: Lived) -> Recorded:
    closed = w.facts.entries[w.at(SessionClosed, "left")].tx_hash
    return w.facts.with_transfers(
        t._replace(recipient=STRANGER) if t.tx_hash == closed else t for t in w.facts.transfers
    )


@false("tokens left for no reason", ("ESC-1", None))
def _(w: Lived) -> Recorded:
    last = w.facts.transfers[-1]
    out = last._replace(sender=w.facts.place.domain.contract, recipient=STRANGER)
    return w.facts.with_transfers((*w.facts.transfers, out))


@pytest.mark.parametrize("name", false)
def test_a_false_fact_is_found_and_nothing_else(lived: Lived, name: str) -> None:
    falsify, expected = false[name]
    assert lived.found(falsify(lived)) == expected


@pytest.mark.parametrize(
    ("name", "about"), [("a revoked quote's slot is empty", "revoked at"), ("late", "used by")]
)
def test_people_are_told_dates_and_not_only_seconds(lived: Lived, name: str, about: str) -> None:
    late = "a relayed close whose signature had run out"
    findings = false[late if name == "late" else name][0](lived).judge().findings
    [told] = [each for each in findings if about in each.expected]
    assert "2027-01-1" in told.expected
    assert " UTC (18000" in told.expected


# ---------------------------------------------------------------------- whose word it is


def test_a_wallet_that_is_gone_today_counts_as_the_contract_that_it_was(lived: Lived) -> None:
    asked: list[int] = []

    def code(account: Address, block: int) -> bool | None:
        asked.append(block)
        return account in lived.facts.contracts

    verdict = lived.facts.judge(code=code)
    assert verdict.unproven.contract_signers == 1
    assert asked == [lived.facts.entries[lived.at(SessionOpened, "signed by a contract")].block]


def test_a_wallet_of_which_nobody_can_tell_any_more_is_unproven_and_no_finding(
    lived: Lived,
) -> None:
    verdict = lived.facts.judge(code=lambda account, block: None)
    assert verdict.findings == []
    assert (verdict.unproven.contract_signers, verdict.unproven.forgotten_signers) == (0, 1)


def _junk(lived: Lived) -> Recorded:
    """Somebody puts a made-up token into a balance; its log knows nothing of that."""
    junk = Address(b"\x66" * 20)
    at = lived.facts.at(Deposited, None)
    deposited: Any = lived.facts.entries[at].event
    sent = lived.facts.entries[at].transaction
    assert sent is not None
    data = sent.data.replace(lived.token, junk)
    more = lived.facts.again(at).sent(len(lived.facts.entries), data=data)
    more = more.event(len(lived.facts.entries), token=junk)
    account = (junk, deposited.account)
    balances = {**more.state.balances, account: deposited.amount}
    return replace(more, state=replace(more.state, balances=balances))


def test_a_junk_token_that_contradicts_itself_is_worth_a_look_and_spoils_no_verdict(
    lived: Lived,
) -> None:
    verdict = _junk(lived).judge()
    assert verdict.findings == []
    junk = [look for look in verdict.looks if look.token is not None]
    assert {(look.rule, look.token) for look in junk} == {("ESC-1", b"\x66" * 20)}
    sums = as_json(verdict)["sums"]
    assert {token: told["ok"] for token, told in sums.items()} == {
        "0x" + lived.token.hex(): True,
        "0x" + ZERO_ADDRESS.hex(): True,
        "0x" + "66" * 20: False,
    }


def test_who_trusts_a_token_has_what_it_says_count(lived: Lived) -> None:
    junk = _junk(lived)
    assert {f.rule for f in junk.judge(trusted={Address(b"\x66" * 20)}).findings} == {"ESC-1"}
    refund = false["a refund never left"][0](lived)
    assert refund.judge().findings
    assert refund.judge(trusted={Address(b"\x66" * 20)}).findings == []
