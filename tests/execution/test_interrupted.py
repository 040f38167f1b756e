"""Where an invocation is over, the handler's code does not go on as if it had what it asked for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep, Completed, Suspended
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing.stage import Stage

from .handlers import one

RUN_ID = "11111111-1111-4111-8111-111111111111"
EACH_MODE = pytest.mark.parametrize("after", list(AfterStep))


def branches(context: Context) -> list[asyncio.Task[Any]]:
    return [
        asyncio.create_task(context.step.run("a", one)),
        asyncio.create_task(context.step.sleep("nap", "1 hour")),
        asyncio.create_task(context.step.sleep("rest", "2 hours")),
    ]


async def by_wait(context: Context) -> None:
    await asyncio.wait(branches(context))


async def by_wait_for_the_first_failure(context: Context) -> None:
    await asyncio.wait(branches(context), return_when=asyncio.FIRST_EXCEPTION)


async def by_gathering_exceptions(context: Context) -> None:
    await asyncio.gather(*branches(context), return_exceptions=True)


async def by_callbacks(context: Context) -> None:
    done = asyncio.Event()
    left = branches(context)

    def ended(task: asyncio.Task[Any]) -> None:
        left.remove(task)
        if not left:
            done.set()

    for each in list(left):
        each.add_done_callback(ended)
    await done.wait()


async def by_queue(context: Context) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def puts(task: asyncio.Task[Any]) -> None:
        with contextlib.suppress(BaseException):
            await task
        queue.put_nowait("one more")

    putting = [asyncio.create_task(puts(each)) for each in branches(context)]
    for _ in putting:
        await queue.get()


@EACH_MODE
@pytest.mark.parametrize(
    "waits",
    [by_wait, by_wait_for_the_first_failure, by_gathering_exceptions, by_callbacks, by_queue],
)
async def test_what_comes_after_a_wait_happens_when_all_has_come(
    after: AfterStep, waits: Any
) -> None:
    went_on: list[int] = []
    cleaned: list[str] = []

    async def handler(input: Any, context: Context) -> str:
        try:
            await waits(context)
            went_on.append(stage.clock)
            await context.step.run("report", one)
            await context.send_event("reported")
        finally:
            cleaned.append("begun")
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.001))
            cleaned.append("ended")
        return "done"

    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    began = stage.clock
    while not stage.has_ended:
        await asyncio.wait_for(stage.deliver(), 20)
        stage.pass_time()

    assert isinstance(stage.outcome, Completed)
    assert {each - began for each in went_on} == {7_200_000}
    assert stage.played.steps == ["a", "report"]
    assert [each.name for each in stage.played.sent] == ["reported"]
    assert cleaned == ["begun", "ended"] * stage.played.invocations


async def test_a_branch_that_has_not_begun_does_not_begin() -> None:
    began: list[str] = []

    async def handler(input: Any, context: Context) -> None:
        async def late() -> None:
            began.append("late")
            await context.step.run("late", one)

        try:
            await context.step.sleep("nap", 1)
        finally:
            task = asyncio.create_task(late())
            began.append("clean-up")
            with contextlib.suppress(BaseException):
                await task

    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID))
    await asyncio.wait_for(stage.deliver(), 20)

    assert isinstance(stage.outcome, Suspended)
    assert began == ["clean-up", "late"]  # what clean-up begins is a part of it
    assert stage.started == []


@EACH_MODE
async def test_a_run_that_is_stopped_is_not_gone_on_with(after: AfterStep) -> None:
    went_on: list[Any] = []

    async def handler(input: Any, context: Context) -> None:
        async def stops() -> None:
            stage.stopped = True

        first = asyncio.create_task(context.step.run("stops", stops))
        second = asyncio.create_task(context.step.sleep("nap", 60))
        done, _ = await asyncio.wait({first, second}, return_when=asyncio.ALL_COMPLETED)
        went_on.append(done)

    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    await asyncio.wait_for(stage.deliver(), 20)

    assert isinstance(stage.outcome, Suspended)
    assert went_on == []
