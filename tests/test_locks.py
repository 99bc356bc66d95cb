"""Locks of replicas: one holder each, and they fall with the process that holds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from sqlalchemy import text

from databases import Databases
from honorarium.ledger import Ledger
from honorarium.ledger.locks import Locks

HOLDER = """
import sys, time
from honorarium.ledger import Ledger
from honorarium.ledger.locks import Locks
assert Locks(Ledger(sys.argv[1])).take("a name")
print("held", flush=True)
time.sleep(600)
"""

BREAK = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
)


def test_a_name_has_one_holder_until_it_is_given_back(database: str) -> None:
    ledger = Ledger(database)
    one, other = Locks(ledger), Locks(ledger)
    assert one.take("a name")
    assert one.take("a name")
    assert not other.take("a name")
    assert other.take("another/name")
    one.drop("a name")
    assert other.take("a name")
    other.close()
    assert one.take("a name")
    one.close()
    ledger.close()


def test_a_lock_falls_with_its_process(database: str) -> None:
    ledger = Ledger(database)
    locks = Locks(ledger)
    command = [sys.executable, "-c", HOLDER, database]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not locks.take("a name")
        os.kill(holder.pid, signal.SIGKILL)
    until = time.monotonic() + 5
    while not locks.take("a name"):
        assert time.monotonic() < until, "still held 5 seconds after its process was killed"
        time.sleep(0.02)
    locks.close()
    ledger.close()


def test_who_loses_the_database_loses_the_lock_and_may_take_it_again(postgres: Databases) -> None:
    with postgres.empty() as url:
        ledger = Ledger(url)
        one, other = Locks(ledger), Locks(ledger)
        assert one.take("a name")
        with ledger.write() as connection:
            connection.execute(text(BREAK))
        assert other.take("a name")
        assert not one.take("a name")
        other.close()
        assert one.take("a name")
        one.close()
        ledger.close()
