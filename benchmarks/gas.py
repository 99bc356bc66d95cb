"""What the contracts cost: whole receipts on a Ganache, written to benchmarks/gas.json.

Measured as peers are: an OpenZeppelin token with six decimals, the allowance set, balances warm
(every account and the escrow hold some of the token already), one session from opening to refund.
The tariff is 1.50 a started minute, 60 at the most, no platform's share; signatures have 64 bytes
(EIP-2098), the context is a hash, the salt zero. Rows of batches are the marginal cost between 10
and 50 rows, of distinct payers, with one advisor.

Everything is fixed (keys, hashes, times), so the same contracts give the same numbers.

    python benchmarks/gas.py            measure, print, write gas.json and the table in docs/gas.md
    python benchmarks/gas.py --check    measure, print, fail if gas.json says otherwise
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

import gas_parts
from honorarium.chain import (
    ClosingRow,
    LocalChain,
    Node,
    OpeningRow,
    Sender,
    Settlement,
    calls,
    deploy,
)
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash
from honorarium.protocol import Domain, Key, Opening, SignedVoucher, Tariff, Terms, Voucher
from honorarium.protocol.messages import (
    Closing,
    Leaving,
    ReceiveWithAuthorization,
    Withdrawal,
    deposit_nonce,
    opening_nonce,
    tip_nonce,
    top_up_nonce,
)
from honorarium.units import BaseUnits, Bps, Seconds, UnixTime

RESULT: Final = Path(__file__).with_name("gas.json")
DOCS: Final = RESULT.parent.parent / "docs"
BEGIN: Final = UnixTime(1_800_000_000)
DEPOSIT: Final = BaseUnits(90_000_000)  # the fee for 60 minutes
TARIFF: Final = Tariff.per_minute(1_500_000, max_units=60)
BATCH_GAS: Final = 50_000_000

TARGETS: Final = {
    "open + close + refund, wallet": (140_000, ("open_wallet_erc20", "close_refund_wallet")),
    "open + close + refund, balance": (115_000, ("open_balance", "close_refund_balance")),
    "settle, repeated": (45_000, ("settle_repeat",)),
    "settleBatch row": (18_000, ("settle_batch_row",)),
    "closeBatch row": (24_000, ("close_batch_row",)),
    "openBatch + closeBatch, a session of 50": (76_000, ("batch50_per_session",)),
    "rate, advisor rated before": (42_000, ("rate_again",)),
}


def key(name: str) -> Key:
    return Key.from_bytes(hashlib.sha256(f"gas {name}".encode()).digest())


class Bench:
    """A chain with warm balances, and the parties."""

    def __init__(self, node: Node, operator: Key) -> None:
        self.node, self.now, self.count = node, BEGIN, 0
        self.sent: list[gas_parts.Sent] = []
        manifest = deploy(node, operator, test_token=True)
        self.escrow = Domain(node.chain_id, manifest.address("SessionEscrow"))
        self.jar, token = manifest.address("TipJar"), manifest.address("TestUSD")
        self.token = node.read(calls.token_domain(token))
        self.advisor, self.client, self.meter = key("advisor"), key("client"), key("meter")
        self.platform = key("platform")
        self.payers = [key(f"payer {n}") for n in range(60)]
        self.senders = {operator.address: Sender(node, operator)}
        self.operator = operator
        people = [self.advisor, self.client, self.platform, *self.payers]
        self.at(BEGIN)
        for person in people:
            self.send(operator, person.address, b"", value=10**20)
            self.senders[person.address] = Sender(node, person)
        amounts = [10**12] * len(people)
        self.send(operator, token, calls.mint_batch([p.address for p in people], amounts))
        for person in people:
            self.send(person, token, calls.approve(self.escrow.contract, 2**256 - 1))
            self.send(person, token, calls.approve(self.jar, 2**256 - 1))
            self.send(person, self.escrow.contract, calls.deposit(token, person.address, 10**11))

    def at(self, time: int) -> None:
        """The next block's time."""
        self.now = UnixTime(time)
        self.node.set_time(self.now)

    def send(self, who: Key, to: Address, data: bytes, value: int = 0) -> int:
        """Whole gas of the transaction."""
        self.at(self.now + 1)
        receipt = self.senders[who.address].transact(to, data, value=value, gas=BATCH_GAS)
        self.sent.append(gas_parts.Sent(receipt.tx_hash, data, receipt.gas_used))
        return receipt.gas_used

    def act(self, who: Key, data: bytes, value: int = 0) -> int:
        return self.send(who, self.escrow.contract, data, value)

    def terms(self, payer: Key | None = None, *, coin: bool = False, bps: int = 0) -> Terms:
        self.count += 1
        payer = payer or self.client
        return Terms(
            client=payer.address,
            payer=payer.address,
            advisor=self.advisor.address,
            meter_key=self.meter.address,
            token=ZERO_ADDRESS if coin else self.token.contract,
            tariff=TARIFF,
            fee_bps=Bps(bps),
            fee_recipient=self.platform.address if bps else ZERO_ADDRESS,
            open_before=UnixTime(self.now + 86_400),
            close_grace=Seconds(3600),
            context=Hash(hashlib.sha256(f"context {self.count}".encode()).digest()),
            salt=0,
        )

    def quote(self, terms: Terms) -> bytes:
        return self.advisor.sign(terms.session_id(self.escrow)).packed()

    def reading(self, terms: Terms, units: int) -> SignedVoucher:
        session_id = terms.session_id(self.escrow)
        journal = Hash(hashlib.sha256(b"journal %d" % units + session_id).digest())
        return SignedVoucher.sign(Voucher(session_id, units, journal), self.meter, self.escrow)

    def paid(self, who: Key, to: Address, value: int, nonce: Hash) -> tuple[int, int, bytes]:
        until = UnixTime(self.now + 86_400)
        message = ReceiveWithAuthorization(
            who.address, to, BaseUnits(value), UnixTime(0), until, nonce
        )
        return 0, until, who.sign(message.digest(self.token)).packed()

    def opening(self, terms: Terms, payer: Key, *, signed: bool) -> OpeningRow:
        signature = b""
        if signed:
            signature = payer.sign(Opening(terms, DEPOSIT).digest(self.escrow)).packed()
        return OpeningRow(terms, DEPOSIT, self.quote(terms), b"", signature)

    def opened(self, payer: Key | None = None, *, bps: int = 0) -> Terms:
        payer = payer or self.client
        terms = self.terms(payer, bps=bps)
        self.act(payer, calls.open_from_balance(self.opening(terms, payer, signed=False)))
        return terms


def measure(b: Bench) -> dict[str, int]:
    """Every figure of gas.json."""
    g: dict[str, int] = {}
    wallet, coin = b.terms(), b.terms(coin=True)
    g["open_wallet_erc20"] = b.act(b.client, calls.open(wallet, DEPOSIT, b.quote(wallet)))
    g["open_wallet_coin"] = b.act(b.client, calls.open(coin, DEPOSIT, b.quote(coin)), DEPOSIT)
    by_3009 = b.terms()
    nonce = opening_nonce(by_3009.session_id(b.escrow))
    authorization = b.paid(b.client, b.escrow.contract, DEPOSIT, nonce)
    data = calls.open_with_authorization(by_3009, DEPOSIT, *authorization, b.quote(by_3009))
    g["open_eip3009"] = b.act(b.operator, data)
    balance, relayed = b.terms(), b.terms()
    row = b.opening(balance, b.client, signed=False)
    g["open_balance"] = b.act(b.client, calls.open_from_balance(row))
    row = b.opening(relayed, b.client, signed=True)
    g["open_signature"] = b.act(b.operator, calls.open_from_balance(row))

    b.at(b.now + 3600)
    settled = b.opened()
    b.at(b.now + 3600)
    g["settle_first"] = b.act(b.operator, calls.settle(settled, b.reading(settled, 10)))
    g["settle_repeat"] = b.act(b.operator, calls.settle(settled, b.reading(settled, 20)))
    g["top_up"] = b.act(b.client, calls.top_up(wallet, DEPOSIT + 1_500_000))
    g["close_refund_wallet"] = b.act(b.advisor, calls.close(wallet, b.reading(wallet, 30)))
    g["close_refund_balance"] = b.act(b.advisor, calls.close(balance, b.reading(balance, 30)))
    b.act(b.advisor, calls.close(settled, b.reading(settled, 30)))
    g["leave_request"] = b.act(b.client, calls.request_close(relayed, b.client.address))
    b.at(b.now + 3600)
    g["leave_finalize"] = b.act(b.operator, calls.finalize(relayed))
    session_id = wallet.session_id(b.escrow)
    tip = calls.tip(b.advisor.address, session_id, b.token.contract, 1_000_000, ZERO_HASH)
    g["tip_erc20"] = b.send(b.client, b.jar, tip)
    comment = Hash(hashlib.sha256(b"comment").digest())
    g["rate_first"] = b.act(b.client, calls.rate(wallet, 5, comment))
    g["rate_again"] = b.act(b.client, calls.rate(balance, 4, comment))
    withdraw = calls.withdraw(b.token.contract, 1_000_000, b.advisor.address)
    g["withdraw"] = b.act(b.advisor, withdraw)

    shared = b.opened(bps=300)
    b.at(b.now + 3600)
    g["settle_repeat_with_share"] = b.act(b.operator, calls.settle(shared, b.reading(shared, 10)))

    few, many = batches(b, 10), batches(b, 50)
    for name in few:
        g[f"{name}_batch_row"] = round((many[name] - few[name]) / 40)
    opened, terms = open_batch(b, 50)
    b.at(b.now + 3600)
    closed = b.act(b.advisor, calls.close_batch(closing_rows(b, terms)))
    g["batch50_per_session"] = round((opened + closed) / 50)
    return g | rest(b)


def rest(b: Bench) -> dict[str, int]:
    """The entry points and forms that no target speaks of."""
    g: dict[str, int] = {}
    token, escrow, client = b.token.contract, b.escrow, b.client.address
    salt = Hash(hashlib.sha256(b"salt").digest())
    more = BaseUnits(DEPOSIT + 1_500_000)
    revoked = b.terms()
    g["revoke"] = b.act(b.advisor, calls.revoke(revoked, b.advisor.address))
    g["deposit_erc20"] = b.act(b.client, calls.deposit(token, client, 1_000_000))
    g["deposit_coin"] = b.act(b.client, calls.deposit(ZERO_ADDRESS, client, 1_000_000), 1_000_000)
    paid = b.paid(b.client, escrow.contract, 1_000_000, deposit_nonce(token, client, salt))
    data = calls.deposit_with_authorization(token, client, 1_000_000, salt, *paid)
    g["deposit_eip3009"] = b.act(b.operator, data)

    wallet, balance, left = b.terms(), b.opened(), b.opened()
    b.act(b.client, calls.open(wallet, DEPOSIT, b.quote(wallet)))
    nonce = top_up_nonce(wallet.session_id(escrow), more)
    paid = b.paid(b.client, escrow.contract, more - DEPOSIT, nonce)
    data = calls.top_up_with_authorization(wallet, more, *paid)
    g["top_up_eip3009"] = b.act(b.operator, data)
    g["top_up_balance"] = b.act(b.client, calls.top_up_from_balance(balance, more))
    b.at(b.now + 3600)
    last, until = b.reading(balance, 30), UnixTime(b.now + 3600)
    closing = Closing(balance.session_id(escrow), last.units, last.journal, until)
    signature = b.advisor.sign(closing.digest(escrow)).packed()
    row = ClosingRow(balance, last, until, signature)
    g["close_signature"] = b.act(b.operator, calls.close_for(row))
    leaving = b.client.sign(Leaving(left.session_id(escrow)).digest(escrow)).packed()
    g["leave_signature"] = b.act(b.operator, calls.request_close(left, client, leaving))

    b.act(b.client, calls.rate(balance, 5, salt))
    g["answer"] = b.act(b.advisor, calls.answer(balance, salt))
    until = UnixTime(b.now + 3600)
    withdrawal = Withdrawal(client, token, BaseUnits(1_000_000), client, 0, until)
    signature = b.client.sign(withdrawal.digest(escrow)).packed()
    data = calls.withdraw_for(client, token, 1_000_000, client, 0, until, signature)
    g["withdraw_signature"] = b.act(b.operator, data)
    advisor, session_id = b.advisor.address, balance.session_id(escrow)
    tip = calls.tip(advisor, session_id, ZERO_ADDRESS, 1_000_000, ZERO_HASH)
    g["tip_coin"] = b.send(b.client, b.jar, tip, 1_000_000)
    nonce = tip_nonce(token, advisor, session_id, ZERO_HASH, salt)
    paid = b.paid(b.client, b.jar, 1_000_000, nonce)
    args = (client, advisor, session_id, token, 1_000_000, ZERO_HASH, salt)
    g["tip_eip3009"] = b.send(b.operator, b.jar, calls.tip_with_authorization(*args, *paid))
    return g


def open_batch(b: Bench, rows: int) -> tuple[int, list[Terms]]:
    payers = b.payers[:rows]
    terms = [b.terms(payer) for payer in payers]
    data = [b.opening(t, payer, signed=True) for t, payer in zip(terms, payers, strict=True)]
    return b.act(b.operator, calls.open_batch(data)), terms


def closing_rows(b: Bench, terms: list[Terms]) -> list[ClosingRow]:
    return [ClosingRow(t, b.reading(t, 30)) for t in terms]


def batches(b: Bench, rows: int) -> dict[str, int]:
    gas, terms = open_batch(b, rows)
    b.at(b.now + 3600)
    b.act(b.operator, calls.settle_batch([Settlement(t, b.reading(t, 10)) for t in terms]))
    settled = b.act(
        b.operator, calls.settle_batch([Settlement(t, b.reading(t, 20)) for t in terms])
    )
    closed = b.act(b.advisor, calls.close_batch(closing_rows(b, terms)))
    return {"open": gas, "settle": settled, "close": closed}


def show(found: dict[str, int]) -> None:
    console = Console()
    table = Table(title="gas, whole receipts", title_justify="left")
    table.add_column("what")
    table.add_column("gas", justify="right")
    for name, gas in found.items():
        table.add_row(name, f"{gas:,}")
    console.print(table)
    table = Table(title="against the targets", title_justify="left")
    for column in ("what", "gas", "target", ""):
        table.add_column(column, justify="right" if column in ("gas", "target") else "left")
    for name, (target, parts) in TARGETS.items():
        gas = sum(found[part] for part in parts)
        note = "" if gas <= target else f"[yellow]{gas - target:,} above[/]"
        table.add_row(name, f"{gas:,}", f"{target:,}", note)
    console.print(table)


def restate(found: dict[str, int]) -> None:
    """Puts the figures into the documents, wherever one stands behind its `name`."""

    def figure(match: re.Match[str]) -> str:
        name = match[1]
        return f"`{name}` {found[name]:,}" if name in found else match[0]

    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        fresh = re.sub(r"`(\w+)` (\d[\d,]*\d)", figure, text)
        if fresh != text:
            page.write_text(fresh, encoding="utf-8")


def main() -> int:
    check = "--check" in sys.argv[1:]
    clock = UnixTime(BEGIN - 3600)
    with (
        LocalChain.start(names=("operator",), clock=clock) as chain,
        Node(chain.url) as node,
    ):
        bench = Bench(node, chain.accounts["operator"])
        found = measure(bench)
        if not check:
            gas_parts.write(gas_parts.table(node, bench.sent, found))
    show(found)
    if check:
        known = json.loads(RESULT.read_text(encoding="utf-8"))
        if known != found:
            changed = {n: (known.get(n), g) for n, g in found.items() if known.get(n) != g}
            print(f"gas.json is not what was measured (known, found): {changed}", file=sys.stderr)
            print("if the change is meant, run make gas and commit gas.json", file=sys.stderr)
            return 1
        return 0
    RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    restate(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
