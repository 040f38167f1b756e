from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.model.delivery import AfterStep, CheckpointKind, Failed, Sleep, Suspended
from kit.model.errors import StoreError
from kit.model.failure import Failure
from kit.model.signals import DoNotRetry, RetryAfter
from kit.testing import play

if TYPE_CHECKING:
    from conftest import Deliver, Delivered
from .handlers import Boom, alone, fail, one


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_failure_with_nothing_fresh_is_the_platforms_to_retry(
    deliver: Deliver, after: AfterStep
) -> None:
    stage = await deliver(alone, after=after)
    assert isinstance(stage.outcome, Failed)
    failure = stage.outcome.failure
    assert (failure.type, failure.message, failure.step_id) == ("Boom", "bad", "a")
    assert "raise Boom(said)" in failure.traceback
    assert "invocation.py" not in failure.traceback
    assert stage.outcome.retry_in == timedelta(seconds=5)
    assert stage.outcome.checkpoints == ()


async def test_the_last_attempt_is_final(deliver: Deliver) -> None:
    stage = await deliver(alone, attempt=4)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is None


async def side_by_side(input: Any, context: Context) -> None:
    await asyncio.gather(context.step.run("good", one), context.step.run("bad", fail))


async def in_a_group(input: Any, context: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(context.step.run("good", one))
        group.create_task(context.step.run("bad", fail))


@pytest.mark.parametrize("handler", [side_by_side, in_a_group])
async def test_a_failure_beside_a_success_keeps_the_success(deliver: Deliver, handler: Any) -> None:
    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert [each.step_id for each in stage.outcome.checkpoints] == ["good"]
    retry = Sleep("kit:retry:0", stage.clock + 5000, CheckpointKind.RETRY)
    assert stage.outcome.sleeps == (retry,)
    assert stage.outcome.forgotten == ()
    assert isinstance(stage.outcome.failure, Failure)
    assert stage.outcome.failure.step_id == "bad"

    stage = await deliver(handler, stage.checkpoints)
    assert stage.started == ["bad"]
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in == timedelta(seconds=5)


async def test_failures_kept_with_checkpoints_count_as_attempts(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        seen.append(context.attempt)
        number = context.attempt
        await asyncio.gather(context.step.run(f"good{number}", one), context.step.run("b", fail))

    async def keeping(input: Any, context: Context) -> None:
        for number in range(context.attempt):
            await context.step.run(f"good{number}", one)
        await handler(input, context)

    seen: list[int] = []
    stage = await deliver(keeping)
    waits = []
    while isinstance(stage.outcome, Suspended):
        waits += [each.due - stage.clock for each in stage.outcome.sleeps if stage.outcome.failure]
        stage = await deliver(keeping, stage.checkpoints)
    assert seen == [0, 1, 2, 3, 4]
    assert waits == [5000, 5000, 20_000, 40_000]
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is None
    assert [each.step_id for each in stage.outcome.checkpoints] == ["good4"]


async def test_gathered_steps_survive_a_failure(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("a", one)
        await context.send_event("e")
        await context.step.run("b", one)
        await context.send_event("f")
        raise Boom

    stage = await deliver(handler, checkpoints="gather", attempt=1)
    assert isinstance(stage.outcome, Suspended)
    sent = [f"kit:send:{event.name}:{event.id}" for event in stage.sent]
    kept = [each.step_id for each in stage.outcome.checkpoints]
    assert kept == ["a", sent[0], "b", sent[1]]
    assert [each.step_id for each in stage.outcome.sleeps] == ["kit:retry:1"]
    stage = await deliver(handler, stage.checkpoints, checkpoints="gather", attempt=1)
    assert stage.sent == []


async def stubborn(input: Any, context: Context) -> None:
    await context.step.run("good", one)

    async def ask() -> None:
        raise input

    await context.step.run("ask", ask)


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (DoNotRetry("no"), None),
        (RetryAfter("1 hour"), timedelta(hours=1)),
        (RetryAfter("1 s"), timedelta(seconds=5)),
        (RetryAfter("1 s", force=True), timedelta(seconds=1)),
    ],
)
async def test_a_handler_says_whether_and_when_it_is_tried_again(
    deliver: Deliver, error: Exception, wait: timedelta | None, after: AfterStep
) -> None:
    async def handler(input: Any, context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(stubborn(error, context))

    for each in (handler, lambda _, context: stubborn(error, context)):
        stage = await deliver(handler, after=after)
        if after is AfterStep.SUSPEND:
            stage = await deliver(handler, stage.checkpoints)
        if after is AfterStep.GATHER and wait:
            assert isinstance(stage.outcome, Suspended)
            assert stage.outcome.sleeps[0].due == stage.clock + wait // timedelta(milliseconds=1)
        else:
            assert isinstance(stage.outcome, Failed)
            assert stage.outcome.retry_in == wait
        del each


async def compensating(input: Any, context: Context) -> None:
    try:
        await context.step.run("charge", charge, context.attempt)
    except Boom:
        await context.step.run("refund", one)
        raise


async def charge(attempt: int) -> None:
    raise Boom(f"attempt {attempt}")


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_failure_that_is_compensated_and_raised_again_is_tried_again(
    deliver: Deliver, after: AfterStep
) -> None:
    stage, started = await deliver(compensating, after=after), []
    attempt = 0
    while not (isinstance(stage.outcome, Failed) and stage.outcome.retry_in is None):
        started += stage.started
        attempt += isinstance(stage.outcome, Failed)
        stage = await deliver(compensating, stage.checkpoints, after=after, attempt=attempt)
    started += stage.started
    assert started == ["charge", "refund", "charge", "charge", "charge", "charge"]
    assert stage.outcome.failure.message == "attempt 4"
    assert stage.outcome.failure.step_id == "charge"
    assert "charge" not in stage.checkpoints


async def test_retry_after_survives_being_caught_and_raised_again(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        try:
            await context.step.run("a", busy)
        except RetryAfter:
            await context.step.run("b", one)
            raise

    async def busy() -> None:
        raise RetryAfter("1 hour", force=True)

    stage = await deliver(handler)
    stage = await deliver(handler, stage.checkpoints)
    assert isinstance(stage.outcome, Suspended)
    assert stage.outcome.forgotten == ("a",)
    assert stage.outcome.sleeps[0].due == stage.clock + 3_600_000


async def test_a_store_that_fails_fails_the_attempt_whatever_the_handler_does(
    deliver: Deliver, make_stage: type[Delivered]
) -> None:
    class Full(make_stage):  # type: ignore[misc, valid-type]
        async def commit(self, checkpoints: Any) -> None:
            raise StoreError("disk full", path="runs.db")

    async def handler(input: Any, context: Context) -> str:
        with pytest.raises(StoreError):
            await context.step.run("a", one)
        await context.step.run("b", one)
        return "as if nothing had happened"

    stage = await deliver(handler, stage=Full(AfterStep.COMMIT))
    assert isinstance(stage.outcome, Suspended)
    assert stage.outcome.failure
    assert stage.outcome.failure.message == "disk full"
    assert stage.started == ["a"]
    assert "a" in stage.checkpoints  # it is handed over with the outcome


def test_a_step_within_a_step_that_failed_is_run_again_with_it() -> None:
    tries: list[int] = []

    def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OSError
        return 7

    @define_workflow(name="nested")
    async def nested(input: Any, context: Context) -> int:
        async def outer() -> int:
            return await context.step.run("inner", flaky)

        return await context.step.run("outer", outer)

    played = play(nested)
    assert played.result == 7
    assert played.steps == ["outer", "inner"] * 3
