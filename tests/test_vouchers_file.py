"""The advisor's book on the disk: what comes back, and what is refused there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from honorarium.advisor import VoucherBook, WrongAdvisorKey
from honorarium.client import Meter
from honorarium.ids import ZERO_HASH
from honorarium.protocol import Entry, EntryKind, OtherSession, Tariff
from honorarium.recordfile import RecordFile, RecordFileBusy, RecordNotKept, RecordRefused
from honorarium.units import BaseUnits
from metering import (
    ADVISOR,
    ANSWERED,
    BEGAN,
    DOMAIN,
    METER,
    STRANGER,
    Watch,
    at,
    book,
    signed,
    terms,
)
from test_recordfile import no_larger_than

K = EntryKind


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
