"""`honorarium explain`: how did each amount of a session come about?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from honorarium.audit import Explanation, Stretch
from honorarium.audit import explain as reckon
from honorarium.bill import counted, tariff_words, unit_name, with_places
from honorarium.bill.text import checksummed, visible, when
from honorarium.chain import Contracts, calls, transactions
from honorarium.cli.common import (
    LOCAL_NODE,
    AsJson,
    ManifestFile,
    Rpc,
    SessionName,
    document,
    plain,
    session_terms,
    span,
)
from honorarium.cli.place import ChainFolder, contracts_at
from honorarium.errors import ContractError, NodeError
from honorarium.ids import Address, SessionId
from honorarium.protocol import Journal
from honorarium.protocol.records import read_entry
from honorarium.recordfile import RecordRefused, records_of
from honorarium.units import format_amount

NOTES: Final = {
    "wallet": "to the payer's wallet",
    "balance": "to the payer's balance in the escrow",
    "nobody": "",
}


def explain(
    session: SessionName,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The meter's file, or its journal as JSON Lines: what happened between the units.",
        ),
    ] = None,
    rpc: Rpc = LOCAL_NODE,
    chain: ChainFolder = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Explain a session's bill: how each amount came about, and who agreed to what.

    Everything is worked out again from the log: the fee from tariff and units, the platform's share
    and its rounding, the refund; and each signature is recovered from the transactions.

    Example: honorarium explain 0x... --journal meter.jsonl
    """
    with contracts_at(rpc, chain, manifest) as contracts:
        terms = session_terms(contracts, session)
        session_id = terms.session_id(contracts.escrow)
        records = contracts.history(session_id)
        hashes = list(dict.fromkeys(record.tx_hash for record in records))
        found = reckon(
            records,
            session_id,
            contracts.escrow,
            contracts.token(terms.token),
            tip_jar=contracts.tip_jar,
            sent={each.hash: each for each in transactions(contracts.node, hashes)},
            separator=lambda token: _separator(contracts, token),
            journal=None if journal is None else _journal(journal, session_id),
        )
    if as_json:
        typer.echo(json.dumps(as_dict(found), indent=2, default=plain))
    else:
        _show(Console(), found)


def _separator(contracts: Contracts, token: Address) -> bytes | None:
    try:
        return contracts.node.read(calls.token_separator(token))
    except (ContractError, NodeError):
        return None


def _journal(path: Path, session_id: SessionId) -> Journal:
    """Raises JournalRefused, RecordRefused, InputError."""
    text = document(path)
    if '"check"' not in text.partition("\n")[0]:
        return Journal.from_json_lines(text)
    entries = [read_entry(each["entry"]) for each in records_of(path) if "entry" in each]
    named = next((each.get("session") for each in records_of(path)), None)
    if named != "0x" + session_id.hex():
        raise RecordRefused(path, 1, f"it is the file of session {named}")
    return Journal(session_id, entries)


# -------------------------------------------------------------------------------------- JSON


def as_dict(found: Explanation) -> dict[str, Any]:
    """The explanation for programs: docs/guides/auditor.md has the fields."""
    log, terms, token = found.log, found.log.terms, found.token

    def money(units: int) -> dict[str, str]:
        return {"base_units": str(units), "decimal": format_amount(units, token.decimals)}

    return {
        "type": "honorarium-explanation",
        "version": 1,
        "session_id": found.session_id,
        "provisional": found.provisional,
        "status": log.status.name.lower(),
        "chain_id": found.domain.chain_id,
        "escrow": Address(found.domain.contract),
        "token": token,
        "tariff": tariff_words(terms.tariff, token),
        "units": log.reading.units,
        "unit": unit_name(terms.tariff),
        "lines": [
            {
                "kind": line.kind,
                "text": line.text,
                "quantity": line.quantity,
                "price": None if line.price is None else money(line.price),
                "amount": money(line.amount),
            }
            for line in found.lines
        ],
        "fee": money(found.fee),
        "platform_share": {
            "bps": found.share.bps,
            "amount": money(found.share.amount),
            "rounded_off": f"{format_amount(found.share.lost, 4)} base units",
        },
        "advisor_net": money(found.net),
        "deposit": money(log.deposit),
        "refund": {**money(found.refund), "to": found.refund_to},
        "tips": [
            {"from": tip.tipper, "token": tip.token, "base_units": str(tip.amount)}
            for tip in log.tips
        ],
        "time_limit": None
        if found.limit is None
        else {
            "since": found.limit.since,
            "until": found.limit.until,
            "seconds": found.limit.seconds,
            "allowed_units": found.limit.allowed,
            "billed_units": found.limit.billed,
        },
        "readings": [
            {
                "time": each.time,
                "transaction": each.tx_hash,
                "closing": each.closing,
                "units": each.units,
                "earned": money(each.earned),
                "added": money(each.added),
                "platform": money(each.platform),
                "advisor": money(each.advisor),
            }
            for each in found.readings
        ],
        "journal": [
            {
                "what": each.what,
                "since": each.since,
                "until": each.until,
                "seconds": each.seconds,
                "counted": each.counted,
            }
            for each in found.stretches
        ],
        "consents": [
            {
                "role": each.role,
                "party": each.party,
                "what": each.what,
                "time": each.time,
                "transaction": each.tx_hash,
                "proof": each.proof.name.lower(),
            }
            for each in found.consents
        ],
    }


# ------------------------------------------------------------------------------------ tables


def _show(console: Console, found: Explanation) -> None:
    log, token = found.log, found.token
    state = "so far: the session still runs" if found.provisional else "the session is closed"
    console.print(f"Session 0x{found.session_id.hex()}", highlight=False, soft_wrap=True)
    console.print(f"[dim]{counted(log.reading.units, log.terms.tariff)}, {state}[/]\n")
    for sentence in tariff_words(log.terms.tariff, token):
        console.print(Text("  " + visible(sentence)))
    console.print()
    console.print(_bill(found))
    console.print(_money(found))
    if found.limit is not None:
        console.print(_limit(found))
    if found.stretches:
        console.print(_journal_table(found.stretches))
    console.print(_readings(found))
    console.print(_consents(found))
    for proof in dict.fromkeys(each.proof for each in found.consents):
        word, _, meaning = proof.value.partition(": ")
        if meaning:
            console.print(Text(f"{word}: {meaning}.", "dim"))
    console.print(
        "[dim]Times are those of the blocks: when it took effect, not when it was signed.[/]"
    )


def _table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _bill(found: Explanation) -> Table:
    token = found.token
    symbol = visible(token.symbol)
    columns = ("quantity", "price", f"amount in {symbol}")
    table = _table("What was charged", "what", *columns, right=columns)

    def money(units: int) -> str:
        return with_places(units, token.decimals)

    for line in found.lines:
        quantity = "" if line.quantity is None else f"{line.quantity:,}"
        price = "" if line.price is None else "free" if line.price == 0 else money(line.price)
        table.add_row(Text(visible(line.text)), quantity, price, money(line.amount))
    if not found.lines:
        table.add_row("Nothing was counted, so nothing is due", "", "", money(0))
    table.add_section()
    table.add_row("Fee", "", "", money(found.fee), style="bold")
    return table


def _money(found: Explanation) -> Table:
    token, log = found.token, found.log
    symbol = visible(token.symbol)
    amount = f"amount in {symbol}"
    table = _table("Where the money went", "what", amount, "how", right=(amount,))

    def row(what: str, units: int, how: str, style: str = "") -> None:
        table.add_row(what, with_places(units, token.decimals), Text(how), style=style)

    for number, funding in enumerate(log.fundings):
        source = "the payer's balance" if funding.from_balance else "the payer's wallet"
        row("Deposit" if number == 0 else "Top-up", funding.amount, f"from {source}")
    table.add_section()
    if found.share.bps:
        percent = format_amount(found.share.bps, 2)
        exact = f"{percent} % of {with_places(found.fee, token.decimals)}"
        lost = format_amount(found.share.lost, 4)
        rounding = (
            f"; rounded down, {lost} of the smallest unit stays with the advisor"
            if found.share.lost
            else ", exactly"
        )
        row("Platform", found.share.amount, exact + rounding)
    row("Advisor", found.net, "the rest of the fee" if found.share.bps else "the whole fee")
    left = "Not spent yet" if found.provisional else "Refund"
    back = "" if found.provisional else f", {NOTES[found.refund_to]}" if found.refund else ""
    row(left, found.refund, f"deposit less fee{back}")
    for tip in log.tips:
        if tip.token == token.address:
            row("Tip", tip.amount, "beside the fee, all of it to the advisor")
        else:
            text = f"{tip.amount} base units of token {checksummed(tip.token)}"
            table.add_row("Tip", "", f"{text}, to the advisor")
    return table


def _limit(found: Explanation) -> Table:
    limit, tariff = found.limit, found.log.terms.tariff
    assert limit is not None
    table = _table("Was there time for it? (ESC-5)", "what", "")
    table.add_row("Opened", when(limit.since))
    table.add_row("Counting ended at the latest", when(limit.until))
    table.add_row("Between them", span(limit.seconds))
    table.add_row("At most", f"{counted(limit.allowed, tariff)}: those that had begun")
    table.add_row("Billed", counted(limit.billed, tariff))
    return table


def _journal_table(stretches: tuple[Stretch, ...]) -> Table:
    table = _table("What happened, by the meter's journal", "what", "from", "length", "counted")
    for each in stretches:
        table.add_row(
            each.what, when(each.since), span(each.seconds), "yes" if each.counted else "no"
        )
    return table


def _readings(found: Explanation) -> Table:
    token, tariff = found.token, found.log.terms.tariff
    numbers = ("units", "fee", "new", "platform", "advisor")
    table = _table("Each settlement, in all so far", "time", "what", *numbers, right=numbers)
    for each in found.readings:
        amounts = (each.earned, each.added, each.platform, each.advisor)
        table.add_row(
            when(each.time),
            "closed" if each.closing else "settled",
            f"{each.units:,}" if each.units else "no voucher",
            *(with_places(amount, token.decimals) for amount in amounts),
        )
    if not found.readings:
        table.add_row("none yet", "", counted(0, tariff), "", "", "", "")
    return table


def _consents(found: Explanation) -> Table:
    table = _table("Who agreed to what", "time (UTC)", "who", "what", "how it shows")
    for short in (0, 1):
        table.columns[short].no_wrap = True
    for each in found.consents:
        who = f"{each.role} {checksummed(each.party)[:10]}..."
        shows = each.proof.value.partition(": ")[0]
        table.add_row(when(each.time).removesuffix(" UTC"), who, each.what, shows)
    return table
