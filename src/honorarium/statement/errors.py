"""Why a statement cannot be made, with what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from honorarium.errors import InputError
from honorarium.errors.refusals import moment
from honorarium.ids import Address
from honorarium.units import UnixTime

_SHOWN = 5


class PeriodNotUsable(InputError):
    """Days that are no period."""

    def __init__(self, first: object, last: object, reason: str) -> None:
        self.first, self.last, self.reason = first, last, reason
        super().__init__(
            f"from {first} to {last} is no period: {reason}; give two dates such as 2026-01-01 "
            "and 2026-03-31, both days belong to it"
        )


class RatesUnreadable(InputError):
    """A file of exchange rates that cannot be used, and which of its lines; None: all of it."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        self.path, self.line, self.reason = path, line, reason
        what = f"{path} has no rate" if line is None else f"line {line} of {path} is no rate"
        super().__init__(
            f"{what} that can be used: {reason}; a line is time,token,currency,rate, such as "
            "2026-01-05,0x...,EUR,0.9213 (docs/statements.md)"
        )


class RateMissing(InputError):
    """Payments that no exchange rate of the file covers. Each is (token's symbol, unix time)."""

    def __init__(
        self, currency: str, missing: Sequence[tuple[str, UnixTime]], longest: int
    ) -> None:
        self.currency, self.missing, self.longest = currency, list(missing), longest
        listed = "; ".join(f"{symbol} at {moment(at)}" for symbol, at in missing[:_SHOWN])
        more = f"; and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        super().__init__(
            f"no rate in {currency} covers {listed}{more}; a rate holds until the next one, for at "
            f"most {longest} days: add these to the file of rates"
        )


class GlyphsMissing(InputError):
    """Text that the PDF's font has no letters for."""

    def __init__(self, text: str, letters: str) -> None:
        self.text, self.letters = text, letters
        super().__init__(
            f"the font has no letters for {letters!r} in {text!r}; name a TrueType font that has "
            "them with --font FILE"
        )


class FontUnusable(InputError):
    """A file that is no font."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} is no font that can be used: {reason}; give a TrueType file")


class BalanceDiffers(InputError):
    """The log does not lead to the balance that the contract holds. Amounts in base units."""

    def __init__(self, account: Address, token: Address, by_log: int, by_contract: int) -> None:
        self.account, self.token = account, token
        self.by_log, self.by_contract = by_log, by_contract
        super().__init__(
            f"by the log the escrow owes 0x{account.hex()} {by_log} base units of token "
            f"0x{token.hex()}, and by its storage {by_contract}; ask a node that you trust, and if "
            "it stays so, run `honorarium audit` on this chain"
        )


class StatementNotWritten(InputError):
    """A folder that a statement cannot be written to."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(f"no statement in {folder}: {reason}; name another folder with --out")
