"""The chain, to read, for those who have no node: some methods of JSON-RPC, within bounds.

Any contract may be asked by `eth_call`, because wallets, tokens and their owners' contracts take
part in sessions; what bounds it is the gas. Nothing here can send, sign, mine, trace or filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from honorarium.chain import AsyncNode
from honorarium.chain.wire import Silence
from honorarium.errors import InputError, NodeUnreachable, RateLimited

BATCH: Final = 100
"""So many requests travel together at most."""

ADDRESSES: Final = 50
TOPICS: Final = 50
PROOF_KEYS: Final = 50
CALL_BYTES: Final = 131_072

LONGEST_ID: Final = 200

_INVALID: Final = -32600
_NO_METHOD: Final = -32601
_BAD_PARAMS: Final = -32602

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_ID: Final = re.compile(r"[^\ud800-\udfff]*")
_TAGS: Final = frozenset(("latest", "earliest", "pending", "safe", "finalized"))


class ReadRefused(InputError):
    """A batch that is none, or too long."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"this is not passed on to the chain: {reason}")


class _Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class ChainReads:
    """Passes reads on to the desk's node. `log_blocks`: so many blocks one eth_getLogs spans;
    `gas`: what one eth_call may use.
    """

    node: AsyncNode
    log_blocks: int
    gas: int

    async def answer(self, asked: Any) -> Any:
        """The answer of JSON-RPC to one request or a batch, refusals of the node included.

        Raises ReadRefused for what is neither; NodeUnreachable, RateLimited.
        """
        if isinstance(asked, list):
            if not 1 <= len(asked) <= BATCH:
                raise ReadRefused(f"a batch has 1 to {BATCH} requests, not {len(asked)}")
            return await self._many(asked)
        if not isinstance(asked, dict):
            raise ReadRefused("a request of JSON-RPC is an object, a batch a list of them")
        return (await self._many([asked]))[0]

    async def _many(self, asked: Sequence[Any]) -> list[Any]:
        answers: list[Any] = [None] * len(asked)
        passed: list[tuple[int, str, list[Any]]] = []
        for at, each in enumerate(asked):
            try:
                method, params = _request(each)
                passed.append((at, method, await self._checked(method, params)))
            except _Refused as error:
                answers[at] = {"error": {"code": error.code, "message": error.message}}
        found = await self._ask([(method, params) for _, method, params in passed])
        for (at, _, _), answer in zip(passed, found, strict=True):
            if not isinstance(answer, dict):
                raise NodeUnreachable(self.node.url, "it does not answer as JSON-RPC demands")
            kept = {name: answer[name] for name in ("result", "error") if name in answer}
            answers[at] = kept if kept.get("error") is not None else {"result": kept.get("result")}
        return [
            {"jsonrpc": "2.0", "id": _id(each), **answer}
            for each, answer in zip(asked, answers, strict=True)
        ]

    async def _ask(self, asked: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        wire = self.node.wire
        try:
            if len(asked) == 1:
                return [await wire.ask(*asked[0])]
            found = await wire.ask_many(asked) if asked else []
        except Silence as silence:
            if silence.status == 429:
                raise RateLimited("a read", 0.0, silence.reason) from silence
            raise NodeUnreachable(self.node.url, silence.reason) from silence
        if isinstance(found, dict):  # the batch as a whole was refused
            return [found] * len(asked)
        if not isinstance(found, list) or len(found) != len(asked):
            raise NodeUnreachable(self.node.url, "a batch was not answered as JSON-RPC demands")
        return found

    # ------------------------------------------------------------------ what is asked

    async def _checked(self, method: str, params: list[Any]) -> list[Any]:
        if method in ("eth_call", "eth_estimateGas"):
            return self._call(params)
        if method == "eth_getLogs":
            return [await self._logs(params)]
        kinds = _METHODS.get(method)
        if kinds is None:
            raise _Refused(_NO_METHOD, f"{method[:60]!r} is not offered here: only reads are")
        least = sum(1 for kind in kinds if not kind.__name__.startswith("_maybe"))
        if not least <= len(params) <= len(kinds):
            raise _Refused(_BAD_PARAMS, f"{method} takes {len(kinds)} parameters")
        return [kind(given) for kind, given in zip(kinds, params, strict=False)]

    def _call(self, params: list[Any]) -> list[Any]:
        if not 1 <= len(params) <= 2 or not isinstance(params[0], dict):
            raise _Refused(_BAD_PARAMS, "a call is an object, and perhaps a block")
        given = params[0]
        if unknown := given.keys() - _CALL.keys():
            raise _Refused(
                _BAD_PARAMS, f"a call has no {', '.join(sorted(map(repr, unknown)))[:80]}"
            )
        call = {name: _CALL[name](value) for name, value in given.items() if value is not None}
        if "to" not in call:
            raise _Refused(_BAD_PARAMS, "a call names the contract that it is `to`")
        call["gas"] = hex(min(int(call.get("gas", hex(self.gas)), 16), self.gas))
        return [call, *(_block(each) for each in params[1:])]

    async def _logs(self, params: list[Any]) -> dict[str, Any]:
        if len(params) != 1 or not isinstance(params[0], dict):
            raise _Refused(_BAD_PARAMS, "eth_getLogs takes one object")
        given = params[0]
        addresses = given.get("address")
        addresses = [addresses] if isinstance(addresses, str) else addresses
        if not isinstance(addresses, list) or not 1 <= len(addresses) <= ADDRESSES:
            raise _Refused(_BAD_PARAMS, f"eth_getLogs names 1 to {ADDRESSES} addresses")
        asked: dict[str, Any] = {"address": [_address(each) for each in addresses]}
        if given.get("topics") is not None:
            asked["topics"] = _topics(given["topics"])
        if given.get("blockHash") is not None:
            return {**asked, "blockHash": _hash(given["blockHash"])}
        span = [_block(given.get(name, "latest")) for name in ("fromBlock", "toBlock")]
        first, last = [await self._number(each) for each in span]
        if last - first >= self.log_blocks:
            raise _Refused(
                _BAD_PARAMS,
                f"{last - first + 1} blocks are asked for, and {self.log_blocks} is the most at "
                "once; ask for fewer, again and again",
            )
        return {**asked, "fromBlock": span[0], "toBlock": span[1]}

    async def _number(self, block: Any) -> int:
        if isinstance(block, str) and _QUANTITY.fullmatch(block):
            return int(block, 16)
        return 0 if block == "earliest" else (await self.node.block()).number


def _request(given: Any) -> tuple[str, list[Any]]:
    if not isinstance(given, dict) or not isinstance(given.get("method"), str):
        raise _Refused(_INVALID, "a request of JSON-RPC is an object with a method")
    params = given.get("params", [])
    if not isinstance(params, list):
        raise _Refused(_INVALID, "the parameters are a list")
    return given["method"], params


def _id(given: Any) -> Any:
    """What JSON-RPC allows as an id, and any reader of JSON reads; else null."""
    found = given.get("id") if isinstance(given, dict) else None
    if isinstance(found, str):
        return found if len(found) <= LONGEST_ID and _ID.fullmatch(found) else None
    return found if type(found) is int and abs(found) < 2**63 else None


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[Any], str]:
    def check(given: Any) -> str:
        if not isinstance(given, str) or not pattern.fullmatch(given):
            raise _Refused(_BAD_PARAMS, f"{str(given)[:80]!r} is no {what}")
        return given

    return check


_quantity = _matching(_QUANTITY, "number in hex")
_hash = _matching(_HASH, "hash of 32 bytes")
_address = _matching(_ADDRESS, "address")


def _bytes(given: Any) -> str:
    if not isinstance(given, str) or len(given) > 2 * CALL_BYTES + 2 or not _DATA.fullmatch(given):
        raise _Refused(_BAD_PARAMS, f"the data of a call is at most {CALL_BYTES} bytes in hex")
    return given


def _wide(given: Any) -> str:
    if not isinstance(given, str) or not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", given):
        raise _Refused(_BAD_PARAMS, f"{str(given)[:80]!r} is no number in hex")
    return given


def _block(given: Any) -> Any:
    if isinstance(given, str) and (given in _TAGS or _QUANTITY.fullmatch(given)):
        return given
    if isinstance(given, Mapping) and given.keys() <= {"blockHash", "blockNumber"}:  # EIP-1898
        if "blockHash" in given and len(given) == 1:
            return {"blockHash": _hash(given["blockHash"])}
        if "blockNumber" in given and len(given) == 1:
            return {"blockNumber": _quantity(given["blockNumber"])}
    raise _Refused(_BAD_PARAMS, f"{str(given)[:80]!r} names no block")


def _maybe_block(given: Any) -> Any:
    return "latest" if given is None else _block(given)


def _maybe_flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise _Refused(_BAD_PARAMS, "whether whole transactions are wanted is true or false")
    return given


def _topics(given: Any) -> list[Any]:
    if not isinstance(given, list) or len(given) > 4:
        raise _Refused(_BAD_PARAMS, "topics are a list of up to 4")
    found: list[Any] = []
    for each in given:
        if isinstance(each, list):
            if len(each) > TOPICS:
                raise _Refused(_BAD_PARAMS, f"{TOPICS} topics in one place are the most")
            found.append([_hash(one) for one in each])
        else:
            found.append(None if each is None else _hash(each))
    return found


def _keys(given: Any) -> list[str]:
    if not isinstance(given, list) or len(given) > PROOF_KEYS:
        raise _Refused(_BAD_PARAMS, f"a proof is of up to {PROOF_KEYS} keys")
    return [_wide(each) for each in given]


def _count(given: Any) -> Any:
    number = given if isinstance(given, int) else int(_quantity(given), 16)
    if not 1 <= number <= 1024:
        raise _Refused(_BAD_PARAMS, "a history of fees has 1 to 1024 blocks")
    return hex(number)


def _maybe_shares(given: Any) -> list[float]:
    if not isinstance(given, list) or len(given) > 20:
        raise _Refused(_BAD_PARAMS, "up to 20 percentiles can be asked for")
    if not all(type(each) in (int, float) and 0 <= each <= 100 for each in given):
        raise _Refused(_BAD_PARAMS, "percentiles are numbers from 0 to 100")
    return given


_CALL: Final[dict[str, Callable[[Any], Any]]] = {
    "from": _address,
    "to": _address,
    "data": _bytes,
    "input": _bytes,
    "value": _wide,
    "gas": _quantity,
}

_METHODS: Final[dict[str, tuple[Callable[[Any], Any], ...]]] = {
    "eth_chainId": (),
    "net_version": (),
    "web3_clientVersion": (),
    "eth_blockNumber": (),
    "eth_syncing": (),
    "eth_gasPrice": (),
    "eth_maxPriorityFeePerGas": (),
    "eth_feeHistory": (_count, _block, _maybe_shares),
    "eth_getBlockByNumber": (_block, _maybe_flag),
    "eth_getBlockByHash": (_hash, _maybe_flag),
    "eth_getCode": (_address, _maybe_block),
    "eth_getBalance": (_address, _maybe_block),
    "eth_getTransactionCount": (_address, _maybe_block),
    "eth_getTransactionByHash": (_hash,),
    "eth_getTransactionReceipt": (_hash,),
    "eth_getProof": (_address, _keys, _maybe_block),
}

READS: Final = tuple(sorted((*_METHODS, "eth_call", "eth_estimateGas", "eth_getLogs")))
"""The methods that are passed on."""
