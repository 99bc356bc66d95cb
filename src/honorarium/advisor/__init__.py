"""The advisor's side: quotes and earnings."""

from honorarium.advisor.advisor import Advisor, AsyncAdvisor, Earned
from honorarium.advisor.exposure import (
    ClientSilent,
    Equivocated,
    Exposure,
    Left,
    Paused,
    Stop,
    Stopped,
    Unpaid,
)
from honorarium.advisor.vouchers import (
    Equivocation,
    NotFunded,
    Superseded,
    VoucherBook,
    WrongAdvisorKey,
)

__all__ = [
    "Advisor",
    "AsyncAdvisor",
    "ClientSilent",
    "Earned",
    "Equivocated",
    "Equivocation",
    "Exposure",
    "Left",
    "NotFunded",
    "Paused",
    "Stop",
    "Stopped",
    "Superseded",
    "Unpaid",
    "VoucherBook",
    "WrongAdvisorKey",
]
