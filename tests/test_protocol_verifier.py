"""Readings checked fast: the same verdicts as by recovery, and nothing slips through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.errors import BadSignature, FieldNotUsable, WrongSignature
from honorarium.ids import Hash, SessionId
from honorarium.protocol import Acknowledgement, Domain, Key, Signature, Verifier, Voucher, recover
from protocol_values import domains, hashes, session_ids, uint

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY, OTHER = Key.from_bytes(b"\x07" * 32), Key.from_bytes(b"\x08" * 32)
DOMAIN = Domain(1337, KEY.address)
SESSION = SessionId(b"\x51" * 32)
HEAD = Hash(b"\x61" * 32)


def verifier() -> Verifier:
    return Verifier("Voucher", SESSION, KEY.address, DOMAIN)


def signed(key: Key = KEY, units: int = 3, journal: Hash = HEAD) -> Signature:
    return key.sign(Voucher(SESSION, units, journal).digest(DOMAIN))


@given(session_ids, domains, uint(32), hashes)
def test_it_hashes_as_the_messages_do(
    session_id: SessionId, domain: Domain, units: int, journal: Hash
) -> None:
    for kind in (Voucher, Acknowledgement):
        fast = Verifier(kind.TYPE, session_id, KEY.address, domain)
        digest = kind(session_id, units, journal).digest(domain)
        assert fast.digest(units, journal) == digest
        fast.verify(units, journal, KEY.sign(digest))


@given(st.lists(st.tuples(st.sampled_from((KEY, OTHER)), st.integers(0, 9)), max_size=8))
def test_every_signature_gets_the_verdict_of_a_recovery_in_whatever_order_they_come(
    readings: list[tuple[Key, int]],
) -> None:
    fast = verifier()
    for key, units in readings:
        signature = signed(key, units)
        found = recover(Voucher(SESSION, units, HEAD).digest(DOMAIN), signature)
        if found == KEY.address:
            fast.verify(units, HEAD, signature)
        else:
            with pytest.raises(WrongSignature) as refused:
                fast.verify(units, HEAD, signature)
            assert (refused.value.what, refused.value.found) == ("voucher", OTHER.address)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("change", ["units", "journal", "session", "chain", "message", "parity"])
def test_whatever_is_changed_is_refused_before_and_after_the_key_is_known(
    change: str, known: bool
) -> None:
    session, domain, message, units, journal = SESSION, DOMAIN, "Voucher", 3, HEAD
    signature = signed()
    if change == "units":
        units = 4
    elif change == "journal":
        journal = Hash(b"\x62" * 32)
    elif change == "session":
        session = SessionId(b"\x52" * 32)
    elif change == "chain":
        domain = replace(DOMAIN, chain_id=1)
    elif change == "message":
        message = "Acknowledgement"
    else:
        signature = replace(signature, y_parity=1 - signature.y_parity)
    fast = Verifier(message, session, KEY.address, domain)
    if known:
        fast.verify(9, HEAD, KEY.sign(fast.digest(9, HEAD)))
    with pytest.raises(WrongSignature):
        fast.verify(units, journal, signature)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda s: replace(s, s=mirrored(s), y_parity=1 - s.y_parity), "above half"),
        (lambda s: Signature(s.r[1:], b"\0" + mirrored(s), s.y_parity), "33 bytes, not 32"),
        (lambda s: replace(s, r=s.r + b"\0"), "no key gives it"),
        (lambda s: replace(s, r=bytes(32)), "no key gives it"),
        (lambda s: replace(s, s=bytes(32)), "no key gives it"),
        (lambda s: replace(s, y_parity=2), "parity is 2"),
        (lambda s: replace(s, y_parity=-1), "parity is -1"),
    ],
)
def test_what_the_contract_takes_for_no_signature_is_none_here(
    given: Callable[[Signature], Signature], reason: str
) -> None:
    fast = verifier()
    fast.verify(3, HEAD, signed())
    with pytest.raises(BadSignature, match=reason):
        fast.verify(3, HEAD, given(signed()))


def mirrored(signature: Signature) -> bytes:
    return (ORDER - int.from_bytes(signature.s, "big")).to_bytes(32, "big")


@pytest.mark.parametrize("units", [-1, 2**32, 1.0, True, None])
def test_units_without_room_in_the_message_are_refused_by_name(units: Any) -> None:
    with pytest.raises(FieldNotUsable, match="units of Voucher"):
        verifier().verify(units, HEAD, signed())


def test_a_journal_head_of_another_length_is_refused_by_name() -> None:
    with pytest.raises(FieldNotUsable, match="journal of Voucher"):
        verifier().verify(3, Hash(b"\x61" * 31), signed())
