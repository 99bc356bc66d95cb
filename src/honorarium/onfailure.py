"""What was begun is undone if it does not come to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class OnFailure:
    """`with OnFailure(file.release):` releases the file if the block does not end well.

    That is so whatever ends it, an interruption too; what was raised goes on.
    """

    def __init__(self, undo: Callable[[], object]) -> None:
        self._undo = undo

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._undo()


class AsyncOnFailure:
    """As OnFailure, for what is awaited to be undone: `async with AsyncOnFailure(node.close):`."""

    def __init__(self, undo: Callable[[], Awaitable[object]]) -> None:
        self._undo = undo

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            await self._undo()
