"""Evidence that lies in files: what is proven, what is noticed, what is refused. No chain runs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import rlp
from eth_account import Account
from eth_hash.auto import keccak

from honorarium.audit.encoding import (
    index_key,
    read_account,
    read_header,
    read_receipt,
    read_transaction,
    read_word,
)
from honorarium.audit.evidence import (
    Bundle,
    EvidenceUnreadable,
    Examined,
    Standing,
    as_record,
    schema,
    verify,
)
from honorarium.audit.evidence.bundle import Sent, _sealed
from honorarium.audit.evidence.merkle import ProofBroken, Tree, proven
from honorarium.ids import Hash
from honorarium.protocol import EntryKind
from honorarium.protocol.typed_data import Domain
from honorarium.units import UnixTime

GOLDEN = Path(__file__).parent / "evidence"
ENGINES = ("ganache", "anvil")


@pytest.fixture(params=ENGINES)
def text(request: pytest.FixtureRequest) -> str:
    return (GOLDEN / f"{request.param}.json").read_text(encoding="ascii")


@pytest.fixture
def bundle(text: str) -> Bundle:
    return Bundle.from_text(text)


def off(found: Examined) -> list[tuple[str, str]]:
    return [(each.about, each.text) for each in found.of(Standing.OFF)]


# ---------------------------------------------------------------------- what holds


def test_golden_evidence_holds(text: str) -> None:
    found = verify(Bundle.from_text(text))
    assert off(found) == []
    assert not found.anchored
    proven_about = {each.about for each in found.of(Standing.PROVEN)}
    assert proven_about >= {
        *("terms", "contract", "log", "fee", "time", "storage"),
        *("consent", "voucher", "journal", "acknowledgement"),
    }


def test_golden_evidence_follows_the_schema(text: str) -> None:
    jsonschema.Draft202012Validator.check_schema(dict(schema()))
    jsonschema.validate(json.loads(text), schema())


def test_the_same_evidence_is_always_the_same_bytes(text: str) -> None:
    assert Bundle.from_text(text).to_text() == text


def test_the_last_block_proves_those_before_it(bundle: Bundle) -> None:
    found = verify(bundle, [bundle.blocks[-1].hash])
    assert found.ok
    assert found.anchored
    assert "blocks" in {each.about for each in found.of(Standing.PROVEN)}


def test_an_earlier_block_does_not_prove_later_ones(bundle: Bundle) -> None:
    found = verify(bundle, [bundle.blocks[0].hash])
    assert found.ok
    assert not found.anchored
    [claim] = [each for each in found.of(Standing.CLAIMED) if each.about == "blocks"]
    assert bundle.blocks[-1].hash.hex() in claim.text
    assert bundle.blocks[0].hash.hex() not in claim.text


def test_that_the_blocks_are_real_is_only_claimed_by_the_maker(bundle: Bundle) -> None:
    [claim] = [each for each in verify(bundle).of(Standing.CLAIMED) if each.about == "blocks"]
    assert claim.by == "whoever made this file"


def test_how_the_token_is_called_is_claimed_by_the_maker_and_not_by_the_token(
    bundle: Bundle,
) -> None:
    renamed = replace(bundle, claims=replace(bundle.claims, symbol="EUR", decimals=2))
    found = verify(renamed)
    [claim] = [each for each in found.of(Standing.CLAIMED) if each.about == "token"]
    assert "called EUR and has 2 decimals" in claim.text
    assert (found.ok, claim.by) == (True, "whoever made this file")


def test_the_result_for_programs_has_the_sums(bundle: Bundle) -> None:
    record = as_record(verify(bundle))
    assert (record["ok"], record["off"]) == (True, [])
    assert record["state"]["earned"] == "5300000"
    assert (record["state"]["units"], record["state"]["status"]) == (4, "closed")


# ---------------------------------------------------------------------- every byte


def test_every_changed_byte_of_the_file_is_refused(text: str) -> None:
    data, generator = text.encode(), random.Random(7)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << generator.randrange(7)
        with pytest.raises(EvidenceUnreadable):
            Bundle.from_text(changed.decode())


def test_a_file_that_is_cut_short_is_refused(text: str) -> None:
    for length in (*range(0, len(text), 97), len(text) - 2, len(text) - 1):
        with pytest.raises(EvidenceUnreadable):
            Bundle.from_text(text[:length])


def test_a_file_with_something_more_is_refused(text: str) -> None:
    for more in (text + "\n", text + text, "\ufeff" + text):
        with pytest.raises(EvidenceUnreadable):
            Bundle.from_text(more)
    members = json.loads(text)
    for where in (members, members["terms"], members["blocks"][0], members["state"]):
        where["more"] = 1
        with pytest.raises(EvidenceUnreadable):
            Bundle.from_text(_sealed(members))
        del where["more"]


def flips(value: Any, generator: random.Random) -> Iterator[Any]:
    """The value with one bit changed, at several places of it; or another one of its kind."""
    if isinstance(value, str) and value.startswith("0x"):
        data = bytes.fromhex(value[2:])
        places = {0, len(data) // 2, len(data) - 1, generator.randrange(len(data) or 1)}
        for place in places if data else ():
            changed = bytearray(data)
            changed[place] ^= 1 << generator.randrange(8)
            yield "0x" + changed.hex()
        yield value + "00"
        yield value[:-2]
    elif isinstance(value, bool | int):
        yield value + 1
    elif isinstance(value, str):
        yield str(int(value) + 1) if value.isdigit() else value + "x"
    yield None


def leaves(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(found, dict | list) and found:
        for key in found if isinstance(found, dict) else range(len(found)):
            yield from leaves(found[key], (*path, key))
    else:
        yield path


def test_every_changed_value_is_noticed_even_if_the_digest_is_made_anew(text: str) -> None:
    members, generator = json.loads(text), random.Random(11)
    tried = 0
    for path in list(leaves(members)):
        if path[0] in ("claims", "digest"):
            continue  # the one is what the file itself calls a claim, the other is made anew
        parent = members
        for key in path[:-1]:
            parent = parent[key]
        kept = parent[path[-1]]
        for changed in flips(kept, generator):
            if changed == kept or (changed is None and path in (("quote",), ("journal",))):
                continue
            parent[path[-1]] = changed
            tried += 1
            try:
                found = verify(Bundle.from_text(_sealed(members)))
            except EvidenceUnreadable:
                continue
            assert not found.ok, (path, changed)
        parent[path[-1]] = kept
    assert tried > 300


def test_what_is_taken_out_is_missed_or_said_to_be_missing(bundle: Bundle) -> None:
    assert not verify(replace(bundle, blocks=bundle.blocks[:-1])).ok
    assert not verify(replace(bundle, blocks=bundle.blocks[1:])).ok
    assert not verify(replace(bundle, accounts={})).ok
    without = verify(replace(bundle, vouchers=(), journal=None, acknowledgements=(), quote=None))
    assert without.ok  # all of it is less evidence, and none of it false
    claims = {each.about for each in without.of(Standing.CLAIMED)}
    assert claims >= {"voucher", "journal"}


# ---------------------------------------------------------------------- falsified


def falsified_log(bundle: Bundle) -> Bundle:
    """Somebody writes a receipt of their own, with a proof of its own."""
    place = next(i for i, block in enumerate(bundle.blocks) if block.sent)
    block = bundle.blocks[place]
    receipt = proven_receipt(bundle, place)
    assert read_receipt(receipt).ok
    forged = receipt.replace(bundle.terms.client, bytes(20))
    assert forged != receipt
    sent = Sent(0, block.sent[0].transaction, Tree([forged]).proof(0))
    blocks = list(bundle.blocks)
    blocks[place] = replace(block, sent=(sent,))
    return replace(bundle, blocks=tuple(blocks))


def proven_receipt(bundle: Bundle, place: int) -> bytes:
    [leaf] = bundle.blocks[place].sent[0].receipt
    return bytes(rlp.decode(leaf)[1])


def falsified_storage(bundle: Bundle) -> Bundle:
    *above, leaf = bundle.slot
    path, value = rlp.decode(leaf)
    return replace(bundle, slot=(*above, rlp.encode([path, value[:-1] + b"\x07"])))


def falsified_voucher(bundle: Bundle) -> Bundle:
    return replace(bundle, vouchers=(replace(bundle.vouchers[0], units=9),))


def falsified_journal(bundle: Bundle) -> Bundle:
    assert bundle.journal
    entry = replace(bundle.journal[1], at=UnixTime(bundle.journal[1].at + 30))
    return replace(bundle, journal=(bundle.journal[0], entry, *bundle.journal[2:]))


def shortened_journal(bundle: Bundle) -> Bundle:
    assert bundle.journal
    paused = (EntryKind.PAUSED, EntryKind.RESUMED)
    return replace(bundle, journal=tuple(e for e in bundle.journal if e.kind not in paused))


def falsified_header(bundle: Bundle) -> Bundle:
    """One whose hash is made anew too: then it does not fit the next one."""
    first = bundle.blocks[0]
    fields = rlp.decode(first.header)
    fields[12] = b"other"  # extraData: nothing that any proof needs
    header = rlp.encode(fields)
    forged = replace(first, header=header, hash=Hash(keccak(header)))
    return replace(bundle, blocks=(forged, *bundle.blocks[1:]))


def falsified_receipt(bundle: Bundle) -> Bundle:
    place = next(i for i, block in enumerate(bundle.blocks) if block.sent)
    block = bundle.blocks[place]
    [node] = block.sent[0].receipt
    sent = replace(block.sent[0], receipt=(node[:-1] + bytes((node[-1] ^ 1,)),))
    blocks = list(bundle.blocks)
    blocks[place] = replace(block, sent=(sent,))
    return replace(bundle, blocks=tuple(blocks))


def another_chains_id(bundle: Bundle) -> Bundle:
    return replace(bundle, domain=Domain(1, bundle.domain.contract))


def another_chains_blocks(bundle: Bundle) -> Bundle:
    other = "anvil" if bundle.domain.chain_id == 1337 else "ganache"
    theirs = Bundle.from_text((GOLDEN / f"{other}.json").read_text(encoding="ascii"))
    return replace(bundle, blocks=theirs.blocks, accounts=theirs.accounts, slot=theirs.slot)


def another_acknowledgement(bundle: Bundle) -> Bundle:
    accepted = replace(bundle.acknowledgements[0], signature=bundle.vouchers[0].signature)
    return replace(bundle, acknowledgements=(accepted,))


@pytest.mark.parametrize(
    ("falsify", "about", "word"),
    [
        (falsified_log, "receipt", "is not proven"),
        (falsified_receipt, "receipt", "is not proven"),
        (falsified_storage, "state", "the session's storage is not that of block"),
        (falsified_voucher, "voucher", "not signed by the meter's key"),
        (falsified_journal, "journal", "do not lead to the head that the meter signed"),
        (shortened_journal, "journal", "do not lead to the head that the meter signed"),
        (falsified_header, "header", "of different chains"),
        (another_chains_id, "terms", "not the hash of these terms for this contract and chain"),
        (another_chains_blocks, "contract", "there is no SessionEscrow of this version for chain"),
        (another_acknowledgement, "acknowledgement", "is not the advisor's"),
    ],
    ids=lambda given: given.__name__ if callable(given) else "",
)
def test_a_forgery_is_found_with_a_clear_word(
    bundle: Bundle, falsify: Callable[[Bundle], Bundle], about: str, word: str
) -> None:
    forged = Bundle.from_text(falsify(bundle).to_text())
    found = off(verify(forged))
    assert any(each == about and word in text for each, text in found), found


def test_a_forger_who_makes_a_header_of_his_own_is_found_by_its_hash(bundle: Bundle) -> None:
    """A last header that nothing follows is a claim: it is what --header is for."""
    last = bundle.blocks[-1]
    fields = rlp.decode(last.header)
    fields[12] = b"other"
    header = rlp.encode(fields)
    forged = replace(last, header=header, hash=Hash(keccak(header)))
    made_up = replace(bundle, blocks=(*bundle.blocks[:-1], forged))
    assert verify(made_up).ok
    [(about, text)] = off(verify(made_up, [last.hash]))
    assert about == "header"
    assert last.hash.hex() in text


def test_two_journals_for_the_same_units_are_both_shown(bundle: Bundle) -> None:
    """The meter's key signs nothing twice; somebody with the key could."""
    first = bundle.vouchers[0]
    other = replace(first, journal=Hash(bytes(32)))
    found = off(verify(replace(bundle, vouchers=(first, other))))
    assert any("not signed by the meter's key" in text for _, text in found)


# ---------------------------------------------------------------------- the parts


@pytest.mark.parametrize("count", [1, 2, 16, 17, 130, 300])
def test_every_value_of_a_tree_has_a_proof_and_no_other_value_has(count: int) -> None:
    values = [bytes([n % 251]) * (5 + n % 70) for n in range(count)]
    tree = Tree(values)
    for index in {0, count // 2, count - 1}:
        proof = tree.proof(index)
        assert proven(tree.root, index_key(index), proof) == values[index]
        assert proven(tree.root, index_key(count), tree.proof(count)) == b""
        for nodes in (proof[:-1], (*proof, proof[-1]), (*proof[:-1], proof[-1][:-1] + b"?")):
            with pytest.raises(ProofBroken):
                proven(tree.root, index_key(index), nodes)


def made_up(generator: random.Random, depth: int = 0) -> Any:
    """Anything that RLP can hold."""
    if depth < 4 and generator.random() < 0.5:
        return [made_up(generator, depth + 1) for _ in range(generator.choice((0, 2, 3, 4, 9, 15)))]
    return generator.randbytes(generator.choice((0, 1, 8, 20, 32, 33, 256)))


@pytest.mark.parametrize(
    "read", [read_header, read_transaction, read_receipt, read_account, read_word]
)
def test_what_somebody_made_up_is_refused_as_such(read: Callable[[bytes], Any]) -> None:
    generator, refused = random.Random(3), 0
    for count in range(400):
        size = {read_receipt: 4, read_account: 4, read_header: 15}.get(read, 12)
        fields = [made_up(generator, 1) for _ in range(size)] if count % 2 else made_up(generator)
        data = b"\x02" * (count % 3 == 0) + rlp.encode(fields)
        try:
            read(data)
        except ValueError:
            refused += 1
    assert refused > 200


SECRET = "0x" + "11" * 32
COMMON = {"nonce": 3, "gas": 90_000, "to": "0x" + "22" * 20, "value": 5, "data": "0xabcdef"}
FEES = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
ACCESS = [{"address": "0x" + "33" * 20, "storageKeys": ["0x" + "44" * 32]}]


@pytest.mark.parametrize(
    "fields",
    [
        {**COMMON, "gasPrice": 10**9},
        {**COMMON, "gasPrice": 10**9, "chainId": 1337},
        {**COMMON, "gasPrice": 10**9, "chainId": 1, "accessList": ACCESS, "type": 1},
        {**COMMON, **FEES, "chainId": 31337, "type": 2},
    ],
)
def test_the_sender_of_a_transaction_is_who_signed_it(fields: dict[str, Any]) -> None:
    signed = Account.sign_transaction(fields, SECRET)
    found = read_transaction(bytes(signed.raw_transaction))
    assert "0x" + found.sender.hex() == Account.from_key(SECRET).address.lower()
    assert found.hash == bytes(signed.hash)
    assert (found.value, found.data, found.chain_id) == (5, b"\xab\xcd\xef", fields.get("chainId"))
