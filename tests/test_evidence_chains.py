"""Evidence of sessions of every kind, made from real chains and verified where there is no network.

And nodes that lie or forget: nothing that they say gets into a file without a proof.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_hash.auto import keccak

from distrust import Lie, lying
from evidence_stage import Paid, paid_session
from honorarium.audit.evidence import (
    Bundle,
    NodeNotBelieved,
    PaperUnreadable,
    Standing,
    StateForgotten,
    evidence_of,
    evidence_of_async,
    read_given,
    verify,
)
from honorarium.bill import SessionRevoked, SessionUnknown
from honorarium.chain import (
    AsyncContracts,
    Contracts,
    Deployed,
    Engine,
    LocalChain,
    Manifest,
    Node,
    calls,
)
from honorarium.chain.node import to_hex
from honorarium.errors import WrongSignature
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol import Key, OtherSession, SignedVoucher, Voucher
from honorarium.protocol.documents import DocumentUnreadable, write_voucher
from honorarium.protocol.events import SessionClosed
from honorarium.recordfile import RecordRefused
from honorarium.units import BlockNumber
from lives import MORNING, PARTIES, Day, Stage, live_a_day

ENGINES: tuple[Engine, ...] = ("ganache", "anvil")

OFFLINE = """
import socket, sys
def refused(*_, **__): raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refused
from honorarium.cli import main
sys.argv[0] = "honorarium"
main()
"""


@dataclass
class Lived:
    stage: Stage
    day: Day
    contracts: Contracts

    def evidence(self, name: str, block: int | None = None) -> Bundle:
        return evidence_of(self.contracts, self.day.ids[name], block=block)


@pytest.fixture(scope="module", params=ENGINES)
def lived(request: pytest.FixtureRequest) -> Iterator[Lived]:
    with (
        LocalChain.start(engine=request.param, names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        stage = Stage(chain, node)
        day = live_a_day(stage)
        there = (
            ("SessionEscrow", stage.escrow),
            ("TipJar", stage.tip_jar),
            ("TestUSD", stage.token),
        )
        deployed = {name: Deployed(at, Hash(keccak(node.code(at)))) for name, at in there}
        manifest = Manifest(node.chain_id, node.genesis_hash, BlockNumber(0), deployed)
        with Contracts.connect(chain.url, manifest=manifest) as contracts:
            yield Lived(stage, day, contracts)


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paid]:
    with paid_session("ganache", tmp_path_factory.mktemp("papers")) as paid:
        yield paid


def offline(*arguments: str, code: str = OFFLINE) -> subprocess.CompletedProcess[str]:
    """The command in a process that reaches nothing: by the kernel where that is allowed."""
    alone = ["unshare", "-n"] if shutil.which("unshare") else []
    if alone and subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        alone = []
    return subprocess.run(
        [*alone, sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# ---------------------------------------------------------------------- every kind of session


def test_every_kind_of_session_has_evidence_that_holds(lived: Lived) -> None:
    names = [name for name in lived.day.ids if name != "revoked"]
    assert len(names) >= 10
    for name in names:
        found = verify(Bundle.from_text(lived.evidence(name).to_text()))
        assert found.ok, (name, found.of(Standing.OFF))
        assert found.session is not None


def test_ten_sessions_verify_in_a_process_without_network(lived: Lived, tmp_path: Path) -> None:
    names = [name for name in lived.day.ids if name != "revoked"][:10]
    script = []
    for place, name in enumerate(names):
        bundle, path = lived.evidence(name), tmp_path / f"{place}.json"
        path.write_text(bundle.to_text(), encoding="ascii")
        script.append((str(path), to_hex(bundle.blocks[-1].hash)))
    # One process starts as slowly as ten: it verifies them all, one command after the other.
    code = OFFLINE.replace(
        "main()\n",
        "for path, block in json.loads(sys.argv.pop()):\n"
        "    sys.argv[1:] = ['verify', path, '--header', block, '--json']\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, end.code\n",
    ).replace("import socket, sys", "import json, socket, sys")
    done = offline(json.dumps(script), code=code)
    assert done.returncode == 0, done.stderr
    decoder, results, rest = json.JSONDecoder(), [], done.stdout.strip()
    while rest:
        result, end = decoder.raw_decode(rest)
        results.append(result)
        rest = rest[end:].lstrip()
    assert len(results) == 10
    assert all(each["ok"] and each["anchored"] for each in results)


def test_tips_ratings_and_refunds_are_in_it(lived: Lived) -> None:
    said = [each.text for each in verify(lived.evidence("rated")).of(Standing.PROVEN)]
    for word in ("tipped the advisor 2.00", "rated it 5 of 5", "answered the rating", "Settled"):
        assert any(word in text for text in said), word


def test_it_is_as_of_the_block_that_is_asked_for(lived: Lived) -> None:
    number = lived.contracts.history(lived.day.ids["rated"])[1].block
    found = verify(lived.evidence("rated", block=number))
    assert found.ok
    assert found.session is not None
    assert found.session.status.name == "OPEN"


def test_blocks_far_apart_are_each_a_claim(lived: Lived) -> None:
    bundle = evidence_of(lived.contracts, lived.day.ids["rated"], links=0)
    assert all(block.sent for block in bundle.blocks[:-1])
    claims = verify(bundle, [bundle.blocks[-1].hash]).of(Standing.CLAIMED)
    [blocks] = [each.text for each in claims if each.about == "blocks"]
    loose = verify(bundle).unnamed
    assert len(loose) > 1
    assert loose[0].hex() in blocks
    assert not verify(bundle, loose[1:]).anchored
    assert verify(bundle, loose).anchored


def test_a_contract_wallet_is_a_claim_that_the_chain_took(lived: Lived) -> None:
    if "signed by a contract" not in lived.day.ids:
        pytest.skip("Anvil puts code at an address without a transaction")
    bundle = lived.evidence("signed by a contract")
    found = verify(bundle)
    claims = [each for each in found.of(Standing.CLAIMED) if "is a contract" in each.text]
    assert claims
    assert claims[0].by == "the contract wallet (ERC-1271)"
    # Without the proof that there is a contract, another key signed, and that is all.
    wallet = Address(b"\x71" * 20)
    accounts = {account: p for account, p in bundle.accounts.items() if account != wallet}
    [nobody] = verify(Bundle(**{**fields(bundle), "accounts": accounts})).of(Standing.OFF)
    assert "another key signed" in nobody.text


def fields(bundle: Bundle) -> dict[str, Any]:
    return {name: getattr(bundle, name) for name in Bundle.__dataclass_fields__}


def test_a_call_out_of_another_contract_is_a_claim_that_the_chain_took(lived: Lived) -> None:
    if "through a contract" not in lived.day.ids:
        pytest.skip("Anvil puts code at an address without a transaction")
    found = verify(lived.evidence("through a contract"))
    assert found.ok
    assert [each for each in found.of(Standing.CLAIMED) if each.about == "consent"]


def test_what_never_was_a_session_has_no_evidence(lived: Lived) -> None:
    with pytest.raises(SessionRevoked):
        lived.evidence("revoked")
    with pytest.raises(SessionUnknown):
        evidence_of(lived.contracts, SessionId(b"\x09" * 32))


def test_a_session_in_a_crowded_block_is_proven(lived: Lived) -> None:
    """Blocks have many transactions elsewhere: trees with branches, of all common types."""
    stage, node = lived.stage, lived.stage.node
    if stage.chain.engine != "anvil":
        pytest.skip("Ganache is told to wait in another way; the trees are the same")
    terms = stage.terms()
    key, price = stage.key("client"), 10**11
    nonce = node.transaction_count(key.address)
    common: dict[str, Any] = {"gas": 2_000_000, "value": 0, "chainId": node.chain_id}
    kinds = (
        {"gasPrice": price},
        {"gasPrice": price, "type": 1, "accessList": []},
        {"maxFeePerGas": price, "maxPriorityFeePerGas": 1, "type": 2},
    )
    calldata = calls.open(terms, 20_000_000, stage.quote(terms))
    node.request("evm_setAutomine", [False])
    try:
        for place in range(20):
            to, data = (stage.escrow, calldata) if place == 17 else (stage.address("sponsor"), b"")
            fields = {**common, **kinds[place % 3], "to": to, "data": data}
            signed = Account.sign_transaction({**fields, "nonce": nonce + place}, key.secret())
            node.request("eth_sendRawTransaction", [to_hex(bytes(signed.raw_transaction))])
        node.request("evm_mine")
    finally:
        node.request("evm_setAutomine", [True])
    bundle = evidence_of(lived.contracts, stage.id_of(terms))
    [sent] = bundle.blocks[0].sent
    assert sent.index == 17
    assert sent.transaction is not None
    assert min(len(sent.transaction), len(sent.receipt)) > 1
    assert verify(bundle).ok


# ---------------------------------------------------------------------- papers


def test_papers_of_both_sides_give_the_same_evidence(paid: Paid) -> None:
    of_voucher, of_book = paid.evidence(paid.voucher), paid.evidence(paid.book)
    assert of_voucher == of_book
    of_meter = paid.evidence(paid.meter)
    assert of_meter.journal == of_book.journal
    assert len(of_meter.acknowledgements) == 1


def test_asyncio_gets_the_same_evidence(paid: Paid) -> None:
    import asyncio

    async def collect() -> Bundle:
        url = paid.contracts.node.url
        async with await AsyncContracts.connect(url, manifest=paid.contracts.manifest) as contracts:
            return await evidence_of_async(contracts, paid.session_id)

    assert asyncio.run(collect()) == evidence_of(paid.contracts, paid.session_id)


def test_a_voucher_that_the_meter_did_not_sign_gets_into_no_file(
    paid: Paid, tmp_path: Path
) -> None:
    meter = Key.generate()
    reading = Voucher(paid.session_id, 5, Hash(bytes(32)))
    forged = SignedVoucher.sign(reading, meter, paid.contracts.escrow)
    path = tmp_path / "forged.json"
    path.write_text(write_voucher(forged, paid.session_id, paid.contracts.escrow))
    with pytest.raises(WrongSignature):
        paid.evidence(path)


def test_papers_of_another_session_or_of_none_are_refused(
    paid: Paid, lived: Lived, tmp_path: Path
) -> None:
    terms = lived.day.terms["rated"]
    with pytest.raises(OtherSession):
        read_given([paid.voucher], terms, paid.contracts.escrow)
    for file in (paid.meter, paid.book):
        with pytest.raises(OtherSession):
            read_given([file], terms, paid.contracts.escrow)
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("{}")
    with pytest.raises(DocumentUnreadable):
        read_given([nonsense], paid.terms, paid.contracts.escrow)
    nonsense.write_text('{"file":"diary"}\n')
    with pytest.raises(RecordRefused):
        read_given([nonsense], paid.terms, paid.contracts.escrow)
    nonsense.write_text('{"file":"honorarium me')
    for path in (nonsense, tmp_path / "missing"):
        with pytest.raises(PaperUnreadable):
            read_given([path], paid.terms, paid.contracts.escrow)


def test_a_voucher_that_is_not_settled_yet_is_shown_as_such(lived: Lived, tmp_path: Path) -> None:
    stage, terms = lived.stage, lived.day.terms["running"]
    path = tmp_path / "voucher.json"
    path.write_text(write_voucher(stage.voucher(terms, 3), stage.id_of(terms), stage.domain))
    given = read_given([path], terms, stage.domain)
    bundle = evidence_of(lived.contracts, stage.id_of(terms), given)
    assert [voucher.units for voucher in bundle.vouchers] == [2, 3]
    said = [each.text for each in verify(bundle).of(Standing.PROVEN)]
    assert any("3 minutes, of which 2 are settled" in text for text in said)


def test_a_meter_that_signs_two_journals_for_the_same_units_is_convicted(
    lived: Lived, tmp_path: Path
) -> None:
    stage, terms = lived.stage, lived.day.terms["rated"]
    reading = Voucher(stage.id_of(terms), 9, Hash(b"o" * 32))
    other = SignedVoucher.sign(reading, stage.meter, stage.domain)
    path = tmp_path / "voucher.json"
    path.write_text(write_voucher(other, stage.id_of(terms), stage.domain))
    given = read_given([path], terms, stage.domain)
    found = verify(evidence_of(lived.contracts, stage.id_of(terms), given))
    assert any("two journals for 9 minutes" in each.text for each in found.of(Standing.OFF))


# ---------------------------------------------------------------------- nodes that lie or forget


def through(paid: Paid, lie: Lie) -> Bundle:
    manifest = paid.contracts.manifest
    with (
        lying(paid.contracts.node.url, lie) as url,
        Contracts.connect(url, manifest=manifest) as contracts,
    ):
        return evidence_of(contracts, paid.session_id)


def test_a_node_that_changes_a_receipt_is_not_believed(paid: Paid) -> None:
    def lie(method: str, _: list[Any], told: Any) -> Any:
        if method == "eth_getTransactionReceipt":
            return {**told, "logs": told["logs"][:-1]}
        return told

    with pytest.raises(NodeNotBelieved, match="receipts root"):
        through(paid, lie)


def test_a_node_that_changes_a_header_is_not_believed(paid: Paid) -> None:
    def lie(method: str, _: list[Any], told: Any) -> Any:
        if method == "eth_getBlockByNumber" and told and told["number"] != "0x0":
            return {**told, "timestamp": hex(int(told["timestamp"], 16) - 1)}
        return told

    with pytest.raises(NodeNotBelieved, match="has not the block's hash"):
        through(paid, lie)


def test_a_node_that_changes_a_transaction_is_not_believed(paid: Paid) -> None:
    def lie(method: str, asked: list[Any], told: Any) -> Any:
        if method == "eth_getBlockByNumber" and asked[1]:
            return {**told, "transactionsRoot": "0x" + "ab" * 32}
        return told

    with pytest.raises(NodeNotBelieved, match="have not its root"):
        through(paid, lie)


def test_a_node_that_changes_storage_is_not_believed(paid: Paid) -> None:
    def lie(method: str, _: list[Any], told: Any) -> Any:
        if method == "eth_getProof" and told["storageProof"]:
            [one] = told["storageProof"]
            nodes = [*one["proof"][:-1], one["proof"][-1][:-2] + "01"]
            return {**told, "storageProof": [{**one, "proof": nodes}]}
        return told

    with pytest.raises(NodeNotBelieved, match="storage is not that of block"):
        through(paid, lie)


def test_a_node_that_leaves_out_an_event_is_found_by_the_storage(paid: Paid) -> None:
    def lie(method: str, _: list[Any], told: Any) -> Any:
        return told[:-1] if method == "eth_getLogs" and len(told) > 1 else told

    with pytest.raises(NodeNotBelieved, match=r"score: .* an event is left out"):
        through(paid, lie)  # all of it is true, and the rating is not in it


def test_a_node_that_leaves_out_the_close_is_not_believed(paid: Paid) -> None:
    """A rating of a session that nobody closed: the events contradict each other."""

    def lie(method: str, _: list[Any], told: Any) -> Any:
        if method == "eth_getLogs":
            return [log for log in told if log["topics"][0] != to_hex(SessionClosed.TOPIC)]
        return told

    with pytest.raises(NodeNotBelieved, match="answers prove nothing"):
        through(paid, lie)


def test_a_node_that_forgot_old_states_is_named(
    paid: Paid, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = paid.contracts.node.core.wire
    ask = wire.ask

    async def forgetful(method: str, params: Any) -> Any:
        if method == "eth_getProof":
            return {"error": {"code": -32000, "message": "missing trie node"}}
        return await ask(method, params)

    monkeypatch.setattr(wire, "ask", forgetful)
    with pytest.raises(StateForgotten, match=r"missing trie node.*archive node") as forgot:
        paid.evidence(block=paid.contracts.node.block().number - 1)
    assert forgot.value.block == paid.contracts.node.block().number - 1


# ---------------------------------------------------------------------- the commands


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "honorarium.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_commands_make_and_verify_it(paid: Paid, tmp_path: Path) -> None:
    file, manifest = tmp_path / "evidence.json", tmp_path / "manifest.json"
    paid.contracts.manifest.save(manifest)
    made = run(
        *("evidence", to_hex(paid.session_id), "-o", str(file), "--json"),
        *("--paper", str(paid.voucher), "--paper", str(paid.meter)),
        *("--rpc", paid.contracts.node.url, "--manifest", str(manifest)),
    )
    assert made.returncode == 0, made.stderr
    facts = json.loads(made.stdout)
    assert (facts["off"], facts["journal"]) == (0, 3)

    shown = offline("verify", str(file))
    assert shown.returncode == 0, shown.stderr
    assert "Only claimed" in shown.stdout
    assert "whoever made this file" in " ".join(shown.stdout.split())

    sure = offline("verify", str(file), "--header", facts["block"], "--json")
    assert json.loads(sure.stdout)["anchored"] is True

    def lie(method: str, _: list[Any], told: Any) -> Any:
        return told[:-1] if method == "eth_getLogs" and len(told) > 1 else told

    with lying(paid.contracts.node.url, lie) as url:
        never = tmp_path / "never.json"
        lied = run(
            *("evidence", to_hex(paid.session_id), "-o", str(never)),
            *("--rpc", url, "--manifest", str(manifest)),
        )
    assert (lied.returncode, never.exists()) == (2, False)
    assert "the node's answers prove nothing" in " ".join(lied.stderr.split())

    wrong = offline("verify", str(file), "--header", "0x" + "12" * 32)
    assert wrong.returncode == 1
    assert "DO NOT RELY ON IT" in wrong.stdout

    file.write_text(file.read_text()[:-100])
    cut = offline("verify", str(file))
    assert cut.returncode == 2
    assert "EvidenceUnreadable" in cut.stderr
    assert offline("verify", str(file), "--header", "0x12").returncode == 2
