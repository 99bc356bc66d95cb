"""Every entry point of the contracts, as calldata; and what can be read of them.

The functions have the contracts' names in snake case; see ISessionEscrow.sol and ITipJar.sol for
what each promises. Wherever a party's signature is taken, an empty one means: that party sends the
transaction. Money is in base units, time in unix seconds. A value that the contract has no room for
raises CallNotEncodable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eth_abi.abi import decode

from honorarium.chain.abi import (
    Authorization,
    CallNotEncodable,
    ClosingRow,
    OpeningRow,
    Settlement,
    encode_call,
)
from honorarium.chain.node import Block, Node
from honorarium.ids import Address, Hash, SessionId
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


@dataclass(frozen=True, slots=True)
class Tally:
    """An advisor's ratings: how many, and the sum of their scores."""

    count: int
    sum: int


# ---------------------------------------------------------------------- ledger


def deposit(token: Address, account: Address, amount: int) -> bytes:
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
    paid = (valid_after, valid_before, signature)
    return encode_call(
        "SessionEscrow", "depositWithAuthorization", token, account, amount, salt, paid
    )


def withdraw(token: Address, amount: int, to: Address) -> bytes:
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
    values = (account, token, amount, to, nonce, deadline, signature)
    return encode_call("SessionEscrow", "withdrawFor", *values)


# ---------------------------------------------------------------------- opening


def open(
    terms: Terms, deposit: int, advisor_signature: bytes, client_signature: bytes = b""
) -> bytes:
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
    paid = (valid_after, valid_before, payer_signature)
    values = (terms, deposit, paid, advisor_signature, client_signature)
    return encode_call("SessionEscrow", "openWithAuthorization", *values)


def open_from_balance(opening: OpeningRow) -> bytes:
    return encode_call("SessionEscrow", "openFromBalance", opening)


def open_batch(rows: Sequence[OpeningRow]) -> bytes:
    return encode_call("SessionEscrow", "openBatch", rows)


def revoke(terms: Terms, by: Address, signature: bytes = b"") -> bytes:
    return encode_call("SessionEscrow", "revoke", terms, by, signature)


# ---------------------------------------------------------------------- while a session runs


def top_up(terms: Terms, new_deposit: int) -> bytes:
    return encode_call("SessionEscrow", "topUp", terms, new_deposit)


def top_up_with_authorization(
    terms: Terms, new_deposit: int, valid_after: int, valid_before: int, signature: bytes
) -> bytes:
    paid = (valid_after, valid_before, signature)
    return encode_call("SessionEscrow", "topUpWithAuthorization", terms, new_deposit, paid)


def top_up_from_balance(terms: Terms, new_deposit: int, signature: bytes = b"") -> bytes:
    return encode_call("SessionEscrow", "topUpFromBalance", terms, new_deposit, signature)


def settle(terms: Terms, voucher: SignedVoucher) -> bytes:
    return encode_call("SessionEscrow", "settle", Settlement(terms, voucher))


def settle_batch(rows: Sequence[Settlement]) -> bytes:
    return encode_call("SessionEscrow", "settleBatch", rows)


# ---------------------------------------------------------------------- ending


def close(terms: Terms, voucher: SignedVoucher | None = None) -> bytes:
    return encode_call("SessionEscrow", "close", Settlement(terms, voucher))


def close_for(closing: ClosingRow) -> bytes:
    return encode_call("SessionEscrow", "closeFor", closing)


def close_batch(rows: Sequence[ClosingRow]) -> bytes:
    return encode_call("SessionEscrow", "closeBatch", rows)


def request_close(terms: Terms, by: Address, signature: bytes = b"") -> bytes:
    return encode_call("SessionEscrow", "requestClose", terms, by, signature)


def finalize(terms: Terms) -> bytes:
    return encode_call("SessionEscrow", "finalize", terms)


# ---------------------------------------------------------------------- ratings


def rate(terms: Terms, score: int, comment_hash: Hash, signature: bytes = b"") -> bytes:
    return encode_call("SessionEscrow", "rate", terms, score, comment_hash, signature)


def answer(terms: Terms, answer_hash: Hash, signature: bytes = b"") -> bytes:
    return encode_call("SessionEscrow", "answer", terms, answer_hash, signature)


# ---------------------------------------------------------------------- tips


def tip(advisor: Address, session_id: SessionId, token: Address, amount: int, memo: Hash) -> bytes:
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
    return encode_call("TestUSD", "approve", spender, amount)


def transfer(to: Address, amount: int) -> bytes:
    return encode_call("TestUSD", "transfer", to, amount)


# ---------------------------------------------------------------------- reading


def domain(node: Node, escrow: Address) -> Domain:
    """Where signatures for this escrow count."""
    return Domain(node.chain_id, escrow)


def session_call(session_id: SessionId) -> bytes:
    return encode_call("SessionEscrow", "session", session_id)


def decode_session(data: bytes) -> Session:
    """The answer to `session_call`. Raises ValueError if it is none."""
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


def session(node: Node, escrow: Address, session_id: SessionId, block: Block = "latest") -> Session:
    return decode_session(node.call(escrow, session_call(session_id), block))


def sessions(
    node: Node, escrow: Address, session_ids: Iterable[SessionId], block: Block = "latest"
) -> list[Session]:
    """Many sessions, in batches."""
    return [
        decode_session(found)
        for found in node.calls(((escrow, session_call(each)) for each in session_ids), block)
    ]


def session_id_of(node: Node, escrow: Address, terms: Terms) -> SessionId:
    return SessionId(node.call(escrow, encode_call("SessionEscrow", "sessionIdOf", terms)))


def fee_of(node: Node, escrow: Address, terms: Terms, units: int) -> BaseUnits:
    return BaseUnits(
        _number(node.call(escrow, encode_call("SessionEscrow", "feeOf", terms, units)))
    )


def balance_of(
    node: Node, escrow: Address, token: Address, account: Address, block: Block = "latest"
) -> BaseUnits:
    """What the escrow owes `account`, beside sessions."""
    data = encode_call("SessionEscrow", "balanceOf", token, account)
    return BaseUnits(_number(node.call(escrow, data, block)))


def nonce_of(node: Node, escrow: Address, account: Address, block: Block = "latest") -> int:
    """The number that the account's next signed withdrawal carries."""
    return _number(node.call(escrow, encode_call("SessionEscrow", "nonces", account), block))


def rating_of(node: Node, escrow: Address, advisor: Address, block: Block = "latest") -> Tally:
    data = node.call(escrow, encode_call("SessionEscrow", "ratingOf", advisor), block)
    return Tally(_number(data[:32]), _number(data[32:]))


def token_balance(
    node: Node, token: Address, account: Address, block: Block = "latest"
) -> BaseUnits:
    """A wallet's tokens; of the chain's own coin if `token` is zero."""
    if not any(token):
        return node.balance(account, block)
    return BaseUnits(_number(node.call(token, encode_call("TestUSD", "balanceOf", account), block)))


def token_decimals(node: Node, token: Address) -> int:
    """How many decimals a token has; the chain's own coin has 18."""
    return _number(node.call(token, encode_call("TestUSD", "decimals"))) if any(token) else 18


def token_domain(node: Node, token: Address) -> Domain:
    """Where signatures for this token count, as it says itself (EIP-5267)."""
    data = node.call(token, encode_call("TestUSD", "eip712Domain"))
    types = ("bytes1", "string", "string", "uint256", "address", "bytes32", "uint256[]")
    _, name, version, chain_id, contract, _, _ = decode(types, data)
    return Domain(chain_id, Address(bytes.fromhex(contract[2:])), name, version)


def token_separator(node: Node, token: Address) -> bytes:
    """The token's EIP-712 domain separator, 32 bytes (EIP-2612)."""
    return node.call(token, encode_call("TestUSD", "DOMAIN_SEPARATOR"))


def _number(data: bytes) -> int:
    if len(data) != 32:
        raise ValueError(f"a number is answered in 32 bytes, not {len(data)}")
    return int.from_bytes(data, "big")
