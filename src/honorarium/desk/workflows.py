"""Settlements as durable workflows, on DBOS.

DBOS keeps which steps of a workflow are done in its own tables, and starts what a crash interrupted
behind the last of them. Every process is an executor of its own name: DBOS would else run one
workflow twice. What it does not do is to notice that an executor died; `Settler` does.

DBOS is one per process, so this module has one current engine.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import make_url

from honorarium.desk.settlement import Settlements
from honorarium.ledger import Ledger, settling
from honorarium.ledger.locks import Locks

log = logging.getLogger(__name__)

NAME: Final = "honorarium-desk"
VERSION: Final = "1"
"""The version of the steps: a replica takes over what replicas of the same version left."""

AT_ONCE: Final = 16
"""So many settlements a replica follows at once."""

_LAUNCHING: Final = "launching"
_FINISHED: Final = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class Workflows:
    """Runs the steps of settlements, one after the other, whoever dies."""

    _current: Workflows | None = None

    def __init__(self, ledger: Ledger, locks: Locks, steps: Settlements, replica: str) -> None:
        self._ledger, self._locks, self.steps, self.replica = ledger, locks, steps, replica

    def launch(self) -> None:
        """Starts the engine. Raises RuntimeError if this process has one."""
        if Workflows._current is not None:
            raise RuntimeError("a process settles for one desk at a time")
        Workflows._current = self
        config: DBOSConfig = {
            "name": NAME,
            "system_database_url": system_database(self._ledger),
            "executor_id": self.replica,
            "application_version": VERSION,
            "log_level": "ERROR",
            "max_executor_threads": AT_ONCE + 8,
            "sys_db_pool_size": 5,
        }
        with self._alone():  # its migrations don't expect company
            DBOS(config=config)
            DBOS.launch()

    def stop(self) -> None:
        """Ends the engine; what runs is left as it is, for another replica or the next start."""
        self.steps.stop.set()
        DBOS.destroy()
        Workflows._current = None

    def start(self, batch: str) -> None:
        """Begins to settle a batch."""
        with SetWorkflowID(batch):
            DBOS.start_workflow(_settle, batch)

    def adopt(self, batch: str) -> None:
        """Goes on with what another replica left. Again is fine."""
        found = DBOS.get_workflow_status(batch)
        if found is None:
            self.start(batch)  # it was claimed, and no more
        elif found.status in _FINISHED:
            with SetWorkflowID(f"{batch}/{uuid.uuid4().hex[:8]}"):
                DBOS.start_workflow(_settle, batch)
        else:
            DBOS.resume_workflow(batch)

    def adopt_all(self, replica: str) -> None:
        """Goes on with whatever a dead executor was running."""
        for one in DBOS.list_workflows(
            executor_id=[replica], status="PENDING", load_input=False, load_output=False
        ):
            DBOS.resume_workflow(one.workflow_id)

    def settle(self, batch: str) -> None:
        """The workflow. What it does between its steps may be done again."""
        steps = self.steps
        if not steps.goes_on(batch, self.replica):
            return
        try:
            if DBOS.run_step({"name": "send"}, steps.send, batch):
                final = DBOS.run_step({"name": "confirm"}, steps.confirm, batch)
                DBOS.run_step({"name": "record"}, steps.record, batch, final)
        except Exception as error:
            log.exception("settling %s", batch)
            steps.give_up(batch, f"{type(error).__name__}: {error}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        while not self._locks.take(_LAUNCHING):
            time.sleep(0.05)
        try:
            yield
        finally:
            self._locks.drop(_LAUNCHING)


@DBOS.workflow(name="settle")
def _settle(batch: str) -> None:
    current = Workflows._current
    assert current is not None, "workflows run between launch and stop"
    current.settle(batch)


def system_database(ledger: Ledger) -> str:
    """Where DBOS keeps its tables: a file beside SQLite's, a schema of its own in PostgreSQL."""
    if not ledger.is_sqlite:
        return ledger.url
    path = make_url(ledger.url).database
    return f"sqlite:///{path}.workflows"


def left_by(ledger: Ledger, replica: str) -> list[str]:
    """The batches that a replica has not brought to their end."""
    with ledger.read() as connection:
        return list(settling.left_by(connection, replica))
