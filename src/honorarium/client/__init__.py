"""The client's side: a wallet that opens sessions, and a meter that counts them."""

from honorarium.client.client import AsyncClient, Client, OpenSession
from honorarium.client.meter import Meter, NotMetered, WrongMeterKey
from honorarium.client.receipt import Contact, Receipt
from honorarium.client.receipt_errors import (
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

__all__ = [
    "AsyncClient",
    "Client",
    "Contact",
    "ForeignRecord",
    "LogContradicts",
    "Meter",
    "NotMetered",
    "OpenSession",
    "RateNotUsable",
    "Receipt",
    "SessionRevoked",
    "SessionUnknown",
    "TimeMissing",
    "WrongDomain",
    "WrongMeterKey",
    "WrongToken",
    "ZoneUnknown",
]
