"""Where a desk takes what was signed: each call of the contracts has one place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from honorarium.chain import NotRelayable, Relayable
from honorarium.chain.abi import decode_call
from honorarium.chain.node import to_hex
from honorarium.ids import SessionId
from honorarium.protocol import Domain, Quote, SignedVoucher, Terms
from honorarium.protocol.documents import write_quote
from honorarium.protocol.keys import Signature


@dataclass(frozen=True, slots=True)
class Handing:
    """What is posted, and where."""

    path: str
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Wish:
    """A settlement: the desk settles many sessions in one transaction, whenever it does."""

    terms: Terms
    voucher: SignedVoucher


def session_path(session_id: bytes, what: str = "") -> str:
    """A session's own address at the desk, or something below it."""
    return f"/v1/sessions/{to_hex(session_id)}" + (f"/{what}" if what else "")


def handing(signed: Relayable, escrow: Domain) -> Handing | Wish:
    """Where it goes. Raises NotRelayable for what no desk sends."""
    try:
        name, values = decode_call(signed.data)
    except ValueError as error:
        raise NotRelayable(signed.action, str(error)) from None
    if name == "settle":
        return Wish(Terms.unpack(list(values[0][0])), _voucher(values[0][1]))
    relayable = {"relayable": json.loads(signed.to_json())}
    if name in _PLAIN:
        return Handing(_PLAIN[name], relayable)
    if name in _OPENINGS:
        quote = _OPENINGS[name](values)
        document = json.loads(write_quote(quote, escrow))
        return Handing("/v1/sessions", {"quote": document, **relayable})
    if name not in _OF_SESSION:
        raise NotRelayable(signed.action, f"a desk does not send {name}")
    what, id_of = _OF_SESSION[name]
    path = session_path(id_of(values, escrow), what)
    return Handing(path, None if name == "finalize" else relayable)


def _id(packed: Any, escrow: Domain) -> SessionId:
    return Terms.unpack(list(packed)).session_id(escrow)


def _terms_first(values: Any, escrow: Domain) -> SessionId:
    return _id(values[0], escrow)


def _row_first(values: Any, escrow: Domain) -> SessionId:
    return _id(values[0][0], escrow)


def _tipped(values: Any, _: Domain) -> SessionId:
    return SessionId(values[2])


def _voucher(reading: Any) -> SignedVoucher:
    units, journal, r, vs = reading
    return SignedVoucher(units, journal, Signature.from_bytes(r + vs))


_PLAIN: Final = {
    "depositWithAuthorization": "/v1/deposits",
    "withdrawFor": "/v1/withdrawals",
}
_OPENINGS: Final[dict[str, Callable[[Any], Quote]]] = {
    "openWithAuthorization": lambda values: Quote(Terms.unpack(list(values[0])), values[3]),
    "openFromBalance": lambda values: Quote(Terms.unpack(list(values[0][0])), values[0][2]),
}
_OF_SESSION: Final[dict[str, tuple[str, Callable[[Any, Domain], SessionId]]]] = {
    "revoke": ("revoke", _terms_first),
    "topUpWithAuthorization": ("top-up", _terms_first),
    "topUpFromBalance": ("top-up", _terms_first),
    "closeFor": ("close", _row_first),
    "requestClose": ("leave", _terms_first),
    "finalize": ("finalize", _terms_first),
    "rate": ("rate", _terms_first),
    "answer": ("answer", _terms_first),
    "tipWithAuthorization": ("tip", _tipped),
}
