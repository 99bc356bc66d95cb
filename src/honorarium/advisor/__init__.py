"""The advisor's side: quotes and earnings."""

from honorarium.advisor.advisor import Advisor, AsyncAdvisor, Earned
from honorarium.advisor.vouchers import VoucherBook, WrongAdvisorKey
from honorarium.protocol.book import Equivocation, NotFunded, Superseded
from honorarium.protocol.exposure import (
    ClientSilent,
    Equivocated,
    Exposure,
    Left,
    Paused,
    Stop,
    Stopped,
    Unpaid,
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
