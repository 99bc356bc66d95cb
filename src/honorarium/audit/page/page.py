"""The report for people: one page of HTML, with its plots, that needs nothing else.

Pure, and safe with whatever the chain says: the page escapes every text, shows no control
characters, and holds no script and no link to anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from honorarium.audit.facts import Finding
from honorarium.audit.page.model import ReportModel, TokenNamed, Total
from honorarium.audit.page.plots import Row, Table, day_of, figures_of
from honorarium.audit.page.words import LIMITS, LOOKS, RULES, length, money, symbol
from honorarium.audit.report import UNPROVEN
from honorarium.bill import counted, unit_name
from honorarium.bill.text import checksummed, hexed, template, when
from honorarium.ids import Address
from honorarium.protocol.tariff import Tariff
from honorarium.units import UnixTime

SHOWN: Final = 200
"""Rows of a table, findings of one kind: what is more is added up in a last row, or counted."""

_DAY: Final = 24
_AMOUNT: Final = re.compile(r"-?[0-9,]+\.[0-9]+")
_K = TypeVar("_K")


class Shown(NamedTuple):
    """A finding as the page has it."""

    anchor: str
    rule: str
    session: str
    about: str
    expected: str
    found: str
    evidence: str


class Kind(NamedTuple):
    """The findings of one rule."""

    rule: str
    meaning: str
    total: int
    shown: tuple[Shown, ...]


def as_html(model: ReportModel) -> str:
    """The page. The same model gives the same page."""
    m = model
    return template("honorarium.audit.page", "report.html.j2").render(
        m=m,
        chain=m.place.domain.chain_id,
        escrow=checksummed(m.place.domain.contract),
        tip_jar=checksummed(m.place.tip_jar),
        first=when(UnixTime(m.first_time)) if m.first_time else "",
        last=when(UnixTime(m.last_time)) if m.last_time else "",
        figures_of_sum=_tiles(m),
        violations=_kinds(m.findings, RULES, "finding"),
        looks=_kinds(m.looks, LOOKS, "look"),
        tokens=_tokens(m),
        unit=symbol(m.tokens[0].token) if len(m.tokens) == 1 else "",
        days=_neat(m, _days(m)),
        advisors=_neat(m, _advisors(m)),
        services=_neat(m, _services(m)),
        figures=list(figures_of(m)),
        rules=[(rule, RULES.get(rule, "")) for rule in m.rules],
        checksummed=checksummed,
        limits=[each.split("`") for each in LIMITS],
        unproven=[(what, m.unproven[name]) for name, what in UNPROVEN.items() if m.unproven[name]],
        resting=m.unproven["sessions"],
    )


# ------------------------------------------------------------------------------------- words


def tariff_line(tariff: Tariff, token: TokenNamed) -> str:
    """A tariff on one line: `0.90 a minute, 0.60 from minute 11 on; at most 20 minutes`."""
    t, unit = tariff, unit_name(tariff)
    said = f"{money(token, t.unit_price)} for each {unit}"
    if t.step_units:
        said += f", {money(token, t.step_price)} from {unit} {t.step_units + 1:,} on"
    if t.included_units:
        said += f"; the first {t.included_units:,} free"
    if t.connect_fee:
        said += f"; {money(token, t.connect_fee)} to connect"
    if t.max_units:
        said += f"; at most {counted(t.max_units, t)}"
    return said


def _average(scores: int, ratings: int) -> str:
    """To two places, rounded down."""
    if not ratings:
        return ""
    whole, part = divmod(scores * 100 // ratings, 100)
    return f"{whole}.{part:02} ({ratings:,})"


# ------------------------------------------------------------------------------------- parts


def _tiles(m: ReportModel) -> list[tuple[str, str, str]]:
    """The large numbers: what, how much, and a word to it."""
    counts = m.counts
    running = counts.get("open", 0) + counts.get("closing", 0)
    tiles = [
        (
            "Sessions",
            f"{counts.get('sessions', 0):,}",
            f"{running:,} still running" if running else "all of them closed",
        )
    ]
    for each in m.tokens[:2]:
        name = symbol(each.token)
        share = f"{money(each.token, each.platform)} of it the platforms'"
        tiles.append((f"Fees, {name}", money(each.token, each.fees), share))
        tiles.append((f"Refunds, {name}", money(each.token, each.refunds), "back to the payers"))
        if each.tips:
            tiles.append((f"Tips, {name}", money(each.token, each.tips), "beside the fees"))
    ratings = sum(m.scores)
    if ratings:
        total = sum(score * count for score, count in enumerate(m.scores, start=1))
        average = _average(total, ratings).partition(" ")[0]
        tiles.append(("Ratings", average, f"on average, of {ratings:,}"))
    return tiles


def _kinds(found: Sequence[Finding], words: Mapping[str, str], prefix: str) -> list[Kind]:
    by_rule: dict[str, list[Finding]] = {}
    for finding in found:
        by_rule.setdefault(finding.rule, []).append(finding)
    kinds = []
    for rule, of_rule in by_rule.items():
        shown = tuple(
            _shown(finding, f"{prefix}-{rule}-{number}")
            for number, finding in enumerate(of_rule[:SHOWN], start=1)
        )
        kinds.append(Kind(rule, words.get(rule, ""), len(of_rule), shown))
    return kinds


def _shown(finding: Finding, anchor: str) -> Shown:
    evidence = []
    if finding.block is not None:
        evidence.append(f"block {finding.block:,}")
    if finding.log is not None:
        evidence.append(f"log {finding.log}")
    if finding.tx_hash is not None:
        evidence.append(f"transaction {hexed(finding.tx_hash)}")
    return Shown(
        anchor=anchor,
        rule=finding.rule,
        session=hexed(finding.session) if finding.session is not None else "",
        about=finding.about,
        expected=finding.expected,
        found=finding.found,
        evidence=", ".join(evidence),
    )


def _tokens(m: ReportModel) -> Table:
    heads = ("Token", "Deposits", "Fees", "Platform share", "Refunds", "Still open", "Tips")
    made = []
    for each in m.tokens:
        amounts = (each.deposits, each.fees, each.platform, each.refunds, each.open, each.tips)
        made.append(Row((symbol(each.token), *(money(each.token, amount) for amount in amounts))))
    return Table(heads, tuple(made))


def _days(m: ReportModel) -> Table:
    by_day: dict[tuple[int, Address], Total] = {}
    for (hour, token), total in m.hours.items():
        by_day.setdefault((hour // _DAY, token), Total()).add(total)
    heads = ("Day (UTC)", "Token", "Sessions", "Fees", "Platform share", "Tips")

    def row(key: tuple[int, Address], total: Total) -> Row:
        token = m.named(key[1])
        return Row((day_of(key[0]), symbol(token), *_sums(token, total)))

    ordered = sorted(by_day.items())
    return Table(heads, (*(row(*each) for each in ordered), *_all(m, by_day)), 2)


def _neat(m: ReportModel, table: Table) -> Table:
    """Amounts of one token with as many places as the longest of their column, and no column of
    tokens where there is only one.
    """
    longest: dict[tuple[str, int], int] = {}
    for row in table.rows:
        for column, cell in enumerate(row.cells):
            if _AMOUNT.fullmatch(cell):
                key = row.cells[1], column
                longest[key] = max(longest.get(key, 0), len(cell.partition(".")[2]))

    def padded(row: Row) -> tuple[str, ...]:
        return tuple(
            f"{cell}{'0' * (longest[row.cells[1], column] - len(cell.partition('.')[2]))}"
            if _AMOUNT.fullmatch(cell)
            else cell
            for column, cell in enumerate(row.cells)
        )

    alone = len(m.tokens) == 1
    rows = tuple(
        Row((cells[0], *cells[2:]) if alone else cells, row.kind)
        for row, cells in ((row, padded(row)) for row in table.rows)
    )
    heads = (table.heads[0], *table.heads[2:]) if alone else table.heads
    return Table(heads, rows, table.numbers - alone)


def _all(m: ReportModel, parts: Mapping[tuple[int, Address], Total]) -> Iterable[Row]:
    """The sums of each token: of the rows above them."""
    totals: dict[Address, Total] = {}
    for (_, token), total in parts.items():
        totals.setdefault(token, Total()).add(total)
    for token, total in totals.items():
        named = m.named(token)
        yield Row(("Together", symbol(named), *_sums(named, total)), "sum")


def _sums(token: TokenNamed, total: Total) -> tuple[str, ...]:
    amounts = (total.fees, total.platform, total.tips)
    return (f"{total.sessions:,}", *(money(token, amount) for amount in amounts))


def _advisors(m: ReportModel) -> Table:
    heads = ("Advisor", "Token", "Sessions", "Open for", "Fees", "Net", "Tips", "Rating")

    def row(head: str, token: TokenNamed, total: Total) -> Row:
        return Row(
            (
                head,
                symbol(token),
                f"{total.sessions:,}",
                length(total.seconds),
                money(token, total.fees),
                money(token, total.fees - total.platform),
                money(token, total.tips),
                _average(total.scores, total.ratings),
            )
        )

    return Table(heads, _largest(m, m.advisors, row, checksummed), 2)


def _services(m: ReportModel) -> Table:
    heads = ("Tariff", "Token", "Sessions", "Units", "Fees", "Platform share")

    def row(head: str, token: TokenNamed, total: Total) -> Row:
        return Row(
            (
                head,
                symbol(token),
                f"{total.sessions:,}",
                f"{total.units:,}",
                money(token, total.fees),
                money(token, total.platform),
            )
        )

    named = {key: tariff_line(key[0], m.named(key[1])) for key in m.services}
    lines = {(named[key], key[1]): total for key, total in m.services.items()}
    return Table(heads, _largest(m, lines, row, str), 2)


def _largest(
    m: ReportModel,
    totals: Mapping[tuple[_K, Address], Total],
    row: Callable[[str, TokenNamed, Total], Row],
    name: Callable[[_K], str],
) -> tuple[Row, ...]:
    """The rows with the most sessions; the others in one row for each token."""
    ordered = sorted(totals.items(), key=lambda each: (-each[1].sessions, -each[1].tips))
    made = [row(name(of), m.named(token), total) for (of, token), total in ordered[:SHOWN]]
    rest: dict[Address, tuple[int, Total]] = {}
    for (_, token), total in ordered[SHOWN:]:
        count, together = rest.get(token, (0, Total()))
        together.add(total)
        rest[token] = (count + 1, together)
    for token, (count, together) in rest.items():
        made.append(row(f"{count:,} others", m.named(token), together)._replace(kind="sum"))
    return tuple(made)
