"""`honorarium quote`, `revoke`, `tariff`: what advice costs, said before it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from honorarium.advisor import Advisor
from honorarium.chain import Account
from honorarium.chain.deploy import shown
from honorarium.chain.keystore import KEY_VARIABLE
from honorarium.cli.common import (
    LOCAL_NODE,
    AsJson,
    DeskUrl,
    KeyEnv,
    Keystore,
    ManifestFile,
    Rpc,
    SessionName,
    TokenName,
    account_of,
    connected,
    moment,
    must_be_free,
    plain,
    session_terms,
    show,
    signer,
    span,
    token_of,
)
from honorarium.errors import InputError
from honorarium.ids import ZERO_ADDRESS
from honorarium.money import Token
from honorarium.protocol import Tariff, Terms
from honorarium.protocol.documents import write_quote

Per = Literal["second", "minute", "hour", "interaction"]

Price = Annotated[str, typer.Option(metavar="AMOUNT", help="Of one unit, in whole tokens: 1.50")]
PerOption = Annotated[Per, typer.Option(help="What a unit is; started units count whole.")]
ConnectFee = Annotated[
    str, typer.Option(metavar="AMOUNT", help="Due with the first unit, in whole tokens.")
]
Included = Annotated[int, typer.Option(min=0, help="So many first units are free.")]
StepUnits = Annotated[int, typer.Option(min=0, help="Beyond so many units --step-price applies.")]
StepPrice = Annotated[str, typer.Option(metavar="AMOUNT", help="Of a unit beyond --step-units.")]
MaxUnits = Annotated[
    int, typer.Option(min=0, help="The meter stops there; 0: only the deposit stops it.")
]


class NobodyToQuote(InputError):
    """A revocation by somebody whom the quote does not name."""

    def __init__(self, account: str) -> None:
        super().__init__(
            f"{account} is neither advisor nor payer of this quote; only they can revoke it"
        )


def quote(
    client: Annotated[str, typer.Option(metavar="ADDRESS", help="Who is advised.")],
    meter: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="The client's meter key, as their `honorarium account` shows."
        ),
    ],
    price: Price,
    per: PerOption = "minute",
    connect_fee: ConnectFee = "0",
    included: Included = 0,
    step_units: StepUnits = 0,
    step_price: StepPrice = "0",
    max_units: MaxUnits = 0,
    token: TokenName = None,
    payer: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Who pays, if not the client.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Who gets a share of the fee.")
    ] = None,
    platform_bps: Annotated[
        int, typer.Option(min=0, max=10_000, help="That share in hundredths of a percent.")
    ] = 0,
    holds: Annotated[int, typer.Option(min=1, help="The offer holds so many seconds.")] = 3600,
    grace: Annotated[
        int, typer.Option(min=1, help="Who leaves waits so many seconds for the advisor.")
    ] = 3600,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where the quote goes.")
    ] = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Offer a session: terms that you, the advisor, sign for one client.

    The client opens it with `honorarium open FILE`. Nothing is sent to the chain.

    Example: honorarium quote --client 0x... --meter 0x... --price 1.50 --max-units 60 -o quote.json
    """
    must_be_free(out)
    with connected(rpc, manifest, desk) as contracts:
        advisor = Advisor(contracts, signer(keystore, key_env))
        known = contracts.token(token_of(token))
        made = advisor.quote(
            account_of(client),
            account_of(meter),
            tariff_of(known, price, per, connect_fee, included, step_units, step_price, max_units),
            token=known.address,
            payer=account_of(payer) if payer else None,
            platform=account_of(platform) if platform else ZERO_ADDRESS,
            platform_bps=platform_bps,
            holds=holds,
            close_grace=grace,
        )
        text = write_quote(made, contracts.escrow)
        if out is not None:
            out.write_text(text, encoding="utf-8")
        if as_json or out is None:
            typer.echo(text.rstrip())
            return
        show(
            False,
            {
                "quote": out,
                "session": made.session_id(contracts.escrow),
                **terms_shown(made.terms, known),
            },
        )


def revoke(
    session: SessionName,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Make sure that a quote is never opened: as its advisor or its payer.

    Example: honorarium revoke quote.json
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        account = Account(contracts, signer(keystore, key_env))
        if account.address not in (terms.advisor, terms.payer):
            raise NobodyToQuote("0x" + account.address.hex())
        receipt = Advisor(contracts, account.core.signer).revoke(terms)
        session_id = terms.session_id(contracts.escrow)
        show(as_json, {"revoked": session_id, "transaction": receipt.tx_hash})


def tariff(
    price: Price,
    units: Annotated[
        list[int] | None, typer.Argument(metavar="[UNITS]...", help="Of how many units?")
    ] = None,
    per: PerOption = "minute",
    connect_fee: ConnectFee = "0",
    included: Included = 0,
    step_units: StepUnits = 0,
    step_price: StepPrice = "0",
    max_units: MaxUnits = 0,
    platform_bps: Annotated[
        int, typer.Option(min=0, max=10_000, help="The platform's share, hundredths of a percent.")
    ] = 0,
    decimals: Annotated[int, typer.Option(min=0, max=36, help="The token's decimals.")] = 6,
    symbol: Annotated[str, typer.Option(help="What the token is called.")] = "USD",
    as_json: AsJson = False,
) -> None:
    """What would it cost? A table of fees, as the contract computes them.

    Needs no chain. Without UNITS, the table shows where the price changes.

    Example: honorarium tariff --price 1.50 --connect-fee 2 --included 5 1 5 10 30 60
    """
    token = Token(ZERO_ADDRESS, symbol, decimals)
    made = tariff_of(token, price, per, connect_fee, included, step_units, step_price, max_units)
    wanted = sorted(set(units or _telling(made)))
    rows: list[dict[str, Any]] = []
    for count in wanted:
        fee = token.amount(made.fee(count))
        share = token.amount(fee.base_units * platform_bps // 10_000)
        rows.append({"units": count, "fee": fee, "platform": share, "advisor": fee - share})
    if as_json:
        typer.echo(json.dumps(rows, indent=2, default=plain))
        return
    table = Table(title=words(made, token))
    for column in ("units", "time", "fee", "platform's share", "the advisor's"):
        table.add_column(column, justify="right")
    if not platform_bps:
        table.columns[3:] = []
    for row in rows:
        time = span(row["units"] * made.unit_seconds) if made.unit_seconds else "-"
        cells = [f"{row['units']:,}", time, str(row["fee"])]
        if platform_bps:
            cells += [str(row["platform"]), str(row["advisor"])]
        table.add_row(*cells)
    Console().print(table)


def words(tariff: Tariff, token: Token) -> str:
    """A tariff in a sentence."""
    unit = {0: "interaction", 1: "second", 60: "started minute", 3600: "started hour"}.get(
        tariff.unit_seconds, f"started {tariff.unit_seconds} seconds"
    )
    said = [f"{token.amount(tariff.unit_price)} per {unit}"]
    if tariff.connect_fee:
        said.append(f"{token.amount(tariff.connect_fee)} to connect")
    if tariff.included_units:
        said.append(f"the first {tariff.included_units:,} free")
    if tariff.step_units:
        said.append(f"beyond {tariff.step_units:,} {token.amount(tariff.step_price)} each")
    if tariff.max_units:
        said.append(f"at most {tariff.max_units:,}")
    return ", ".join(said)


def terms_shown(terms: Terms, token: Token) -> dict[str, Any]:
    """Terms for people."""
    share = f"{terms.fee_bps / 100:g} % of the fee" if terms.fee_bps else None
    return {
        "tariff": words(terms.tariff, token),
        "token": token,
        "client": terms.client,
        "payer": None if terms.payer == terms.client else terms.payer,
        "advisor": terms.advisor,
        "meter": terms.meter_key,
        "platform": None if share is None else f"{share}, to {shown(terms.fee_recipient)}",
        "open_before": moment(terms.open_before),
        "grace": span(terms.close_grace),
    }


def tariff_of(
    token: Token,
    price: str,
    per: Per,
    connect_fee: str,
    included: int,
    step_units: int,
    step_price: str,
    max_units: int,
) -> Tariff:
    """The tariff that the options of a command describe."""
    return Tariff.of(
        token,
        price,
        per=per,
        connect_fee=connect_fee,
        included_units=included,
        step_units=step_units,
        step_price=step_price,
        max_units=max_units,
    )


def _telling(tariff: Tariff) -> list[int]:
    """The units at which something changes, and a few round ones."""
    edges = (tariff.included_units, tariff.step_units, tariff.max_units)
    found = {0, 1, 5, 10, 30, 60, *(edge + step for edge in edges if edge for step in (0, 1))}
    cap = tariff.max_units
    return [count for count in found if count <= 2**32 - 1 and (not cap or count <= cap + 1)]
