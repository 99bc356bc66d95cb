"""A transaction as it was signed, kept around its calldata: anybody can hash it again, and find out
who sent it.

    head ‖ calldata ‖ tail      what the sender's signature covers, and the signature

The hash binds recipient and calldata to the name that the logs give the transaction; the signature
binds them to the sender. That the transaction is on a chain neither shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from honorarium.audit.encoding import read_transaction, recipient_in, sender_head_tail
from honorarium.audit.facts import Transaction
from honorarium.chain.node import from_hex
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash

NOT_KEPT: tuple[None, None] = (None, None)


def envelope_of(found: Mapping[str, Any]) -> tuple[bytes, bytes] | tuple[None, None]:
    """Head and tail of a transaction in JSON-RPC's form.

    None: it is of a kind that is not known here, or the node put it into a block without its
    sender's signature, as test chains can.
    """
    try:
        sender, head, tail = sender_head_tail(found)
    except (ValueError, KeyError):
        return NOT_KEPT
    return (head, tail) if sender == from_hex(found["from"]) else NOT_KEPT


def altered(tx_hash: Hash, sent: Transaction) -> str | None:
    """What shows that this is not the transaction of that hash; None: nothing, or it was not kept
    as it was signed.
    """
    if sent.head is None or sent.tail is None:
        return None
    found = keccak(sent.head + sent.data + sent.tail)
    if found != tx_hash:
        return f"its fields hash to 0x{found.hex()}"
    try:
        to = recipient_in(sent.head)
    except ValueError as error:
        return str(error)
    if to != (sent.to or b""):
        return f"it was signed for 0x{to.hex()}, and stands here for 0x{(sent.to or b'').hex()}"
    return None


def sent_by_another(sent: Transaction, party: Address) -> str | None:
    """Whose signature a transaction carries that is said to be sent by `party`; None: its own, or
    the signature was not kept.
    """
    if sent.head is None or sent.tail is None:
        return None
    sender = _sender(sent.head, sent.data, sent.tail)
    if sender == party:
        return None
    return "a transaction of nobody" if sender is None else f"a transaction of 0x{sender.hex()}"


@lru_cache(maxsize=16)
def _sender(head: bytes, data: bytes, tail: bytes) -> Address | None:
    try:
        signed = read_transaction(head + data + tail)
    except ValueError:
        return None
    return signed.sender if signed.data == data else None
