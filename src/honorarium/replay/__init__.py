"""A call centre's records as paid sessions."""

from honorarium.replay.calls import (
    Call,
    CallsFileError,
    Kind,
    PhantomRow,
    RefusedRow,
    WrongColumns,
    read_calls,
)
from honorarium.replay.outcome import NotAsPlanned, write_outcome
from honorarium.replay.plan import (
    JournalNote,
    MadeUp,
    Plan,
    PlannedSession,
    PlanSettingRefused,
    Step,
    StepKind,
    Totals,
    plan_calls,
)
from honorarium.replay.run import Pace, StepFailed, run
from honorarium.replay.stage import (
    FolderUnusable,
    NoOperator,
    OtherChain,
    OtherOperator,
    OtherReplay,
    Ready,
    set_up,
)
from honorarium.replay.tariffs import ServiceTariff, TariffFileError, Tariffs, load_tariffs
from honorarium.replay.through_desk import at_desk, run_through

__all__ = [
    "Call",
    "CallsFileError",
    "FolderUnusable",
    "JournalNote",
    "Kind",
    "MadeUp",
    "NoOperator",
    "NotAsPlanned",
    "OtherChain",
    "OtherOperator",
    "OtherReplay",
    "Pace",
    "PhantomRow",
    "Plan",
    "PlanSettingRefused",
    "PlannedSession",
    "Ready",
    "RefusedRow",
    "ServiceTariff",
    "Step",
    "StepFailed",
    "StepKind",
    "TariffFileError",
    "Tariffs",
    "Totals",
    "WrongColumns",
    "at_desk",
    "load_tariffs",
    "plan_calls",
    "read_calls",
    "run",
    "run_through",
    "set_up",
    "write_outcome",
]
