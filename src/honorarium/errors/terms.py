"""What SessionEscrow refuses of terms, quotes and deposits.

contracts/interfaces/IErrors.sol, error for error; the rest of it is in `escrow`. Amounts are base
units of the token, times unix seconds.
"""

from __future__ import annotations

from honorarium.errors.refusals import (
    Account,
    Bytes32,
    ContractError,
    PartyField,
    Uint16,
    Uint24,
    Uint32,
    Uint40,
    Uint80,
    Uint256,
    moment,
    named,
    session,
)

# ---------------------------------------------------------------------- terms that make no sense


class NothingToPay(ContractError):
    """No number of units would ever cost anything."""

    def sentence(self) -> str:
        return (
            "no number of units would ever cost anything under this tariff; "
            "give it a connect fee, a unit price or a step price"
        )


class StepInsideFreeUnits(ContractError):
    """The step begins within the free units, so its price could never be told from the first."""

    step_units: Uint32
    included_units: Uint32

    def sentence(self) -> str:
        return (
            f"the price steps after {self.step_units} units, but the first {self.included_units} "
            f"are free; let it step after {self.included_units + 1} or more, or not at all (0)"
        )


class StepPriceWithoutStep(ContractError):
    """A price after the step is given, but no step."""

    step_price: Uint80

    def sentence(self) -> str:
        return (
            f"a step price of {self.step_price} base units is given, but no step; "
            "say after how many units it applies (step_units), or make it 0"
        )


class CapWithinFreeUnits(ContractError):
    """The meter would stop before the first unit that costs something, without a connect fee."""

    max_units: Uint32
    included_units: Uint32

    def sentence(self) -> str:
        return (
            f"the meter stops at {self.max_units} units, but {self.included_units} are free and "
            "there is no connect fee, so nothing would ever be due; raise max_units above "
            f"{self.included_units}, or set a connect fee"
        )


class UnitTooLong(ContractError):
    """The billed increment is longer than a day."""

    unit_seconds: Uint32
    limit: Uint32

    def sentence(self) -> str:
        return (
            f"a unit of {self.unit_seconds} seconds is longer than {self.limit} seconds (a day); "
            "use a shorter unit, or 0 to bill interactions"
        )


class ShareTooHigh(ContractError):
    """The platform's share is above the whole."""

    fee_bps: Uint16
    limit: Uint16

    def sentence(self) -> str:
        return (
            f"a platform's share of {self.fee_bps} hundredths of a percent is above the whole "
            f"({self.limit}); lower fee_bps"
        )


class ShareWithoutRecipient(ContractError):
    """A platform's share is given, but nobody to receive it."""

    fee_bps: Uint16

    def sentence(self) -> str:
        return (
            f"a platform's share of {self.fee_bps} hundredths of a percent has nobody to receive "
            "it; name a fee_recipient, or make fee_bps 0"
        )


class GraceOutOfRange(ContractError):
    """The time between asking to close and closing is outside its bounds."""

    close_grace: Uint24
    shortest: Uint24
    longest: Uint24

    def sentence(self) -> str:
        return (
            f"a grace period of {self.close_grace} seconds is not within {self.shortest} to "
            f"{self.longest} seconds; choose one that is"
        )


class InvalidParty(ContractError):
    """An account that cannot have this part: zero, the escrow itself, or in two parts that exclude
    each other.
    """

    party: PartyField
    account: Account

    def sentence(self) -> str:
        role = self.party.name.lower().replace("_", " ")
        return (
            f"{named(self.account)} cannot be the {role}: it is the zero address, the escrow "
            "itself, or has a part in these terms that excludes this one; name another account"
        )


class TermsNotCanonical(ContractError):
    """Terms have one packed form: the lowest 16 bits of these two words are zero, and a payer who
    is the client is written as zero.
    """

    payer: Bytes32
    advisor: Bytes32

    def sentence(self) -> str:
        return (
            f"the packed words of payer (0x{self.payer.hex()}) and advisor "
            f"(0x{self.advisor.hex()}) must end in 16 zero bits, and a payer who is the client is "
            "written as zero; pack the terms with Terms.pack()"
        )


# --------------------------------------------------------------------------------------- opening


class QuoteExpired(ContractError):
    """The quote was good until `open_before`, exclusively, and it is `time` now."""

    open_before: Uint40
    time: Uint40

    def sentence(self) -> str:
        return (
            f"the quote was good before {moment(self.open_before)}, and it is "
            f"{moment(self.time)}; ask the advisor for a new one"
        )


class QuoteTooFarAhead(ContractError):
    """Quotes hold for 30 days at most."""

    open_before: Uint40
    latest: Uint40

    def sentence(self) -> str:
        return (
            f"the quote would be good until {moment(self.open_before)}, but quotes hold for 30 "
            f"days at most; let it end by {moment(self.latest)}"
        )


class DepositTooSmall(ContractError):
    """The deposit does not cover the connect fee and the first unit that costs something."""

    needed: Uint256
    given: Uint256

    def sentence(self) -> str:
        return (
            f"a deposit of {self.given} base units does not cover the connect fee and the first "
            f"unit that costs something; deposit {self.needed} or more"
        )


class SessionExists(ContractError):
    """A session of these terms was opened already, or its quote revoked; nothing opens it again."""

    session_id: Bytes32

    def sentence(self) -> str:
        return (
            f"{session(self.session_id)} was opened already, or its quote was revoked, and these "
            "terms never open again; ask the advisor for a new quote"
        )


class DepositNotRaised(ContractError):
    """A top-up names the new whole deposit, which must be above the present one."""

    deposit: Uint80
    given: Uint80

    def sentence(self) -> str:
        return (
            f"a top-up to {self.given} base units does not raise the deposit, which is "
            f"{self.deposit}; name the new whole deposit, above {self.deposit}"
        )
