"""The client's side: a wallet that opens sessions, and a meter that counts them."""

from honorarium.bill.errors import (
    ForeignRecord,
    LogContradicts,
    RateNotUsable,
    SessionRevoked,
    SessionUnknown,
    TimeMissing,
    WrongDomain,
    WrongToken,
    ZoneUnknown,
)
from honorarium.client.client import AsyncClient, Client, OpenSession
from honorarium.client.live import AsyncLiveMeter, LiveMeter, OtherAcknowledger
from honorarium.client.meter import Meter, NotMetered, WrongMeterKey
from honorarium.client.notices import (
    AdvisorSilent,
    FundsLow,
    FundsSpent,
    Held,
    Limit,
    Notice,
    OtherReading,
    Resumed,
    Stopped,
    Tick,
)
from honorarium.client.receipt import Contact, Receipt

__all__ = [
    "AdvisorSilent",
    "AsyncClient",
    "AsyncLiveMeter",
    "Client",
    "Contact",
    "ForeignRecord",
    "FundsLow",
    "FundsSpent",
    "Held",
    "Limit",
    "LiveMeter",
    "LogContradicts",
    "Meter",
    "NotMetered",
    "Notice",
    "OpenSession",
    "OtherAcknowledger",
    "OtherReading",
    "RateNotUsable",
    "Receipt",
    "Resumed",
    "SessionRevoked",
    "SessionUnknown",
    "Stopped",
    "Tick",
    "TimeMissing",
    "WrongDomain",
    "WrongMeterKey",
    "WrongToken",
    "ZoneUnknown",
]
