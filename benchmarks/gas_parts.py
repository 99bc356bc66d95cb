"""Where the gas of a receipt goes: the opcodes of one transaction, from a Ganache's trace.

`benchmarks/gas.py` writes the table into docs/gas.md. Each column adds up to the receipt: what a
transaction costs before any code runs, what each kind of opcode costs in the escrow's code and in
the token's, less what the chain gives back for storage that is as it was (EIP-3529).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from honorarium.chain import Node
from honorarium.ids import Hash

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "gas.md"
BEGIN: Final = "<!-- from here to the next mark `make gas` writes -->\n"
END: Final = "<!-- here it ends -->"

COLUMNS: Final = {
    "open, wallet": "open_wallet_erc20",
    "close, wallet": "close_refund_wallet",
    "settle": "settle_repeat",
    "open, balance": "open_balance",
    "close, balance": "close_refund_balance",
}

TRANSACTION: Final = "the transaction and its calldata"
OWN_CODE: Final = "our own code"
REFUND: Final = "given back (EIP-3529)"
ROWS: Final = (
    TRANSACTION,
    "our storage: reads",
    "our storage: writes",
    "a signature's recovery",
    "calling the token",
    "our event",
    OWN_CODE,
    "the token's storage: reads",
    "the token's storage: writes",
    "the token's event",
    "the token's code",
    REFUND,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction of the benchmark, and what its receipt says."""

    tx_hash: Hash
    data: bytes
    gas: int


def table(node: Node, sent: Sequence[Sent], found: Mapping[str, int]) -> str:
    """The table as Markdown; `found` is what gas.json holds."""
    columns = {
        name: parts(node, next(each for each in sent if each.gas == found[key]))
        for name, key in COLUMNS.items()
    }
    lines = [
        "| | " + " | ".join(columns) + " |",
        "| --- |" + " ---: |" * len(columns),
        *(_line(row, [column[row] for column in columns.values()]) for row in ROWS),
        _line("**the receipt**", [found[key] for key in COLUMNS.values()]),
        _line("without our own code", [sum(c.values()) - c[OWN_CODE] for c in columns.values()]),
    ]
    return "\n".join(lines) + "\n"


def write(made: str, page: Path = PAGE) -> None:
    """Puts the table between the page's two marks."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{made}{END}{after}", encoding="utf-8")


def parts(node: Node, sent: Sent) -> Counter[str]:
    """The parts of one receipt, in gas. Raises ValueError if they do not add up to it."""
    cost: Counter[str] = Counter()
    cost[TRANSACTION] = 21_000 + sum(16 if byte else 4 for byte in sent.data)
    for depth, opcode, gas in _steps(_trace(node, sent.tx_hash)):
        cost[_row(opcode, own=depth == 1)] += gas
    cost[REFUND] = sent.gas - sum(cost.values())
    if cost[REFUND] not in (0, -2_800):  # the guard, 1 again after 2
        raise ValueError(f"{cost[REFUND]} gas of {sent} is not explained")
    return cost


def _row(opcode: str, *, own: bool) -> str:
    whose = "our" if own else "the token's"
    match opcode:
        case "SLOAD":
            return f"{whose} storage: reads"
        case "SSTORE":
            return f"{whose} storage: writes"
        case "precompile":
            return "a signature's recovery"
        case "CALL" | "STATICCALL":
            return "calling the token"
    if opcode.startswith("LOG"):
        return f"{whose} event"
    return OWN_CODE if own else "the token's code"


def _trace(node: Node, tx_hash: Hash) -> list[tuple[int, str, int]]:
    """Depth, opcode and the gas left before it, for each step."""
    options = {"disableMemory": True, "disableStorage": True, "disableStack": True}
    found: dict[str, Any] = node.request("debug_traceTransaction", ["0x" + tx_hash.hex(), options])
    return [(s["depth"], s["op"], int(str(s["gas"]), 0)) for s in found["structLogs"]]


def _steps(trace: list[tuple[int, str, int]]) -> Iterator[tuple[int, str, int]]:
    """Depth from 1, opcode, and what it cost by itself: a call without what it called."""
    top = trace[0][0]
    within: list[int] = []  # for each frame, what it used so far
    waiting: list[tuple[int, str, int]] = []  # calls that have not returned
    for i, (depth, opcode, gas) in enumerate(trace):
        while len(within) <= depth - top:
            within.append(0)
        while len(within) > depth - top + 1:
            used = within.pop()
            at, call, before = waiting.pop()
            within[-1] += before - gas
            yield at, call, before - gas - used
        if i + 1 == len(trace) or trace[i + 1][0] < depth:
            continue  # STOP and RETURN cost nothing
        if trace[i + 1][0] > depth:
            waiting.append((depth - top + 1, opcode, gas))
            continue
        cost = gas - trace[i + 1][2]
        within[-1] += cost
        precompile = opcode in ("CALL", "STATICCALL") and cost >= 3_000
        yield depth - top + 1, "precompile" if precompile else opcode, cost


def _line(name: str, values: list[int]) -> str:
    return f"| {name} | " + " | ".join(f"{value:,}" if value else "" for value in values) + " |"
