"""Task factories that are set already, as by libraries that trace, and eager tasks."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep, Completed

from .handlers import one

if TYPE_CHECKING:
    from conftest import Deliver


async def two_branches(input: Any, context: Context) -> list[int]:
    async def branch(number: int) -> int:
        return int(await context.step.run(f"s{number}", lambda: number))

    return await asyncio.gather(branch(1), branch(2))


async def test_a_factory_that_is_set_already_goes_on_making_tasks(deliver: Deliver) -> None:
    made: list[str] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    asyncio.get_running_loop().set_task_factory(factory)
    stage = await deliver(two_branches, after=AfterStep.COMMIT)

    assert stage.outcome == Completed("[1,2]")
    assert sum("branch" in each for each in made) == 2


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks before 3.12")
async def test_eager_tasks_are_branches_like_others(deliver: Deliver) -> None:
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    for after in AfterStep:
        stage = await deliver(two_branches, after=after)
        while stage.outcome != Completed("[1,2]"):
            stage = await deliver(two_branches, stage.checkpoints, after=after)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks before 3.12")
@pytest.mark.parametrize("after", list(AfterStep))
async def test_what_eager_tasks_append_to_one_list_comes_in_the_same_order_at_a_replay(
    after: AfterStep, deliver: Deliver
) -> None:
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    seen: list[str] = []

    async def handler(input: Any, context: Context) -> None:
        came: list[str] = []

        async def branch(name: str) -> None:
            came.append(f"{name} begins")
            await context.step.run(name, one)
            came.append(f"{name} ends")

        await context.step.run("first", one)
        await asyncio.gather(branch("a"), branch("b"))
        seen[:] = seen or came
        assert seen == came
        await context.step.sleep("nap", 1)

    stage = await deliver(handler, after=after)
    while not isinstance(stage.outcome, Completed):
        stage = await deliver(handler, stage.checkpoints, after=after)
    assert seen == ["a begins", "b begins", "a ends", "b ends"]


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_task_factory_may_wrap_what_it_is_given(after: AfterStep, deliver: Deliver) -> None:
    """As those of tracing libraries do."""

    def factory(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        async def wrapped() -> Any:
            return await coroutine

        return asyncio.Task(wrapped(), loop=loop, **options)

    asyncio.get_running_loop().set_task_factory(factory)  # type: ignore[arg-type]
    stage = await deliver(two_branches, after=after)
    while stage.outcome != Completed("[1,2]"):
        stage = await deliver(two_branches, stage.checkpoints, after=after)


async def test_what_a_forgotten_task_has_failed_with_is_told_as_always(deliver: Deliver) -> None:
    said: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: said.append(context["message"]))

    async def handler(input: Any, context: Context) -> None:
        async def fails() -> None:
            await context.step.run("a", one)
            raise ValueError

        task = asyncio.create_task(fails())
        await asyncio.wait([task])

    await deliver(handler, after=AfterStep.COMMIT)
    gc.collect()
    assert said == ["Task exception was never retrieved"]
