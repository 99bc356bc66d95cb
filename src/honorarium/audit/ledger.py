"""Balances: what every account must have, posting by posting.

ESC-1: nothing leaves a balance that is not in it at that moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from honorarium.audit.book import (
    At,
)
from honorarium.audit.facts import Finding
from honorarium.audit.records import (
    Posting,
)


@dataclass(slots=True)
class Ledger:
    """Balances by token and account, in base units."""

    balances: dict[At, int] = field(default_factory=lambda: defaultdict(int))

    def post(self, postings: Iterable[Posting]) -> Iterator[Finding]:
        """Enters postings, in the chain's order; yields what was not there to be used."""
        balances = self.balances
        for posting in postings:
            at = posting.token, posting.account
            available = balances[at]
            if posting.amount < 0 and -posting.amount > available:
                yield Finding(
                    "ESC-1",
                    posting.session,
                    f"{posting.what} of at most {available} from the balance",
                    str(-posting.amount),
                    posting.block,
                    posting.log,
                    posting.tx_hash,
                    f"account 0x{posting.account.hex()}, token 0x{posting.token.hex()}",
                )
            balances[at] = available + posting.amount
