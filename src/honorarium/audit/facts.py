"""What an audit looks at: the facts as collected from a chain, before anybody judges them.

Everything is as the node told it at one block; nothing here asks a chain. Amounts are base units,
times unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from honorarium.audit.records import Moved
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol.events import Event
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, BlockNumber, UnixTime


class Transaction(NamedTuple):
    """Who sent which call to whom.

    `head` and `tail`: what stands around the calldata in the transaction as it was signed
    (envelope.py); None: nobody kept it. `checked`: another piece of the work has events of this
    batch too, and checks that it is what was signed; here only a few of its rows matter.
    """

    sender: Address
    to: Address | None  # None: it created a contract
    data: bytes
    head: bytes | None = None
    tail: bytes | None = None
    checked: bool = False


class Entry(NamedTuple):
    """One event of the escrow or the tip jar, where and when it happened.

    `transaction`: the one that wrote it; None: the node has it not.
    """

    block: BlockNumber
    log: int  # of the log within its block
    time: UnixTime  # of the block
    tx_hash: Hash
    event: Event
    transaction: Transaction | None = None


class Transfer(NamedTuple):
    """A token's own log of tokens that went to the escrow, left it, or were a tip."""

    block: BlockNumber
    log: int
    tx_hash: Hash
    token: Address
    sender: Address
    recipient: Address
    amount: BaseUnits

    @property
    def moved(self) -> Moved:
        """What moved."""
        return self[2:]


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


@dataclass(frozen=True, slots=True)
class Questions:
    """What the ledger of the audit wants to compare, once it has read every event."""

    sessions: Iterable[SessionId]
    accounts: Iterable[tuple[Address, Address]]  # (token, account)
    advisors: Iterable[Address]
    tokens: Iterable[Address]


@dataclass(slots=True)
class Facts:
    """A chain's facts, in the order in which an audit takes them.

    `entries` may be a stream. The rest is asked for when it is needed: `separator` gives a token's
    EIP-712 domain, `transfers` the logs of these tokens (to the escrow, from it, and of tips) over
    the same blocks, `state` what storage holds at a block, `code` whether an account was a contract
    at a block (None: nobody can tell any more), and `happened` what a transaction did, each with
    how often.
    """

    place: Place
    entries: Iterable[Entry]
    separator: Callable[[Address], bytes | None]
    transfers: Callable[[Iterable[Address]], Iterable[Transfer]]
    state: Callable[[Questions, BlockNumber], State]
    code: Callable[[Address, BlockNumber], bool | None]
    happened: Callable[[BlockNumber, Hash], Mapping[Happening, int]]
    at: tuple[BlockNumber, ...] = ()
    """Blocks at which storage is compared too, beside the last one."""


class Severity(StrEnum):
    """What a finding means."""

    VIOLATION = "violation"
    """A rule is broken: the audit fails."""
    LOOK = "look"
    """It is allowed, or rests on somebody's word alone, and deserves a look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact that contradicts a rule, or that deserves a look.

    `token`: the finding rests on the word of this token alone (its log, its balances).
    """

    rule: str  # "ESC-4", or the name of what deserves a look: "overlap"
    session: SessionId | None  # None: it is about an account or a token
    expected: str
    found: str
    block: BlockNumber | None = None
    log: int | None = None
    tx_hash: Hash | None = None
    about: str = ""
    severity: Severity = Severity.VIOLATION
    token: Address | None = None


Happening = tuple[str, bytes]
"""An event's name, and what it is about (origin.py)."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A signature that its signer's key did not make: a finding, unless a contract signed."""

    signer: Address
    finding: Finding


@dataclass(frozen=True, slots=True)
class Nested:
    """An event that the call in its transaction does not explain: findings, unless that call did
    something of its `own` beside this event, in the middle of which another contract could call.
    """

    own: frozenset[Happening]
    happening: Happening
    findings: tuple[Finding, ...]  # about this one event

    @property
    def finding(self) -> Finding:
        """The first of them."""
        return self.findings[0]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A consent that nothing here proves; `why` names what counts it in `Unproven`."""

    why: str


@dataclass(slots=True)
class Unproven:
    """How often a consent could not be checked, and why: none of these is a finding. `sessions`:
    of how many sessions a consent rests on the word of somebody who is named so.
    """

    contract_signers: int = 0  # ERC-1271: only the contract knows whom it accepted
    through_contracts: int = 0  # the call came out of another contract, not of a transaction's data
    forgotten_signers: int = 0  # no key signed, and whether a contract stood there nobody can tell
    unsigned_callers: int = 0  # the transaction's signature is not at hand: who sent it is a claim
    sessions: int = 0

    def count(self, claimed: Claimed) -> None:
        setattr(self, claimed.why, getattr(self, claimed.why) + 1)

    def add(self, other: Unproven) -> None:
        self.contract_signers += other.contract_signers
        self.through_contracts += other.through_contracts
        self.forgotten_signers += other.forgotten_signers
        self.unsigned_callers += other.unsigned_callers
        self.sessions += other.sessions
