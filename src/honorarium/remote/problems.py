"""What a desk refuses, as the exceptions that the SDK raises without one.

A problem (RFC 9457) names the class of the error and carries its fields, so a contract's refusal
comes back with its numbers, whoever asked the contract.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from honorarium.chain.node import from_hex
from honorarium.errors import ChainError, ContractError, HonorariumError, NodeUnreachable
from honorarium.errors.chain import shown_url
from honorarium.remote.web import Reply

_STANDARD: Final = ("type", "title", "status", "detail", "instance")
_OURS: Final = ("honorarium.errors", "honorarium.protocol", "honorarium.chain")
_WORD: Final = re.compile(r"_([a-z0-9])")


class DeskUnreachable(NodeUnreachable):
    """No desk answers at `url`, or what answers is none."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        ChainError.__init__(
            self,
            f"no desk answers at {shown_url(url)}: {reason}; check that one runs there, or start "
            "one with `honorarium serve`; what was handed over may still be done: hand it over "
            "again with the same idempotency key",
        )


class DeskRefused(ChainError):
    """The desk refused for a reason of its own. `members`: what else its problem says."""

    def __init__(
        self, title: str, status: int, detail: str, members: Mapping[str, Any] | None = None
    ) -> None:
        self.title, self.status, self.detail = title, status, detail
        self.members = dict(members or {})
        super().__init__(f"the desk refused it ({title}, HTTP {status}): {detail}")


def problem_of(reply: Reply) -> HonorariumError:
    """The error that an answer of HTTP 400 or more tells of."""
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        said = reply.body[:80].decode("utf-8", "replace")
        return DeskRefused("no problem of ours", reply.status, said or "it says nothing")
    return read_problem(found, reply.status)


def read_problem(found: Mapping[str, Any], status: int = 0) -> HonorariumError:
    """The error that a problem names, as the SDK raises it; DeskRefused for those of the desk."""
    title, detail = str(found.get("title", "")), str(found.get("detail", ""))
    members = {name: value for name, value in found.items() if name not in _STANDARD}
    if isinstance(number := found.get("status"), int):
        status = number
    kind = _known().get(title)
    if kind is not None:
        try:
            return _made(kind, members)
        except (KeyError, ValueError, TypeError, AttributeError):
            pass  # of another version, perhaps: told in its own words
    return DeskRefused(title or "an error", status, detail, members)


def _known() -> dict[str, type[HonorariumError]]:
    """The errors that whoever works without a desk meets too, by name."""
    return {kind.__name__: kind for kind in _below(HonorariumError)}


def _below(kind: type[HonorariumError]) -> Iterator[type[HonorariumError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith(_OURS):
            yield each
        yield from _below(each)


def _made(kind: type[HonorariumError], members: Mapping[str, Any]) -> HonorariumError:
    values = {name: _value(wanted, members, name) for name, wanted in _fields(kind).items()}
    return kind(**values)


def _fields(kind: type[HonorariumError]) -> dict[str, Any]:
    """What it is made of: names, and the types of their values."""
    if issubclass(kind, ContractError):
        hints = get_type_hints(kind)
        return {name: hints[name] for _, name in kind.FIELDS}
    hints = get_type_hints(kind.__init__)
    parameters = list(inspect.signature(kind.__init__).parameters)[1:]
    return {name: hints[name] for name in parameters}


def _value(wanted: Any, members: Mapping[str, Any], name: str) -> Any:
    """Raises KeyError or ValueError for what is missing or of another kind."""
    given = members[_WORD.sub(lambda found: found[1].upper(), name)]
    return _as(wanted, given)


def _as(wanted: Any, given: Any) -> Any:
    wanted = getattr(wanted, "__supertype__", wanted)
    if get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    if get_origin(wanted) is Union or type(wanted).__name__ == "UnionType":
        if given is None and type(None) in get_args(wanted):
            return None
        return _as(next(each for each in get_args(wanted) if each is not type(None)), given)
    if wanted is bytes and isinstance(given, str):
        return from_hex(given)
    if wanted is int and type(given) in (int, str):
        return int(given)
    if isinstance(wanted, type) and issubclass(wanted, IntEnum):
        return wanted(int(given))
    if wanted is float and type(given) in (int, float):
        return float(given)
    if (wanted is str or wanted is bool) and isinstance(given, wanted):
        return given
    raise ValueError(f"{given!r} is no {wanted}")
