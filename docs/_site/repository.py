"""Links from the pages into the repository, and pages that live elsewhere in it.

In the repository a page links to `../contracts/Sessions.sol`, and that must work there. On the site
such a file becomes a page of its own, with its lines numbered; a folder becomes a list. A page that
stands elsewhere (SECURITY.md) has a stub in docs/, and the site shows the page in its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
SHOWN = {
    "security": ROOT / "SECURITY.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "changelog": ROOT / "CHANGELOG.md",
    "examples": ROOT / "examples" / "README.md",
}
LANGUAGES = {".sol": "solidity", ".py": "python", ".json": "json", ".md": "markdown"}

_FENCES = re.compile(r"(^```.*?^```[^\n]*$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)((?:#[^)\s]*)?)(?=\))")


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Shows the page that a stub stands for, and points the links where the site has them."""
    page = DOCS / f"{docname}.md"
    shown = SHOWN.get(docname, page)
    text = source[0] if shown == page else shown.read_text(encoding="utf-8")
    wanted: set[Path] = set()

    def place(link: re.Match[str]) -> str:
        target, anchor = link[1], link[2]
        if "://" in target or target.startswith("mailto:"):
            return link[0]
        path = (shown.parent / target).resolve()
        for stub, original in SHOWN.items():
            if path == original:
                path = DOCS / f"{stub}.md"
        if path.is_relative_to(DOCS):
            return os.path.relpath(path, page.parent) + anchor
        if not path.is_relative_to(ROOT) or not path.exists():
            return link[0]  # there is nothing, and the build says so
        wanted.add(path)
        return f"source:{path.relative_to(ROOT)}"

    if page.name == "README.md":
        text += _contents(page, text)
    parts = _FENCES.split(text)
    parts[::2] = [_LINK.sub(place, part) for part in parts[::2]]
    source[0] = "".join(parts)
    known: set[Path] = getattr(app.env, "repository_files", set())
    app.env.repository_files = known | wanted  # type: ignore[attr-defined]


def _contents(page: Path, text: str) -> str:
    """The pages of its folder that a README names, in its order, for the table of contents."""
    named = dict.fromkeys(target for target, _ in _LINK.findall(text) if "/" not in target)
    names = [target.removesuffix(".md") for target in named if (page.parent / target).is_file()]
    return "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```\n"


def point(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """`source:` as an address from this page on."""
    up = "../" * docname.count("/")
    for link in doctree.findall(nodes.reference):
        target = link.get("refuri", "")
        if target.startswith("source:"):
            link["refuri"] = f"{up}source/{target.removeprefix('source:')}.html"
            link["internal"] = True


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each file and folder that a link leads to."""
    linked: set[Path] = getattr(app.env, "repository_files", set())
    wanted = set(linked)
    for path in linked:
        if path.is_dir():
            wanted |= {each for each in path.rglob("*") if _is_shown(each)}
    for path in sorted(wanted):
        name = path.relative_to(ROOT).as_posix()
        body = _folder(path) if path.is_dir() else _file(app, path)
        trail = " / ".join(escape(part) for part in name.split("/"))
        context = {
            "title": name,
            "body": f"<h1>{trail}</h1>{body}",
            "toc": "",
            "display_toc": False,
            "parents": [],
        }
        yield f"source/{name}", context, "page.html"


def _is_shown(path: Path) -> bool:
    hidden = any(part.startswith((".", "__")) for part in path.relative_to(ROOT).parts)
    return not hidden and (path.is_dir() or path.suffix in (*LANGUAGES, ".tree", ".toml"))


def _folder(folder: Path) -> str:
    entries = [each for each in sorted(folder.iterdir()) if _is_shown(each)]
    items = "".join(
        f'<li><a href="{folder.name}/{escape(each.name)}.html"><code>{escape(each.name)}'
        f"{'/' if each.is_dir() else ''}</code></a></li>"
        for each in entries
    )
    return f"<ul>{items}</ul>"


def _file(app: Sphinx, path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    language = LANGUAGES.get(path.suffix, "text")
    lines: str = app.builder.highlighter.highlight_block(  # type: ignore[attr-defined]
        text, language, force=True, linenos="inline"
    )
    return lines


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", read)
    app.connect("doctree-resolved", point)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
