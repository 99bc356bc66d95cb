"""The facts of a real run, kept, so that a test can falsify one and have them judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from honorarium.audit import Facts, Verdict, audit
from honorarium.audit.facts import (
    Entry,
    Happening,
    Place,
    Questions,
    State,
    Token,
    Transaction,
    Transfer,
)
from honorarium.audit.origin import happening_of
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.events import Event
from honorarium.units import BaseUnits, BlockNumber, UnixTime


@dataclass(frozen=True)
class Recorded:
    """Facts in memory. Every method gives other facts and leaves these as they are."""

    place: Place
    entries: tuple[Entry, ...]
    separators: dict[Address, bytes | None]
    transfers: tuple[Transfer, ...]
    state: State
    contracts: frozenset[Address]

    @classmethod
    def of(cls, facts: Facts, tokens: Iterable[Address]) -> tuple[Recorded, Verdict]:
        """Keeps what an audit of `facts` is shown, and gives its verdict."""
        seen: dict[str, Any] = {}

        def keep(name: str, value: Any) -> Any:
            seen[name] = value
            return value

        contracts: set[Address] = set()

        def code(account: Address, block: BlockNumber) -> bool | None:
            there = facts.code(account, block)
            if there:
                contracts.add(account)
            return there

        entries = tuple(facts.entries)
        verdict = audit(
            replace(
                facts,
                entries=entries,
                transfers=lambda asked: keep("transfers", tuple(facts.transfers(asked))),
                state=lambda questions, block: keep("state", facts.state(questions, block)),
                code=code,
            )
        )
        separators = {token: facts.separator(token) for token in tokens}
        transfers, state = seen["transfers"], seen["state"]
        return (
            cls(facts.place, entries, separators, transfers, state, frozenset(contracts)),
            verdict,
        )

    def judge(
        self,
        *,
        code: Callable[[Address, BlockNumber], bool | None] | None = None,
        **how: Any,
    ) -> Verdict:
        """The verdict over these facts; `code` in place of what was said of accounts."""

        def state(questions: Questions, block: BlockNumber) -> State:
            return self.state

        return audit(
            Facts(
                self.place,
                iter(self.entries),
                self.separators.get,
                lambda tokens: self.transfers,
                state,
                code or (lambda account, block: account in self.contracts),
                self.happened,
            ),
            **how,
        )

    def happened(self, block: BlockNumber, tx_hash: Hash) -> Counter[Happening]:
        done = (each.event for each in self.entries if each.tx_hash == tx_hash)
        return Counter(map(happening_of, done))

    # ------------------------------------------------------------------ events

    def at(self, kind: type[Event], session: SessionId | None, nth: int = 0) -> int:
        """Where the nth event of this kind (and session) stands."""
        found = [
            number
            for number, entry in enumerate(self.entries)
            if type(entry.event) is kind
            and (session is None or getattr(entry.event, "session_id", None) == session)
        ]
        return found[nth]

    def entry(self, at: int, **fields: Any) -> Recorded:
        """Another block time, transaction, ... of the entry at `at`."""
        changed = self.entries[at]._replace(**fields)
        return replace(self, entries=(*self.entries[:at], changed, *self.entries[at + 1 :]))

    def event(self, at: int, **fields: Any) -> Recorded:
        """Another content of the event at `at`."""
        event: Any = self.entries[at].event
        return self.entry(at, event=replace(event, **fields))

    def without(self, at: int) -> Recorded:
        return replace(self, entries=self.entries[:at] + self.entries[at + 1 :])

    def with_extra(self, event: Event, *, time: UnixTime | None = None) -> Recorded:
        """One more event at the end, as if out of the last transaction."""
        last = self.entries[-1]
        extra = last._replace(
            log=last.log + 1, event=event, time=time or last.time, transaction=None
        )
        return replace(self, entries=(*self.entries, extra))

    def again(self, at: int) -> Recorded:
        """The event at `at` a second time, at the end, with its transaction."""
        return replace(self, entries=(*self.entries, self.entries[at]))

    def sent(self, at: int, **fields: Any) -> Recorded:
        """Another sender, recipient or calldata of the transaction at `at`, and no signature of it:
        as whoever falsifies would keep it.
        """
        transaction = self.entries[at].transaction
        assert isinstance(transaction, Transaction)
        unsigned: dict[str, Any] = {"head": None, "tail": None}
        return self.entry(at, transaction=transaction._replace(**{**unsigned, **fields}))

    def swap(self, at: int, old: bytes, new: bytes) -> Recorded:
        """Other bytes of the same length in the calldata at `at`."""
        transaction = self.entries[at].transaction
        assert transaction is not None
        assert old in transaction.data
        assert len(old) == len(new)
        return self.sent(at, data=transaction.data.replace(old, new))

    # ------------------------------------------------------------------ the chain's state

    def slot(self, session: SessionId, change: Callable[[int], int]) -> Recorded:
        word = change(self.state.slots[session])
        return self._state(slots={**self.state.slots, session: word})

    def balance(self, token: Address, account: Address, added: int) -> Recorded:
        at = (token, account)
        amount = BaseUnits(self.state.balances[at] + added)
        return self._state(balances={**self.state.balances, at: amount})

    def held(self, token: Address, change: Callable[[int], int]) -> Recorded:
        known = self.state.tokens[token]
        other: Token = replace(known, held=BaseUnits(change(known.held)))
        return self._state(tokens={**self.state.tokens, token: other})

    def tally(self, advisor: Address, tally: tuple[int, int]) -> Recorded:
        return self._state(tallies={**self.state.tallies, advisor: tally})

    def with_transfers(self, transfers: Iterable[Transfer]) -> Recorded:
        return replace(self, transfers=tuple(transfers))

    def _state(self, **fields: Any) -> Recorded:
        return replace(self, state=replace(self.state, **fields))
