"""A token that calls itself whatever it likes: beyond that it is Test USD."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode

from honorarium.ids import Address

_SYMBOL: Final = bytes.fromhex("95d89b41")

HOSTILE_SYMBOLS: Final = {
    "very long": "LONG" * 2_500,
    "control characters": "\x1b[2J\x1b]0;owned\x07\r\nUSD\x00",
    "a page's script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "turned around": "\u202eDSU\u2066\u200f",
    "a formula": "=cmd|' /C calc'!A0",
    "another formula": "\t@SUM(1+1)*cmd|'/C calc'!A0",
    "a command of LaTeX": "\\input{/etc/passwd}$%#_&~^{}",
    "an entry of a ledger": 'USD"\n2027-01-15 open Assets:Stolen\n; "',
    "markup of the terminal": "[red]USD[/red] [link=http://evil]x[/link] [/]",
    "nothing": "",
}


def code_of(token: Address, symbol: str) -> bytes:
    """Answers `symbol()` itself; all else the code of `token` does, on its own storage."""
    answer = encode(["string"], [symbol])
    size = len(answer).to_bytes(2, "big")
    begin = bytes.fromhex("5f3560e01c63") + _SYMBOL + bytes.fromhex("14603b57")
    pass_on = bytes.fromhex("365f5f375f5f365f73") + token + bytes.fromhex("5af43d5f5f3e")
    done = bytes.fromhex("603757") + bytes.fromhex("3d5ffd") + bytes.fromhex("5b3d5ff3")
    code = begin + pass_on + done
    assert (code[0x37], len(code)) == (0x5B, 0x3B)
    tell = bytes.fromhex("5b61") + size + bytes.fromhex("60485f3961") + size + bytes.fromhex("5ff3")
    assert len(code + tell) == 0x48
    return code + tell + answer
