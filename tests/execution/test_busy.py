"""Branches that are busy outside of steps, beside others that sleep; and what breaks looking."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from kit.execution.context import Context
from kit.execution.looking import Looking
from kit.model.delivery import AfterStep, Completed, Failed, Suspended
from kit.model.event import Event
from kit.model.retry import RetryPolicy
from kit.model.workflow import Workflow
from kit.testing.stage import START, Played, Stage

RUN_ID = "11111111-1111-4111-8111-111111111111"
BOTH = (AfterStep.COMMIT, AfterStep.SUSPEND)
DAY = 86_400


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.01)


def stage_of(handler: Any, after: AfterStep, **policy: Any) -> Stage:
    return Stage(Workflow(handler, "w", **policy), Event("w", None, RUN_ID), after)


async def finish(stage: Stage) -> Played:
    """Deliver until the run has ended."""
    for _ in range(100):
        if stage.has_ended:
            return stage.played
        await asyncio.wait_for(stage.deliver(), 20)
        stage.pass_time()
    raise AssertionError("it does not end")


@pytest.mark.parametrize("after", [*BOTH, AfterStep.GATHER])
async def test_a_busy_branch_beside_a_long_sleep_is_not_a_day_late(after: AfterStep) -> None:
    at: dict[str, int] = {}
    fetched: list[int] = []

    async def handler(input: Any, context: Context) -> str:
        async def fetch() -> None:
            await context.step.run("first", lambda: 1)
            fetched.append(1)
            await asyncio.sleep(0.1)  # many times the grace
            await context.step.run("late", lambda: at.setdefault("late", stage.clock - START))

        await asyncio.gather(fetch(), context.step.sleep("day", DAY))
        return "done"

    stage = stage_of(handler, after)
    played = await finish(stage)
    assert played.result == "done"
    assert at == {"late": 0}
    assert played.elapsed == DAY * 1000
    if after is AfterStep.COMMIT:
        assert len(fetched) == 2  # and once more after the sleep, when it leads to what is recorded


async def test_a_sleep_that_is_over_meanwhile_ends_beside_the_busy_branch() -> None:
    """Otherwise that would begin anew each time, and never come to its end."""
    done: list[str] = []

    async def handler(input: Any, context: Context) -> None:
        async def busy() -> None:
            done.append("begun")
            while len(done) < 6:
                await asyncio.sleep(0.01)
                stage.clock += 1000
            await context.step.run("busy", lambda: done.append("busy"))

        async def often() -> None:
            for number in range(5):
                await context.step.sleep(f"nap {number}", 1)
                await context.step.run(f"look {number}", lambda: done.append("look"))

        await asyncio.gather(busy(), often())

    stage = stage_of(handler, AfterStep.COMMIT)
    outcome = await asyncio.wait_for(stage.deliver(), 20)

    assert isinstance(outcome, Completed)
    assert Counter(done) == {"begun": 1, "look": 5, "busy": 1}
    assert stage.played.invocations == 1
    numbers = [each.sequence for each in stage.checkpoints.values()]
    assert sorted(numbers) == [*range(11)]

    stage.has_ended, done[:] = False, ["look"] * 5
    await asyncio.wait_for(stage.deliver(), 20)
    assert isinstance(stage.outcome, Completed)
    assert stage.started == []


async def test_that_a_sleep_has_begun_is_stored_before_it_has_lasted_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a process that ends from time to time would begin it anew each time."""
    monkeypatch.setattr("kit.execution.sleeping.UNSTORED_SECONDS", 0.05)
    lives: list[int] = []

    async def handler(input: Any, context: Context) -> None:
        lives.append(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600))
            group.create_task(context.step.sleep("day", DAY))

    stage = stage_of(handler, AfterStep.COMMIT)
    stage.linger = 0.3
    outcome = await stage.deliver()
    assert isinstance(outcome, Suspended)
    assert outcome.goes_on
    due = outcome.sleeps[0].due
    stage.clock += 5000
    outcome = await stage.deliver()  # which is not cut short again: all is stored
    assert isinstance(outcome, Suspended)
    assert not outcome.goes_on
    assert [each.due for each in outcome.sleeps] == [due]
    assert len(lives) == 2


async def test_where_it_cannot_be_stored_that_a_sleep_is_over_the_invocation_ends_then() -> None:
    async def handler(input: Any, context: Context) -> None:
        async def busy() -> None:
            while stage.clock < START + 2000:
                await asyncio.sleep(0.01)
                stage.clock += 100

        async with asyncio.TaskGroup() as group:
            group.create_task(busy())
            group.create_task(context.step.sleep("nap", 1))

    stage = stage_of(handler, AfterStep.SUSPEND)
    outcome = await asyncio.wait_for(stage.deliver(), 20)
    assert isinstance(outcome, Suspended)
    assert [each.step_id for each in outcome.sleeps] == ["nap"]


async def test_near_the_end_of_its_time_it_goes_on_at_once_if_there_was_little() -> None:
    async def handler(input: Any, context: Context) -> None:
        async def busy() -> None:
            await context.step.run("slow", asyncio.sleep, 0 if stage.checkpoints else 0.9)
            await asyncio.sleep(3600)

        await asyncio.gather(busy(), context.step.sleep("day", DAY))

    stage = stage_of(handler, AfterStep.COMMIT)
    outcome = await stage.deliver(time_left=1.2)  # of which three quarters are gone
    assert isinstance(outcome, Suspended)
    assert outcome.goes_on
    outcome = await stage.deliver(time_left=1.2)  # it has all there is, and another has no more
    assert isinstance(outcome, Suspended)
    assert not outcome.goes_on
    assert [each.step_id for each in outcome.sleeps] == ["day"]


async def test_a_run_that_is_stopped_does_not_wait_for_the_busy_branch() -> None:
    async def handler(input: Any, context: Context) -> None:
        asyncio.get_running_loop().call_later(0.05, setattr, stage, "stopped", True)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600))
            group.create_task(context.step.sleep("day", DAY))

    stage = stage_of(handler, AfterStep.COMMIT)
    outcome = await asyncio.wait_for(stage.deliver(), 20)
    assert isinstance(outcome, Suspended)
    assert outcome.goes_on


@pytest.mark.parametrize("after", BOTH)
@pytest.mark.parametrize("where", ["_act", "_stands_still"])
async def test_what_breaks_looking_is_the_outcome_and_no_hang(
    after: AfterStep, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Looking) -> None:
        raise ZeroDivisionError("a fault of the kit's")

    monkeypatch.setattr(Looking, where, broken)

    async def handler(input: Any, context: Context) -> None:
        await asyncio.gather(context.step.sleep("a", 1), context.step.sleep("b", 2))

    stage = stage_of(handler, after, retry=RetryPolicy(0))
    outcome = await asyncio.wait_for(stage.deliver(), 20)
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "EXECUTION_FAILED"
    assert "ZeroDivisionError: a fault of the kit's" in outcome.failure.message


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("way", ["wait", "as_completed"])
async def test_what_comes_from_outside_is_waited_for_by_whatever_awaits_it(
    way: str, after: AfterStep
) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        came: list[str] = []

        async def outside() -> None:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            loop.call_later(0.05, future.set_result, None)
            if way == "wait":
                await asyncio.wait({future})
            else:
                await next(iter(asyncio.as_completed([future])))
            came.append(await context.step.run("after", said, "after"))

        async def beside() -> None:
            came.append(await context.step.run("beside", said, "beside", 0.1))

        await asyncio.gather(beside(), outside())
        await context.step.sleep("nap", 60)
        return came

    async def said(what: str, seconds: float = 0) -> str:
        await asyncio.sleep(seconds)
        return what

    played = await finish(stage_of(handler, after))
    assert played.completed, played.failure
    assert sorted(played.result) == ["after", "beside"]
    assert sorted(played.steps) == ["after", "beside"]
