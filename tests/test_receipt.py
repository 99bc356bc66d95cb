"""Receipts: lines that add up, money that is conserved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import protocol_values as values
from conftest import Place
from honorarium.advisor import Advisor
from honorarium.bill.lines import fee_lines, tariff_words
from honorarium.chain import Contracts, Node, calls
from honorarium.client import (
    Client,
    Receipt,
)
from honorarium.errors import JournalChanged, StaleVoucher
from honorarium.ids import ZERO_HASH, Hash
from honorarium.money import COIN
from honorarium.protocol.events import (
    RowSkipped,
    Tipped,
)
from honorarium.protocol.journal import Entry, EntryKind, Journal
from honorarium.protocol.slot import Status
from honorarium.protocol.tariff import Tariff
from honorarium.units import BaseUnits, BlockNumber, Bps, Seconds, UnixTime
from receipts import Log, whole_life
from written_log import (
    ADVISOR,
    CLIENT,
    DOMAIN,
    ID,
    JAR,
    START,
    STRANGER,
    TARIFF,
    TERMS,
    USD,
    account,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "receipts.md"


# ------------------------------------------------------------------------------- what it says


def test_a_receipt_says_what_a_session_came_to() -> None:
    receipt = whole_life().receipt()
    assert not receipt.provisional
    assert (receipt.units, receipt.fee.text) == (7, "8")
    assert (receipt.platform_share.text, receipt.advisor_net.text) == ("0.2", "7.8")
    assert (receipt.deposit.text, receipt.refund.text, receipt.refund_to) == ("12", "4", "balance")
    assert (receipt.tipped.text, receipt.total.text) == ("1.5", "9.5")
    assert [(line.kind, line.quantity, line.amount) for line in receipt.lines] == [
        ("connection", None, 2_000_000),
        ("included", 1, 0),
        ("units", 2, 2_400_000),
        ("step", 4, 3_600_000),
    ]
    assert receipt.closed_at == START + 500
    assert receipt.rating is not None
    assert receipt.rating.score == 5
    assert receipt.answer_hash == Hash(b"\x09" * 32)


def test_the_transactions_are_told_in_order_each_with_all_that_it_did() -> None:
    steps = whole_life().receipt().steps
    assert [[did.text for did in step.did] for step in steps] == [
        ["Opened, with a deposit of 6.00 tUSD from the payer's wallet"],
        ["Topped up by 6.00 tUSD from the payer's wallet, to 12.00 tUSD"],
        ["Settled 3 minutes: 4.40 tUSD earned in all"],
        ["The client asked to close; the advisor may settle until 2026-01-05 14:16:40 UTC"],
        [
            "Closed with 8.00 tUSD earned; refund 4.00 tUSD",
            "The wallet did not take 4.00 tUSD: credited to the payer's balance",
        ],
        ["The client tipped the advisor 1.50 tUSD"],
        ["The client rated it 5 of 5"],
        ["The advisor answered the rating"],
    ]


def test_a_tariff_is_told_in_sentences() -> None:
    assert tariff_words(TARIFF, USD) == (
        "2.00 tUSD connection fee, due with the first minute.",
        "The first minute is included.",
        "1.20 tUSD for each started minute, up to minute 3.",
        "0.90 tUSD for each started minute from minute 4 on.",
        "No more than 10 minutes can be charged.",
        "Counting starts when the advisor answers.",
    )
    assert tariff_words(Tariff.per_interaction(5 * 10**15), COIN) == (
        "0.005 ETH for each interaction.",
        "No more than the deposit can be charged.",
    )
    odd = replace(Tariff.per_second(1), unit_seconds=Seconds(30), included_units=2, max_units=1)
    assert tariff_words(odd, USD)[:3] == (
        "The first 2 30-second units are included.",
        "0.000001 tUSD for each started 30-second unit.",
        "No more than 1 30-second unit can be charged.",
    )
    # A step that the cap never reaches is no part of what a client pays.
    assert "step" not in str(tariff_words(replace(TARIFF, max_units=3), USD))
    assert "0.90" not in str(tariff_words(replace(TARIFF, max_units=3), USD))


@pytest.mark.parametrize("closing", [False, True])
def test_a_running_session_gives_a_provisional_receipt(closing: bool) -> None:
    log = Log().opened(12_000_000).settled(3, 4_400_000, 200)
    receipt = (log.left(300) if closing else log).receipt()
    assert receipt.provisional
    assert receipt.status is (Status.CLOSING if closing else Status.OPEN)
    assert (receipt.fee.text, receipt.refund.text) == ("4.4", "7.6")
    assert receipt.grace_ends == (START + 900 if closing else None)
    page = receipt.to_html()
    assert "Provisional receipt" in page
    assert "may still change" in page
    assert ("may settle until 2026-01-05 14:15:00 UTC" in page) == closing
    assert json.loads(receipt.to_json())["provisional"] is True


def test_nobody_answered_so_nothing_is_due() -> None:
    receipt = Log().opened(12_000_000).closed(0, 0, 100).receipt()
    assert (receipt.units, receipt.lines, receipt.fee.text) == (0, (), "0")
    assert receipt.refund.text == "12"
    assert "No minute was counted, so nothing is due." in receipt.to_html()


def test_free_units_are_counted_and_cost_nothing() -> None:
    terms = replace(TERMS, tariff=replace(TARIFF, connect_fee=BaseUnits(0)))
    receipt = Log(terms).opened(12_000_000).closed(1, 0, 10).receipt()
    assert [(line.kind, line.amount) for line in receipt.lines] == [("included", 0)]


def test_a_closing_without_a_reading_leaves_the_units_that_were_settled() -> None:
    for units, earned in ((0, 4_400_000), (2, 4_400_000), (3, 4_400_000)):
        log = Log().opened(12_000_000).settled(3, 4_400_000, 200).closed(units, earned, 300)
        assert log.receipt().units == 3


def test_units_beyond_the_cap_are_shown_and_not_charged() -> None:
    lines = Log().opened(12_000_000).closed(12, TARIFF.fee(10), 900).receipt().lines
    assert (lines[-1].kind, lines[-1].quantity, lines[-1].amount) == ("cap", 2, 0)
    assert lines[-1].text == "Beyond the agreed 10 minutes, not charged"


def test_what_the_deposit_stopped_is_a_line_even_if_a_top_up_came_later() -> None:
    log = Log().opened(5_000_000).settled(5, 5_000_000, 300).topped_up(20_000_000, 310)
    receipt = log.closed(0, 5_000_000, 320).receipt()
    assert receipt.units == 5
    assert receipt.lines[-1].text == "Not charged: the deposit of 5.00 tUSD stopped it"
    assert receipt.lines[-1].amount == -1_200_000
    assert sum(line.amount for line in receipt.lines) == 5_000_000


def test_an_old_reading_can_earn_more_after_a_top_up_and_is_the_one_that_counts() -> None:
    log = Log().opened(5_000_000).settled(7, 5_000_000, 400).topped_up(20_000_000, 410)
    receipt = log.settled(5, 6_200_000, 420).receipt()
    assert (receipt.units, receipt.fee.text) == (5, "6.2")


def test_a_deposit_from_a_balance_goes_back_there() -> None:
    log = Log().opened(12_000_000, from_balance=True).closed(1, 2_000_000, 10)
    assert log.receipt().refund_to == "balance"
    wallet = Log().opened(12_000_000).closed(1, 2_000_000, 10)
    assert wallet.receipt().refund_to == "wallet"
    assert Log().opened(2_000_000).closed(1, 2_000_000, 10).receipt().refund_to == "nobody"


def test_tips_of_strangers_and_in_other_tokens_stay_out_of_the_total() -> None:
    log = Log().opened(12_000_000)
    junk = account(0x66)
    for advisor, tipper, token in (
        (ADVISOR, CLIENT, USD.address),
        (ADVISOR, CLIENT, junk),
        (ADVISOR, STRANGER, USD.address),
        (STRANGER, CLIENT, USD.address),
    ):
        log.write(Tipped(advisor, tipper, ID, token, BaseUnits(10**6), ZERO_HASH), 10)
    receipt = log.receipt()
    assert (receipt.tipped.text, len(receipt.tips), receipt.tips_of_others) == ("1", 2, 2)
    assert f"1000000 base units of token 0x{junk.hex()}" in receipt.steps[-1].did[0].text
    page = receipt.to_html()
    assert "Left out: 2 tips that name this session" in page
    assert "Tips in other tokens are not part of the total." in page


def test_other_sessions_and_skipped_rows_among_the_records_are_passed_over() -> None:
    ours, other = whole_life(), Log(replace(TERMS, salt=8)).opened(12_000_000)
    skipped = RowSkipped(3, ID, StaleVoucher(2, 1))
    noise = [replace(other.records[0], block=BlockNumber(1)), *ours.records]
    noise.insert(2, replace(noise[1], event=skipped))
    assert Receipt.from_log(noise, ID, DOMAIN, USD, tip_jar=JAR) == ours.receipt()


def test_the_journal_tells_when_the_advisor_answered_if_it_is_the_one_that_was_signed() -> None:
    journal = Journal(ID)
    journal.append(Entry(UnixTime(START + 20), EntryKind.QUEUED))
    head = journal.append(Entry(UnixTime(START + 42), EntryKind.ANSWERED))
    log = Log().opened(12_000_000).closed(1, 2_000_000, 90, head)
    journal.append(Entry(UnixTime(START + 95), EntryKind.CLOSED))  # after the reading
    assert log.receipt(journal=journal).answered_at == START + 42
    assert log.receipt().answered_at is None
    told = Journal(ID, [Entry(UnixTime(START + 2), EntryKind.ANSWERED)])
    with pytest.raises(JournalChanged, match="these 1 journal entries"):
        log.receipt(journal=told)


# ------------------------------------------------------------------------------- adding up


@given(values.tariffs, values.uint(32), values.amounts)
def test_lines_add_up_to_the_fee_whatever_the_tariff(
    tariff: Tariff, units: int, deposit: int
) -> None:
    fee = tariff.fee(units, deposit)
    lines = fee_lines(tariff, units, fee, USD)
    assert sum(line.amount for line in lines) == fee
    assert sum(line.quantity or 0 for line in lines) == units
    for line in lines:
        if line.quantity is not None:
            assert line.amount == line.quantity * (line.price or 0)


steps = st.lists(
    st.tuples(st.sampled_from(("settle", "top up")), values.uint(32), values.amounts), max_size=6
)


@given(values.tariffs, values.uint(16), values.amounts, steps, values.uint(32), st.booleans())
def test_money_is_conserved_in_every_life(
    tariff: Tariff,
    bps: int,
    deposit: int,
    life: list[tuple[str, int, int]],
    last: int,
    close: bool,
) -> None:
    terms = replace(
        TERMS, tariff=replace(tariff, unit_seconds=Seconds(0)), fee_bps=Bps(bps % 10_001)
    )
    log, earned = Log(terms).opened(deposit), 0
    for what, units, amount in life:
        if what == "top up" and amount > deposit:
            deposit = amount
            log.topped_up(deposit, 10)
        elif what == "settle" and tariff.fee(units, deposit) > earned:
            earned = tariff.fee(units, deposit)
            log.settled(units, earned, 10)
    if close:
        earned = max(earned, tariff.fee(last, deposit))
        log.closed(last, earned, 20)
    receipt = log.receipt()
    assert int(receipt.fee) == earned
    assert sum(line.amount for line in receipt.lines) == earned
    assert receipt.platform_share + receipt.advisor_net == receipt.fee
    assert int(receipt.platform_share) == earned * terms.fee_bps // 10_000
    assert receipt.refund + receipt.advisor_net + receipt.platform_share == receipt.deposit
    assert sum(funding.amount for funding in receipt.fundings) == deposit
    assert int(receipt.refund) >= 0


# ------------------------------------------------------------------------------- a real chain


@dataclass
class Played:
    """A session that was played on a chain, with all that a receipt can show."""

    contracts: Contracts
    session: Any


@pytest.fixture
def played(place: Place) -> Iterator[Played]:
    with Node(place.chain.url) as node:
        contracts = Contracts.attach(node, place.manifest)
        people = [place.key("client"), place.key("advisor")]
        minted = calls.mint_batch([key.address for key in people], [10**10] * 2)
        contracts.sender(place.key("operator")).transact(contracts.default_token(), minted)
        client, advisor = Client(contracts, people[0]), Advisor(contracts, people[1])

        def wait(seconds: int) -> UnixTime:
            node.set_time(UnixTime(contracts.now() + seconds))
            node.request("evm_mine")
            return contracts.now()

        quote = advisor.quote(
            client.address,
            client.meter_key.address,
            TARIFF,
            platform=place.key("platform").address,
            platform_bps=250,
        )
        session = client.open(quote, deposit=6_000_000)
        session.meter.answer(at=session.opened_at)
        advisor.settle(session.terms, session.meter.read(at=wait(150)))
        client.top_up(session, 12_000_000)
        advisor.close(session.terms, session.meter.read(at=wait(220)))
        client.tip(session, 1_500_000)
        client.rate(session.terms, 5)
        advisor.answer(session.terms, Hash(b"\x09" * 32))
        yield Played(contracts, session)


def test_a_session_on_a_chain_gives_the_receipt_that_the_document_shows(
    played: Played,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"contracts": played.contracts, "session": played.session}
    exec(code, names)  # what the document shows must run as it stands there
    receipt: Receipt = names["receipt"]
    promised = [line.strip() for line in re.findall(r"print\(.*?\)\s+# (.*)", code)]
    assert capsys.readouterr().out.splitlines() == promised

    assert (receipt.units, int(receipt.fee)) == (7, TARIFF.fee(7))
    assert sum(line.amount for line in receipt.lines) == int(receipt.fee)
    held = played.contracts.node.read(
        calls.session(played.contracts.escrow.contract, played.session.id)
    )
    assert (held.earned, held.deposit, held.score) == (int(receipt.fee), int(receipt.deposit), 5)
    assert receipt.answered_at == played.session.opened_at
    assert [step.did[0].event for step in receipt.steps] == [
        "SessionOpened",
        "Settled",
        "ToppedUp",
        "SessionClosed",
        "Tipped",
        "Rated",
        "Answered",
    ]
    assert (tmp_path / "receipt.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((tmp_path / "receipt.json").read_text())["units"] == receipt.units
