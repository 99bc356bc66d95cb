"""What SessionEscrow and TipJar refuse of signatures, open sessions, ratings and money.

contracts/interfaces/IErrors.sol, error for error; what is refused of terms and deposits is in
`terms`. Amounts are base units of the token, times unix seconds.
"""

from __future__ import annotations

from honorarium.errors.refusals import (
    Account,
    Bytes32,
    ContractError,
    Uint8,
    Uint40,
    Uint80,
    Uint256,
    coin_or_token,
    moment,
    named,
    session,
)

# ------------------------------------------------------------------------------------ signatures


class SignatureMissing(ContractError):
    """Neither did `party` call, nor is there a signature of theirs."""

    party: Account

    def sentence(self) -> str:
        return (
            f"{named(self.party)} neither made this call nor signed; "
            "send it from that account, or bring its signature"
        )


class WrongSigner(ContractError):
    """The signature is somebody else's, or of something else."""

    expected: Account
    recovered: Account

    def sentence(self) -> str:
        whose = (
            f"it would be {named(self.recovered)}'s" if any(self.recovered) else "it is nobody's"
        )
        return (
            f"the signature is not {named(self.expected)}'s over this message: {whose}; have "
            f"{named(self.expected)} sign exactly these values for this contract and chain"
        )


class HighS(ContractError):
    """The mirror image of a signature (s above half the curve's order)."""

    s: Bytes32

    def sentence(self) -> str:
        return (
            f"the signature's s (0x{self.s.hex()}) is above half the curve's order: it is the "
            "mirror image of the one that counts; sign with a library that makes low-s signatures"
        )


class SignatureExpired(ContractError):
    """What was signed held until `deadline`, inclusively, and it is `time` now."""

    deadline: Uint256
    time: Uint256

    def sentence(self) -> str:
        return (
            f"the signature held until {moment(self.deadline)}, and it is {moment(self.time)}; "
            "have it signed again with a later deadline"
        )


class WrongNonce(ContractError):
    """Withdrawals are signed in order; the next one carries the number `expected`."""

    expected: Uint256
    given: Uint256

    def sentence(self) -> str:
        return (
            f"the withdrawal carries number {self.given}, but the account's next one is "
            f"{self.expected}; read the number from the escrow (nonces) and sign again"
        )


class NotAParty(ContractError):
    """`account` is neither of the two who may do this."""

    account: Account
    first: Account
    second: Account

    def sentence(self) -> str:
        return (
            f"{named(self.account)} may not do this; only {named(self.first)} and "
            f"{named(self.second)} may, so send it as one of them or bring their signature"
        )


# ----------------------------------------------------------------------------- life of a session


class SessionNotOpen(ContractError):
    """No session of this id is open: it never was, or it is closed."""

    session_id: Bytes32

    def sentence(self) -> str:
        return (
            f"{session(self.session_id)} is not open: it never was, or it is closed, or its quote "
            "was revoked; look at its status, and open another session if you need one"
        )


class AlreadyClosing(ContractError):
    """Somebody asked to close at `closing_at` already."""

    session_id: Bytes32
    closing_at: Uint40

    def sentence(self) -> str:
        return (
            f"somebody asked to close {session(self.session_id)} at {moment(self.closing_at)}, "
            "and there is no way back; settle or close it, or finalize it when its grace is over"
        )


class NotClosing(ContractError):
    """Nobody asked to close."""

    session_id: Bytes32

    def sentence(self) -> str:
        return (
            f"nobody asked to close {session(self.session_id)}; the client or the payer asks "
            "first (requestClose) and waits the grace period, or the advisor closes it"
        )


class GraceRunning(ContractError):
    """The advisor has until `grace_ends` to settle."""

    grace_ends: Uint40
    time: Uint40

    def sentence(self) -> str:
        return (
            f"the advisor may settle until {moment(self.grace_ends)}, and it is "
            f"{moment(self.time)}; finalize {max(0, self.grace_ends - self.time)} seconds later"
        )


class TooManyUnits(ContractError):
    """More units than the time since opening allows."""

    allowed: Uint256
    given: Uint256

    def sentence(self) -> str:
        return (
            f"the voucher states {self.given} units, but the time since the session opened allows "
            f"{self.allowed}; bring a voucher of at most {self.allowed}, or wait, unless somebody "
            "asked to close: then no more time counts"
        )


class StaleVoucher(ContractError):
    """The voucher brings nothing: `earned` is settled already, and its units cost `fee`."""

    earned: Uint80
    fee: Uint256

    def sentence(self) -> str:
        return (
            f"the voucher brings nothing: its units cost {self.fee} base units, and {self.earned} "
            "are earned already; settle a newer one, or close"
        )


# --------------------------------------------------------------------------------------- ratings


class SessionNotClosed(ContractError):
    """The session is not closed yet."""

    session_id: Bytes32

    def sentence(self) -> str:
        return f"{session(self.session_id)} is not closed yet; rate it when it is"


class ScoreOutOfRange(ContractError):
    """Scores are 1 to 5."""

    score: Uint8

    def sentence(self) -> str:
        return f"a score of {self.score} does not exist; give 1, 2, 3, 4 or 5"


class NothingEarned(ContractError):
    """Nothing was earned in this session, so there is nothing to rate."""

    session_id: Bytes32

    def sentence(self) -> str:
        return (
            f"nothing was earned in {session(self.session_id)}, so it cannot be rated; "
            "rate a session in which the advisor was paid"
        )


class RatingWindowOver(ContractError):
    """Ratings were taken until `window_ends`, inclusively."""

    window_ends: Uint40
    time: Uint40

    def sentence(self) -> str:
        return (
            f"ratings were taken until {moment(self.window_ends)}, and it is {moment(self.time)}; "
            "rate within 30 days of the session's end"
        )


class AlreadyRated(ContractError):
    """The session carries its one rating."""

    session_id: Bytes32
    score: Uint8

    def sentence(self) -> str:
        return (
            f"{session(self.session_id)} carries its one rating, a score of {self.score}, "
            "which is never changed; the advisor may answer it"
        )


class NotRated(ContractError):
    """There is no rating to answer."""

    session_id: Bytes32

    def sentence(self) -> str:
        return (
            f"{session(self.session_id)} has no rating to answer; answer after the client rated it"
        )


class AlreadyAnswered(ContractError):
    """The advisor's one answer is given."""

    session_id: Bytes32

    def sentence(self) -> str:
        return (
            f"the rating of {session(self.session_id)} has its one answer, which is never "
            "changed; do not send another"
        )


# ----------------------------------------------------------------------------------------- money


class WrongValue(ContractError):
    """The coin that came along is not the amount that was named."""

    expected: Uint256
    given: Uint256

    def sentence(self) -> str:
        return (
            f"{self.given} base units of the chain's coin came along where {self.expected} were "
            f"named; send exactly {self.expected} as the transaction's value"
        )


class TokenWithoutCode(ContractError):
    """There is no contract at the token's address."""

    token: Account

    def sentence(self) -> str:
        return (
            f"there is no contract at the token's address {named(self.token)}; check the address "
            "and the chain (the zero address is the chain's own coin)"
        )


class TokenCallFailed(ContractError):
    """The token refused to move the money, or did not answer as a token does."""

    token: Account

    def sentence(self) -> str:
        return (
            f"the token {named(self.token)} refused to move the money, or did not answer as a "
            "token does; check the payer's balance and allowance, or the authorization"
        )


class AmountNotReceived(ContractError):
    """Not exactly the amount arrived: the token takes a fee, or swallows calls that it does not
    know.
    """

    token: Account
    expected: Uint256
    received: Uint256

    def sentence(self) -> str:
        return (
            f"{self.expected} base units of {coin_or_token(self.token)} were to arrive, and "
            f"{self.received} did: the token takes a fee or ignores the call; use another token"
        )


class BalanceTooSmall(ContractError):
    """The account's balance in the escrow is too small."""

    account: Account
    needed: Uint256
    available: Uint256

    def sentence(self) -> str:
        return (
            f"the balance of {named(self.account)} in the escrow is {self.available} base units, "
            f"and {self.needed} are needed: {max(0, self.needed - self.available)} are missing; "
            "take less, or deposit more"
        )


class ZeroAmount(ContractError):
    """Amounts of zero are refused: they are mistakes."""

    def sentence(self) -> str:
        return "the amount is 0: there is nothing to move; name an amount above 0"


class InvalidRecipient(ContractError):
    """Money cannot go there: nobody, or the contract itself."""

    to: Account

    def sentence(self) -> str:
        return (
            f"money cannot go to {named(self.to)}: it is the zero address or the contract "
            "itself; name the account that shall receive it"
        )


class PaymentFailed(ContractError):
    """The recipient or the token did not take the payment."""

    token: Account
    to: Account
    amount: Uint256

    def sentence(self) -> str:
        return (
            f"{self.amount} base units of {coin_or_token(self.token)} could not be paid to "
            f"{named(self.to)}: the recipient or the token did not take them; "
            "nothing moved, so pay to another account"
        )


class NotEnoughGas(ContractError):
    """So little gas is left that a payment or a wallet's check could fail for that alone."""

    needed: Uint256
    left: Uint256

    def sentence(self) -> str:
        return (
            f"{self.left} gas is left where {self.needed} must be, so that a payment or a "
            "wallet's check does not fail for that alone; send it again with a higher gas limit"
        )


class Reentered(ContractError):
    """A token called back in the middle of a payment to the escrow."""

    def sentence(self) -> str:
        return (
            "a token called back in the middle of a payment to the escrow; use another token, "
            "because this one runs somebody's code when it moves"
        )
