"""The agreement of a session. Its EIP-712 digest is the session's id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from honorarium.errors import FieldNotUsable
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.typed_data import Domain, struct_hash
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

LONGEST_UNIT: Final = Seconds(86_400)
SHORTEST_GRACE: Final = Seconds(600)
LONGEST_GRACE: Final = Seconds(7 * 86_400)
LONGEST_QUOTE: Final = Seconds(30 * 86_400)

PACKED_WORDS: Final = 7
_PACKED: Final = Struct(">20s10sH 20s10s2s 20s10s2s 20sIII 20sI5s3s 20s12s 32s")
"""The fields of the seven words, in their order (PackedTerms in Terms.sol)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Who advises whom, who pays, at which tariff, and until when the offer holds.

    `token` zero is the chain's own coin. `fee_bps` of the fee go to `fee_recipient`, the platform.
    A session opens before `open_before` (exclusive); who leaves it waits `close_grace`. `context`
    commits to what else was agreed, blinded; `salt` (96 bits) only makes ids unique.
    """

    client: Address
    payer: Address
    advisor: Address
    meter_key: Address
    token: Address
    tariff: Tariff
    fee_bps: Bps
    fee_recipient: Address
    open_before: UnixTime
    close_grace: Seconds
    context: Hash
    salt: int

    def struct_hash(self) -> bytes:
        """EIP-712 hashStruct, 32 bytes."""
        t = self.tariff
        return struct_hash(
            "Terms",
            self.client,
            self.payer,
            self.advisor,
            self.meter_key,
            self.token,
            struct_hash(
                "Tariff",
                t.connect_fee,
                t.unit_price,
                t.unit_seconds,
                t.included_units,
                t.step_units,
                t.step_price,
                t.max_units,
            ),
            self.fee_bps,
            self.fee_recipient,
            self.open_before,
            self.close_grace,
            self.context,
            self.salt,
        )

    def session_id(self, domain: Domain) -> SessionId:
        """The id of a session of these terms in the escrow of `domain`; also what a quote signs."""
        return SessionId(domain.digest(self.struct_hash()))

    def smallest_deposit(self) -> BaseUnits:
        """The connect fee and the first unit that costs something, in base units."""
        t = self.tariff
        cap = t.max_units or 2**32 - 1
        first = 0
        if t.unit_price and t.included_units < cap:
            first = t.unit_price
        elif t.step_units and t.step_units < cap:
            first = t.step_price
        return BaseUnits(t.connect_fee + first)

    def whole_deposit(self) -> BaseUnits:
        """The fee for all units of the tariff; without a cap, the smallest deposit. Base units."""
        cap = self.tariff.max_units
        return self.tariff.fee(cap) if cap else self.smallest_deposit()

    def pack(self) -> tuple[bytes, ...]:
        """The seven words that travel in calldata and stand in the log (PackedTerms in Terms.sol).

        A payer who is the client is written as zero. Raises FieldNotUsable if a value has no room
        in its field, or if nobody is the payer.
        """
        self.struct_hash()
        if self.payer == ZERO_ADDRESS != self.client:
            raise FieldNotUsable("Terms", "payer", self.payer, "the client or somebody else")
        payer = ZERO_ADDRESS if self.payer == self.client else self.payer
        t = self.tariff
        return (
            self.client + _bits((t.connect_fee, 80), (self.fee_bps, 16)),
            payer + _bits((t.unit_price, 80), (0, 16)),
            self.advisor + _bits((t.step_price, 80), (0, 16)),
            self.meter_key
            + _bits((t.unit_seconds, 32), (t.included_units, 32), (t.step_units, 32)),
            self.token + _bits((t.max_units, 32), (self.open_before, 40), (self.close_grace, 24)),
            self.fee_recipient + _bits((self.salt, 96)),
            bytes(self.context),
        )

    @classmethod
    def unpack(cls, words: tuple[bytes, ...] | list[bytes], *, canonical: bool = True) -> Terms:
        """The terms of seven packed words. Raises ValueError if they are not seven times 32 bytes,
        or if `canonical` and not in the one form that `pack` gives. The contract asks for that
        form when a session opens; afterwards it knows the terms by their hash.
        """
        if len(words) != PACKED_WORDS or any(len(w) != 32 for w in words):
            raise ValueError(f"packed terms are {PACKED_WORDS} words of 32 bytes")
        return cls._unpack(b"".join(words), canonical)

    @classmethod
    def _unpack(cls, packed: bytes, canonical: bool) -> Terms:
        (
            client,
            connect_fee,
            fee_bps,
            payer,
            unit_price,
            beside_payer,
            advisor,
            step_price,
            beside_advisor,
            meter,
            unit_seconds,
            included_units,
            step_units,
            token,
            max_units,
            open_before,
            close_grace,
            recipient,
            salt,
            context,
        ) = _PACKED.unpack(packed)
        if canonical:
            for name, rest in (("payer", beside_payer), ("advisor", beside_advisor)):
                if rest != b"\0\0":
                    raise ValueError(f"the last 16 bits beside the {name} are not zero")
            if payer == client != ZERO_ADDRESS:
                raise ValueError("a payer who is the client is written as zero")
        return cls(
            client=client,
            payer=client if payer == ZERO_ADDRESS else payer,
            advisor=advisor,
            meter_key=meter,
            token=token,
            tariff=_tariff(
                connect_fee,
                unit_price,
                unit_seconds,
                included_units,
                step_units,
                step_price,
                max_units,
            ),
            fee_bps=fee_bps,
            fee_recipient=recipient,
            open_before=_int(open_before),
            close_grace=_int(close_grace),
            context=context,
            salt=_int(salt),
        )

    def message(self) -> dict[str, Any]:
        """The terms as a wallet shows them: names and values of the EIP-712 type."""
        t = self.tariff
        return {
            "client": "0x" + self.client.hex(),
            "payer": "0x" + self.payer.hex(),
            "advisor": "0x" + self.advisor.hex(),
            "meterKey": "0x" + self.meter_key.hex(),
            "token": "0x" + self.token.hex(),
            "tariff": {
                "connectFee": t.connect_fee,
                "unitPrice": t.unit_price,
                "unitSeconds": t.unit_seconds,
                "includedUnits": t.included_units,
                "stepUnits": t.step_units,
                "stepPrice": t.step_price,
                "maxUnits": t.max_units,
            },
            "feeBps": self.fee_bps,
            "feeRecipient": "0x" + self.fee_recipient.hex(),
            "openBefore": self.open_before,
            "closeGrace": self.close_grace,
            "context": "0x" + self.context.hex(),
            "salt": self.salt,
        }


@lru_cache(maxsize=4096)
def unpacked(packed: bytes, canonical: bool = True) -> Terms:
    """As `Terms.unpack`, of the words one behind the other: a session's terms travel with every
    call and stand in the log too, so that the last few thousand are kept.
    """
    if len(packed) != 32 * PACKED_WORDS:
        raise ValueError(f"packed terms are {PACKED_WORDS} words of 32 bytes")
    return Terms._unpack(packed, canonical)


@lru_cache(maxsize=256)
def _tariff(
    connect_fee: bytes,
    unit_price: bytes,
    unit_seconds: Seconds,
    included_units: int,
    step_units: int,
    step_price: bytes,
    max_units: int,
) -> Tariff:
    """A tariff as it is packed; an advisor offers the same one again and again."""
    return Tariff(
        _int(connect_fee),
        _int(unit_price),
        unit_seconds,
        included_units,
        step_units,
        _int(step_price),
        max_units,
    )


def _bits(*parts: tuple[int, int]) -> bytes:
    return b"".join(value.to_bytes(width // 8, "big") for value, width in parts)


_int: Final[Callable[[bytes], Any]] = int.from_bytes  # big endian
