"""What others wrote, and times and addresses, as text that is safe to show; and pages of it.

Whatever somebody else chose (a token's symbol, names, notes) may be hostile: `visible` takes what
could hide or reorder it, pages made by `template` escape it, and `cell` keeps a spreadsheet from
running it.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from eth_utils.address import to_checksum_address
from jinja2 import Environment, StrictUndefined, Template

from honorarium.bill.errors import ZoneUnknown
from honorarium.ids import Address
from honorarium.units import UnixTime

_REVERSING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_LAST_TIME: Final = 253_000_000_000
"""In the year 9987: beyond it calendars end."""
_FORMULAS: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # also full width


def utc(time: UnixTime) -> dt.datetime:
    """A time of the chain as a date and time in UTC."""
    return dt.datetime.fromtimestamp(time, dt.UTC)


def when(time: UnixTime) -> str:
    """`2026-01-05 09:30:00 UTC`; beyond the calendar's end `unix time 1099511627776`."""
    return f"{utc(time):%Y-%m-%d %H:%M:%S} UTC" if time < _LAST_TIME else f"unix time {time}"


def checksummed(account: Address) -> str:
    """An address with its checksum (EIP-55)."""
    return str(to_checksum_address(account))


def hexed(data: bytes) -> str:
    """`0x` and hexadecimal digits."""
    return "0x" + data.hex()


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name, such as `Europe/Berlin`. Raises ZoneUnknown."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ZoneUnknown(name) from error


def visible(text: str) -> str:
    """The text without what could hide, reorder or break it."""
    return "".join("\ufffd" if _hides(char) else char for char in text)


def cell(text: str) -> str:
    """Text for a CSV file that a spreadsheet opens: what would be a formula there gets an
    apostrophe before it, which makes it text.
    """
    clean = visible(text)
    return "'" + clean if clean.lstrip().startswith(_FORMULAS) else clean


@cache
def template(package: str, name: str) -> Template:
    """A page's template, shipped in a package: it escapes all that it is given, and refuses to
    leave anything out.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["typeset"] = lambda text: text.replace("'", "\u2019")
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))


def _hides(char: str) -> bool:
    return char in _REVERSING or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
