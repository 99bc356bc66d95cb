"""The advisor's side: quotes and earnings, and the place at a desk."""

from honorarium.advisor.advisor import Advisor, AsyncAdvisor, Earned
from honorarium.advisor.agent import Agent, AsyncAgent, Policy
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
from honorarium.protocol.offer import Offer

__all__ = [
    "Advisor",
    "Agent",
    "AsyncAdvisor",
    "AsyncAgent",
    "ClientSilent",
    "Earned",
    "Equivocated",
    "Equivocation",
    "Exposure",
    "Left",
    "NotFunded",
    "Offer",
    "Paused",
    "Policy",
    "Stop",
    "Stopped",
    "Superseded",
    "Unpaid",
    "VoucherBook",
    "WrongAdvisorKey",
]
