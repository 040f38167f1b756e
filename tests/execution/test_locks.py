"""Branches that wait for each other by locks, queues and events, between steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.model.delivery import AfterStep, Completed, Failed, Suspended
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing import play
from kit.testing.stage import Stage

from .handlers import one

RUN_ID = "11111111-1111-4111-8111-111111111111"
BOTH = (AfterStep.COMMIT, AfterStep.SUSPEND)
SHARED: list[asyncio.Lock] = []


def stage_of(handler: Any, after: AfterStep) -> Stage:
    return Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)


async def asleep(stage: Stage) -> None:
    """Deliver until all of the run sleeps."""
    for _ in range(20):
        outcome = await asyncio.wait_for(stage.deliver(), 20)
        assert isinstance(outcome, Suspended)
        if outcome.sleeps and not outcome.goes_on:
            stage.pass_time()
            return
    raise AssertionError("it does not come to sleep")


def by_lock(*names: str) -> Any:
    async def handler(input: Any, context: Context) -> None:
        lock = asyncio.Lock()

        async def branch(name: str) -> None:
            async with lock:
                await context.step.run(name, one)

        await asyncio.gather(*(branch(each) for each in names))
        await context.step.sleep("nap", 60)

    return handler


def by_semaphore(*names: str) -> Any:
    class Limited:
        def __init__(self) -> None:
            self.limit = asyncio.Semaphore(1)

        async def run(self, context: Context, name: str) -> None:
            async with self.limit:
                await context.step.run(name, one)

    async def handler(input: Any, context: Context) -> None:
        limited = Limited()
        async with asyncio.TaskGroup() as group:
            for each in names:
                group.create_task(limited.run(context, each))
        await context.step.sleep("nap", 60)

    return handler


def by_queue(*names: str) -> Any:
    async def handler(input: Any, context: Context) -> None:
        todo: asyncio.Queue[str] = asyncio.Queue(1)

        async def fill() -> None:
            for each in names:
                await todo.put(each)

        async def work() -> None:
            for _ in names:
                await context.step.run(await todo.get(), one)

        await asyncio.gather(fill(), work())
        await context.step.sleep("nap", 60)

    return handler


def by_event(*names: str) -> Any:
    async def handler(input: Any, context: Context) -> None:
        done = asyncio.Event()

        async def first() -> None:
            await context.step.run(names[0], one)
            done.set()

        async def then() -> None:
            await done.wait()
            await context.step.run(names[1], one)

        async with asyncio.TaskGroup() as group:
            group.create_task(first())
            group.create_task(then())
        await context.step.sleep("nap", 60)

    return handler


def by_future(*names: str) -> Any:
    async def handler(input: Any, context: Context) -> None:
        done = asyncio.get_running_loop().create_future()

        async def first() -> None:
            done.set_result(await context.step.run(names[0], one))

        async def then() -> None:
            await done
            await context.step.run(names[1], one)

        async with asyncio.TaskGroup() as group:
            group.create_task(first())
            group.create_task(then())
        await context.step.sleep("nap", 60)

    return handler


@pytest.mark.parametrize("make", [by_lock, by_semaphore, by_queue, by_event, by_future])
@pytest.mark.parametrize("after", BOTH)
async def test_changed_code_behind_a_lock_is_a_replay_error_and_no_hang(
    make: Callable[..., Any], after: AfterStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 3600)
    stage = stage_of(make("a", "b"), after)
    await asleep(stage)
    stage.workflow = Workflow(make("renamed", "b"), "w")

    outcome = await asyncio.wait_for(stage.deliver(), 20)

    assert isinstance(outcome, Failed)
    assert outcome.failure.type == "ReplayError"
    assert "'renamed' as a new step, but never for 'a', 'b'" in outcome.failure.message
    assert outcome.retry_in is None
    assert stage.started == []


@pytest.mark.parametrize("make", [by_lock, by_semaphore, by_queue, by_event, by_future])
@pytest.mark.parametrize("after", BOTH)
async def test_code_that_has_not_changed_goes_on(
    make: Callable[..., Any], after: AfterStep
) -> None:
    stage = stage_of(make("a", "b"), after)
    await asleep(stage)
    await stage.deliver()
    assert isinstance(stage.outcome, Completed)
    assert stage.played.steps == ["a", "b"]


@pytest.mark.parametrize("after", BOTH)
async def test_who_comes_to_a_lock_first_may_be_another_if_that_takes_time(
    after: AfterStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was changed: one that was slower outside of steps is faster this time."""
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.02)
    slow = {"a": 0.0, "b": 0.05}

    async def handler(input: Any, context: Context) -> list[str]:
        lock, came = asyncio.Lock(), []

        async def branch(name: str) -> None:
            await asyncio.sleep(slow[name])
            async with lock:
                came.append(await context.step.run(name, lambda: name))
                if name == "a" and slow["b"]:
                    await asyncio.get_running_loop().create_future()  # the process ends here

        await asyncio.gather(branch("a"), branch("b"))
        return came

    stage = stage_of(handler, after)
    await stage.deliver(time_left=0.3)
    assert list(stage.checkpoints) == ["a"]
    slow.update(a=0.05, b=0.0)
    stage.attempt, stage.due = 0, stage.clock
    for _ in range(4):
        if not stage.has_ended:
            await asyncio.wait_for(stage.deliver(), 20)
            stage.pass_time()

    assert isinstance(stage.outcome, Completed)
    assert sorted(stage.played.result) == ["a", "b"]
    assert stage.played.steps == ["a", "b"]


@pytest.mark.parametrize("after", BOTH)
async def test_a_lock_that_others_hold_as_well_is_waited_for(
    after: AfterStep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.02)

    async def handler(input: Any, context: Context) -> list[int]:
        async def limited() -> int:
            async with SHARED[0]:
                return int(await context.step.run("limited", lambda: 1))

        async def free() -> int:
            return int(await context.step.run("free", lambda: 2))

        return await asyncio.gather(limited(), free())

    SHARED[:] = [asyncio.Lock()]
    stage = stage_of(handler, after)
    await stage.deliver()
    stage.has_ended = False
    del stage.checkpoints["free"]
    async with SHARED[0]:  # another run has it
        waiting = asyncio.create_task(stage.deliver())
        while "waits" not in caplog.text:
            await asyncio.sleep(0.01)
            assert not waiting.done(), waiting.result()
    await asyncio.wait_for(waiting, 20)
    while not stage.has_ended:
        await asyncio.wait_for(stage.deliver(), 20)
    assert stage.played.result == [1, 2]


@pytest.mark.parametrize("replay", ["pauses", "always"])
def test_no_time_is_lost_for_who_waits_for_a_lock_beside_a_sleep(
    replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 3600)

    @define_workflow(name="limited")
    async def limited(input: Any, context: Context) -> list[int]:
        limit = asyncio.Semaphore(2)

        async def branch(number: int) -> int:
            async with limit:
                await context.step.sleep(f"nap {number}", 60)
                return int(await context.step.run(f"step {number}", lambda: number))

        return await asyncio.gather(*(branch(number) for number in range(6)))

    played = play(limited, replay=replay)
    assert played.result == [*range(6)]
    assert played.elapsed == 180_000


def seconds(count: int) -> float:
    """Return how much processor time *count* steps behind a semaphore take."""

    @define_workflow(name="many")
    async def many(input: Any, context: Context) -> int:
        limit = asyncio.Semaphore(10)

        async def branch(number: int) -> int:
            async with limit:
                return int(await context.step.run(f"s{number}", one))

        return sum(await asyncio.gather(*(branch(number) for number in range(count))))

    began = time.process_time()
    assert play(many, replay="pauses").result == count
    return time.process_time() - began


def test_what_a_step_behind_a_semaphore_takes_does_not_grow_with_those_that_wait() -> None:
    """It was quadratic: then four times as many would take each four times as long."""
    few, many = min(seconds(300) for _ in range(2)), seconds(1200)
    assert many < few * 4 * 2.5
