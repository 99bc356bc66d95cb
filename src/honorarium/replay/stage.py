"""The chain that a replay plays on, set up once: contracts, money, clock.

What must survive a crash stands in DIR/replay.json, written whole or not at all. The rest the chain
says itself: every step is one transaction of the operator, in the plan's order, so the operator's
nonce is the number of steps done, whoever was killed when.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from honorarium.chain import LocalChain, Manifest, Node, Sender, attach, calls, deploy
from honorarium.chain.deploy import LOCAL_CHAINS
from honorarium.chain.keystore import KEY_VARIABLE, key_from_environment
from honorarium.chain.node import from_hex, to_hex
from honorarium.errors import ChainError, InputError, LocalChainsOnly
from honorarium.ids import Address, Hash
from honorarium.protocol.keys import Key
from honorarium.protocol.typed_data import Domain
from honorarium.replay.parties import Stage, key_of
from honorarium.replay.plan import Plan
from honorarium.units import BaseUnits, UnixTime

STATE: Final = "replay.json"
MANIFEST: Final = "manifest.json"
CHAIN: Final = "chain"
LOCK: Final = "lock"
MINTED_AT_ONCE: Final = 100
MINT_GAS: Final = 10_000_000
SETTING_UP: Final = 3600
"""So many seconds before the first step an embedded chain begins."""

DEPLOYING: Final = 4
"""So many transactions at most bring up the deployer and the contracts."""

OPERATOR_COIN: Final = 10**24  # wei


class OtherReplay(InputError):
    """The folder holds a replay of something else."""

    def __init__(self, folder: Path, expected: str, found: str) -> None:
        self.folder, self.expected, self.found = folder, expected, found
        super().__init__(
            f"{folder} holds the replay of plan {found[:12]}..., this one is {expected[:12]}...: "
            "other calls, tariffs or settings; give another --out"
        )


class OtherChain(InputError):
    """The folder's replay plays on another chain than the one that is named now."""

    def __init__(self, folder: Path, own: bool) -> None:
        self.folder, self.own = folder, own
        super().__init__(
            f"the replay in {folder} plays on a chain of its own in this folder; leave out --rpc"
            if own
            else f"the replay in {folder} plays on a node; give its --rpc"
        )


class OtherOperator(InputError):
    """Somebody else sent this replay's transactions so far."""

    def __init__(self, folder: Path, expected: str, found: str) -> None:
        self.folder, self.expected, self.found = folder, expected, found
        super().__init__(
            f"the replay in {folder} is sent by {expected}, and this key is {found}'s; put the "
            f"same key into {KEY_VARIABLE} as before"
        )


class FolderUnusable(InputError):
    """Nothing can be written where the results are wanted."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(f"{folder} cannot take the results: {reason}; give another --out")


class NoOperator(ChainError):
    """Nobody on this chain can pay for the transactions."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"the node at {url} has no unlocked account that could pay for gas; put a funded key "
            f"into the environment as {KEY_VARIABLE}"
        )


@dataclass(frozen=True, slots=True)
class State:
    """What a replay must remember. `first_nonce` is the operator's first step's; None before."""

    plan: str
    operator: str  # whose nonce counts the steps
    own_chain: bool  # in the folder, and not at a node that somebody named
    days: int
    first_block: int
    mint_nonce: int
    first_nonce: int | None

    @classmethod
    def load(cls, folder: Path) -> State | None:
        """What was remembered; None if nothing was."""
        try:
            return cls(**json.loads((folder / STATE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise FolderUnusable(folder, f"its {STATE} is not readable ({error})") from error

    def save(self, folder: Path) -> None:
        """Writes whole or not at all."""
        write_whole(folder / STATE, json.dumps(asdict(self), indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Replaces a file in one step: after a crash it is the old one or the new one."""
    draft = path.with_name(path.name + ".new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@dataclass(frozen=True)
class Ready:
    """A chain on which the steps can begin, or go on."""

    node: Node
    sender: Sender
    manifest: Manifest
    stage: Stage
    plan: Plan
    state: State
    done: int
    """Steps that are on the chain already."""
    late: int = 0
    """So many seconds later than planned a step may be on the chain."""

    @property
    def first_nonce(self) -> int:
        assert self.state.first_nonce is not None
        return self.state.first_nonce


@contextmanager
def set_up(folder: Path, plan: Plan, rpc: str | None) -> Iterator[Ready]:
    """The chain at `rpc`, or a Ganache of the replay's own that lives in `folder`.

    Raises OtherReplay, ClockNotSettable, NoOperator, and what the chain room raises.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderUnusable(folder, error.strerror or str(error)) from error
    with _locked(folder):
        yield from _set_up(folder, plan, rpc)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two replays in one folder would do each other's steps; the lock falls with its holder."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderUnusable(folder, "another replay works in it") from None
        yield


def _set_up(folder: Path, plan: Plan, rpc: str | None) -> Iterator[Ready]:
    state = State.load(folder)
    if state is not None and state.plan != plan.fingerprint:
        raise OtherReplay(folder, plan.fingerprint, state.plan)
    if state is not None and state.own_chain != (rpc is None):
        raise OtherChain(folder, state.own_chain)
    if rpc is not None:
        with Node(rpc) as node:
            # Before anybody pays for anything: replays are for chains of play money.
            if node.chain_id not in LOCAL_CHAINS:
                raise LocalChainsOnly(node.chain_id)
            yield _ready(folder, plan, node, _operator(node), state, own=False)
    else:
        first = plan.first_at
        clock = None if first is None else UnixTime(first - SETTING_UP)
        names = ("operator",)
        with (
            LocalChain.start(directory=folder / CHAIN, names=names, clock=clock) as chain,
            Node(chain.url) as node,
        ):
            operator = chain.accounts["operator"]
            yield _ready(folder, plan, node, operator, state, own=True)


def _ready(
    folder: Path, plan: Plan, node: Node, operator: Key, state: State | None, *, own: bool
) -> Ready:
    sender = Sender(node, operator)
    if state is None:
        if own and _nonce(node, operator) > DEPLOYING:
            raise FolderUnusable(folder, f"its chain has sessions, but {STATE} is missing")
        latest = node.block()
        days = plan.days_to_follow(UnixTime(latest.timestamp + 60))
        first = plan.shift(days).first_at
        # On the embedded chain it is that time already; elsewhere this says whether it can be.
        node.set_time(UnixTime(max(latest.timestamp + 1, (first or 0) - SETTING_UP)))
        manifest = deploy(node, operator, test_token=True)
        manifest.save(folder / MANIFEST)
        first_block, nonce = latest.number + 1, _nonce(node, operator)
        sent_by = to_hex(operator.address)
        state = State(plan.fingerprint, sent_by, own, days, first_block, nonce, None)
        state.save(folder)
    else:
        manifest = Manifest.load(folder / MANIFEST)
    attach(node, manifest)
    stage = Stage(
        escrow=Domain(node.chain_id, manifest.address("SessionEscrow")),
        tip_jar=manifest.address("TipJar"),
        token=node.read(calls.token_domain(manifest.address("TestUSD"))),
        platform=key_of("platform"),
        close_grace=plan.close_grace,
    )
    shifted = plan.shift(state.days)
    if state.first_nonce is None:
        _resume_clock(node, shifted)
        _mint(node, sender, stage, shifted, state)
        state = State(**{**asdict(state), "first_nonce": _nonce(node, operator)})
        state.save(folder)
    assert state.first_nonce is not None
    if state.operator != to_hex(operator.address):
        raise OtherOperator(folder, state.operator, to_hex(operator.address))
    done, steps = _nonce(node, operator) - state.first_nonce, plan.count_steps()
    if not 0 <= done <= steps:
        raise FolderUnusable(folder, f"the chain knows {done} steps of it, and it has {steps}")
    return Ready(node, sender, manifest, stage, shifted, state, done)


def _resume_clock(node: Node, plan: Plan) -> None:
    """A Ganache that was restarted takes today's time for its next block unless it is told."""
    if plan.first_at is not None:
        node.set_time(UnixTime(max(node.block().timestamp + 1, plan.first_at - SETTING_UP // 2)))


def _mint(node: Node, sender: Sender, stage: Stage, plan: Plan, state: State) -> None:
    """Gives every client what their sessions and tips take together.

    One transaction for a hundred clients, in the order of the file: the nonce tells how many of
    them a killed run had sent.
    """
    wallets: dict[Address, int] = {}
    for session in plan.sessions():
        client = key_of(session.client).address
        wallets[client] = wallets.get(client, 0) + session.deposit + session.made_up.tip
    sent = _nonce(node, sender) - state.mint_nonce
    owed = islice(wallets.items(), sent * MINTED_AT_ONCE, None)
    while batch := list(islice(owed, MINTED_AT_ONCE)):
        accounts, amounts = zip(*batch, strict=True)
        sender.transact(stage.token.contract, calls.mint_batch(accounts, amounts), gas=MINT_GAS)


def _nonce(node: Node, account: Key | Sender) -> int:
    found = node.request("eth_getTransactionCount", [to_hex(account.address), "latest"])
    return int(found, 16)


def _operator(node: Node) -> Key:
    """Who sends on a chain that is not ours: a key from the environment, or one of our own that the
    chain's first unlocked account pays for.
    """
    if os.environ.get(KEY_VARIABLE):
        return key_from_environment()
    key = key_of("operator")
    if node.balance(key.address) >= OPERATOR_COIN // 2:
        return key
    accounts = node.request("eth_accounts")
    if not accounts:
        raise NoOperator(node.url)
    amount = BaseUnits(
        min(
            OPERATOR_COIN,
            int(node.request("eth_getBalance", [accounts[0], "latest"]), 16) * 9 // 10,
        )
    )
    gift = {"from": accounts[0], "to": to_hex(key.address), "value": hex(amount)}
    Sender(node, key).receipt(Hash(from_hex(node.request("eth_sendTransaction", [gift]))))
    return key
