"""Keys and signatures: the same as eth-account's, and only those that count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from honorarium.errors import BadSignature
from honorarium.ids import ZERO_ADDRESS
from honorarium.protocol.keys import HALF_ORDER, Key, KnownKeys, Signature, recover
from protocol_values import hashes

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

secrets = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))


@given(secrets, hashes)
def test_key_and_signature_are_eth_accounts(secret: bytes, digest: bytes) -> None:
    key, account = Key.from_bytes(secret), Account.from_key(secret)
    theirs = account.unsafe_sign_hash(digest)

    assert "0x" + key.address.hex() == account.address.lower()
    assert key.sign(digest).to_bytes() == bytes(theirs.signature)
    assert recover(digest, key.sign(digest)) == key.address
    assert key.secret() == secret


@given(secrets, hashes)
def test_both_forms_of_a_signature_are_read(secret: bytes, digest: bytes) -> None:
    signature = Key.from_bytes(secret).sign(digest)
    long, short = signature.to_bytes(), b"".join(signature.compact())

    assert (len(long), len(short)) == (65, 64)
    assert long[64] in (27, 28)
    for form in (long, short, long[:64] + bytes((long[64] - 27,))):
        assert Signature.from_bytes(form) == signature


@given(secrets, hashes, st.sampled_from((0, 1, 27, 28, 29)), st.integers(63, 66))
def test_a_signature_read_and_recovered_at_once_says_the_same(
    secret: bytes, digest: bytes, last: int, length: int
) -> None:
    signature = Key.from_bytes(secret).sign(digest)
    high = (ORDER - int.from_bytes(signature.s, "big")).to_bytes(32, "big")
    long = signature.to_bytes()[:64] + bytes((last,))

    for form in (long, signature.packed(), signature.r + high + long[64:], long.ljust(66)[:length]):
        assert _told(_at_once, digest, form) == _told(_read_and_recovered, digest, form)
    assert _at_once(digest, signature.to_bytes()) == recover(digest, signature)


def _at_once(digest: bytes, form: bytes) -> bytes:
    return KnownKeys().signer(digest, form, ZERO_ADDRESS)


def _read_and_recovered(digest: bytes, form: bytes) -> bytes:
    return recover(digest, Signature.from_bytes(form))


def _told(ask: Callable[[bytes, bytes], bytes], digest: bytes, form: bytes) -> bytes | str:
    try:
        return ask(digest, form)
    except BadSignature as error:
        return str(error)


@pytest.mark.parametrize(
    ("r", "s", "parity", "digest"),
    [
        (b"\1" * 32, b"\1" * 32, 4, bytes(32)),
        (b"\1" * 31, b"\1" * 32, 0, bytes(32)),
        (b"\1" * 32, b"\1" * 32, 0, bytes(31)),
        (bytes(32), bytes(32), 0, bytes(32)),
        (b"\xff" * 32, b"\1" * 32, 0, bytes(32)),
    ],
)
def test_what_the_curve_library_must_not_be_asked_is_refused(
    r: bytes, s: bytes, parity: int, digest: bytes
) -> None:
    with pytest.raises(BadSignature, match="no key gives it"):
        recover(digest, Signature(r, s, parity))


@given(secrets, hashes)
def test_the_mirror_image_of_a_signature_is_refused_in_both_forms(
    secret: bytes, digest: bytes
) -> None:
    signature = Key.from_bytes(secret).sign(digest)
    high = (ORDER - int.from_bytes(signature.s, "big")).to_bytes(32, "big")
    mirror = signature.r + high + bytes((28 - signature.y_parity,))

    with pytest.raises(BadSignature, match="above half"):
        Signature.from_bytes(mirror)
    if high[0] < 0x80:
        with pytest.raises(BadSignature, match="above half"):
            Signature.from_bytes(signature.r + high)


def test_the_largest_s_that_counts_is_half_the_order() -> None:
    assert HALF_ORDER == ORDER // 2
    edge = bytes(31) + b"\1" + HALF_ORDER.to_bytes(32, "big") + b"\x1b"
    beyond = bytes(31) + b"\1" + (HALF_ORDER + 1).to_bytes(32, "big") + b"\x1b"
    assert Signature.from_bytes(edge).s == HALF_ORDER.to_bytes(32, "big")
    with pytest.raises(BadSignature, match="above half"):
        Signature.from_bytes(beyond)


@pytest.mark.parametrize(
    "data", [b"", bytes(63), bytes(66), bytes(64) + b"\2", bytes(64) + b"\x1d"]
)
def test_other_bytes_are_no_signature(data: bytes) -> None:
    with pytest.raises(BadSignature, match="neither 65 bytes"):
        Signature.from_bytes(data)


@given(hashes)
def test_a_signature_of_zeros_is_nobodys(digest: bytes) -> None:
    with pytest.raises(BadSignature, match="no key gives it"):
        recover(digest, Signature(bytes(32), bytes(32), 0))


@given(secrets, hashes, hashes)
def test_a_signature_of_another_digest_is_somebody_elses(
    secret: bytes, digest: bytes, other: bytes
) -> None:
    key = Key.from_bytes(secret)
    found = recover(other, key.sign(digest))
    assert (found == key.address) == (digest == other)


@pytest.mark.parametrize("secret", [bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32])
def test_a_secret_outside_the_curve_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Key.from_bytes(secret)


def test_a_key_is_not_printed() -> None:
    key = Key.generate()
    assert key.secret().hex() not in repr(key)
    assert Key.generate().address != key.address


def test_a_known_key_is_told_as_an_unknown_one_is() -> None:
    keys, party, other = KnownKeys(room=1), Key.generate(), Key.generate()
    one, two = b"\1" * 32, b"\2" * 32
    for form in (Signature.to_bytes, Signature.packed):
        for _ in range(2):  # the second time the key is known
            assert keys.signer(one, form(party.sign(one)), party.address) == party.address
            assert keys.signer(two, form(party.sign(two)), party.address) == party.address
            assert keys.signer(one, form(other.sign(one)), party.address) == other.address
            assert keys.signer(two, form(party.sign(one)), party.address) != party.address
        assert keys.signer(one, form(other.sign(one)), other.address) == other.address


def test_the_parity_is_not_held_against_a_party_whose_key_is_known_or_not() -> None:
    keys, party, digest = KnownKeys(), Key.generate(), b"\1" * 32
    signed = party.sign(digest)
    turned = Signature(signed.r, signed.s, 1 - signed.y_parity)
    for _ in range(2):
        assert keys.signer(digest, turned.to_bytes(), party.address) == party.address
    stranger = Key.generate().address
    assert keys.signer(digest, turned.to_bytes(), stranger) == recover(digest, turned)


@pytest.mark.parametrize("v", [2, 26, 29, 255])
def test_what_is_no_signature_is_refused_of_a_known_key_too(v: int) -> None:
    keys, party, digest = KnownKeys(), Key.generate(), b"\1" * 32
    signed = party.sign(digest)
    keys.signer(digest, signed.to_bytes(), party.address)
    high = Signature(signed.r, (ORDER - int.from_bytes(signed.s, "big")).to_bytes(32, "big"), 0)
    bad = (signed.r + signed.s + bytes((v,)), high.to_bytes(), signed.to_bytes()[:-2], b"")
    for each in bad:
        with pytest.raises(BadSignature):
            keys.signer(digest, each, party.address)
