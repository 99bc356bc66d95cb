"""One desk's HTTP API: asked again where that is safe, signed in where that is needed."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from honorarium.chain.wire import Silence, Wire, blocking
from honorarium.errors import InputError, RateLimited
from honorarium.ids import Address
from honorarium.protocol.documents import UNREADABLE
from honorarium.protocol.sign_in import SignIn
from honorarium.protocol.signer import Signer, sign_text
from honorarium.remote.problems import DeskRefused, DeskUnreachable, problem_of
from honorarium.remote.web import MakeWeb, Reply, Socket
from honorarium.units import UnixTime

T = TypeVar("T")

TIMEOUT: Final = 60.0
"""So many seconds an answer is waited for; the desk waits for blocks meanwhile."""

PATIENCE: Final = 30.0
"""So many seconds altogether a request waits for a desk that asks for it."""

LOST: Final = 3
"""So often a request is sent again because the connection broke."""

SIGN_IN_HOLDS: Final = 600
"""So many seconds the signed message counts; the token that it gives counts longer."""

_RENEW: Final = 30  # seconds before its end that a token is not used any more


class OtherDesk(InputError):
    """A desk that wants signatures for another address than the one at which it was asked."""

    def __init__(self, what: str, expected: str, found: str) -> None:
        self.what, self.expected, self.found = what, expected, found
        super().__init__(
            f"the desk wants a sign-in whose {what} is {found}, and it was asked at {expected}: "
            "whoever has such a signature could sign in elsewhere; use the address that the desk "
            "says it has (its public_url), if it is the one that you mean"
        )


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A token, and the signed message that gave it."""

    token: str
    expires_at: int
    message: str
    signature: bytes


class AsyncApi:
    """The API of the desk at `url`."""

    def __init__(self, url: str, wire: Wire, web: MakeWeb) -> None:
        self.url = url
        self._wire, self._web = wire, web(url, TIMEOUT)
        self._tokens: dict[Address, SignedIn] = {}

    async def call(
        self, method: str, path: str, body: Any = None, *, signer: Signer | None = None
    ) -> Any:
        """What the desk answers, as JSON gives it; None if it has nothing to say.

        With a `signer` it is asked as a signed-in account. Every POST has an idempotency key, so a
        request whose answer was lost is sent again, and done once.

        Raises the error that the desk's problem names, DeskRefused for one of its own;
        DeskUnreachable, RateLimited.
        """
        return (await self.answer(method, path, body, signer=signer))[1]

    async def answer(
        self, method: str, path: str, body: Any = None, *, signer: Signer | None = None
    ) -> tuple[int, Any]:
        """As `call`, with HTTP's status before it."""
        headers = {"Accept": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        if method == "POST":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        reply = await self._ask(method, path, headers | await self._bearer(signer), data)
        if reply.status == 401 and signer is not None:  # the desk forgot it, or its time is over
            self.forget(signer)
            reply = await self._ask(method, path, headers | await self._bearer(signer), data)
        if reply.status >= 400:
            raise problem_of(reply)
        return reply.status, self._read(reply)

    async def listen(self, path: str, *, signer: Signer | None = None) -> Socket:
        """Opens a WebSocket. Raises DeskUnreachable, and what `sign_in` raises."""
        bearer = await self._bearer(signer)
        try:
            return await self._web.listen(path, bearer)
        except Silence as silence:
            if silence.status == 401 and signer is not None:  # the next time it signs in anew
                self.forget(signer)
            raise DeskUnreachable(self.url, silence.reason) from silence

    async def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
        await self._web.close()

    # ------------------------------------------------------------------ signing in

    async def sign_in(self, signer: Signer, statement: str = "Sign in to the desk.") -> SignedIn:
        """Signs in anew, by a message with this statement.

        Raises OtherDesk, TextNotSigned, and what `call` raises.
        """
        given = await self.call("POST", "/v1/sign-in/nonce")
        try:
            domain, uri, chain_id = given["domain"], str(given["uri"]).rstrip("/"), given["chainId"]
            nonce = given["nonce"]
        except (KeyError, TypeError) as error:
            raise self._unreadable(f"a nonce ({error})") from None
        if domain != urlsplit(self.url).netloc:
            raise OtherDesk("domain", urlsplit(self.url).netloc, str(domain))
        if uri != self.url:
            raise OtherDesk("uri", self.url, uri)
        now = int(time.time())
        message = SignIn(
            domain=domain,
            account=signer.address,
            uri=uri,
            chain_id=int(chain_id),
            nonce=str(nonce),
            issued_at=UnixTime(now),
            expires_at=UnixTime(now + SIGN_IN_HOLDS),
            statement=statement,
        ).text()
        signature = await self._wire.aside(lambda: sign_text(signer, message))
        body = {"message": message, "signature": "0x" + signature.hex()}
        found = await self.call("POST", "/v1/sign-in", body)
        try:
            known = SignedIn(found["token"], int(found["expiresAt"]), message, signature)
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable(f"a token ({error})") from None
        self._tokens[signer.address] = known
        return known

    async def sign_out(self, signer: Signer) -> None:
        """The account's token counts no more."""
        if signer.address in self._tokens:
            await self.call("DELETE", "/v1/sign-in", signer=signer)
            del self._tokens[signer.address]

    async def token(self, signer: Signer) -> str:
        """A token that still counts for a while."""
        known = self._tokens.get(signer.address)
        if known is None or known.expires_at - _RENEW < time.time():
            known = await self.sign_in(signer)
        return known.token

    def forget(self, signer: Signer) -> None:
        """What is asked next signs in anew."""
        self._tokens.pop(signer.address, None)

    async def _bearer(self, signer: Signer | None) -> dict[str, str]:
        return {} if signer is None else {"Authorization": f"Bearer {await self.token(signer)}"}

    # ------------------------------------------------------------------ asking

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None
    ) -> Reply:
        lost, waited, pause = 0, 0.0, 0.25
        while True:
            try:
                reply = await self._web.ask(method, path, headers, data)
            except Silence as silence:
                lost += 1
                if not silence.lost or lost > LOST:
                    raise DeskUnreachable(self.url, silence.reason) from silence
                wanted = 0.0 if lost == 1 else pause  # a connection that was kept may be stale
            else:
                asked = _retry_after(reply)
                if asked is None:
                    return reply
                wanted = max(asked, pause)
                if waited + wanted > PATIENCE:
                    if reply.status == 429:
                        raise RateLimited(f"{method} {path}", waited, "HTTP 429")
                    return reply
            await self._wire.sleep(wanted)
            waited, pause = waited + wanted, min(2 * pause, 4.0)

    def _read(self, reply: Reply) -> Any:
        if not reply.body:
            return None
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError):
            raise self._unreadable("JSON") from None

    def _unreadable(self, what: str) -> DeskUnreachable:
        return DeskUnreachable(self.url, f"its answer is no {what}")


class Api:
    """As AsyncApi, for programs without an event loop; of a `Desk`."""

    def __init__(self, core: AsyncApi) -> None:
        self.core = core

    @property
    def url(self) -> str:
        """Where it is asked."""
        return self.core.url

    call = blocking(AsyncApi.call)
    answer = blocking(AsyncApi.answer)
    sign_in = blocking(AsyncApi.sign_in)
    sign_out = blocking(AsyncApi.sign_out)
    token = blocking(AsyncApi.token)


def read(reader: Callable[[Any], T], found: Any) -> T:
    """Raises DeskRefused for an answer that cannot be read."""
    try:
        return reader(found)
    except UNREADABLE as error:
        raise DeskRefused("AnswerUnreadable", 200, f"it is not understood ({error!r})") from None


def read_or_refuse(found: Any, *names: str) -> list[Any]:
    """These members of an answer. Raises DeskRefused if it has not all of them."""
    try:
        return [found[name] for name in names]
    except (KeyError, TypeError) as error:
        raise DeskRefused("AnswerUnreadable", 200, f"its answer has no {error}") from None


def _retry_after(reply: Reply) -> float | None:
    """So many seconds to wait before the same may be asked again; None: it is an answer."""
    if reply.status == 429:
        default = 0.0
    elif reply.status in (409, 503) and "retry-after" in reply.headers:
        default = 1.0
    else:
        return None
    try:
        return min(max(float(reply.headers.get("retry-after", default)), 0.0), 1e6)
    except ValueError:  # a date
        return default
