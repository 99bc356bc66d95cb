"""Fetching the facts: logs, transactions, storage and tokens' answers, at one block, in batches.

All that an audit knows of a chain is what this node says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

from eth_hash.auto import keccak

from honorarium.artifacts import artifact
from honorarium.audit.facts import (
    Entry,
    Facts,
    Place,
    Questions,
    State,
    Token,
    Transaction,
    Transfer,
)
from honorarium.chain.logs import LogRecord, collect, raw_logs, transactions
from honorarium.chain.node import Node, from_hex, to_hex
from honorarium.errors import ContractError, NodeError
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.protocol.events import (
    Answered,
    CloseRequested,
    Rated,
    SessionClosed,
    SessionOpened,
    Tipped,
)
from honorarium.protocol.typed_data import Domain, word
from honorarium.units import BaseUnits, BlockNumber

Progress = Callable[[str, int, int], None]
"""Is told what is being read, how much of it is done, and how much there is."""

CHUNK: Final = 400  # events whose transactions are fetched together
COIN_DECIMALS: Final = 18

_TRANSFER: Final = Hash(keccak(b"Transfer(address,address,uint256)"))
_SLOT_OF: Final = {entry.label: entry.slot for entry in artifact("SessionEscrow").storage}


def slot_key(session_id: SessionId) -> int:
    """Where in the escrow's storage a session lies."""
    return _mapped(session_id, "_cells")


def balance_key(token: Address, account: Address) -> int:
    """Where in the escrow's storage an account's balance lies."""
    return int.from_bytes(keccak(token + account), "big")


def tally_key(advisor: Address) -> int:
    """Where in the escrow's storage an advisor's ratings are counted."""
    return _mapped(word(advisor), "_tallies")


def gather(
    node: Node,
    escrow: Address,
    tip_jar: Address,
    first: int,
    last: int | None = None,
    *,
    progress: Progress | None = None,
) -> Facts:
    """The facts of these contracts from block `first` to `last` (None: the newest), inclusive.

    The newest block is taken as it is; a chain may still replace it.
    Lazy: the chain is read while the audit runs, and NodeUnreachable, NodeError or UnreadableLog
    are raised then.
    """
    tell: Progress = progress or (lambda what, done, total: None)
    end = node.block("latest").number if last is None else BlockNumber(last)
    place = Place(Domain(node.chain_id, escrow), tip_jar, BlockNumber(first), end)
    reader = _Reader(node, place, tell)
    return Facts(
        place=place,
        entries=reader.entries(),
        separator=cache(reader.separator),
        transfers=reader.transfers,
        state=reader.state,
    )


class _Reader:
    def __init__(self, node: Node, place: Place, tell: Progress) -> None:
        self._node, self._place, self._tell = node, place, tell
        self._escrow = place.domain.contract
        self._leaving: set[SessionId] = set()

    # ------------------------------------------------------------------ events

    def entries(self) -> Iterator[Entry]:
        place = self._place
        total = place.last - place.first + 1
        records = collect(
            self._node,
            [self._escrow, place.tip_jar],
            place.first,
            place.last,
            progress=lambda done: self._tell("events", done, total),
        )
        while chunk := list(islice(records, CHUNK)):
            ours = [record for record in chunk if self._is_ours(record)]
            wanted = list(dict.fromkeys(r.tx_hash for r in ours if self._needs_consent(r)))
            sent = {
                tx.hash: Transaction(tx.sender, tx.to, tx.data)
                for tx in transactions(self._node, wanted)
            }
            for r in ours:
                yield Entry(r.block, r.index, r.time, r.tx_hash, r.event, sent.get(r.tx_hash))

    def _is_ours(self, record: LogRecord) -> bool:
        """An event counts only from the contract that it belongs to."""
        return (record.address == self._place.tip_jar) == isinstance(record.event, Tipped)

    def _needs_consent(self, record: LogRecord) -> bool:
        match record.event:
            case CloseRequested(session_id=session_id):
                self._leaving.add(session_id)
                return False
            case SessionClosed(session_id=session_id, units=0):
                return session_id in self._leaving
            case SessionOpened() | Rated() | Answered():
                return True
            case _:
                return False

    # ------------------------------------------------------------------ tokens

    def separator(self, token: Address) -> bytes | None:
        """The token's EIP-712 domain separator, as it says now."""
        answer = self._ask(token, keccak(b"DOMAIN_SEPARATOR()")[:4])
        return answer if len(answer) == 32 else None

    def transfers(self, tokens: Iterable[Address]) -> Iterator[Transfer]:
        escrow, place = Hash(word(self._escrow)), self._place
        wanted = list(tokens)
        for number, token in enumerate(wanted):
            for topics in ((_TRANSFER, None, escrow), (_TRANSFER, escrow, None)):
                for log in raw_logs(self._node, [token], topics, place.first, place.last):
                    if len(log.topics) != 3 or len(log.data) != 32:
                        continue
                    yield Transfer(
                        log.block,
                        log.index,
                        log.tx_hash,
                        token,
                        Address(log.topics[1][12:]),
                        Address(log.topics[2][12:]),
                        BaseUnits(int.from_bytes(log.data, "big")),
                    )
            self._tell("transfers", number + 1, len(wanted))

    def _token(self, token: Address) -> Token:
        if token == ZERO_ADDRESS:
            coin = self._node.balance(self._escrow, self._place.last)
            return Token(token, coin, COIN_DECIMALS)
        held = self._ask(token, keccak(b"balanceOf(address)")[:4] + word(self._escrow))
        decimals = self._ask(token, keccak(b"decimals()")[:4])
        known = len(decimals) == 32 and int.from_bytes(decimals, "big") <= 255
        return Token(
            token,
            BaseUnits(int.from_bytes(held, "big") if len(held) == 32 else 0),
            int.from_bytes(decimals, "big") if known else None,
        )

    def _ask(self, token: Address, data: bytes) -> bytes:
        """What a token answers at the last block; nothing if it refuses."""
        try:
            return self._node.call(token, data, self._place.last)
        except (ContractError, NodeError):
            return b""

    # ------------------------------------------------------------------ storage

    def state(self, questions: Questions) -> State:
        sessions, accounts = list(questions.sessions), list(questions.accounts)
        advisors, signers = list(questions.advisors), sorted(questions.signers)
        keys = [
            *map(slot_key, sessions),
            *(balance_key(token, account) for token, account in accounts),
            *map(tally_key, advisors),
        ]
        words = iter(self._storage(keys))
        block = hex(self._place.last)
        codes = self._node.batch(("eth_getCode", [to_hex(each), block]) for each in signers)
        return State(
            slots=dict(zip(sessions, words, strict=False)),
            balances={at: BaseUnits(found) for at, found in zip(accounts, words, strict=False)},
            tallies={
                advisor: (found & (1 << 128) - 1, found >> 128)
                for advisor, found in zip(advisors, words, strict=False)
            },
            tokens={token: self._token(token) for token in questions.tokens},
            with_code=frozenset(
                signer for signer, code in zip(signers, codes, strict=True) if from_hex(code)
            ),
        )

    def _storage(self, keys: Sequence[int]) -> list[int]:
        found: list[int] = []
        block, escrow = hex(self._place.last), to_hex(self._escrow)
        for start in range(0, len(keys), CHUNK):
            asked: list[tuple[str, list[Any]]] = [
                ("eth_getStorageAt", [escrow, "0x" + key.to_bytes(32, "big").hex(), block])
                for key in keys[start : start + CHUNK]
            ]
            found += (int(from_hex(word).hex() or "0", 16) for word in self._node.batch(asked))
            self._tell("storage", len(found), len(keys))
        return found


def _mapped(key: bytes, variable: str) -> int:
    """Solidity's place of a mapping's value."""
    return int.from_bytes(keccak(key + word(_SLOT_OF[variable])), "big")
