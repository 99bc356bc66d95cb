"""What the desk acknowledges is durable, never falls back, and is what any replica says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import select

from honorarium.desk import Intake, Readings, TooMuchJournal
from honorarium.desk.clock import ChainClock
from honorarium.desk.elsewhere import Elsewhere
from honorarium.desk.intake import Room
from honorarium.errors import (
    AlreadyClosing,
    JournalRefused,
    SessionNotOpen,
    TooManyUnits,
    WrongSignature,
)
from honorarium.ids import Hash, SessionId
from honorarium.ledger import Ledger, LedgerUnusable, sessions
from honorarium.ledger.events import events
from honorarium.ledger.schema import readings, records
from honorarium.ledger.sessions import SessionNotKnown
from honorarium.ledger.settling import replicas
from honorarium.protocol import Entry, EntryKind, Key, SignedAcknowledgement, SignedVoucher, Voucher
from honorarium.protocol.book import Equivocation, NotFunded, Superseded
from honorarium.protocol.journal import Journal
from honorarium.protocol.signed import Quote
from honorarium.units import BaseUnits, UnixTime
from metering import ADVISOR, BEGAN, DOMAIN, METER, STRANGER, terms

DESK = Key.from_bytes(bytes((5,)) * 32)
K = EntryKind
T = TypeVar("T")


class Standing(ChainClock):
    """The chain's time, an hour after every session opened."""

    def __call__(self) -> UnixTime:
        return UnixTime(self.latest)


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    with Ledger(database) as opened:
        opened.set_up()
        yield opened


@contextmanager
def replica(ledger: Ledger, room: Room = Room()) -> Iterator[Intake]:
    intake = Intake(ledger, DESK, Standing(BEGAN + 3600), Readings(), room)
    intake.start()
    try:
        yield intake
    finally:
        intake.stop()


def opened(ledger: Ledger, salt: int = 0, deposit: int = 2000) -> SessionId:
    quote = Quote.sign(replace(terms(), salt=salt), ADVISOR, DOMAIN)
    with ledger.write() as connection:
        session_id = sessions.add(connection, quote, DOMAIN, BEGAN)
        sessions.change(
            connection, session_id, BEGAN, status="open", deposit=deposit, opened_at=BEGAN
        )
    return session_id


def journal(session_id: SessionId, *entries: Entry) -> tuple[Entry, ...]:
    Journal(session_id, entries)
    return entries


def voucher(session_id: SessionId, units: int, *entries: Entry, key: Key = METER) -> SignedVoucher:
    head = Journal(session_id, entries).head
    return SignedVoucher.sign(Voucher(session_id, units, head), key, DOMAIN)


ANSWERED = Entry(UnixTime(BEGAN), K.ANSWERED)
PAUSED, RESUMED = Entry(UnixTime(BEGAN + 90), K.PAUSED), Entry(UnixTime(BEGAN + 95), K.RESUMED)


def together(*asked: Callable[[], Awaitable[T]]) -> list[T | BaseException]:
    async def all_of_them() -> list[T | BaseException]:
        return await asyncio.gather(*(each() for each in asked), return_exceptions=True)

    return asyncio.run(all_of_them())


def one(asked: Callable[[], Awaitable[T]]) -> T:
    (result,) = together(asked)
    if isinstance(result, BaseException):
        raise result
    return result


def kept(ledger: Ledger, session_id: SessionId) -> tuple[int, bytes | None]:
    with ledger.read() as connection:
        row = connection.execute(select(readings).where(readings.c.session_id == session_id)).one()
    return row.units, row.signature


def test_what_is_acknowledged_is_in_the_database_and_signed_by_the_desk(ledger: Ledger) -> None:
    session_id = opened(ledger)
    with replica(ledger) as intake:
        first = voucher(session_id, 1, ANSWERED)
        accepted = one(lambda: intake.take(session_id, first, [ANSWERED]))
        assert kept(ledger, session_id) == (1, first.signature.to_bytes())
        accepted.verify(terms(), DOMAIN, DESK.address)
        again = one(lambda: intake.take(session_id, first, [ANSWERED]))
        assert again == accepted
        one(lambda: intake.take(session_id, voucher(session_id, 2, ANSWERED)))
        assert intake.taken == 3
        with ledger.read() as connection:
            assert len(connection.execute(select(records)).all()) == 1


def test_another_replica_knows_all_of_it(ledger: Ledger) -> None:
    session_id = opened(ledger)
    with replica(ledger) as intake:
        one(lambda: intake.take(session_id, voucher(session_id, 1, ANSWERED), [ANSWERED]))
        one(lambda: intake.note(session_id, K.ANSWERED, BEGAN))
        one(lambda: intake.hear(session_id, [PAUSED]))
        one(lambda: intake.take(session_id, voucher(session_id, 2, ANSWERED, PAUSED), [PAUSED], 1))
        one(lambda: intake.take(session_id, voucher(session_id, 3, ANSWERED, PAUSED)))
        known = one(lambda: intake.read(session_id))
        assert (known.units, known.told, len(known.noted)) == (3, (ANSWERED, PAUSED), 1)
    with replica(ledger) as other:
        assert one(lambda: other.read(session_id)) == known


def test_replicas_that_race_agree_and_nothing_falls_back(ledger: Ledger) -> None:
    session_id = opened(ledger)
    with replica(ledger) as here, replica(ledger) as there:
        one(lambda: here.take(session_id, voucher(session_id, 1, ANSWERED), [ANSWERED]))
        one(lambda: there.read(session_id))
        for units in range(2, 20):
            signed = voucher(session_id, units, ANSWERED)
            asked = [partial(intake.take, session_id, signed) for intake in (here, there)]
            for result in together(*asked):
                assert isinstance(result, SignedAcknowledgement), result
                assert result.units == units
            assert kept(ledger, session_id)[0] == units
        old = voucher(session_id, 5, ANSWERED)
        for intake in (here, there):
            with pytest.raises(Superseded):
                one(partial(intake.take, session_id, old))


def test_many_sessions_share_a_transaction(ledger: Ledger) -> None:
    several = [opened(ledger, salt) for salt in range(1, 101)]
    with replica(ledger) as intake:
        answers = together(
            *(
                partial(intake.take, session_id, voucher(session_id, 1, ANSWERED), [ANSWERED])
                for session_id in several
            )
        )
        assert all(isinstance(each, SignedAcknowledgement) for each in answers)
        assert intake.commits < 50
    assert all(kept(ledger, session_id)[0] == 1 for session_id in several)


def test_a_bad_voucher_holds_up_no_other(ledger: Ledger) -> None:
    good, bad = opened(ledger, 1), opened(ledger, 2)
    with replica(ledger) as intake:
        results = together(
            lambda: intake.take(bad, voucher(bad, 1, ANSWERED, key=STRANGER), [ANSWERED]),
            lambda: intake.take(good, voucher(good, 1, ANSWERED), [ANSWERED]),
            lambda: intake.take(SessionId(Hash(bytes(32))), voucher(good, 1, ANSWERED)),
        )
    assert isinstance(results[0], WrongSignature)
    assert isinstance(results[1], SignedAcknowledgement)
    assert isinstance(results[2], SessionNotKnown)
    assert kept(ledger, bad) == (0, None)


def test_vouchers_are_refused_beyond_the_deposit_and_faster_than_time(ledger: Ledger) -> None:
    session_id, rich = opened(ledger, 1), opened(ledger, 2, deposit=100_000)
    with replica(ledger) as intake:
        with pytest.raises(NotFunded):
            one(lambda: intake.take(session_id, voucher(session_id, 21, ANSWERED), [ANSWERED]))
        with pytest.raises(TooManyUnits):
            one(lambda: intake.take(rich, voucher(rich, 62, ANSWERED), [ANSWERED]))
        one(lambda: intake.take(rich, voucher(rich, 61, ANSWERED), [ANSWERED]))
        with pytest.raises(Superseded):
            one(lambda: intake.take(rich, voucher(rich, 60, ANSWERED)))


def test_a_quote_that_was_never_opened_takes_no_voucher(ledger: Ledger) -> None:
    quote = Quote.sign(terms(), ADVISOR, DOMAIN)
    with ledger.write() as connection:
        session_id = sessions.add(connection, quote, DOMAIN, BEGAN)
        assert sessions.add(connection, quote, DOMAIN, BEGAN + 5) == session_id
    with replica(ledger) as intake, pytest.raises(SessionNotOpen):
        one(lambda: intake.take(session_id, voucher(session_id, 1, ANSWERED), [ANSWERED]))


def test_what_the_watcher_tells_counts_at_once_everywhere(ledger: Ledger) -> None:
    session_id = opened(ledger)
    with replica(ledger) as intake:
        one(lambda: intake.take(session_id, voucher(session_id, 1, ANSWERED), [ANSWERED]))
        beyond = voucher(session_id, 25, ANSWERED)
        with pytest.raises(NotFunded):
            one(lambda: intake.take(session_id, beyond))
        with ledger.write() as connection:
            sessions.tell(connection, session_id, {"deposit": 5000})
        one(lambda: intake.take(session_id, beyond))
        with ledger.write() as connection:
            sessions.tell(connection, session_id, {"ended": BEGAN + 3000, "closed": False})
        with pytest.raises(AlreadyClosing):
            one(lambda: intake.take(session_id, voucher(session_id, 26, ANSWERED)))
        assert one(lambda: intake.read(session_id)).stop == "left"
        assert one(lambda: intake.take(session_id, beyond)).units == 25
        with ledger.write() as connection:
            sessions.tell(connection, session_id, {"ended": None, "closed": False})
        assert one(lambda: intake.take(session_id, voucher(session_id, 26, ANSWERED))).units == 26


def test_two_journals_that_exclude_each_other_are_kept_as_evidence(ledger: Ledger) -> None:
    session_id = opened(ledger)
    other = Entry(UnixTime(BEGAN + 1), K.ANSWERED)
    with replica(ledger) as intake:
        one(lambda: intake.take(session_id, voucher(session_id, 2, ANSWERED), [ANSWERED]))
        with pytest.raises(Equivocation):
            one(lambda: intake.take(session_id, voucher(session_id, 3, other), [other], 0))
    with replica(ledger) as later:
        assert one(lambda: later.read(session_id)).stop == "equivocated"
    with ledger.read() as connection:
        told = connection.execute(select(records.c.record).order_by(records.c.seq)).scalars().all()
    assert any("equivocation" in record for several in told for record in several)


def test_journals_do_not_grow_without_end(ledger: Ledger) -> None:
    session_id = opened(ledger)
    moments = [Entry(UnixTime(BEGAN), K.DATA_ACCESSED) for _ in range(10_001)]
    with replica(ledger) as intake:
        with pytest.raises(TooMuchJournal):
            one(lambda: intake.hear(session_id, moments))
        with pytest.raises(JournalRefused):
            one(lambda: intake.hear(session_id, [RESUMED]))


def test_a_database_that_is_gone_acknowledges_nothing_and_comes_back(tmp_path: object) -> None:
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
        ledger.set_up()
        session_id = opened(ledger)
        with replica(ledger) as intake:
            one(lambda: intake.take(session_id, voucher(session_id, 1, ANSWERED), [ANSWERED]))
            with ledger.write() as connection:
                connection.exec_driver_sql("ALTER TABLE readings RENAME TO elsewhere")
            with pytest.raises(LedgerUnusable, match="send the request again"):
                one(lambda: intake.take(session_id, voucher(session_id, 2, ANSWERED)))
            with ledger.write() as connection:
                connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO readings")
            assert kept(ledger, session_id)[0] == 1
            accepted = one(lambda: intake.take(session_id, voucher(session_id, 2, ANSWERED)))
            assert (accepted.units, kept(ledger, session_id)[0]) == (2, 2)


def test_the_reading_shows_what_is_at_stake(ledger: Ledger) -> None:
    session_id = opened(ledger, deposit=500)
    with replica(ledger) as intake:
        one(lambda: intake.note(session_id, K.ANSWERED, BEGAN + 3600 - 59))
        shown = one(lambda: intake.read(session_id))
        assert (shown.delivered, shown.exposure, shown.at_stake) == (1, 1, BaseUnits(100))
        assert (shown.stop, shown.warning, shown.funded) == (None, None, 5)
        one(lambda: intake.take(session_id, voucher(session_id, 4, ANSWERED), [ANSWERED]))
        shown = one(lambda: intake.read(session_id))
        assert (shown.units, shown.fee, shown.left, shown.warning) == (4, 400, 100, 80)


def test_whoever_follows_a_session_is_woken(ledger: Ledger) -> None:
    session_id = opened(ledger)

    async def play(intake: Intake, followed: Readings) -> list[bool]:
        seen = []
        with (
            followed.follow(session_id) as every,
            followed.follow(session_id, vouchers=False) as notes,
        ):
            acts: tuple[Callable[[], Awaitable[object]], ...] = (
                lambda: intake.take(session_id, voucher(session_id, 1, ANSWERED), [ANSWERED]),
                lambda: intake.take(session_id, voucher(session_id, 2, ANSWERED)),
                lambda: intake.note(session_id, K.ANSWERED, BEGAN),
            )
            for act in acts:
                await act()
                await asyncio.wait_for(every.wait(), 5)
                seen.append(notes.is_set())
                every.clear()
                notes.clear()
        assert followed.followed() == []
        return seen

    followed = Readings()
    intake = Intake(ledger, DESK, Standing(BEGAN + 3600), followed)
    intake.start()
    try:
        assert asyncio.run(play(intake, followed)) == [True, False, True]
    finally:
        intake.stop()


def test_whoever_wants_to_know_is_told_at_80_and_100_percent_once_and_after_a_top_up(
    ledger: Ledger,
) -> None:
    session_id = opened(ledger, deposit=1000)

    def told() -> list[tuple[str, int]]:
        with ledger.read() as connection:
            found = connection.execute(select(events.c.kind, events.c.body).order_by(events.c.id))
            return [(kind, json.loads(body)["percent"]) for kind, body in found]

    with replica(ledger) as intake:
        for units in (1, 7, 8, 9):
            entries = [ANSWERED] if units == 1 else []
            one(partial(intake.take, session_id, voucher(session_id, units, ANSWERED), entries))
        assert told() == [("session.warning", 80)]
    with replica(ledger) as intake:
        one(lambda: intake.take(session_id, voucher(session_id, 10, ANSWERED)))
        assert told() == [("session.warning", 80), ("session.warning", 100)]
        with ledger.write() as connection:
            sessions.tell(connection, session_id, {"deposit": 1200})
        one(lambda: intake.take(session_id, voucher(session_id, 11, ANSWERED)))
        assert told()[2:] == [("session.warning", 80)]


def test_a_note_at_one_replica_wakes_who_follows_at_another(ledger: Ledger) -> None:
    session_id = opened(ledger)

    async def play(there: Intake) -> None:
        here = Readings()
        elsewhere = Elsewhere(ledger, here, every=0.05)
        elsewhere.start()
        with here.follow(session_id, vouchers=False) as changed:
            await asyncio.wait_for(changed.wait(), 5)  # at first sight
            changed.clear()
            await there.note(session_id, K.ANSWERED, BEGAN)
            await asyncio.wait_for(changed.wait(), 5)
            changed.clear()
            await asyncio.sleep(0.2)
            assert not changed.is_set()
        await elsewhere.stop()

    with ledger.write() as connection:
        for name in ("one", "another"):
            connection.execute(replicas.insert().values(name=name, started_at=0))
    with replica(ledger) as there:
        asyncio.run(play(there))
