"""Who signs: a key at hand, or a wallet that keeps its key to itself.

A hardware or remote wallet needs two methods and an address to fit (`Wallet`). What it gives back
is checked before anybody sends it.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from honorarium.errors import BadSignature, InputError, WrongSignature
from honorarium.ids import Address
from honorarium.protocol.keys import Key, Signature, recover
from honorarium.protocol.messages import Message
from honorarium.protocol.sign_in import text_hash
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain

TransactionFields = dict[str, Any]
"""A transaction to sign, by eth-account's names: chainId, nonce, gas, to, value, data, and the fees
(maxFeePerGas and maxPriorityFeePerGas with type 2, or gasPrice). `to` and `data` are bytes."""


class Wallet(Protocol):
    """A signer that keeps its key to itself. Its methods may block: they run beside event loops.

    If `address` is a contract that checks signatures itself (ERC-1271), set `is_contract = True`
    on the wallet: then its signatures are taken as they come.
    """

    @property
    def address(self) -> Address:
        """The account that it signs for."""

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        """Signs the JSON of `eth_signTypedData_v4`: 65 bytes, or 64 (EIP-2098)."""

    def sign_transaction(self, fields: TransactionFields) -> bytes:
        """The raw signed transaction of exactly these fields."""


@runtime_checkable
class TextWallet(Protocol):
    """A wallet that can sign in at a desk too."""

    def sign_text(self, text: str) -> bytes:
        """Signs text as `personal_sign` does (EIP-191): 65 bytes, or 64 (EIP-2098)."""


class TextNotSigned(InputError):
    """A wallet that signs no text, where somebody is to sign in."""

    def __init__(self, account: Address) -> None:
        self.account = account
        super().__init__(
            f"the wallet of 0x{account.hex()} signs no text, so it cannot sign in: give it a "
            "method sign_text (EIP-191), or work straight against the chain"
        )


Signer = Key | Wallet
"""Whoever signs for an account."""


def sign_message(signer: Signer, message: Message, domain: Domain) -> bytes:
    """The signer's signature of a message: 64 bytes, or what a contract wallet gives.

    Raises WrongSignature or BadSignature if a wallet signed something else, or with another key.
    """
    if isinstance(signer, Key):
        return signer.sign(message.digest(domain)).packed()
    given = signer.sign_typed_data(message.typed_data(domain))
    return _checked(signer, given, message.TYPE, message.digest(domain))


def sign_terms(signer: Signer, terms: Terms, domain: Domain) -> bytes:
    """The signer's signature of terms: an advisor's quote, or a client's consent.

    Raises as `sign_message` does.
    """
    digest = terms.session_id(domain)
    if isinstance(signer, Key):
        return signer.sign(digest).packed()
    given = signer.sign_typed_data(domain.typed_data("Terms", terms.message()))
    return _checked(signer, given, "Terms", digest)


def sign_text(signer: Signer, text: str) -> bytes:
    """The signer's signature of text (EIP-191): 65 bytes, or what a contract wallet gives.

    Raises TextNotSigned, and what `sign_message` raises.
    """
    digest = text_hash(text)
    if isinstance(signer, Key):
        return signer.sign(digest).to_bytes()
    if not isinstance(signer, TextWallet):
        raise TextNotSigned(signer.address)
    given = _checked(signer, signer.sign_text(text), "text", digest)
    if getattr(signer, "is_contract", False):
        return given
    return Signature.from_bytes(given).to_bytes()


def _checked(wallet: Wallet, given: bytes, what: str, digest: bytes) -> bytes:
    if not isinstance(given, bytes):
        raise BadSignature(b"", f"a wallet gives signatures as bytes, not as {type(given)}")
    if getattr(wallet, "is_contract", False):
        return bytes(given)
    signature = Signature.from_bytes(bytes(given))
    found = recover(digest, signature)
    if found != wallet.address:
        raise WrongSignature(what, wallet.address, found)
    return signature.packed()
