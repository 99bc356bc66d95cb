"""Raw transactions: signed by whoever signs, checked, and read back."""

from __future__ import annotations

import rlp
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from honorarium.chain.node import from_hex
from honorarium.chain.outbox import SignedTransaction
from honorarium.errors import BadSignature, WrongSignature
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash
from honorarium.protocol.keys import Key, Signature, recover
from honorarium.protocol.signer import Signer, TransactionFields


def content_of(to: Address | None, data: bytes, value: int) -> Hash:
    """What a transaction does, in 32 bytes."""
    return Hash(keccak(rlp.encode([to or b"", value, data])))


def signed_by(signer: Signer, fields: TransactionFields) -> SignedTransaction:
    """A transaction of these fields, signed.

    Raises WrongSignature if the wallet signed with another account's key, or other fields;
    BadSignature if what it gave is no transaction.
    """
    if isinstance(signer, Key):
        made = Account.sign_transaction(fields, signer.secret())
        return SignedTransaction(
            bytes(made.raw_transaction), Hash(bytes(made.hash)), fields["nonce"]
        )
    given = signer.sign_transaction(fields)
    if not isinstance(given, bytes):
        raise BadSignature(b"", f"a wallet gives a raw transaction as bytes, not {type(given)}")
    raw = bytes(given)
    try:
        found = from_hex(Account.recover_transaction(raw))
        # The same signature over what was asked for: another account, unless that was signed.
        meant = recover(_digest(fields), _signature_of(raw))
    except BadSignature:
        raise
    except Exception as error:  # of three libraries, for bytes of any kind
        raise BadSignature(raw, f"it is no signed transaction ({error})") from error
    if found != signer.address or meant != signer.address:
        wrong = meant if found == signer.address else found
        raise WrongSignature("transaction", signer.address, Address(wrong))
    return SignedTransaction(raw, Hash(keccak(raw)), fields["nonce"])


def _digest(fields: TransactionFields) -> bytes:
    """What a signature of a transaction of these fields signs."""
    if "type" in fields:
        whole = {**fields, "to": fields.get("to", b""), "accessList": []}
        return bytes(TypedTransaction.from_dict(whole).hash())
    names = ("nonce", "gasPrice", "gas")
    values = [fields[name] for name in names]
    values += [fields.get("to", b""), fields["value"], fields["data"], fields["chainId"], 0, 0]
    return keccak(rlp.encode(values))  # EIP-155


def _signature_of(raw: bytes) -> Signature:
    if raw[0] < 0x80:
        found = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        r, s, parity = int(found["r"]), int(found["s"]), int(found["v"])
    else:
        *_, v, first, second = rlp.decode(raw)
        r, s = int.from_bytes(first, "big"), int.from_bytes(second, "big")
        parity = (int.from_bytes(v, "big") - 35) % 2
    return Signature(r.to_bytes(32, "big"), s.to_bytes(32, "big"), parity)


def fields_of(raw: bytes) -> TransactionFields:
    """What was signed, without the signature."""
    if raw[0] < 0x80:  # typed (EIP-2718)
        found = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        return {name: found[name] for name in found if name not in ("v", "r", "s", "accessList")}
    nonce, price, gas, to, value, data, v, _, _ = rlp.decode(raw)
    number = int.from_bytes
    fields: TransactionFields = {
        "chainId": (number(v, "big") - 35) // 2,  # EIP-155
        "nonce": number(nonce, "big"),
        "gas": number(gas, "big"),
        "gasPrice": number(price, "big"),
        "value": number(value, "big"),
        "data": data,
    }
    return {**fields, "to": to} if to else fields
