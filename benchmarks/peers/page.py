"""How the comparison is shown: on the screen, and between two marks in docs/peers.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from peers.quoted import CONDITIONS, QUOTED, Quoted
from peers.sessions import (
    COLUMNS,
    EARNINGS,
    WALLETS,
    Session,
    ratio,
    totals_of_ours,
)

BEGIN: Final = "<!-- from here to the next mark `make peers` writes -->"
END: Final = "<!-- here it ends -->"

HEAD: Final = (
    "session",
    "open + fund",
    "pay",
    "stop + refund",
    "total",
    "times ours",
    "what you get",
)
NUMBERS: Final = frozenset(range(1, 6))


def rows(sessions: Sequence[Session], quoted: Sequence[Quoted] = QUOTED) -> list[tuple[str, ...]]:
    """The table: what was measured, then what is quoted."""
    ours = totals_of_ours(sessions)
    return [_measured(each, ours) for each in sessions] + [_quoted(each, ours) for each in quoted]


def legend(quoted: Sequence[Quoted] = QUOTED) -> str:
    """What the table's numbers need to be read."""
    return (
        "An empty cell: no transaction is needed for it. Times ours: the total, to the total of "
        f"our session that moves the money the same way. Quoted are {len(quoted)} peers that "
        f"publish no package: {CONDITIONS}. In brackets what they pay for one settlement more, "
        "which is in no total. Their two ratios are to our sessions from the wallet to the balance "
        "and from the wallet to the wallet: the source does not say where they leave the advisor's "
        "money."
    )


def _measured(session: Session, ours: Mapping[str, int]) -> tuple[str, ...]:
    parts = [f"{session.gas(column):,}" if session.gas(column) else "" for column in COLUMNS]
    times = f"{ratio(session.total, ours[session.against]):.2f}"
    name = f"{session.protocol}, {session.way}"
    return name, *parts, f"{session.total:,}", times, session.gets


def _quoted(peer: Quoted, ours: Mapping[str, int]) -> tuple[str, ...]:
    times = " / ".join(f"{ratio(peer.total, ours[way]):.2f}" for way in (EARNINGS, WALLETS))
    total = thousands((peer.total,))
    name = f"quoted: {peer.protocol}"
    settle = f"({thousands(peer.settle)})"
    return name, thousands(peer.open), settle, thousands(peer.close), total, times, peer.gets


def thousands(gas: Sequence[int]) -> str:
    """As quoted: to a hundred gas."""
    return " + ".join(f"{each / 1000:.1f}k" for each in gas)


def transactions(sessions: Sequence[Session]) -> list[tuple[str, ...]]:
    """Which transactions were counted under which column, and who sent them."""
    return [
        (
            f"{each.protocol}, {each.way}",
            *(
                "; ".join(f"{s.sender}: {s.does}" for s in each.steps if s.column == column)
                for column in COLUMNS
            ),
        )
        for each in sessions
    ]


def markdown(sessions: Sequence[Session], builds: Mapping[str, str], chain: str) -> str:
    """What stands between the marks."""
    return f"""{_markdown_table(HEAD, rows(sessions), NUMBERS)}

Measured on {chain}. {legend()}

What was counted, and who sent it:

{_markdown_table(HEAD[: 1 + len(COLUMNS)], transactions(sessions))}

What was deployed, as its own artifacts say:

{_markdown_table(("", "compiled with"), list(builds.items()))}"""


def _markdown_table(
    head: Sequence[str], lines: Sequence[Sequence[str]], numbers: frozenset[int] = frozenset()
) -> str:
    rule = ["---:" if column in numbers else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def rewritten(page: str, block: str) -> str:
    """The page with another block between its marks. Raises ValueError if they are not there."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page has not exactly one {BEGIN} and one {END} after it")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{block}\n{END}{rest.partition(END)[2]}"


def show(sessions: Sequence[Session], chain: str) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=118)  # a log has no width of its own
    table = Table(title=f"a session of 30 minutes, gas, on {chain}", title_justify="left")
    for number, name in enumerate(HEAD[:-1]):
        table.add_column(name, justify="right" if number in NUMBERS else "left")
    for row in rows(sessions):
        table.add_row(*row[:-1])
    console.print(table)
    console.print(legend())
    for protocol, gets in {each.protocol: each.gets for each in sessions}.items():
        console.print(f"{protocol}: {gets}", highlight=False)
