"""Collecting: transactions as they were signed, and what goes wrong while threads ask the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_hash.auto import keccak

from honorarium.audit import Archive, Contents, catch_up, surroundings
from honorarium.audit import collect as collecting
from honorarium.audit.encoding import read_transaction, transaction_of
from honorarium.audit.envelope import NOT_KEPT, envelope_of
from honorarium.chain import LocalChain, Node
from honorarium.chain.node import from_hex, to_hex
from honorarium.errors import NodeError
from honorarium.units import BlockNumber
from lives import MORNING, PARTIES, Stage

SECRET = "0x" + "11" * 32
SENDER = Account.from_key(SECRET).address.lower()
TO = "0x" + "22" * 20
ACCESS = [{"address": "0x" + "33" * 20, "storageKeys": ["0x" + "44" * 32, "0x" + "00" * 32]}]
FEES = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 0}
KINDS: dict[str, dict[str, Any]] = {
    "before EIP-155": {"gasPrice": 10**9},
    "legacy": {"gasPrice": 10**9, "chainId": 1337},
    "access list": {"gasPrice": 10**9, "chainId": 1, "accessList": ACCESS, "type": 1},
    "fees": {**FEES, "chainId": 31337, "type": 2},
    "fees and access list": {**FEES, "chainId": 2**40, "accessList": ACCESS, "type": 2},
    "authorizations": {**FEES, "chainId": 1, "type": 4},
}


def signed(kind: str, to: str, data: bytes) -> tuple[bytes, dict[str, Any]]:
    """A transaction as eth-account signs it: as it is broadcast, and in JSON-RPC's form."""
    fields = {"nonce": 0, "gas": 90_000, "to": to, "value": 5, "data": data, **KINDS[kind]}
    shown = {**fields}
    if kind == "authorizations":
        one = {"chainId": 1, "address": TO, "nonce": 7}
        given = Account.from_key(SECRET).sign_authorization(one)
        fields["authorizationList"] = [given]
        parts = {"yParity": given.y_parity, "r": given.r, "s": given.s}
        shown["authorizationList"] = [{**numbers({**one, **parts}), "address": TO}]
    made = Account.sign_transaction(fields, SECRET)
    shown = {
        **numbers({**shown, "v": made.v, "r": made.r, "s": made.s}),
        "input": to_hex(data),
        "to": to or None,
        "from": SENDER,
        "hash": to_hex(made.hash),
    }
    return bytes(made.raw_transaction), shown


def numbers(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: hex(each) if isinstance(each, int) else each for name, each in fields.items()}


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\x7f", b"\x80", b"\1" * 55, b"\1" * 56, b"\2" * 999]
)
@pytest.mark.parametrize("to", [TO, ""])
@pytest.mark.parametrize("kind", KINDS)
def test_a_transaction_is_kept_as_it_was_signed(kind: str, to: str, data: bytes) -> None:
    if kind == "authorizations" and not to:
        return  # EIP-7702: it creates no contract
    raw, found = signed(kind, to, data)
    assert transaction_of(found) == raw
    head, tail = envelope_of(found)
    assert head is not None
    assert tail is not None
    assert head + data + tail == raw
    assert to_hex(read_transaction(raw).sender) == SENDER


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changed",
    [
        {"from": TO},
        {"value": "0x6"},
        {"input": "0x"},
        {"hash": "0x" + "55" * 32},
        {"type": "0x7e"},
        {"r": "0x1"},
    ],
)
def test_what_was_not_signed_so_is_not_kept(kind: str, changed: dict[str, str]) -> None:
    assert envelope_of({**signed(kind, TO, b"\xab\xcd")[1], **changed}) == NOT_KEPT


@pytest.mark.parametrize("field", ["r", "v", "value"])
def test_a_signature_that_nobody_can_have_made_is_not_kept(field: str) -> None:
    """Its hash is right: a test chain made it up."""
    found = signed("legacy", TO, b"")[1]
    found[field] = hex(2**256 if field != "v" else 29)
    numbered = ["nonce", "gasPrice", "gas", "to", "value", "input", "v", "r", "s"]
    items = [from_hex(found[n]) if n in ("to", "input") else int(found[n], 16) for n in numbered]
    found["hash"] = to_hex(keccak(rlp.encode(items)))
    assert transaction_of(found) == rlp.encode(items)
    assert envelope_of(found) == NOT_KEPT


# ---------------------------------------------------------------------- on a chain


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        made = Stage(chain, node)
        for _ in range(9):
            made.open(made.terms(), 9_000_000)
        yield made


def contents(stage: Stage) -> Contents:
    return Contents(stage.node.genesis_hash, stage.domain, stage.tip_jar, BlockNumber(0))


def rows(archive: Archive) -> dict[str, list[Any]]:
    return {table: list(archive.rows(table)) for table in ("logs", "transactions", "transfers")}


def test_a_transaction_that_a_test_chain_sent_for_somebody_is_not_kept(stage: Stage) -> None:
    node, somebody = stage.node, "0x" + "77" * 20
    before = node.request("evm_snapshot")
    node.request("anvil_setBalance", [somebody, hex(10**18)])
    node.request("anvil_impersonateAccount", [somebody])
    node.request("eth_sendTransaction", [{"from": somebody, "to": TO, "value": "0x1"}])
    node.request("evm_mine")
    sent = [
        each
        for back in range(2)
        for each in node.request("eth_getBlockByNumber", [hex(node.block().number - back), True])[
            "transactions"
        ]
    ]
    node.request("evm_revert", [before])
    assert [each["from"] for each in sent] == [somebody]
    assert [envelope_of(each) for each in sent] == [NOT_KEPT]


class Eventful(Node):
    """A node after each of whose answers something happens."""

    def __init__(self, url: str, happens: Callable[[str], object]) -> None:
        super().__init__(url)
        wire = self.core.wire
        ask, ask_many = wire.ask, wire.ask_many

        async def one(method: str, params: Any) -> Any:
            answer = await ask(method, params)
            happens(f"{method} {params}")
            return answer

        async def many(asked: Any) -> Any:
            answers = await ask_many(asked)
            happens(str(asked))
            return answers

        vars(wire).update(ask=one, ask_many=many)


@pytest.mark.parametrize(
    ("what", "answered"), [("'topics'", 5), ("True]", 2)], ids=["the tokens' logs", "whole blocks"]
)
def test_what_a_thread_is_refused_is_raised_and_collecting_goes_on_later(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, answered: int
) -> None:
    answers = iter(range(answered))

    def refuse(asked: str) -> None:
        if what in asked and next(answers, None) is None:
            raise NodeError(what, -32000, "no more")

    monkeypatch.setattr(collecting, "SEGMENT", 3)
    with Archive.keep(tmp_path / "once", contents(stage)) as archive:
        catch_up(stage.node, archive)
        whole = rows(archive)
    with Archive.keep(tmp_path / "again", contents(stage)) as archive:
        with Eventful(stage.node.url, refuse) as node, pytest.raises(NodeError, match="no more"):
            catch_up(node, archive)
        assert len(archive.segments) in (1, 2)
    with Archive.keep(tmp_path / "again", contents(stage)) as archive:
        catch_up(stage.node, archive)
        assert rows(archive) == whole
    Archive.read(tmp_path / "again")


def test_a_block_that_was_undone_when_its_logs_were_read_is_noticed_later(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On public chains, whose logs say the times of their blocks, nothing else tells."""
    monkeypatch.setattr(surroundings, "LOCAL_CHAINS", ())
    before = [stage.node.request("evm_snapshot")]
    stage.open(stage.terms(), 9_000_000)

    def reorganise(asked: str) -> None:
        if "eth_getLogs" in asked and before:
            stage.node.request("evm_revert", [before.pop()])
            for _ in range(3):
                stage.node.request("evm_mine")

    with Archive.keep(tmp_path / "then", contents(stage)) as archive:
        with Eventful(stage.node.url, reorganise) as node:
            catch_up(node, archive)
        then = rows(archive)
        catch_up(stage.node, archive)
        later = rows(archive)
    with Archive.keep(tmp_path / "now", contents(stage)) as archive:
        catch_up(stage.node, archive)
        assert later == rows(archive) != then
