"""What stands on the headers of a bundle's blocks: its transactions, receipts, code and storage.

Every step is a hash: the header's own, the roots in it, the proofs below them. What does not hold
is told in `faults`, and then nothing else of it may be used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from honorarium.audit.encoding import (
    Header,
    Outcome,
    Signed,
    index_key,
    read_account,
    read_header,
    read_receipt,
    read_transaction,
    read_word,
)
from honorarium.audit.evidence.bundle import Bundle, Sent
from honorarium.audit.evidence.merkle import ProofBroken, proven
from honorarium.audit.state import slot_key
from honorarium.chain import LogRecord
from honorarium.chain.deploy import code_hashes
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash
from honorarium.protocol.events import RowSkipped, Tipped, decode_log

NO_CODE: Final = keccak(b"")
_PER_TRANSACTION: Final = 1 << 24  # more logs no transaction has


class Fault(NamedTuple):
    """Something that does not hold, in words: what it is about, and what is off."""

    about: str
    text: str


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A transaction of the session on its block. `sent` None: nothing proves what was sent."""

    header: Header
    index: int
    sent: Signed | None
    outcome: Outcome

    @property
    def id(self) -> Hash:
        """The transaction's hash; where that is not proven, a name of its own for its place."""
        if self.sent is not None:
            return self.sent.hash
        return Hash(keccak(self.header.hash + index_key(self.index)))


@dataclass(slots=True)
class Ground:
    """What the headers carry. `anchored`: of each block, whether a named block proves it."""

    headers: list[Header] = field(default_factory=list)
    anchored: list[bool] = field(default_factory=list)
    witnessed: list[Witnessed] = field(default_factory=list)
    records: list[LogRecord] = field(default_factory=list)  # of the session
    codes: dict[Address, bytes] = field(default_factory=dict)  # hashes, at the last block
    slot: int = 0
    faults: list[Fault] = field(default_factory=list)


def ground_of(bundle: Bundle, named: Collection[Hash]) -> Ground:
    """What the bundle's headers carry, those in `named` being trusted. Raises nothing."""
    ground = Ground()
    _headers(bundle, ground)
    if ground.faults:
        return ground
    _anchors(ground, named)
    _state(bundle, ground)
    for header, block in zip(ground.headers, bundle.blocks, strict=True):
        for sent in block.sent:
            _transaction(bundle, ground, header, sent)
    return ground


def _headers(bundle: Bundle, ground: Ground) -> None:
    for place, block in enumerate(bundle.blocks, start=1):
        try:
            header = read_header(block.header)
        except ValueError as error:
            ground.faults.append(Fault("header", f"header {place} cannot be read: {error}"))
            return
        if header.hash != block.hash:
            ground.faults.append(
                Fault(
                    "header",
                    f"the header of block {header.number} was changed: it hashes to "
                    f"0x{header.hash.hex()}, not to 0x{block.hash.hex()}",
                )
            )
        before = ground.headers[-1] if ground.headers else None
        if before is not None and header.number <= before.number:
            ground.faults.append(
                Fault("header", f"block {header.number} stands behind block {before.number}")
            )
        elif (
            before is not None
            and header.number == before.number + 1
            and header.parent != before.hash
        ):
            ground.faults.append(
                Fault(
                    "header",
                    f"block {header.number} does not follow block {before.number}: they are of "
                    "different chains",
                )
            )
        ground.headers.append(header)
    if not ground.headers:
        ground.faults.append(Fault("header", "there is no block in it"))


def _anchors(ground: Ground, named: Collection[Hash]) -> None:
    """A block is proven by its hash being named, or by the proven block that follows it."""
    follows: Header | None = None
    for header in reversed(ground.headers):
        linked = follows is not None and follows.parent == header.hash
        anchored = header.hash in named or (linked and ground.anchored[0])
        ground.anchored.insert(0, anchored)
        follows = header
    known = {header.hash for header in ground.headers}
    for each in named:
        if each not in known:
            ground.faults.append(
                Fault(
                    "header",
                    f"no block of this file is the one that you named, 0x{each.hex()}: the "
                    "evidence is of another chain, or of another block",
                )
            )


def _state(bundle: Bundle, ground: Ground) -> None:
    header = ground.headers[-1]
    storage = b""
    for account, proof in bundle.accounts.items():
        try:
            found = proven(header.state_root, keccak(account), proof)
            root, ground.codes[account] = read_account(found) if found else (b"", NO_CODE)
        except ValueError as error:
            text = f"the state of 0x{account.hex()} is not that of block {header.number}: {error}"
            ground.faults.append(Fault("state", text))
            continue
        if account == bundle.domain.contract:
            storage = root
    chain = bundle.domain.chain_id
    ours: tuple[tuple[Literal["SessionEscrow", "TipJar"], Address], ...] = (
        ("SessionEscrow", bundle.domain.contract),
        ("TipJar", bundle.tip_jar),
    )
    for name, account in ours:
        if account not in bundle.accounts:
            ground.faults.append(Fault("contract", f"nothing shows what {name} is"))
        elif account in ground.codes and ground.codes[account] not in code_hashes(
            name, chain, account
        ):
            ground.faults.append(
                Fault(
                    "contract",
                    f"at 0x{account.hex()} there is no {name} of this version for chain {chain}",
                )
            )
    if storage:
        try:
            key = slot_key(bundle.session_id).to_bytes(32, "big")
            ground.slot = read_word(proven(storage, keccak(key), bundle.slot))
        except ValueError as error:
            text = f"the session's storage is not that of block {header.number}: {error}"
            ground.faults.append(Fault("state", text))


def _transaction(bundle: Bundle, ground: Ground, header: Header, given: Sent) -> None:
    where = f"transaction {given.index} of block {header.number}"
    key = index_key(given.index)
    try:
        outcome = read_receipt(_there(header.receipts_root, key, given.receipt))
    except ValueError as error:
        ground.faults.append(Fault("receipt", f"the receipt of {where} is not proven: {error}"))
        return
    signed: Signed | None = None
    if given.transaction is not None:
        try:
            signed = read_transaction(_there(header.transactions_root, key, given.transaction))
        except ValueError as error:
            ground.faults.append(Fault("transaction", f"{where} is not proven: {error}"))
            return
        if signed.chain_id not in (None, bundle.domain.chain_id):
            text = f"{where} was signed for chain {signed.chain_id}"
            ground.faults.append(Fault("transaction", text))
    witnessed = Witnessed(header, given.index, signed, outcome)
    ground.witnessed.append(witnessed)
    try:
        records = list(_records(bundle, witnessed))
    except ValueError as error:
        ground.faults.append(Fault("receipt", f"the log of {where} cannot be read: {error}"))
        return
    if not records or not outcome.ok:
        ground.faults.append(Fault("receipt", f"{where} did nothing to this session"))
    ground.records += records


def _records(bundle: Bundle, witnessed: Witnessed) -> Iterator[LogRecord]:
    """The session's events in a receipt, from the contract that each belongs to."""
    header = witnessed.header
    for place, log in enumerate(witnessed.outcome.logs):
        if log.address not in (bundle.domain.contract, bundle.tip_jar):
            continue
        event = decode_log(log.topics, log.data)
        ours = event is not None and (log.address == bundle.tip_jar) == isinstance(event, Tipped)
        if not ours or isinstance(event, RowSkipped):
            continue
        assert event is not None
        if getattr(event, "session_id", None) == bundle.session_id:
            index = witnessed.index * _PER_TRANSACTION + place
            yield LogRecord(header.number, index, witnessed.id, log.address, event, header.time)


def _there(root: bytes, key: bytes, proof: tuple[bytes, ...]) -> bytes:
    found = proven(root, key, proof)
    if not found:
        raise ProofBroken("the block has none at this place")
    return found
