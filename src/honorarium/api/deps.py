"""What routes ask for: the desk, and the parts of a path."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import HTTPConnection

from honorarium.desk import Desk
from honorarium.errors import InputError
from honorarium.ids import SessionId


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


TheDesk = Annotated[Desk, Depends(the_desk)]
ASession = Annotated[SessionId, Depends(session_id_of)]
