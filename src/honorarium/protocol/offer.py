"""What an advisor offers to anybody, under one name: the price list that quotes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from honorarium.errors import FieldNotUsable
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash
from honorarium.protocol.documents import read_tariff, tariff_record
from honorarium.protocol.records import read_bytes
from honorarium.protocol.refusal import refusal
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import LONGEST_QUOTE, Terms
from honorarium.units import MAX_AMOUNT, Bps, Seconds, UnixTime

_HOUR: Final = Seconds(3600)
_NO_SHARE: Final = Bps(0)
_SOMEBODY: Final = Address(b"\x01" * 20)
_SOMEBODY_ELSE: Final = Address(b"\x02" * 20)


@dataclass(frozen=True, slots=True)
class Offer:
    """A tariff, and what else the terms of a quote say alike for every client.

    `holds`: so many seconds a quote of it holds; `close_grace`: so long who leaves waits.
    """

    token: Address
    tariff: Tariff
    fee_bps: Bps = _NO_SHARE
    fee_recipient: Address = ZERO_ADDRESS
    close_grace: Seconds = _HOUR
    holds: Seconds = _HOUR

    def terms(
        self,
        advisor: Address,
        client: Address,
        payer: Address,
        meter_key: Address,
        *,
        now: int,
        context: Hash = ZERO_HASH,
        salt: int = 0,
    ) -> Terms:
        """The terms for one client."""
        return Terms(
            client=client,
            payer=payer,
            advisor=advisor,
            meter_key=meter_key,
            token=self.token,
            tariff=self.tariff,
            fee_bps=self.fee_bps,
            fee_recipient=self.fee_recipient,
            open_before=UnixTime(now + self.holds),
            close_grace=self.close_grace,
            context=context,
            salt=salt,
        )

    def must_make_sense(self, advisor: Address, escrow: Address) -> None:
        """Raises what the contract would refuse to open, whoever the client is."""
        if not 1 <= self.holds <= LONGEST_QUOTE:
            raise FieldNotUsable("Offer", "holds", self.holds, f"1 to {LONGEST_QUOTE} seconds")
        client, meter = _SOMEBODY, _SOMEBODY_ELSE
        if advisor == _SOMEBODY:
            client = meter = _SOMEBODY_ELSE
        terms = self.terms(advisor, client, client, meter, now=0)
        terms.struct_hash()
        if (found := refusal(terms, MAX_AMOUNT, escrow, UnixTime(0))) is not None:
            raise found

    def covers(self, terms: Terms) -> bool:
        """Whether terms are of this offer, for whichever client and until whenever they hold."""
        return (
            terms.token,
            terms.tariff,
            terms.fee_bps,
            terms.fee_recipient,
            terms.close_grace,
        ) == (self.token, self.tariff, self.fee_bps, self.fee_recipient, self.close_grace)

    def document(self) -> dict[str, Any]:
        """As JSON has it, with the names of the EIP-712 types."""
        return {
            "token": "0x" + self.token.hex(),
            "tariff": tariff_record(self.tariff),
            "feeBps": self.fee_bps,
            "feeRecipient": "0x" + self.fee_recipient.hex(),
            "closeGrace": self.close_grace,
            "holds": self.holds,
        }

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """What `document` gave. Raises one of `documents.UNREADABLE`."""
        return cls(
            token=_account(found["token"]),
            tariff=read_tariff(found["tariff"]),
            fee_bps=Bps(int(found["feeBps"])),
            fee_recipient=_account(found["feeRecipient"]),
            close_grace=Seconds(int(found["closeGrace"])),
            holds=Seconds(int(found["holds"])),
        )


def _account(text: str) -> Address:
    return Address(read_bytes(text.lower(), 20))
