"""An audit of what an archive holds of a chain whose node can still be asked about storage.

What the node says is kept in the archive, so that the same audit can be made again without it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import cache
from itertools import chain

from honorarium.audit.archive import Archive
from honorarium.audit.collect import Progress
from honorarium.audit.facts import Facts, Questions, State
from honorarium.audit.journals import Journals
from honorarium.audit.judge import Verdict, audit
from honorarium.audit.source import entries_of, happened_in, transfers_of
from honorarium.audit.state import (
    Codes,
    Separators,
    StateReader,
    rows_of_state,
    rows_said,
)
from honorarium.audit.tables import Row
from honorarium.chain.node import Node
from honorarium.ids import Address
from honorarium.units import BlockNumber


def audit_live(
    node: Node,
    archive: Archive,
    *,
    at: Iterable[int] = (),
    journals: Journals | None = None,
    trusted: Container[Address] | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """The verdict over an archive that was just collected, storage being asked of the node."""
    reader = StateReader(node, archive.contents.domain.contract, progress)
    separators: Separators = {}
    codes: Codes = {}
    states: dict[BlockNumber, State] = {}

    @cache
    def separator(token: Address) -> bytes | None:
        separators[token] = reader.separator(token, archive.last)
        return separators[token]

    def state(questions: Questions, block: BlockNumber) -> State:
        states[block] = reader.state(questions, block)
        return states[block]

    def code(account: Address, block: BlockNumber) -> bool | None:
        codes[account, block] = reader.code(account, block)
        return codes[account, block]

    facts = Facts(
        place=archive.place,
        entries=entries_of(archive),
        separator=separator,
        transfers=lambda tokens: transfers_of(archive, set(tokens)),
        state=state,
        code=code,
        happened=happened_in(archive),
        at=tuple(BlockNumber(block) for block in at),
    )
    verdict = audit(facts, journals=journals, trusted=trusted)
    kept: dict[BlockNumber, Iterable[Row]] = {
        block: rows_of_state(found) for block, found in states.items()
    }
    kept[archive.last] = chain(kept[archive.last], rows_said(separators, codes))
    archive.put_states(kept)
    return verdict
