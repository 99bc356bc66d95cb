"""A statement on paper: a PDF in the font that comes along, the same bytes for the same statement.

The font is Source Sans Pro (Latin, Greek, Cyrillic); `font` adds one for other scripts. What the
user wrote must be printable with them (GlyphsMissing); what comes from the chain, such as a token's
symbol, shows a replacement mark where it is not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, Literal, NamedTuple

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos
from fpdf.fonts import TTFFont

from honorarium.bill import counted, with_places
from honorarium.bill.text import checksummed, visible
from honorarium.money import Token
from honorarium.statement.entries import Kind
from honorarium.statement.errors import FontUnusable, GlyphsMissing
from honorarium.statement.sheets import fixed
from honorarium.statement.statement import Quarter, Row, Statement
from honorarium.units import format_amount

INK: Final = (29, 28, 26)
SOFT: Final = (104, 100, 93)
RULE: Final = (220, 215, 205)
DEEP: Final = (31, 90, 76)
PALE: Final = (244, 241, 235)

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_STYLES: Final = {"": "Regular", "B": "Semibold"}
_MARGIN: Final = 18.0
_LINE: Final = 5.2
_MARK: Final = "\u2610"  # an empty box: the font has it, and no U+FFFD


class Column(NamedTuple):
    """A column of a table: its head, its width in millimetres, and where its text stands."""

    head: str
    width: float
    align: Literal["L", "R"] = "L"


def as_pdf(statement: Statement, *, font: Path | None = None) -> bytes:
    """The statement as a PDF. Raises GlyphsMissing, FontUnusable."""
    paper = _Paper(font)
    paper.must_print(statement.name)
    _head(paper, statement)
    for token in statement.tokens:
        _sums(paper, statement, token)
    if not statement.tokens:
        paper.section("Nothing happened in this period")
    if statement.quarters:
        _quarters(paper, statement)
    if statement.rows:
        _entries(paper, statement)
    _notes(paper, statement)
    return paper.finish(statement)


def day_words(day: dt.date) -> str:
    """`5 January 2026`."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


# ------------------------------------------------------------------------------------- pages


class _Paper(FPDF):
    def __init__(self, font: Path | None) -> None:
        super().__init__(format="A4")
        self.set_margins(_MARGIN, _MARGIN, _MARGIN)
        self.set_auto_page_break(auto=True, margin=20)
        folder = files("font_source_sans_pro") / "files"
        for style, name in _STYLES.items():
            with as_file(folder / f"SourceSansPro-{name}.ttf") as path:
                self.add_font("sans", style, path)
        with as_file(folder / "SourceSansPro-Light.ttf") as path:
            self.add_font("light", "", path)
        if font is not None:
            try:
                self.add_font("extra", "", font)
            except Exception as error:  # fontTools raises what it likes
                raise FontUnusable(font, str(error) or type(error).__name__) from None
            self.set_fallback_fonts(["extra"], exact_match=False)
        own = (each for each in self.fonts.values() if isinstance(each, TTFFont))
        self._glyphs = {code for each in own for code in each.cmap}
        self.set_line_width(0.2)
        self.add_page()
        self.ink(10)

    def footer(self) -> None:
        self.set_y(-13)
        self.ink(8, SOFT)
        self.cell(0, 4, f"{self.page_no()} / {{nb}}", align=Align.R)

    def must_print(self, text: str) -> None:
        missing = "".join(dict.fromkeys(c for c in text if ord(c) not in self._glyphs))
        if missing:
            raise GlyphsMissing(text, missing)

    def safe(self, text: str) -> str:
        """The text with a mark for what cannot be printed."""
        marked = "".join(c if ord(c) in self._glyphs else _MARK for c in visible(text))
        return marked.replace("'", "\u2019")

    def ink(self, size: float, colour: tuple[int, int, int] = INK, style: str = "") -> None:
        self.set_font("sans", style, size)
        self.set_text_color(*colour)

    def rule(self, colour: tuple[int, int, int] = RULE, gap: float = 0) -> None:
        self.ln(gap)
        self.set_draw_color(*colour)
        self.line(_MARGIN, self.get_y(), self.w - _MARGIN, self.get_y())
        self.ln(gap)

    def section(self, text: str, unit: str = "") -> None:
        """The head of a section, never alone at the foot of a page; `unit` stays as it is."""
        if self.get_y() > self.h - 55:
            self.add_page()
        self.ln(6)
        self.ink(8, SOFT, "B")
        self.set_char_spacing(0.4)
        self.line_of(f"{text.upper()} {unit}".rstrip())
        self.set_char_spacing(0)
        self.ln(1)

    def line_of(self, text: str, height: float = _LINE) -> None:
        self.cell(0, height, self.safe(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def heads(self, columns: Sequence[Column]) -> None:
        self.ink(8, SOFT)
        for column in columns:
            self.cell(column.width, 5, column.head, align=column.align)
        self.ln(5)
        self.rule(INK)
        self.ln(0.3)  # the first row's ground begins below the rule

    def cells(
        self, columns: Sequence[Column], texts: Sequence[str], *, height: float = _LINE
    ) -> None:
        for column, text in zip(columns, texts, strict=True):
            self.cell(
                column.width, height, self._fit(self.safe(text), column.width), align=column.align
            )
        self.ln(height)

    def _fit(self, text: str, width: float) -> str:
        """The text, smaller if need be, so that no number is ever cut or runs into another."""
        room = width - 2 * self.c_margin + 0.1
        size = 9.0
        self.set_font_size(size)
        while size > 4 and self.get_string_width(text) > room:
            size -= 0.25
            self.set_font_size(size)
        return text

    def finish(self, statement: Statement) -> bytes:
        period = statement.period
        self.set_title(f"Statement {period.first} to {period.last}")
        self.set_subject(checksummed(statement.advisor))
        self.set_creator("Honorarium")
        self.set_lang("en")
        # The same statement is the same file: not the time of printing.
        self.set_creation_date(dt.datetime.combine(period.last, dt.time(), dt.UTC))
        return bytes(self.output())


# ----------------------------------------------------------------------------------- sections


def _head(paper: _Paper, statement: Statement) -> None:
    period, top = statement.period, paper.get_y()
    paper.set_font("light", "", 25)
    paper.set_text_color(*INK)
    paper.line_of("Statement", 11)
    paper.ink(10.5, SOFT)
    paper.line_of(f"{day_words(period.first)} to {day_words(period.last)}")
    if statement.until is not None and not statement.over:
        paper.line_of(f"so far: read up to {day_words(period.day(statement.until))}")
    bottom = paper.get_y()
    if len(earners := [t for t in statement.tokens if _earned(statement, t)]) == 1:
        paper.set_xy(paper.w / 2, top)
        paper.set_font("light", "", 25)
        paper.set_text_color(*DEEP)
        token = earners[0]
        amount = with_places(_earned(statement, token), token.decimals)
        wide = paper.w / 2 - _MARGIN
        paper.cell(wide, 11, paper.safe(f"{amount} {token.symbol}"), align=Align.R)
        paper.set_xy(paper.w / 2, top + 11)
        paper.ink(9, SOFT)
        paper.cell(wide, _LINE, "earned: net fees and tips", align=Align.R)
    paper.set_xy(_MARGIN, bottom)
    paper.rule(gap=4)
    half = (paper.w - 2 * _MARGIN) / 2
    left = [("Advisor", statement.name), ("", checksummed(statement.advisor))]
    if not statement.name:
        left = [("Advisor", checksummed(statement.advisor))]
    domain = statement.domain
    right = [
        ("Contract", f"{checksummed(domain.contract)}, chain {domain.chain_id}"),
        ("Days and times", period.zone.key),
    ]
    at = paper.get_y()
    for x, facts in ((_MARGIN, left), (_MARGIN + half + 4, right)):
        paper.set_y(at)
        for what, fact in facts:
            paper.set_x(x)
            if what:
                paper.ink(8, SOFT)
                paper.cell(half, 4, what, new_x=XPos.LEFT, new_y=YPos.NEXT)
            paper.ink(10 if fact == statement.name else 8, INK)
            paper.cell(half, 4.6, paper.safe(fact), new_x=XPos.LEFT, new_y=YPos.NEXT)
        bottom = max(bottom, paper.get_y())
    paper.set_xy(_MARGIN, bottom)


def _earned(statement: Statement, token: Token) -> int:
    sums = statement.sums(token)
    return sums.net + sums.tips


def _places(statement: Statement, token: Token) -> int:
    """So many places show every amount of the token exactly, and in line with the others."""
    of_token = (row.entry for row in statement.rows if row.token == token)
    amounts = [x for e in of_token for x in (e.amount, e.gross, e.platform)]
    amounts.append(statement.opening_of(token))
    texts = (format_amount(x, token.decimals) for x in amounts)
    return max(2, max(len(text.partition(".")[2]) for text in texts))


def _sums(paper: _Paper, statement: Statement, token: Token) -> None:
    sums, rates, places = statement.sums(token), statement.rates, _places(statement, token)
    worth_column = (Column(rates.currency, 34, "R"),) if rates else ()
    wide = paper.w - 2 * _MARGIN - 44 - (34 if rates else 0)
    columns = (
        Column("", wide),
        Column(paper.safe(token.symbol), 44, "R"),
        *worth_column,
    )
    paper.section("In", token.symbol)
    paper.heads(columns)

    def row(what: str, units: int, worth: int | None = None, *, bold: bool = False) -> None:
        paper.ink(9, INK, "B" if bold else "")
        texts = [what, _minus(with_places(units, token.decimals, places))]
        if rates:
            texts.append("" if worth is None else _minus(fixed(worth, rates.places)))
        paper.cells(columns, texts)
        if bold:
            paper.rule()

    if sums.gross or sums.tips:
        sessions = f"{sums.sessions:,} session{'s' if sums.sessions != 1 else ''}"
        row(f"Fees paid by clients, {sessions}", sums.gross, sums.worth_gross)
        row("The platform's share", -sums.platform, -sums.worth_platform)
        row("Net fees", sums.net, sums.worth_net, bold=True)
        row("Tips", sums.tips, sums.worth_tips)
        row("Earned", sums.net + sums.tips, sums.worth_net + sums.worth_tips, bold=True)
    if sums.gas:
        row("Gas paid for transactions", -sums.gas, -sums.worth_gas)
    row(f"In the escrow before {day_words(statement.period.first)}", statement.opening_of(token))
    row("Net fees, credited", sums.net)
    if sums.other:
        row("Deposits, refunds and sessions of the advisor's own", sums.other)
    row("Withdrawn", -sums.withdrawn)
    row("In the escrow at the end", statement.closing(token), bold=True)


def _quarters(paper: _Paper, statement: Statement) -> None:
    rates = statement.rates
    paper.section("By quarter, as DAC7 asks")
    columns = (
        Column("Quarter", 24),
        Column("Paid in", 32),
        Column("Activities", 22, "R"),
        Column("Consideration", 34, "R"),
        Column("of which tips", 31, "R"),
        Column("Fees withheld", 31, "R"),
    )
    paper.heads(columns)
    partial = False

    def amount(each: Quarter, units: int, worth: int) -> str:
        if rates:
            return fixed(worth, rates.places)
        return with_places(units, each.token.decimals, _places(statement, each.token))

    for each in statement.quarters:
        partial |= not each.whole
        paper.ink(9)
        paper.cells(
            columns,
            (
                each.name + ("" if each.whole else " *"),
                f"{each.token.symbol}, as {rates.currency}" if rates else each.token.symbol,
                f"{each.activities:,}",
                amount(each, each.consideration, each.worth_consideration),
                amount(each, each.tips, each.worth_tips),
                amount(each, each.fees, each.worth_fees),
            ),
        )
    paper.rule()
    if partial:
        paper.ink(8, SOFT)
        paper.line_of("* Only a part of this quarter is stated.")


def _entries(paper: _Paper, statement: Statement) -> None:
    rates = statement.rates
    paper.section("Entries")
    spare = 20 if rates else 0
    columns = (
        Column("Date and time", 29),
        Column("What", 53 - spare / 2),
        Column("With", 22),
        Column("Gross", 24 - spare / 8, "R"),
        Column("Share", 20 - spare / 8, "R"),
        Column("Amount", 26 - spare / 4, "R"),
        *((Column(rates.currency, 20, "R"),) if rates else ()),
    )
    paper.heads(columns)
    month = (0, 0)
    several = len(statement.tokens) > 1
    places = {token: _places(statement, token) for token in statement.tokens}
    for number, row in enumerate(statement.rows):
        if paper.get_y() > paper.h - 27:
            paper.add_page()
            paper.heads(columns)
        if (row.day.year, row.day.month) != month:
            month = (row.day.year, row.day.month)
            paper.ink(9, DEEP, "B")
            paper.line_of(f"{_MONTHS[month[1] - 1]} {month[0]}", 6)
        paper.ink(9)
        at = paper.get_y()
        if number % 2:
            paper.set_fill_color(*PALE)
            paper.rect(_MARGIN, at, paper.w - 2 * _MARGIN, _LINE, style="F")
        paper.cells(columns, _entry(statement, row, places[row.token], several=several))


def _entry(statement: Statement, row: Row, places: int, *, several: bool) -> list[str]:
    entry, token = row.entry, row.token

    def money(units: int) -> str:
        return _minus(with_places(units, token.decimals, places))

    kinds = {Kind.TIP: "Tip", Kind.WITHDRAWAL: "Withdrawal", Kind.GAS: "Gas"}
    what = kinds.get(entry.kind) or entry.text[:1].upper() + entry.text[1:]
    if entry.kind is Kind.FEE and row.tariff is not None:
        what = f"Advice, {counted(entry.units, row.tariff)}"
    if several:
        what += f", {token.symbol}"
    texts = [
        f"{row.local:%Y-%m-%d  %H:%M}",
        what,
        _short(checksummed(entry.party)) if entry.party else "",
        money(entry.gross) if entry.kind is Kind.FEE else "",
        money(entry.platform) if entry.kind is Kind.FEE else "",
        money(entry.amount),
    ]
    if statement.rates:
        worth = row.worth
        sign = -1 if entry.kind is Kind.GAS else 1
        value = fixed(sign * worth.net, statement.rates.places) if worth else ""
        texts.append(_minus(value))
    return texts


def _notes(paper: _Paper, statement: Statement) -> None:
    paper.section("How this was worked out")
    said = [
        "Everything is worked out from the contracts' log: a fee is stated on the day on which it "
        "was credited in the escrow, tips when they reached the wallet. A session that was settled "
        "in parts has an entry for each. The platform's share is rounded down to the token's "
        "smallest unit; the rest is the advisor's.",
        f"A day begins and ends at midnight in {statement.period.zone.key}. Gas is that of the "
        "advisor's own transactions that left an entry in the log.",
    ]
    if statement.rates:
        said.append(
            f"Worths in {statement.rates.currency} are those at the time of payment, by the rates "
            f"in {statement.rates.source}: each payment is rounded half up, and sums add up what "
            "was rounded."
        )
    if statement.left_out:
        said.append(
            f"Left out: {statement.left_out:,} entries in tokens that the advisor never agreed to "
            "be paid in."
        )
    paper.ink(8, SOFT)
    for text in said:
        paper.multi_cell(0, 4, paper.safe(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        paper.ln(1.2)


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")


def _short(address: str) -> str:
    return f"{address[:6]}\u2026{address[-4:]}"
