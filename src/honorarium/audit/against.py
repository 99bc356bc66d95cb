"""An archive against a node: whether what somebody kept of a chain is what this node says of it.

All of it is read again. Whoever has a node that he trusts, and an archive from somebody whom he
does not, learns from it whether the archive is of that chain, and whether anything was left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Final

from honorarium.audit.archive import Archive, Contents
from honorarium.audit.collect import Progress, catch_up
from honorarium.audit.errors import ArchiveDiffers
from honorarium.audit.facts import Questions
from honorarium.audit.state import StateReader, rows_of_state, said_of_rows, state_of_rows
from honorarium.audit.tables import Row
from honorarium.chain.node import Node
from honorarium.units import BlockNumber

_BLOCK: Final = {"logs": 0, "transactions": 1, "transfers": 0}
_WIDTH: Final = {"logs": 8, "transactions": 5, "transfers": 7}
"""So many columns every archive has; what surrounds calldata is checked by its hash."""


def check_against(node: Node, archive: Archive, progress: Progress | None = None) -> None:
    """Raises ArchiveDiffers where the archive says something else than the node, ChainReset if the
    node's chain is another one, NodeBehind if it does not have the archive's last block yet, and
    what reading raises. Storage is compared at each block that the archive keeps.
    """
    kept = archive.contents
    fresh = Contents(kept.genesis, kept.domain, kept.tip_jar, kept.first)
    with Archive.scratch(fresh) as found:
        catch_up(node, found, archive.last, progress=progress)
        for table in ("logs", "transactions"):
            _same(archive, table, archive.rows(table), found.rows(table))
        # Transfers that no event asks for are read from when on their token was known.
        ours = {row[0] for row in found.rows("transactions")}
        _same(archive, "transfers", _of(ours, archive), _of(ours, found))
    reader = StateReader(node, kept.domain.contract, progress)
    for block in sorted(kept.states):
        _same_state(archive, reader, BlockNumber(block))


def _of(transactions: set[bytes], archive: Archive) -> Iterator[Row]:
    return (row for row in archive.rows("transfers") if row[2] in transactions)


def _same(archive: Archive, table: str, kept: Iterable[Row], found: Iterable[Row]) -> None:
    width, at = _WIDTH[table], _BLOCK[table]
    for mine, theirs in zip_longest(kept, found):
        if mine is None or theirs is None or tuple(mine[:width]) != tuple(theirs[:width]):
            block = min(row[at] for row in (mine, theirs) if row is not None)
            raise ArchiveDiffers(archive.folder, table, block)


def _same_state(archive: Archive, reader: StateReader, block: BlockNumber) -> None:
    rows = list(archive.state_rows(block))
    kept = state_of_rows(rows)
    questions = Questions(
        sessions=list(kept.slots),
        accounts=list(kept.balances),
        advisors=list(kept.tallies),
        tokens=list(kept.tokens),
    )
    found = reader.state(questions, block)
    if list(rows_of_state(found)) != list(rows_of_state(kept)):
        raise ArchiveDiffers(archive.folder, "storage", block)
    separators, codes = said_of_rows(rows)
    for token, separator in separators.items():
        if reader.separator(token, block) != separator:
            raise ArchiveDiffers(archive.folder, f"domain of token 0x{token.hex()}", block)
    for (account, then), there in codes.items():
        if reader.code(account, then) not in (there, None):
            raise ArchiveDiffers(archive.folder, f"code at 0x{account.hex()}", then)
