"""Writes the table of a desk's settings into docs/desk.md, from `honorarium.desk.Settings`.

`python scripts/settings_page.py` writes it anew; a test compares it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from honorarium.desk.settings import Settings

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "desk.md"
BEGINS: Final = "<!-- scripts/settings_page.py writes from here -->\n"
ENDS: Final = "<!-- to here -->\n"

FLAGS: Final = ("rpc", "manifest", "ledger", "host", "port", "public_url")
"""Settings that `honorarium serve` takes as options too."""


def table() -> str:
    """Every setting: how it is called in a file, its option, its value if nobody says it."""
    lines = ["| setting | option | default | |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        option = f"`--{name.replace('_', '-')}`" if name in FLAGS else ""
        default = _shown(field.get_default(call_default_factory=True))
        lines.append(f"| `{name}` | {option} | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if value is None or value in ("", {}, ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:,}`" if type(value) is int and value >= 10_000 else f"`{value}`"


def page(text: str) -> str:
    """The page with the table in its place."""
    head, found, rest = text.partition(BEGINS)
    _, ended, tail = rest.partition(ENDS)
    if not found or not ended:
        raise SystemExit(f"{PAGE} has no place for the table: {BEGINS.strip()} ... {ENDS.strip()}")
    return f"{head}{BEGINS}\n{table()}\n{ENDS}{tail}"


def main() -> int:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
