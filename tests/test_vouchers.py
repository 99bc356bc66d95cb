"""The advisor's book: what it takes, what it refuses, what is at stake, and when to stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.advisor import (
    ClientSilent,
    Equivocated,
    Equivocation,
    Exposure,
    Left,
    NotFunded,
    Paused,
    Stopped,
    Superseded,
    Unpaid,
    VoucherBook,
    WrongAdvisorKey,
)
from honorarium.client import Meter
from honorarium.errors import (
    BadSignature,
    FieldNotUsable,
    JournalChanged,
    JournalRefused,
    TooManyUnits,
    WrongSignature,
)
from honorarium.ids import ZERO_HASH, Hash
from honorarium.protocol import (
    DepositNotUsable,
    Entry,
    EntryKind,
    Journal,
    MomentNotUsable,
    OtherSession,
    SignedVoucher,
    Tariff,
    Voucher,
    head_of,
)
from honorarium.protocol.exposure import Span, advised, moment_of, seconds_in
from honorarium.recordfile import RecordFile, RecordFileBusy, RecordNotKept, RecordRefused
from honorarium.units import MAX_UNITS, BaseUnits, UnixTime
from metering import ADVISOR, BEGAN, DOMAIN, METER, MINUTES, STRANGER, Watch, at, deliver, terms
from test_recordfile import no_larger_than

K = EntryKind
SESSION = terms().session_id(DOMAIN)
ANSWERED = Entry(at(0), K.ANSWERED)
PAUSED, RESUMED = Entry(at(90), K.PAUSED), Entry(at(100), K.RESUMED)


def book(
    watch: Watch | None = None,
    tariff: Tariff = MINUTES,
    deposit: int = 10_000,
    *,
    path: Path | None = None,
    patience: int = 120,
    increment: int = 1,
) -> VoucherBook:
    return VoucherBook(
        terms(tariff),
        DOMAIN,
        ADVISOR,
        BaseUnits(deposit),
        BEGAN,
        clock=watch or Watch(3600),
        path=path,
        patience=patience,
        increment=increment,
    )


def signed(units: int, *entries: Entry, tariff: Tariff = MINUTES) -> SignedVoucher:
    session_id = terms(tariff).session_id(DOMAIN)
    return SignedVoucher.sign(
        Voucher(session_id, units, head_of(session_id, entries)), METER, DOMAIN
    )


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
    for units in (-1, 2**32, 1.0, True):
        with pytest.raises(FieldNotUsable):
            mine.take(replace(good, units=units), [ANSWERED])  # type: ignore[arg-type]
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
def test_ESC5_more_units_than_passed_time_and_one_are_refused_at_the_exact_second(  # noqa: N802
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


# --------------------------------------------------------------------------------- what is at stake


def test_a_unit_is_at_stake_from_its_first_second_until_its_voucher_comes() -> None:
    watch = Watch(0)
    mine = book(watch)
    mine.answer()
    assert mine.exposure() == Exposure(0, 0, BaseUnits(0), None)
    watch.seconds = 1
    assert mine.exposure() == Exposure(1, 0, BaseUnits(100), None)
    mine.take(signed(1, ANSWERED), [ANSWERED])
    assert mine.exposure() == Exposure(1, 1, BaseUnits(0), None)
    watch.seconds = 61
    assert (mine.exposure().units, mine.exposure().amount) == (1, 100)


@pytest.mark.parametrize(("increment", "second"), [(1, 60), (3, 180)])
def test_advice_stops_as_the_increment_on_trust_ends(increment: int, second: int) -> None:
    watch = Watch(0)
    mine = book(watch, increment=increment, patience=10_000)
    mine.answer()
    watch.seconds = second - 1
    assert mine.exposure().stop is None
    watch.seconds = second
    assert mine.exposure().stop == Unpaid(increment, increment)
    assert mine.exposure().units == increment
    mine.take(signed(1, ANSWERED), [ANSWERED])
    assert mine.exposure().stop is None


@pytest.mark.parametrize(("second", "silent"), [(89, False), (90, True)])
def test_a_client_is_silent_when_patience_ends_for_a_begun_unit(second: int, silent: bool) -> None:
    watch = Watch(0)
    mine = book(watch, patience=30)
    mine.answer()
    mine.take(signed(1, ANSWERED), [ANSWERED])
    watch.seconds = second
    assert mine.exposure().stop == (ClientSilent(at(60), 1) if silent else None)


def test_a_pause_that_the_client_tells_of_costs_nothing_and_is_no_silence() -> None:
    watch = Watch(90)
    mine = book(watch)
    mine.answer(at(0))
    mine.take(signed(2, ANSWERED), [ANSWERED])
    mine.hear([PAUSED])
    watch.seconds = 10_000
    assert mine.exposure() == Exposure(2, 2, BaseUnits(0), Paused(PAUSED.at))


def test_nothing_is_given_before_the_client_is_heard_to_go_on() -> None:
    """The meter of a topped-up session resumes by itself, and the line may be down just then."""
    watch = Watch(0)
    mine = book(watch, deposit=199)
    mine.answer()
    mine.take(signed(1, ANSWERED), [ANSWERED])
    watch.seconds = 60
    assert mine.exposure().stop == Stopped(1)
    mine.pause()
    mine.hear([Entry(at(60), K.PAUSED)])
    mine.deposit = BaseUnits(599)
    watch.seconds = 600
    assert mine.exposure() == Exposure(1, 1, BaseUnits(0), Paused(at(60)))
    mine.hear([Entry(at(61), K.RESUMED)])
    assert mine.exposure() == Exposure(1, 1, BaseUnits(0), None)
    mine.resume()
    watch.seconds = 659
    assert mine.exposure().units == 1


def test_a_client_who_says_that_nobody_answered_is_not_believed() -> None:
    watch = Watch(0)
    mine = book(watch)
    mine.answer()
    watch.seconds = 50
    mine.hear([Entry(at(50), K.ANSWERED)])
    watch.seconds = 61
    assert mine.exposure().delivered == 2


def test_an_advisor_who_notes_nothing_counts_by_the_clients_journal() -> None:
    mine = book(Watch(95))
    assert mine.exposure() == Exposure(0, 0, BaseUnits(0), None)
    mine.hear([ANSWERED, PAUSED])
    assert mine.exposure().delivered == 2


def test_an_advisor_who_paused_gives_nothing_on_trust() -> None:
    watch = Watch(0)
    mine = book(watch)
    mine.answer()
    watch.seconds = 60
    mine.pause()
    watch.seconds = 500
    assert mine.exposure().units == 1
    assert mine.exposure().stop == ClientSilent(at(0), 1)
    mine.resume()
    with pytest.raises(JournalRefused):
        mine.resume()


def test_advice_stops_with_the_last_funded_unit_and_when_somebody_left() -> None:
    watch = Watch(0)
    mine = book(watch, deposit=299)
    mine.answer()
    mine.take(signed(1, ANSWERED), [ANSWERED])
    watch.seconds = 119
    mine.take(signed(2, ANSWERED))
    assert mine.exposure().stop is None
    watch.seconds = 120
    assert mine.exposure() == Exposure(2, 2, BaseUnits(0), Stopped(2))
    mine.hear([Entry(at(120), K.LEFT)])
    assert mine.exposure().stop == Left(at(120))


def test_an_interaction_is_at_stake_until_its_voucher_comes_and_the_next_waits_for_it() -> None:
    watch, tariff = Watch(5), Tariff.per_interaction(250, connect_fee=40)
    mine = book(watch, tariff)
    assert mine.exposure() == Exposure(0, 0, BaseUnits(0), None)
    mine.count()
    assert mine.exposure() == Exposure(1, 0, BaseUnits(290), Unpaid(1, 1))
    watch.seconds = 125
    assert mine.exposure().stop == ClientSilent(at(5), 1)
    mine.take(signed(1, tariff=tariff))
    assert mine.exposure() == Exposure(1, 1, BaseUnits(0), None)
    mine.count()
    assert mine.exposure().amount == 250
    with pytest.raises(TooManyUnits):
        mine.count(MAX_UNITS)


kinds = st.sampled_from((K.ANSWERED, K.PAUSED, K.RESUMED, K.LEFT))


@st.composite
def notes(draw: st.DrawFn) -> list[Entry]:
    """Entries in the order of time that can follow each other, within 40 seconds."""
    journal = Journal(SESSION)
    for moment in sorted(draw(st.lists(st.integers(0, 40), max_size=6))):
        try:
            journal.append(Entry(UnixTime(moment), draw(kinds)))
        except JournalRefused:
            continue
    return list(journal.entries)


@given(notes(), notes(), st.integers(0, 50))
def test_the_own_count_is_what_counting_every_second_gives(
    own: list[Entry], told: list[Entry], until: int
) -> None:
    def last(entries: list[Entry], second: int) -> EntryKind | None:
        return next((e.kind for e in reversed(entries) if e.at <= second), None)

    def counts(second: int) -> bool:
        if not own:
            return last(told, second) in (K.ANSWERED, K.RESUMED)
        theirs = last(told, second) not in (K.PAUSED, K.LEFT)
        return theirs and last(own, second) in (K.ANSWERED, K.RESUMED)

    spans: list[Span] = advised(own, told, until)
    seconds = [second for second in range(until) if counts(second)]
    assert [s for start, end in spans for s in range(start, end)] == seconds
    assert seconds_in(spans) == len(seconds)
    for number, second in enumerate(seconds):
        assert moment_of(spans, number) == second
    assert moment_of(spans, len(seconds)) is None


# --------------------------------------------------------------------------------------- the file


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[VoucherBook, Path, Watch]]:
    watch, path = Watch(0), tmp_path / "book.jsonl"
    mine = book(watch, path=path)
    mine.answer()
    watch.seconds = 61
    mine.take(signed(1, ANSWERED), [ANSWERED])
    mine.deposit = BaseUnits(20_000)
    mine.hear([Entry(at(62), K.PAUSED)])
    mine.take(signed(2, ANSWERED))
    mine.pause()
    yield mine, path, watch
    mine.release()


def state(mine: VoucherBook, moment: int) -> tuple[object, ...]:
    return (mine.best, mine.journal, mine.deposit, mine.opened_at, mine.exposure(at(moment)))


def test_a_book_that_comes_back_is_the_one_that_went(
    kept: tuple[VoucherBook, Path, Watch],
) -> None:
    mine, path, watch = kept
    assert mine.best is not None
    answer = mine.take(mine.best)
    mine.release()
    back = VoucherBook.resume_from(path, ADVISOR, clock=watch)
    assert state(back, 61) == state(mine, 61)
    assert back.take(signed(2, ANSWERED)) == answer
    assert ADVISOR.secret().hex() not in path.read_text()


def test_cut_at_any_byte_a_book_knows_what_stands_there_whole(
    kept: tuple[VoucherBook, Path, Watch], tmp_path: Path
) -> None:
    mine, path, watch = kept
    data, torn, known = path.read_bytes(), tmp_path / "torn.jsonl", 0
    for length in range(data.index(b"\n"), len(data) + 1):
        torn.write_bytes(data[:length])
        back = VoucherBook.resume_from(torn, ADVISOR, clock=watch)
        assert back.units >= known
        known = back.units
        back.release()
    assert known == 2
    mine.release()


def test_a_book_of_another_session_or_a_changed_one_is_refused(
    kept: tuple[VoucherBook, Path, Watch],
) -> None:
    mine, path, watch = kept
    with pytest.raises(RecordFileBusy):
        VoucherBook.resume_from(path, ADVISOR)
    mine.release()
    with pytest.raises(OtherSession, match="terms"):
        book(tariff=Tariff.per_second(1), path=path)
    with pytest.raises(WrongAdvisorKey):
        VoucherBook.resume_from(path, STRANGER)
    same = book(watch, path=path)
    assert same.units == 2
    same.release()
    path.write_bytes(path.read_bytes().replace(b'"units":1', b'"units":3'))
    with pytest.raises(RecordRefused):
        VoucherBook.resume_from(path, ADVISOR)


def test_a_meters_file_is_no_book(tmp_path: Path) -> None:
    path = tmp_path / "meter.jsonl"
    Meter(terms(), DOMAIN, METER, BaseUnits(100), path=path).release()
    with pytest.raises(RecordRefused, match="honorarium book 1"):
        VoucherBook.resume_from(path, ADVISOR)


def test_a_best_voucher_that_the_meter_did_not_sign_is_found_in_a_file_made_anew(
    tmp_path: Path,
) -> None:
    path = tmp_path / "book.jsonl"
    book(path=path).release()
    voucher = signed(1, ANSWERED)
    with RecordFile(path) as file:
        file.append(
            {
                "voucher": {
                    "units": 2,
                    "journal": "0x" + voucher.journal.hex(),
                    "signature": "0x" + voucher.signature.to_bytes().hex(),
                },
                "entries": [{"at": BEGAN, "kind": "answered", "note": "0x" + ZERO_HASH.hex()}],
            }
        )
    with pytest.raises(RecordRefused, match="not signed by"):
        VoucherBook.resume_from(path, ADVISOR)


def test_what_is_not_on_the_disk_is_not_acknowledged_not_even_later(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    mine = book(path=path)
    voucher = signed(1, ANSWERED)
    with no_larger_than(path.stat().st_size + 50), pytest.raises(RecordNotKept):
        mine.take(voucher, [ANSWERED])
    with pytest.raises(RecordNotKept):
        mine.take(voucher, [ANSWERED])
    mine.release()
    back = VoucherBook.resume_from(path, ADVISOR, clock=mine.clock)
    assert back.best is None
    assert back.take(voucher, [ANSWERED]).units == 1


def test_what_a_meter_ticks_its_book_takes() -> None:
    watch = Watch(0)
    meter = Meter(terms(), DOMAIN, METER, BaseUnits(1000), clock=watch)
    mine = book(watch, deposit=1000)
    meter.answer()
    mine.answer()
    for watch.seconds in range(700):
        if watch.seconds == 130:
            meter.pause()
        if watch.seconds == 170:
            meter.resume()
        answer = deliver(meter.tick(), mine)
        if answer:
            meter.acknowledge(answer)
        assert mine.exposure().units == meter.exposure == 0
    assert (mine.units, mine.journal) == (10, meter.journal.entries[:-1])
    assert isinstance(mine.exposure().stop, Stopped)
    assert Hash(mine.take(mine.best).journal) == meter.acknowledgement.journal  # type: ignore[arg-type,union-attr]
