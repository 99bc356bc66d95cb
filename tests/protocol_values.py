"""Random values of the protocol, for property tests and for comparisons with the contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.messages import (
    Acknowledgement,
    Answer,
    Closing,
    Leaving,
    Message,
    Opening,
    Permit,
    Rating,
    ReceiveWithAuthorization,
    Revocation,
    TopUp,
    Voucher,
    Withdrawal,
)
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

# A busy machine is no failure of the code: pytest's own timeout ends what hangs.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def uint(bits: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from((0, 1, 2**bits - 1)), st.integers(0, 2**bits - 1))


addresses = st.binary(min_size=20, max_size=20).map(Address)
somebody = addresses.filter(any)
hashes = st.binary(min_size=32, max_size=32).map(Hash)
session_ids = hashes.map(SessionId)
amounts = uint(80).map(BaseUnits)
times = uint(40).map(UnixTime)

domains = st.builds(Domain, st.integers(1, 2**64 - 1), addresses)

tariffs = st.builds(
    Tariff,
    connect_fee=amounts,
    unit_price=amounts,
    unit_seconds=uint(32).map(Seconds),
    included_units=uint(32),
    step_units=uint(32),
    step_price=amounts,
    max_units=uint(32),
)

sponsored = st.builds(
    Terms,
    client=somebody,
    payer=somebody,
    advisor=addresses,
    meter_key=addresses,
    token=addresses,
    tariff=tariffs,
    fee_bps=uint(16).map(Bps),
    fee_recipient=addresses,
    open_before=times,
    close_grace=uint(24).map(Seconds),
    context=hashes,
    salt=uint(96),
)
terms = st.one_of(sponsored, sponsored.map(lambda t: replace(t, payer=t.client)))

MESSAGES: dict[type[Message], st.SearchStrategy[Message]] = {
    Acknowledgement: st.builds(Acknowledgement, session_ids, uint(32), hashes),
    Answer: st.builds(Answer, session_ids, hashes),
    Closing: st.builds(Closing, session_ids, uint(32), hashes, times),
    Leaving: st.builds(Leaving, session_ids),
    Opening: st.builds(Opening, terms, amounts),
    Rating: st.builds(Rating, session_ids, uint(8), hashes),
    ReceiveWithAuthorization: st.builds(
        ReceiveWithAuthorization,
        addresses,
        addresses,
        uint(256).map(BaseUnits),
        uint(256).map(UnixTime),
        uint(256).map(UnixTime),
        hashes,
    ),
    Revocation: st.builds(Revocation, session_ids),
    TopUp: st.builds(TopUp, session_ids, amounts),
    Voucher: st.builds(Voucher, session_ids, uint(32), hashes),
    Withdrawal: st.builds(
        Withdrawal,
        addresses,
        addresses,
        uint(256).map(BaseUnits),
        addresses,
        uint(256),
        uint(256).map(UnixTime),
    ),
}

"""What the contracts read, and acknowledgements."""

SIGNED: dict[type[Message], st.SearchStrategy[Message]] = {
    **MESSAGES,
    Permit: st.builds(
        Permit, addresses, addresses, uint(256).map(BaseUnits), uint(256), uint(256).map(UnixTime)
    ),
}
"""What is ever signed: tokens read permits."""


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def tariff_of(t: dict[str, Any]) -> Tariff:
    """The tariff of what a wallet shows."""
    return Tariff(
        connect_fee=BaseUnits(int(t["connectFee"])),
        unit_price=BaseUnits(int(t["unitPrice"])),
        unit_seconds=Seconds(t["unitSeconds"]),
        included_units=t["includedUnits"],
        step_units=t["stepUnits"],
        step_price=BaseUnits(int(t["stepPrice"])),
        max_units=t["maxUnits"],
    )


def terms_of(t: dict[str, Any]) -> Terms:
    """The terms of what a wallet shows."""
    return Terms(
        client=Address(raw(t["client"])),
        payer=Address(raw(t["payer"])),
        advisor=Address(raw(t["advisor"])),
        meter_key=Address(raw(t["meterKey"])),
        token=Address(raw(t["token"])),
        tariff=tariff_of(t["tariff"]),
        fee_bps=Bps(t["feeBps"]),
        fee_recipient=Address(raw(t["feeRecipient"])),
        open_before=UnixTime(t["openBefore"]),
        close_grace=Seconds(t["closeGrace"]),
        context=Hash(raw(t["context"])),
        salt=int(t["salt"]),
    )
