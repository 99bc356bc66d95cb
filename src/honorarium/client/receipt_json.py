"""A receipt for machines: docs/receipts.md has the fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from honorarium.bill.text import checksummed, hexed, utc
from honorarium.money import Token
from honorarium.units import UnixTime, format_amount

if TYPE_CHECKING:
    from honorarium.bill.log import Tip
    from honorarium.client.receipt import Contact, Receipt

VERSION: Final = 1
"""Of the JSON form. Fields may be added; whatever changes a field's meaning makes a new version."""


def as_json(receipt: Receipt) -> str:
    return json.dumps(as_dict(receipt), indent=2) + "\n"


def as_dict(receipt: Receipt) -> dict[str, Any]:
    r, terms, tariff = receipt, receipt.terms, receipt.terms.tariff

    def money(base_units: int, token: Token = receipt.token) -> dict[str, str]:
        decimal = format_amount(base_units, token.decimals)
        return {"base_units": str(base_units), "decimal": decimal}

    def time(moment: UnixTime | None) -> dict[str, Any] | None:
        if moment is None:
            return None
        local = utc(moment).astimezone(r.zone).isoformat() if r.zone else None
        return {"unix": moment, "utc": f"{utc(moment):%Y-%m-%dT%H:%M:%SZ}", "local": local}

    def tip(each: Tip) -> dict[str, Any]:
        own = each.token == r.token.address
        return {
            "from": checksummed(each.tipper),
            "token": checksummed(each.token),
            "amount": money(each.amount)
            if own
            else {"base_units": str(each.amount), "decimal": None},
            "memo": hexed(each.memo),
            "time": time(each.time),
            "transaction": hexed(each.tx_hash),
        }

    return {
        "type": "honorarium-receipt",
        "version": VERSION,
        "provisional": r.provisional,
        "status": r.status.name.lower(),
        "session_id": hexed(r.session_id),
        "chain_id": r.domain.chain_id,
        "escrow": checksummed(r.domain.contract),
        "tip_jar": checksummed(r.tip_jar) if r.tip_jar is not None else None,
        "token": {
            "address": checksummed(r.token.address),
            "symbol": r.token.symbol,
            "decimals": r.token.decimals,
        },
        "parties": {
            "client": checksummed(terms.client),
            "payer": checksummed(terms.payer),
            "advisor": checksummed(terms.advisor),
            "meter_key": checksummed(terms.meter_key),
            "platform": checksummed(terms.fee_recipient) if terms.fee_bps else None,
        },
        "tariff": {
            "connect_fee": money(tariff.connect_fee),
            "unit_price": money(tariff.unit_price),
            "unit_seconds": tariff.unit_seconds,
            "included_units": tariff.included_units,
            "step_units": tariff.step_units,
            "step_price": money(tariff.step_price),
            "max_units": tariff.max_units,
            "words": list(r.tariff_words),
        },
        "units": r.units,
        "lines": [
            {
                "kind": line.kind,
                "text": line.text,
                "quantity": line.quantity,
                "price": None if line.price is None else money(line.price),
                "amount": money(line.amount),
            }
            for line in r.lines
        ],
        "fee": money(r.fee.base_units),
        "platform_bps": terms.fee_bps,
        "platform_share": money(r.platform_share.base_units),
        "advisor_net": money(r.advisor_net.base_units),
        "deposits": [
            {
                "amount": money(each.amount),
                "total": money(each.total),
                "from": "balance" if each.from_balance else "wallet",
                "time": time(each.time),
                "transaction": hexed(each.tx_hash),
            }
            for each in r.fundings
        ],
        "deposit": money(r.deposit.base_units),
        "refund": money(r.refund.base_units),
        "refund_to": r.refund_to,
        "tips": [tip(each) for each in r.tips],
        "tips_of_others": r.tips_of_others,
        "tipped": money(r.tipped.base_units),
        "total": money(r.total.base_units),
        "times": {
            "zone": r.zone.key if r.zone else None,
            "opened": time(r.opened_at),
            "answered": time(r.answered_at),
            "closing": time(r.closing_at),
            "grace_ends": time(r.grace_ends),
            "closed": time(r.closed_at),
        },
        "rating": None
        if r.rating is None
        else {"score": r.rating.score, "comment_hash": hexed(r.rating.comment_hash)},
        "answer_hash": None if r.answer_hash is None else hexed(r.answer_hash),
        "transactions": [
            {
                "hash": hexed(step.tx_hash),
                "block": step.block,
                "time": time(step.time),
                "did": [{"event": did.event, "text": did.text} for did in step.did],
            }
            for step in r.steps
        ],
        "seller": _contact(r.seller),
        "buyer": _contact(r.buyer),
        "vat": _vat(r),
        "fiat": _fiat(r),
    }


def _contact(contact: Contact | None) -> dict[str, Any] | None:
    if contact is None:
        return None
    return {"name": contact.name, "vat_id": contact.vat_id, "lines": list(contact.lines)}


def _vat(r: Receipt) -> dict[str, Any] | None:
    if r.vat is None:
        return None
    net, vat = r.vat.split(r.fee.base_units)
    parts = {"net": net, "vat": vat, "gross": net + vat}
    return {
        "percent": f"{r.vat.percent:f}",
        "rounding": "half-up",
        "note": r.vat.note,
        **{
            name: {"base_units": str(each), "decimal": format_amount(each, r.token.decimals)}
            for name, each in parts.items()
        },
    }


def _fiat(r: Receipt) -> dict[str, Any] | None:
    if r.fiat is None:
        return None
    fee, tips = (r.fiat.value(int(each), r.token) for each in (r.fee, r.tipped))
    parts = {"fee": fee, "tips": tips, "total": fee + tips}
    if r.vat is not None:
        parts["fee_net"], parts["fee_vat"] = r.vat.split(fee)
    return {
        "currency": r.fiat.currency,
        "rate": f"{r.fiat.rate:f}",
        "on": r.fiat.on.isoformat(),
        "source": r.fiat.source,
        "rounding": "half-up",
        **{name: f"{_fixed(each, r.fiat.places)}" for name, each in parts.items()},
    }


def _fixed(minor: int, places: int) -> str:
    return f"{minor // 10**places}.{minor % 10**places:0{places}}" if places else str(minor)
