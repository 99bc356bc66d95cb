"""Every entry point of the contracts, as calldata; and what can be read of them.

The functions have the contracts' names in snake case; see ISessionEscrow.sol and ITipJar.sol for
what each promises. Wherever a party's signature is taken, an empty one means: that party sends the
transaction. Money is in base units, time in unix seconds. A value that the contract has no room for
raises CallNotEncodable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode

from honorarium.chain.abi import (
    Authorization,
    CallNotEncodable,
    ClosingRow,
    OpeningRow,
    Settlement,
    encode_call,
)
from honorarium.chain.node import Query
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.keys import Signature
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.slot import Status
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, UnixTime

__all__ = [
    "Authorization",
    "CallNotEncodable",
    "ClosingRow",
    "OpeningRow",
    "Session",
    "Settlement",
    "Status",
    "Tally",
]


@dataclass(frozen=True, slots=True)
class Session:
    """A session as the escrow holds it. A time or score of 0: not yet."""

    status: Status
    deposit: BaseUnits
    earned: BaseUnits
    opened_at: UnixTime
    closing_at: UnixTime
    closed_at: UnixTime
    refunds_to_balance: bool
    score: int
    answered: bool


NO_SESSION: Final = Session(
    Status.NONE, BaseUnits(0), BaseUnits(0), UnixTime(0), UnixTime(0), UnixTime(0), False, 0, False
)
"""What the escrow says of an id that it does not know."""


@dataclass(frozen=True, slots=True)
class Tally:
    """An advisor's ratings: how many, and the sum of their scores."""

    count: int
    sum: int


# ---------------------------------------------------------------------- ledger


def deposit(token: Address, account: Address, amount: int) -> bytes:
    """Puts `amount` of the caller's money into `account`'s balance; coin comes along as value."""
    return encode_call("SessionEscrow", "deposit", token, account, amount)


def deposit_with_authorization(
    token: Address,
    account: Address,
    amount: int,
    salt: Hash,
    valid_after: int,
    valid_before: int,
    signature: bytes,
) -> bytes:
    """The same by EIP-3009, from `account`'s wallet to its own balance; anyone may send it. The
    authorization's nonce is keccak256(abi.encode(keccak256("Deposit"), token, account, salt)).
    """
    paid = (valid_after, valid_before, signature)
    return encode_call(
        "SessionEscrow", "depositWithAuthorization", token, account, amount, salt, paid
    )


def withdraw(token: Address, amount: int, to: Address) -> bytes:
    """Pays `amount` of the caller's balance to `to`."""
    return encode_call("SessionEscrow", "withdraw", token, amount, to)


def withdraw_for(
    account: Address,
    token: Address,
    amount: int,
    to: Address,
    nonce: int,
    deadline: int,
    signature: bytes,
) -> bytes:
    """The same for `account`, sent by anyone."""
    values = (account, token, amount, to, nonce, deadline, signature)
    return encode_call("SessionEscrow", "withdrawFor", *values)


# ---------------------------------------------------------------------- opening


def open(
    terms: Terms, deposit: int, advisor_signature: bytes, client_signature: bytes = b""
) -> bytes:
    """Opens a session from the caller's wallet: by allowance, or with coin as value. The caller is
    the payer.
    """
    values = (terms, deposit, advisor_signature, client_signature)
    return encode_call("SessionEscrow", "open", *values)


def open_with_authorization(
    terms: Terms,
    deposit: int,
    valid_after: int,
    valid_before: int,
    payer_signature: bytes,
    advisor_signature: bytes,
    client_signature: bytes = b"",
) -> bytes:
    """Opens a session from the payer's wallet by EIP-3009; anyone may send it. The authorization's
    nonce is the session id, its value the deposit.
    """
    paid = (valid_after, valid_before, payer_signature)
    values = (terms, deposit, paid, advisor_signature, client_signature)
    return encode_call("SessionEscrow", "openWithAuthorization", *values)


def open_from_balance(opening: OpeningRow) -> bytes:
    """Opens a session from the payer's balance, to which the unspent deposit returns."""
    return encode_call("SessionEscrow", "openFromBalance", opening)


def open_batch(rows: Sequence[OpeningRow]) -> bytes:
    """Opens many sessions from balances. A bad row is skipped and told in `RowSkipped`."""
    return encode_call("SessionEscrow", "openBatch", rows)


def revoke(terms: Terms, by: Address, signature: bytes = b"") -> bytes:
    """Makes sure that these terms can never be opened."""
    return encode_call("SessionEscrow", "revoke", terms, by, signature)


# ---------------------------------------------------------------------- while a session runs


def top_up(terms: Terms, new_deposit: int) -> bytes:
    """Raises the whole deposit to `new_deposit` from the wallet of the caller, who is the payer."""
    return encode_call("SessionEscrow", "topUp", terms, new_deposit)


def top_up_with_authorization(
    terms: Terms, new_deposit: int, valid_after: int, valid_before: int, signature: bytes
) -> bytes:
    """The same by EIP-3009; the authorization's nonce is keccak256(abi.encode(sessionId,
    newDeposit)), its value the difference.
    """
    paid = (valid_after, valid_before, signature)
    return encode_call("SessionEscrow", "topUpWithAuthorization", terms, new_deposit, paid)


def top_up_from_balance(terms: Terms, new_deposit: int, signature: bytes = b"") -> bytes:
    """The same from the payer's balance."""
    return encode_call("SessionEscrow", "topUpFromBalance", terms, new_deposit, signature)


def settle(terms: Terms, voucher: SignedVoucher | None) -> bytes:
    """Credits what a voucher proves; the session goes on. Anyone may send it."""
    return encode_call("SessionEscrow", "settle", Settlement(terms, voucher))


def settle_batch(rows: Sequence[Settlement]) -> bytes:
    """Settles many. A bad row is skipped and told in `RowSkipped`."""
    return encode_call("SessionEscrow", "settleBatch", rows)


# ---------------------------------------------------------------------- ending


def close(terms: Terms, voucher: SignedVoucher | None = None) -> bytes:
    """Settles a last voucher, if it brings anything, and returns the unspent deposit. The caller is
    the advisor.
    """
    return encode_call("SessionEscrow", "close", Settlement(terms, voucher))


def close_for(closing: ClosingRow) -> bytes:
    """The same, sent by anyone."""
    return encode_call("SessionEscrow", "closeFor", closing)


def close_batch(rows: Sequence[ClosingRow]) -> bytes:
    """Closes many, each as `close_for` does, or as `close` where the caller is the advisor and the
    signature empty. A bad row is skipped and told in `RowSkipped`.
    """
    return encode_call("SessionEscrow", "closeBatch", rows)


def request_close(terms: Terms, by: Address, signature: bytes = b"") -> bytes:
    """Leaves without the advisor: they have the grace period to settle, then anyone may finalize.
    Time stops to count now.
    """
    return encode_call("SessionEscrow", "requestClose", terms, by, signature)


def finalize(terms: Terms) -> bytes:
    """Ends a session whose grace period is over and returns the unspent deposit. Anyone may send
    it.
    """
    return encode_call("SessionEscrow", "finalize", terms)


# ---------------------------------------------------------------------- ratings


def rate(terms: Terms, score: int, comment_hash: Hash, signature: bytes = b"") -> bytes:
    """Scores a closed session in which something was earned, once, within 30 days."""
    return encode_call("SessionEscrow", "rate", terms, score, comment_hash, signature)


def answer(terms: Terms, answer_hash: Hash, signature: bytes = b"") -> bytes:
    """The advisor's one answer to a rating."""
    return encode_call("SessionEscrow", "answer", terms, answer_hash, signature)


# ---------------------------------------------------------------------- tips


def tip(advisor: Address, session_id: SessionId, token: Address, amount: int, memo: Hash) -> bytes:
    """Tips from the caller's wallet: by allowance to this contract, or with coin as value."""
    return encode_call("TipJar", "tip", advisor, session_id, token, amount, memo)


def tip_with_authorization(
    tipper: Address,
    advisor: Address,
    session_id: SessionId,
    token: Address,
    amount: int,
    memo: Hash,
    salt: Hash,
    valid_after: int,
    valid_before: int,
    signature: bytes,
) -> bytes:
    """Tips from `tipper`'s wallet by EIP-3009; anyone may send it. The authorization's nonce is
    keccak256(abi.encode(keccak256("Tip"), token, advisor, sessionId, memo, salt)).
    """
    paid = (valid_after, valid_before, signature)
    values = (tipper, advisor, session_id, token, amount, memo, salt, paid)
    return encode_call("TipJar", "tipWithAuthorization", *values)


# ---------------------------------------------------------------------- the token


def mint(account: Address, amount: int) -> bytes:
    """Only TestUSD has it."""
    return encode_call("TestUSD", "mint", account, amount)


def mint_batch(accounts: Sequence[Address], amounts: Sequence[int]) -> bytes:
    """Only TestUSD has it."""
    return encode_call("TestUSD", "mintBatch", accounts, amounts)


def approve(spender: Address, amount: int) -> bytes:
    """Lets `spender` take up to `amount` out of the caller's wallet (any ERC-20)."""
    return encode_call("TestUSD", "approve", spender, amount)


def transfer(to: Address, amount: int) -> bytes:
    """Moves `amount` out of the caller's wallet (any ERC-20)."""
    return encode_call("TestUSD", "transfer", to, amount)


def permit(
    owner: Address, spender: Address, amount: int, deadline: int, signature: Signature
) -> bytes:
    """Only tokens with EIP-2612 have it."""
    v = 27 + signature.y_parity
    values = (owner, spender, amount, deadline, v, signature.r, signature.s)
    return encode_call("TestUSD", "permit", *values)


# ---------------------------------------------------------------------- reading


def session(escrow: Address, session_id: SessionId) -> Query[Session]:
    """A session as the escrow holds it."""
    return Query(escrow, encode_call("SessionEscrow", "session", session_id), decode_session)


def decode_session(data: bytes) -> Session:
    """The answer to `session`. Raises ValueError if it is none."""
    if len(data) != 9 * 32:
        raise ValueError(f"a session is answered in 9 words, not {len(data)} bytes")
    word = [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]
    return Session(
        status=Status(word[0]),
        deposit=BaseUnits(word[1]),
        earned=BaseUnits(word[2]),
        opened_at=UnixTime(word[3]),
        closing_at=UnixTime(word[4]),
        closed_at=UnixTime(word[5]),
        refunds_to_balance=bool(word[6]),
        score=word[7],
        answered=bool(word[8]),
    )


def session_id_of(escrow: Address, terms: Terms) -> Query[SessionId]:
    """The id of a session of these terms here: their EIP-712 digest."""
    return Query(escrow, encode_call("SessionEscrow", "sessionIdOf", terms), SessionId)


def fee_of(escrow: Address, terms: Terms, units: int) -> Query[BaseUnits]:
    """The fee for `units` under these terms, before the deposit limits it."""
    return Query(escrow, encode_call("SessionEscrow", "feeOf", terms, units), _amount)


def balance_of(escrow: Address, token: Address, account: Address) -> Query[BaseUnits]:
    """What the escrow owes `account`, beside sessions."""
    return Query(escrow, encode_call("SessionEscrow", "balanceOf", token, account), _amount)


def nonce_of(escrow: Address, account: Address) -> Query[int]:
    """The number that the account's next signed withdrawal carries."""
    return Query(escrow, encode_call("SessionEscrow", "nonces", account), _number)


def rating_of(escrow: Address, advisor: Address) -> Query[Tally]:
    """How often an advisor was rated, and the sum of the scores."""
    return Query(
        escrow,
        encode_call("SessionEscrow", "ratingOf", advisor),
        lambda data: Tally(_number(data[:32]), _number(data[32:])),
    )


def token_balance(token: Address, account: Address) -> Query[BaseUnits]:
    """A wallet's tokens. The chain's own coin is no contract: `Node.balance` tells it."""
    return Query(token, encode_call("TestUSD", "balanceOf", account), _amount)


def token_allowance(token: Address, owner: Address, spender: Address) -> Query[BaseUnits]:
    """What `spender` may still take out of the owner's wallet."""
    return Query(token, encode_call("TestUSD", "allowance", owner, spender), _amount)


def token_decimals(token: Address) -> Query[int]:
    """How many places the token's whole units have."""
    return Query(token, encode_call("TestUSD", "decimals"), _number)


def token_symbol(token: Address) -> Query[str]:
    """The token's name for people. Old tokens answer 32 bytes instead of a string."""
    return Query(token, encode_call("TestUSD", "symbol"), _symbol)


def token_nonce(token: Address, owner: Address) -> Query[int]:
    """The number that the owner's next permit carries (EIP-2612)."""
    return Query(token, encode_call("TestUSD", "nonces", owner), _number)


def token_domain(token: Address) -> Query[Domain]:
    """Where signatures for this token count, as it says itself (EIP-5267)."""
    return Query(token, encode_call("TestUSD", "eip712Domain"), _domain)


def token_separator(token: Address) -> Query[bytes]:
    """The token's EIP-712 domain separator, 32 bytes (EIP-2612)."""
    return Query(token, encode_call("TestUSD", "DOMAIN_SEPARATOR"), bytes)


def _number(data: bytes) -> int:
    if len(data) != 32:
        raise ValueError(f"a number is answered in 32 bytes, not {len(data)}")
    return int.from_bytes(data, "big")


def _amount(data: bytes) -> BaseUnits:
    return BaseUnits(_number(data))


def _symbol(data: bytes) -> str:
    if len(data) == 32:
        text = data.rstrip(b"\0")
    else:
        (text,) = decode(("bytes",), data)
    # It is anybody's text: only what can be shown in a line, and not much of it.
    return "".join(c for c in text.decode(errors="replace") if c.isprintable())[:16] or "?"


def _domain(data: bytes) -> Domain:
    types = ("bytes1", "string", "string", "uint256", "address", "bytes32", "uint256[]")
    fields, name, version, chain_id, contract, _, _ = decode(types, data)
    if fields != b"\x0f":
        raise ValueError("a domain with other fields than name, version, chain and contract")
    return Domain(chain_id, Address(bytes.fromhex(contract[2:])), name, version)
