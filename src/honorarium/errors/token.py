"""What TestUSD refuses: EIP-3009 and EIP-2612 authorizations, and plain ERC-20 transfers."""

from __future__ import annotations

from typing import TypeAlias

from honorarium.errors.refusals import (
    Account,
    Bytes32,
    ContractError,
    String,
    Uint256,
    moment,
    named,
)

_Sentence: TypeAlias = str


class LocalChainsOnly(ContractError):
    """TestUSD has no value, and is on local chains only."""

    chain_id: Uint256

    def sentence(self) -> str:
        return (
            f"TestUSD has no value and must not appear on chain {self.chain_id}; deploy it to a "
            "local chain (1337 or 31337), and use a real token elsewhere"
        )


class BatchLengthsDiffer(ContractError):
    """There are not as many amounts as accounts."""

    accounts: Uint256
    amounts: Uint256

    def sentence(self) -> str:
        return (
            f"{self.accounts} accounts came with {self.amounts} amounts; "
            "give one amount for each account"
        )


class CallerNotRecipient(ContractError):
    """Only the recipient of an authorization may use it (EIP-3009)."""

    recipient: Account
    caller: Account

    def sentence(self) -> str:
        return (
            f"the authorization is for {named(self.recipient)} to fetch, and "
            f"{named(self.caller)} tried; call the recipient's contract instead of the token"
        )


class AuthorizationNotYetValid(ContractError):
    """The authorization counts after `valid_after`, exclusively, and it is `time` now."""

    valid_after: Uint256
    current_time: Uint256

    def sentence(self) -> str:
        return (
            f"the authorization counts after {moment(self.valid_after)}, and it is "
            f"{moment(self.current_time)}; send it later, or sign one that starts earlier"
        )


class AuthorizationExpired(ContractError):
    """The authorization counted before `valid_before`, exclusively, and it is `time` now."""

    valid_before: Uint256
    current_time: Uint256

    def sentence(self) -> str:
        return (
            f"the authorization counted before {moment(self.valid_before)}, and it is "
            f"{moment(self.current_time)}; sign a new one"
        )


class AuthorizationSpent(ContractError):
    """The authorization's nonce was used or canceled already."""

    authorizer: Account
    nonce: Bytes32

    def sentence(self) -> str:
        return (
            f"{named(self.authorizer)}'s authorization 0x{self.nonce.hex()} was used or canceled "
            "before; sign another with a new nonce (for a session: new terms)"
        )


class AuthorizationSignatureInvalid(ContractError):
    """The authorization is not signed by the account that pays."""

    authorizer: Account
    digest: Bytes32

    def sentence(self) -> str:
        return (
            f"the signature of 0x{self.digest.hex()} is not {named(self.authorizer)}'s; have "
            "that account sign exactly these values in the token's domain on this chain"
        )


class ECDSAInvalidSignature(ContractError):
    """The bytes are no signature of anybody."""

    def sentence(self) -> str:
        return "the signature is nobody's; check v, r and s, or sign again"


class ECDSAInvalidSignatureLength(ContractError):
    """A signature of another length than the token takes."""

    length: Uint256

    def sentence(self) -> str:
        return f"a signature of {self.length} bytes does not exist; give 65 bytes (r, s, v)"


class ECDSAInvalidSignatureS(ContractError):
    """The signature's s is above half the order of the curve."""

    s: Bytes32

    def sentence(self) -> str:
        return (
            f"the signature's s (0x{self.s.hex()}) is above half the curve's order; "
            "sign with a library that makes low-s signatures"
        )


class ERC20InsufficientAllowance(ContractError):
    """The spender is not allowed to take so much."""

    spender: Account
    allowance: Uint256
    needed: Uint256

    def sentence(self) -> str:
        return (
            f"{named(self.spender)} may spend {self.allowance} base units, and {self.needed} are "
            f"needed; approve {self.needed} or more"
        )


class ERC20InsufficientBalance(ContractError):
    """The wallet does not hold so much."""

    sender: Account
    balance: Uint256
    needed: Uint256

    def sentence(self) -> str:
        return (
            f"{named(self.sender)} holds {self.balance} base units of the token, and "
            f"{self.needed} are needed; bring {max(0, self.needed - self.balance)} more"
        )


class ERC20InvalidApprover(ContractError):
    """An account that cannot allow anything: the zero address."""

    approver: Account

    def sentence(self) -> str:
        return f"{named(self.approver)} cannot approve spending; use an account that is not zero"


class ERC20InvalidReceiver(ContractError):
    """An account that cannot receive the token: the zero address."""

    receiver: Account

    def sentence(self) -> str:
        return f"tokens cannot go to {named(self.receiver)}; name an account that is not zero"


class ERC20InvalidSender(ContractError):
    """An account that cannot send the token: the zero address."""

    sender: Account

    def sentence(self) -> str:
        return f"tokens cannot come from {named(self.sender)}; name an account that is not zero"


class ERC20InvalidSpender(ContractError):
    """An account that cannot be allowed anything: the zero address."""

    spender: Account

    def sentence(self) -> str:
        return f"{named(self.spender)} cannot be a spender; name an account that is not zero"


class ERC2612ExpiredSignature(ContractError):
    """The permit's deadline is over (EIP-2612)."""

    deadline: Uint256

    def sentence(self) -> str:
        return f"the permit held until {moment(self.deadline)}; sign one with a later deadline"


class ERC2612InvalidSigner(ContractError):
    """The permit is not signed by the owner (EIP-2612)."""

    signer: Account
    owner: Account

    def sentence(self) -> str:
        return (
            f"the permit was signed by {named(self.signer)}, not by {named(self.owner)}; have "
            f"{named(self.owner)} sign it for this token and chain, with their present nonce"
        )


class InvalidAccountNonce(ContractError):
    """The permit's nonce is not the owner's current one."""

    account: Account
    current_nonce: Uint256

    def sentence(self) -> str:
        return (
            f"the next number of {named(self.account)} is {self.current_nonce}; "
            "sign again with that one"
        )


class InvalidShortString(ContractError):
    """Bytes that are no short string; no call of ours meets it."""

    def sentence(self) -> str:
        return "the token's stored name is damaged; do not use this token"


class StringTooLong(ContractError):
    """A name too long to be kept in one word; no call of ours meets it."""

    str: String

    def sentence(self) -> _Sentence:
        return (
            f"{self.str!r} has more than the 31 bytes that a short string holds; shorten the name"
        )
