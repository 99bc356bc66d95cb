"""Tokens that call themselves something harmful: whatever shows it, shows it as text.

A real token on a real Anvil, paid with, tipped with and withdrawn; then every command that names
it, for each of its names.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import pytest
from beancount import loader
from eth_hash.auto import keccak
from typer.testing import CliRunner

from honorarium.chain import Deployed, LocalChain, Manifest, Node, calls
from honorarium.chain.node import to_hex
from honorarium.cli import app
from honorarium.ids import ZERO_HASH, Address, Hash
from honorarium.units import BlockNumber
from hostile_token import HOSTILE_SYMBOLS, code_of
from lives import MORNING, PARTIES, Stage

EVIL = Address(b"\x66" * 20)


@dataclass
class Paid:
    stage: Stage
    session: str
    manifest: Manifest

    def calls_itself(self, symbol: str) -> None:
        code = code_of(self.stage.token, symbol)
        self.stage.node.request("anvil_setCode", [to_hex(EVIL), to_hex(code)])
        self.stage.send("operator", self.stage.address("operator"), b"")  # a block that has it


@pytest.fixture(scope="module")
def paid() -> Iterator[Paid]:
    with (
        LocalChain.start(engine="anvil", names=PARTIES, clock=MORNING) as chain,
        Node(chain.url) as node,
    ):
        stage = Stage(chain, node)
        deployed = {
            name: Deployed(at, Hash(keccak(node.code(at))))
            for name, at in (
                ("SessionEscrow", stage.escrow),
                ("TipJar", stage.tip_jar),
                ("TestUSD", stage.token),
            )
        }
        manifest = Manifest(node.chain_id, node.genesis_hash, BlockNumber(0), deployed)
        paid = Paid(stage, "", manifest)
        paid.calls_itself("EVIL")
        stage.send("operator", EVIL, calls.mint(stage.address("client"), 10**12))
        for spender in (stage.escrow, stage.tip_jar):
            stage.send("client", EVIL, calls.approve(spender, 2**256 - 1))
        terms = stage.terms(token=EVIL)
        paid.session = to_hex(stage.open(terms, 20_000_000))
        stage.wait(200)
        stage.settle(terms, 2)
        stage.close(terms, 4)
        advisor = stage.address("advisor")
        tip = calls.tip(advisor, stage.id_of(terms), EVIL, 2_000_000, ZERO_HASH)
        stage.send("client", stage.tip_jar, tip)
        stage.send("advisor", stage.escrow, calls.withdraw(EVIL, 1_000_000, advisor))
        yield paid


def run(paid: Paid, folder: Path, *words: str, chain: bool = True) -> str:
    """What a command shows, which must be harmless in a terminal."""
    file = folder / "manifest.json"
    paid.manifest.save(file)
    where = ["--rpc", paid.stage.node.url, "--manifest", str(file)] if chain else []
    done = CliRunner().invoke(app, [*words, *where], env={"COLUMNS": "100"})
    assert done.exit_code == 0, (words, done.output, done.exception)
    must_be_plain(done.output)
    return done.output


def must_be_plain(text: str) -> None:
    hiding = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert hiding <= {"\n"}
    assert "LONG" * 5 not in text


@pytest.mark.parametrize("name", HOSTILE_SYMBOLS)
def test_a_token_s_name_harms_no_reader(paid: Paid, tmp_path: Path, name: str) -> None:
    symbol = HOSTILE_SYMBOLS[name]
    paid.calls_itself(symbol)
    shown = symbol.replace("\x1b", "")[:4] if symbol.isprintable() else ""

    run(paid, tmp_path, "audit", "--out", str(tmp_path), "--export", str(tmp_path / "tables"))
    _page((tmp_path / "report.html").read_text(encoding="utf-8"))
    for table in (tmp_path / "tables").glob("*.csv"):
        _cells(table.read_text(encoding="utf-8"))

    assert shown in run(paid, tmp_path, "explain", paid.session)

    evidence = tmp_path / "evidence.json"
    run(paid, tmp_path, "evidence", paid.session, "-o", str(evidence))
    run(paid, tmp_path, "verify", str(evidence), chain=False)

    advisor = "0x" + paid.stage.address("advisor").hex()
    words = ("--from", "2027-01-01", "--to", "2027-12-31", "--zone", "UTC")
    folder = tmp_path / "statement"
    run(paid, tmp_path, "statement", advisor, *words, "--out", str(folder))
    for file in folder.glob("*.csv"):
        _cells(file.read_text(encoding="utf-8"))
    entries, errors, _ = loader.load_file(str(folder / "statement.beancount"))
    assert errors == []
    assert not [e for e in entries if "Stolen" in str(getattr(e, "account", ""))]
    document = pypdfium2.PdfDocument((folder / "statement.pdf").read_bytes())
    text = "".join(page.get_textpage().get_text_range() for page in document)
    assert "1000000" not in text  # amounts are in whole tokens
    must_be_plain(text.replace("\r", ""))


def _page(page: str) -> None:
    must_be_plain(page.replace("\t", ""))
    assert "<script" not in page
    assert "<img" not in page
    assert "href=http" not in page.replace('"', "")
    assert not re.findall(r"<[^>]*\bon\w+\s*=", page)


def _cells(text: str) -> None:
    """Nothing that a spreadsheet would run; numbers may be negative."""
    for row in csv.reader(io.StringIO(text)):
        for value in row:
            assert not value.lstrip().startswith(("=", "@", "+")), value
            assert not value.startswith("-") or value[1:].replace(".", "").isdigit(), value
