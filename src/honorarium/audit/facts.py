"""What an audit looks at: the facts as collected from a chain, before anybody judges them.

Everything is as the node told it at one block; nothing here asks a chain. Amounts are base units,
times unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.events import Event
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, BlockNumber, UnixTime


@dataclass(frozen=True, slots=True)
class Transaction:
    """Who sent which call to whom."""

    sender: Address
    to: Address | None  # None: it created a contract
    data: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the escrow or the tip jar, where and when it happened.

    `transaction` is there where consent is looked for: openings, ratings, answers, and the close of
    a session that somebody was leaving.
    """

    block: BlockNumber
    index: int  # of the log within its block
    time: UnixTime  # of the block
    tx_hash: Hash
    event: Event
    transaction: Transaction | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A token's own log of tokens that went to the escrow or left it."""

    block: BlockNumber
    index: int
    tx_hash: Hash
    token: Address
    sender: Address
    recipient: Address
    amount: BaseUnits


@dataclass(frozen=True, slots=True)
class Token:
    """What the audit asks a token about itself."""

    address: Address
    held: BaseUnits  # by the escrow, at the audited block
    decimals: int | None  # None: it does not say


@dataclass(frozen=True, slots=True)
class Place:
    """Which contracts on which chain were audited, over which blocks (both inclusive)."""

    domain: Domain  # of the escrow
    tip_jar: Address
    first: BlockNumber
    last: BlockNumber


@dataclass(slots=True)
class State:
    """What the contracts' storage and the tokens said at the last block."""

    slots: Mapping[SessionId, int]
    balances: Mapping[tuple[Address, Address], BaseUnits]  # (token, account)
    tallies: Mapping[Address, tuple[int, int]]  # advisor: how many ratings, sum of scores
    tokens: Mapping[Address, Token]
    with_code: frozenset[Address]  # of the accounts that were asked about


@dataclass(frozen=True, slots=True)
class Questions:
    """What the ledger of the audit wants to compare, once it has read every event."""

    sessions: Iterable[SessionId]
    accounts: Iterable[tuple[Address, Address]]  # (token, account)
    advisors: Iterable[Address]
    tokens: Iterable[Address]
    signers: Iterable[Address]  # may they be contracts?


@dataclass(slots=True)
class Facts:
    """A chain's facts, in the order in which an audit takes them.

    `entries` may be a stream. `separator` and `state` ask the chain when they are called:
    `separator` for a token's EIP-712 domain while the entries are read, `state` once after them.
    `transfers` gives the logs of these tokens, to and from the escrow, over the same blocks.
    """

    place: Place
    entries: Iterable[Entry]
    separator: Callable[[Address], bytes | None]
    transfers: Callable[[Iterable[Address]], Iterable[Transfer]]
    state: Callable[[Questions], State]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact that contradicts a rule."""

    rule: str  # "ESC-4"
    session: SessionId | None  # None: it is about an account or a token
    expected: str
    found: str
    block: BlockNumber | None = None
    log: int | None = None
    tx_hash: Hash | None = None
    about: str = ""


@dataclass(slots=True)
class Doubt:
    """A signature that its signer's key did not make: a finding, unless a contract signed."""

    signer: Address
    finding: Finding


@dataclass(slots=True)
class Unproven:
    """How often a consent could not be checked, and why: none of these is a finding."""

    contract_signers: int = 0  # ERC-1271: only the contract knows whom it accepted
    through_contracts: int = 0  # the call came out of another contract, not of a transaction's data
