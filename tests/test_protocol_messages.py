"""Terms and messages: digests equal eth-account's, packing loses nothing."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from honorarium.errors import FieldNotUsable
from honorarium.ids import ZERO_ADDRESS, Address, Hash, SessionId
from honorarium.protocol.messages import (
    Message,
    Voucher,
    deposit_nonce,
    opening_nonce,
    tip_nonce,
    top_up_nonce,
)
from honorarium.protocol.terms import PACKED_WORDS, Terms
from honorarium.protocol.typed_data import TYPES, Domain, encode_type
from protocol_values import (
    SIGNED,
    addresses,
    amounts,
    domains,
    hashes,
    session_ids,
    sponsored,
    terms,
)


def reference(typed_data: dict[str, Any]) -> bytes:
    """eth-account's digest of what a wallet is shown."""
    signable = encode_typed_data(full_message=typed_data)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def test_every_signed_type_has_a_message_that_these_tests_draw() -> None:
    assert {message.TYPE for message in SIGNED} == set(TYPES) - {"Tariff", "Terms"}


@pytest.mark.parametrize("name", sorted(set(TYPES) - {"Acknowledgement"}))
def test_every_type_that_a_contract_reads_stands_in_the_contracts(name: str) -> None:
    root = Path(__file__).parents[1]
    permit = root / "node_modules/@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol"
    files = [*sorted((root / "contracts").rglob("*.sol")), permit]
    sources = "".join(path.read_text() for path in files)
    literals = re.sub(r'"\s*"', "", sources)  # neighbouring literals are one
    assert f'"{encode_type(name)}"' in literals


@given(terms, domains)
def test_the_session_id_is_eth_accounts_digest_of_the_terms(value: Terms, domain: Domain) -> None:
    assert value.session_id(domain) == reference(domain.typed_data("Terms", value.message()))


@pytest.mark.parametrize("kind", SIGNED, ids=lambda kind: kind.TYPE)
@given(data=st.data())
def test_a_digest_is_eth_accounts_of_what_the_wallet_shows(
    kind: type[Message], data: st.DataObject
) -> None:
    message, domain = data.draw(SIGNED[kind]), data.draw(domains)
    assert message.digest(domain) == reference(message.typed_data(domain))


@pytest.mark.parametrize("kind", SIGNED, ids=lambda kind: kind.TYPE)
@given(data=st.data())
def test_a_digest_is_bound_to_chain_contract_and_message(
    kind: type[Message], data: st.DataObject
) -> None:
    message, domain = data.draw(SIGNED[kind]), data.draw(domains)
    elsewhere = Address(bytes((domain.contract[0] ^ 1,)) + domain.contract[1:])
    digests = {
        message.digest(domain),
        message.digest(Domain(domain.chain_id + 1, domain.contract)),
        message.digest(Domain(domain.chain_id, elsewhere)),
        message.digest(Domain(domain.chain_id, domain.contract, version="2")),
        message.digest(Domain(domain.chain_id, domain.contract, name="Other")),
    }
    assert len(digests) == 5


def test_messages_of_the_same_fields_but_another_type_have_other_digests() -> None:
    domain = Domain(1, Address(bytes(20)))
    hashed = {
        name: domain.digest(keccak(keccak(_type_of(name)) + bytes(32 * len(TYPES[name]))))
        for name in TYPES
    }
    assert len(set(hashed.values())) == len(TYPES)


def _type_of(name: str) -> bytes:
    return f"{name}({','.join(f'{k} {f}' for k, f in TYPES[name])})".encode()


@given(terms)
def test_packed_terms_unpack_to_the_same(value: Terms) -> None:
    packed = value.pack()
    assert [len(word) for word in packed] == [32] * PACKED_WORDS
    assert Terms.unpack(packed) == value


@given(st.lists(hashes, min_size=7, max_size=7))
def test_seven_words_are_terms_or_refused(words: list[bytes]) -> None:
    canonical = list(words)
    for at in (1, 2):
        canonical[at] = words[at][:30] + b"\0\0"
    if canonical[1][:20] == canonical[0][:20]:
        canonical[1] = bytes(20) + canonical[1][20:]
    canonical[0] = b"\1" + canonical[0][1:]
    assert list(Terms.unpack(canonical).pack()) == canonical
    for at, name in ((1, "payer"), (2, "advisor")):
        dirty = list(canonical)
        dirty[at] = canonical[at][:31] + b"\1"
        with pytest.raises(ValueError, match=f"beside the {name}"):
            Terms.unpack(dirty)
        assert Terms.unpack(dirty, canonical=False) == Terms.unpack(canonical)
    spelled = [canonical[0], canonical[0][:20] + canonical[1][20:], *canonical[2:]]
    with pytest.raises(ValueError, match="a payer who is the client is written as zero"):
        Terms.unpack(spelled)
    known = Terms.unpack(spelled, canonical=False)
    assert known.payer == known.client


@given(sponsored)
def test_terms_that_nobody_pays_are_not_packed(value: Terms) -> None:
    with pytest.raises(FieldNotUsable, match="payer of Terms"):
        replace(value, payer=ZERO_ADDRESS).pack()


@pytest.mark.parametrize("words", [[], [bytes(32)] * 6, [bytes(32)] * 8, [bytes(32)] * 6 + [b""]])
def test_other_than_seven_words_are_refused(words: list[bytes]) -> None:
    with pytest.raises(ValueError, match="7 words of 32 bytes"):
        Terms.unpack(words)


@given(terms, domains, st.data())
def test_every_field_of_the_terms_changes_the_id(
    value: Terms, domain: Domain, data: st.DataObject
) -> None:
    other = data.draw(terms)
    for field in fields(Terms):
        changed = replace(value, **{field.name: getattr(other, field.name)})
        same = getattr(value, field.name) == getattr(other, field.name)
        assert (changed.session_id(domain) == value.session_id(domain)) == same


@pytest.mark.parametrize(
    ("field", "bits"), [("fee_bps", 16), ("open_before", 40), ("close_grace", 24), ("salt", 96)]
)
@given(value=terms)
def test_a_number_beyond_its_width_is_not_packed(value: Terms, field: str, bits: int) -> None:
    with pytest.raises(FieldNotUsable):
        replace(value, **{field: 2**bits}).pack()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client", b"\x01" * 21),
        ("client", "0x" + "01" * 20),
        ("advisor", b""),
        ("context", b"\x01" * 31),
        ("salt", -1),
        ("salt", 1.0),
        ("fee_bps", True),
    ],
)
@given(terms_value=terms)
def test_a_value_of_another_kind_or_width_gives_no_digest(
    terms_value: Terms, field: str, value: Any
) -> None:
    broken = replace(terms_value, **{field: value})
    with pytest.raises(FieldNotUsable):
        broken.struct_hash()
    with pytest.raises(FieldNotUsable):
        broken.pack()


def test_a_reading_beyond_32_bits_is_never_signed() -> None:
    with pytest.raises(FieldNotUsable, match="units of Voucher is 4294967296"):
        Voucher(SessionId(bytes(32)), 2**32, Hash(bytes(32))).struct_hash()


@given(session_ids, amounts, addresses, addresses, addresses, hashes, hashes)
def test_nonces_are_what_the_contracts_compute(
    session_id: Any, amount: Any, token: Any, account: Any, advisor: Any, memo: Any, salt: Any
) -> None:
    from eth_abi.abi import encode

    def hashed(kinds: str, *values: Any) -> bytes:
        return keccak(encode(kinds.split(), values))

    assert opening_nonce(session_id) == session_id
    assert top_up_nonce(session_id, amount) == hashed("bytes32 uint80", session_id, amount)
    assert deposit_nonce(token, account, salt) == hashed(
        "bytes32 address address bytes32", keccak(b"Deposit"), token, account, salt
    )
    assert tip_nonce(token, advisor, session_id, memo, salt) == hashed(
        "bytes32 address address bytes32 bytes32 bytes32",
        keccak(b"Tip"),
        token,
        advisor,
        session_id,
        memo,
        salt,
    )
