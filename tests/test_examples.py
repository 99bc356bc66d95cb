"""What the guides show runs as it stands there, and so do the programs in examples/.

And what the page on keys says of lost and stolen ones is so.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pytest

from honorarium.advisor import Advisor
from honorarium.chain import Account, Contracts, LocalChain, Relayable, Status, calls
from honorarium.client import Client, OpenSession
from honorarium.errors import (
    BalanceTooSmall,
    SessionExists,
    SessionNotOpen,
    TooManyUnits,
    WrongNonce,
    WrongSigner,
)
from honorarium.ids import Hash
from honorarium.protocol import Key, Quote, SignedVoucher, Tariff, Voucher
from honorarium.units import UnixTime

ROOT = Path(__file__).resolve().parent.parent
GUIDES = (ROOT / "docs" / "index.md", *sorted((ROOT / "docs" / "guides").glob("*.md")))
EXAMPLES = tuple(sorted((ROOT / "examples").glob("*.py")))

BEGIN = "--- the block of line "


@dataclass(frozen=True)
class Block:
    """Python of a page: the line where it begins, its code, and what it shows that it prints."""

    line: int
    code: str
    shown: list[str]


def blocks(page: Path) -> list[Block]:
    """The Python of a page. What it prints stands behind each print, or in a text block below."""
    text = page.read_text(encoding="utf-8")
    pattern = r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?"
    return [
        Block(
            text.count("\n", 0, found.start(1)) + 1,
            found[1],
            promised(found[1]) if found[2] is None else found[2].splitlines(),
        )
        for found in re.finditer(pattern, text, re.DOTALL | re.MULTILINE)
    ]


def promised(code: str) -> list[str]:
    """What each print says that it prints: the comment behind it."""
    found = []
    for statement in ast.walk(ast.parse(code)):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            called = statement.value.func
            if isinstance(called, ast.Name) and called.id == "print":
                assert statement.end_lineno is not None
                last = code.splitlines()[statement.end_lineno - 1].encode()
                rest = last[statement.end_col_offset :].decode()
                assert rest.startswith("  # "), f"it shows nothing: {ast.unparse(statement)}"
                found.append((statement.lineno, rest.removeprefix("  # ")))
    return [text for _, text in sorted(found)]


def run(command: list[str], state: Path) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "HONORARIUM_STATE": str(state)}
    return subprocess.run(
        command, cwd=state, env=surroundings, capture_output=True, text=True, timeout=240
    )


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_every_block_of_a_guide_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    found = blocks(page)
    assert found, f"{page.name} shows no code"
    program = "".join(f"print({BEGIN + str(one.line)!r})\n{one.code}" for one in found)
    ran = run([sys.executable, "-c", program], tmp_path)
    printed = re.split(rf"^{BEGIN}\d+\n", ran.stdout, flags=re.MULTILINE)[1:]
    last = found[max(0, len(printed) - 1)].line
    assert ran.returncode == 0, f"{page.name}, the block of line {last}: {ran.stderr}"
    for one, output in zip(found, printed, strict=True):
        assert output.splitlines() == one.shown, f"{page.name}, the block of line {one.line}"


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda program: program.stem)
def test_every_example_runs_and_prints_what_its_first_lines_say(
    program: Path, tmp_path: Path
) -> None:
    told = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
    _, _, output = told.partition("It prints:\n\n")
    ran = run([sys.executable, str(program)], tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [line.strip() for line in output.splitlines()]


def test_every_example_is_listed() -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert len(EXAMPLES) >= 6
    for program in EXAMPLES:
        assert f"({program.name})" in listed, f"examples/README.md does not list {program.name}"


# ------------------------------------------------------------------------------------------- keys
# What docs/keys.md says of lost and stolen keys; it names these tests.


@dataclass(frozen=True)
class Ground:
    """A chain with the contracts."""

    contracts: Contracts
    chain: LocalChain


@dataclass
class Table:
    """A client, a sponsor, an advisor and a platform at one chain, and a stranger."""

    contracts: Contracts
    chain: LocalChain

    @cached_property
    def client(self) -> Client:
        return Client(self.contracts, self.chain.accounts["client"])

    @cached_property
    def payer(self) -> Client:
        return Client(self.contracts, self.chain.accounts["payer"])

    @cached_property
    def advisor(self) -> Advisor:
        return Advisor(self.contracts, self.chain.accounts["advisor"])

    @cached_property
    def stranger(self) -> Account:
        return Account(self.contracts, self.chain.accounts["operator"])

    def quote(self, per: Literal["minute", "interaction"] = "minute", **terms: Any) -> Quote:
        tariff = Tariff.of(self.contracts.token(), "1", per=per)
        key = self.client.meter_key.address
        return self.advisor.quote(self.client.address, key, tariff, **terms)

    def open(self, per: Literal["minute", "interaction"] = "minute", **terms: Any) -> OpenSession:
        return self.client.open(self.quote(per, **terms), "10")

    def sponsored(self) -> OpenSession:
        quote = self.quote(payer=self.payer.address)
        self.payer.fund(quote, "10", client_signature=self.client.consent(quote))
        return self.client.join(quote)

    def wait(self, seconds: int) -> None:
        later = UnixTime(self.contracts.now() + seconds)
        self.contracts.node.set_time(later)
        self.contracts.node.request("evm_mine")

    def reading(self, session: OpenSession, units: int, key: Key | None = None) -> SignedVoucher:
        """What somebody with the meter's key, or with another, can sign."""
        voucher = Voucher(session.id, units, Hash(bytes(32)))
        signer = key or self.client.meter_key
        return SignedVoucher.sign(voucher, signer, self.contracts.escrow)


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """A chain for these tests alone: they let months pass."""
    with LocalChain.start() as chain, Contracts.deploy(chain) as contracts:
        yield Ground(contracts, chain)


@pytest.fixture
def table(ground: Ground) -> Table:
    return Table(ground.contracts, ground.chain)


def test_without_the_meter_key_vouchers_that_exist_still_count(table: Table) -> None:
    session = table.open()
    kept = table.reading(session, 1)
    another = table.reading(session, 1, Key.generate())
    with pytest.raises(WrongSigner):  # no other key can take its place
        table.advisor.settle(session, another)
    assert str(table.advisor.close(session, kept).earned) == "1 tUSD"


def test_a_stolen_meter_key_bills_time_that_passed_and_no_more(table: Table) -> None:
    session = table.open()
    table.wait(150)
    with pytest.raises(TooManyUnits):
        table.advisor.settle(session, table.reading(session, 4))
    owed = table.advisor.balance()
    table.advisor.settle(session, table.reading(session, 3))
    assert str(table.advisor.balance() - owed) == "3 tUSD"  # to the advisor of the terms alone
    table.client.leave(session)
    table.wait(600)
    with pytest.raises(TooManyUnits):  # nothing that came after leaving
        table.advisor.settle(session, table.reading(session, 12))


def test_a_stolen_meter_key_bills_interactions_up_to_the_deposit_until_closed(
    table: Table,
) -> None:
    session = table.open("interaction")
    table.client.leave(session)
    assert str(table.advisor.settle(session, table.reading(session, 99)).earned) == "10 tUSD"


def test_the_advisor_ends_what_a_stolen_meter_key_could_bill(table: Table) -> None:
    session = table.open("interaction")
    honest = table.reading(session, 2)
    table.advisor.close(session, honest)
    with pytest.raises(SessionNotOpen):
        table.advisor.settle(session, table.reading(session, 99))


def test_a_leaving_that_was_signed_in_time_ends_a_session_without_its_key(table: Table) -> None:
    session = table.open()
    drawer = table.client.sign_leaving(session).to_json()
    table.wait(40 * 86_400)  # it has no deadline
    before = table.client.wallet()
    table.stranger.relay(Relayable.from_json(drawer))
    table.wait(3600)
    table.stranger.finalize(session)
    assert str(table.client.wallet() - before) == "10 tUSD"  # to the account that was lost


def test_without_the_payers_key_the_client_leaves_and_the_payer_is_refunded(table: Table) -> None:
    session = table.sponsored()
    before = table.payer.wallet()
    table.client.leave(session)
    table.wait(3600)
    table.stranger.finalize(session)
    assert str(table.payer.wallet() - before) == "10 tUSD"


def test_without_the_clients_key_the_payer_leaves(table: Table) -> None:
    session = table.sponsored()
    table.payer.leave(session)
    assert table.contracts.session(session.id).status is Status.CLOSING


def test_without_the_advisors_key_anybody_settles_and_the_client_leaves(table: Table) -> None:
    session = table.open()
    owed = table.advisor.balance()
    settlement = calls.settle(session.terms, table.reading(session, 1))
    sender = table.contracts.sender(table.chain.accounts["operator"])
    sender.transact(table.contracts.escrow.contract, settlement)
    assert str(table.advisor.balance() - owed) == "1 tUSD"
    table.client.leave(session)
    table.wait(3600)
    before = table.client.wallet()
    table.stranger.finalize(session)
    assert str(table.client.wallet() - before) == "9 tUSD"


def test_a_withdrawal_that_was_signed_in_time_pays_without_the_key(table: Table) -> None:
    session = table.open()
    table.advisor.close(session, table.reading(session, 1))
    safe = Key.generate().address
    drawer = table.advisor.sign_withdrawal(amount="1", to=safe, valid_for=10 * 365 * 86_400)
    table.wait(100 * 86_400)
    table.stranger.relay(drawer)
    token = table.contracts.default_token()
    assert str(table.contracts.wallet(token, safe)) == "1 tUSD"


def test_a_withdrawal_that_was_signed_is_void_once_another_one_had_its_number(
    table: Table,
) -> None:
    session = table.open("interaction")
    table.advisor.close(session, table.reading(session, 2))
    drawer = table.advisor.sign_withdrawal(amount="1")
    table.stranger.relay(table.advisor.sign_withdrawal(amount="1"))
    with pytest.raises(WrongNonce):
        table.stranger.relay(drawer)


def test_a_stolen_advisors_key_closes_on_nothing_and_settled_money_stays(table: Table) -> None:
    session = table.open()
    table.wait(120)
    table.advisor.settle(session, table.reading(session, 1))
    best = table.reading(session, 3)
    thief = table.advisor
    assert str(thief.close(session).earned) == "1 tUSD"
    with pytest.raises(SessionNotOpen):
        table.advisor.settle(session, best)


def test_quotes_of_a_stolen_key_are_revoked_by_advisor_or_payer(table: Table) -> None:
    by_advisor, by_payer = table.quote(), table.quote()
    table.advisor.revoke(by_advisor)
    table.client.revoke(by_payer)
    for quote in (by_advisor, by_payer):
        with pytest.raises(SessionExists):
            table.client.open(quote, "10")


def test_a_rotated_meter_key_signs_for_new_sessions_only(table: Table) -> None:
    old = table.open()
    first = table.client.meter_key
    table.client = Client(table.contracts, table.chain.accounts["client"])  # with a new meter key
    new = table.open()
    with pytest.raises(WrongSigner):
        table.advisor.settle(new, table.reading(new, 1, first))
    with pytest.raises(WrongSigner):
        table.advisor.settle(old, table.reading(old, 1))
    assert table.advisor.settle(old, table.reading(old, 1, first)).units == 1


def test_a_platforms_share_is_credited_to_the_recipient_of_the_terms_alone(table: Table) -> None:
    old = Account(table.contracts, table.chain.accounts["platform"])
    session = table.open(platform=old.address, platform_bps=1000)
    before = old.balance()
    table.advisor.close(session, table.reading(session, 1))
    assert str(old.balance() - before) == "0.1 tUSD"
    with pytest.raises(BalanceTooSmall):
        Account(table.contracts, table.chain.accounts["operator"]).withdraw(amount="1")


def test_an_advisors_ratings_stay_with_the_old_key(table: Table) -> None:
    session = table.open()
    table.advisor.close(session, table.reading(session, 1))
    table.client.rate(session, 5)
    assert table.advisor.rating().count > 0
    assert table.contracts.rating(Key.generate().address).count == 0


def test_every_test_that_the_page_on_keys_names_exists() -> None:
    page = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    code = "".join(
        path.read_text(encoding="utf-8")
        for pattern in ("*.py", "foundry/*.sol", "foundry/*/*.sol")
        for path in (ROOT / "tests").glob(pattern)
    )
    assert len(named) > 12
    assert not [name for name in named if not re.search(rf"\b{name}\b\(", code)]
