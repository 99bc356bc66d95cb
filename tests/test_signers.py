"""Who signs: keys, key files, wallets, contracts; and keys stay where they are."""

from __future__ import annotations

import base64
import json
import logging
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from conftest import Place
from honorarium.advisor import Advisor, Earned
from honorarium.chain import (
    Contracts,
    KeystoreExists,
    KeyUnusable,
    Node,
    Sender,
    Status,
    calls,
    read_keystore,
    write_keystore,
)
from honorarium.client import Client
from honorarium.errors import BadSignature, HonorariumError, WrongSignature
from honorarium.ids import Address
from honorarium.protocol import Key, Tariff, TransactionFields
from honorarium.units import UnixTime
from lives import ACCEPTS_ALL

PRICE = 1_500_000
TARIFF = Tariff.per_minute(PRICE, max_units=10)


class OwnWallet:
    """A wallet as another library makes it; it is no Key and gives none away."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address = Address(bytes.fromhex(account.address[2:]))

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        message = encode_typed_data(full_message=typed_data)
        return bytes(self._account.sign_message(message).signature)

    def sign_transaction(self, fields: TransactionFields) -> bytes:
        return bytes(self._account.sign_transaction(fields).raw_transaction)


@dataclass
class People:
    """Accounts with money, and a connection."""

    contracts: Contracts
    bank: Sender

    def wallet(self) -> OwnWallet:
        wallet = OwnWallet(Account.create())
        self.give(wallet.address)
        return wallet

    def give(self, account: Address) -> None:
        self.bank.transact(account, b"", 10**20)
        self.bank.transact(self.contracts.default_token(), calls.mint(account, 10**10))

    def wait(self, seconds: int) -> UnixTime:
        later = UnixTime(self.contracts.now() + seconds)
        self.contracts.node.set_time(later)
        self.contracts.node.request("evm_mine")
        return later

    def whole_session(self, client: Client, advisor: Advisor) -> Earned:
        """Opened by permit, topped up by authorization, left, closed, rated, answered, paid out."""
        quote = advisor.quote(client.address, client.meter_key.address, TARIFF)
        session = client.open(quote, 2 * PRICE, pay="permit")
        session.meter.answer(session.opened_at)
        client.top_up(session, 3 * PRICE, pay="authorization")
        client.tip(session, 5, pay="authorization")
        reading = session.meter.read(self.wait(70))
        advisor.relay(client.sign_leaving(session))
        closing = advisor.sign_closing(session, reading)
        (earned,) = client_as_sender(self, client).close_all([closing])
        assert isinstance(earned, Earned)
        advisor.relay(client.sign_rating(session, 5))
        advisor.answer(session, quote.terms.context)
        assert advisor.withdraw() == earned.earned
        return earned


def client_as_sender(people: People, client: Client) -> Advisor:
    """The client's account, sending for the advisor."""
    return Advisor(people.contracts, client.core.signer)


@pytest.fixture
def people(place: Place, tmp_path: Path) -> Iterator[People]:
    with Node(place.chain.url) as node:
        contracts = Contracts.attach(node, place.manifest, tmp_path)
        yield People(contracts, Sender(node, place.key("payer")))
        contracts.close()


# ---------------------------------------------------------------------- keys and wallets


def test_wallets_of_another_library_live_a_whole_session(people: People) -> None:
    client = Client(people.contracts, people.wallet())
    advisor = Advisor(people.contracts, people.wallet())
    assert people.whole_session(client, advisor).units == 2


def test_a_key_of_another_library_is_a_key(people: People) -> None:
    account: LocalAccount = Account.create()
    key = Key.from_bytes(bytes(account.key))
    assert "0x" + key.address.hex() == account.address.lower()
    people.give(key.address)
    client = Client(people.contracts, key)
    assert people.whole_session(client, Advisor(people.contracts, people.wallet())).units == 2


def test_wallet_and_key_sign_the_same(people: People) -> None:
    account: LocalAccount = Account.create()
    wallet, key = OwnWallet(account), Key.from_bytes(bytes(account.key))
    quote = Advisor(people.contracts, key).quote(
        people.bank.address, Key.generate().address, TARIFF
    )
    client = Client(people.contracts, wallet)
    again = Client(people.contracts, key)
    assert client.sign_revocation(quote) == again.sign_revocation(quote)
    assert client.sign_rating(quote, 3) == again.sign_rating(quote, 3)
    assert client.sign_leaving(quote) == again.sign_leaving(quote)


def test_a_contract_is_an_advisor_whose_owner_signs(people: People) -> None:
    deployed = people.bank.transact(None, _creates(ACCEPTS_ALL))
    assert deployed.contract is not None

    class ContractWallet(OwnWallet):
        is_contract = True

    wallet = ContractWallet(Account.create())
    wallet.address = deployed.contract
    advisor, client = Advisor(people.contracts, wallet), Client(people.contracts, people.wallet())
    quote = advisor.quote(client.address, client.meter_key.address, TARIFF)
    session = client.open(quote)
    session.meter.answer(session.opened_at)
    row = advisor.sign_closing(session, session.meter.read(people.wait(50)))
    (earned,) = client_as_sender(people, client).close_all([row])
    assert isinstance(earned, Earned)
    client.rate(session, 5)
    client.relay(advisor.sign_answer(session, quote.terms.context))
    client.relay(advisor.sign_withdrawal())
    assert people.contracts.session(session.id).status is Status.CLOSED
    assert advisor.wallet() == earned.earned
    other = advisor.quote(client.address, client.meter_key.address, TARIFF)
    with pytest.raises(WrongSignature, match="transaction"):  # a contract sends nothing by itself
        advisor.revoke(other)


def _creates(code: bytes) -> bytes:
    return bytes.fromhex(f"60{len(code):02x}80600a5f395ff3").ljust(10, b"\0") + code


# ---------------------------------------------------------------------- wallets that lie


class Liar(OwnWallet):
    """Signs what it likes."""

    typed: Callable[[dict[str, Any]], Any] | None = None
    sent: Callable[[TransactionFields], Any] | None = None

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        found = typed_data if self.typed is None else self.typed(typed_data)
        return super().sign_typed_data(found) if isinstance(found, dict) else found

    def sign_transaction(self, fields: TransactionFields) -> bytes:
        found = fields if self.sent is None else self.sent(fields)
        return super().sign_transaction(found) if isinstance(found, dict) else found


def _with_message(typed: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {**typed, "message": {**typed["message"], **changed}}


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (lambda typed: _with_message(typed, score=1), WrongSignature),
        (lambda typed: {**typed, "domain": {**typed["domain"], "chainId": 1}}, WrongSignature),
        (lambda typed: OwnWallet(Account.create()).sign_typed_data(typed), WrongSignature),
        (lambda typed: b"\x05" * 65, BadSignature),
        (lambda typed: b"", BadSignature),
        (lambda typed: "0x" + "11" * 65, BadSignature),
        (lambda typed: None, BadSignature),
    ],
    ids=["other words", "other chain", "other key", "no signature", "nothing", "text", "None"],
)
def test_a_wallet_that_signs_something_else_is_refused(
    people: People, lie: Any, error: type[HonorariumError]
) -> None:
    wallet = Liar(Account.create())
    quote = Advisor(people.contracts, Key.generate()).quote(
        wallet.address, Key.generate().address, TARIFF
    )
    wallet.typed = lie
    with pytest.raises(error):
        Client(people.contracts, wallet).sign_rating(quote, 5)


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (lambda fields: {**fields, "to": b"\x66" * 20}, WrongSignature),
        (lambda fields: {**fields, "value": fields["value"] + 1}, WrongSignature),
        (lambda fields: {**fields, "nonce": fields["nonce"] + 1}, WrongSignature),
        (lambda fields: {**fields, "data": b"\x01"}, WrongSignature),
        (lambda fields: {**fields, "chainId": 5}, WrongSignature),
        (lambda fields: {**fields, "gas": fields["gas"] + 1}, WrongSignature),
        (lambda fields: OwnWallet(Account.create()).sign_transaction(fields), WrongSignature),
        (lambda fields: b"\x02\xc0", BadSignature),
        (lambda fields: b"", BadSignature),
        (lambda fields: b"\xc1\x80", BadSignature),
        (lambda fields: "0x02", BadSignature),
        (lambda fields: None, BadSignature),
    ],
    ids=[
        "to",
        "value",
        "nonce",
        "data",
        "chain",
        "gas",
        "key",
        "cut",
        "empty",
        "rlp",
        "text",
        "None",
    ],
)
def test_a_wallet_that_signs_another_transaction_is_refused_and_nothing_is_sent(
    people: People, lie: Any, error: type[HonorariumError]
) -> None:
    wallet = Liar(Account.create())
    people.bank.transact(wallet.address, b"", 10**20)
    sender = people.contracts.sender(wallet)
    wallet.sent = lie
    with pytest.raises(error):
        sender.transact(people.bank.address, b"", 5, idempotency_key="k")
    assert people.contracts.node.transaction_count(wallet.address, "pending") == 0
    assert sender.outbox.of_purpose("k") is None
    wallet.sent = None
    assert sender.transact(people.bank.address, b"", 5, idempotency_key="k").ok


def test_a_wallet_may_sign_legacy_transactions_too(people: People) -> None:
    from honorarium.chain import Fees

    wallet = people.wallet()
    sender = people.contracts.sender(wallet, fees=Fees(legacy=True))
    assert sender.transact(people.bank.address, b"\x01", 5, 60_000).ok


# ---------------------------------------------------------------------- key files


def test_a_key_file_of_another_library_is_read(tmp_path: Path) -> None:
    account: LocalAccount = Account.create()
    path = tmp_path / "key.json"
    made = Account.encrypt(account.key, "secret words", kdf="pbkdf2", iterations=2)
    path.write_text(json.dumps(made))
    assert read_keystore(path, "secret words").secret() == bytes(account.key)
    with pytest.raises(KeyUnusable, match="password") as wrong:
        read_keystore(path, "other words")
    assert bytes(account.key).hex() not in str(wrong.value)
    assert "other words" not in str(wrong.value)


def test_a_key_file_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    key, path = Key.generate(), tmp_path / "folder" / "key.json"
    write_keystore(path, key, "secret words")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert bytes(Account.decrypt(json.loads(text), "secret words")) == key.secret()
    assert key.secret().hex() not in text
    with pytest.raises(KeystoreExists):
        write_keystore(path, Key.generate(), "secret words")
    assert path.read_text() == text


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "5", '"x"', '{"version": 3}', '{"version": 9, "crypto": {}}']
)
def test_what_is_no_key_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(KeyUnusable):
        read_keystore(path, "x")
    with pytest.raises(KeyUnusable):
        read_keystore(tmp_path / "nowhere.json", "x")


def test_a_key_file_that_cannot_be_finished_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(KeyUnusable, match="No space"):
        write_keystore(tmp_path / "key.json", Key.generate(), "x")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- keys stay where they are


@contextmanager
def listening(url: str) -> Iterator[tuple[str, list[bytes]]]:
    """A way to the node on which everything that the program sends is kept."""
    host, port = url.removeprefix("http://").split(":")
    heard: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket, keep: bool) -> None:
        try:
            while data := source.recv(65536):
                if keep:
                    heard.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve(server: socket.socket) -> None:
        while True:
            try:
                here, _ = server.accept()
            except OSError:
                return
            there = socket.create_connection((host, int(port)))
            for pair in ((here, there, True), (there, here, False)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard


def forms_of(key: Key) -> list[bytes]:
    secret = key.secret()
    number = str(int.from_bytes(secret, "big"))
    texts = [secret.hex(), secret.hex().upper(), number, hex(int(number))[2:]]
    return [secret, base64.b64encode(secret), *(text.encode() for text in texts)]


def test_no_key_is_sent_logged_shown_or_raised(
    place: Place, people: People, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [Key.generate() for _ in range(3)]
    for key in keys[:2]:
        people.give(key.address)
    said: list[str] = []
    with (
        caplog.at_level(logging.DEBUG),
        listening(place.chain.url) as (url, heard),
        Node(url) as node,
    ):
        contracts = Contracts.attach(node, place.manifest, tmp_path / "own")
        client = Client(contracts, keys[0], keys[2])
        advisor = Advisor(contracts, keys[1])
        replace(people, contracts=contracts).whole_session(client, advisor)
        for fails in (
            lambda: client.withdraw(amount=10**12),
            lambda: client.deposit(10**30),
            lambda: keys[0].sign(b"short"),
        ):
            try:
                fails()
            except Exception as error:
                said.append(repr(error) + str(error) + repr(error.__context__))
        said += [repr(each) for each in (*keys, client, advisor, client.core.sender)]
        said += [str(each) for each in keys]
        said += [repr(vars(client.core)), repr(vars(advisor.core))]
        contracts.close()
    assert len(said) >= 8
    everything = b"".join(heard)
    assert b"eth_sendRawTransaction" in everything
    logged = caplog.text.encode() + "".join(said).encode()
    stored = b"".join(p.read_bytes() for p in (tmp_path / "own").rglob("*") if p.is_file())
    assert stored
    for key in keys:
        for form in forms_of(key):
            assert form not in everything
            assert form not in logged
            assert form not in stored
