"""What the SDK itself refuses about a desk."""

from __future__ import annotations

from honorarium.errors import ChainError, InputError
from honorarium.ids import Address


class NotADesk(InputError):
    """An address that is no desk's, or a node where a desk is needed."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"{url} is no desk: {reason}; give the address of `honorarium serve`")


class NotSentHere(InputError):
    """Something that an account would have to send by itself, where a desk sends."""

    def __init__(self, account: Address) -> None:
        self.account = account
        super().__init__(
            f"through a desk 0x{account.hex()} sends nothing by itself: sign it (`sign_...`) and "
            "relay it, or use `Contracts` with a node of your own"
        )


class DeskNotNamed(InputError):
    """An advisor who did not let this desk acknowledge vouchers in their place."""

    def __init__(self, advisor: Address, desk: Address, reason: str) -> None:
        self.advisor, self.desk, self.reason = advisor, desk, reason
        super().__init__(
            f"0x{advisor.hex()} did not name the desk 0x{desk.hex()}, so its acknowledgements "
            f"prove nothing: {reason}; meter to the advisor directly, or have them enrol again"
        )


class NotSettledYet(ChainError):
    """The desk has the voucher, and has not settled it within so many seconds."""

    def __init__(self, session_id: bytes, fee: int, waited: float) -> None:
        self.session_id, self.fee, self.waited = session_id, fee, waited
        super().__init__(
            f"the desk has a voucher of {fee} base units for 0x{session_id.hex()}, and did not "
            f"settle it within {waited:.0f} seconds: it may cost more than it brings, or the chain "
            "stands still; it goes on trying, so ask later, or close the session"
        )


class OtherQuote(InputError):
    """A quote of other terms than those that were asked for."""

    def __init__(self, what: str, expected: str, found: str) -> None:
        self.what, self.expected, self.found = what, expected, found
        super().__init__(
            f"the {what} of this quote is {found}, and {expected} was asked for; do not pay it"
        )
