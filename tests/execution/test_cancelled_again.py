"""What is cancelled again and again, until it has ended, ends as it does without the kit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from kit.execution.context import Context
from kit.execution.undisturbed import Undisturbed
from kit.model.delivery import AfterStep, CheckpointKind, Suspended
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing.stage import Played, Stage

from .handlers import one

RUN_ID = "11111111-1111-4111-8111-111111111111"
EACH_MODE = pytest.mark.parametrize("after", [AfterStep.COMMIT, AfterStep.SUSPEND])
Waits = Callable[[Context], Coroutine[Any, Any, Any]]


async def sleeps(context: Context) -> None:
    await context.step.sleep("long", "1 day")


async def is_in_a_step(context: Context) -> None:
    await context.step.run("long", asyncio.Event().wait)


async def started(context: Context) -> None:
    """Outlast what comes before the wait that is cancelled."""
    for _ in range(20):
        await asyncio.sleep(0)


async def end(task: asyncio.Task[Any]) -> None:
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def by_a_loop(context: Context, waits: Waits) -> None:
    task: asyncio.Task[Any] = asyncio.create_task(waits(context))
    await started(context)
    await end(task)
    assert task.cancelled()


async def by_a_loop_beside_others(context: Context, waits: Waits) -> None:
    async def rests() -> None:
        await context.step.sleep("rest", "2 days")

    tasks = [asyncio.create_task(each) for each in (waits(context), rests())]
    await started(context)
    await asyncio.gather(*(end(each) for each in tasks))
    assert all(each.cancelled() for each in tasks)


async def by_callbacks(context: Context, waits: Waits) -> None:
    """Cancel as anyio does: once per turn, from no task, unless the task knows already."""
    loop = asyncio.get_running_loop()
    task: asyncio.Task[Any] = asyncio.create_task(waits(context))
    await started(context)

    def again() -> None:
        if not task.done():
            task.cancel()
            loop.call_soon(again)

    again()
    await asyncio.wait([task])


async def by_a_task_group_of_anyio(context: Context, waits: Waits) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(waits, context)
        await started(context)
        group.cancel_scope.cancel()


async def by_a_sibling_in_anyio(context: Context, waits: Waits) -> None:
    async def fails() -> None:
        await started(context)
        raise ValueError

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(waits, context)
            group.start_soon(fails)

    with pytest.raises(ExceptionGroup):
        await both()


async def by_a_scope_around_it(context: Context, waits: Waits) -> None:
    scope = anyio.CancelScope()

    async def within() -> None:
        with scope:
            await waits(context)

    task = asyncio.create_task(within())
    await started(context)
    scope.cancel()
    await task


async def which_is_the_handler(context: Context, waits: Waits) -> None:
    handler = asyncio.current_task()
    assert handler is not None
    is_cut_off = False

    async def cancels() -> None:
        await started(context)
        while not is_cut_off:
            handler.cancel()
            await asyncio.sleep(0)

    cancelling = asyncio.create_task(cancels())
    try:
        await waits(context)
    except asyncio.CancelledError:
        is_cut_off = True
    while handler.cancelling():
        handler.uncancel()
    await cancelling


async def play(handler: Any, after: AfterStep) -> Played:
    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    while not stage.has_ended:
        await asyncio.wait_for(stage.deliver(), 20)
        stage.pass_time()
    return stage.played


@EACH_MODE
@pytest.mark.parametrize("waits", [sleeps, is_in_a_step])
@pytest.mark.parametrize(
    "cancelled",
    [
        by_a_loop,
        by_a_loop_beside_others,
        by_callbacks,
        by_a_task_group_of_anyio,
        by_a_sibling_in_anyio,
        by_a_scope_around_it,
        which_is_the_handler,
    ],
)
async def test_what_is_cancelled_again_and_again_is_cut_off_once(
    after: AfterStep, waits: Waits, cancelled: Any
) -> None:
    async def handler(input: Any, context: Context) -> str:
        await context.step.run("first", one)
        await cancelled(context, waits)
        await context.step.run("next", one)
        return "done"

    played = await play(handler, after)

    assert played.failure is None
    assert played.result == "done"
    kinds = {step_id: each.kind for step_id, each in played.checkpoints.items()}
    assert kinds.pop("rest", CheckpointKind.CUT_OFF) is CheckpointKind.CUT_OFF
    assert kinds == {
        "first": CheckpointKind.STEP,
        "long": CheckpointKind.CUT_OFF,
        "next": CheckpointKind.STEP,
    }
    assert [each for each in played.steps if each != "long"] == ["first", "next"]
    assert played.steps.count("long") <= 1


@EACH_MODE
async def test_clean_up_is_cancelled_as_well_and_the_same_at_each_replay(after: AfterStep) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        async def cleans_up() -> None:
            try:
                await context.step.sleep("long", "1 day")
            finally:
                seen.append("clean-up")
                await context.step.run("clean-up", asyncio.Event().wait)
                seen.append("is over")

        seen: list[str] = []
        task = asyncio.create_task(cleans_up())
        await context.step.run("first", one)
        await end(task)
        await context.step.run("next", one)
        return seen

    played = await play(handler, after)

    assert played.result == ["clean-up"]
    assert played.checkpoints["clean-up"].kind is CheckpointKind.CUT_OFF


async def test_who_is_cancelled_at_every_turn_and_stays_does_not_keep_the_invocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.01)

    async def handler(input: Any, context: Context) -> int:
        def again() -> None:
            if not step.done():
                here.cancel()
                asyncio.get_running_loop().call_soon(again)

        here: Any = asyncio.current_task()
        step = asyncio.create_task(context.step.run("a", one))
        await started(context)
        again()
        while not step.done():
            try:
                await asyncio.wait([step])
            except asyncio.CancelledError:
                here.uncancel()
        return step.result()

    played = await play(handler, AfterStep.SUSPEND)

    assert played.result == 1
    assert played.invocations == 2


@EACH_MODE
async def test_a_stop_is_heard_where_a_task_is_cancelled_again_and_again(after: AfterStep) -> None:
    async def handler(input: Any, context: Context) -> None:
        task = asyncio.create_task(sleeps(context))
        await started(context)
        stage.stopped = True
        await end(task)
        await context.step.run("next", one)

    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    await asyncio.wait_for(stage.deliver(), 20)

    assert isinstance(stage.outcome, Suspended)
    assert stage.started == []


async def test_a_cancelled_task_waits_on_undisturbed_and_is_woken_only_once() -> None:
    woken: list[str] = []

    async def waits() -> str:
        try:
            return str(await wait)
        finally:
            woken.append("once")

    wait = Undisturbed(lambda: False)
    task = asyncio.create_task(waits())
    for _ in range(5):
        await asyncio.sleep(0)
        task.cancel()
    assert woken == []
    wait.set_result("in its turn")
    assert await task == "in its turn"
    assert woken == ["once"]


async def test_an_undisturbed_wait_is_cancelled_where_that_counts() -> None:
    wait = Undisturbed(lambda: True)

    assert wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
