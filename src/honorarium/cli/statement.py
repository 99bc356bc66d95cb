"""`honorarium statement`: what an advisor earned, for their books."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from honorarium.bill import with_places
from honorarium.bill.text import checksummed
from honorarium.chain import BlockHead, Contracts, LogRecord, calls, receipts, transactions
from honorarium.cli.common import LOCAL_NODE, AsJson, ManifestFile, Rpc, account_of, document
from honorarium.cli.common import visible as shown_text
from honorarium.cli.place import ChainFolder, contracts_at
from honorarium.errors import InputError
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.money import Token
from honorarium.statement import Paid, Period, Rates, Statement, as_json, read_entries, state, write
from honorarium.statement.sheets import fixed


def statement(
    advisor: Annotated[str, typer.Argument(metavar="ADVISOR", help="The advisor's address.")],
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day: 2026-01-01")],
    last: Annotated[
        str, typer.Option("--to", metavar="DATE", help="The last day, included: 2026-03-31")
    ],
    zone: Annotated[
        str, typer.Option(metavar="ZONE", help="Whose midnight ends a day: Europe/Berlin")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the files.")
    ] = Path("statement"),
    name: Annotated[str, typer.Option(help="The advisor's name on the statement.")] = "",
    rates: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Exchange rates: CSV of time,token,currency,rate."),
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="CUR", help="The currency of the worths: EUR")
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="State this token too, if it came only as tips; `coin` is the chain's own.",
        ),
    ] = None,
    gas: Annotated[bool, typer.Option(help="State what the advisor's transactions cost.")] = True,
    font: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A TrueType font for letters that are missing."),
    ] = None,
    rpc: Rpc = LOCAL_NODE,
    chain: ChainFolder = None,
    manifest: ManifestFile = None,
    json_: AsJson = False,
) -> None:
    """Write an advisor's statement: sessions, shares, tips, withdrawals, gas, quarters for DAC7.

    Writes statement.pdf, entries.csv, quarters.csv, statement.beancount and statement.json. What
    the log leads to is compared with the balance in the contract's storage.

    Example: honorarium statement 0x... --from 2026-01-01 --to 2026-03-31 --zone Europe/Berlin
    """
    account, period = account_of(advisor), Period.of(first, last, zone)
    if (rates is None) != (currency is None):
        raise InputError("--rates FILE and --currency CUR belong together; give both or neither")
    known = None
    if rates is not None and currency is not None:
        known = Rates.read(rates, document(rates), currency, period.zone)
    with contracts_at(rpc, chain, manifest) as contracts:
        records, last_block = _history(contracts, account)
        entries = read_entries(records, account, _paid(contracts, records, account) if gas else ())
        wanted = {*entries.tokens, *map(_token, token or ())}
        if gas:
            wanted.add(ZERO_ADDRESS)
        tokens = {each: contracts.token(each) for each in wanted}
        made = state(
            entries,
            tokens,
            period,
            contracts.escrow,
            name=name,
            rates=known,
            balances={
                each: contracts.node.read(
                    calls.balance_of(contracts.escrow.contract, each, account), last_block.number
                )
                for each in wanted
            },
            until=last_block.timestamp,
        )
    written = write(made, out, font=font)
    if json_:
        typer.echo(as_json(made).rstrip())
        return
    console = Console()
    period_text = f"{made.period.first} to {made.period.last}, {made.period.zone.key}"
    console.print(f"{checksummed(account)}, {period_text}", highlight=False, soft_wrap=True)
    for each in made.tokens:
        console.print(_table(made, each))
    if not made.tokens:
        console.print("Nothing happened in this period.")
    if not made.over:
        then = made.period.local(last_block.timestamp)
        when = f"{then:%Y-%m-%d %H:%M}, block {last_block.number:,}"
        said = f"So far: the chain was read up to {when}, and the period goes on after it."
        console.print(said, highlight=False, soft_wrap=True)
    names = ", ".join(path.name for path in written)
    console.print(f"[dim]written[/] {out}: {names}", highlight=False, soft_wrap=True)


def _history(contracts: Contracts, account: Address) -> tuple[list[LogRecord], BlockHead]:
    """The account's records up to a block, and that block: others may follow in between."""
    last = contracts.node.block()
    return [each for each in contracts.account_history(account) if each.block <= last.number], last


def _token(text: str) -> Address:
    return ZERO_ADDRESS if text == "coin" else account_of(text)


def _paid(contracts: Contracts, records: list[LogRecord], account: Address) -> list[Paid]:
    """What the account's own transactions cost, of those that left something in the log."""
    hashes = list(dict.fromkeys(record.tx_hash for record in records))
    own = [each.hash for each in transactions(contracts.node, hashes) if each.sender == account]
    found = receipts(contracts.node, own)
    return [Paid(each.tx_hash, each.gas_used * each.gas_price) for each in found if each]


def _table(made: Statement, token: Token) -> Table:
    sums, rates = made.sums(token), made.rates
    table = Table(header_style="dim")
    table.add_column("")
    table.add_column(shown_text(token.symbol), justify="right")
    if rates:
        table.add_column(rates.currency, justify="right")

    def row(what: str, units: int, worth: int | None = None) -> None:
        cells = [what, with_places(units, token.decimals)]
        if rates:
            cells.append("" if worth is None else fixed(worth, rates.places))
        table.add_row(*cells)

    row(
        f"fees, {sums.sessions:,} session{'' if sums.sessions == 1 else 's'}",
        sums.gross,
        sums.worth_gross,
    )
    row("platform's share", -sums.platform, -sums.worth_platform)
    row("net fees", sums.net, sums.worth_net)
    row("tips", sums.tips, sums.worth_tips)
    if sums.gas:
        row("gas", -sums.gas, -sums.worth_gas)
    table.add_section()
    row("in the escrow before", made.opening_of(token))
    row("withdrawn", -sums.withdrawn)
    if sums.other:
        row("other", sums.other)
    row("in the escrow after", made.closing(token))
    return table
