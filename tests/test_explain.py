"""A bill explained: on a chain where every kind of session was lived, and by hand-written logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from honorarium.audit import Explanation, explain
from honorarium.audit.signers import Proof
from honorarium.bill.text import checksummed
from honorarium.chain import LocalChain, Node, calls, deploy, transactions
from honorarium.chain.history import account_history, session_history
from honorarium.chain.wire import drive
from honorarium.cli.explain import _journal
from honorarium.cli.explain import explain as explain_command
from honorarium.cli.statement import statement as statement_command
from honorarium.client import Meter
from honorarium.errors import JournalChanged
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.money import COIN, Token
from honorarium.protocol.journal import Entry, EntryKind, Journal
from honorarium.protocol.keys import Key
from honorarium.recordfile import RecordRefused
from honorarium.statement import Period, read_entries, state
from honorarium.units import BaseUnits, BlockNumber, Bps, UnixTime
from lives import MORNING, PARTIES, Day, Stage, live_a_day
from written_log import DOMAIN, ID, START, TERMS, USD, Log

commands = typer.Typer()
commands.command("explain")(explain_command)
commands.command("statement")(statement_command)


@dataclass
class Lived:
    stage: Stage
    day: Day

    def token(self, address: Address) -> Token:
        return COIN if address == ZERO_ADDRESS else Token(address, "tUSD", 6)

    def explained(self, name: str) -> Explanation:
        stage, node = self.stage, self.stage.node
        session_id, terms = self.day.ids[name], self.day.terms[name]
        records = drive(
            session_history(node.core, stage.escrow, stage.tip_jar, session_id, BlockNumber(0))
        )
        hashes = list(dict.fromkeys(record.tx_hash for record in records))
        return explain(
            records,
            session_id,
            stage.domain,
            self.token(terms.token),
            tip_jar=stage.tip_jar,
            sent={each.hash: each for each in transactions(node, hashes)},
            separator=lambda token: node.read(calls.token_separator(token)),
        )

    def proofs(self, name: str) -> list[tuple[str, str, Proof]]:
        return [(c.role, c.what, c.proof) for c in self.explained(name).consents]


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        stage = Stage(
            chain, node, contracts=deploy(node, chain.accounts["operator"], test_token=True)
        )
        yield Lived(stage, live_a_day(stage))


OPENED = (
    (
        "rated sponsored|batch 1|batch 2|coin|left|closed early|settled in grace|running|leaving|"
        "signed by a contract|through a contract|coin refused|token refused"
    )
    .replace("rated ", "rated|")
    .split("|")
)


@pytest.mark.parametrize("name", OPENED)
def test_every_amount_follows_from_the_ones_before_it(lived: Lived, name: str) -> None:
    found = lived.explained(name)
    log, held = (
        found.log,
        lived.stage.node.read(calls.session(lived.stage.escrow, lived.day.ids[name])),
    )
    assert sum(line.amount for line in found.lines) == found.fee == held.earned
    assert found.share.amount * 10_000 + found.share.lost == found.fee * log.terms.fee_bps
    assert 0 <= found.share.lost < 10_000
    assert found.net + found.share.amount == found.fee
    assert found.fee + found.refund == log.deposit == held.deposit
    assert sum(reading.added for reading in found.readings) == found.fee
    if found.readings:
        last = found.readings[-1]
        assert (last.platform, last.advisor) == (found.share.amount, found.net)
    if found.limit is not None:
        assert found.limit.billed <= found.limit.allowed
    assert Proof.OTHER_KEY not in {c.proof for c in found.consents} or "by a contract" in name


def test_who_signed_and_who_called_is_told_apart(lived: Lived) -> None:
    signed, called, unread = Proof.SIGNATURE, Proof.CALL, Proof.CONTRACT
    quote, opening = "the quote: all of the terms", "the opening and its deposit"
    assert lived.proofs("rated") == [
        ("advisor", quote, signed),
        ("payer", opening, called),
        ("meter", "the meter reading of 2 minutes", signed),
        ("meter", "the meter reading of 4 minutes", signed),
        ("meter", "the meter reading of 9 minutes", signed),
        ("advisor", "the closing", called),
        ("client", "the rating, 5 of 5", called),
        ("advisor", "the answer", signed),
    ]
    assert lived.proofs("sponsored") == [
        ("advisor", quote, signed),
        ("client", "the terms", signed),
        ("payer", opening, signed),  # an EIP-3009 authorization
        ("meter", "the meter reading of 88 seconds", signed),
        ("advisor", "the closing", signed),
        ("client", "the rating, 2 of 5", signed),
    ]
    assert lived.proofs("batch 1")[1:] == [
        ("payer", opening, signed),
        ("meter", "the meter reading of 2 minutes", signed),
        ("meter", "the meter reading of 3 minutes", signed),
        ("advisor", "the closing", signed),
    ]
    # A relayed leaving is not read; anybody may finalize, so nobody agrees to that.
    assert lived.proofs("left")[2:] == [("client", "leaving", unread)]
    assert lived.proofs("closed early")[2:] == [
        ("client", "leaving", called),
        ("advisor", "the closing", called),
    ]
    assert lived.proofs("through a contract") == [
        ("advisor", quote, unread),
        ("payer", opening, unread),
    ]
    assert lived.proofs("signed by a contract")[0] == ("advisor", quote, Proof.OTHER_KEY)


def test_the_command_tells_a_client_and_a_program_the_same(
    lived: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    url, session = lived.stage.chain.url, "0x" + lived.day.ids["rated"].hex()
    done = CliRunner().invoke(commands, ["explain", session, "--rpc", url])
    assert done.exit_code == 0, done.output
    # 0.50 to connect, 1 of 9 minutes free, 8 at 1.000003; 12.5 % of 8.500024 is exact.
    for said in ("8.000024", "8.500024", "12.5 % of 8.500024, exactly", "1.062503", "7.437521"):
        assert said in done.output
    assert "signed: the key was recovered" in done.output
    assert f"advisor {checksummed(lived.stage.address('advisor'))[:10]}..." in done.output
    told = json.loads(
        CliRunner().invoke(commands, ["explain", session, "--rpc", url, "--json"]).stdout
    )
    assert told["fee"] == {"base_units": "8500024", "decimal": "8.500024"}
    assert [line["kind"] for line in told["lines"]] == ["connection", "included", "units"]
    assert told["refund"]["to"] == "wallet"
    assert {each["proof"] for each in told["consents"]} == {"signature", "call"}
    assert told["tips"][0]["base_units"] == "2000000"


def test_the_statement_of_the_day_leads_to_the_contract_s_balance(
    lived: Lived, tmp_path: Path
) -> None:
    stage = lived.stage
    advisor = stage.address("advisor")
    tokens = {t: lived.token(t) for t in (stage.token, ZERO_ADDRESS)}
    year = Period.of("2027-01-01", "2027-12-31", "UTC")
    for who in map(stage.address, PARTIES):
        found = account_history(stage.node.core, stage.escrow, stage.tip_jar, who, BlockNumber(0))
        held = {t: stage.node.read(calls.balance_of(stage.escrow, t, who)) for t in tokens}
        entries = read_entries(drive(found), who)
        state(entries, tokens, year, stage.domain, balances=held)  # else BalanceDiffers

    words = ["statement", "0x" + advisor.hex(), "--from", "2027-01-01", "--to", "2027-12-31"]
    words += ["--zone", "Europe/Berlin", "--rpc", stage.chain.url, "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(commands, [*words, "--json"])
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    usd = next(t for t in told["tokens"] if t["symbol"] == "tUSD")
    net = sum(
        lived.explained(name).net
        for name in OPENED
        if lived.day.terms[name].advisor == advisor and lived.day.terms[name].token == stage.token
    )
    assert usd["net"] == tokens[stage.token].amount(net).text
    assert (usd["tips"], usd["withdrawn"]) == ("2", "2")
    assert json.loads((tmp_path / "out" / "statement.json").read_text()) == told
    gas = [each for each in told["entries"] if each["kind"] == "gas"]
    assert {each["token"] for each in gas} == {"ETH"}
    assert len(gas) == len({each["transaction"] for each in gas}) > 3


# ------------------------------------------------------------------------------- without a chain


def by_hand(log: Log, journal: Journal | None = None) -> Explanation:
    return explain(
        log.records, log.id, DOMAIN, USD, sent={}, separator=lambda token: None, journal=journal
    )


def test_a_share_that_does_not_come_out_even_says_what_was_rounded_off() -> None:
    log = Log(replace(TERMS, fee_bps=Bps(333))).opened(20_000_000)
    log.closed(4, 5_300_000, 240)
    share = by_hand(log).share
    assert (share.amount, share.lost) == (176_490, 0)
    log = Log(replace(TERMS, fee_bps=Bps(1))).opened(5_299_999)
    log.closed(9, 5_299_999, 600)  # the deposit stopped it: 9.80 by the tariff
    found = by_hand(log)
    assert (found.share.amount, found.share.lost) == (529, 9_999)
    assert found.lines[-1].kind == "deposit"
    assert sum(line.amount for line in found.lines) == 5_299_999


def test_the_journal_tells_what_happened_between_the_units() -> None:
    entries = [
        Entry(UnixTime(START + at), kind)
        for at, kind in (
            (5, EntryKind.QUEUED),
            (30, EntryKind.ANSWERED),
            (90, EntryKind.PAUSED),
            (150, EntryKind.RESUMED),
            (160, EntryKind.DATA_ACCESSED),
            (300, EntryKind.CLOSED),
        )
    ]
    journal = Journal(ID, entries)
    log = Log().opened(20_000_000).closed(4, TERMS.tariff.fee(4), 300, journal.head)
    told = [(s.what, s.seconds, s.counted) for s in by_hand(log, journal).stretches]
    assert told == [
        ("the client waits", 25, False),
        ("the advisor advises", 60, True),
        ("paused", 60, False),
        ("the advisor advises", 150, True),
    ]
    counted = sum(seconds for _, seconds, counts in told if counts)
    assert TERMS.tariff.units_for(counted) == 4
    other = Journal(ID, entries[:-1])
    with pytest.raises(JournalChanged):
        by_hand(log, other)


def test_without_transactions_nothing_is_called_signed() -> None:
    log = Log().opened(20_000_000).closed(4, TERMS.tariff.fee(4), 300)
    assert {consent.proof for consent in by_hand(log).consents} == {Proof.CONTRACT}


def test_the_meter_s_file_and_its_journal_tell_the_same(tmp_path: Path) -> None:
    key = Key.generate()
    terms = replace(TERMS, meter_key=key.address)
    file, lines = tmp_path / "meter.jsonl", tmp_path / "journal.jsonl"
    meter = Meter(terms, DOMAIN, key, BaseUnits(20_000_000), path=file, patience=None)
    meter.answer(START + 30)
    meter.pause(START + 90)
    meter.release()
    lines.write_text(meter.journal.to_json_lines(), encoding="utf-8")
    session_id = terms.session_id(DOMAIN)
    heads = {_journal(path, session_id).head for path in (file, lines)}
    assert heads == {meter.journal.head}
    with pytest.raises(RecordRefused, match="it is the file of session"):
        _journal(file, ID)
    file.write_bytes(file.read_bytes().replace(b'"kind":"paused"', b'"kind":"left"'))
    with pytest.raises(RecordRefused):
        _journal(file, session_id)
