"""Batches: of calls, that an audit of many pieces takes apart, and of signatures, that it looks at
together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from falsify import (
    TOPICS,
    Kept,
    falsified,
    flipped,
    kept_day,
    rules,
    unsigned,
    with_column,
)
from honorarium.audit import Archive, as_json, audit_archive, part
from honorarium.audit.errors import TransactionAltered
from honorarium.audit.tables import Row
from honorarium.ids import SessionId
from honorarium.protocol.events import Rated, SessionClosed, SessionOpened, Settled, decode_words


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept_day(tmp_path_factory.mktemp("kept") / "archive") as kept:
        yield kept


def _row_of(kept: Kept, session: SessionId, data: bytes) -> int:
    """Where a batch's calldata has the row of this session: its packed terms."""
    for row in Archive.read(kept.folder).rows("logs"):
        event = decode_words(row[TOPICS], row[TOPICS + 1])
        if isinstance(event, SessionOpened) and event.session_id == session:
            return data.index(event.terms.salt.to_bytes(12, "big")) - 5 * 32 - 20
    raise AssertionError(session)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (SessionOpened, {"ESC-11"}),
        (Settled, {"ESC-3"}),
        (
            SessionClosed,
            set(),
        ),  # somebody who was paid in the middle of it may have closed: counted
    ],
)
def test_rows_of_a_batch_are_judged_one_by_one_in_several_pieces_of_work(
    kept: Kept, tmp_path: Path, kind: Any, found: set[str]
) -> None:
    session = kept.day.ids["batch 2"]
    tx = kept.tx_of(kind, session)

    def without_it(data: bytes) -> bytes:
        return flipped(_row_of(kept, session, data) + 6 * 32)(data)  # another context

    lied = with_column(tx, **unsigned(data=without_it))
    archive = falsified(kept, tmp_path, transactions=lied)
    whole, apart = audit_archive(archive), audit_archive(archive, jobs=1, buckets=256)
    assert rules(apart, kept) == {(rule, "batch 2") for rule in found}
    assert as_json(apart) == as_json(whole)


def test_another_spelling_of_the_terms_in_a_batch_is_read_in_every_piece(
    kept: Kept, tmp_path: Path
) -> None:
    """The payer who is the client, not written as zero: the contract takes it in a session that is
    open.
    """
    session = kept.day.ids["batch 2"]
    tx = kept.tx_of(Settled, session)

    def spelled(data: bytes) -> bytes:
        at = _row_of(kept, session, data)
        assert not any(data[at + 32 : at + 52])
        return data[: at + 32] + data[at : at + 20] + data[at + 52 :]

    lied = with_column(tx, **unsigned(data=spelled))
    archive = falsified(kept, tmp_path, transactions=lied)
    assert audit_archive(archive, jobs=1, buckets=256).findings == []


def test_a_batch_that_was_not_signed_so_is_refused_by_one_of_its_pieces(
    kept: Kept, tmp_path: Path
) -> None:
    tx = kept.tx_of(Settled, kept.day.ids["batch 2"])
    archive = falsified(kept, tmp_path, transactions=with_column(tx, data=flipped(200)))
    with pytest.raises(TransactionAltered) as refused:
        audit_archive(archive, jobs=1, buckets=256)
    assert refused.value.tx_hash == tx


def test_how_many_signatures_are_looked_at_together_does_not_matter(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of three forged signatures is found, wherever the work is cut."""
    forged = (  # an event, its session, and a byte of the signature in its calldata
        (Settled, "rated", 4 + 9 * 32),
        (SessionClosed, "rated", 4 + 9 * 32),
        (Rated, "sponsored", 4 + 11 * 32),
    )
    changes = [
        with_column(kept.tx_of(kind, kept.day.ids[name]), **unsigned(data=flipped(at)))
        for kind, name, at in forged
    ]

    def lied(row: Row) -> Row:
        for change in changes:
            changed = change(row)
            assert isinstance(changed, tuple)
            row = changed
        return row

    archive = falsified(kept, tmp_path, transactions=lied)
    whole = audit_archive(archive)
    assert rules(whole, kept) == {("ESC-3", "rated"), ("ESC-10", "sponsored")}
    assert len(whole.findings) == 3
    for together in (1, 7):
        monkeypatch.setattr(part, "TOGETHER", together)
        for buckets in (None, 4):
            assert as_json(audit_archive(archive, jobs=1, buckets=buckets)) == as_json(whole)
