"""The journal: what was changed is found, what cannot follow is refused, what counts is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honorarium.errors import JournalChanged, JournalRefused
from honorarium.ids import Hash, SessionId
from honorarium.protocol.journal import (
    Entry,
    EntryKind,
    Journal,
    billable_seconds,
    genesis,
    head_of,
    note_hash,
    verify,
)
from honorarium.units import UnixTime
from protocol_values import hashes, session_ids

SESSION = SessionId(b"\x51" * 32)
K = EntryKind


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Entry], int]:
    """Entries that can follow each other, and the seconds that count, second by second."""
    at = draw(st.integers(0, 2**31))
    kinds = [*draw(st.lists(st.sampled_from((K.ROBOT, K.QUEUED, K.HANDED_OVER)), max_size=3))]
    if draw(st.booleans()):
        kinds.append(K.ANSWERED)
        for pause in draw(st.lists(st.booleans(), max_size=4)):
            kinds += [K.PAUSED, K.DATA_ACCESSED, K.RESUMED] if pause else [K.HANDED_OVER]
        if draw(st.booleans()):
            kinds.append(K.PAUSED)
    kinds += draw(st.sampled_from(([], [K.LEFT], [K.CLOSED], [K.LEFT, K.CLOSED])))
    entries, counted, running = [], 0, False
    for kind in kinds:
        later = draw(st.integers(0, 5000))
        counted += later * running
        at += later
        if kind in (K.ANSWERED, K.RESUMED):
            running = True
        elif kind in (K.PAUSED, K.LEFT, K.CLOSED):
            running = False
        entries.append(Entry(UnixTime(at), kind, draw(hashes)))
    return entries, counted


def journal(*steps: tuple[int, EntryKind]) -> Journal:
    return Journal(SESSION, [Entry(UnixTime(at), kind) for at, kind in steps])


@given(session_ids, lives())
def test_a_journal_verifies_against_its_own_head(
    session_id: SessionId, life: tuple[list[Entry], int]
) -> None:
    entries, _ = life
    made = Journal(session_id)
    heads = [made.head] + [made.append(entry) for entry in entries]

    assert heads[0] == genesis(session_id)
    assert heads[-1] == made.head == head_of(session_id, entries)
    assert len(set(heads)) == len(heads)
    assert made.entries == tuple(entries)
    verify(session_id, entries, made.head)


@given(lives().filter(lambda life: len(life[0]) > 0), st.data())
def test_a_flipped_bit_of_any_field_of_any_entry_changes_the_head(
    life: tuple[list[Entry], int], data: st.DataObject
) -> None:
    entries, _ = life
    head = head_of(SESSION, entries)
    for place, entry in enumerate(entries):
        bit = data.draw(st.integers(0, 255))
        note = (int.from_bytes(entry.note, "big") ^ 1 << bit).to_bytes(32, "big")
        for changed in (
            replace(entry, at=UnixTime(entry.at ^ 1 << bit % 40)),
            replace(entry, kind=data.draw(st.sampled_from([k for k in K if k != entry.kind]))),
            replace(entry, note=Hash(note)),
        ):
            others = [*entries[:place], changed, *entries[place + 1 :]]
            assert head_of(SESSION, others) != head
            with pytest.raises((JournalChanged, JournalRefused)):
                verify(SESSION, others, head)


@given(lives().filter(lambda life: len(life[0]) > 1), st.data())
def test_an_entry_left_out_added_or_moved_is_found(
    life: tuple[list[Entry], int], data: st.DataObject
) -> None:
    entries, _ = life
    head = head_of(SESSION, entries)
    place = data.draw(st.integers(0, len(entries) - 1))
    shorter = [*entries[:place], *entries[place + 1 :]]
    longer = [*entries[: place + 1], *entries[place:]]
    for changed in (shorter, longer, entries[::-1], []):
        if changed != entries:
            with pytest.raises((JournalChanged, JournalRefused)):
                verify(SESSION, changed, head)


def test_the_journal_of_another_session_is_found() -> None:
    made = journal((1, K.ANSWERED), (2, K.CLOSED))
    with pytest.raises(JournalChanged) as refused:
        verify(SessionId(b"\x52" * 32), made.entries, made.head)
    assert refused.value.expected == made.head
    assert "these 2 journal entries" in str(refused.value)


@given(lives())
def test_the_time_that_counts_runs_from_the_answer_without_pauses(
    life: tuple[list[Entry], int],
) -> None:
    entries, counted = life
    assert billable_seconds(entries) == counted


@pytest.mark.parametrize(
    ("steps", "until", "seconds"),
    [
        ([], None, 0),
        ([], 100, 0),
        ([(10, K.ROBOT), (20, K.QUEUED)], 100, 0),
        ([(10, K.ANSWERED)], None, 0),
        ([(10, K.ANSWERED)], 100, 90),
        ([(10, K.ANSWERED), (20, K.PAUSED)], 100, 10),
        ([(10, K.ANSWERED), (20, K.PAUSED), (50, K.RESUMED)], 100, 60),
        ([(10, K.ANSWERED), (40, K.CLOSED)], 100, 30),
        ([(10, K.ANSWERED), (40, K.LEFT)], 100, 30),
        ([(10, K.ANSWERED), (40, K.LEFT), (900, K.CLOSED)], None, 30),
        ([(10, K.ANSWERED), (20, K.PAUSED), (30, K.CLOSED)], None, 10),
        ([(10, K.QUEUED), (900, K.CLOSED)], None, 0),
    ],
)
def test_what_counts_until_a_given_time(
    steps: list[tuple[int, EntryKind]], until: int | None, seconds: int
) -> None:
    entries = journal(*steps).entries
    assert billable_seconds(entries, None if until is None else UnixTime(until)) == seconds


def test_counting_until_before_the_last_entry_is_refused() -> None:
    with pytest.raises(JournalRefused, match="1 seconds before the last entry"):
        billable_seconds(journal((10, K.ANSWERED)).entries, UnixTime(9))


def test_an_earlier_entry_is_refused_and_the_journal_stays_as_it_was() -> None:
    made = journal((100, K.ANSWERED))
    head = made.head
    with pytest.raises(JournalRefused) as refused:
        made.append(Entry(UnixTime(93), K.CLOSED))
    assert str(refused.value) == (
        "closed at 93 cannot go into the journal: it is 7 seconds before the last entry "
        "(at 100); entries stand in the order of time"
    )
    assert made.head == head
    assert made.append(Entry(UnixTime(100), K.CLOSED)) == made.head != head


@pytest.mark.parametrize(
    ("before", "kinds", "reason"),
    [
        ([], [K.PAUSED, K.RESUMED], "nobody answered yet"),
        ([K.ANSWERED], [K.ROBOT, K.QUEUED, K.ANSWERED, K.RESUMED], "the meter runs"),
        ([K.ANSWERED, K.PAUSED], [K.ANSWERED, K.PAUSED, K.QUEUED], "the meter is paused"),
        ([K.LEFT], [k for k in K if k != K.CLOSED], "only closing follows"),
        ([K.CLOSED], list(K), "the session is closed"),
    ],
)
def test_what_cannot_follow_is_refused(
    before: list[EntryKind], kinds: list[EntryKind], reason: str
) -> None:
    for kind in kinds:
        made = journal(*((5, one) for one in before))
        with pytest.raises(JournalRefused, match=reason):
            made.append(Entry(UnixTime(5), kind))
        assert len(made.entries) == len(before)


@given(session_ids, lives())
def test_a_journal_that_is_written_is_read_back(
    session_id: SessionId, life: tuple[list[Entry], int]
) -> None:
    made = Journal(session_id, life[0])
    text = made.to_json_lines()
    read = Journal.from_json_lines(text)

    assert text.count("\n") == 1 + len(life[0])
    assert (read.session_id, read.entries, read.head) == (session_id, made.entries, made.head)


FIRST = '{"session":"0x' + "51" * 32 + '"}'
NOTE = "0x" + "00" * 32


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1 .*not JSON"),
        ("{}", "line 1 .*object of session"),
        ('{"session":"0x51"}', "line 1 .*64 lower-case hex digits"),
        (f"{FIRST}\n[]", "line 2 .*object of at, kind, note"),
        (f"{FIRST}\nnull", "line 2 .*object of at, kind, note"),
        (f'{FIRST}\n{{"at":1,"kind":"lunch","note":"{NOTE}"}}', "line 2 .*'lunch' is no kind"),
        (f'{FIRST}\n{{"at":1,"kind":[],"note":"{NOTE}"}}', "line 2 .*is no kind"),
        (f'{FIRST}\n{{"at":1.5,"kind":"robot","note":"{NOTE}"}}', "line 2 .*1.5 is no time"),
        (f'{FIRST}\n{{"at":true,"kind":"robot","note":"{NOTE}"}}', "line 2 .*True is no time"),
        (f'{FIRST}\n{{"at":-1,"kind":"robot","note":"{NOTE}"}}', "line 2 .*-1 is no time"),
        (f'{FIRST}\n{{"at":1,"kind":"robot","note":7}}', "line 2 .*7 is not 0x"),
        (f'{FIRST}\n{{"at":1,"kind":"paused","note":"{NOTE}"}}', "paused at 1 .*nobody answered"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(JournalRefused, match=reason):
        Journal.from_json_lines(text)


@pytest.mark.parametrize("at", [-1, 2**40])
def test_a_time_outside_40_bits_is_refused(at: int) -> None:
    with pytest.raises(ValueError, match=str(at)):
        Entry(UnixTime(at), K.ROBOT)


def test_a_note_is_blinded() -> None:
    blind, other = Hash(b"\1" * 32), Hash(b"\2" * 32)
    assert len({note_hash(b"yes", blind), note_hash(b"no", blind), note_hash(b"yes", other)}) == 3
    with pytest.raises(ValueError, match="3 bytes"):
        Entry(UnixTime(1), K.DATA_ACCESSED, Hash(b"yes"))
