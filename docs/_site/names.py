"""The reference: every public name of a package, from what it is at runtime and its docstring.

On a page of the reference a block lists names of a package:

    ```{names} honorarium.client
    Client
    AsyncClient
    ```

`...` stands for all public names that no other block of the page lists. So nothing that a package
exports can be missing. Methods made by `blocking` are functions with the docstring and signature of
the coroutine that they wait for, and show as such.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from functools import cache
from types import ModuleType
from typing import Any, NewType

from sphinx.application import Sphinx
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer

_BLOCK = re.compile(r"^```\{names\} (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TREE = re.compile(r"^```\{tree\} (\S+)\n```$", re.MULTILINE)

PACKAGES = tuple(
    f"honorarium.{name}"
    for name in (
        *("errors", "units", "money", "protocol", "chain", "advisor", "client"),
        "statement",
    )
)
"""What the reference documents, lower packages first."""

FACADES = ("Account", "AsyncAccount", "Client", "AsyncClient", "Advisor", "AsyncAdvisor")
"""Classes whose inherited methods are shown with their own."""


def public(package: str) -> list[str]:
    """What a package exports, in its own order; of a module, what it defines."""
    module = importlib.import_module(package)
    if hasattr(module, "__path__"):
        return list(module.__all__)
    documented = set(_attribute_docs(package))
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (name in documented or getattr(value, "__module__", "") == package)
    ]


def documentation(package: str, name: str) -> str:
    """The docstring of a public name; of a constant or an alias, what stands below it."""
    value = getattr(importlib.import_module(package), name)
    if _is_data(value):
        for module in (package, *_modules()):
            if found := _attribute_docs(module).get(name):
                return found
        return _one_of(value)
    return inspect.cleandoc(value.__doc__ or "")


def _one_of(value: object) -> str:
    """What can be said of a union of classes that nobody described."""
    kinds = getattr(value, "__args__", ())
    return f"One of {', '.join(f'`{kind.__name__}`' for kind in kinds)}." if kinds else ""


def _is_data(value: object) -> bool:
    return isinstance(value, NewType) or not (
        inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value)
    )


@cache
def _modules() -> tuple[str, ...]:
    root = importlib.import_module("honorarium")
    return tuple(
        each.name
        for each in pkgutil.walk_packages(root.__path__, "honorarium.")
        if _pure(each.name)
    )


def _pure(name: str) -> bool:
    return not name.startswith("honorarium.cli") and not name.endswith("__main__")


@cache
def _attribute_docs(module: str) -> dict[str, str]:
    try:
        found = ModuleAnalyzer.for_module(module).find_attr_docs()
    except PycodeError:
        return {}
    return {name: "\n".join(lines).strip() for (scope, name), lines in found.items() if not scope}


# ------------------------------------------------------------------------------- blocks of names


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Blocks of names become what autodoc reads."""
    text = source[0]
    listed: dict[str, set[str]] = {}
    for package, names in _BLOCK.findall(text):
        listed.setdefault(package, set()).update(names.split())

    def block(found: re.Match[str]) -> str:
        package, names = found[1], found[2].split()
        if names == ["..."]:
            names = [name for name in public(package) if name not in listed[package]]
        entries = "\n\n".join(entry(package, name) for name in names)
        return f"```{{eval-rst}}\n{entries}\n```" if entries else ""

    def tree(found: re.Match[str]) -> str:
        told = importlib.import_module(found[1]).__doc__ or ""
        return "```text\n" + told.split("\n\n")[1] + "\n```"

    source[0] = _TREE.sub(tree, _BLOCK.sub(block, text))


def entry(package: str, name: str) -> str:
    """One name, as autodoc's or the Python domain's own directive."""
    value = getattr(importlib.import_module(package), name)
    full = f"{package}.{name}"
    if inspect.ismodule(value):
        return f".. py:data:: {full}\n\n   {_first(value)} See :ref:`below <{full}>`."
    if (elsewhere := _documented_elsewhere(package, name)) is not None:
        return f".. py:data:: {full}\n\n   The same as :py:class:`{elsewhere}`."
    if _is_data(value):
        return _data(full, value, documentation(package, name))
    if inspect.isclass(value):
        if issubclass(value, BaseException):
            return f".. autoexception:: {full}\n   :show-inheritance:"
        options = [":members:", ":exclude-members: TYPE, TOPIC"]
        if name in FACADES:
            options.append(":inherited-members: object, Protocol")
        if hasattr(value, "__members__"):
            options.append(":undoc-members:")
        return "\n".join((f".. autoclass:: {full}", *(f"   {option}" for option in options)))
    return f".. autofunction:: {full}"


def _documented_elsewhere(package: str, name: str) -> str | None:
    """A package that also exports what a lower one documents."""
    value = getattr(importlib.import_module(package), name)
    below = PACKAGES[: PACKAGES.index(package)] if package in PACKAGES else ()
    for lower in below if inspect.isclass(value) else ():
        if getattr(importlib.import_module(lower), name, None) is value and name in public(lower):
            return f"{lower}.{name}"
    return None


def _first(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().partition("\n")[0]


def _data(full: str, value: Any, told: str) -> str:
    body = "\n".join(f"   {line}".rstrip() for line in _linked(told).splitlines())
    if isinstance(value, NewType):
        return f".. py:type:: {full}\n   :canonical: {value.__supertype__.__name__}\n\n{body}"
    if isinstance(value, int | str | bytes):
        return f".. py:data:: {full}\n   :value: {value!r}\n\n{body}"
    if type(value).__module__ in ("typing", "types"):
        return f".. py:type:: {full}\n\n{body}"
    return f".. py:data:: {full}\n\n{body}"


# ------------------------------------------------------------------------------------ docstrings


@cache
def _errors() -> tuple[re.Pattern[str], dict[str, str]]:
    """Where each error is documented, by its name."""
    found: dict[str, str] = {}
    for package in ("errors", "protocol", "chain", "advisor", "client"):
        module = importlib.import_module(f"honorarium.{package}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and issubclass(value, BaseException):
                found.setdefault(name, f"honorarium.{package}.{name}")
    return re.compile(rf"\b({'|'.join(found)})\b"), found


def _linked(text: str) -> str:
    """Errors that a docstring names become links."""
    pattern, places = _errors()
    parts = re.split(r"(``[^`]*``|`[^`]*`)", text)
    parts[::2] = [
        pattern.sub(lambda name: f":py:exc:`~{places[name[1]]}`", part) for part in parts[::2]
    ]
    return "".join(parts)


def docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    text = "\n".join(lines)
    if what == "class" and (twin := re.match(r"As (Async\w+), [^.]*\.", text)):
        # What is said once, of the form for asyncio, holds for both.
        whole = getattr(importlib.import_module(obj.__module__), twin[1])
        text = f"{inspect.getdoc(whole)}\n\n{text}"
    for argument in _arguments(obj):  # `deposit` is what the caller gives, not the method
        text = text.replace(f"`{argument}`", f"``{argument}``")
    lines[:] = _linked(text).split("\n")


def _arguments(obj: Any) -> list[str]:
    try:
        return list(inspect.signature(obj).parameters) if callable(obj) else []
    except (ValueError, TypeError):
        return []


def signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    given: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Shorter: defaults that are objects show as what one would write."""
    return _plain(given), _plain(returns)


def _plain(text: str | None) -> str | None:
    """Aliases within unions by their names, and defaults as one would write them."""
    if text is None:
        return None
    text = re.sub(r"Fees\(tip=[^)]*\)", "Fees()", text)
    return re.sub(r"TypeAliasForwardRef\('([^']*)'\)", r"\1", text)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
