"""Which tasks an invocation has, and whether they could go on by themselves."""

from __future__ import annotations

import asyncio
import gc
from contextvars import Context as Context_
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.branch import Branch
from kit.execution.context import Context
from kit.execution.standing import At, standing_of
from kit.execution.tasks import apart, owner, watch
from kit.model.delivery import AfterStep, Suspended
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing.stage import Stage

from .handlers import fail

if TYPE_CHECKING:
    from conftest import Deliver


class Seer:
    """Who takes no notice."""

    loop: Any = None
    quiet = 0
    was_busy = False

    def waits_outside(self, branch: Branch) -> None:
        pass


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def in_gather() -> None:
    await asyncio.gather(forever(), forever())


async def in_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(forever())


async def in_wait() -> None:
    await asyncio.wait([asyncio.ensure_future(forever())])


async def as_completed() -> None:
    for each in asyncio.as_completed([forever(), forever()]):
        await each


async def on_a_task() -> None:
    await asyncio.ensure_future(forever())


async def with_a_limit() -> None:
    await asyncio.wait([asyncio.ensure_future(forever())], timeout=3600)


async def asleep() -> None:
    await asyncio.sleep(3600)


async def beside_something_else() -> None:
    await asyncio.gather(forever(), asyncio.get_running_loop().create_future())


async def letting_go() -> None:
    while True:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("function", "at"),
    [
        (in_gather, At.ON_TASKS),
        (in_group, At.ON_TASKS),
        (in_wait, At.ON_TASKS),
        (as_completed, At.BUSY),
        (on_a_task, At.ON_TASKS),
        (with_a_limit, At.BUSY),
        (asleep, At.BUSY),
        (forever, At.BUSY),
        (beside_something_else, At.BUSY),
        (letting_go, At.MOVING),
    ],
)
@pytest.mark.parametrize("is_driven", [True, False])
async def test_what_a_task_is_at_is_seen(function: Any, at: At, is_driven: bool) -> None:
    coroutine = function()
    branch = Branch(coroutine, Seer(), is_driven=is_driven)
    task = asyncio.create_task(branch if is_driven else coroutine)
    for _ in range(5):
        await asyncio.sleep(0)
    others = asyncio.all_tasks() - {task, asyncio.current_task()}

    assert standing_of(branch, others).at is at

    for each in (task, *others):
        each.cancel()
    await asyncio.gather(task, *others, return_exceptions=True)


async def test_a_task_whose_wait_is_over_is_about_to_go_on() -> None:
    future = asyncio.get_running_loop().create_future()

    async def waits() -> None:
        await future

    branch = Branch(waits(), Seer())
    task = asyncio.create_task(branch)
    assert standing_of(branch, ()).at is At.MOVING  # it has not begun
    await asyncio.sleep(0)
    future.set_result(None)
    assert standing_of(branch, ()).at is At.MOVING
    await task


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_task_made_past_the_factory_is_waited_for(after: AfterStep) -> None:
    takes = [0, 0.05, 0.05, 0.05]

    async def handler(input: Any, context: Context) -> list[int]:
        async def late() -> int:
            await asyncio.sleep(takes.pop(0))
            return int(await context.step.run("late", lambda: 1))

        task = asyncio.Task(late())
        await asyncio.sleep(0.01)
        early = await context.step.run("early", lambda: 2)
        await context.step.sleep("nap", 1)
        return [early, await task]

    event = Event("w", None, "00000000-0000-4000-8000-000000000001")
    stage = Stage(Workflow(handler, "w"), event, after)
    while not stage.has_ended:
        await stage.deliver()
        stage.pass_time()

    assert stage.played.result == [2, 1], stage.played.failure


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_failure_that_the_handler_will_look_at_later_makes_no_noise(
    deliver: Deliver, after: AfterStep
) -> None:
    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, what: said.append(what))

    async def handler(input: Any, context: Context) -> str:
        async def fails() -> None:
            await asyncio.gather(context.step.run("bad", fail))

        failing = asyncio.create_task(fails())
        napping = asyncio.create_task(context.step.sleep("nap", 1))
        await asyncio.wait([failing, napping])
        return str(failing.exception())

    stage = await deliver(handler, after=after)
    while stage.outcome == Suspended(goes_on=True):
        stage = await deliver(handler, stage.checkpoints, after=after)
    assert isinstance(stage.outcome, Suspended)
    del stage
    gc.collect()

    assert said == []


async def test_tasks_belong_to_whoever_begins_them_unless_they_are_apart() -> None:
    class Owner(Seer):
        loop = asyncio.get_running_loop()
        told: list[Any] = []  # noqa: RUF012

        def begins(self, task: Any) -> None:
            self.told.append(task)

    async def nothing() -> None:
        pass

    watch(asyncio.get_running_loop())
    mine = Owner()
    owner.set(mine)
    task, other = (
        asyncio.create_task(nothing()),
        asyncio.create_task(nothing(), context=apart()),
    )
    await asyncio.gather(task, other)
    owner.set(None)

    assert mine.told == [task]


async def test_a_task_that_comes_when_all_is_over_waits_like_any_other(deliver: Deliver) -> None:
    contexts: list[Context_] = []
    is_free = asyncio.Event()

    async def late() -> str:
        await is_free.wait()
        return "done"

    async def handler(input: Any, context: Context) -> None:
        contexts.append(copy_context())

    await deliver(handler)
    made = asyncio.get_running_loop().create_task(late(), context=contexts[0])
    await asyncio.sleep(0)
    is_free.set()

    assert await made == "done"
