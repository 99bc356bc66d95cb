"""A node of a chain, over JSON-RPC.

web3's HTTPProvider does the talking, on a connection that it keeps open; it tries nothing twice by
itself, because not everything may be. Not for several threads at once: give each its own Node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

import requests
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from honorarium.errors import ClockNotSettable, ContractError, NodeError, NodeUnreachable
from honorarium.ids import Address, Hash
from honorarium.units import BaseUnits, BlockNumber, UnixTime

Block = int | Literal["latest", "pending", "earliest"]

ONCE: Final = frozenset(
    ("eth_sendRawTransaction", "eth_sendTransaction", "evm_mine", "evm_increaseTime")
)
"""What is never asked a second time by itself. Even a signed transaction is not: Ganache 7 runs one
with nonce 0 as often as it comes."""

_SILENCE: Final = (
    requests.RequestException,
    Web3Exception,
    ValueError,
    TypeError,
    KeyError,
    RecursionError,
)
"""How it shows that no usable answer came: no connection, an error of HTTP, no JSON-RPC."""

BATCH: Final = 200
"""So many requests travel together; nodes refuse much larger batches."""


@dataclass(frozen=True, slots=True)
class BlockHead:
    """What is needed of a block's header. `base_fee` in wei per gas; 0 on chains without one."""

    number: BlockNumber
    hash: Hash
    timestamp: UnixTime
    base_fee: int


class Node:
    """A node at `url` (http or https). Answers are waited for `timeout` seconds.

    Every method raises NodeUnreachable if no usable answer came, NodeError if the node refused, and
    the ContractError itself if a contract did.
    """

    def __init__(self, url: str, *, timeout: float = 30) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NodeUnreachable(url, "it is not an http:// or https:// address")
        self.url = url
        self._session = requests.Session()
        self._provider = HTTPProvider(
            url,
            request_kwargs={"timeout": timeout},
            session=self._session,
            exception_retry_configuration=None,
        )
        self._not_before: UnixTime | None = None  # the chain's time, as far as set_time knows it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; the next request would open a new one."""
        self._session.close()

    # ------------------------------------------------------------------ asking

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of one request, as JSON gives it."""
        answer = self._ask(
            lambda: self._provider.make_request(RPCEndpoint(method), list(params)),
            twice=method not in ONCE,
        )
        return self._result(method, answer)

    def batch(self, requests: Iterable[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of many requests, in their order; the first refusal among them is raised."""
        waiting = list(requests)
        results: list[Any] = []
        for start in range(0, len(waiting), BATCH):
            results += self._batch(waiting[start : start + BATCH])
        return results

    def _batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        asked = [(RPCEndpoint(method), list(params)) for method, params in requests]
        answers = self._ask(
            lambda: self._provider.make_batch_request(asked),
            twice=ONCE.isdisjoint(method for method, _ in requests),
        )
        if isinstance(answers, dict):  # the batch as a whole was refused
            self._result("a batch of requests", answers)
        if len(answers) != len(requests):
            raise NodeUnreachable(
                self.url, f"{len(requests)} requests got {len(answers)} answers in a batch"
            )
        return [
            self._result(method, answer)
            for (method, _), answer in zip(requests, answers, strict=True)
        ]

    def _ask(self, ask: Callable[[], Any], *, twice: bool) -> Any:
        """What the provider answers. A connection that was kept may have been closed just now: that
        says nothing about the node, so what may be asked twice is.
        """
        try:
            try:
                return ask()
            except requests.ConnectionError:
                if not twice:
                    raise
                return ask()
        except _SILENCE as error:
            raise NodeUnreachable(self.url, _reason(error)) from error

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

    @cached_property
    def chain_id(self) -> int:
        return int(self.request("eth_chainId"), 16)

    @cached_property
    def genesis_hash(self) -> Hash:
        """The hash of block 0: what tells a chain from another one of the same id."""
        return self.block(0).hash

    @cached_property
    def client(self) -> str:
        """The node's software and version, as it says itself."""
        return str(self.request("web3_clientVersion"))

    # ------------------------------------------------------------------ reading

    def block(self, which: Block = "latest") -> BlockHead:
        """The head of a block. Raises NodeError if the node has no such block."""
        found = self.request("eth_getBlockByNumber", [block_param(which), False])
        if found is None:
            raise NodeError("eth_getBlockByNumber", 0, f"there is no block {which}")
        return block_head(found)

    def call(self, to: Address, data: bytes, block: Block = "latest") -> bytes:
        """What a contract answers. Raises the ContractError if it refuses."""
        return from_hex(self.request(*call_request(to, data, block)))

    def calls(
        self, requests: Iterable[tuple[Address, bytes]], block: Block = "latest"
    ) -> list[bytes]:
        """What contracts answer, many at a time."""
        asked = [call_request(to, data, block) for to, data in requests]
        return [from_hex(answer) for answer in self.batch(asked)]

    def code(self, address: Address, block: Block = "latest") -> bytes:
        """The code at an address; empty if there is none."""
        return from_hex(self.request("eth_getCode", [to_hex(address), block_param(block)]))

    def balance(self, address: Address, block: Block = "latest") -> BaseUnits:
        """The chain's own coin at an address, in wei."""
        found = self.request("eth_getBalance", [to_hex(address), block_param(block)])
        return BaseUnits(int(found, 16))

    # ------------------------------------------------------------------ the clock of a local chain

    def set_time(self, time: UnixTime) -> None:
        """The next block carries this time (unix seconds).

        Raises ClockNotSettable if the chain is later already, or is no local chain. The chain's
        time is read once; later it is what this method set last.
        """
        self._must_not_be_later(time)
        if self._clock == "ganache":
            self.request("evm_setTime", [time * 1000])  # it counts milliseconds
        else:
            try:
                self.request("evm_setNextBlockTimestamp", [time])
            except NodeError as error:
                if "timestamp" not in error.message.lower():
                    raise
                raise ClockNotSettable(self.client, time, self.block().timestamp) from error
        self._not_before = time

    def _must_not_be_later(self, time: UnixTime) -> None:
        if self._not_before is None:
            if not self._clock:
                raise ClockNotSettable(self.client, time, None)
            self._not_before = self.block().timestamp
        if time < self._not_before:
            raise ClockNotSettable(self.client, time, self._not_before)

    def send_at(self, time: UnixTime, raw: bytes) -> None:
        """Broadcasts a signed transaction whose block carries this time (unix seconds).

        On Ganache both travel in one message: its clock runs on between them, and this program may
        be paused for longer than a second. Raises ClockNotSettable as `set_time` does.
        """
        sending = ("eth_sendRawTransaction", [to_hex(raw)])
        if self._clock == "ganache":
            self._must_not_be_later(time)
            self._not_before = time
            self.batch([("evm_setTime", [time * 1000]), sending])
        else:
            self.set_time(time)
            self.request(*sending)

    @cached_property
    def _clock(self) -> str:
        name = self.client.split("/", 1)[0].lower()
        return name if name in ("ganache", "anvil") else ""


def call_request(to: Address, data: bytes, block: Block = "latest") -> tuple[str, list[Any]]:
    """An `eth_call`, for a batch."""
    return "eth_call", [{"to": to_hex(to), "data": to_hex(data)}, block_param(block)]


def block_head(found: dict[str, Any]) -> BlockHead:
    """The head of a block as JSON-RPC writes it."""
    return BlockHead(
        number=BlockNumber(int(found["number"], 16)),
        hash=Hash(from_hex(found["hash"])),
        timestamp=UnixTime(int(found["timestamp"], 16)),
        base_fee=int(found.get("baseFeePerGas") or "0x0", 16),
    )


def block_param(block: Block) -> str:
    """A block as JSON-RPC names it."""
    return hex(block) if isinstance(block, int) else block


def to_hex(data: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """Bytes as JSON-RPC writes them. Raises ValueError if they are not."""
    return bytes.fromhex(text.removeprefix("0x"))


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "it did not answer in time"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"it answered HTTP {error.response.status_code}"
    if isinstance(error, requests.ConnectionError):
        cause: BaseException = error
        while cause.__context__ is not None:  # the socket's own words, below two libraries'
            cause = cause.__context__
        return str(cause) or type(cause).__name__
    return f"its answer is no JSON-RPC ({str(error)[:80] or type(error).__name__})"


def _revert_data(message: str, data: Any) -> bytes | None:
    """What a contract refused with; None if it was not a contract that refused."""
    if "revert" not in message.lower():
        return None
    if isinstance(data, dict):
        data = data.get("result") or data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        try:
            return from_hex(data)
        except ValueError:
            return None
    return b""
