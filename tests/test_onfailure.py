"""What was begun is undone whatever ends its block early, and only then."""

from __future__ import annotations

import asyncio

import pytest

from honorarium.onfailure import AsyncOnFailure, OnFailure

ENDS = [ValueError("no"), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_whatever_ends_a_block_early_undoes_it_and_goes_on(end: BaseException) -> None:
    undone: list[str] = []
    with pytest.raises(type(end)) as raised, OnFailure(lambda: undone.append("it")):
        raise end
    assert raised.value is end
    assert undone == ["it"]


def test_what_came_to_its_end_stays() -> None:
    def keep() -> str:
        with OnFailure(lambda: pytest.fail("it was undone")):
            return "kept"

    assert keep() == "kept"


def test_what_is_awaited_to_be_undone_is_undone_when_its_task_is_cancelled() -> None:
    undone: list[str] = []

    async def undo() -> None:
        await asyncio.sleep(0)
        undone.append("it")

    async def work() -> None:
        async with AsyncOnFailure(undo):
            pass
        assert undone == []
        async with AsyncOnFailure(undo):
            await asyncio.sleep(60)

    async def play() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(play())
    assert undone == ["it"]
