"""What routes ask for: the desk, who asks, and the parts of a path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from eth_utils.address import is_checksum_address
from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from orjson import dumps
from starlette.requests import HTTPConnection
from starlette.responses import Response

from honorarium.desk import Desk
from honorarium.desk.front import Front
from honorarium.desk.limits import network_of
from honorarium.desk.once import Answer, Commit, Keyed
from honorarium.desk.sign_in import NotAllowed, NotSignedIn
from honorarium.errors import InputError
from honorarium.ids import Address, SessionId
from honorarium.ledger.accounts import SignedIn

LONGEST_TOKEN: Final = 200


class NoAddress(InputError):
    """A part of a path that is no account's address."""

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(
            f"{given[:80]!r} is no address: it is 0x and 40 hex digits, with the right checksum "
            "(EIP-55) if they are of both cases"
        )


class NoSessionId(InputError):
    """A part of a path that is no session's id."""

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(f"{given[:80]!r} is no session id: it is 0x and 64 hex digits")


def the_desk(connection: HTTPConnection) -> Desk:
    """The desk that this replica is."""
    desk: Desk = connection.app.state.desk
    return desk


def session_id_of(
    session_id: Annotated[str, Path(description="The session's id: 0x and 64 hex digits.")],
) -> SessionId:
    """The id in the path. Raises NoSessionId."""
    try:
        found = bytes.fromhex(session_id.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 32 or not session_id.startswith("0x"):
        raise NoSessionId(session_id)
    return SessionId(found)


def address_of(given: str) -> Address:
    """The address that a text is. Raises NoAddress."""
    digits = given[2:]
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        found = b""
    mixed = digits not in (digits.lower(), digits.upper())
    if len(found) != 20 or len(given) != 42 or not given.startswith("0x"):
        raise NoAddress(given)
    if mixed and not is_checksum_address(given):
        raise NoAddress(given)
    return Address(found)


def address_in_path(
    address: Annotated[str, Path(description="The account's address: 0x and 40 hex digits.")],
) -> Address:
    """The address in the path. Raises NoAddress."""
    return address_of(address)


def the_front(connection: HTTPConnection) -> Front:
    """The front of the desk that this replica is."""
    front: Front = connection.app.state.front
    return front


TheDesk = Annotated[Desk, Depends(the_desk)]
TheFront = Annotated[Front, Depends(the_front)]
ASession = Annotated[SessionId, Depends(session_id_of)]
AnAddress = Annotated[Address, Depends(address_in_path)]


# ---------------------------------------------------------------------- who asks


def network(connection: HTTPConnection) -> str:
    """The network address of whoever asks."""
    return network_of(connection.client.host if connection.client else "unknown")


def token_of(connection: HTTPConnection) -> str | None:
    """The bearer token. Browsers cannot send it with event streams and WebSockets: those may carry
    it as `access_token` in the address.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if connection.scope["type"] == "websocket" or connection.url.path.endswith("/events"):
        return connection.query_params.get("access_token")
    return None


async def maybe_caller(connection: HTTPConnection, front: TheFront) -> SignedIn | None:
    """Who is signed in; None without a token. Raises NotSignedIn for one that does not count."""
    token = token_of(connection)
    if token is None:
        return None
    if len(token) > LONGEST_TOKEN:
        raise NotSignedIn("the token is none of this desk")
    return await front.aside.read(lambda c: front.sign_ins.whose(c, token))


MaybeCaller = Annotated[SignedIn | None, Depends(maybe_caller)]


class _OfWebSocketsToo(HTTPBearer):
    """Only for the documentation: `maybe_caller` reads the token."""

    async def __call__(self, connection: HTTPConnection) -> HTTPAuthorizationCredentials | None:
        return None


_BEARER: Final = _OfWebSocketsToo(
    scheme_name="token", description="What POST /v1/sign-in gives.", auto_error=False
)


async def the_caller(
    who: MaybeCaller, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> SignedIn:
    """Who is signed in. Raises NotSignedIn."""
    if who is None:
        raise NotSignedIn("there is no token")
    return who


TheCaller = Annotated[SignedIn, Depends(the_caller)]


async def a_party(front: TheFront, who: TheCaller, session_id: ASession) -> SignedIn:
    """A party of the session in the path. Raises NotSignedIn, NotAllowed, SessionNotKnown."""
    await front.party(who, session_id)
    return who


async def the_advisor(front: TheFront, who: TheCaller, session_id: ASession) -> SignedIn:
    """The advisor of the session in the path. Raises NotSignedIn, NotAllowed, SessionNotKnown."""
    row = await front.session(session_id)
    if row["advisor"] != who.account:
        raise NotAllowed(who.account, f"the session's advisor is 0x{row['advisor'].hex()}")
    return who


AParty = Annotated[SignedIn, Depends(a_party)]
TheAdvisor = Annotated[SignedIn, Depends(the_advisor)]


# ---------------------------------------------------------------------- requests with a key


class Doing:
    """Does what a request asks for, once if it carries an idempotency key, and answers."""

    def __init__(self, front: Front, keyed: Keyed | None, who: str) -> None:
        self.front, self.keyed, self.who = front, keyed, who

    async def __call__(
        self, prepare: Callable[[], Awaitable[Commit]], hidden: Mapping[str, Any] | None = None
    ) -> Response:
        """The answer. `hidden` members are in it, and not in what is stored."""
        answer, again = await self.front.once.do(self.keyed, prepare)
        headers = {"Idempotent-Replayed": "true"} if again else {}
        return Response(
            dumps({**answer.body, **(hidden or {})}),
            status_code=answer.status,
            headers=headers,
            media_type="application/json",
        )

    async def harmless(self, act: Callable[[], Awaitable[dict[str, Any]]]) -> Response:
        """As it is called, for what may be done again: the effect is durable before its answer."""
        if self.keyed is None:
            return Response(dumps(await act()), media_type="application/json")

        async def prepare() -> Commit:
            body = await act()
            return lambda _: Answer(200, body)

        return await self(prepare)


async def doing(
    request: Request,
    front: TheFront,
    who: MaybeCaller,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            pattern=r"^[\x20-\x7e]+$",
            description="The same key with the same request gives the same answer, and does "
            "nothing twice.",
        ),
    ] = None,
) -> Doing:
    """How this request is done."""
    where = network(request)
    if key is None:
        return Doing(front, None, where)
    asker = where if who is None else "0x" + who.account.hex()
    what = f"{request.method} {request.url.path}"
    return Doing(front, Keyed(key, asker, what, await request.body()), where)


TheDoing = Annotated[Doing, Depends(doing)]
