"""The evidence of one session as a file: what is in it, and its one canonical form.

JSON, with its members sorted and two spaces of indentation, so that the same evidence is always the
same bytes. `digest` is the SHA-256 of the file with 64 zeros in its place: it shows accidents, not
forgeries, which is what the proofs are for. docs/evidence.md describes every member, and
evidence.schema.json beside this module is its JSON schema.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from honorarium.errors import HonorariumError, InputError
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.documents import read_terms, terms_record
from honorarium.protocol.journal import Entry
from honorarium.protocol.records import (
    entry_record,
    read_bytes,
    read_entry,
    read_signature,
    reading_record,
)
from honorarium.protocol.signed import SignedAcknowledgement, SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain

KIND: Final = "honorarium evidence 1"
LONGEST: Final = 2**26
"""So many bytes a file of evidence may have."""

_NO_DIGEST: Final = "0x" + "0" * 64
_UNREADABLE: Final = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    HonorariumError,
)

Proof = tuple[bytes, ...]
"""The nodes of a Merkle proof from the root to the value, each as its RLP."""


class EvidenceUnreadable(InputError):
    """A file that is no evidence, or is not whole any more."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"this is no whole file of evidence: {reason}; ask whoever made it to send it once more"
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction of the session. `transaction` proves what was sent, None: nothing does;
    `receipt` what became of it.
    """

    index: int  # in its block
    transaction: Proof | None
    receipt: Proof


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its header as RLP, the header's hash, and the session's transactions in it.

    A block without any only links the one before it to the one after it.
    """

    hash: Hash
    header: bytes
    sent: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True)
class Claims:
    """What nothing in the file proves: what the token says of itself."""

    symbol: str
    decimals: int
    separator: Hash | None = None  # its EIP-712 domain, where the payer signed for the token


@dataclass(frozen=True, slots=True)
class Bundle:
    """The evidence of one session, as it was collected. Nothing of it is verified here.

    `blocks` stand in the order of the chain, those with the session's events and the last one, at
    whose end `accounts` and `slot` are proven. `vouchers` are the last one that was settled and the
    newest one. `journal` leads to the newest one's head; None: it was not at hand.
    """

    domain: Domain
    tip_jar: Address
    session_id: SessionId
    terms: Terms
    quote: bytes | None  # the advisor's signature; None: it was not at hand
    vouchers: tuple[SignedVoucher, ...]
    journal: tuple[Entry, ...] | None
    acknowledgements: tuple[SignedAcknowledgement, ...]
    blocks: tuple[Block, ...]
    accounts: Mapping[Address, Proof]
    slot: Proof
    claims: Claims

    def to_text(self) -> str:
        """The file."""
        return _sealed(self._members())

    @classmethod
    def from_text(cls, text: str) -> Bundle:
        """What `to_text` wrote. Raises EvidenceUnreadable for anything else, to the byte."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise EvidenceUnreadable("it is cut short, or was never one (no JSON)") from None
        if not isinstance(found, dict) or found.get("kind") != KIND:
            raise EvidenceUnreadable(f"it does not say that it is {KIND!r}")
        try:
            if _sealed(found) != text:
                raise EvidenceUnreadable(
                    "it was changed: it is not written the one way that it is written in, or its "
                    "digest is not that of its content"
                )
            bundle = cls._read(found)
        except EvidenceUnreadable:
            raise
        except _UNREADABLE as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise EvidenceUnreadable(what[:300]) from None
        if bundle.to_text() != text:
            raise EvidenceUnreadable("it has members that do not belong there, or in another form")
        return bundle

    def _members(self) -> dict[str, Any]:
        claims = self.claims
        return {
            "kind": KIND,
            "chainId": self.domain.chain_id,
            "contract": _hex(self.domain.contract),
            "tipJar": _hex(self.tip_jar),
            "session": _hex(self.session_id),
            "terms": terms_record(self.terms),
            "quote": None if self.quote is None else _hex(self.quote),
            "vouchers": [reading_record(v.units, v.journal, v.signature) for v in self.vouchers],
            "journal": None if self.journal is None else [*map(entry_record, self.journal)],
            "acknowledgements": [
                reading_record(a.units, a.journal, a.signature) for a in self.acknowledgements
            ],
            "blocks": [_block_record(block) for block in self.blocks],
            "state": {
                "accounts": {_hex(account): _nodes(p) for account, p in self.accounts.items()},
                "slot": _nodes(self.slot),
            },
            "claims": {
                "symbol": claims.symbol,
                "decimals": claims.decimals,
                "separator": None if claims.separator is None else _hex(claims.separator),
            },
        }

    @classmethod
    def _read(cls, found: Mapping[str, Any]) -> Bundle:
        claims, state, journal = found["claims"], found["state"], found["journal"]
        return cls(
            domain=Domain(_number(found["chainId"]), Address(read_bytes(found["contract"], 20))),
            tip_jar=Address(read_bytes(found["tipJar"], 20)),
            session_id=SessionId(read_bytes(found["session"], 32)),
            terms=read_terms(found["terms"]),
            quote=None if found["quote"] is None else _bytes(found["quote"]),
            vouchers=tuple(SignedVoucher(*_reading(each)) for each in found["vouchers"]),
            journal=None if journal is None else tuple(map(read_entry, journal)),
            acknowledgements=tuple(
                SignedAcknowledgement(*_reading(each)) for each in found["acknowledgements"]
            ),
            blocks=tuple(map(_read_block, found["blocks"])),
            accounts={
                Address(read_bytes(account, 20)): _read_nodes(nodes)
                for account, nodes in state["accounts"].items()
            },
            slot=_read_nodes(state["slot"]),
            claims=Claims(
                _symbol(claims["symbol"]),
                _number(claims["decimals"], 256),
                None if claims["separator"] is None else Hash(read_bytes(claims["separator"], 32)),
            ),
        )


@cache
def schema() -> Mapping[str, Any]:
    """The JSON schema of the file."""
    text = files(__package__).joinpath("evidence.schema.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def plain_symbol(text: str) -> str:
    """A token's name for itself, as far as it is printable ASCII; `?` if nothing is left."""
    return "".join(c for c in text if c.isascii() and c.isprintable())[:16].strip() or "?"


def _sealed(members: Mapping[str, Any]) -> str:
    """The canonical text of these members, with its digest."""
    text = json.dumps({**members, "digest": _NO_DIGEST}, indent=2, sort_keys=True) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text.replace(f'"digest": "{_NO_DIGEST}"', f'"digest": "0x{digest}"', 1)


def _block_record(block: Block) -> dict[str, Any]:
    return {
        "hash": _hex(block.hash),
        "header": _hex(block.header),
        "transactions": [
            {
                "index": sent.index,
                "transaction": None if sent.transaction is None else _nodes(sent.transaction),
                "receipt": _nodes(sent.receipt),
            }
            for sent in block.sent
        ],
    }


def _read_block(found: Mapping[str, Any]) -> Block:
    return Block(
        Hash(read_bytes(found["hash"], 32)),
        _bytes(found["header"]),
        tuple(
            Sent(
                _number(sent["index"]),
                None if sent["transaction"] is None else _read_nodes(sent["transaction"]),
                _read_nodes(sent["receipt"]),
            )
            for sent in found["transactions"]
        ),
    )


def _reading(found: Mapping[str, Any]) -> tuple[int, Hash, Any]:
    journal = Hash(read_bytes(found["journal"], 32))
    return _number(found["units"]), journal, read_signature(found["signature"])


def _nodes(proof: Proof) -> list[str]:
    return [_hex(node) for node in proof]


def _read_nodes(found: object) -> Proof:
    if not isinstance(found, list):
        raise ValueError(f"{str(found)[:40]!r} is no list of nodes")
    return tuple(map(_bytes, found))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _bytes(text: object) -> bytes:
    if not isinstance(text, str) or not re.fullmatch("0x(?:[0-9a-f]{2})*", text):
        raise ValueError(f"{str(text)[:40]!r} is not 0x and pairs of lower-case hex digits")
    return bytes.fromhex(text[2:])


def _number(given: object, limit: int = 2**53) -> int:
    if type(given) is not int or not 0 <= given < limit:
        raise ValueError(f"{str(given)[:40]!r} is no whole number below {limit}")
    return given


def _symbol(given: object) -> str:
    if not isinstance(given, str) or plain_symbol(given) != given:
        raise ValueError(f"{str(given)[:40]!r} is no symbol of printable ASCII")
    return given
