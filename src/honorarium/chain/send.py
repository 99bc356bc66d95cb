"""Transactions: built and signed here, sent, and followed to their receipt.

A Sender is one account's voice: it counts the nonces itself, so nothing else may send for the same
account meanwhile. If something did, the next `send` notices and counts anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from eth_account import Account

from honorarium.chain.node import Node, from_hex, to_hex
from honorarium.errors import (
    ContractError,
    FateUnknown,
    NodeError,
    NodeUnreachable,
    TransactionFailed,
)
from honorarium.ids import Address, Hash
from honorarium.protocol.keys import Key
from honorarium.units import BlockNumber, UnixTime

TIP: Final = 1_000_000_000
"""What a gas unit offers to whoever makes the block, in wei."""

FEES_KEPT: Final = 200
"""After so many transactions the base fee is asked for again."""


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What is broadcast, byte for byte. Sending it twice counts once."""

    raw: bytes
    hash: Hash
    nonce: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction. `gas_used` in gas, `gas_price` in wei per gas."""

    tx_hash: Hash
    block: BlockNumber
    ok: bool
    gas_used: int
    gas_price: int
    contract: Address | None
    logs: tuple[dict[str, Any], ...]  # as the node writes them; see `logs.decode`


class Sender:
    """Sends for the account of `key`. `tip` is wei per gas, `patience` seconds for a receipt."""

    def __init__(self, node: Node, key: Key, *, tip: int = TIP, patience: float = 120) -> None:
        self.node, self._key, self._tip, self._patience = node, key, tip, patience
        self.address: Address = key.address
        self._nonce: int | None = None
        self._max_fee = 0
        self._fee_uses = 0

    # ------------------------------------------------------------------ step by step

    def sign(
        self, to: Address | None, data: bytes, *, value: int = 0, gas: int | None = None
    ) -> SignedTransaction:
        """The next transaction of the account, signed and not sent yet. It takes a nonce.

        `gas` None: as much as the node estimates and a fifth more; then a call that a contract
        refuses raises its ContractError here, and takes no nonce. `to` None creates a contract.
        """
        if gas is None:
            gas = self._estimate(to, data, value)
        if self._nonce is None:
            self._nonce = self._count()
        if self._fee_uses == 0:
            # Twice the base fee outlasts six full blocks; what is not needed is not charged.
            self._max_fee = 2 * self.node.block().base_fee + self._tip
            self._fee_uses = FEES_KEPT
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self.node.chain_id,
            "nonce": self._nonce,
            "maxPriorityFeePerGas": self._tip,
            "maxFeePerGas": self._max_fee,
            "gas": gas,
            "value": value,
            "data": data,
        }
        if to is not None:
            fields["to"] = to
        made = Account.sign_transaction(fields, self._key.secret())
        signed = SignedTransaction(bytes(made.raw_transaction), Hash(bytes(made.hash)), self._nonce)
        self._nonce += 1
        self._fee_uses -= 1
        return signed

    def submit(self, signed: SignedTransaction, at: UnixTime | None = None) -> Hash:
        """Broadcasts it; on a local chain its block can be `at` a time. Again is fine: what the
        node knows already is not sent twice.

        Raises NodeError if the node refuses it, FateUnknown if no answer came.
        """
        try:
            # Any chain refuses a used nonce, but Ganache 7 takes 0 again and again.
            if signed.nonce == 0 and self._known(signed.hash):
                return signed.hash
            if at is not None:
                self.node.send_at(at, signed.raw)
            else:
                self.node.request("eth_sendRawTransaction", [to_hex(signed.raw)])
        except NodeUnreachable as error:
            raise FateUnknown(signed.hash) from error
        except (NodeError, ContractError):
            if not self._known(signed.hash):
                raise
        return signed.hash

    def send(self, to: Address | None, data: bytes, value: int = 0, gas: int | None = None) -> Hash:
        """Signs and broadcasts; the hash by which `receipt` finds it.

        Raises as `sign` and `submit` do. If somebody else used the nonce, it counts anew, once.
        """
        try:
            return self._send(to, data, value, gas)
        except NodeError as error:
            if "nonce" not in error.message.lower():
                raise
            return self._send(to, data, value, gas)

    def _send(self, to: Address | None, data: bytes, value: int, gas: int | None) -> Hash:
        signed = self.sign(to, data, value=value, gas=gas)
        try:
            return self.submit(signed)
        except FateUnknown:
            raise
        except Exception:
            # Refused, so the nonce was not used, or by somebody else.
            self._nonce, self._fee_uses = None, 0
            raise

    # ------------------------------------------------------------------ what became of it

    def receipt(self, tx_hash: Hash) -> Receipt:
        """Waits until the transaction is in a block. Raises FateUnknown if it never is."""
        deadline = time.monotonic() + self._patience
        pause = 0.01
        while True:
            found = self.node.request("eth_getTransactionReceipt", [to_hex(tx_hash)])
            if found is not None:
                return read_receipt(found)
            if time.monotonic() > deadline:
                raise FateUnknown(tx_hash)
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def transact(
        self, to: Address | None, data: bytes, value: int = 0, gas: int | None = None
    ) -> Receipt:
        """Sends and waits. Raises TransactionFailed, with the contract's reason, if it failed."""
        receipt = self.receipt(self.send(to, data, value, gas))
        if not receipt.ok:
            raise TransactionFailed(receipt.tx_hash, reason_of(self.node, receipt.tx_hash))
        return receipt

    # ------------------------------------------------------------------ within

    def _count(self) -> int:
        found = self.node.request("eth_getTransactionCount", [to_hex(self.address), "pending"])
        return int(found, 16)

    def _estimate(self, to: Address | None, data: bytes, value: int) -> int:
        wanted = {"from": to_hex(self.address), "data": to_hex(data), "value": hex(value)}
        if to is not None:
            wanted["to"] = to_hex(to)
        return int(self.node.request("eth_estimateGas", [wanted]), 16) * 6 // 5

    def _known(self, tx_hash: Hash) -> bool:
        return self.node.request("eth_getTransactionByHash", [to_hex(tx_hash)]) is not None


def read_receipt(found: dict[str, Any]) -> Receipt:
    """A receipt as JSON-RPC writes it."""
    created = found.get("contractAddress")
    return Receipt(
        tx_hash=Hash(from_hex(found["transactionHash"])),
        block=BlockNumber(int(found["blockNumber"], 16)),
        ok=int(found["status"], 16) == 1,
        gas_used=int(found["gasUsed"], 16),
        gas_price=int(found.get("effectiveGasPrice") or "0x0", 16),
        contract=Address(from_hex(created)) if created else None,
        logs=tuple(found["logs"]),
    )


def receipts(node: Node, hashes: Iterable[Hash]) -> list[Receipt | None]:
    """Many receipts, in batches; None for what is in no block."""
    asked = [("eth_getTransactionReceipt", [to_hex(each)]) for each in hashes]
    return [read_receipt(found) if found else None for found in node.batch(asked)]


def reason_of(node: Node, tx_hash: Hash) -> ContractError | None:
    """Why a transaction failed: the same call again, on the state before its block.

    None if it cannot be told: it does not fail there, or the node kept no such state. A reason that
    depends on the block's time, or on others in the same block, may differ.
    """
    found = node.request("eth_getTransactionByHash", [to_hex(tx_hash)])
    if not found or not found.get("blockNumber"):
        return None
    call = {"from": found["from"], "data": found["input"], "value": found["value"]}
    call["gas"] = found["gas"]
    if found.get("to"):
        call["to"] = found["to"]
    number = int(found["blockNumber"], 16)
    # The block itself has the right time; before it, nothing of it has happened yet.
    for block in (number - 1, number):
        try:
            node.request("eth_call", [call, hex(block)])
        except ContractError as reason:
            return reason
        except NodeError:
            continue
    return None
