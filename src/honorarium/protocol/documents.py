"""Quotes and vouchers as files that people send each other.

JSON with the names of the EIP-712 types, prices as text because not every reader of JSON keeps 80
bits. Each names its chain and contract, so it is never taken for another deployment's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from honorarium.errors import HonorariumError, InputError
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.journal import Entry
from honorarium.protocol.records import (
    entry_record,
    read_bytes,
    read_entry,
    read_signature,
    reading_record,
)
from honorarium.protocol.signed import Quote, SignedVoucher
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

QUOTE: Final = "honorarium quote 1"
VOUCHER: Final = "honorarium voucher 1"

UNREADABLE: Final = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    HonorariumError,
)
"""What reading a file of any kind makes fail."""


class DocumentUnreadable(InputError):
    """A file that is not the quote or voucher it should be."""

    def __init__(self, wanted: str, reason: str) -> None:
        self.wanted, self.reason = wanted, reason
        super().__init__(
            f"this is no readable {wanted}: {reason}; ask whoever made it to send it once more"
        )


@dataclass(frozen=True, slots=True)
class VoucherDocument:
    """A voucher, where it counts, and the journal that leads to its head (may be left out)."""

    session_id: SessionId
    domain: Domain
    voucher: SignedVoucher
    entries: tuple[Entry, ...] = ()


def write_quote(quote: Quote, domain: Domain) -> str:
    """The quote as the text of a file."""
    rest = {"terms": terms_record(quote.terms), "signature": "0x" + quote.signature.hex()}
    return _text(QUOTE, domain, quote.session_id(domain), rest)


def read_quote(text: str) -> tuple[Quote, Domain]:
    """What `write_quote` wrote. Raises DocumentUnreadable; `Quote.verify` checks who signed."""
    try:
        found, domain, session_id = _parsed(QUOTE, text)
        terms = read_terms(found["terms"])
        if terms.session_id(domain) != session_id:
            raise ValueError("its session is not the one of its terms, chain and contract")
        signature = bytes.fromhex(found["signature"].removeprefix("0x"))
        return Quote(terms, signature), domain
    except UNREADABLE as error:
        raise DocumentUnreadable("quote", reason_of(error)) from None


def write_voucher(
    voucher: SignedVoucher, session_id: SessionId, domain: Domain, entries: Sequence[Entry] = ()
) -> str:
    """The voucher as the text of a file, with the journal behind it."""
    reading = reading_record(voucher.units, voucher.journal, voucher.signature)
    journal = [entry_record(entry) for entry in entries]
    return _text(VOUCHER, domain, session_id, {**reading, "entries": journal})


def read_voucher(text: str) -> VoucherDocument:
    """What `write_voucher` wrote. Raises DocumentUnreadable; `verify` checks who signed."""
    try:
        found, domain, session_id = _parsed(VOUCHER, text)
        units = found["units"]
        if type(units) is not int or not 0 <= units < 2**32:
            raise ValueError(f"{units!r} is no meter reading")
        voucher = SignedVoucher(
            units, Hash(read_bytes(found["journal"], 32)), read_signature(found["signature"])
        )
        entries = tuple(read_entry(entry) for entry in found.get("entries", ()))
        return VoucherDocument(session_id, domain, voucher, entries)
    except UNREADABLE as error:
        raise DocumentUnreadable("voucher", reason_of(error)) from None


def _text(kind: str, domain: Domain, session_id: SessionId, rest: Mapping[str, Any]) -> str:
    document = {
        "kind": kind,
        "chainId": domain.chain_id,
        "contract": "0x" + domain.contract.hex(),
        "session": "0x" + session_id.hex(),
        **rest,
    }
    return json.dumps(document, indent=2) + "\n"


def _parsed(kind: str, text: str) -> tuple[dict[str, Any], Domain, SessionId]:
    found = json.loads(text, object_pairs_hook=_object)
    if not isinstance(found, dict):
        raise ValueError(f"it is {text.strip()[:20]!r}, and no object")
    if found["kind"] != kind:
        raise ValueError(f"it says it is a {found['kind']!r}, not a {kind!r}")
    domain = Domain(_number(found["chainId"]), Address(read_bytes(found["contract"], 20)))
    return found, domain, SessionId(read_bytes(found["session"], 32))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. One name twice is read in two ways by two readers, so by none here."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it says {twice[:40]!r} twice")
    return found


def tariff_record(tariff: Tariff) -> dict[str, Any]:
    """The tariff as an object of JSON."""
    return {
        "connectFee": str(tariff.connect_fee),
        "unitPrice": str(tariff.unit_price),
        "unitSeconds": tariff.unit_seconds,
        "includedUnits": tariff.included_units,
        "stepUnits": tariff.step_units,
        "stepPrice": str(tariff.step_price),
        "maxUnits": tariff.max_units,
    }


def read_tariff(found: Mapping[str, Any]) -> Tariff:
    """What `tariff_record` wrote. Raises one of UNREADABLE."""
    return Tariff(
        connect_fee=BaseUnits(_number(found["connectFee"])),
        unit_price=BaseUnits(_number(found["unitPrice"])),
        unit_seconds=Seconds(_number(found["unitSeconds"])),
        included_units=_number(found["includedUnits"]),
        step_units=_number(found["stepUnits"]),
        step_price=BaseUnits(_number(found["stepPrice"])),
        max_units=_number(found["maxUnits"]),
    )


def terms_record(terms: Terms) -> dict[str, Any]:
    """The terms as an object of JSON."""
    message = terms.message()
    return {**message, "tariff": tariff_record(terms.tariff), "salt": str(message["salt"])}


def read_terms(found: Mapping[str, Any]) -> Terms:
    """What `terms_record` wrote. Raises one of UNREADABLE."""
    return Terms(
        client=_account(found["client"]),
        payer=_account(found["payer"]),
        advisor=_account(found["advisor"]),
        meter_key=_account(found["meterKey"]),
        token=_account(found["token"]),
        tariff=read_tariff(found["tariff"]),
        fee_bps=Bps(_number(found["feeBps"])),
        fee_recipient=_account(found["feeRecipient"]),
        open_before=UnixTime(_number(found["openBefore"])),
        close_grace=Seconds(_number(found["closeGrace"])),
        context=Hash(read_bytes(found["context"], 32)),
        salt=_number(found["salt"]),
    )


def _account(text: object) -> Address:
    return Address(read_bytes(text, 20))


def _number(given: object) -> int:
    """A whole number, as JSON has it or as its digits."""
    if type(given) is int:
        return given
    if isinstance(given, str) and given.isascii() and given.isdigit():
        return int(given)
    raise ValueError(f"{given!r} is no whole number")


def reason_of(error: Exception) -> str:
    """Why something could not be read, for whoever sent it."""
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
