"""Writes docs/errors.md: every error, what it means, and what it says.

All of it comes from the classes: their fields, their first words, and their message for sample
values. `python scripts/errors_page.py` writes the page anew; a test compares it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import honorarium
from honorarium.api.problems import status_of
from honorarium.errors import (
    ChainError,
    ContractError,
    DepositTooSmall,
    HonorariumError,
    InputError,
    Panicked,
    Party,
    RevertedWithReason,
    UnknownContractError,
    contract_errors,
    escrow,
    terms,
    token,
)

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

TITLE: Final = """\
# Errors

<!-- scripts/errors_page.py writes this page; tests/test_error_lists.py compares it -->

Whatever this package refuses or fails at is an exception below `HonorariumError`. Each keeps the
values it speaks of as attributes, by the names given here, and its message says what was wrong and
what to do; the messages here are made with sample values. `slug` of the class is the name in words.

A desk answers an error as a problem (RFC 9457, `application/problem+json`): its `type` is
`urn:honorarium:problem:` and the slug, its `title` the class's name, its `detail` the message, and
the error's values are members of it, in camelCase. Slug and HTTP status stand beside each error.

| | means | so |
|---|---|---|
| `ContractError` | a contract refuses; nothing was changed | mend what the message names |
| `InputError` | what was handed in cannot be used; nothing was sent | mend it, and try again |
| `ChainError` | a node or a chain is not what was expected | the message says whether it counted |

After `FateUnknown` alone a transaction may count later: look for its receipt, or try again with the
same `idempotency_key`, and never without one. `TransactionFailed` carries the contract's refusal as
its `reason`; in a batch the refusals stand in the place of the rows.
"""

SECTIONS: Final = (
    ("SessionEscrow and TipJar", (terms, escrow)),
    ("TestUSD, and tokens like it", (token,)),
)

_NUMBERS: Final = {"needed": 250, "given": 9, "available": 9, "limit": 8, "allowed": 3, "have": 9}
_MOMENTS: Final = ("time", "deadline", "until", "after", "before", "ends", "at", "since", "latest")
_DAY: Final = 1_800_000_000


def page() -> str:
    """The page as it has to be."""
    parts = [TITLE, "## A contract refused\n"]
    for title, modules in SECTIONS:
        parts.append(f"### {title}\n")
        for module in modules:
            parts += [_contract(e) for e in contract_errors() if e.__module__ == module.__name__]
    parts.append("### Any contract\n")
    parts += [_contract(e) for e in (RevertedWithReason, Panicked, UnknownContractError)]
    parts.append("## What was handed in\n")
    parts += [_other(each) for each in below(InputError)]
    parts.append("## The node, the chain, this machine\n")
    parts += [_other(each) for each in below(ChainError)]
    return "\n".join(parts)


def below(root: type[HonorariumError]) -> list[type[HonorariumError]]:
    """The errors of a kind that this package has, by module and name."""
    _import_everything()
    found = {each for each in _descendants(root) if each.__module__.startswith("honorarium")}
    return sorted(found, key=lambda each: (each.__module__, each.__name__))


def _import_everything() -> None:
    for found in pkgutil.walk_packages(honorarium.__path__, "honorarium."):
        if found.name.rpartition(".")[2] not in ("__main__", "keeper"):
            importlib.import_module(found.name)


def _descendants(root: type[Any]) -> Iterator[type[Any]]:
    for each in root.__subclasses__():
        yield each
        yield from _descendants(each)


def _contract(error: type[ContractError]) -> str:
    fields = ", ".join(f"{kind} {name}" for kind, name in error.FIELDS)
    selector = f"0x{error.SELECTOR.hex()}" if error is not UnknownContractError else "any other"
    message = str(error(*(_abi_sample(kind, name) for kind, name in error.FIELDS)))
    named = "" if error.__name__ == error.ABI_NAME else f"{error.ABI_NAME}: "
    return _entry(error, f"`{error.__name__}({fields})`", f"{named}selector `{selector}`", message)


def _other(error: type[HonorariumError]) -> str:
    names = [p.name for p in _parameters(error)]
    where = error.__module__
    return _entry(error, f"`{error.__name__}({', '.join(names)})`", f"`{where}`", _message(error))


def _entry(error: type[HonorariumError], head: str, beside: str, message: str) -> str:
    lines = [f"- **{head}** {beside}, problem `{error.slug}` {status_of(error)}  "]
    if meaning := _meaning(error):
        lines.append(f"  {meaning}" + ("  " if message else ""))
    if message:
        short = re.sub(r"0x([0-9a-f]{4})[0-9a-f]{20,}", r"0x\1…", message)
        lines.append(f"  *{_plain(short)}*")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Words that a page shows as they are."""
    return re.sub(r"([*_<>|`\[\]])", r"\\\1", " ".join(text.split()))


def _meaning(error: type[HonorariumError]) -> str:
    own = error.__dict__.get("__doc__") or ""
    return " ".join(inspect.cleandoc(own).split("\n\n")[0].split())


# ---------------------------------------------------------------------- sample values


def _number(name: str, default: int) -> int:
    if any(part in _MOMENTS for part in name.split("_")):
        return _DAY
    return _NUMBERS.get(name, default)


def _abi_sample(kind: str, name: str) -> Any:
    if (kind, name) == ("uint8", "party"):
        return Party.ADVISOR
    if kind == "address":
        return bytes.fromhex("ab" * 20)
    if kind in ("bytes32", "bytes"):
        return bytes.fromhex("cd" * 32)
    if kind == "bool":
        return True
    return "WORDS" if kind == "string" else _number(name, 50)


def _parameters(error: type[HonorariumError]) -> list[inspect.Parameter]:
    if "__init__" not in {name for cls in error.__mro__[:-4] for name in vars(cls)}:
        return []
    found = list(inspect.signature(error.__init__).parameters.values())[1:]
    return [each for each in found if each.kind is not inspect.Parameter.VAR_POSITIONAL]


def _message(error: type[HonorariumError]) -> str:
    try:
        values = {p.name: _sample(p.name, str(p.annotation)) for p in _parameters(error)}
        return str(error(**values)) if values else ""
    except (TypeError, ValueError, AttributeError, LookupError):
        return ""  # its values are no plain ones


def _sample(name: str, kind: str) -> Any:
    first = kind.replace("typing.", "").split("|")[0].strip()
    samples: dict[str, Any] = {
        "str": "https://node.example" if name == "url" else name.upper(),
        "bytes": bytes.fromhex("ab" * 20),
        "Address": bytes.fromhex("ab" * 20),
        "Hash": bytes.fromhex("cd" * 32),
        "SessionId": bytes.fromhex("cd" * 32),
        "Path": Path("FILE"),
        "float": 20.0,
        "object": 50,
        "ContractError": DepositTooSmall(250, 9),
        "Sequence[int]": (1, 2),
        "Iterable[Path]": (Path("FOLDER"),),
    }
    return samples[first] if first in samples else _number(name, 50)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
