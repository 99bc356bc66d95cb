"""A day on a real chain, recorded, and ways to falsify one fact of it.

Facts come from a real day on a real chain; then one of them is falsified, and the rules that it
breaks must be found, those and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from honorarium.audit import Verdict, gather
from honorarium.chain.local import LocalChain
from honorarium.chain.node import Node
from honorarium.ids import Address, SessionId
from lives import MORNING, PARTIES, Day, Stage, live_a_day
from recorded import Recorded

STRANGER = Address(b"\x99" * 20)
DAYS = 86_400


@dataclass
class Lived:
    """A day as recorded, and who and what was in it."""

    facts: Recorded
    verdict: Verdict
    day: Day
    token: Address
    who: dict[str, Address]

    def id(self, name: str) -> SessionId:
        return self.day.ids[name]

    def at(self, kind: type[Any], name: str, nth: int = 0) -> int:
        return self.facts.at(kind, self.id(name), nth)

    def found(self, facts: Recorded) -> set[tuple[str, str | None]]:
        """The rules that these facts break, each with the session's name."""
        names: dict[SessionId | None, str] = {i: name for name, i in self.day.ids.items()}
        return {(f.rule, names.get(f.session)) for f in facts.judge().findings}


@contextmanager
def lived_day() -> Iterator[Lived]:
    """A session of every kind, on a chain of its own."""
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        stage = Stage(chain, node)
        day = live_a_day(stage)
        facts, verdict = Recorded.of(gather(node, stage.escrow, stage.tip_jar, 0), [stage.token])
        who = {name: stage.address(name) for name in PARTIES}
        yield Lived(facts, verdict, day, stage.token, who)


Falsify = Callable[[Lived], Recorded]
Expected = set[tuple[str, str | None]]


class Falsehoods(dict[str, tuple[Falsify, Expected]]):
    """Ways to falsify, by name, each with the rules and sessions that must be found."""

    def __call__(
        self, name: str, *expected: tuple[str, str | None]
    ) -> Callable[[Falsify], Falsify]:
        def note(falsify: Falsify) -> Falsify:
            self[name] = (falsify, set(expected))
            return falsify

        return note


def with_time(slot: int, time: int) -> int:
    return slot & ~(((1 << 40) - 1) << 16) | time << 16
