"""What storage and the tokens say at a block: asked of a node, and kept in an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from honorarium.artifacts import artifact
from honorarium.audit.facts import Questions, State, Token
from honorarium.audit.tables import Row
from honorarium.chain.node import Node, from_hex, to_hex
from honorarium.errors import ContractError, NodeError
from honorarium.hashing import keccak
from honorarium.ids import ZERO_ADDRESS, Address, SessionId
from honorarium.protocol.typed_data import word
from honorarium.units import BaseUnits, BlockNumber

COIN_DECIMALS: Final = 18
CHUNK: Final = 400  # words of storage asked for together

_SLOT_OF: Final = {entry.label: entry.slot for entry in artifact("SessionEscrow").storage}
_LOW: Final = (1 << 128) - 1


def slot_key(session_id: SessionId) -> int:
    """Where in the escrow's storage a session lies."""
    return _mapped(session_id, "_cells")


def balance_key(token: Address, account: Address) -> int:
    """Where in the escrow's storage an account's balance lies."""
    return int.from_bytes(keccak(token + account), "big")


def tally_key(advisor: Address) -> int:
    """Where in the escrow's storage an advisor's ratings are counted."""
    return _mapped(word(advisor), "_tallies")


class StateReader:
    """Asks a node, in batches."""

    def __init__(
        self, node: Node, escrow: Address, progress: Callable[[str, int, int], None] | None = None
    ) -> None:
        self._node, self._escrow = node, escrow
        self._tell = progress or (lambda what, done, total: None)

    def state(self, questions: Questions, block: BlockNumber) -> State:
        """What storage holds at a block, for whom it is asked."""
        sessions, accounts = list(questions.sessions), list(questions.accounts)
        advisors = list(questions.advisors)
        keys = [
            *map(slot_key, sessions),
            *(balance_key(token, account) for token, account in accounts),
            *map(tally_key, advisors),
        ]
        words = iter(self._storage(keys, block))
        return State(
            slots=dict(zip(sessions, words, strict=False)),
            balances={at: BaseUnits(found) for at, found in zip(accounts, words, strict=False)},
            tallies={
                advisor: (found & _LOW, found >> 128)
                for advisor, found in zip(advisors, words, strict=False)
            },
            tokens={token: self._token(token, block) for token in questions.tokens},
        )

    def separator(self, token: Address, block: BlockNumber) -> bytes | None:
        """The token's EIP-712 domain separator, as it says at that block."""
        answer = self._ask(token, keccak(b"DOMAIN_SEPARATOR()")[:4], block)
        return answer if len(answer) == 32 else None

    def code(self, account: Address, block: BlockNumber) -> bool | None:
        """Whether an account was a contract after a block. None: this node has forgotten."""
        try:
            return bool(self._node.code(account, block))
        except NodeError:
            return None

    def _token(self, token: Address, block: BlockNumber) -> Token:
        if token == ZERO_ADDRESS:
            return Token(token, self._node.balance(self._escrow, block), COIN_DECIMALS)
        question = keccak(b"balanceOf(address)")[:4] + word(self._escrow)
        held = self._ask(token, question, block)
        decimals = self._ask(token, keccak(b"decimals()")[:4], block)
        known = len(decimals) == 32 and int.from_bytes(decimals, "big") <= 255
        return Token(
            token,
            BaseUnits(int.from_bytes(held, "big") if len(held) == 32 else 0),
            int.from_bytes(decimals, "big") if known else None,
        )

    def _ask(self, token: Address, data: bytes, block: BlockNumber) -> bytes:
        """What a token answers; nothing if it refuses."""
        try:
            return self._node.call(token, data, block)
        except (ContractError, NodeError):
            return b""

    def _storage(self, keys: Sequence[int], at: BlockNumber) -> list[int]:
        found: list[int] = []
        block, escrow = hex(at), to_hex(self._escrow)
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


# ---------------------------------------------------------------------- as rows of an archive

_UNKNOWN: Final = b"\xff"


def rows_of_state(state: State) -> Iterator[Row]:
    """A state as an archive keeps it: kind, key, value."""
    for session, slot in state.slots.items():
        yield "slot", session, _bytes(slot)
    for (token, account), amount in state.balances.items():
        yield "balance", token + account, _bytes(amount)
    for advisor, (count, total) in state.tallies.items():
        yield "tally", advisor, _bytes(total << 128 | count)
    for address, token_state in state.tokens.items():
        decimals = token_state.decimals
        known = _UNKNOWN if decimals is None else b"\0" + bytes((decimals,))
        yield "token", address, token_state.held.to_bytes(32, "big") + known


def state_of_rows(rows: Iterable[Row]) -> State:
    """What `rows_of_state` gave."""
    slots: dict[SessionId, int] = {}
    balances: dict[tuple[Address, Address], BaseUnits] = {}
    tallies: dict[Address, tuple[int, int]] = {}
    tokens: dict[Address, Token] = {}
    for kind, key, value in rows:
        if kind == "slot":
            slots[SessionId(key)] = int.from_bytes(value, "big")
        elif kind == "balance":
            at = Address(key[:20]), Address(key[20:])
            balances[at] = BaseUnits(int.from_bytes(value, "big"))
        elif kind == "tally":
            found = int.from_bytes(value, "big")
            tallies[Address(key)] = found & _LOW, found >> 128
        elif kind == "token":
            decimals = None if value[32:] == _UNKNOWN else value[33]
            held = BaseUnits(int.from_bytes(value[:32], "big"))
            tokens[Address(key)] = Token(Address(key), held, decimals)
    return State(slots, balances, tallies, tokens)


Separators = dict[Address, bytes | None]
Codes = dict[tuple[Address, BlockNumber], bool | None]


def rows_said(separators: Separators, codes: Codes) -> Iterator[Row]:
    """What tokens and accounts said beside the storage, as an archive keeps it."""
    for token, separator in separators.items():
        yield "separator", token, separator or b""
    for (account, block), there in codes.items():
        value = _UNKNOWN if there is None else bytes((there,))
        yield "code", account + block.to_bytes(8, "big"), value


def said_of_rows(rows: Iterable[Row]) -> tuple[Separators, Codes]:
    """What `rows_said` gave."""
    separators: Separators = {}
    codes: Codes = {}
    for kind, key, value in rows:
        if kind == "separator":
            separators[Address(key)] = value or None
        elif kind == "code":
            at = Address(key[:20]), BlockNumber(int.from_bytes(key[20:], "big"))
            codes[at] = None if value == _UNKNOWN else bool(value[0])
    return separators, codes


def _bytes(number: int) -> bytes:
    return number.to_bytes(32, "big")
