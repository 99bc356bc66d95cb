"""Chains that the tests share: real ones, on ports of their own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from databases import Databases
from honorarium.chain import Contracts, LocalChain, Manifest, Node, deploy
from honorarium.protocol.keys import Key
from serving import Serving, serving


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Outboxes go where they can be left behind."""
    os.environ["HONORARIUM_STATE"] = str(tmp_path_factory.mktemp("state"))


@dataclass(frozen=True)
class Place:
    """A running chain with the contracts on it."""

    chain: LocalChain
    manifest: Manifest

    def key(self, name: str) -> Key:
        return self.chain.accounts[name]


def _deployed(chain: LocalChain) -> Place:
    with Node(chain.url) as node:
        return Place(chain, deploy(node, chain.accounts["operator"], test_token=True))


@pytest.fixture(scope="session")
def ganache() -> Iterator[Place]:
    """A Ganache with the contracts; whoever uses it leaves the others' sessions alone."""
    with LocalChain.start(engine="ganache") as chain:
        yield _deployed(chain)


@pytest.fixture(scope="session")
def anvil() -> Iterator[Place]:
    """An Anvil with the contracts."""
    with LocalChain.start(engine="anvil") as chain:
        yield _deployed(chain)


@pytest.fixture(params=["ganache", "anvil"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each test runs on both chains."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def logs_as_they_were() -> Iterator[None]:
    """A test that sets up a desk's log takes nothing from the tests' own."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def chain() -> Iterator[LocalChain]:
    """A chain of the module's own, with the contracts."""
    with LocalChain.start() as chain:
        Contracts.deploy(chain).close()
        yield chain


@pytest.fixture(scope="module")
def desk(chain: LocalChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The desk of that chain's operator. Modules that need another kind have their own."""
    folder = tmp_path_factory.mktemp("desk")
    with serving(chain.url, chain.accounts["operator"], folder) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A PostgreSQL: the one of DATABASE_URL, else one of the tests' own."""
    with Databases.serve() as databases:
        yield databases


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database; each test runs on both kinds."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    else:
        databases: Databases = request.getfixturevalue("postgres")
        with databases.empty() as url:
            yield url


@pytest.fixture
def node(place: Place) -> Iterator[Node]:
    """A connection of the test's own to its chain."""
    with Node(place.chain.url) as node:
        yield node
