"""Sessions' ids, worked out again from terms that were read out of words."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final

from honorarium.audit.signed import digest_under
from honorarium.hashing import keccak
from honorarium.ids import SessionId
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import TYPEHASH, Domain

_TARIFF: Final = TYPEHASH["Tariff"]
_TERMS: Final = TYPEHASH["Terms"]
_NUMBERS_OF_TARIFF: Final = Struct(">22x10s 22x10s 28xI 28xI 28xI 22x10s 28xI")
_WORDS_OF_TERMS: Final = Struct(
    ">12x20s 12x20s 12x20s 12x20s 12x20s 32s 30xH 12x20s 24xQ 28xI 32s 20x12s"
)
_KEPT_IDS: Final = 8192


class SessionIds:
    """The ids of terms. Whoever reads terms gives the same object for the same words, so that an
    object is asked for its id again and again.
    """

    __slots__ = ("_domain", "_known")

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._known: dict[int, tuple[Terms, SessionId]] = {}  # as long as it is here, it lives

    def of(self, terms: Terms) -> SessionId:
        known = self._known.get(id(terms))
        if known is None:
            if len(self._known) >= _KEPT_IDS:
                self._known.clear()
            known = self._known[id(terms)] = terms, _id_of(terms, self._domain)
        return known[1]


def _id_of(terms: Terms, domain: Domain) -> SessionId:
    """As `Terms.session_id`, of terms that were read out of words and so fit their fields."""
    packed = _WORDS_OF_TERMS.pack(
        terms.client,
        terms.payer,
        terms.advisor,
        terms.meter_key,
        terms.token,
        _tariff_hash(terms.tariff),
        terms.fee_bps,
        terms.fee_recipient,
        terms.open_before,
        terms.close_grace,
        terms.context,
        terms.salt.to_bytes(12, "big"),
    )
    return SessionId(digest_under(domain.separator, keccak(_TERMS + packed)))


@lru_cache(maxsize=256)
def _tariff_hash(tariff: Tariff) -> bytes:
    return keccak(
        _TARIFF
        + _NUMBERS_OF_TARIFF.pack(
            tariff.connect_fee.to_bytes(10, "big"),
            tariff.unit_price.to_bytes(10, "big"),
            tariff.unit_seconds,
            tariff.included_units,
            tariff.step_units,
            tariff.step_price.to_bytes(10, "big"),
            tariff.max_units,
        )
    )
