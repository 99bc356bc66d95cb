"""A session's bill, worked out again from its log: what receipts and
statements share.

`lines`: how a tariff makes a fee of units, in lines and in words; VAT and other currencies.
`log`: a session's events, each of which must follow from the terms and those before it.
Pure: no chain, no clock.
"""

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
from honorarium.bill.lines import (
    Fiat,
    Line,
    Vat,
    counted,
    fee_lines,
    half_up,
    money_words,
    platform_share,
    refund_place,
    tariff_words,
    unit_name,
    units_name,
    with_places,
)
from honorarium.bill.log import Funding, SessionLog, Step, Tip, entries_to, read_log

__all__ = [
    "Fiat",
    "ForeignRecord",
    "Funding",
    "Line",
    "LogContradicts",
    "RateNotUsable",
    "SessionLog",
    "SessionRevoked",
    "SessionUnknown",
    "Step",
    "TimeMissing",
    "Tip",
    "Vat",
    "WrongDomain",
    "WrongToken",
    "ZoneUnknown",
    "counted",
    "entries_to",
    "fee_lines",
    "half_up",
    "money_words",
    "platform_share",
    "read_log",
    "refund_place",
    "tariff_words",
    "unit_name",
    "units_name",
    "with_places",
]
