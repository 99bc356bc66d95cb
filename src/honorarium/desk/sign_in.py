"""Signing in with a wallet (EIP-4361): nonces, messages, tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from siwe import SiweMessage
from sqlalchemy import Connection

from honorarium.chain import AsyncContracts
from honorarium.chain.signatures import signed
from honorarium.errors import InputError
from honorarium.ids import Address
from honorarium.ledger import accounts
from honorarium.ledger.accounts import SignedIn
from honorarium.protocol.sign_in import enrolment_statement, text_hash

NONCE_SECONDS: Final = 600
LONGEST_MESSAGE: Final = 1_000
LONGEST_EXPIRY: Final = 86_400
"""So long (seconds) a message to sign in may count at most."""

TOKEN_PREFIX: Final = "hon_"


class SignInRefused(InputError):
    """A message, or its signature, that lets nobody in."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"this is no sign-in: {reason}; ask for a new nonce (POST /v1/sign-in/nonce), and have "
            "the wallet sign an EIP-4361 message with the domain, uri, chain id and nonce that "
            "come with it"
        )


class NotSignedIn(InputError):
    """A request that needs a bearer token, without one that counts."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"this needs a signed-in account: {reason}; sign in with POST /v1/sign-in, and send "
            "the token as `Authorization: Bearer ...`"
        )


class NotAllowed(InputError):
    """A signed-in account that is not the one whom this concerns."""

    def __init__(self, account: bytes, reason: str) -> None:
        self.account, self.reason = account, reason
        super().__init__(f"0x{account.hex()} may not do this: {reason}; sign in as who may")


@dataclass(frozen=True, slots=True)
class Message:
    """A sign-in message whose signature is right. Its nonce is still to be used."""

    account: Address
    nonce: str
    statement: str
    text: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignIns:
    """The desk's door. `url` is how clients reach the desk; a message for another one is refused.

    `seconds`: so long a token counts.
    """

    contracts: AsyncContracts
    desk: Address
    url: str
    seconds: int = 86_400

    @property
    def domain(self) -> str:
        """The host that messages name."""
        return urlsplit(self.url).netloc

    @property
    def enrolment_statement(self) -> str:
        """What an advisor says to enrol: it makes the desk's acknowledgements the advisor's own."""
        return enrolment_statement(self.desk)

    def nonce(self, connection: Connection) -> tuple[str, int]:
        """A new nonce, and until when it may be signed (unix seconds)."""
        now = int(time.time())
        nonce, until = secrets.token_hex(12), now + NONCE_SECONDS
        accounts.give_nonce(connection, nonce, now, until)
        return nonce, until

    async def read(self, text: str, signature: bytes) -> Message:
        """The message, if it is for this desk, counts now, and its account signed it.

        Raises SignInRefused.
        """
        if len(text) > LONGEST_MESSAGE:
            raise SignInRefused(f"it has {len(text)} characters, and {LONGEST_MESSAGE} are enough")
        try:
            found = SiweMessage.from_message(text)
            same = found.prepare_message() == text
        except (ValueError, TypeError, RecursionError) as error:
            reason = str(error).strip().partition("\n")[0][:200]
            raise SignInRefused(f"it is no EIP-4361 message ({reason or 'unreadable'})") from None
        if not same:
            raise SignInRefused("it is not written as EIP-4361 writes it")
        self._must_be_ours(found)
        account = Address(bytes.fromhex(found.address[2:]))
        if not await signed(self.contracts.node, account, text_hash(text), signature):
            raise SignInRefused(f"{found.address} did not sign it")
        return Message(account, found.nonce, found.statement or "", text, signature)

    def _must_be_ours(self, found: SiweMessage) -> None:
        chain_id = self.contracts.manifest.chain_id
        for what, wanted, given in (
            ("domain", self.domain, found.domain),
            ("uri", self.url, found.uri.rstrip("/")),
            ("chain id", chain_id, found.chain_id),
            ("scheme", urlsplit(self.url).scheme, found.scheme or urlsplit(self.url).scheme),
        ):
            if wanted != given:
                raise SignInRefused(f"its {what} is {given!r}, and here it is {wanted!r}")
        if found.expiration_time is None:
            raise SignInRefused("it names no expiration time")
        now = time.time()
        if not now < _moment(found.expiration_time) <= now + LONGEST_EXPIRY:
            raise SignInRefused(
                f"its expiration time {found.expiration_time} is not within {LONGEST_EXPIRY} "
                "seconds from now"
            )
        if found.not_before is not None and now < _moment(found.not_before):
            raise SignInRefused(f"it counts only from {found.not_before} on")

    def let_in(self, connection: Connection, message: Message, token: str) -> SignedIn:
        """Uses the nonce up; from now on `token` is the account's. Raises SignInRefused."""
        now = int(time.time())
        if not accounts.use_nonce(connection, message.nonce, now):
            raise SignInRefused("its nonce was not given out by this desk, or not in time, or used")
        until = now + self.seconds
        accounts.add_token(connection, _hash(token), message.account, message.nonce, now, until)
        return SignedIn(message.account, message.nonce, until)

    def whose(self, connection: Connection, token: str) -> SignedIn:
        """Whose token it is. Raises NotSignedIn."""
        found = accounts.find_token(connection, _hash(token), int(time.time()))
        if found is None:
            raise NotSignedIn("the token is unknown, or its time is over")
        return found

    def let_out(self, connection: Connection, token: str) -> None:
        """The token counts no more."""
        accounts.drop_token(connection, _hash(token))


def new_token(message: str, signature: bytes, key: str | None) -> str:
    """A token that nobody can guess.

    With an idempotency key the same sign-in gives the same token, which nobody keeps: it follows
    from the key and the signature, and those only the client has.
    """
    if key is None:
        return TOKEN_PREFIX + secrets.token_urlsafe(32)
    made = hmac.new(signature + key.encode(), message.encode(), hashlib.sha256)
    return TOKEN_PREFIX + made.hexdigest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _moment(given: str) -> float:
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise SignInRefused(f"{given!r} is no moment") from None
    if found.tzinfo is None:
        raise SignInRefused(f"{given!r} names no time zone")
    return found.timestamp()
