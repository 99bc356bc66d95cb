"""Lists in pages: an opaque cursor, and how many."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final

from fastapi import Depends, Query

from honorarium.errors import InputError

MOST: Final = 200
_LAST: Final = 2**62


class CursorNotUsable(InputError):
    """A cursor that no page gave."""

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(
            f"{given[:80]!r} is no cursor: give the `next` of the page before, or none to begin"
        )


class Page:
    """Which part of a list is wanted: `limit` items behind `after` (None: from the beginning)."""

    def __init__(
        self,
        cursor: Annotated[
            str | None, Query(max_length=40, description="The `next` of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    ) -> None:
        self.limit = limit
        self.after = None if cursor is None else _read(cursor)

    def of(self, items: list[Any], positions: list[int]) -> dict[str, Any]:
        """A page of up to `limit` of these items, of which one more was looked for."""
        more = len(items) > self.limit
        return {
            "items": items[: self.limit],
            "next": _write(positions[self.limit - 1]) if more else None,
        }


APage = Annotated[Page, Depends()]


def _write(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _read(cursor: str) -> int:
    try:
        found = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        position = int(found)
        if str(position) != found or not 0 <= position < _LAST:
            raise ValueError
    except ValueError:
        raise CursorNotUsable(cursor) from None
    return position
