"""Every error as a problem (RFC 9457): its type is the error's slug, its members the numbers.

The status of an error is that of its class in `STATUS`, else that of the nearest class above it.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from orjson import dumps
from starlette.exceptions import HTTPException
from starlette.routing import Match

from honorarium import errors
from honorarium.api.deps import NoAddress, NoSessionId
from honorarium.chain import IdempotencyKeyReused, OutboxUnusable
from honorarium.desk import DeskBusy
from honorarium.desk.chain_reads import ReadRefused
from honorarium.desk.enrol import AdvisorNotKnown, TariffNotKnown
from honorarium.desk.hooks import WebhookNotKnown
from honorarium.desk.limits import TooManyConnections, TooManyRequests
from honorarium.desk.policy import TokenNotSettled
from honorarium.desk.quotes import AdvisorAway, AdvisorDeclined, TooManyAsks
from honorarium.desk.relay import (
    AccountNotKnown,
    GasBudgetSpent,
    NotWorthTheGas,
    RelayerEmpty,
    RelayTooDear,
)
from honorarium.desk.sign_in import NotAllowed, NotSignedIn, SignInRefused
from honorarium.errors import ChainError, ContractError, HonorariumError, InputError
from honorarium.ledger import LedgerUnusable
from honorarium.ledger.answers import IdempotencyKeyBusy, IdempotencyKeyTaken
from honorarium.ledger.sessions import SessionNotKnown
from honorarium.money import Amount
from honorarium.protocol.book import Equivocation, NotFunded, Superseded

TYPE: Final = "urn:honorarium:problem:"
MEDIA: Final = "application/problem+json"

_log = structlog.get_logger("honorarium.api")


class NoSuchRoute(InputError):
    """A path that this API does not have."""

    def __init__(self, method: str, path: str) -> None:
        self.method, self.path = method, path
        super().__init__(
            f"there is no {method} {path[:200]} here; /v1/openapi.json lists what there is"
        )


class MethodNotAllowed(InputError):
    """A path that is there, and a method that it does not know."""

    def __init__(self, method: str, path: str, allowed: str) -> None:
        self.method, self.path, self.allowed = method, path, allowed
        super().__init__(f"{path[:200]} takes {allowed or 'other methods'}, not {method}")


class RequestNotUsable(InputError):
    """A request that is not of the form that this path takes. `faults`: where, and why."""

    def __init__(self, faults: Sequence[Mapping[str, Any]]) -> None:
        self.faults = faults
        said = "; ".join(f"{each['where']}: {each['why']}" for each in faults[:5])
        super().__init__(f"the request cannot be used: {said or 'it cannot be read'}")


class BodyTooLong(InputError):
    """A body that is longer than this desk reads."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"the body has more than {most} bytes, which is all that is read here")


class BodyTooSlow(InputError):
    """A body that did not arrive in time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"the body did not arrive within {seconds:g} seconds; send it again")


class NotReady(ChainError):
    """A replica that cannot do its work now. `faults`: what is wrong."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = faults
        super().__init__(f"this replica is not ready: {'; '.join(faults)}")


class InternalFault(ChainError):
    """A fault of the desk's own. The log tells more under its `fault`."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(
            f"the desk failed at this, and wrote down why under {fault}; tell its operator; a "
            "request with an Idempotency-Key may be sent again"
        )


STATUS: Final[dict[type[HonorariumError], int]] = {
    InputError: 400,
    ContractError: 409,
    ChainError: 502,
    # who asks
    NotSignedIn: 401,
    SignInRefused: 403,
    NotAllowed: 403,
    AccountNotKnown: 403,
    # what is not there
    NoSuchRoute: 404,
    NoSessionId: 404,
    NoAddress: 404,
    AdvisorNotKnown: 404,
    TariffNotKnown: 404,
    SessionNotKnown: 404,
    WebhookNotKnown: 404,
    MethodNotAllowed: 405,
    # what cannot be read
    RequestNotUsable: 422,
    BodyTooLong: 413,
    BodyTooSlow: 408,
    ReadRefused: 403,
    # what does not go together with what is
    IdempotencyKeyReused: 409,
    IdempotencyKeyTaken: 409,
    IdempotencyKeyBusy: 409,
    Superseded: 409,
    Equivocation: 409,
    NotFunded: 402,
    AdvisorDeclined: 409,
    NotWorthTheGas: 422,
    TokenNotSettled: 422,
    errors.TransactionFailed: 409,
    errors.NonceTaken: 409,
    # too much
    TooManyRequests: 429,
    TooManyAsks: 429,
    TooManyConnections: 429,
    GasBudgetSpent: 429,
    # not now
    AdvisorAway: 503,
    RelayerEmpty: 503,
    RelayTooDear: 422,
    NotReady: 503,
    DeskBusy: 503,
    LedgerUnusable: 503,
    OutboxUnusable: 503,
    errors.NodeUnreachable: 503,
    errors.NodeBehind: 503,
    errors.RateLimited: 503,
    errors.ChainReset: 503,
    errors.WrongChain: 503,
    errors.FeeTooHigh: 503,
    errors.FateUnknown: 504,
    InternalFault: 500,
}
"""By class; a class that is not here has the status of the one above it."""

_PRIVATE: Final = frozenset(("url", "place", "path", "log", "directory", "searched"))
"""Members that tell of the desk's own machines."""

_LARGEST: Final = 2**53 - 1
"""Beyond this, not every reader of JSON keeps a number."""

_WIDE: Final = frozenset(("uint80", "uint256"))


def status_of(kind: type[HonorariumError]) -> int:
    """HTTP's status for an error of this class."""
    return next(STATUS[above] for above in kind.__mro__ if above in STATUS)


def problem_of(error: HonorariumError) -> dict[str, Any]:
    """The problem that tells of an error."""
    kind = type(error)
    return {
        **_members(error),
        "type": TYPE + kind.slug,
        "title": kind.__name__,
        "status": status_of(kind),
        "detail": str(error),
    }


def _members(error: HonorariumError) -> dict[str, Any]:
    if isinstance(error, ContractError):
        wide = {name for kind, name in error.FIELDS if kind in _WIDE}
        return {
            _camel(name): str(getattr(error, name)) if name in wide else _json(getattr(error, name))
            for _, name in error.FIELDS
        }
    hidden = _PRIVATE - {"path"} if isinstance(error, NoSuchRoute | MethodNotAllowed) else _PRIVATE
    names = [name for name in inspect.signature(kind_init(error)).parameters if name not in hidden]
    return {_camel(name): _json(getattr(error, name)) for name in names[1:] if hasattr(error, name)}


def kind_init(error: HonorariumError) -> Any:
    """The constructor, whose parameters are the error's fields."""
    return type(error).__init__


def _json(value: Any) -> Any:
    if isinstance(value, HonorariumError):
        return problem_of(value)
    if isinstance(value, bool | str | None):
        return value
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else str(value)
    if isinstance(value, float):
        return value
    if isinstance(value, Amount):
        return str(value.base_units)
    if isinstance(value, Mapping):
        return {str(name): _json(each) for name, each in value.items()}
    if isinstance(value, Iterable):
        return [_json(each) for each in value]
    return str(value)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


# ---------------------------------------------------------------------- the documentation

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457). Beside these members it has the error's own: the "
    "numbers that its detail speaks of.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": f"{TYPE} and the error's name in words"},
        "title": {"type": "string", "description": "the error's name, as in the SDK"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was wrong, and what to do"},
    },
    "additionalProperties": True,
}


def _documented(about: str, example: dict[str, Any]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": about, "content": {MEDIA: {"schema": schema, "example": example}}}


EVERYWHERE: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": _documented(
        "The request cannot be done as it is: the problem says why.",
        problem_of(errors.DepositTooSmall(needed=1_500_000, given=250_000)),
    ),
    "5XX": _documented(
        "The desk cannot do it now: the problem says whether it counts.",
        problem_of(AdvisorAway(bytes.fromhex("ab" * 20), "no agent is connected", 30)),
    ),
}
"""The responses that every operation may have."""


# ---------------------------------------------------------------------- answering


def answer(error: HonorariumError) -> Response:
    """The response that tells of an error."""
    problem = problem_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="honorarium"'
    if isinstance(error, MethodNotAllowed) and error.allowed:
        headers["Allow"] = error.allowed
    if isinstance(error, BodyTooLong | BodyTooSlow):
        headers["Connection"] = "close"  # nobody waits for the rest
    wait = getattr(error, "wait", None)
    if isinstance(wait, int):
        headers["Retry-After"] = str(max(1, wait))
    elif problem["status"] == 503:
        headers["Retry-After"] = "5"
    return Response(
        dumps(problem), status_code=problem["status"], headers=headers, media_type=MEDIA
    )


def fault_of(error: BaseException) -> InternalFault:
    """What is told of an error that nobody meant; the log has the rest."""
    fault = secrets.token_hex(8)
    _log.error("fault", fault=fault, exc_info=error)
    return InternalFault(fault)


async def refuse(socket: WebSocket, error: HonorariumError) -> None:
    """Tells a WebSocket that is not accepted yet of an error, and closes it."""
    response = answer(error)
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(response)
    else:
        await socket.close(1008, type(error).slug[:120])


def install(app: FastAPI) -> None:
    """Every error that a route raises is answered as a problem."""
    app.add_exception_handler(HonorariumError, _honorarium)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


async def _honorarium(request: Request, error: Exception) -> Response:
    assert isinstance(error, HonorariumError)
    if status_of(type(error)) >= 500:
        _log.warning("refused", problem=type(error).slug, detail=str(error))
    return answer(error)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {
            "where": ".".join(str(part) for part in each.get("loc", ())),
            "why": str(each.get("msg", "")),
        }
        for each in error.errors()[:20]
    ]
    return answer(RequestNotUsable(faults))


def _methods_of(request: Request) -> list[str]:
    """What its path takes: each method has a route of its own, so that one alone knows only one."""
    return [
        method
        for method in ("GET", "POST", "PUT", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    if error.status_code == 405:
        return answer(MethodNotAllowed(method, path, ", ".join(_methods_of(request))))
    if error.status_code == 404:
        return answer(NoSuchRoute(method, path))
    return answer(RequestNotUsable([{"where": "request", "why": str(error.detail)}]))
