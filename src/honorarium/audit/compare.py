"""The audit's book against the contract's storage, its balances, and the tokens' own logs.

Asked once, after the last event. Pure. Limits: the chain's own coin leaves no log, so coin is only
compared as a whole (the escrow holds at least what it owes); a token that lies about balances or
leaves out Transfer logs can only be contradicted, not set right; a finding names it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from honorarium.audit.book import Book, Movement, SessionRecord, share_of
from honorarium.audit.facts import Finding, State, Transfer
from honorarium.ids import Address
from honorarium.protocol.slot import REVOKED_FLAG, Slot, Status
from honorarium.units import UnixTime


def check_movements(book: Book, transfers: Iterable[Transfer]) -> Iterator[Finding]:
    """ESC-1: every deposit and withdrawal is in the token's own log, and nothing else left.
    ESC-7: so is every refund, to the payer.

    Tokens that came without a deposit are a surplus, not a finding.
    """
    open_moves = {moved: len(causes) for moved, causes in book.movements.items() if causes}
    for seen in transfers:
        moved = Movement(seen.tx_hash, seen.token, seen.sender, seen.recipient, seen.amount)
        left = open_moves.get(moved, 0)
        if left > 1:
            open_moves[moved] = left - 1
        elif left == 1:
            del open_moves[moved]
        elif seen.sender == book.escrow and seen.recipient != book.escrow and seen.amount:
            yield Finding(
                "ESC-1",
                None,
                "no transfer out without a withdrawal or a refund",
                f"{seen.amount} to 0x{seen.recipient.hex()}",
                seen.block,
                seen.index,
                seen.tx_hash,
                f"token 0x{seen.token.hex()}",
            )
    for moved, count in open_moves.items():
        for cause in book.movements[moved][:count]:
            yield Finding(
                cause.rule,
                cause.session,
                f"a transfer of {moved.amount} from 0x{moved.sender.hex()}"
                f" to 0x{moved.recipient.hex()}",
                "none in the token's log",
                cause.block,
                cause.log,
                moved.tx_hash,
                f"token 0x{moved.token.hex()}",
            )


def check_esc_1_balances(book: Book, state: State) -> Iterator[Finding]:
    """Every account that any event touched has in storage the balance that the events give."""
    for (token, account), expected in book.balances.items():
        found = state.balances.get((token, account), 0)
        if found != expected:
            yield Finding(
                "ESC-1",
                None,
                f"a balance of {expected}",
                str(found),
                about=f"account 0x{account.hex()}, token 0x{token.hex()}",
            )


def owed(book: Book, state: State) -> Mapping[Address, int]:
    """Per token what storage says the escrow owes: balances, and deposits of running sessions
    less what they earned.
    """
    total: Counter[Address] = Counter()
    for (token, _), amount in state.balances.items():
        total[token] += amount
    for session_id, session in book.sessions.items():
        slot = Slot.unpack(state.slots.get(session_id, 0))
        if slot.status in (Status.OPEN, Status.CLOSING):
            total[session.token] += slot.deposit - slot.earned
    return total


def check_esc_1_solvency(book: Book, state: State) -> Iterator[Finding]:
    """The escrow holds of each token at least what it owes."""
    for token, needed in owed(book, state).items():
        known = state.tokens.get(token)
        held = known.held if known else 0
        if held < needed:
            yield Finding(
                "ESC-1",
                None,
                f"the escrow holds at least {needed}",
                str(held),
                about=f"token 0x{token.hex()}",
            )


def check_slots(book: Book, state: State) -> Iterator[Finding]:
    """Every session's storage slot says what its events gave, field for field.

    A field that differs belongs to the rule that it serves: deposit ESC-1, earned ESC-4, opening
    time ESC-5 (time counts from it), standing ESC-6, closing time and where refunds go ESC-7,
    score and answer ESC-10.
    """
    for session_id, session in book.sessions.items():
        slot = Slot.unpack(state.slots.get(session_id, 0))
        for rule, name, expected, found in _fields(session, slot):
            if expected != found:
                yield Finding(
                    rule, session_id, f"{name} {expected}", f"{found}", about="storage slot"
                )
    for session_id, time in book.revoked.items():
        slot = Slot.unpack(state.slots.get(session_id, 0))
        revoked = Slot.unpack(time << 16 | REVOKED_FLAG)
        if slot != revoked:
            yield Finding(
                "ESC-6", session_id, f"revoked at {time}", _described(slot), about="storage slot"
            )


def _fields(session: SessionRecord, slot: Slot) -> Iterator[tuple[str, str, object, object]]:
    over = session.status is Status.CLOSED
    yield "ESC-6", "status", session.status.name.lower(), slot.status.name.lower()
    yield "ESC-1", "deposit", session.deposit, slot.deposit
    yield "ESC-4", "earned", session.earned, slot.earned
    yield "ESC-5", "opened at", session.opened_at, slot.opened_at
    yield (
        "ESC-7",
        "closed at" if over else "closing at",
        session.closed_at if over else session.closing_at,
        slot.closing_or_closed_at,
    )
    yield "ESC-7", "refunds to balance", session.from_balance, slot.from_balance
    yield "ESC-10", "score", session.score, slot.score
    yield "ESC-10", "answered", session.answered, slot.answered


def _described(slot: Slot) -> str:
    return f"{slot.status.name.lower()}, time {UnixTime(slot.closing_or_closed_at)}"


def check_esc_10_tallies(book: Book, state: State) -> Iterator[Finding]:
    """Every rated advisor's count and sum of scores in storage are those of the events."""
    for advisor, (count, total) in book.tallies.items():
        found = state.tallies.get(advisor, (0, 0))
        if found != (count, total):
            yield Finding(
                "ESC-10",
                None,
                f"{count} ratings, sum {total}",
                f"{found[0]} ratings, sum {found[1]}",
                about=f"advisor 0x{advisor.hex()}",
            )


def check_esc_15(book: Book, state: State) -> Iterator[Finding]:
    """Every platform has got floor(earned * bps / 10000) of each session's last earned sum, however
    often it was settled: its balance, less all else it was credited or drew, is that total.
    """
    whole: dict[tuple[Address, Address], int] = defaultdict(int)
    for session in book.sessions.values():
        if session.bps:
            whole[session.token, session.recipient] += share_of(session.earned, session.bps)
    for at in sorted(book.recipients):
        token, recipient = at
        other = book.balances.get(at, 0) - book.credited.get(at, 0)
        found = state.balances.get(at, 0) - other
        if found != whole[at]:
            yield Finding(
                "ESC-15",
                None,
                f"platform shares of {whole[at]}",
                str(found),
                about=f"platform 0x{recipient.hex()}, token 0x{token.hex()}",
            )
