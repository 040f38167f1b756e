"""An invocation whose time is up, and limits of the handler's own."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, CheckpointKind, Completed, Failed, Suspended
from kit.model.signals import Suspend

from .handlers import one

if TYPE_CHECKING:
    from conftest import Deliver


async def never() -> None:
    await asyncio.sleep(3600)


@pytest.mark.parametrize(
    "handler",
    [
        lambda _, context: context.step.run("slow", never),
        never,
    ],
)
@pytest.mark.usefixtures("endless_grace")
async def test_out_of_time_with_nothing_fresh_has_failed(deliver: Deliver, handler: Any) -> None:
    stage = await deliver(handler, time_left=0.02)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.code == "FUNCTION_TIMED_OUT"
    assert "cut off after 0.02 s" in stage.outcome.failure.message
    assert stage.outcome.retry_in is not None
    assert stage.outcome.checkpoints == ()


async def test_out_of_time_the_fresh_checkpoints_are_handed_over(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("a", one)
        await asyncio.gather(context.step.run("b", one), context.step.run("slow", never))

    stage = await deliver(handler, time_left=0.02, checkpoints="gather")
    assert isinstance(stage.outcome, Suspended)
    assert [each.step_id for each in stage.outcome.checkpoints] == ["a", "b"]
    assert stage.outcome.sleeps == ()
    assert stage.outcome.failure is None


async def test_out_of_time_after_commits_the_attempt_has_failed(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("a", one)
        await context.step.run("slow", never)

    stage = await deliver(handler, time_left=0.02, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Failed)
    assert list(stage.checkpoints) == ["a"]


async def test_no_time_at_all_is_no_attempt(deliver: Deliver) -> None:
    stage = await deliver(never, time_left=0)
    assert isinstance(stage.outcome, Failed)
    assert "cut off after 0 s" in stage.outcome.failure.message


async def test_a_timeout_of_the_handlers_own_is_an_ordinary_failure(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        async with asyncio.timeout(0.001):
            await context.step.run("slow", never)

    stage = await deliver(handler, time_left=60)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.type == "TimeoutError"


async def test_a_step_that_timed_out_may_be_caught(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> str:
        try:
            async with asyncio.timeout(0.001):
                await context.step.run("slow", never)
        except TimeoutError:
            return "gave up"
        return "never"

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Completed)
    assert stage.outcome.result == '"gave up"'
    assert stage.checkpoints["slow"].kind is CheckpointKind.CUT_OFF


async def test_a_plain_handler_in_an_open_step_is_unwound_out_of_time(deliver: Deliver) -> None:
    unwound: list[type[BaseException] | None] = []

    def handler(input: Any, context: PlainContext) -> None:
        try:
            context.step.run("slow", never)
        except Exception:  # noqa: BLE001
            unwound.append(Exception)
        finally:
            unwound.append(sys.exc_info()[0])

    stage = await deliver(handler, time_left=0.02)
    assert isinstance(stage.outcome, Failed)
    assert unwound == [Suspend]


async def test_out_of_time_does_not_wait_for_the_thread_of_an_async_handlers_plain_step(
    deliver: Deliver,
) -> None:
    release = threading.Event()

    async def handler(input: Any, context: Context) -> None:
        await context.step.run("stuck", release.wait, 30)

    try:
        stage = await deliver(handler, time_left=0.02)
    finally:
        release.set()
    assert isinstance(stage.outcome, Failed)


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_misused_step_is_told_though_the_time_is_up(
    after: AfterStep, deliver: Deliver
) -> None:
    async def handler(input: Any, context: Context) -> None:
        async def twice() -> None:
            await context.step.run("b", one)
            await context.step.run("b", one)

        await asyncio.gather(context.step.run("slow", never), twice())

    stage = await deliver(handler, time_left=0.05, after=after)
    while isinstance(stage.outcome, Suspended):  # what has ended is handed over first
        stage = await deliver(handler, stage.checkpoints, time_left=0.05, after=after)
    assert isinstance(stage.outcome, Failed)
    assert "'b' is used twice" in stage.outcome.failure.message
    assert stage.outcome.retry_in is None


async def test_a_cut_off_that_is_given_up_stays_so_when_the_time_is_up(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.02)
    limits: list[float | None] = [0.01]

    async def handler(input: Any, context: Context) -> None:
        try:
            async with asyncio.timeout(limits[0]):
                await context.step.run("slow", asyncio.sleep, 10)
        except TimeoutError:
            await context.step.sleep("nap", 60)

    stage = await deliver(handler, after=AfterStep.COMMIT)
    limits[0] = None  # the code was changed
    stage = await deliver(handler, stage.checkpoints, time_left=0.5, after=AfterStep.COMMIT)
    assert stage.started == ["slow"]
    assert isinstance(stage.outcome, Suspended)
    assert stage.outcome.forgotten == ("slow",)
    assert stage.outcome.goes_on
