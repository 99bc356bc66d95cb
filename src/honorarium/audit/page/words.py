"""The page's words: the rules, what deserves a look, the limits of an audit, amounts and times."""

from __future__ import annotations

from typing import Final

from honorarium.audit.page.model import TokenNamed
from honorarium.bill import with_places
from honorarium.bill.text import visible

RULES: Final = {
    "ESC-1": "The escrow holds what it owes, and what went in and out matches the ledger exactly.",
    "ESC-2": "What a session earned never falls and never exceeds its deposit.",
    "ESC-3": "Units move only by a signature of the meter key that the terms name.",
    "ESC-4": "The fee is what the tariff gives for the units; nobody signs an amount.",
    "ESC-5": "Time that is billed never exceeds the time since the opening by more than one unit.",
    "ESC-6": "A closed session never reopens and never pays again.",
    "ESC-7": "Who is left has the grace period; money goes to the parties in the terms only.",
    "ESC-10": "A rating comes once, from the client of a closed session that earned something.",
    "ESC-11": "Nobody is party to a session without their signature or their own call.",
    "ESC-12": "Terms that were revoked never open.",
    "ESC-13": "What came in is what was counted, exactly.",
    "ESC-14": "A signature counts for one chain, one contract and one purpose.",
    "ESC-15": "The platform's part is rounded down and does not depend on how often was settled.",
    "ESC-16": "A batch skips a bad row, says why, and credits nothing twice.",
    "ESC-17": "A session closes with a newer, a stale or no voucher.",
}

LOOKS: Final = {
    "overlap": "One advisor was billed in two sessions at the same time.",
    "near-cap": "Time was billed up to the tariff's cap, or nearly: a meter nobody stopped?",
    "never-closed": "A session is open for more than a day, or nobody finalized it.",
    "related-rating": "A rating by somebody whom money or a party ties to the advisor.",
    "one-payer": "Most of an advisor's ratings come from sessions that one account paid.",
    "equivocation": "The meter signed two journals for the same units.",
    "journal": "A journal does not fit what was settled.",
}

LIMITS: Final = (
    "The log, the storage and the blocks are those that the node gave. A node that leaves out "
    "whole blocks or lies consistently is found by asking another one, or by the evidence of a "
    "session, which is proven to a block header: `honorarium evidence`, `honorarium verify`.",
    "A voucher proves that the client's meter asserted so many units. That advice was given, and "
    "that it was good, nobody can prove.",
    "When the advisor answered, and how long pauses were, stands only in the journal of the meter. "
    "Without one, two sessions overlap where both could count: from opening to close.",
    "Whether a contract wallet accepted a signature (ERC-1271) only that contract can say, and a "
    "call that came out of another contract is not in a transaction's data: these are counted, not "
    "judged.",
    "An archive proves what people signed, transactions too. That it is of the chain that "
    "everybody knows, and that nothing is missing in it, only a node that you trust can say.",
    "What deserves a look breaks no rule. It may have a good reason.",
)


def money(token: TokenNamed, units: int) -> str:
    """An amount without its symbol; base units of a token that tells no decimals."""
    return f"{units:,}" if token.decimals is None else with_places(units, token.decimals)


def symbol(token: TokenNamed) -> str:
    """The token's symbol, whatever it is, on one line and not too long."""
    short = visible(token.symbol)[:16] or "?"
    return short if token.decimals is not None else f"base units of {short}"


def length(seconds: int) -> str:
    """`1 h 05 min`, `3 min 20 s`."""
    hours, rest = divmod(seconds, 3600)
    if hours:
        return f"{hours:,} h {rest // 60:02} min"
    minutes, rest = divmod(rest, 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
