"""Terms for tests that need some, and everybody's signatures of them."""

from __future__ import annotations

from dataclasses import dataclass

from honorarium.ids import ZERO_HASH, Address
from honorarium.protocol.keys import Key
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

CENT_A_SECOND = Tariff(BaseUnits(0), BaseUnits(10_000), Seconds(1), 0, 0, BaseUnits(0), 3600)


@dataclass(frozen=True)
class Parties:
    """Who has a part in a session; the client pays."""

    client: Key
    advisor: Key
    platform: Key
    meter: Key


def terms_of(parties: Parties, token: Address, now: int, *, salt: int = 0) -> Terms:
    """A cent a second, an hour at most, 10 % the platform's; the quote holds an hour from `now`."""
    return Terms(
        client=parties.client.address,
        payer=parties.client.address,
        advisor=parties.advisor.address,
        meter_key=parties.meter.address,
        token=token,
        tariff=CENT_A_SECOND,
        fee_bps=Bps(1000),
        fee_recipient=parties.platform.address,
        open_before=UnixTime(now + 3600),
        close_grace=Seconds(600),
        context=ZERO_HASH,
        salt=salt,
    )
