"""`honorarium evidence`, `verify`: a session's evidence as a file, and what it proves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from honorarium.audit.evidence import (
    LINKS,
    LONGEST,
    Bundle,
    EvidenceUnreadable,
    Examined,
    Standing,
    as_record,
    evidence_of,
    read_given,
)
from honorarium.audit.evidence import verify as examine
from honorarium.bill.text import checksummed, hexed, visible
from honorarium.cli.common import (
    LOCAL_NODE,
    AsJson,
    ManifestFile,
    Rpc,
    SessionName,
    is_session_id,
    session_terms,
    show,
)
from honorarium.cli.place import ChainFolder, contracts_at
from honorarium.errors import InputError
from honorarium.ids import Hash
from honorarium.wholefile import put_whole

WIDEST: Final = 110  # columns: longer lines are hard to read


class EvidenceNotWritten(InputError):
    """Evidence that cannot go where it was wanted."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"no evidence in {path}: {reason}; name another file with -o")


class NotAHash(InputError):
    """Text that is no hash of a block."""

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(
            f"{given!r} is no hash of a block: it has 0x and 64 hexadecimal digits; copy it whole"
        )


def evidence(
    session: SessionName,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The file to write.")],
    paper: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What was kept off the chain, as often as needed: vouchers, a journal, the file "
            "of a meter or a book. Each says itself what it is.",
        ),
    ] = None,
    block: Annotated[
        int | None, typer.Option(min=0, help="As it was after this block (default: the newest).")
    ] = None,
    links: Annotated[
        int,
        typer.Option(
            min=0, help="How many headers at most shall link the session's blocks to the last one."
        ),
    ] = LINKS,
    rpc: Rpc = LOCAL_NODE,
    chain: ChainFolder = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Collect a session's evidence into one file that anyone can verify offline.

    Terms, signatures, vouchers and journal; transactions and receipts with proofs to their blocks'
    headers; the session's storage, proven to the last of them. What the node says is verified
    before it is written, and a node that lies or leaves something out is refused. Ends with 1 if a
    signature or a paper is off: the file shows it, and `honorarium verify` says what.

    Example: honorarium evidence 0x... -o evidence.json --paper voucher.json
    """
    papers = list(paper or ())
    if not is_session_id(session) and Path(session).is_file():
        papers.append(Path(session))
    with contracts_at(rpc, chain, manifest) as contracts:
        terms = session_terms(contracts, session)
        given = read_given(papers, terms, contracts.escrow)
        session_id = terms.session_id(contracts.escrow)
        bundle = evidence_of(contracts, session_id, given, block=block, links=links)
    text = bundle.to_text()
    found = examine(Bundle.from_text(text))
    try:
        put_whole(out, text.encode("ascii"))
    except OSError as error:
        raise EvidenceNotWritten(out, error.strerror or str(error)) from None
    show(
        as_json,
        {
            "session": bundle.session_id,
            "written": str(out),
            "bytes": len(text),
            "block": bundle.blocks[-1].hash,
            "vouchers": len(bundle.vouchers),
            "journal": "not at hand" if bundle.journal is None else len(bundle.journal),
            "acknowledgements": len(bundle.acknowledgements),
            **{each.value: len(found.of(each)) for each in Standing},
        },
    )
    if not found.ok:
        raise typer.Exit(1)


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of evidence.")],
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HASH",
            help="The hash of a block that you know to be on the chain, as often as you like.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a file of evidence, offline: what it proves, what is only claimed, what is off.

    No node is asked. Whoever made the file could have made up its blocks: compare the hash that it
    names with a node or an explorer that you trust, and give it as --header. Ends with 1 if
    anything is off, with 2 if the file is not whole.

    Example: honorarium verify evidence.json --header 0x...
    """
    named = [_hash(each) for each in header or ()]
    found = examine(_read(file), named)
    if as_json:
        typer.echo(json.dumps(as_record(found), indent=2))
    else:
        _show(Console(), found)
    if not found.ok:
        raise typer.Exit(1)


def _read(path: Path) -> Bundle:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be read: {reason}; check its name and folder") from None
    if len(data) > LONGEST:
        raise EvidenceUnreadable(f"it is longer than {LONGEST:,} bytes")
    try:
        return Bundle.from_text(data.decode("ascii"))
    except UnicodeDecodeError:
        raise EvidenceUnreadable("it has characters that do not belong there") from None


def _hash(text: str) -> Hash:
    if not re.fullmatch("0x[0-9a-fA-F]{64}", text):
        raise NotAHash(text)
    return Hash(bytes.fromhex(text[2:]))


# ---------------------------------------------------------------------- on the screen

_TITLES: Final = {
    Standing.PROVEN: ("green", "\N{CHECK MARK}"),
    Standing.CLAIMED: ("yellow", "?"),
    Standing.OFF: ("red", "\N{BALLOT X}"),
}


def _show(console: Console, found: Examined) -> None:
    bundle = found.bundle
    width = min(console.width, WIDEST)
    console.print(Text("Evidence of session ", "bold").append(hexed(bundle.session_id)))
    console.print(
        f"chain {bundle.domain.chain_id}, escrow {checksummed(bundle.domain.contract)}",
        highlight=False,
    )
    for standing, title in _headings(found).items():
        color, mark = _TITLES[standing]
        console.print()
        console.print(Text(title, f"bold {color}"), width=width)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(ratio=1, overflow="fold")
        last = ""
        for each in found.of(standing):
            text = Text(_shortened(visible(each.text), found))
            if each.by:
                text.append(f" Claimed by {visible(each.by)}.", "italic")
            about = "" if each.about == last else each.about
            table.add_row(Text(f"{mark} ", color).append(about, "default"), text)
            last = each.about
        console.print(Padding(table, (0, 0, 0, 1)), width=width)
    console.print()
    console.print(_verdict(found), width=width)
    if found.ok and found.unnamed:
        console.print("To be sure of the blocks, look them up at a node that you trust, and add:")
        for block in found.unnamed:  # whoever copies it gets all of it
            console.print(f"--header {hexed(block)}", highlight=False, soft_wrap=True)


def _shortened(text: str, found: Examined) -> str:
    """Without all digits of the hashes that stand below as a whole."""
    for block in found.unnamed if found.ok else ():
        text = text.replace(hexed(block), hexed(block)[:10] + "...")
    return text


def _headings(found: Examined) -> dict[Standing, str]:
    """The parts that there are, with their titles."""
    down_to = (
        "down to the block that you named"
        if found.anchored
        else "if the blocks are real: see the claims"
    )
    titles = {
        Standing.OFF: "Off",
        Standing.PROVEN: f"Proven, {down_to}",
        Standing.CLAIMED: "Only claimed",
    }
    return {standing: title for standing, title in titles.items() if found.of(standing)}


def _verdict(found: Examined) -> Text:
    counts = {each: len(found.of(each)) for each in Standing}
    if not found.ok:
        what = "thing is" if counts[Standing.OFF] == 1 else "things are"
        return Text(
            f"DO NOT RELY ON IT: {counts[Standing.OFF]} {what} off.",
            "bold red",
        )
    rest = f"{counts[Standing.PROVEN]} statements proven, {counts[Standing.CLAIMED]} only claimed"
    return Text("OK: ", "bold green").append(f"nothing is off; {rest}.", "default")
