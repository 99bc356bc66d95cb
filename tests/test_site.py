"""The site: it builds without a warning, loads nothing, and nothing public is missing from it."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("client", "advisor", "chain", "protocol", "money", "units", "errors")


@pytest.fixture(scope="session")
def names() -> Iterator[ModuleType]:
    """What the site knows of the packages' names."""
    sys.path.insert(0, str(ROOT / "docs" / "_site"))
    yield importlib.import_module("names")
    sys.path.pop(0)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", "html"]
    command += ["-d", str(folder / "pages"), str(ROOT / "docs"), str(folder / "html")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert built.returncode == 0, built.stderr[-4000:]
    return folder / "html"


class Page(HTMLParser):
    """What a page links to, what it loads, and which places it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.places.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("script", "img", "iframe", "source") and "src" in given:
            self.loads.append(given["src"])
        elif tag == "link" and given.get("rel") not in ("index", "search", "next", "prev"):
            self.loads.append(given.get("href", ""))


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_in_the_table_of_contents(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert name == "index.html" or f'href="{name}"' in start, f"{name} is not in the contents"


def test_no_link_of_the_site_is_dead(site: Path, pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target not in pages and not target.is_file():
                dead.append(f"{path.relative_to(site)}: {link}")
            elif parts.fragment and target in pages:
                known = pages[target].places
                if parts.fragment not in known and unquote(parts.fragment) not in known:
                    dead.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) > 60
    assert not dead, "\n".join(dead)


def test_no_page_loads_anything_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        foreign = [each for each in page.loads if urlsplit(each).netloc]
        assert not foreign, f"{path.relative_to(site)} loads {foreign}"
    for style in site.rglob("*.css"):
        found = re.findall(r"url\(['\"]?(?:https?:)?//[^)]*\)|@import[^;]*", style.read_text())
        assert not found, f"{style.relative_to(site)} loads {found}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_documented_and_on_the_site(
    package: str, names: ModuleType, pages: dict[Path, Page]
) -> None:
    module = f"honorarium.{package}"
    places = {place for page in pages.values() for place in page.places}
    public: list[str] = names.public(module)
    assert len(public) > 3
    for name in public:
        assert names.documentation(module, name), f"{module}.{name} has no docstring"
        assert f"{module}.{name}" in places, f"{module}.{name} is not on the site"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_method_has_a_docstring(package: str, names: ModuleType) -> None:
    module = importlib.import_module(f"honorarium.{package}")
    for name in names.public(module.__name__):
        value = getattr(module, name)
        assert not inspect.isfunction(value) or value.__doc__, name
        for own, member in vars(value).items() if inspect.isclass(value) else ():
            kind = isinstance(member, property | classmethod | staticmethod)
            if not own.startswith("_") and (kind or inspect.isfunction(member)):
                assert inspect.getdoc(getattr(value, own)), f"{module.__name__}.{name}.{own}"


def test_both_forms_of_a_method_have_the_same_signature_on_the_site(site: Path) -> None:
    text = (site / "reference" / "client.html").read_text(encoding="utf-8")
    signatures = {}
    for form in ("Client", "AsyncClient"):
        place = f'id="honorarium.client.{form}.open"'
        start = text.index(place)
        end = text.index("</dt>", start)
        shown = re.sub(r"<[^>]+>|\s+", " ", text[start:end])
        signatures[form] = re.sub(r"\s+", " ", shown.partition("open")[2])
    assert "idempotency_key" in signatures["Client"]
    told = {form: re.sub(r"^.*?\(", "(", text) for form, text in signatures.items()}
    assert told["Client"] == told["AsyncClient"]


def test_files_of_the_repository_that_pages_link_to_are_pages_themselves(site: Path) -> None:
    page = (site / "operations" / "answer.html").read_text(encoding="utf-8")
    assert "../source/contracts/Ratings.sol.html" in page
    shown = (site / "source" / "contracts" / "Ratings.sol.html").read_text(encoding="utf-8")
    assert "ratingOf" in shown
