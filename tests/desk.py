"""Calls with as many faults as somebody wants, and which of them the contracts tell.

A `Desk` has sessions at each point of a life. Its methods make one call each, with the faults that
they are told; without any the call works.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from honorarium.chain import calls
from honorarium.chain.abi import encode_call
from honorarium.chain.node import to_hex
from honorarium.errors import ContractError
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash
from honorarium.protocol.messages import (
    Answer,
    Closing,
    Leaving,
    Opening,
    Rating,
    ReceiveWithAuthorization,
    Revocation,
    TopUp,
    Voucher,
    Withdrawal,
    deposit_nonce,
    opening_nonce,
    tip_nonce,
    top_up_nonce,
)
from honorarium.protocol.signed import SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime
from lives import PER_SECOND, Stage

DEPOSIT = 3_000_000
MORE = DEPOSIT + 1
NOBODY = Address(b"\x99" * 20)  # a stranger: no key, no code, no part in anything
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0

Faults = frozenset[str]


@dataclass(frozen=True)
class Call:
    """A call that is asked and not sent. `who` sends it."""

    who: Address
    data: bytes
    value: int = 0
    to_jar: bool = False


class Desk(Stage):
    """Makes each call with the faults that it is told. The sponsor pays; strangers send."""

    def prepare(self) -> None:
        """Sessions at each point of a life."""
        usd, sponsor = self.token, self.address("sponsor")
        self.send("sponsor", self.escrow, calls.deposit(usd, sponsor, 2 * DEPOSIT))
        self.send("sponsor", NOBODY, b"", value=100)
        self.old, self.over = self._opened(), self._opened()
        self.close(self.old, 1)
        self.leave(self.over)
        self.wait(30 * 86_400)  # the rating window, and more than the grace period
        self.none, self.used = self._plan(), self._plan()
        self.send("advisor", self.escrow, calls.revoke(self.used, self.used.advisor))
        names = ("running", "settled", "left", "idle", "rated", "answered", "closed")
        ready = {name: self._opened() for name in names}
        self.running, self.settled, self.left = ready["running"], ready["settled"], ready["left"]
        self.idle, self.closed = ready["idle"], ready["closed"]
        self.rated, self.answered = ready["rated"], ready["answered"]
        self.settle(self.settled, 2)
        self.leave(self.left)
        self.close(self.idle)
        for each in (self.rated, self.answered, self.closed):
            self.close(each, 1)
        self.rate(self.rated, 4)
        self.rate(self.answered, 4)
        answered = calls.answer(self.answered, ZERO_HASH)
        self.send("advisor", self.escrow, answered)

    def first_fault(self, call: Call) -> str | None:
        """The name of the error that the contract answers with; None if it works."""
        to = self.tip_jar if call.to_jar else self.escrow
        asked = {"from": to_hex(call.who), "to": to_hex(to), "data": to_hex(call.data)}
        try:
            self.node.request("eth_call", [asked | {"value": hex(call.value)}, "latest"])
        except ContractError as refused:
            return type(refused).__name__
        return None

    def _plan(self) -> Terms:
        return self.terms(PER_SECOND, payer="sponsor")

    def _opened(self) -> Terms:
        terms = self._plan()
        data = calls.open(terms, DEPOSIT, self.quote(terms), self.quote(terms, "client"))
        self.send("sponsor", self.escrow, data)
        return terms

    # ------------------------------------------------------------------ opening

    def _words(self, f: Faults) -> tuple[Terms, tuple[bytes, ...]]:
        """Terms with faults, and packed."""
        t = self.used if "used" in f else self.none
        tariff = replace(t.tariff)
        if "step price" in f:
            tariff = replace(tariff, step_price=BaseUnits(5))
        if "step" in f:
            tariff = replace(tariff, step_units=2, included_units=3)
        if "unit" in f:
            tariff = replace(tariff, unit_seconds=Seconds(86_401))
        if "nothing" in f:
            tariff = replace(tariff, unit_price=BaseUnits(0))
        if "cap" in f:
            tariff = replace(tariff, included_units=tariff.max_units)
        t = replace(
            t,
            tariff=tariff,
            client=self.escrow if "client" in f else t.client,
            payer=self.escrow if "payer" in f else t.payer,
            advisor=ZERO_ADDRESS if "advisor" in f else t.advisor,
            meter_key=ZERO_ADDRESS if "meter" in f else t.meter_key,
            token=self.escrow if "token" in f else t.token,
            fee_bps=Bps(10_001) if "share" in f else t.fee_bps,
            close_grace=Seconds(599) if "grace" in f else t.close_grace,
        )
        if "expired" in f:
            t = replace(t, open_before=self.now)
        if "far" in f:
            t = replace(t, open_before=UnixTime(self.now + 30 * 86_400 + 1))
        if "no recipient" in f:
            t = replace(t, fee_recipient=ZERO_ADDRESS)
        elif "recipient" in f:
            t = replace(t, fee_recipient=self.escrow)
        words = list(t.pack())
        if "bits" in f:
            words[1] = words[1][:31] + b"\1"
        if "form" in f:
            words[1] = t.client + words[1][20:]
            t = replace(t, payer=t.client)
        return t, tuple(words)

    def _papers(self, f: Faults, t: Terms) -> tuple[int, bytes, bytes]:
        deposit = t.smallest_deposit() - 1 if "deposit" in f else t.smallest_deposit()
        return (
            max(0, deposit),
            b"" if "quote" in f else self.quote(t),
            b"" if "consent" in f else self.quote(t, "client"),
        )

    def open_(self, f: Faults) -> Call:
        t, words = self._words(f)
        data = encode_call("SessionEscrow", "open", words, *self._papers(f, t))
        return Call(NOBODY if "caller" in f else t.payer, data, int("value" in f))

    def open_by_3009(self, f: Faults) -> Call:
        t, words = self._words(f)
        deposit, quote, consent = self._papers(f, t)
        paid = self._paid(f, self.escrow, deposit, opening_nonce(self.id_of(t)))
        values = (words, deposit, paid, quote, consent)
        return Call(NOBODY, encode_call("SessionEscrow", "openWithAuthorization", *values))

    def open_from_balance(self, f: Faults) -> Call:
        t, words = self._words(f)
        deposit, quote, consent = self._papers(f, t)
        deposit = 10**9 if "balance" in f and "deposit" not in f else deposit
        signature = b"" if "sign" in f else self.signed("sponsor", Opening(t, BaseUnits(deposit)))
        row = (words, deposit, quote, consent, signature)
        return Call(NOBODY, encode_call("SessionEscrow", "openFromBalance", row))

    def revoke(self, f: Faults) -> Call:
        t = self.running if "exists" in f else self.none
        by = t.client if "party" in f else t.advisor
        signature = b"" if "sign" in f else self.signed("advisor", Revocation(self.id_of(t)))
        return Call(NOBODY, calls.revoke(t, by, signature))

    def _paid(self, f: Faults, to: Address, amount: int, nonce: Hash) -> tuple[int, int, bytes]:
        until = UnixTime(self.now if "late" in f else self.now + 100)
        sponsor = self.address("sponsor")
        times = (UnixTime(0), until)
        message = ReceiveWithAuthorization(sponsor, to, BaseUnits(amount), *times, nonce)
        token = Domain(self.node.chain_id, self.token, name="Test USD")
        signature = self.key("sponsor").sign(message.digest(token)).packed()
        return (*times, b"" if "sign" in f else signature)

    # ------------------------------------------------------------------ while a session runs

    def _session(self, f: Faults) -> Terms:
        if "none" in f:
            return self.none
        return self.left if "left" in f else self.settled if "stale" in f else self.running

    def top_up(self, f: Faults) -> Call:
        t, deposit = self._session(f), DEPOSIT if "low" in f else MORE
        return Call(
            NOBODY if "caller" in f else t.payer, calls.top_up(t, deposit), int("value" in f)
        )

    def top_up_by_3009(self, f: Faults) -> Call:
        t, deposit = self._session(f), DEPOSIT if "low" in f else MORE
        nonce = top_up_nonce(self.id_of(t), BaseUnits(deposit))
        paid = self._paid(f, self.escrow, deposit - DEPOSIT, nonce)
        return Call(NOBODY, calls.top_up_with_authorization(t, deposit, *paid))

    def top_up_from_balance(self, f: Faults) -> Call:
        t, deposit = self._session(f), DEPOSIT if "low" in f else 10**9 if "balance" in f else MORE
        message = TopUp(self.id_of(t), BaseUnits(deposit))
        signature = b"" if "sign" in f else self.signed("sponsor", message)
        return Call(NOBODY, calls.top_up_from_balance(t, deposit, signature))

    def _reading(self, f: Faults, t: Terms) -> tuple[int, bytes, bytes, bytes]:
        units = 100_000 if "time" in f else 2
        key = self.key("operator") if "meter" in f else self.meter
        voucher = Voucher(self.id_of(t), units, ZERO_HASH)
        r, vs = SignedVoucher.sign(voucher, key, self.domain).signature.compact()
        high = (HALF_ORDER + 1).to_bytes(32, "big")
        return units, ZERO_HASH, r, high if "high s" in f else vs

    def settle_(self, f: Faults) -> Call:
        t = self._session(f)
        row = (t.pack(), self._reading(f, t))
        return Call(NOBODY, encode_call("SessionEscrow", "settle", row))

    # ------------------------------------------------------------------ ending

    def close_(self, f: Faults) -> Call:
        t = self._session(f)
        row = (t.pack(), self._reading(f, t))
        who = NOBODY if "caller" in f else t.advisor
        return Call(who, encode_call("SessionEscrow", "close", row))

    def close_for(self, f: Faults) -> Call:
        t = self._session(f)
        reading, deadline = self._reading(f, t), UnixTime(self.now - 1 if "late" in f else self.now)
        message = Closing(self.id_of(t), reading[0], ZERO_HASH, deadline)
        signature = b"" if "sign" in f else self.signed("advisor", message)
        row = (t.pack(), reading, deadline, signature)
        return Call(NOBODY, encode_call("SessionEscrow", "closeFor", row))

    def finalize(self, f: Faults) -> Call:
        t = self._session(f) if {"none", "left"} & f else self.over
        return Call(
            NOBODY, calls.finalize(self.running if "nobody" in f and "none" not in f else t)
        )

    def request_close(self, f: Faults) -> Call:
        t = self._session(f)
        by = t.advisor if "party" in f else t.client
        signature = b"" if "sign" in f else self.signed("client", Leaving(self.id_of(t)))
        return Call(NOBODY, calls.request_close(t, by, signature))

    # ------------------------------------------------------------------ ratings

    def rate_(self, f: Faults) -> Call:
        t = self.closed
        for fault in ("old", "rated", "idle", "running"):
            t = getattr(self, fault) if fault in f else t
        score = 6 if "score" in f else 5
        message = Rating(self.id_of(t), score, ZERO_HASH)
        signature = b"" if "sign" in f else self.signed("client", message)
        return Call(NOBODY, calls.rate(t, score, ZERO_HASH, signature))

    def answer(self, f: Faults) -> Call:
        t = self.closed if "closed" in f else self.answered if "answered" in f else self.rated
        signature = b"" if "sign" in f else self.signed("advisor", Answer(self.id_of(t), ZERO_HASH))
        return Call(NOBODY, calls.answer(t, ZERO_HASH, signature))

    # ------------------------------------------------------------------ ledger and tips

    def _amount(self, f: Faults) -> int:
        return 0 if "zero" in f else 10**9 if "balance" in f else 5

    def deposit(self, f: Faults) -> Call:
        token = NOBODY if "token" in f else self.token
        account = self.escrow if "account" in f else self.address("client")
        data = calls.deposit(token, account, self._amount(f))
        return Call(self.address("client"), data, int("value" in f))

    def deposit_by_3009(self, f: Faults) -> Call:
        sponsor, amount = self.address("sponsor"), self._amount(f)
        nonce = deposit_nonce(self.token, sponsor, ZERO_HASH)
        paid = self._paid(f, self.escrow, amount, nonce)
        values = (self.token, sponsor, amount, ZERO_HASH, *paid)
        return Call(NOBODY, calls.deposit_with_authorization(*values))

    def withdraw(self, f: Faults) -> Call:
        sponsor = self.address("sponsor")
        to = self.escrow if "to" in f else sponsor
        return Call(sponsor, calls.withdraw(self.token, self._amount(f), to))

    def withdraw_for(self, f: Faults) -> Call:
        sponsor, amount = self.address("sponsor"), self._amount(f)
        to = self.escrow if "to" in f else sponsor
        nonce, deadline = int("nonce" in f), UnixTime(self.now - 1 if "late" in f else self.now)
        message = Withdrawal(sponsor, self.token, BaseUnits(amount), to, nonce, deadline)
        signature = b"" if "sign" in f else self.signed("sponsor", message)
        values = (sponsor, self.token, amount, to, nonce, deadline, signature)
        return Call(sponsor, calls.withdraw_for(*values))

    def tip(self, f: Faults) -> Call:
        advisor = self.tip_jar if "advisor" in f else self.address("advisor")
        token = NOBODY if "token" in f else self.token
        data = calls.tip(advisor, self.id_of(self.closed), token, self._amount(f), ZERO_HASH)
        return Call(self.address("client"), data, int("value" in f), to_jar=True)

    def tip_by_3009(self, f: Faults) -> Call:
        sponsor, amount, session = self.address("sponsor"), self._amount(f), self.id_of(self.closed)
        advisor = self.tip_jar if "advisor" in f else self.address("advisor")
        nonce = tip_nonce(self.token, advisor, session, ZERO_HASH, ZERO_HASH)
        paid = self._paid(f, self.tip_jar, amount, nonce)
        values = (sponsor, advisor, session, self.token, amount, ZERO_HASH, ZERO_HASH, *paid)
        return Call(NOBODY, calls.tip_with_authorization(*values), to_jar=True)
