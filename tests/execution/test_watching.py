"""A handler that waits for what nobody brings about, with nobody left who asks for anything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest

from kit.execution.context import Context
from kit.execution.watching import Watch
from kit.model.delivery import AfterStep, Completed, Failed
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing.stage import Stage

from .handlers import one

RUN_ID = "11111111-1111-4111-8111-111111111111"
BOTH = pytest.mark.parametrize("after", [AfterStep.COMMIT, AfterStep.SUSPEND])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.execution.watching.FIRST_SECONDS", 0.01)


async def as_it_was(input: Any, context: Context) -> None:
    await context.step.run("a", one)
    await context.step.run("b", one)
    await context.step.sleep("nap", 60)


async def for_a_future(input: Any, context: Context) -> None:
    await context.step.run("a", one)
    await asyncio.get_running_loop().create_future()


async def for_a_branch_that_waits(input: Any, context: Context) -> None:
    event = asyncio.Event()

    async def waits() -> None:
        await event.wait()
        await context.step.run("b", one)

    await asyncio.gather(waits(), context.step.run("a", one))


async def for_a_queue(input: Any, context: Context) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        group.create_task(context.step.run("a", one))
        group.create_task(queue.get())


async def once_cancelled(input: Any, context: Context) -> None:
    await context.step.run("a", one)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def asleep(after: AfterStep, handler: Any = as_it_was) -> Stage:
    """Return a run that sleeps, to be gone on with."""
    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    while not stage.record.asleep:
        await stage.deliver()
    stage.pass_time()
    return stage


async def goes_on(stage: Stage) -> None:
    await asyncio.wait_for(stage.deliver(), 20)
    while not stage.has_ended:
        stage.pass_time()
        await asyncio.wait_for(stage.deliver(), 20)


@BOTH
@pytest.mark.parametrize(
    "handler", [for_a_future, for_a_branch_that_waits, for_a_queue, once_cancelled]
)
async def test_changed_code_that_waits_in_vain_is_said_with_where_it_waits(
    after: AfterStep, handler: Any
) -> None:
    stage = await asleep(after)
    stage.workflow = Workflow(handler, "w")

    await goes_on(stage)

    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.type == "ReplayError"
    assert "test_watching.py:" in stage.outcome.failure.message
    assert "so never asks for 'b', 'nap', which the run has" in stage.outcome.failure.message
    assert stage.outcome.retry_in is None


@BOTH
async def test_code_that_waits_in_vain_with_all_recorded_asked_for_is_warned_of(
    after: AfterStep, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(input: Any, context: Context) -> None:
        await as_it_was(input, context)
        await asyncio.Event().wait()

    stage = await asleep(after, handler)
    with caplog.at_level(logging.WARNING, "kit"):
        delivery = asyncio.ensure_future(stage.deliver())
        async with asyncio.timeout(20):
            while not caplog.records:
                await asyncio.sleep(0.01)
    assert not delivery.done()  # it might be wrong, and so it is the user's to stop it
    delivery.cancel()
    await asyncio.wait([delivery])

    (said,) = (each.getMessage() for each in caplog.records)
    assert said.startswith(f"run {RUN_ID} waits: the handler waits at {__file__}:")
    assert "for what nobody holds on to" in said


@BOTH
@pytest.mark.parametrize("shares", [False, True])
async def test_what_others_bring_about_is_waited_for_and_said_when_it_takes_long(
    after: AfterStep,
    shares: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.execution.watching.MOST_SECONDS", 0.02)
    event, looked = asyncio.Event(), asyncio.Event()
    look = Watch._look

    def looks(watch: Watch) -> None:
        look(watch)
        looked.set()

    monkeypatch.setattr(Watch, "_look", looks)

    async def handler(input: Any, context: Context) -> str:
        await context.step.run("a", one)
        if stage.attempt or stage.record.checkpoints.get("nap"):
            await (event.wait() if shares else _set_later(event))
        await context.step.run("b", one)
        await context.step.sleep("nap", 60)
        return "done"

    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    while not stage.record.asleep:
        await stage.deliver()
    stage.pass_time()
    with caplog.at_level(logging.WARNING, "kit"):
        delivery = asyncio.ensure_future(stage.deliver())
        async with asyncio.timeout(20):
            while shares and not caplog.records:
                await looked.wait()
                looked.clear()
        event.set()
        await asyncio.wait_for(delivery, 20)

    assert isinstance(stage.outcome, Completed)
    if shares:
        assert "for a minute, and has not asked for 'b', 'nap' yet" in caplog.text


async def _set_later(event: asyncio.Event) -> None:
    asyncio.get_running_loop().call_later(0.05, event.set)
    await event.wait()


async def test_what_is_over_is_watched_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), []
    later = loop.call_later

    def noted(seconds: float, call: Any, *args: Any) -> asyncio.TimerHandle:
        timer = later(seconds, call, *args)
        if isinstance(getattr(call, "__self__", None), Watch):
            timers.append(timer)
        return timer

    monkeypatch.setattr(loop, "call_later", noted)
    monkeypatch.setattr("kit.execution.watching.FIRST_SECONDS", 3600)

    async def handler(input: Any, context: Context) -> None:
        await asyncio.sleep(0.001)

    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID))
    await stage.deliver()

    assert isinstance(stage.outcome, Completed)
    assert len(timers) == 1
    assert timers[0].cancelled()
