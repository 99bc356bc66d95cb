"""Sessions lived on a local chain: opened, settled, left, closed, tipped and rated, by real calls.

A `Stage` has the contracts on a fresh chain and speaks for all parties; every step happens at a
moment of the stage's own clock. `live_a_day` plays sessions of every kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from honorarium.artifacts import ContractName, artifact
from honorarium.chain import calls
from honorarium.chain.calls import Authorization, ClosingRow, OpeningRow, Settlement
from honorarium.chain.deploy import Manifest
from honorarium.chain.local import LocalChain
from honorarium.chain.node import Node, to_hex
from honorarium.chain.receipts import TxReceipt
from honorarium.chain.send import Sender
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash, SessionId
from honorarium.protocol.keys import Key
from honorarium.protocol.messages import (
    Answer,
    Closing,
    Leaving,
    Message,
    Opening,
    Rating,
    ReceiveWithAuthorization,
    Voucher,
    opening_nonce,
)
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.tariff import Tariff
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

GAS = 10_000_000
MORNING = UnixTime(1_800_000_000)
Note = Callable[[str, Terms], Terms]
PARTIES = ("operator", "advisor", "client", "sponsor", "platform")

PER_MINUTE = Tariff(BaseUnits(500_000), BaseUnits(1_000_003), Seconds(60), 1, 10, BaseUnits(7), 30)
PER_SECOND = Tariff(BaseUnits(0), BaseUnits(16_667), Seconds(1), 0, 0, BaseUnits(0), 3600)
PER_ANSWER = Tariff(BaseUnits(0), BaseUnits(2_500_000), Seconds(0), 0, 0, BaseUnits(0), 4)

# Contracts of a few bytes: one that accepts every signature (ERC-1271), and one that calls on.
ACCEPTS_ALL = bytes.fromhex("631626ba7e60e01b5f5260205ff3")


REFUSES_ALL = bytes.fromhex("5f5ffd")


def calls_on(to: Address) -> bytes:
    return bytes.fromhex("365f5f375f5f365f5f73") + to + bytes.fromhex("5af15000")


@dataclass
class Stage:
    """One chain, the contracts on it, and everybody's keys."""

    chain: LocalChain
    node: Node
    now: UnixTime = MORNING
    contracts: Manifest | None = None  # None: the stage deploys them itself
    escrow: Address = ZERO_ADDRESS
    tip_jar: Address = ZERO_ADDRESS
    token: Address = ZERO_ADDRESS
    meter: Key = field(default_factory=Key.generate)
    salt: int = 0
    _senders: dict[str, Sender] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = max(self.now, self.node.block().timestamp)
        self.escrow = self._deploy("SessionEscrow")
        self.tip_jar = self._deploy("TipJar")
        self.token = self._deploy("TestUSD")
        for name in PARTIES:
            self.send("operator", self.token, calls.mint(self.address(name), 10**12))
            self.send(name, self.token, calls.approve(self.escrow, 2**256 - 1))
            self.send(name, self.token, calls.approve(self.tip_jar, 2**256 - 1))

    @property
    def domain(self) -> Domain:
        return Domain(self.node.chain_id, self.escrow)

    def key(self, name: str) -> Key:
        return self.chain.accounts[name]

    def address(self, name: str) -> Address:
        return self.key(name).address

    def send(self, who: str, to: Address | None, data: bytes, value: int = 0) -> TxReceipt:
        """A transaction in a block of its own, a second after the last one at least."""
        self.now = UnixTime(self.now + 1)
        self.node.set_time(self.now)
        sender = self._senders.setdefault(who, Sender(self.node, self.key(who)))
        return sender.transact(to, data, value, GAS)

    def wait(self, seconds: int) -> None:
        self.now = UnixTime(self.now + seconds)

    def _deploy(self, name: ContractName) -> Address:
        if self.contracts is not None:
            return self.contracts.address(name)
        receipt = self.send("operator", None, artifact(name).bytecode)
        assert receipt.contract is not None
        return receipt.contract

    # ------------------------------------------------------------------ papers

    def terms(
        self,
        tariff: Tariff = PER_MINUTE,
        *,
        payer: str = "client",
        advisor: Address | None = None,
        token: Address | None = None,
        bps: int = 1250,
        grace: int = 600,
    ) -> Terms:
        self.salt += 1
        return Terms(
            client=self.address("client"),
            payer=self.address(payer),
            advisor=advisor or self.address("advisor"),
            meter_key=self.meter.address,
            token=self.token if token is None else token,
            tariff=tariff,
            fee_bps=Bps(bps),
            fee_recipient=self.address("platform") if bps else ZERO_ADDRESS,
            open_before=UnixTime(self.now + 86_400),
            close_grace=Seconds(grace),
            context=ZERO_HASH,
            salt=self.salt,
        )

    def id_of(self, terms: Terms) -> SessionId:
        return terms.session_id(self.domain)

    def quote(self, terms: Terms, who: str = "advisor") -> bytes:
        return self.key(who).sign(self.id_of(terms)).to_bytes()

    def signed(self, who: str, message: Message) -> bytes:
        return self.key(who).sign(message.digest(self.domain)).to_bytes()

    def voucher(self, terms: Terms, units: int) -> SignedVoucher:
        reading = Voucher(self.id_of(terms), units, Hash(bytes([units % 256]) * 32))
        return SignedVoucher.sign(reading, self.meter, self.domain)

    def authorization(self, terms: Terms, deposit: int, payer: str) -> Authorization:
        """The payer's EIP-3009 signature that opens a session of these terms."""
        valid_before = UnixTime(self.now + 86_400)
        message = ReceiveWithAuthorization(
            self.address(payer),
            self.escrow,
            BaseUnits(deposit),
            UnixTime(0),
            valid_before,
            opening_nonce(self.id_of(terms)),
        )
        token = Domain(self.node.chain_id, self.token, name="Test USD")
        signature = self.key(payer).sign(message.digest(token)).to_bytes()
        return Authorization(UnixTime(0), valid_before, signature)

    def row(self, terms: Terms, deposit: int, payer: str = "client") -> OpeningRow:
        return OpeningRow(
            terms,
            BaseUnits(deposit),
            self.quote(terms),
            b"" if payer == "client" else self.quote(terms, "client"),
            self.signed(payer, Opening(terms, BaseUnits(deposit))),
        )

    # ------------------------------------------------------------------ steps

    def open(self, terms: Terms, deposit: int) -> SessionId:
        """From the client's own wallet."""
        value = deposit if terms.token == ZERO_ADDRESS else 0
        data = calls.open(terms, deposit, self.quote(terms))
        self.send("client", self.escrow, data, value)
        return self.id_of(terms)

    def settle(self, terms: Terms, units: int) -> None:
        self.send("operator", self.escrow, calls.settle(terms, self.voucher(terms, units)))

    def close(self, terms: Terms, units: int = 0) -> None:
        voucher = self.voucher(terms, units) if units else None
        self.send("advisor", self.escrow, calls.close(terms, voucher))

    def closing(self, terms: Terms, units: int = 0) -> ClosingRow:
        deadline = UnixTime(self.now + 86_400)
        voucher = self.voucher(terms, units) if units else None
        journal = voucher.journal if voucher else ZERO_HASH
        signature = self.signed("advisor", Closing(self.id_of(terms), units, journal, deadline))
        return ClosingRow(terms, voucher, deadline, signature)

    def leave(self, terms: Terms) -> None:
        self.send("client", self.escrow, calls.request_close(terms, self.address("client")))

    def rate(self, terms: Terms, score: int, *, relayed: bool = False) -> None:
        comment = Hash(b"c" * 32)
        rating = Rating(self.id_of(terms), score, comment)
        signature = self.signed("client", rating) if relayed else b""
        who = "operator" if relayed else "client"
        self.send(who, self.escrow, calls.rate(terms, score, comment, signature))


@dataclass
class Day:
    """The sessions of `live_a_day`, by what became of them."""

    ids: dict[str, SessionId]
    terms: dict[str, Terms]


def live_a_day(stage: Stage) -> Day:
    """A session of every kind; see the names in the result."""
    day = Day({}, {})

    def note(name: str, terms: Terms) -> Terms:
        day.ids[name], day.terms[name] = stage.id_of(terms), terms
        return terms

    _closed_ones(stage, note)
    _left_ones(stage, note)
    _running_ones(stage, note)
    _contracts(stage, note)
    stage.send("advisor", stage.escrow, calls.withdraw(stage.token, 2_000_000, stage.meter.address))
    # Somebody sends the escrow tokens for nothing: a surplus.
    stage.send("sponsor", stage.token, calls.transfer(stage.escrow, 77))
    return day


def _closed_ones(stage: Stage, note: Note) -> None:
    rated = note("rated", stage.terms())
    stage.open(rated, 20_000_000)
    stage.wait(130)
    stage.settle(rated, 2)
    stage.wait(200)
    stage.settle(rated, 4)
    stage.wait(300)
    stage.close(rated, 9)
    stage.rate(rated, 5)
    answer = Answer(stage.id_of(rated), Hash(b"a" * 32))
    data = calls.answer(rated, answer.answer_hash, stage.signed("advisor", answer))
    stage.send("operator", stage.escrow, data)
    advisor, usd = stage.address("advisor"), stage.token
    tip = calls.tip(advisor, stage.id_of(rated), usd, 2_000_000, ZERO_HASH)
    stage.send("client", stage.tip_jar, tip)

    sponsored = note("sponsored", stage.terms(PER_SECOND, payer="sponsor"))
    paid = stage.authorization(sponsored, 3_000_000, "sponsor")
    data = calls.open_with_authorization(
        sponsored,
        3_000_000,
        paid.valid_after,
        paid.valid_before,
        paid.signature,
        stage.quote(sponsored),
        stage.quote(sponsored, "client"),
    )
    stage.send("operator", stage.escrow, data)
    stage.wait(90)
    stage.send("operator", stage.escrow, calls.close_for(stage.closing(sponsored, 88)))
    stage.rate(sponsored, 2, relayed=True)

    client = stage.address("client")
    stage.send("client", stage.escrow, calls.deposit(usd, client, 50_000_000))
    first = note("batch 1", stage.terms())
    second = note("batch 2", stage.terms(PER_ANSWER, bps=0))
    poor = stage.terms()
    rows = [stage.row(first, 9_000_000), stage.row(poor, 1), stage.row(second, 10_000_000)]
    stage.send("operator", stage.escrow, calls.open_batch(rows))
    stage.wait(100)
    settlements = [Settlement(t, stage.voucher(t, 2)) for t in (first, second)]
    stage.send("operator", stage.escrow, calls.settle_batch(settlements))
    stage.wait(100)
    closings = [stage.closing(first, 3), stage.closing(second)]
    stage.send("operator", stage.escrow, calls.close_batch(closings))

    coin = note("coin", stage.terms(token=ZERO_ADDRESS))
    stage.open(coin, 8_000_000)
    stage.wait(100)
    stage.close(coin, 2)


def _left_ones(stage: Stage, note: Note) -> None:
    left = note("left", stage.terms())
    stage.open(left, 5_000_000)
    stage.wait(30)
    leaving = stage.signed("client", Leaving(stage.id_of(left)))
    data = calls.request_close(left, stage.address("client"), leaving)
    stage.send("operator", stage.escrow, data)
    stage.wait(600)
    stage.send("operator", stage.escrow, calls.finalize(left))

    early = note("closed early", stage.terms())
    stage.open(early, 5_000_000)
    stage.wait(30)
    stage.leave(early)
    stage.close(early)

    settled = note("settled in grace", stage.terms())
    stage.open(settled, 5_000_000)
    stage.wait(200)
    stage.leave(settled)
    stage.wait(100)
    stage.settle(settled, 4)
    stage.wait(600)
    stage.send("operator", stage.escrow, calls.finalize(settled))


def _running_ones(stage: Stage, note: Note) -> None:
    running = note("running", stage.terms())
    stage.open(running, 5_000_000)
    stage.wait(70)
    stage.settle(running, 2)
    stage.send("client", stage.escrow, calls.top_up(running, 7_000_000))
    leaving = note("leaving", stage.terms())
    stage.open(leaving, 5_000_000)
    stage.leave(leaving)
    revoked = note("revoked", stage.terms())
    data = calls.revoke(revoked, stage.address("advisor"))
    stage.send("advisor", stage.escrow, data)


def _contracts(stage: Stage, note: Note) -> None:
    """An advisor that is a contract, and a call that comes out of one. Only on Anvil."""
    if stage.chain.engine != "anvil":
        return
    wallet, forwarder = Address(b"\x71" * 20), Address(b"\x72" * 20)
    stage.node.request("anvil_setCode", [to_hex(wallet), to_hex(ACCEPTS_ALL)])
    stage.node.request("anvil_setCode", [to_hex(forwarder), to_hex(calls_on(stage.escrow))])
    signed = note("signed by a contract", stage.terms(advisor=wallet))
    data = calls.open(signed, 5_000_000, b"\x01")
    stage.send("client", stage.escrow, data)
    forwarded = note("through a contract", stage.terms())
    stage.send("operator", forwarder, calls.open_from_balance(stage.row(forwarded, 5_000_000)))

    # Refunds that the wallet, or the token, does not take at that moment.
    for name, token, refuser in (
        ("coin refused", ZERO_ADDRESS, stage.address("client")),
        ("token refused", stage.token, stage.token),
    ):
        refused = note(name, stage.terms(token=token))
        stage.open(refused, 5_000_000)
        code = stage.node.code(refuser)
        stage.node.request("anvil_setCode", [to_hex(refuser), to_hex(REFUSES_ALL)])
        stage.close(refused)
        stage.node.request("anvil_setCode", [to_hex(refuser), to_hex(code)])
