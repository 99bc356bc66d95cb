"""What goes wrong between here and a chain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import urlsplit

from honorarium.errors.base import HonorariumError
from honorarium.errors.refusals import ContractError, moment


class ChainError(HonorariumError):
    """A node or a chain is not what was expected, or did not do what was asked."""


class NodeUnreachable(ChainError):
    """Nothing that speaks JSON-RPC answers at `url`."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"no node answers at {shown_url(url)}: {reason}; check that it runs there, "
            "or start a local chain with `honorarium chain`"
        )


class NodeError(ChainError):
    """The node answered a request with an error that is no contract's refusal."""

    def __init__(self, method: str, code: int, message: str) -> None:
        self.method, self.code, self.message = method, code, message
        advice = (
            "this node does not offer the method; use one that does"
            if code == -32601
            else "check the request and the node's own log"
        )
        super().__init__(f"the node refused {method} with code {code}: {message}; {advice}")


class RateLimited(ChainError):
    """The node asks to be asked less often. `waited`: so many seconds were waited already."""

    def __init__(self, method: str, waited: float, reason: str) -> None:
        self.method, self.waited, self.reason = method, waited, reason
        super().__init__(
            f"the node refuses {method}, still after {waited:.1f} seconds of waiting, because it "
            f"is asked too often: {reason}; nothing was done; ask less, later, or another node"
        )


class NodeBehind(ChainError):
    """The node has not caught up with its chain: what it says is old."""

    def __init__(self, url: str, current: int, highest: int) -> None:
        self.url, self.current, self.highest = url, current, highest
        super().__init__(
            f"the node at {shown_url(url)} is at block {current} of {highest}: it still catches "
            "up; wait until it has, or use another node"
        )


class WrongChain(ChainError):
    """The node serves another chain than the one that is meant."""

    def __init__(self, expected: int, found: int) -> None:
        self.expected, self.found = expected, found
        super().__init__(
            f"the node serves chain {found}, and chain {expected} is meant; use a node of chain "
            f"{expected}, or the manifest of chain {found}"
        )


class ChainReset(ChainError):
    """The chain has the right id, but it is another one: it was started anew."""

    def __init__(self, expected_genesis: bytes, found: bytes) -> None:
        self.expected_genesis, self.found = expected_genesis, found
        super().__init__(
            f"the chain's first block is 0x{found.hex()}, and 0x{expected_genesis.hex()} is "
            "meant: the chain was started anew, and what was on the old one is not there; "
            "start the old chain from its own folder, or deploy again and use the new manifest"
        )


class NotOurCode(ChainError):
    """At a contract's address is nothing, or something else. `found_hash` None: no code."""

    def __init__(
        self, contract: str, address: bytes, expected_hash: bytes, found_hash: bytes | None
    ) -> None:
        self.contract, self.address = contract, address
        self.expected_hash, self.found_hash = expected_hash, found_hash
        found = f"code of hash 0x{found_hash.hex()}" if found_hash is not None else "no code"
        super().__init__(
            f"at 0x{address.hex()} there is {found}, not {contract} "
            f"(code hash 0x{expected_hash.hex()}); check address and manifest and send no money "
            "there; `honorarium deploy` puts the contracts where they belong"
        )


class NoDeployment(ChainError):
    """Nobody said where the contracts are on this chain. `known`: the chains that are known."""

    def __init__(self, chain_id: int, known: Sequence[int] = ()) -> None:
        self.chain_id, self.known = chain_id, tuple(known)
        elsewhere = f" (only on {', '.join(map(str, known))})" if known else ""
        super().__init__(
            f"no deployment is known on chain {chain_id}{elsewhere}; run `honorarium deploy`, "
            "or name its manifest"
        )


class ClockNotSettable(ChainError):
    """The next block cannot have this time. `latest` None: this node lets nobody set its clock."""

    def __init__(self, client: str, wanted: int, latest: int | None) -> None:
        self.client, self.wanted, self.latest = client, wanted, latest
        why = (
            f"the clock of {client} cannot be set; use a local chain (`honorarium chain`)"
            if latest is None
            else f"the chain of {client} is at {moment(latest)} already; ask for a later time, "
            "or start a new local chain"
        )
        super().__init__(f"the next block cannot have the time {moment(wanted)}: {why}")


class TransactionFailed(ChainError):
    """The transaction is in a block and changed nothing. `reason` None: it could not be told."""

    def __init__(self, tx_hash: bytes, reason: ContractError | None) -> None:
        self.tx_hash, self.reason = tx_hash, reason
        why = (
            str(reason)
            if reason is not None
            else "the reason cannot be told afterwards; try the same call again and compare its gas"
        )
        super().__init__(f"transaction 0x{tx_hash.hex()} failed: {why}")


class FeeTooHigh(ChainError):
    """A transaction could cost more than one may: it is not even signed. Amounts in wei."""

    def __init__(self, gas: int, price: int, most: int) -> None:
        self.gas, self.price, self.most = gas, price, most
        super().__init__(
            f"it could cost {gas * price} wei ({gas} gas at {price}), and one transaction may cost "
            f"{most}; nothing was sent: compare with what others pay on this chain just now, for "
            "the node may be wrong or the token burn gas; if it is right, allow more: Fees(most) "
            "or HONORARIUM_MOST_FEE"
        )


class NonceTaken(ChainError):
    """The transaction can never count: another one of the same account used its nonce."""

    def __init__(self, tx_hash: bytes, nonce: int) -> None:
        self.tx_hash, self.nonce = tx_hash, nonce
        super().__init__(
            f"transaction 0x{tx_hash.hex()} can never count, because another one of this account "
            f"has its nonce {nonce}: a program with another outbox uses the same key; nothing was "
            "done, so send again; and give all programs of one key the same outbox"
        )


class OutboxUnusable(ChainError):
    """An outbox cannot be read or written. Nothing was sent.

    `path` is its file, or the address of the database that holds it; None: it is in memory.
    """

    def __init__(self, path: PurePath | str | None, reason: str) -> None:
        self.path, self.reason = path, reason
        advice = (
            "see to it that the database answers"
            if isinstance(path, str)
            else "mend the file's place, or name another folder in HONORARIUM_STATE"
        )
        super().__init__(
            f"the outbox {path or 'in memory'} cannot be used: {reason}; nothing was sent; {advice}"
        )


class FateUnknown(ChainError):
    """The transaction was sent, and whether it counts is not known."""

    def __init__(self, tx_hash: bytes) -> None:
        self.tx_hash = tx_hash
        super().__init__(
            f"transaction 0x{tx_hash.hex()} was sent, and no answer came; it may still be mined: "
            "look for its receipt, or send the very same signed transaction again, never a new one"
        )


def shown_url(url: str) -> str:
    """A node's address without the password or access key that it may carry."""
    parts = urlsplit(url)
    if not parts.hostname:
        return url.rpartition("@")[2]
    port = f":{parts.port}" if parts.port else ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    hidden = "/..." if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{host}{port}{hidden}"
