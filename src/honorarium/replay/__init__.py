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
from honorarium.replay.tariffs import ServiceTariff, TariffFileError, Tariffs, load_tariffs

__all__ = [
    "Call",
    "CallsFileError",
    "JournalNote",
    "Kind",
    "MadeUp",
    "PhantomRow",
    "Plan",
    "PlanSettingRefused",
    "PlannedSession",
    "RefusedRow",
    "ServiceTariff",
    "Step",
    "StepKind",
    "TariffFileError",
    "Tariffs",
    "Totals",
    "WrongColumns",
    "load_tariffs",
    "plan_calls",
    "read_calls",
]
