"""What can be wrong with the log, the names and the rates that a receipt is made of."""

from __future__ import annotations

from honorarium.chain import LogRecord
from honorarium.errors import InputError
from honorarium.errors.refusals import moment
from honorarium.ids import Address, SessionId
from honorarium.protocol.typed_data import Domain
from honorarium.units import UnixTime


class SessionUnknown(InputError):
    """The log does not say that this session was opened."""

    def __init__(self, session_id: SessionId, records: int) -> None:
        self.session_id, self.records = session_id, records
        super().__init__(
            f"the log does not hold the opening of session 0x{session_id.hex()} ({records} records "
            "read), so there is nothing to give a receipt for; collect the escrow's log from an "
            "earlier block on, and check the id, the contract and the chain"
        )


class SessionRevoked(InputError):
    """The quote was revoked and never became a session."""

    def __init__(self, session_id: SessionId, by: Address, at: UnixTime) -> None:
        self.session_id, self.by, self.at = session_id, by, at
        super().__init__(
            f"0x{session_id.hex()} was revoked by 0x{by.hex()} at {moment(at)} and never opened: "
            "nothing was paid, so there is no receipt; ask the advisor for another quote"
        )


class WrongDomain(InputError):
    """The terms in the log have another id in the contract that was named."""

    def __init__(self, session_id: SessionId, computed: SessionId, domain: Domain) -> None:
        self.session_id, self.computed, self.domain = session_id, computed, domain
        super().__init__(
            f"the terms of session 0x{session_id.hex()} have the id 0x{computed.hex()} at "
            f"0x{domain.contract.hex()} on chain {domain.chain_id}; give the domain of the escrow "
            "that wrote this log"
        )


class WrongToken(InputError):
    """The session is paid in another token than the one that was named."""

    def __init__(self, session_token: Address, given: Address) -> None:
        self.session_token, self.given = session_token, given
        super().__init__(
            f"the session is paid in token 0x{session_token.hex()}, not in 0x{given.hex()}; give "
            "symbol and decimals of that token (zero: the chain's own coin)"
        )


class ForeignRecord(InputError):
    """An event of the session that another contract wrote than the one it belongs to."""

    def __init__(self, event: str, expected: Address | None, found: Address) -> None:
        self.event, self.expected, self.found = event, expected, found
        wanted = "no tip jar was named" if expected is None else f"it belongs to 0x{expected.hex()}"
        super().__init__(
            f"0x{found.hex()} wrote a {event} of this session, and {wanted}; collect the log of "
            "the deployment's two contracts only, and name its tip jar (tip_jar=...)"
        )


class TimeMissing(InputError):
    """A record without the time of its block."""

    def __init__(self, block: int, time: int) -> None:
        self.block, self.time = block, time
        super().__init__(
            f"the record in block {block} has the time {time}; a receipt needs the times of blocks "
            "in unix seconds: collect the log with times=True"
        )


class LogContradicts(InputError):
    """An event does not follow from the terms and the log before it. `rule`: ESC-n, or log."""

    def __init__(
        self, rule: str, what: str, expected: object, found: object, record: LogRecord
    ) -> None:
        self.rule, self.what, self.expected, self.found = rule, what, expected, found
        self.block, self.index = record.block, record.index
        super().__init__(
            f"{rule}: {what} is {found}, and must be {expected} (log {record.index} of block "
            f"{record.block}); collect the log again, whole, from a node that you trust; if it "
            "stays so, keep it and run `honorarium audit` on this chain"
        )


class RateNotUsable(InputError):
    """A VAT or exchange rate, or what belongs to it, that nobody can reckon with."""

    def __init__(self, what: str, given: object, reason: str) -> None:
        self.what, self.given, self.reason = what, given, reason
        super().__init__(f"{given!r} is no usable {what}: {reason}")


class ZoneUnknown(InputError):
    """No time zone of this name is known here."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name!r} is no time zone that is known here; give an IANA name such as "
            "'Europe/Zurich', and install the package tzdata where the system has no time zones"
        )
