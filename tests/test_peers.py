"""The comparison with the field, as far as it needs no chain and no package.

`make peers` runs the rest; each session there checks its own amounts.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from honorarium.ids import Address
from peers import page
from peers.artifacts import Artifact, NotInstalled, package_json
from peers.builds import described
from peers.ground import FEE, NotTheSession, fee_moves, is_over
from peers.quoted import QUOTED
from peers.sessions import (
    BALANCES,
    COLUMNS,
    EARNINGS,
    OURS,
    WALLETS,
    Session,
    Step,
    as_json,
    ratio,
    totals_of_ours,
)

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8")
FOLDER = ROOT / "benchmarks" / "peers"

SESSIONS = (
    Session(
        OURS,
        WALLETS,
        (
            Step("open", "client", "open", 100),
            Step("stop", "advisor", "close", 60),
            Step("pay", "advisor", "withdraw", 40),
        ),
        "units",
        WALLETS,
    ),
    Session(OURS, EARNINGS, (Step("open", "client", "open", 100),), "units", EARNINGS),
    Session(OURS, BALANCES, (Step("open", "client", "open", 80),), "units", BALANCES),
    Session(
        "Other 1.0",
        "wrapped",
        (Step("open", "client", "a", 100), Step("open", "client", "b", 20)),
        "streams",
        BALANCES,
    ),
)


# ---------------------------------------------------------------------- figures


def test_the_quoted_totals_are_the_published_ones() -> None:
    # As published beside their parts, in thousands of gas.
    published = {
        "Tempo TIP-1034 reference": 135.5,
        "microraiden": 140.5,
        "LlamaPay": 195.4,
        "x402 batch settlement": 207.8,
        "SingularityNET MPE": 262.5,
        "commerce-payments AuthCaptureEscrow": 275.4,
    }
    assert {each.protocol: each.total / 1000 for each in QUOTED} == published


def test_every_quoted_figure_is_gas_to_a_hundred() -> None:
    for peer in QUOTED:
        for gas in (*peer.open, *peer.settle, *peer.close):
            assert 21_000 < gas < 1_000_000, peer.protocol
            assert gas % 100 == 0, peer.protocol
        assert all((peer.open, peer.settle, peer.close, peer.gets)), peer.protocol


def test_the_columns_of_a_session_add_up_to_its_total() -> None:
    for each in SESSIONS:
        assert sum(each.gas(column) for column in COLUMNS) == each.total
    assert [SESSIONS[0].gas(column) for column in COLUMNS] == [100, 40, 60]
    assert SESSIONS[3].gas("open") == 120  # both of its transactions
    assert SESSIONS[3].gas("pay") == 0


def test_a_ratio_is_to_the_session_of_ours_that_moves_the_money_the_same_way() -> None:
    assert totals_of_ours(SESSIONS) == {WALLETS: 200, EARNINGS: 100, BALANCES: 80}
    assert [each["ratio"] for each in as_json(SESSIONS)] == [1.0, 1.0, 1.0, 1.5]
    assert as_json(SESSIONS)[3]["against"] == BALANCES
    assert ratio(135_500, 100_000) == pytest.approx(1.355)


def test_there_is_no_ratio_to_nothing() -> None:
    with pytest.raises(ValueError, match="cannot have cost 0 gas"):
        ratio(1, 0)


# ---------------------------------------------------------------------- the table


def test_the_table_has_a_row_for_every_session_and_every_quoted_peer() -> None:
    rows = page.rows(SESSIONS)
    assert len(rows) == len(SESSIONS) + len(QUOTED)
    assert {len(row) for row in rows} == {len(page.HEAD)}
    assert rows[3] == ("Other 1.0, wrapped", "120", "", "", "120", "1.50", "streams")
    quoted = dict(zip(page.HEAD, rows[len(SESSIONS)], strict=True))
    assert quoted["session"] == "quoted: Tempo TIP-1034 reference"
    assert quoted["pay"] == "(61.9k)"  # not in the total
    assert quoted["total"] == "135.5k"
    assert quoted["times ours"] == "1355.00 / 677.50"


def test_every_transaction_names_its_sender() -> None:
    assert page.transactions(SESSIONS)[0] == (
        f"{OURS}, {WALLETS}",
        "client: open",
        "advisor: withdraw",
        "advisor: close",
    )
    assert page.transactions(SESSIONS)[3][1:] == ("client: a; client: b", "", "")


def test_the_markdown_has_as_many_cells_in_every_row_of_a_table() -> None:
    block = page.markdown(SESSIONS, {"Other": "solc 1"}, "a chain")
    tables = [part for part in block.split("\n\n") if part.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_only_what_stands_between_the_marks_is_rewritten() -> None:
    before = f"# head\n\n{page.BEGIN}\nold\n{page.END}\n\ntail\n"
    after = page.rewritten(before, "new")
    assert after == f"# head\n\n{page.BEGIN}\n\nnew\n{page.END}\n\ntail\n"
    assert page.rewritten(after, "new") == after


@pytest.mark.parametrize(
    "text",
    ["", page.BEGIN, page.END, f"{page.END}{page.BEGIN}", f"{page.BEGIN}{page.END}{page.END}"],
)
def test_a_page_without_its_marks_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="has not exactly one"):
        page.rewritten(text, "new")


# ---------------------------------------------------------------------- the page as committed


def _committed() -> dict[str, list[str]]:
    """Session to its cells, of the first table between the marks."""
    block = PAGE.split(page.BEGIN)[1].split(page.END)[0].strip()
    lines = [line.strip("| ").split(" | ") for line in block.split("\n\n")[0].splitlines()]
    assert tuple(lines[0]) == page.HEAD
    return {cells[0]: cells[1:] for cells in lines[2:]}


def _number(cell: str) -> int:
    return int(cell.replace(",", "") or 0)


def test_the_page_quotes_what_is_known_and_its_sums_are_right() -> None:
    rows = _committed()
    assert [name for name in rows if name.startswith("quoted")] == [
        f"quoted: {each.protocol}" for each in QUOTED
    ]
    measured = {name: cells for name, cells in rows.items() if not name.startswith("quoted")}
    assert len([name for name in measured if name.startswith(OURS)]) == 3
    for name, cells in measured.items():
        *parts, total = (_number(cell) for cell in cells[:4])
        assert sum(parts) == total, name
    ours = {way: _number(rows[f"{OURS}, {way}"][3]) for way in (EARNINGS, WALLETS)}
    for peer in QUOTED:
        expected = " / ".join(f"{peer.total / ours[way]:.2f}" for way in (EARNINGS, WALLETS))
        assert rows[f"quoted: {peer.protocol}"][4] == expected


def test_the_page_is_not_older_than_the_contracts() -> None:
    """Another chain and other signatures are worth far less than these two per cent."""
    gas = json.loads((ROOT / "benchmarks" / "gas.json").read_text(encoding="utf-8"))
    rows = _committed()
    for way, known in (
        (EARNINGS, gas["open_wallet_erc20"] + gas["close_refund_wallet"]),
        (BALANCES, gas["open_balance"] + gas["close_refund_balance"]),
    ):
        found = _number(rows[f"{OURS}, {way}"][3])
        assert found == pytest.approx(known, rel=0.02), "run make peers and commit docs/peers.md"


# ---------------------------------------------------------------------- the session's own checks


def test_a_session_that_pays_another_amount_is_not_counted() -> None:
    _move(FEE, FEE)
    for paid, earned in ((FEE, FEE - 1), (FEE + 1, FEE), (0, 0)):
        with pytest.raises(NotTheSession, match=f"paid {paid} and the advisor got {earned}"):
            _move(paid, earned)


def test_wrapped_money_is_compared_in_its_own_units() -> None:
    _move(FEE * 10**12, FEE * 10**12, unit=10**12)
    with pytest.raises(NotTheSession, match="not 45000000000000000000"):
        _move(FEE, FEE, unit=10**12)


def _move(paid: int, earned: int, unit: int = 1) -> None:
    client, advisor = [10**30], [5]
    with fee_moves(lambda: client[0], lambda: advisor[0], unit):
        client[0] -= paid
        advisor[0] += earned


def test_a_session_that_still_runs_is_not_counted() -> None:
    is_over((3, 0), (3, 0))
    with pytest.raises(NotTheSession, match="still runs"):
        is_over((3, 1), (3, 0))


# ---------------------------------------------------------------------- packages


ABI: list[Any] = [
    {"type": "constructor", "inputs": [{"name": "owner", "type": "address"}]},
    {
        "type": "function",
        "name": "make",
        "inputs": [{"name": "a", "type": "uint8"}],
        "outputs": [{"name": "", "type": "uint256"}],
    },
    {
        "type": "function",
        "name": "make",
        "inputs": [
            {
                "name": "rows",
                "type": "tuple[]",
                "components": [{"name": "x", "type": "uint32"}, {"name": "y", "type": "bytes"}],
            }
        ],
        "outputs": [{"name": "", "type": "bool"}, {"name": "", "type": "uint8"}],
    },
]
LIBRARY = Address(b"\xaa" * 20)
OWNER = Address(b"\xbb" * 20)
CODE = "6001" + "__$0123456789abcdef0123456789abcdef01$__" + "6002"
LINKS = {"a.sol": {"Lib": [{"start": 2, "length": 20}]}}


@pytest.mark.parametrize(
    "found",
    [
        {"abi": ABI, "bytecode": f"0x{CODE}", "linkReferences": LINKS},
        {"abi": ABI, "bytecode": {"object": f"0x{CODE}", "linkReferences": LINKS}},
    ],
    ids=["hardhat", "foundry"],
)
def test_libraries_are_linked_and_arguments_appended(found: dict[str, Any]) -> None:
    artifact = Artifact.of(found)
    code = artifact.deployment((OWNER,), {"Lib": LIBRARY})
    assert code == b"\x60\x01" + LIBRARY + b"\x60\x02" + OWNER.rjust(32, b"\0")
    with pytest.raises(KeyError, match="Lib"):
        artifact.deployment((OWNER,), {})


def test_overloads_are_told_apart_by_their_types() -> None:
    artifact = Artifact.of({"abi": ABI, "bytecode": "0x"})
    one = artifact.call("make(uint8)", 7)
    assert (len(one), one[-1]) == (4 + 32, 7)
    other = artifact.call("make((uint32,bytes)[])", [(1, b"a"), (2, b"")])
    assert other[:4] != one[:4]
    for name in ("make", "made"):
        with pytest.raises(KeyError, match="functions are called"):
            artifact.call(name, 7)


def test_one_answer_comes_alone_and_several_as_a_tuple() -> None:
    artifact = Artifact.of({"abi": ABI, "bytecode": "0x"})
    assert artifact.answer("make(uint8)", (9).to_bytes(32, "big")) == 9
    words = (1).to_bytes(32, "big") + (5).to_bytes(32, "big")
    assert artifact.answer("make((uint32,bytes)[])", words) == (True, 5)


def test_a_package_that_is_missing_says_what_installs_it() -> None:
    with pytest.raises(NotInstalled, match="run make peers"):
        package_json("@nobody/nothing")


def test_the_compilers_settings_fit_in_a_line() -> None:
    settings = {"optimizer": {"enabled": True, "runs": 1000}, "evmVersion": "cancun"}
    assert described("0.8.29+commit.ab55807c", settings) == "solc 0.8.29, 1,000 runs, for cancun"
    assert "via-IR" in described("0.8.29", settings | {"viaIR": True})


def test_the_lock_pins_every_package_and_names_no_place_to_download_from() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    installed = {name: entry for name, entry in lock.items() if name}
    assert {"@sablier/flow", "@superfluid-finance/ethereum-contracts"} <= {
        name.removeprefix("node_modules/") for name in installed
    }
    assert all(entry["integrity"].startswith("sha512-") for entry in installed.values())
    assert not [name for name, entry in lock.items() if "resolved" in entry]


def test_nothing_but_make_peers_installs_the_packages() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    needing = re.findall(r"^([\w-]+):.*\$\(PEERS_READY\)", makefile, re.MULTILINE)
    assert needing == ["peers"]
    assert not re.findall(r"^[\w-]+:[^#\n]*\bpeers\b", makefile.replace(".PHONY", ""), re.MULTILINE)
