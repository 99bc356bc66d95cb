"""The golden vectors in tests/vectors: the package gives what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from build_vectors import FILES, VECTORS, main
from honorarium.ids import Address, Hash, SessionId
from honorarium.protocol import messages
from honorarium.protocol.journal import Entry, EntryKind, Journal, billable_seconds
from honorarium.protocol.keys import Key, Signature, recover
from honorarium.protocol.messages import Message
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import UnixTime
from protocol_values import raw, tariff_of, terms_of

CLASSES: dict[str, Callable[..., Message]] = {
    kind.TYPE: kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
}


def cases(name: str) -> Any:
    loaded = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    assert len(loaded) >= 20
    return [pytest.param(case, id=f"{name}-{number}") for number, case in enumerate(loaded)]


def domain_of(case: dict[str, Any]) -> Domain:
    d = case["domain"]
    contract = Address(raw(d["verifyingContract"]))
    return Domain(int(d["chainId"]), contract, d["name"], d["version"])


def message_of(case: dict[str, Any]) -> Message:
    values: list[Any] = [
        terms_of(value)
        if field == "terms"
        else raw(value)
        if isinstance(value, str) and value.startswith("0x")
        else int(value)
        for field, value in case["message"].items()
    ]
    return CLASSES[case["type"]](*values)


def test_the_files_are_what_the_script_makes() -> None:
    assert main(["--check"]) == 0
    assert {path.stem for path in VECTORS.glob("*.json")} == set(FILES)


def test_a_changed_file_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    path = tmp_path / "fees.json"
    path.write_text(path.read_text().replace("0", "1", 1))
    assert main(["--check"], tmp_path) == 1
    assert "fees.json" in capsys.readouterr().err


@pytest.mark.parametrize("case", cases("terms"))
def test_terms_give_words_hash_and_id_of_the_vector(case: dict[str, Any]) -> None:
    terms = terms_of(case["terms"])
    assert ["0x" + word.hex() for word in terms.pack()] == case["packed"]
    assert Terms.unpack([raw(word) for word in case["packed"]]) == terms
    assert "0x" + terms.struct_hash().hex() == case["structHash"]
    assert "0x" + terms.session_id(domain_of(case)).hex() == case["sessionId"]


@pytest.mark.parametrize("case", cases("messages"))
def test_messages_give_digest_and_signature_of_the_vector(case: dict[str, Any]) -> None:
    domain, message = domain_of(case), message_of(case)
    key, signature = (
        Key.from_bytes(raw(case["secret"])),
        Signature.from_bytes(raw(case["signature"])),
    )

    assert "0x" + domain.separator.hex() == case["separator"]
    assert "0x" + message.struct_hash().hex() == case["structHash"]
    assert "0x" + message.digest(domain).hex() == case["digest"]
    assert key.sign(message.digest(domain)) == signature
    assert "0x" + recover(message.digest(domain), signature).hex() == case["signer"]


def test_there_is_a_vector_of_every_message() -> None:
    loaded = json.loads((VECTORS / "messages.json").read_text(encoding="utf-8"))
    assert {case["type"] for case in loaded} == set(CLASSES) - {"Permit"}  # the token's own


@pytest.mark.parametrize("case", cases("fees"))
def test_tariffs_give_the_fees_of_the_vector(case: dict[str, Any]) -> None:
    tariff = tariff_of(case["tariff"])
    assert [str(tariff.fee(units)) for units in case["units"]] == case["fees"]


@pytest.mark.parametrize("case", cases("journal"))
def test_entries_give_the_heads_and_seconds_of_the_vector(case: dict[str, Any]) -> None:
    journal = Journal(SessionId(raw(case["sessionId"])))
    heads = [journal.head]
    for entry in case["entries"]:
        kind = EntryKind[entry["kind"].upper()]
        heads.append(journal.append(Entry(UnixTime(entry["at"]), kind, Hash(raw(entry["note"])))))
    assert ["0x" + head.hex() for head in heads] == case["heads"]
    assert billable_seconds(journal.entries) == case["billableSeconds"]
