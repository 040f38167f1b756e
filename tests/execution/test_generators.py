"""What waits in an asynchronous generator is seen to wait, as it is in a coroutine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing.stage import Played, Stage

RUN_ID = "11111111-1111-4111-8111-111111111111"
EACH_MODE = pytest.mark.parametrize("after", [AfterStep.COMMIT, AfterStep.SUSPEND])


def one(given: int) -> int:
    return given


async def play(handler: Any, after: AfterStep) -> Played:
    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    while not stage.has_ended:
        await asyncio.wait_for(stage.deliver(), 20)
        stage.pass_time()
    return stage.played


@contextlib.asynccontextmanager
async def group() -> AsyncIterator[asyncio.TaskGroup]:
    async with asyncio.TaskGroup() as tasks:
        yield tasks


async def in_a_context_manager(context: Context) -> None:
    async with group() as tasks:
        tasks.create_task(context.step.sleep("nap", 60))


async def in_an_exit_stack(context: Context) -> None:
    async with contextlib.AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(group())
        tasks.create_task(context.step.sleep("nap", 60))


async def waiting(context: Context) -> AsyncIterator[int]:
    await asyncio.wait([asyncio.create_task(context.step.sleep("nap", 60))])
    yield 1


async def in_a_loop_over_it(context: Context) -> None:
    assert [each async for each in waiting(context)] == [1]


async def in_one_within_another(context: Context) -> None:
    async def outer() -> AsyncIterator[int]:
        async for each in waiting(context):
            yield each

    assert [each async for each in outer()] == [1]


async def by_next(context: Context) -> None:
    assert await anext(waiting(context), None) == 1


async def in_clean_up(context: Context) -> None:
    async def cleans_up() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.wait([asyncio.create_task(context.step.sleep("nap", 60))])

    async with contextlib.aclosing(cleans_up()) as values:  # type: ignore[type-var]
        await anext(values)


async def for_an_event(context: Context) -> None:
    async def waits() -> AsyncIterator[int]:
        await event.wait()
        yield 1

    async def sets() -> None:
        await context.step.sleep("nap", 60)
        event.set()

    event = asyncio.Event()
    setting = asyncio.create_task(sets())
    assert [each async for each in waits()] == [1]
    await setting


async def in_an_object_that_is_awaited(context: Context) -> None:
    class Waits:
        def __await__(self) -> Generator[Any, None, int]:
            return anext(waiting(context)).__await__()

    class WaitsWithin:
        def __await__(self) -> Generator[Any, None, int]:
            return self.waits().__await__()

        async def waits(self) -> int:
            return await Waits()

    assert await WaitsWithin() == 1


@EACH_MODE
@pytest.mark.usefixtures("endless_grace")
@pytest.mark.parametrize(
    "waits",
    [
        in_a_context_manager,
        in_an_exit_stack,
        in_a_loop_over_it,
        in_one_within_another,
        by_next,
        in_clean_up,
        for_an_event,
        in_an_object_that_is_awaited,
    ],
)
async def test_a_sleep_that_a_generator_waits_for_ends_the_invocation_at_once(
    after: AfterStep, waits: Any
) -> None:
    async def handler(input: Any, context: Context) -> str:
        await waits(context)
        return "done"

    played = await play(handler, after)

    assert played.failure is None
    assert played.result == "done"
    assert played.sleeps == ["nap"]
    assert played.invocations == 2


@pytest.mark.parametrize("by", ["timer", "event"])
async def test_a_generator_that_is_busy_is_waited_for_beside_a_sleep(by: str) -> None:
    async def handler(input: Any, context: Context) -> int:
        async def busy() -> AsyncIterator[int]:
            began.append("busy")
            if by == "timer":
                await asyncio.sleep(0.05)
            else:
                event = asyncio.Event()
                asyncio.get_running_loop().call_later(0.05, event.set)
                await event.wait()
            yield 1

        sleeping = asyncio.create_task(context.step.sleep("nap", 60))
        async for each in busy():
            await context.step.run("a", one, each)
        await sleeping
        return len(began)

    began: list[str] = []
    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), AfterStep.COMMIT)
    await asyncio.wait_for(stage.deliver(), 20)

    assert stage.started == ["a"]
    assert began == ["busy"]
