"""Limits of time around steps, which may end at any moment: every replay comes to the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep
from kit.model.event import Event
from kit.model.workflow import Workflow
from tests.support.delivering import until_ended
from tests.support.limited_programs import RUN_ID, SlowStage, check, some
from tests.support.virtual_time import run

Branch = Callable[[Context], Awaitable[Any]]


def step(name: str, seconds: float = 0) -> Branch:
    async def function() -> str:
        await asyncio.sleep(seconds)
        return name

    async def branch(context: Context) -> str:
        return await context.step.run(name, function)

    return branch


def pause(seconds: float, then: Branch) -> Branch:
    async def branch(context: Context) -> Any:
        await asyncio.sleep(seconds)
        return await then(context)

    return branch


async def with_wait_for(context: Context, *branches: Branch) -> list[str]:
    try:
        both = asyncio.gather(*(each(context) for each in branches))
        return await asyncio.wait_for(both, 0.01)
    except TimeoutError:
        return [await step("fallback")(context)]


async def with_timeout(context: Context, *branches: Branch) -> list[str]:
    try:
        async with asyncio.timeout(0.01):
            return await asyncio.gather(*(each(context) for each in branches))
    except TimeoutError:
        return [await step("fallback")(context)]


async def as_a_race(context: Context, *branches: Branch) -> list[str]:
    tasks = [asyncio.create_task(each(context)) for each in branches]  # type: ignore[arg-type]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for each in tasks:
        each.cancel()
    await asyncio.wait(tasks)
    return ["cut off" if each.cancelled() else each.result() for each in tasks]


async def with_wait(context: Context, *branches: Branch) -> list[str]:
    first, *others = [asyncio.create_task(each(context)) for each in branches]  # type: ignore[arg-type]
    await asyncio.wait([first], timeout=1.4)
    first.cancel()
    return await asyncio.gather(first, *others, return_exceptions=True)


async def with_as_completed(context: Context, *branches: Branch) -> list[str]:
    first, *others = [asyncio.create_task(each(context)) for each in branches]  # type: ignore[arg-type]
    with suppress(TimeoutError):
        for each in asyncio.as_completed([first], timeout=1.4):
            await each
    first.cancel()
    return await asyncio.gather(first, *others, return_exceptions=True)


class Slow(SlowStage):
    """A stage that always takes as long to store something."""

    async def commit(self, checkpoints: Any) -> None:
        await super().commit(checkpoints)
        await asyncio.sleep(0.03)


async def _played(limited: Any, after: AfterStep, *branches: Branch) -> Slow:
    async def handler(input: Any, context: Context) -> list[str]:
        came = [
            "cut off" if isinstance(each, BaseException) else each
            for each in await limited(context, *branches)
        ]
        await context.step.sleep("nap", 60)
        return [*came, await step("last")(context)]

    stage = Slow(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    return await until_ended(stage)


def played(limited: Any, after: AfterStep, *branches: Branch) -> Slow:
    return run(_played(limited, after, *branches))


@pytest.mark.parametrize("limited", [with_wait_for, with_timeout])
def test_steps_side_by_side_are_cut_off_while_they_are_stored(limited: Any) -> None:
    stage = played(limited, AfterStep.COMMIT, step("a"), step("b", 0.005))

    assert stage.played.completed, stage.played.failure
    assert stage.played.result == ["fallback", "last"]
    assert stage.played.steps == ["a", "b", "fallback", "last"]


@pytest.mark.parametrize("limited", [with_wait_for, with_timeout])
def test_an_event_that_waits_for_its_turn_is_cut_off_there(limited: Any) -> None:
    async def sends(context: Context) -> str:
        await context.send_event("e")
        return "sent"

    stage = played(limited, AfterStep.COMMIT, step("a"), sends)

    assert stage.played.completed, stage.played.failure
    assert stage.played.result == ["fallback", "last"]
    assert len(stage.played.sent) == 1


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("limited", [with_wait, with_as_completed])
def test_a_limit_that_ends_after_a_grace_is_waited_for_at_a_replay(
    limited: Any, after: AfterStep
) -> None:
    stage = played(limited, after, step("long", 1.5), step("other", 1.44))

    assert stage.played.completed, stage.played.failure
    assert stage.played.result == ["cut off", "other", "last"]
    assert stage.played.steps == ["long", "other", "last"]


class SlowToSend(SlowStage):
    """A stage that takes its time to send something."""

    async def send(self, event: Event) -> None:
        await asyncio.sleep(0.3)
        await super().send(event)


async def in_order(context: Context, seconds: float, after: Branch) -> list[str]:
    """Cut off a step after *seconds*, and do *after* meanwhile; then what depends on the order."""
    order: list[str] = []

    async def limited() -> None:
        try:
            async with asyncio.timeout(seconds):
                await step("limited", 9)(context)
        except TimeoutError:
            order.append("limit")

    async def beside() -> None:
        await step("first", seconds - 0.1)(context)
        with suppress(TimeoutError):
            await after(context)
        order.append("beside")
        await step("-".join(order))(context)

    await asyncio.gather(limited(), beside())
    await context.step.sleep("nap", 1)
    return order


async def sends(context: Context) -> None:
    await context.send_event("e")


async def cut_off_itself(context: Context) -> None:
    async with asyncio.timeout(0.2):
        await step("slow", 9)(context)


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("seconds", [0.3, 1.7])
@pytest.mark.parametrize("beside", [sends, cut_off_itself])
def test_what_is_recorded_after_a_limit_comes_after_it_however_long_that_takes(
    beside: Branch, seconds: float, after: AfterStep
) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        return await in_order(context, seconds, beside)

    async def deliver() -> SlowToSend:
        stage = SlowToSend(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
        return await until_ended(stage)

    stage = run(deliver())
    assert stage.played.completed, stage.played.failure
    assert stage.played.result == ["limit", "beside"]


@pytest.mark.parametrize("after", list(AfterStep))
def test_who_would_be_cut_off_by_what_is_held_begins_nothing_ahead_of_that(
    after: AfterStep,
) -> None:
    stage = played(as_a_race, after, step("first"), pause(0.005, step("second")))

    assert stage.played.completed, stage.played.failure
    if after is AfterStep.SUSPEND:  # the others have its value at once, or when it is stored
        assert stage.played.result == ["first", "cut off", "last"]
        assert stage.played.steps == ["first", "last"]


@pytest.mark.parametrize("after_step", list(AfterStep))
@pytest.mark.parametrize("slowness", [0, 0.004, 0.02])
def test_a_program_with_limits_comes_to_the_same_at_each_replay(
    after_step: AfterStep, slowness: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(12):
        generator = random.Random(seed)
        monkeypatch.setattr("tests.support.limited_programs.random", generator)
        run(check(some(generator), after_step, slowness))


class Timed(SlowStage):
    """A stage whose clock goes with the loop's."""

    def now(self) -> int:
        return self.clock + round(asyncio.get_running_loop().time() * 1000)


@pytest.mark.parametrize("after", list(AfterStep))
def test_a_limit_of_minutes_is_waited_for_like_any_other(after: AfterStep) -> None:
    async def handler(input: Any, context: Context) -> str:
        try:
            async with asyncio.timeout(300):
                await step("long", 290)(context)
                came = await step("short", 30)(context)
        except TimeoutError:
            came = await step("fallback")(context)
        await context.step.sleep("nap", 60)
        return came

    async def deliver() -> Timed:
        stage = Timed(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
        return await until_ended(stage)

    stage = run(deliver())
    assert stage.played.completed, stage.played.failure
    is_alive = after is not AfterStep.SUSPEND  # else the limit begins anew after each step
    assert stage.played.result == ("fallback" if is_alive else "short")
    assert len(set(stage.played.steps)) == len(stage.played.steps)
