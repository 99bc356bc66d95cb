"""A node of a chain, over JSON-RPC.

web3's providers do the talking, on a connection that they keep open; they try nothing twice by
themselves, because not everything may be. `AsyncNode` is for one event loop, `Node` for one thread:
give each its own. Only what asks and keeps nothing (`request`, `batch`) may several threads do.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Self, TypeVar
from urllib.parse import urlsplit

from eth_abi.exceptions import DecodingError

from honorarium.chain.wire import (
    AsyncioWire,
    BlockingWire,
    Silence,
    Wire,
    blocking,
    drive,
)
from honorarium.errors import (
    ChainReset,
    ClockNotSettable,
    ContractError,
    NodeBehind,
    NodeError,
    NodeUnreachable,
    RateLimited,
)
from honorarium.ids import Address, Hash
from honorarium.units import BaseUnits, BlockNumber, UnixTime

Block = int | Literal["latest", "pending", "earliest"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

ONCE: Final = frozenset(
    ("eth_sendRawTransaction", "eth_sendTransaction", "evm_mine", "evm_increaseTime")
)
"""What is never asked a second time by itself. Even a signed transaction is not: Ganache 7 runs one
with nonce 0 as often as it comes."""

BATCH: Final = 200
"""So many requests travel together; nodes refuse much larger batches."""

LAST_TIME: Final = 253_000_000_000
"""In the year 9987; soon after it calendars end."""
PATIENCE: Final = 20.0
"""So many seconds altogether a request waits for a node that asks to be asked less often."""

NO_SUCH_METHOD: Final = -32601
_REVERT: Final = re.compile(r"(?<!\w)revert", re.IGNORECASE)  # and not the method evm_revert
_TOO_OFTEN: Final = (-32005, -32029, 429)
"""The codes by which nodes say so beside HTTP's 429."""


@dataclass(frozen=True, slots=True)
class BlockHead:
    """What is needed of a block's header. `base_fee` in wei per gas; 0 on chains without one."""

    number: BlockNumber
    hash: Hash
    timestamp: UnixTime
    base_fee: int


@dataclass(frozen=True, slots=True)
class Query(Generic[T_co]):
    """A question to a contract, and how its answer is read."""

    to: Address
    data: bytes
    decode: Callable[[bytes], T_co]


@contextmanager
def understood(url: str, method: str) -> Iterator[None]:
    """Raises NodeUnreachable where an answer of other kinds is read."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{method} was not answered as JSON-RPC demands ({error})"
        raise NodeUnreachable(url, reason) from error


class AsyncNode:
    """A node at `url` (http or https). Answers are waited for `timeout` seconds.

    Every method raises NodeUnreachable if no usable answer came, RateLimited if the node asked to
    be left alone for longer than `patience` seconds, NodeError if it refused, and the ContractError
    itself if a contract did.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30,
        patience: float = PATIENCE,
        wire: Callable[[str, float], Wire] = AsyncioWire,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NodeUnreachable(url, "it is not an http:// or https:// address")
        self.url, self._patience = url, patience
        self.wire = wire(url, timeout)
        self._chain_id: int | None = None
        self._genesis: Hash | None = None
        self._client: str | None = None
        self._not_before: UnixTime | None = None  # the chain's time, as far as set_time knows it

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; the next request would open a new one."""
        await self.wire.close()

    # ------------------------------------------------------------------ asking

    async def request(
        self, method: str, params: Sequence[Any] = (), *, again_after: float | None = None
    ) -> Any:
        """The result of one request, as JSON gives it. If it may be asked twice, it is after
        `again_after` seconds without an answer (None: never).
        """
        hurry = [] if again_after is None else [again_after]

        def ask() -> Awaitable[Any]:
            if hurry:
                return self.wire.ask(method, params, within=hurry.pop())
            return self.wire.ask(method, params)

        return await self._patiently(
            ask,
            lambda answer: self._result(method, answer),
            method,
            twice=method not in ONCE,
        )

    async def batch(self, requests: Iterable[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of many requests, in their order; the first refusal among them is raised."""
        waiting = list(requests)
        results: list[Any] = []
        for start in range(0, len(waiting), BATCH):
            results += await self._batch(waiting[start : start + BATCH])
        return results

    async def _batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        def results(answers: Any) -> list[Any]:
            if isinstance(answers, dict):  # the batch as a whole was refused
                self._result("a batch of requests", answers)
            if not isinstance(answers, list):
                raise NodeUnreachable(self.url, "a batch was not answered as JSON-RPC demands")
            if len(answers) != len(requests):
                raise NodeUnreachable(
                    self.url, f"{len(requests)} requests got {len(answers)} answers in a batch"
                )
            return [
                self._result(method, answer)
                for (method, _), answer in zip(requests, answers, strict=True)
            ]

        return await self._patiently(
            lambda: self.wire.ask_many(requests),
            results,
            "a batch of requests",
            twice=ONCE.isdisjoint(method for method, _ in requests),
        )

    async def _patiently(
        self,
        ask: Callable[[], Awaitable[Any]],
        read: Callable[[Any], T],
        what: str,
        *,
        twice: bool,
    ) -> T:
        """What the node answers, read. It is asked again while it says that it is asked too often:
        then it did nothing with the request, whatever that was. If a connection that was kept broke
        just now, what may be asked twice is.
        """
        waited, pause = 0.0, 0.25
        while True:
            try:
                return read(await ask())
            except Silence as silence:
                if silence.lost and twice:
                    twice = False
                    continue
                if silence.status != 429:
                    raise NodeUnreachable(self.url, silence.reason) from silence
                pause = max(pause, silence.retry_after or 0)
                reason = silence.reason
            except NodeError as error:
                if error.code not in _TOO_OFTEN:
                    raise
                reason = error.message
            if waited + pause > self._patience:
                raise RateLimited(what, waited, reason)
            await self.wire.sleep(pause)
            waited, pause = waited + pause, max(0.25, min(2 * pause, 8.0))

    def _result(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict):
            raise NodeUnreachable(self.url, f"{method} was not answered as JSON-RPC demands")
        error = answer.get("error")
        if error is None:
            if "result" not in answer:
                raise NodeUnreachable(self.url, f"{method} was not answered as JSON-RPC demands")
            return answer["result"]
        if not isinstance(error, dict):
            raise NodeError(method, 0, str(error))
        message = str(error.get("message", ""))
        if (reason := _revert_data(message, error.get("data"))) is not None:
            raise ContractError.decode(reason)
        code = error.get("code", 0)
        raise NodeError(method, code if isinstance(code, int) else 0, message)

    # ------------------------------------------------------------------ what it is

    async def chain_id(self) -> int:
        """Asked once, and remembered."""
        if self._chain_id is None:
            self._chain_id = await self._number("eth_chainId")
        return self._chain_id

    async def genesis_hash(self) -> Hash:
        """The hash of block 0: what tells a chain from another one of the same id. Remembered."""
        if self._genesis is None:
            self._genesis = (await self.block(0)).hash
        return self._genesis

    async def client(self) -> str:
        """The node's software and version, as it says itself. Remembered."""
        if self._client is None:
            self._client = str(await self.request("web3_clientVersion"))
        return self._client

    async def must_be_the_same_chain(self) -> None:
        """Raises ChainReset if the node serves another chain than when it was first asked."""
        known = await self.genesis_hash()
        found = (await self.block(0)).hash
        if found != known:
            raise ChainReset(known, found)

    async def must_be_synced(self) -> None:
        """Raises NodeBehind if the node says that it has not caught up with its chain yet."""
        try:
            found = await self.request("eth_syncing")
        except NodeError as error:
            if error.code != NO_SUCH_METHOD:
                raise
            return  # it does not say
        if isinstance(found, dict):
            with understood(self.url, "eth_syncing"):
                at = [int(found.get(name, "0x0"), 16) for name in ("currentBlock", "highestBlock")]
            raise NodeBehind(self.url, *at)

    # ------------------------------------------------------------------ reading

    async def block(self, which: Block = "latest") -> BlockHead:
        """The head of a block. Raises NodeError if the node has no such block."""
        found = await self.request("eth_getBlockByNumber", [block_param(which), False])
        if found is None:
            raise NodeError("eth_getBlockByNumber", 0, f"there is no block {which}")
        with understood(self.url, "eth_getBlockByNumber"):
            return block_head(found)

    async def call(self, to: Address, data: bytes, block: Block = "latest") -> bytes:
        """What a contract answers. Raises the ContractError if it refuses."""
        return await self._bytes(*call_request(to, data, block))

    async def calls(
        self, requests: Iterable[tuple[Address, bytes]], block: Block = "latest"
    ) -> list[bytes]:
        """What contracts answer, many at a time."""
        asked = [call_request(to, data, block) for to, data in requests]
        answers = await self.batch(asked)
        with understood(self.url, "eth_call"):
            return [from_hex(answer) for answer in answers]

    async def read(self, query: Query[T], block: Block = "latest") -> T:
        """What a contract answers, read. Raises ChainReset or NodeError if it is not there, or
        answers something else.
        """
        return (await self.read_all([query], block))[0]

    async def read_all(self, queries: Iterable[Query[T]], block: Block = "latest") -> list[T]:
        """What contracts answer, read, many at a time."""
        asked = list(queries)
        answers = await self.calls(((each.to, each.data) for each in asked), block)
        found: list[T] = []
        for query, answer in zip(asked, answers, strict=True):
            there = await self._answered(query.to, answer)
            try:
                found.append(query.decode(there))
            except (ValueError, DecodingError) as error:
                said = f"{to_hex(query.to)} answers what is not understood: {error}"
                raise NodeError("eth_call", 0, said) from error
        return found

    async def _answered(self, to: Address, answer: bytes) -> bytes:
        if not answer:  # nothing there, or nothing that knows the question
            await self.must_be_the_same_chain()
            raise NodeError("eth_call", 0, f"no contract answers this at {to_hex(to)}")
        return answer

    async def code(self, address: Address, block: Block = "latest") -> bytes:
        """The code at an address; empty if there is none."""
        return await self._bytes("eth_getCode", [to_hex(address), block_param(block)])

    async def balance(self, address: Address, block: Block = "latest") -> BaseUnits:
        """The chain's own coin at an address, in wei."""
        asked = [to_hex(address), block_param(block)]
        return BaseUnits(await self._number("eth_getBalance", asked))

    async def transaction_count(self, address: Address, block: Block = "latest") -> int:
        """How many transactions of an account are in blocks: its next nonce."""
        asked = [to_hex(address), block_param(block)]
        return await self._number("eth_getTransactionCount", asked)

    async def _number(self, method: str, params: Sequence[Any] = ()) -> int:
        """The result of one request that asks for a number, from 0 on."""
        found = await self.request(method, params)
        with understood(self.url, method):
            value = int(found, 16)
            if value < 0:
                raise ValueError(f"{found} is below zero")
            return value

    async def _bytes(self, method: str, params: Sequence[Any]) -> bytes:
        found = await self.request(method, params)
        with understood(self.url, method):
            return from_hex(found)

    # ------------------------------------------------------------------ the clock of a local chain

    async def set_time(self, time: UnixTime) -> None:
        """The next block carries this time (unix seconds).

        Raises ClockNotSettable if the chain is later already, or is no local chain. The chain's
        time is read once; later it is what this method set last.
        """
        await self._must_not_be_later(time)
        if await self._clock() == "ganache":
            await self.request("evm_setTime", [time * 1000])  # it counts milliseconds
        else:
            try:
                await self.request("evm_setNextBlockTimestamp", [time])
            except NodeError as error:
                if "timestamp" not in error.message.lower():
                    raise
                latest = (await self.block()).timestamp
                raise ClockNotSettable(await self.client(), time, latest) from error
        self._not_before = time

    async def _must_not_be_later(self, time: UnixTime) -> None:
        if self._not_before is None:
            if not await self._clock():
                raise ClockNotSettable(await self.client(), time, None)
            self._not_before = (await self.block()).timestamp
        if time < self._not_before:
            raise ClockNotSettable(await self.client(), time, self._not_before)

    async def send_at(self, time: UnixTime, raw: bytes) -> None:
        """Broadcasts a signed transaction whose block carries this time (unix seconds).

        On Ganache both travel in one message: its clock runs on between them, and this program may
        be paused for longer than a second. Raises ClockNotSettable as `set_time` does.
        """
        sending = ("eth_sendRawTransaction", [to_hex(raw)])
        if await self._clock() == "ganache":
            await self._must_not_be_later(time)
            self._not_before = time
            await self.batch([("evm_setTime", [time * 1000]), sending])
        else:
            await self.set_time(time)
            await self.request(*sending)

    async def _clock(self) -> str:
        name = (await self.client()).split("/", 1)[0].lower()
        return name if name in ("ganache", "anvil") else ""


class Node:
    """As AsyncNode, for programs without an event loop: every method returns when it is done."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30,
        patience: float = PATIENCE,
        wire: Callable[[str, float], Wire] = BlockingWire,
    ) -> None:
        self.core = AsyncNode(url, timeout=timeout, patience=patience, wire=wire)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the node is asked."""
        return self.core.url

    @property
    def chain_id(self) -> int:
        """Asked once, and remembered."""
        return drive(self.core.chain_id())

    @property
    def genesis_hash(self) -> Hash:
        """The hash of block 0: what tells a chain from another one of the same id."""
        return drive(self.core.genesis_hash())

    @property
    def client(self) -> str:
        """The node's software and version, as it says itself."""
        return drive(self.core.client())

    def read(self, query: Query[T], block: Block = "latest") -> T:
        """What a contract answers, read. Raises ChainReset or NodeError if it is not there."""
        return drive(self.core.read(query, block))

    def read_all(self, queries: Iterable[Query[T]], block: Block = "latest") -> list[T]:
        """What contracts answer, read, many at a time."""
        return drive(self.core.read_all(queries, block))

    close = blocking(AsyncNode.close)
    request = blocking(AsyncNode.request)
    batch = blocking(AsyncNode.batch)
    must_be_the_same_chain = blocking(AsyncNode.must_be_the_same_chain)
    must_be_synced = blocking(AsyncNode.must_be_synced)
    block = blocking(AsyncNode.block)
    call = blocking(AsyncNode.call)
    calls = blocking(AsyncNode.calls)
    code = blocking(AsyncNode.code)
    balance = blocking(AsyncNode.balance)
    transaction_count = blocking(AsyncNode.transaction_count)
    set_time = blocking(AsyncNode.set_time)
    send_at = blocking(AsyncNode.send_at)


def call_request(to: Address, data: bytes, block: Block = "latest") -> tuple[str, list[Any]]:
    """An `eth_call`, for a batch."""
    return "eth_call", [{"to": to_hex(to), "data": to_hex(data)}, block_param(block)]


def block_head(found: dict[str, Any]) -> BlockHead:
    """The head of a block as JSON-RPC writes it. Raises ValueError for a time no calendar has."""
    head = BlockHead(
        number=BlockNumber(int(found["number"], 16)),
        hash=Hash(from_hex(found["hash"])),
        timestamp=UnixTime(int(found["timestamp"], 16)),
        base_fee=int(found.get("baseFeePerGas") or "0x0", 16),
    )
    if head.timestamp >= LAST_TIME:
        raise ValueError(f"block {head.number} has the time {head.timestamp}")
    return head


def block_param(block: Block) -> str:
    """A block as JSON-RPC names it."""
    return hex(block) if isinstance(block, int) else block


def to_hex(data: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """Bytes as JSON-RPC writes them. Raises ValueError if they are not."""
    return bytes.fromhex(text.removeprefix("0x"))


def _revert_data(message: str, data: Any) -> bytes | None:
    """What a contract refused with; None if it was not a contract that refused."""
    words = data if isinstance(data, str) else ""
    if _REVERT.search(message) is None and not words.startswith("Reverted"):
        return None
    if isinstance(data, dict):
        data = data.get("result") or data.get("data")
    elif words.startswith("Reverted "):  # as some nodes say it
        data = words.removeprefix("Reverted ")
    if isinstance(data, str) and data.startswith("0x"):
        try:
            return from_hex(data)
        except ValueError:
            return None
    return b""
