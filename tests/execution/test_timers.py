"""Limits of time around sleeps: what `asyncio.timeout` does there, and a sleep that is a limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.model.delivery import AfterStep
from kit.model.event import Event
from kit.testing import play
from kit.testing.stage import Stage

RUN_ID = "11111111-1111-4111-8111-111111111111"
SOON = 0.05
EACH_MODE = pytest.mark.parametrize("after", list(AfterStep))
EACH_REPLAY = pytest.mark.parametrize("replay", ["pauses", "always"])


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.01)


async def ended(handler: Any, after: AfterStep, linger: float = 3600) -> Stage:
    """Return a run that has ended, in which waits last as long as they take."""
    stage = Stage(define_workflow(handler, name="w"), Event("w", None, RUN_ID), after)
    stage.linger = linger
    while not stage.has_ended:
        await asyncio.wait_for(stage.deliver(), 20)
        stage.pass_time()
    return stage


async def by_timeout(context: Context) -> None:
    async with asyncio.timeout(SOON):
        await context.step.sleep("day", "1 day")


async def by_wait_for(context: Context) -> None:
    await asyncio.wait_for(context.step.sleep("day", "1 day"), SOON)


async def around_branches(context: Context) -> None:
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as group:
        group.create_task(context.step.sleep("day", "1 day"))
        group.create_task(context.step.sleep("week", "7 days"))


async def within_a_branch(context: Context) -> None:
    await asyncio.gather(by_timeout(context), context.step.sleep("week", "7 days"))


@asynccontextmanager
async def limit() -> AsyncIterator[None]:
    async with asyncio.timeout(SOON):
        yield


async def by_a_context_manager(context: Context) -> None:
    async with limit():
        await context.step.sleep("day", "1 day")


@EACH_MODE
@pytest.mark.parametrize(
    "limited",
    [by_timeout, by_wait_for, around_branches, within_a_branch, by_a_context_manager],
)
async def test_a_timeout_that_ends_before_the_sleep_ends_it(after: AfterStep, limited: Any) -> None:
    async def handler(input: Any, context: Context) -> Any:
        try:
            await limited(context)
        except TimeoutError:
            return await context.step.run("late", lambda: "late")
        return "slept"

    stage = await ended(handler, after)

    assert stage.played.result == "late"
    assert stage.played.elapsed == 0
    assert stage.played.steps == ["late"]


@EACH_MODE
async def test_one_that_would_end_after_the_sleep_begins_anew_with_what_follows(
    after: AfterStep,
) -> None:
    begun: list[int] = []

    async def handler(input: Any, context: Context) -> str:
        begun.append(1)
        async with asyncio.timeout(15):
            await context.step.sleep("first", 10)
            await context.step.sleep("second", 10)  # 20 in all, but 10 since it began anew
        return "slept"

    stage = await ended(handler, after)

    assert stage.played.result == "slept"
    assert len(begun) == 3


@EACH_MODE
async def test_one_is_waited_for_only_as_long_as_the_invocation_lingers(after: AfterStep) -> None:
    async def handler(input: Any, context: Context) -> str:
        async with asyncio.timeout(3600):
            await context.step.sleep("day", "1 day")
        return "slept"

    stage = await ended(handler, after, linger=0.02)

    assert stage.played.result == "slept"


@EACH_MODE
async def test_a_timer_that_is_over_keeps_nobody(
    after: AfterStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.timers._ENDING", 0.0)

    class Holds:
        async def __aenter__(self) -> None:
            self.timer = asyncio.get_running_loop().call_later(0.001, lambda: None)
            await asyncio.sleep(0.002)

        async def __aexit__(self, *raised: object) -> None:
            self.timer.cancel()

    async def handler(input: Any, context: Context) -> str:
        async with Holds():
            await context.step.sleep("day", "1 day")
        return "slept"

    stage = await ended(handler, after)

    assert stage.played.result == "slept"
    assert stage.played.elapsed == 86_400_000


@define_workflow
async def limited_by_a_sleep(input: dict[str, str], context: Context) -> str:
    """As `docs/handlers.md` recommends."""

    async def work() -> str:
        await context.step.sleep("until-it-is-ready", input["takes"])
        return await context.step.run("fetch", lambda: "fetched")

    working = asyncio.create_task(work())
    limit = asyncio.create_task(context.step.sleep("limit", "1 hour"))
    await asyncio.wait({working, limit}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        limit.cancel()
        return working.result()
    working.cancel()
    return await context.step.run("give-up", lambda: "too late")


@EACH_REPLAY
@pytest.mark.parametrize(
    ("takes", "result", "minutes"), [("10 min", "fetched", 10), ("2 hours", "too late", 60)]
)
def test_a_sleep_beside_the_work_limits_it_whatever_happens_meanwhile(
    takes: str, result: str, minutes: int, replay: Any
) -> None:
    played = play(limited_by_a_sleep, {"takes": takes}, replay=replay)

    assert played.failure is None
    assert played.result == result
    assert played.elapsed == minutes * 60_000
    assert played.steps == (["fetch"] if result == "fetched" else ["give-up"])
