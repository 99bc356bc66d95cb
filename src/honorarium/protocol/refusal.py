"""Why nobody could open a session of some terms: what the contract says first, said before it."""

from __future__ import annotations

from honorarium.errors import (
    CapWithinFreeUnits,
    ContractError,
    DepositTooSmall,
    GraceOutOfRange,
    InvalidParty,
    NothingToPay,
    Party,
    QuoteExpired,
    QuoteTooFarAhead,
    ShareTooHigh,
    ShareWithoutRecipient,
    StepInsideFreeUnits,
    StepPriceWithoutStep,
    UnitTooLong,
)
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import (
    LONGEST_GRACE,
    LONGEST_QUOTE,
    LONGEST_UNIT,
    SHORTEST_GRACE,
    Terms,
)
from honorarium.units import WHOLE_SHARE, BaseUnits, UnixTime


def refusal(
    terms: Terms, deposit: BaseUnits, escrow: Address, time: UnixTime
) -> ContractError | None:
    """The error with which `escrow` would refuse to open `terms` with `deposit` at `time`.

    None if the terms make sense. Signatures and funds are other questions. Where several things are
    wrong it is the one that the contract names (`TermsLib.refusal` in Terms.sol, ESC-19).
    """
    return (
        _of_tariff(terms.tariff)
        or _of_share(terms)
        or _of_times(terms, time)
        or _of_deposit(terms, deposit)
        or _of_parties(terms, escrow)
    )


def _of_tariff(t: Tariff) -> ContractError | None:
    if t.step_units == 0:
        if t.step_price:
            return StepPriceWithoutStep(t.step_price)
    elif t.step_units <= t.included_units:
        return StepInsideFreeUnits(t.step_units, t.included_units)
    if t.unit_seconds > LONGEST_UNIT:
        return UnitTooLong(t.unit_seconds, LONGEST_UNIT)
    return None


def _of_share(terms: Terms) -> ContractError | None:
    if terms.fee_bps > WHOLE_SHARE:
        return ShareTooHigh(terms.fee_bps, WHOLE_SHARE)
    if terms.fee_bps and terms.fee_recipient == ZERO_ADDRESS:
        return ShareWithoutRecipient(terms.fee_bps)
    return None


def _of_times(terms: Terms, time: UnixTime) -> ContractError | None:
    if not SHORTEST_GRACE <= terms.close_grace <= LONGEST_GRACE:
        return GraceOutOfRange(terms.close_grace, SHORTEST_GRACE, LONGEST_GRACE)
    if terms.open_before <= time:
        return QuoteExpired(terms.open_before, time)
    if terms.open_before > time + LONGEST_QUOTE:
        return QuoteTooFarAhead(terms.open_before, time + LONGEST_QUOTE)
    return None


def _of_deposit(terms: Terms, deposit: BaseUnits) -> ContractError | None:
    needed = terms.smallest_deposit()
    t = terms.tariff
    if needed == 0:
        if t.max_units and t.max_units <= t.included_units:
            return CapWithinFreeUnits(t.max_units, t.included_units)
        return NothingToPay()
    return DepositTooSmall(needed, deposit) if deposit < needed else None


def _of_parties(terms: Terms, escrow: Address) -> ContractError | None:
    nobody = (ZERO_ADDRESS, escrow)
    for party, account, impossible in (
        (Party.CLIENT, terms.client, (*nobody, terms.advisor)),
        (Party.PAYER, terms.payer, nobody),
        (Party.ADVISOR, terms.advisor, nobody),
        (Party.METER_KEY, terms.meter_key, (*nobody, terms.advisor)),
        (Party.TOKEN, terms.token, (escrow,)),
        (Party.FEE_RECIPIENT, terms.fee_recipient, (escrow,)),
    ):
        if account in impossible:
            return InvalidParty(party, account)
    return None
