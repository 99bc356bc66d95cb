"""A receipt for people: one page of HTML.

Whatever somebody else chose (a token's symbol, names, notes) may be hostile: the page escapes it,
shows no control characters, and holds no script and no link to anywhere.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

from honorarium.bill.lines import Line, counted, unit_name, units_name, with_places
from honorarium.bill.text import checksummed, hexed, template, utc, when
from honorarium.ids import ZERO_HASH, Address
from honorarium.units import UnixTime, format_amount

if TYPE_CHECKING:
    from honorarium.client.receipt import Contact, Receipt

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


# ---------------------------------------------------------------------------------------- HTML


class Number(NamedTuple):
    """An amount in two pieces that columns align between."""

    whole: str
    fraction: str


class Row(NamedTuple):
    """A line of a table of money."""

    text: str
    detail: str
    number: Number
    kind: str = ""


class Column(NamedTuple):
    """Rows whose decimal points stand below each other, and the places that this takes."""

    rows: tuple[Row, ...]

    @property
    def places(self) -> int:
        return max((len(row.number.fraction) for row in self.rows), default=0)


def as_html(receipt: Receipt) -> str:
    r, token, tariff = receipt, receipt.token, receipt.terms.tariff

    def row(text: str, base_units: int, detail: str = "", kind: str = "") -> Row:
        return Row(text, detail, _number(base_units, token.decimals), kind)

    bill = [
        row(line.text, line.amount, _detail(line, r), "off" if line.amount < 0 else "")
        for line in r.lines
    ]
    bill.append(row("Fee so far" if r.provisional else "Fee", int(r.fee), kind="sum"))
    if r.tipped:
        bill.append(row("Tips", int(r.tipped)))
        bill.append(row("Total", int(r.total), kind="sum"))
    back = {"wallet": "to the payer's wallet", "balance": "to the payer's balance", "nobody": ""}
    money = [
        row("Deposit" if n == 0 else "Top-up", each.amount, when(each.time))
        for n, each in enumerate(r.fundings)
    ]
    if len(money) > 1:
        money.append(row("Paid in", int(r.deposit), kind="sum"))
    money.append(row("To the advisor", int(r.advisor_net), kind="advisor"))
    if r.terms.fee_bps:
        share = f"{format_amount(r.terms.fee_bps, 2)} % of the fee"
        money.append(row("To the platform", int(r.platform_share), share, "platform"))
    left = "Not spent yet" if r.provisional else "Refund"
    money.append(row(left, int(r.refund), "" if r.provisional else back[r.refund_to], "refund"))
    parts = [int(r.advisor_net), int(r.platform_share), int(r.refund)]
    return template("honorarium.client", "receipt.html.j2").render(
        r=r,
        token=token,
        total=_number(int(r.total), token.decimals),
        counted=counted(r.units, tariff),
        bill=Column(tuple(bill)),
        money=Column(tuple(money)),
        bar=[1000 * part // (sum(parts) or 1) for part in parts],
        vat=_vat_column(r),
        fiat=_fiat_column(r),
        parties=_parties(r),
        times=_times(r),
        unit=unit_name(tariff),
        units=units_name(tariff),
        timed=bool(tariff.unit_seconds),
        tips_elsewhere=any(tip.token != token.address for tip in r.tips),
        commented=r.rating is not None and r.rating.comment_hash != ZERO_HASH,
        address=checksummed,
        hex=hexed,
        when=when,
        local=lambda moment: _local(moment, r),
        day=_day,
        session=hexed(r.session_id),
    )


def _detail(line: Line, r: Receipt) -> str:
    if line.quantity is None:
        return ""
    if not line.price:
        return counted(line.quantity, r.terms.tariff)
    return f"{line.quantity:,} \u00d7 {with_places(line.price, r.token.decimals)}"


def _vat_column(r: Receipt) -> Column | None:
    if r.vat is None:
        return None
    net, vat = r.vat.split(int(r.fee))
    percent = f"{r.vat.percent:f}"
    return Column(
        (
            Row("Net", "", _number(net, r.token.decimals)),
            Row(f"VAT {percent} %", r.vat.note, _number(vat, r.token.decimals)),
            Row("Fee, VAT included", "", _number(net + vat, r.token.decimals), "sum"),
        )
    )


def _fiat_column(r: Receipt) -> Column | None:
    if r.fiat is None:
        return None
    places, fee, tips = r.fiat.places, *(r.fiat.value(int(a), r.token) for a in (r.fee, r.tipped))
    rows: list[Row] = []

    def row(text: str, minor: int, kind: str = "") -> None:
        rows.append(Row(text, "", _number(minor, places, places), kind))

    if r.vat is not None:
        net, vat = r.vat.split(fee)
        row("Net", net)
        row(f"VAT {r.vat.percent:f} %", vat)
    row("Fee", fee, "sum" if r.vat is not None or not tips else "")
    if tips:
        row("Tips", tips)
        row("Total", fee + tips, "sum")
    return Column(tuple(rows))


def _parties(r: Receipt) -> list[tuple[str, Contact | None, Address]]:
    found = [("Advisor", r.seller, r.terms.advisor), ("Client", r.buyer, r.terms.client)]
    if r.terms.payer != r.terms.client:
        found.append(("Paid by", None, r.terms.payer))
    if r.terms.fee_bps:
        found.append(("Platform", None, r.terms.fee_recipient))
    return found


def _times(r: Receipt) -> list[tuple[str, UnixTime, str]]:
    found = (
        ("Opened", r.opened_at, ""),
        ("Answered", r.answered_at, "by the meter's clock"),
        ("Asked to close", r.closing_at, ""),
        ("Grace ends", None if r.closed_at else r.grace_ends, ""),
        ("Closed", r.closed_at, ""),
    )
    return [(what, at, note) for what, at, note in found if at is not None]


# ------------------------------------------------------------------------------------- numbers


def _number(amount: int, decimals: int, places: int = 2) -> Number:
    whole, point, fraction = with_places(amount, decimals, places).partition(".")
    return Number(whole.replace("-", "\u2212"), point + fraction)


# --------------------------------------------------------------------------------- times, text


def _local(time: UnixTime, r: Receipt) -> str:
    return f"{utc(time).astimezone(r.zone):%Y-%m-%d %H:%M:%S %Z}" if r.zone else ""


def _day(time: UnixTime, r: Receipt) -> str:
    at = utc(time).astimezone(r.zone or dt.UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"
