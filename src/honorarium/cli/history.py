"""`honorarium session`, `history`: what the chain says of a session, or of an account."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from honorarium.chain import Contracts, LogRecord
from honorarium.cli.common import (
    LOCAL_NODE,
    AsJson,
    DeskUrl,
    ManifestFile,
    Rpc,
    account_of,
    connected,
    human,
    is_session_id,
    moment,
    opened,
    plain,
    quote_file,
    session_id_of,
    show,
)
from honorarium.cli.quotes import terms_shown
from honorarium.client import Contact, Receipt
from honorarium.errors import InputError
from honorarium.ids import SessionId
from honorarium.protocol import (
    CloseRequested,
    Event,
    Rated,
    RefundCredited,
    RowSkipped,
    SessionClosed,
    SessionOpened,
    Settled,
    Status,
    Tipped,
    ToppedUp,
)


class ReceiptNotWritten(InputError):
    """A receipt that cannot go where it was wanted."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"no receipt in {path}: {reason}")


def session(
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="The session's id, or the file of its quote.")
    ],
    receipt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the receipt: .html prints well, .json computes."),
    ] = None,
    vat: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="VAT that the fee contains: 8.1")
    ] = None,
    fiat: Annotated[
        str | None,
        typer.Option(
            metavar="'CUR RATE DATE SOURCE'",
            help="The worth of a whole token: 'CHF 0.7953 2026-01-05 \"National Bank\"'",
        ),
    ] = None,
    seller: Annotated[str | None, typer.Option(help="The advisor's name on the receipt.")] = None,
    buyer: Annotated[str | None, typer.Option(help="The client's name on the receipt.")] = None,
    zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Times in a zone too: Europe/Zurich")
    ] = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Show where a session stands, and write its receipt.

    Example: honorarium session 0x... --receipt receipt.html --vat 8.1
    """
    with connected(rpc, manifest, desk) as contracts:
        if not is_session_id(session) and Path(session).is_file():
            terms = quote_file(Path(session), contracts.escrow).terms
            session_id = terms.session_id(contracts.escrow)
        else:
            session_id = session_id_of(session)
            terms = opened(contracts, session_id).terms
        held = contracts.session(session_id)
        token = contracts.token(terms.token)
        facts: dict[str, Any] = {
            "session": session_id,
            "status": held.status.name.lower() if held.status is not Status.NONE else "not opened",
            **terms_shown(terms, token),
        }
        if held.status not in (Status.NONE, Status.REVOKED):
            facts |= {
                "deposit": token.amount(held.deposit),
                "earned": token.amount(held.earned),
                "refunded" if held.closed_at else "left": token.amount(held.deposit - held.earned),
                "opened_at": moment(held.opened_at),
                "grace_ends": moment(held.closing_at and held.closing_at + terms.close_grace),
                "closed_at": moment(held.closed_at),
                "score": held.score or None,
                "answered": held.answered or None,
            }
        if receipt is not None:
            made = Receipt.from_log(
                contracts.history(session_id),
                session_id,
                contracts.escrow,
                token,
                tip_jar=contracts.tip_jar,
            )
            if seller or buyer:
                made = made.with_contacts(
                    seller=Contact(seller) if seller else None,
                    buyer=Contact(buyer) if buyer else None,
                )
            made = made if vat is None else made.with_vat(vat)
            made = made if fiat is None else made.with_fiat(*_fiat(fiat))
            made = made if zone is None else made.with_zone(zone)
            _write(made, receipt)
            facts["receipt"] = str(receipt)
        show(as_json, {name: value for name, value in facts.items() if value is not None})


def history(
    about: Annotated[
        str,
        typer.Argument(
            metavar="SESSION|ACCOUNT", help="A session's id, the file of its quote, or an address."
        ),
    ],
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """List what the log says of a session or an account, in the order in which it happened.

    Example: honorarium history 0x...
    """
    with connected(rpc, manifest, desk) as contracts:
        if re.fullmatch(r"0x[0-9a-fA-F]{40}", about):
            records = contracts.account_history(account_of(about))
        elif is_session_id(about) or not Path(about).is_file():
            records = contracts.history(session_id_of(about))
        else:
            terms = quote_file(Path(about), contracts.escrow).terms
            records = contracts.history(terms.session_id(contracts.escrow))
        if as_json:
            rows = [
                {
                    "block": record.block,
                    "time": moment(record.time),
                    "transaction": record.tx_hash,
                    "event": type(record.event).__name__,
                    **_fields(record.event),
                }
                for record in records
            ]
            typer.echo(json.dumps(rows, indent=2, default=plain))
            return
        Console().print(_table(contracts, records))


def _table(contracts: Contracts, records: list[LogRecord]) -> Table:
    table = Table(title=f"{len(records):,} events")
    several = len({getattr(record.event, "session_id", None) for record in records}) > 1
    for column in ("time (UTC)", "block", "event", *(("session",) if several else ()), "what"):
        table.add_column(column, no_wrap=column != "what")
    tokens = {
        record.event.session_id: contracts.token(record.event.terms.token)
        for record in records
        if isinstance(record.event, SessionOpened)
    }
    for record in records:
        event = record.event
        session_id = getattr(event, "session_id", b"")
        token = tokens.get(SessionId(session_id))
        cells = [f"{moment(record.time):%Y-%m-%d %H:%M:%S}", f"{record.block:,}"]
        cells.append(type(event).__name__)
        if several:
            cells.append(f"0x{session_id.hex()[:8]}..." if session_id else "")
        table.add_row(*cells, _what(contracts, event, token))
    return table


def _what(contracts: Contracts, event: Event, token: Any) -> str:
    def amount(units: int) -> str:
        return str(token.amount(units)) if token is not None else f"{units} base units"

    if isinstance(event, SessionOpened):
        return f"deposit {amount(event.slot.deposit)}"
    if isinstance(event, ToppedUp):
        return f"deposit {amount(event.deposit)}"
    if isinstance(event, RefundCredited):
        return f"{amount(event.refund)} to the payer's balance"
    if isinstance(event, CloseRequested):
        return f"grace ends {human(moment(event.grace_ends))}"
    if isinstance(event, Rated):
        return f"score {event.score}"
    if isinstance(event, Settled | SessionClosed):
        return f"{event.units:,} units, {amount(event.earned)} earned in all"
    if isinstance(event, Tipped):
        tipped = contracts.token(event.token).amount(event.amount)
        return f"{tipped} to the advisor"
    if isinstance(event, RowSkipped):
        return f"row {event.row}: {event.reason}"
    skip = {"session_id", "advisor", "account", "comment_hash", "answer_hash", "journal"}
    said = {name: value for name, value in _fields(event).items() if name not in skip}
    if {"token", "amount"} <= said.keys():
        said["amount"] = contracts.token(said.pop("token")).amount(said["amount"])
    return ", ".join(f"{name.replace('_', ' ')} {human(v)}" for name, v in said.items())


def _fields(event: Event) -> dict[str, Any]:
    found = {each.name.rstrip("_"): getattr(event, each.name) for each in fields(event)}
    if isinstance(event, SessionOpened):
        return {
            "session_id": event.session_id,
            "advisor": event.advisor,
            "deposit": event.slot.deposit,
            "terms": event.terms.message(),
        }
    if isinstance(event, RowSkipped):
        reason = f"{type(event.reason).__name__}: {event.reason}"
        return {"row": event.row, "session_id": event.session_id, "reason": reason}
    return found


def _fiat(text: str) -> tuple[str, str, str, str]:
    parts = text.split(maxsplit=3)
    if len(parts) != 4:
        raise InputError(
            f"--fiat has {len(parts)} parts and takes 4: currency, rate, date and source, as in "
            "'CHF 0.7953 2026-01-05 National Bank'"
        )
    return parts[0], parts[1], parts[2], parts[3]


def _write(made: Receipt, path: Path) -> None:
    kinds = {".html": made.to_html, ".json": made.to_json}
    if path.suffix not in kinds:
        raise ReceiptNotWritten(path, "its name ends neither in .html nor in .json")
    try:
        path.write_text(kinds[path.suffix](), encoding="utf-8")
    except OSError as error:
        raise ReceiptNotWritten(path, error.strerror or str(error)) from None
