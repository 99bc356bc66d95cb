"""What the Brownie suite shares: a fresh chain for each test, accounts that can sign, contracts."""

import pytest
from brownie import TestUSD, accounts, run


@pytest.fixture(autouse=True)
def isolation(fn_isolation):
    """Each test starts from the same chain."""


@pytest.fixture(scope="module")
def token():
    return TestUSD.deploy({"from": accounts[0]})


@pytest.fixture(scope="module")
def deployed(module_isolation):
    """The contracts by their names, as scripts/deploy.py puts them on the chain."""
    return run("deploy")


@pytest.fixture(scope="module")
def holder():
    """An account whose key the tests hold, with coin for gas and 100 tUSD to come."""
    return accounts.add("0x" + "51" * 32)
