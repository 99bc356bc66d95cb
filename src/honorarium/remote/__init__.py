"""A desk from afar: the SDK's side of `honorarium serve`.

`Desk` stands in the place of `Contracts`: give it to a client or an advisor, and everything is the
same call, without a node and without gas.
"""

from honorarium.remote.api import Api, AsyncApi, OtherDesk, SignedIn
from honorarium.remote.desk import AsyncDesk, Desk
from honorarium.remote.problems import DeskRefused, DeskUnreachable
from honorarium.remote.refusals import (
    DeskNotNamed,
    NotADesk,
    NotSentHere,
    NotSettledYet,
    OtherQuote,
)
from honorarium.remote.values import Earnings, Enrolled, Facts

__all__ = [
    "Api",
    "AsyncApi",
    "AsyncDesk",
    "Desk",
    "DeskNotNamed",
    "DeskRefused",
    "DeskUnreachable",
    "Earnings",
    "Enrolled",
    "Facts",
    "NotADesk",
    "NotSentHere",
    "NotSettledYet",
    "OtherDesk",
    "OtherQuote",
    "SignedIn",
]
