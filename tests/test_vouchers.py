"""The advisor's book: what it takes, what it refuses, and what it proves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from honorarium.advisor import (
    Equivocated,
    Equivocation,
    NotFunded,
    Superseded,
    VoucherBook,
    WrongAdvisorKey,
)
from honorarium.errors import (
    BadSignature,
    FieldNotUsable,
    JournalChanged,
    JournalRefused,
    TooManyUnits,
    WrongSignature,
)
from honorarium.ids import ZERO_HASH
from honorarium.protocol import (
    DepositNotUsable,
    Entry,
    EntryKind,
    MomentNotUsable,
    SignedVoucher,
    Tariff,
    Voucher,
    head_of,
)
from honorarium.units import BaseUnits
from metering import (
    ADVISOR,
    ANSWERED,
    BEGAN,
    DOMAIN,
    METER,
    PAUSED,
    RESUMED,
    STRANGER,
    Watch,
    at,
    book,
    signed,
    terms,
)

K = EntryKind
SESSION = terms().session_id(DOMAIN)


# ---------------------------------------------------------------------------------- what it takes


def test_a_voucher_with_its_entries_is_kept_and_countersigned() -> None:
    mine = book()
    voucher = signed(3, ANSWERED)
    answer = mine.take(voucher, [ANSWERED])
    answer.verify(mine.terms, DOMAIN)
    assert (answer.units, answer.journal) == (3, voucher.journal)
    assert (mine.best, mine.units, mine.journal) == (voucher, 3, (ANSWERED,))


def test_the_same_voucher_again_gets_the_same_answer_whatever_comes_with_it() -> None:
    mine = book()
    voucher = signed(3, ANSWERED)
    answer = mine.take(voucher, [ANSWERED])
    assert mine.take(voucher) == answer == mine.take(voucher, [ANSWERED], 0)


def test_new_entries_stand_behind_what_is_signed_or_behind_what_is_said() -> None:
    mine = book()
    mine.take(signed(1, ANSWERED), [ANSWERED])
    mine.take(signed(2, ANSWERED, PAUSED), [PAUSED])
    mine.take(signed(3, ANSWERED, PAUSED, RESUMED), [ANSWERED, PAUSED, RESUMED], 0)
    assert mine.journal == (ANSWERED, PAUSED, RESUMED)
    with pytest.raises(JournalRefused, match="3 are known"):
        mine.take(signed(4, ANSWERED), [], 4)


def test_the_same_units_with_a_longer_journal_are_taken() -> None:
    mine = book()
    mine.take(signed(2, ANSWERED), [ANSWERED])
    answer = mine.take(signed(2, ANSWERED, PAUSED), [PAUSED])
    assert answer.journal == head_of(SESSION, [ANSWERED, PAUSED])


def test_what_was_told_before_may_come_again_with_the_voucher() -> None:
    mine = book()
    mine.hear([ANSWERED])
    mine.hear([PAUSED])
    mine.hear([ANSWERED], 0)  # a copy that comes late takes nothing back
    assert not mine.journal
    mine.take(signed(2, ANSWERED, PAUSED), [ANSWERED, PAUSED], 0)
    assert mine.journal == (ANSWERED, PAUSED)


def test_what_was_only_told_gives_way_to_what_is_signed() -> None:
    mine = book()
    mine.hear([ANSWERED, PAUSED])
    later = Entry(at(200), K.PAUSED)
    mine.take(signed(3, ANSWERED, later), [ANSWERED, later])
    assert mine.journal == (ANSWERED, later)
    with pytest.raises(JournalRefused, match="2 entries are signed"):
        mine.hear([PAUSED], 1)


# -------------------------------------------------------------------------------- what it refuses


def test_a_voucher_of_another_key_session_or_chain_is_refused() -> None:
    mine = book()
    reading = Voucher(SESSION, 1, head_of(SESSION, [ANSWERED]))
    elsewhere = replace(DOMAIN, chain_id=1)
    other = replace(reading, session_id=terms(Tariff.per_second(1)).session_id(DOMAIN))
    for forged in (
        SignedVoucher.sign(reading, STRANGER, DOMAIN),
        SignedVoucher.sign(reading, ADVISOR, DOMAIN),
        SignedVoucher.sign(reading, METER, elsewhere),
        SignedVoucher.sign(other, METER, DOMAIN),
        replace(signed(1, ANSWERED), units=2),
    ):
        with pytest.raises(WrongSignature):
            mine.take(forged, [ANSWERED])
    good = signed(1, ANSWERED)
    with pytest.raises(BadSignature):
        mine.take(replace(good, signature=replace(good.signature, s=b"\xff" * 32)), [ANSWERED])
    units: Any
    for units in (-1, 2**32, 1.0, True):
        with pytest.raises(FieldNotUsable):
            mine.take(replace(good, units=units), [ANSWERED])
    assert mine.best is None


def test_fewer_units_than_in_hand_are_superseded() -> None:
    mine = book()
    mine.take(signed(3, ANSWERED), [ANSWERED])
    with pytest.raises(Superseded) as refused:
        mine.take(signed(2, ANSWERED))
    assert (refused.value.in_hand, refused.value.given) == (3, 2)
    mine.take(signed(3, ANSWERED, PAUSED), [PAUSED])
    with pytest.raises(Superseded):
        mine.take(signed(3, ANSWERED))
    with pytest.raises(Superseded):
        book().take(signed(0))


@pytest.mark.parametrize(("seconds", "units"), [(0, 1), (59, 1), (60, 2), (119, 2), (120, 3)])
def test_ESC5_more_units_than_passed_time_and_one_are_refused_at_the_exact_second(  # noqa: N802 - a rule's name
    seconds: int, units: int
) -> None:
    mine = book(Watch(seconds))
    with pytest.raises(TooManyUnits) as refused:
        mine.take(signed(units + 1, ANSWERED), [ANSWERED])
    assert (refused.value.allowed, refused.value.given) == (units, units + 1)
    assert mine.take(signed(units, ANSWERED), [ANSWERED]).units == units


def test_interactions_are_not_bound_by_time() -> None:
    tariff = Tariff.per_interaction(1)
    mine = book(Watch(0), tariff)
    assert mine.take(signed(10_000, tariff=tariff)).units == 10_000


def test_units_beyond_the_deposit_are_refused_until_the_top_up() -> None:
    mine = book(deposit=299)
    voucher = signed(3, ANSWERED)
    with pytest.raises(NotFunded) as refused:
        mine.take(voucher, [ANSWERED])
    assert (refused.value.funded, refused.value.given) == (2, 3)
    mine.deposit = BaseUnits(300)
    assert mine.take(voucher, [ANSWERED]).units == 3
    with pytest.raises(DepositNotUsable):
        mine.deposit = BaseUnits(299)


def test_entries_that_do_not_lead_to_the_head_are_refused() -> None:
    mine = book()
    for entries in ([], [PAUSED], [replace(ANSWERED, at=at(1))], [ANSWERED, PAUSED]):
        with pytest.raises((JournalChanged, JournalRefused)):
            mine.take(signed(1, ANSWERED), entries)
    assert (mine.best, mine.journal) == (None, ())
    with pytest.raises(JournalChanged):
        book().take(SignedVoucher.sign(Voucher(SESSION, 1, ZERO_HASH), METER, DOMAIN))


def test_entries_ahead_of_the_advisors_clock_are_refused_beyond_its_patience() -> None:
    mine = book(Watch(10), patience=30)
    near, far = Entry(at(40), K.ANSWERED), Entry(at(41), K.ANSWERED)
    for refusing in (lambda: mine.take(signed(1, far), [far]), lambda: mine.hear([far])):
        with pytest.raises(JournalRefused, match="31 seconds ahead"):
            refusing()
    mine.hear([near])


@pytest.mark.parametrize("moment", [1.5, -1, 2**40, True])
def test_what_is_no_moment_is_refused(moment: int) -> None:
    mine = book()
    for refusing in (
        lambda: mine.take(signed(1, ANSWERED), [ANSWERED], at=moment),
        lambda: mine.exposure(moment),
        lambda: mine.answer(moment),
    ):
        with pytest.raises(MomentNotUsable):
            refusing()


def test_another_advisors_key_acknowledges_nothing() -> None:
    with pytest.raises(WrongAdvisorKey):
        VoucherBook(terms(), DOMAIN, STRANGER, BaseUnits(1), BEGAN)


# ----------------------------------------------------------------------------------- equivocation

OTHER = Entry(at(1), K.ANSWERED)


@pytest.mark.parametrize(
    ("second", "entries", "after"),
    [
        (signed(3, OTHER), [OTHER], 0),  # another past
        (signed(3), [], 0),  # what was signed, taken back
        (signed(2, OTHER), [OTHER], 0),  # the same units, another journal
        (signed(1, OTHER), [], None),  # fewer units, with a head that never was
        (signed(1, ANSWERED, PAUSED), [], None),
    ],
)
def test_two_journals_that_exclude_each_other_are_proven_with_both_vouchers(
    second: SignedVoucher, entries: list[Entry], after: int | None, tmp_path: Path
) -> None:
    mine = book(path=tmp_path / "book.jsonl")
    first = signed(2, ANSWERED)
    mine.take(first, [ANSWERED])
    with pytest.raises(Equivocation) as proof:
        mine.take(second, entries, after)
    assert (proof.value.known, proof.value.given) == (first, second)
    for voucher in (proof.value.known, proof.value.given):
        voucher.verify(mine.terms, DOMAIN)
        assert voucher.journal.hex() in str(proof.value)
    assert mine.best == first
    assert mine.exposure().stop == Equivocated()
    mine.release()
    back = VoucherBook.resume_from(tmp_path / "book.jsonl", ADVISOR, clock=mine.clock)
    assert back.equivocation is not None
    assert (back.equivocation.known, back.equivocation.given) == (first, second)


def test_one_proof_is_kept_however_many_come(tmp_path: Path) -> None:
    mine = book(path=tmp_path / "book.jsonl")
    mine.take(signed(2, ANSWERED), [ANSWERED])
    sizes = set()
    for seconds in range(1, 5):
        with pytest.raises(Equivocation):
            mine.take(signed(1, Entry(at(seconds), K.ANSWERED)))
        sizes.add((tmp_path / "book.jsonl").stat().st_size)
    assert len(sizes) == 1


def test_missing_entries_are_no_proof_of_anything() -> None:
    mine = book()
    mine.take(signed(2, ANSWERED), [ANSWERED])
    with pytest.raises(JournalChanged):
        mine.take(signed(3, ANSWERED, PAUSED, RESUMED), [])
    assert mine.equivocation is None
    mine.take(signed(3, ANSWERED, PAUSED, RESUMED), [PAUSED, RESUMED])
