"""Signing in with a wallet (EIP-4361): the text, and what an advisor's enrolment says in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from eth_utils.address import is_checksum_address, to_checksum_address

from honorarium.errors import InputError
from honorarium.hashing import keccak
from honorarium.ids import Address, Hash
from honorarium.units import UnixTime

_TEXT: Final = re.compile(
    r"(?P<domain>[^\n]+) wants you to sign in with your Ethereum account:\n"
    r"(?P<account>0x[0-9a-fA-F]{40})\n\n"
    r"(?:(?P<statement>[^\n]+)\n)?\n"
    r"URI: (?P<uri>[^\n]+)\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain_id>[0-9]{1,20})\n"
    r"Nonce: (?P<nonce>[0-9a-zA-Z]{8,})\n"
    r"Issued At: (?P<issued_at>[0-9T:Z-]+)"
    r"(?:\nExpiration Time: (?P<expires_at>[0-9T:Z-]+))?"
)
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


class SignInUnreadable(InputError):
    """Text that signs nobody in."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"this is no message of signing in (EIP-4361): {reason}")


def enrolment_statement(desk: Address) -> str:
    """What an advisor signs so that `desk` may countersign vouchers in their place."""
    return (
        f"Enrol as an advisor at this desk, and let its key {to_checksum_address(desk)} "
        "acknowledge vouchers for me."
    )


@dataclass(frozen=True, slots=True)
class SignIn:
    """A message by which `account` signs in at `uri`."""

    domain: str
    account: Address
    uri: str
    chain_id: int
    nonce: str
    issued_at: UnixTime
    expires_at: UnixTime | None
    statement: str = ""

    def text(self) -> str:
        """What the wallet signs."""
        lines = [
            f"{self.domain} wants you to sign in with your Ethereum account:",
            to_checksum_address(self.account),
            "",
            *([self.statement] if self.statement else []),
            "",
            f"URI: {self.uri}",
            "Version: 1",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {_written(self.issued_at)}",
        ]
        if self.expires_at is not None:
            lines.append(f"Expiration Time: {_written(self.expires_at)}")
        return "\n".join(lines)

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads what `text` writes, and nothing else. Raises SignInUnreadable."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise SignInUnreadable("its lines are not those of the standard, in its order")
        if not is_checksum_address(found["account"]):
            raise SignInUnreadable(f"{found['account']} is no address with its checksum (EIP-55)")
        expires = found["expires_at"]
        return cls(
            domain=found["domain"],
            account=Address(bytes.fromhex(found["account"][2:])),
            uri=found["uri"],
            chain_id=int(found["chain_id"]),
            nonce=found["nonce"],
            issued_at=_read(found["issued_at"]),
            expires_at=None if expires is None else _read(expires),
            statement=found["statement"] or "",
        )


def text_hash(text: str) -> Hash:
    """What a wallet signs when it signs text (EIP-191)."""
    data = text.encode()
    return Hash(keccak(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data))


def _written(at: UnixTime) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(_TIME)


def _read(text: str) -> UnixTime:
    try:
        found = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise SignInUnreadable(str(error)) from None
    return UnixTime(int(found.timestamp()))
