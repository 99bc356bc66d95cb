"""The page of an audit: sums that add up, texts escaped, nothing loaded, tables behind plots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from honorarium.audit import ReportNotWritten, audit, gather
from honorarium.audit.facts import Finding, Place
from honorarium.audit.page import ReportModel, TokenNamed, TokenSum, as_html, model_of, write_page
from honorarium.audit.page.model import DRAWN, LENGTHS
from honorarium.audit.page.page import SHOWN
from honorarium.chain import LocalChain, Node
from honorarium.ids import Address, Hash, SessionId
from honorarium.units import BlockNumber
from lives import MORNING, PARTIES, Stage, live_a_day
from written_log import ADVISOR, DOMAIN, JAR, START, STRANGER, TARIFF, USD

EVIL = "<img src=x onerror=alert(1)>\u202e{{7*7}}'\"&"
PLACE = Place(DOMAIN, JAR, BlockNumber(1), BlockNumber(9_999))
COLUMNS = ("units", "earned", "platform_fee", "score", "opened_at", "closing_at", "closed_at")


def session(number: int, **changes: Any) -> Any:
    """A row as an audit's table of sessions has it."""
    at = START + 60 * number
    row = {
        "session_id": SessionId(number.to_bytes(32, "big")),
        "advisor": ADVISOR,
        "token": USD.address,
        "units": 4,
        "earned": 5_300_000,
        "platform_fee": 132_500,
        "score": 0,
        "opened_at": at,
        "closing_at": 0,
        "closed_at": at + 240,
    }
    tariff = {name: getattr(TARIFF, name) for name in TARIFF.__slots__}
    return SimpleNamespace(**{**row, **tariff, **changes})


def overlap(one: int, other: int) -> Finding:
    of = SessionId(other.to_bytes(32, "big"))
    about = f"advisor 0x{ADVISOR.hex()}, session 0x{of.hex()}"
    return Finding("overlap", SessionId(one.to_bytes(32, "big")), "one", "two", about=about)


def model(
    sessions: list[Any],
    *,
    findings: tuple[Finding, ...] = (),
    looks: tuple[Finding, ...] = (),
    tips: tuple[Any, ...] = (),
    symbol: str = "tUSD",
    decimals: int | None = 6,
) -> ReportModel:
    fees = sum(row.earned for row in sessions)
    share = sum(row.platform_fee for row in sessions)
    tipped = sum(tip.amount for tip in tips)
    token = TokenNamed(USD.address, symbol, decimals)
    return model_of(
        ok=not findings,
        place=PLACE,
        rules=("ESC-1", "ESC-4"),
        counts={"sessions": len(sessions), "open": 0, "closing": 0},
        unproven={
            "contract_signers": 2,
            "through_contracts": 0,
            "forgotten_signers": 0,
            "unsigned_callers": 0,
            "sessions": 1,
        },
        tokens=[TokenSum(token, fees, fees, share, 0, 0, tipped, 0)],
        sessions=iter(sessions),
        tips=iter(tips),
        findings=findings,
        looks=looks,
    )


@dataclass
class Read(HTMLParser):
    """What a page is made of."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, page: str) -> Read:
        read = cls()
        read.feed(page)
        return read

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.tags and self.tags[-1][0] in ("th", "td") and self.tables and self.tables[-1]:
            self.tables[-1][-1][-1] += data.strip()

    def ids(self) -> list[str]:
        return [found for _, attrs in self.tags if (found := attrs.get("id"))]


def test_every_text_is_escaped_and_nothing_is_loaded() -> None:
    finding = Finding(
        "ESC-4",
        SessionId(b"\x01" * 32),
        EVIL,
        EVIL,
        BlockNumber(12),
        3,
        Hash(b"\x02" * 32),
        EVIL,
    )
    looks = (replace(finding, rule="overlap"), replace(finding, rule=EVIL))
    page = as_html(model([session(1)], findings=(finding,), looks=looks, symbol=EVIL))
    read = Read.of(page)
    tags = {tag for tag, _ in read.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "form", "image", "use"}
    for tag, attrs in read.tags:
        assert not any(name.startswith("on") for name in attrs), tag
        assert (attrs.get("href") or "#").startswith("#")
        assert "src" not in attrs
    assert "\u202e" not in page
    assert "49" not in re.findall(r"onerror=alert\(1\)&gt;[^<]{0,40}", page)[0]
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_each_finding_has_its_place_and_each_link_leads_somewhere() -> None:
    findings = tuple(
        Finding("ESC-4", SessionId(bytes([n]) * 32), "1", "2", BlockNumber(n), n, Hash(bytes(32)))
        for n in range(1, 9)
    )
    read = Read.of(as_html(model([session(1)], findings=findings, looks=(overlap(1, 2),))))
    ids = read.ids()
    assert len(ids) == len(set(ids))
    links = [(attrs["href"] or "")[1:] for tag, attrs in read.tags if tag == "a"]
    assert set(links) <= set(ids)
    assert {f"finding-ESC-4-{n}" for n in range(1, 9)} <= set(ids)
    assert "8 findings contradict the rules." in read.text
    assert "block 8, log 8, transaction 0x" in read.text


def test_what_is_not_proven_is_said_beside_the_verdict_and_told_apart() -> None:
    read = Read.of(as_html(model([session(1), session(2)])))
    assert "In 1 session a consent is not proven here." in " ".join(read.text.split())
    assert "In 1 of 2 sessions a consent rests on the word of" in " ".join(read.text.split())
    assert "2 signatures that only a contract can judge" in read.text
    assert "events out of another" not in read.text  # there are none
    links = {attrs.get("href") for tag, attrs in read.tags if tag == "a"}
    assert "#unproven" in links


def test_more_findings_than_a_page_holds_are_counted() -> None:
    looks = tuple(overlap(n, n + 1) for n in range(SHOWN + 17))
    read = Read.of(as_html(model([session(n) for n in range(SHOWN + 18)], looks=looks)))
    assert f"{SHOWN + 17} findings" in read.text
    assert "And 17 more" in read.text
    assert "Every bill is in order." in read.text  # what deserves a look breaks no rule


def amount(text: str) -> int:
    return round(float(text.replace(",", "")) * 10**6)


def test_the_sums_of_a_table_are_those_of_its_rows() -> None:
    many = [
        session(
            n,
            advisor=Address(bytes([n % 250 + 1]) * 20),
            unit_price=1_000 + n % 230,
            opened_at=START + n * 9_000,
            earned=1_000_003 + n,
        )
        for n in range(400)
    ]
    tips = (SimpleNamespace(time=START - 5, advisor=STRANGER, token=USD.address, amount=7),)
    read = Read.of(as_html(model(many, tips=tips)))
    _, days, advisors, services = read.tables[:4]
    whole = sum(row.earned for row in many)
    assert days[-1][0] == "Together"
    assert amount(days[-1][2]) == whole == sum(amount(row[2]) for row in days[1:-1])
    assert int(days[-1][1]) == 400
    assert amount(days[-1][4]) == 7
    for table, fees in ((advisors, 3), (services, 3)):
        assert sum(amount(row[fees]) for row in table[1:]) == whole
        assert len(table) == SHOWN + 2  # its heads, and the others in one row
        assert table[-1][0].endswith("others")


def test_every_plot_has_the_table_behind_it() -> None:
    rated = [session(n, score=n % 5 + 1, closed_at=START + 60 * n + n) for n in range(1, 50)]
    page = as_html(model(rated, looks=(overlap(1, 2), overlap(2, 3))))
    figures = re.findall("<figure>.*?</figure>", page, re.DOTALL)
    assert len(figures) >= 4
    for figure in figures:
        assert figure.count("<svg") == figure.count("<table") == 1
        assert 'aria-label="' in figure
        bars = figure.count("<rect")
        assert bars == figure.count("<tr>") - 1  # a bar for each row
    lengths = next(f for f in figures if "Length of sessions" in f)
    counts = [int(row[1]) for row in Read.of(lengths).tables[0][1:]]
    assert sum(counts) == 49


@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_length_falls_to_the_right_of_its_cut(seconds: int) -> None:
    place = LENGTHS.index(seconds)
    for length, where in ((seconds - 1, place), (seconds, place + 1)):
        counted = model([session(1, closed_at=START + 60 + length)]).lengths
        assert counted[where] == sum(counted) == 1


def test_overlapping_sessions_are_drawn_up_to_a_limit_and_kept_apart() -> None:
    looks = tuple(overlap(n, n + 1) for n in range(2 * DRAWN))
    made = model([session(n) for n in range(2 * DRAWN + 1)], looks=looks)
    assert len(made.overlaps[ADVISOR]) == DRAWN
    assert list(made.overlaps[ADVISOR]) == sorted(made.overlaps[ADVISOR], key=lambda b: b.start)


@pytest.mark.parametrize("days", [1, 30, 300, 3000, 12_000_000])
def test_time_is_cut_so_that_a_plot_stays_readable(days: int) -> None:
    page = as_html(model([session(1), session(2, opened_at=START + days * 86_400)]))
    figure = re.findall("<figure>.*?</figure>", page, re.DOTALL)[0]
    bars, labels = figure.count("<rect"), figure.count('y="182.0"')
    assert bars <= 102
    assert 1 <= labels <= 7
    assert figure.count('height="0.0"') == bars - 2


def test_base_units_are_shown_of_a_token_that_tells_no_decimals() -> None:
    text = Read.of(as_html(model([session(1)], decimals=None))).text
    assert "5,300,000" in text
    assert "base units of tUSD" in text


def test_nothing_at_all_is_a_page_too() -> None:
    empty = replace(model([]), tokens=[])
    assert "All 0 sessions" in Read.of(as_html(empty)).text


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        lived = Stage(chain, node)
        live_a_day(lived)
        yield lived


def test_the_page_of_a_day_says_what_the_verdict_says(stage: Stage, tmp_path: Path) -> None:
    verdict = audit(gather(stage.node, stage.escrow, stage.tip_jar, 0))
    path = write_page(verdict, tmp_path / "out", {stage.token: "tUSD"})
    read = Read.of(path.read_text(encoding="utf-8"))
    assert "Every bill is in order." in read.text
    sums = verdict.sums[stage.token]
    row = next(row for row in read.tables[0] if row[0] == "tUSD")
    told = [amount(each) for each in row[1:]]
    assert told == [
        sums.deposits,
        sums.fees,
        sums.platform_fees,
        sums.refunds,
        sums.open,
        sums.tips,
    ]
    days = [each for each in read.tables[1] if each[0] == "Together" and each[1] == "tUSD"]
    assert [amount(days[0][3]), amount(days[0][5])] == [sums.fees, sums.tips]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReportNotWritten):
        write_page(verdict, tmp_path / "file")
