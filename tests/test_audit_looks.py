"""What breaks no rule and deserves a look: found exactly where it is, in real calls and in small.

The real calls are the sample's, as a replay would sign and send them; which of them one agent
served at the same time is counted from the CSV alone, by scripts/overlapping_calls.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit_data import CALLS, DECIMALS, STAGE, TARIFFS, make_archive
from honorarium.audit import Archive, Journals, Verdict, audit_archive
from honorarium.audit.journals import JournalUnreadable
from honorarium.audit.looks import (
    CROWD,
    OPEN_TOO_LONG,
    Ratings,
    Ties,
    near_cap,
    never_closed,
    one_payer,
    overlaps,
    related_rating,
    span_on_chain,
)
from honorarium.audit.rows import SessionRow
from honorarium.errors.refusals import moment
from honorarium.ids import ZERO_HASH, Address, SessionId
from honorarium.protocol import Journal
from honorarium.replay import load_tariffs, plan_calls
from honorarium.replay.parties import Part, cast
from honorarium.units import UnixTime
from overlapping_calls import overlapping_calls

# ---------------------------------------------------------------------- real calls


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's calls as an archive."""
    folder = tmp_path_factory.mktemp("sample") / "archive"
    sessions, _ = make_archive(folder, 1, jobs=1)
    assert sessions == 225
    return folder


@pytest.fixture(scope="module")
def parts() -> dict[SessionId, Part]:
    with plan_calls(CALLS, load_tariffs(TARIFFS, DECIMALS)) as plan:
        cast_as = (
            cast(STAGE, replace(planned, call=f"{planned.call}/0")) for planned in plan.sessions()
        )
        return {part.session_id: part for part in cast_as}


def pairs(verdict: Verdict, parts: dict[SessionId, Part]) -> set[frozenset[str]]:
    """The calls of the sessions that are reported as overlaps."""
    found = set()
    for look in verdict.looks:
        if look.rule == "overlap":
            match = re.search("session 0x(.{64})", look.about)
            assert match is not None
            assert look.session is not None
            both = look.session, SessionId(bytes.fromhex(match[1]))
            found.add(frozenset(parts[each].planned.call.removesuffix("/0") for each in both))
    return found


def test_exactly_the_calls_that_one_agent_served_at_once_are_overlaps(
    sample: Path, parts: dict[SessionId, Part]
) -> None:
    expected = overlapping_calls(CALLS)
    assert len(expected) == 6
    verdict = audit_archive(Archive.read(sample))
    assert verdict.findings == []
    assert pairs(verdict, parts) == expected
    assert sum(look.rule == "overlap" for look in verdict.looks) == 6


def test_exactly_the_calls_near_their_cap_are_told(
    sample: Path, parts: dict[SessionId, Part]
) -> None:
    expected = {
        session_id
        for session_id, part in parts.items()
        if part.terms.tariff.unit_seconds
        and part.planned.units >= 0.95 * part.terms.tariff.max_units
    }
    verdict = audit_archive(Archive.read(sample))
    assert {look.session for look in verdict.looks if look.rule == "near-cap"} == expected
    assert expected


def test_true_journals_add_nothing_and_every_false_one_is_told(
    sample: Path, parts: dict[SessionId, Part], tmp_path: Path
) -> None:
    for number, part in enumerate(parts.values()):
        (tmp_path / f"{number}.jsonl").write_text(part.journal().to_json_lines())
    true = audit_archive(Archive.read(sample), journals=Journals.read(tmp_path))
    assert pairs(true, parts) == overlapping_calls(CALLS)
    assert {look.rule for look in true.looks} == {"overlap", "near-cap"}

    served = next(p for p in parts.values() if len(p.planned.journal) > 3 and p.planned.units > 3)
    lines = served.journal().to_json_lines().splitlines()
    changed = re.sub(r'"at":(\d+)', lambda at: f'"at":{int(at[1]) - 1}', lines[1])
    (tmp_path / "other.jsonl").write_text("\n".join([lines[0], changed, *lines[2:]]) + "\n")
    verdict = audit_archive(Archive.read(sample), journals=Journals.read(tmp_path))
    new = [look for look in verdict.looks if look.rule not in ("overlap", "near-cap")]
    assert {(look.rule, look.session) for look in new} == {
        ("journal", served.session_id),  # its head is none that was settled
        ("equivocation", served.session_id),  # and it does not extend the true one
    }


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(JournalUnreadable, match=r"x\.jsonl is no journal"):
        Journals.read(tmp_path)
    with pytest.raises(JournalUnreadable, match="no such folder"):
        Journals.read(tmp_path / "nowhere")


# ---------------------------------------------------------------------- in small

ADVISOR, OTHER, CLIENT, PAYER, PLATFORM = (Address(bytes((n,)) * 20) for n in range(1, 6))
NOON = 1_800_000_000


def row(number: int, **changed: Any) -> SessionRow:
    """A closed session of ten minutes, rated by nobody."""
    known: dict[str, Any] = dict.fromkeys(SessionRow._fields, 0)
    return SessionRow(
        **{
            **known,
            "session_id": SessionId(number.to_bytes(32, "big")),
            "status": "closed",
            "client": CLIENT,
            "payer": CLIENT,
            "advisor": ADVISOR,
            "fee_recipient": PLATFORM,
            "unit_seconds": 60,
            "opened_at": NOON,
            "closed_at": NOON + 600,
            "units": 10,
            "earned": 1000,
            "platform_fee": 100,
            "opened_block": number,
            "opened_tx": ZERO_HASH,
            **changed,
        }
    )


def overlapping(*rows: SessionRow) -> list[tuple[int, str]]:
    found = overlaps(rows, lambda each: span_on_chain(each, UnixTime(NOON + 900)))
    return [(int.from_bytes(look.session or b"", "big"), look.found) for look in found]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({"opened_at": NOON + 599, "closed_at": NOON + 700}, 1),
        ({"opened_at": NOON + 600, "closed_at": NOON + 700}, 0),
        ({"opened_at": NOON - 50, "closed_at": NOON + 1}, 1),
        ({"opened_at": NOON - 50, "closed_at": NOON}, 0),
        ({"opened_at": NOON + 10, "closed_at": NOON + 20}, 10),
        ({"opened_at": NOON + 10, "closed_at": 0, "status": "open"}, 590),
        ({"opened_at": NOON - 9, "closing_at": NOON + 5, "closed_at": NOON + 900}, 5),
        ({"units": 0}, 0),
        ({"advisor": OTHER}, 0),
    ],
)
def test_sessions_overlap_from_the_first_shared_second_on(
    second: dict[str, Any], expected: int
) -> None:
    found = overlapping(row(1), row(2, **second))
    assert [int(told.split()[0]) for _, told in found] == ([expected] if expected else [])


def test_every_pair_of_three_is_told_once() -> None:
    assert len(overlapping(row(1), row(2), row(3, opened_at=NOON + 5))) == 3


def test_of_a_crowd_each_session_is_told_once() -> None:
    """Else whoever opens five thousand sessions at once has millions of pairs told."""
    found = overlapping(*(row(number) for number in range(1, 2_001)))
    pairs = CROWD * (CROWD + 1) // 2
    assert len(found) == pairs + (2_000 - CROWD - 1)
    assert found.count((2_000, f"1999 others when it began, at {moment(UnixTime(NOON))}")) == 1
    later = row(2_001, opened_at=NOON + 600, closed_at=NOON + 700)  # when all have gone
    assert 2_001 not in dict(overlapping(*(row(number) for number in range(1, 30)), later))


def journal_of(number: int, *entries: tuple[int, str]) -> Journal:
    session = f'{{"session":"0x{number:064x}"}}\n'
    note = "0x" + "00" * 32
    lines = [f'{{"at":{at},"kind":"{kind}","note":"{note}"}}\n' for at, kind in entries]
    return Journal.from_json_lines(session + "".join(lines))


def test_a_journal_says_to_the_second_when_a_session_was_served() -> None:
    one = journal_of(1, (NOON, "answered"), (NOON + 100, "paused"), (NOON + 300, "resumed"))
    other = journal_of(2, (NOON + 100, "answered"), (NOON + 310, "closed"))
    journals = Journals(
        {each.session_id: [("file", each)] for each in (one, other)},
    )
    assert journals.spans(one.session_id) == [(NOON, NOON + 100)]
    assert overlapping(row(1), row(2))
    told = overlaps([row(1), row(2)], lambda each: journals.spans(each.session_id) or ())
    assert list(told) == []


def test_the_cap_is_near_from_95_percent_on() -> None:
    assert list(near_cap(row(1, units=94, max_units=100))) == []
    assert len(list(near_cap(row(1, units=95, max_units=100)))) == 1
    assert list(near_cap(row(1, units=95, max_units=0))) == []
    assert list(near_cap(row(1, units=1, max_units=1, unit_seconds=0))) == []


def test_a_session_that_nobody_ends_is_told() -> None:
    day = OPEN_TOO_LONG
    assert list(never_closed(row(1, status="open"), UnixTime(NOON + day))) == []
    assert len(list(never_closed(row(1, status="open"), UnixTime(NOON + day + 1)))) == 1
    left = row(1, status="closing", closing_at=NOON, close_grace=600)
    assert list(never_closed(left, UnixTime(NOON + 599))) == []
    assert len(list(never_closed(left, UnixTime(NOON + 600)))) == 1
    assert list(never_closed(row(1), UnixTime(NOON + 9 * day))) == []


def related(row: SessionRow, *edges: tuple[Address, Address]) -> Iterator[str]:
    return (look.found for look in related_rating(row, Ties(edges), {ADVISOR, OTHER}))


def test_a_rating_of_somebody_who_is_tied_to_the_advisor_is_told() -> None:
    rated = row(1, score=5)
    assert list(related(rated)) == []
    assert list(related(row(1), (ADVISOR, CLIENT))) == []  # nobody rated
    assert "the same account" in next(related(row(1, score=5, payer=ADVISOR)))
    assert "the same account" in next(related(row(1, score=5, client=PLATFORM)))
    assert "money went between them" in next(related(rated, (ADVISOR, CLIENT)))
    assert "money went between them" in next(related(rated, (CLIENT, ADVISOR)))
    assert "both dealt with" in next(related(rated, (PAYER, CLIENT), (ADVISOR, PAYER)))
    assert "advises too" in next(related(row(1, score=5, client=OTHER)))


def rated(rows: list[SessionRow]) -> Ratings:
    ratings = Ratings()
    for each in rows:
        if each.score:
            ratings.take(each)
    return ratings


def test_ratings_are_weighed_by_net_fees_and_by_payers() -> None:
    rows = [
        *(row(n, score=5, payer=PAYER, earned=10, platform_fee=0) for n in range(4)),
        row(4, score=1, earned=1000, platform_fee=40),
        row(5),
    ]
    ratings = rated(rows)
    assert ratings.as_json() == {
        "count": 5,
        "average": "4.20",
        "average_by_net_fee": "1.16",  # (4 * 5 * 10 + 960) / 1000
        "payers": 2,
        "average_by_payer": "3.00",
    }
    [look] = one_payer(ADVISOR, ratings)
    assert look.found == f"4 from 0x{PAYER.hex()}"
    assert list(one_payer(ADVISOR, rated(rows[:4]))) == []
