"""The audit's book against the contract's storage, its balances, and the tokens' own logs.

Pure. Limits: the chain's own coin leaves no log, so coin is only compared as a whole (the escrow
holds at least what it owes); a token that lies about balances or leaves out Transfer logs can only
be contradicted, not set right: what rests on a token's word alone names that token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from honorarium.audit.book import (
    At,
    SessionRecord,
)
from honorarium.audit.facts import Finding, Token, Transfer
from honorarium.audit.records import (
    Moved,
    Movement,
    TipMade,
)
from honorarium.errors.refusals import moment
from honorarium.ids import ZERO_ADDRESS, Address, SessionId
from honorarium.protocol.slot import OPEN_FLAG, REVOKED_FLAG, Slot, Status
from honorarium.units import BlockNumber, UnixTime


def check_movements(
    escrow: Address,
    tip_jar: Address,
    movements: Callable[[], Iterable[Movement]],
    tips: Iterable[TipMade],
    transfers: Iterable[Transfer],
) -> Iterator[Finding]:
    """ESC-1: every deposit and withdrawal is in the token's own log, and nothing else left.
    ESC-7: so is every refund, to the payer. ESC-13: so is every tip, straight or through the jar.

    Tokens that came without a deposit are a surplus, not a finding.
    """
    missing: Counter[Moved] = Counter(each.moved for each in movements())
    others: Counter[Moved] = Counter()
    for seen in transfers:
        moved = seen.moved
        left = missing.get(moved, 0)
        if left > 1:
            missing[moved] = left - 1
        elif left == 1:
            del missing[moved]
        elif seen.sender == escrow and seen.recipient != escrow and seen.amount:
            yield Finding(
                "ESC-1",
                None,
                "no transfer out without a withdrawal or a refund",
                f"{seen.amount} to 0x{seen.recipient.hex()}",
                seen.block,
                seen.log,
                seen.tx_hash,
                f"token 0x{seen.token.hex()}",
                token=seen.token,
            )
        else:
            others[moved] += 1
    for movement in movements() if missing else ():
        if missing[movement.moved] > 0:
            missing[movement.moved] -= 1
            yield _not_moved(movement)
    yield from _tips(tip_jar, tips, others)


def _tips(
    tip_jar: Address, tips: Iterable[TipMade], transfers: Counter[Moved]
) -> Iterator[Finding]:
    for tip in tips:
        if tip.token == ZERO_ADDRESS:
            continue
        session = tip.session if any(tip.session) else None
        made = Movement(
            tip.tx_hash,
            tip.token,
            tip.tipper,
            tip.advisor,
            tip.amount,
            "ESC-13",
            session,
            tip.block,
            tip.log,
        )
        straight = made.moved
        halves = made._replace(recipient=tip_jar).moved, made._replace(sender=tip_jar).moved
        if transfers[straight]:
            transfers[straight] -= 1
        elif all(transfers[half] for half in halves):
            transfers.subtract(halves)
        else:
            yield _not_moved(made)


def _not_moved(moved: Movement) -> Finding:
    return Finding(
        moved.rule,
        moved.session,
        f"a transfer of {moved.amount} from 0x{moved.sender.hex()} to 0x{moved.recipient.hex()}",
        "none in the token's log",
        moved.block,
        moved.log,
        moved.tx_hash,
        f"token 0x{moved.token.hex()}",
        token=moved.token,
    )


def check_balances(
    balances: Mapping[At, int], found: Mapping[At, int], block: BlockNumber
) -> Iterator[Finding]:
    """ESC-1: every account that any event touched has in storage what the events give."""
    for at, expected in balances.items():
        kept = found.get(at, 0)
        if kept != expected:
            token, account = at
            yield Finding(
                "ESC-1",
                None,
                f"a balance of {expected}",
                str(kept),
                block,
                about=f"account 0x{account.hex()}, token 0x{token.hex()}",
            )


def owed_to_sessions(
    sessions: Mapping[SessionId, SessionRecord], slots: Mapping[SessionId, int]
) -> Counter[Address]:
    """Per token what storage says is kept for running sessions: deposits less what they earned."""
    total: Counter[Address] = Counter()
    for session_id, session in sessions.items():
        word = slots.get(session_id, 0)
        if word & OPEN_FLAG:
            slot = Slot.unpack(word)
            total[session.token] += slot.deposit - slot.earned
    return total


def check_solvency(
    owed: Mapping[Address, int], tokens: Mapping[Address, Token], block: BlockNumber
) -> Iterator[Finding]:
    """ESC-1: the escrow holds of each token at least what it owes."""
    for token, needed in owed.items():
        known = tokens.get(token)
        held = known.held if known else 0
        if held < needed:
            yield Finding(
                "ESC-1",
                None,
                f"the escrow holds at least {needed}",
                str(held),
                block,
                about=f"token 0x{token.hex()}",
                token=None if token == ZERO_ADDRESS else token,
            )


def check_slots(
    sessions: Mapping[SessionId, SessionRecord],
    revoked: Mapping[SessionId, UnixTime],
    slots: Mapping[SessionId, int],
    block: BlockNumber,
) -> Iterator[Finding]:
    """Every session's storage slot says what its events gave, field for field.

    A field that differs belongs to the rule that it serves: deposit ESC-1, earned ESC-4, opening
    time ESC-5 (time counts from it), standing ESC-6, closing time and where refunds go ESC-7,
    score and answer ESC-10.
    """
    for session_id, session in sessions.items():
        word = slots.get(session_id, 0)
        if word == _word_of(session):
            continue
        for rule, name, expected, found in _fields(session, Slot.unpack(word)):
            if expected != found:
                yield Finding(
                    rule, session_id, f"{name} {expected}", f"{found}", block, about="storage slot"
                )
    for session_id, time in revoked.items():
        slot = Slot.unpack(slots.get(session_id, 0))
        if slot != Slot.unpack(time << 16 | REVOKED_FLAG):
            yield Finding(
                "ESC-6",
                session_id,
                f"revoked at {moment(time)}",
                f"{slot.status.name.lower()}, {_time(slot.closing_or_closed_at)}",
                block,
                about="storage slot",
            )


def _word_of(session: SessionRecord) -> int:
    """The slot as it must be; most are."""
    over = session.status is Status.CLOSED
    time = session.closed_at if over else session.closing_at
    flags = (not over) | session.from_balance << 1 | session.answered << 2
    return (
        session.deposit << 176
        | session.earned << 96
        | session.opened_at << 56
        | time << 16
        | session.score << 8
        | flags
    )


def _fields(session: SessionRecord, slot: Slot) -> Iterator[tuple[str, str, object, object]]:
    over = session.status is Status.CLOSED
    yield "ESC-6", "status", session.status.name.lower(), slot.status.name.lower()
    yield "ESC-1", "deposit", session.deposit, slot.deposit
    yield "ESC-4", "earned", session.earned, slot.earned
    yield "ESC-5", "opened at", _time(session.opened_at), _time(slot.opened_at)
    yield (
        "ESC-7",
        "closed at" if over else "closing at",
        _time(session.closed_at if over else session.closing_at),
        _time(slot.closing_or_closed_at),
    )
    yield "ESC-7", "refunds to balance", session.from_balance, slot.from_balance
    yield "ESC-10", "score", session.score, slot.score
    yield "ESC-10", "answered", session.answered, slot.answered


def _time(time: UnixTime) -> str:
    return moment(time) if time else "no time"


def check_tallies(
    tallies: Mapping[Address, tuple[int, int]],
    found: Mapping[Address, tuple[int, int]],
    block: BlockNumber,
) -> Iterator[Finding]:
    """ESC-10: every rated advisor's count and sum of scores in storage are those of the events."""
    for advisor, (count, total) in tallies.items():
        kept = found.get(advisor, (0, 0))
        if kept != (count, total):
            yield Finding(
                "ESC-10",
                None,
                f"{count} ratings, sum {total}",
                f"{kept[0]} ratings, sum {kept[1]}",
                block,
                about=f"advisor 0x{advisor.hex()}",
            )


def check_shares(
    shares: Mapping[At, int],
    credited: Mapping[At, int],
    balances: Mapping[At, int],
    found: Mapping[At, int],
    block: BlockNumber,
) -> Iterator[Finding]:
    """ESC-15: every platform has got floor(earned * bps / 10000) of each session's last earned sum,
    however often it was settled: its balance, less all else it was credited or drew, is that total.
    """
    for at in sorted(credited):
        token, recipient = at
        other = balances.get(at, 0) - credited[at]
        kept = found.get(at, 0) - other
        if kept != shares.get(at, 0):
            yield Finding(
                "ESC-15",
                None,
                f"platform shares of {shares.get(at, 0)}",
                str(kept),
                block,
                about=f"platform 0x{recipient.hex()}, token 0x{token.hex()}",
            )
