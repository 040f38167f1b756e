"""A step that nobody cancels, and whose function raises CancelledError all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep
from kit.model.event import Event
from kit.testing import Stage
from tests.support.delivering import until_ended

from .handlers import one


async def gone() -> None:
    """Await what was cancelled, as when a library has closed its connection."""
    task = asyncio.create_task(asyncio.sleep(1))
    task.cancel()
    await task


async def caught(input: Any, context: Context) -> str:
    try:
        await context.step.run("gone", gone)
    except RuntimeError as error:
        said = str(error)
        return await context.step.run("told", lambda: said)
    return "nothing"


def caught_plainly(input: Any, context: PlainContext) -> str:
    try:
        context.step.run("gone", gone)
    except RuntimeError as error:
        said = str(error)
        return context.step.run("told", lambda: said)
    return "nothing"


async def beside_another(input: Any, context: Context) -> str:
    came = await asyncio.gather(
        context.step.run("gone", gone), context.step.run("one", one), return_exceptions=True
    )
    return await context.step.run("told", lambda: str(came[0]))


async def after_a_group(input: Any, context: Context) -> str:
    """A group that has cancelled its task may leave it counted as such, before Python 3.13."""

    async def fails() -> None:
        raise LookupError

    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
    return await caught(input, context)


async def in_a_group(input: Any, context: Context) -> None:
    came = await asyncio.gather(
        context.step.run("gone", gone), context.step.run("one", one), return_exceptions=True
    )
    raise BaseExceptionGroup("some have failed", [each for each in came if each != 1])  # type: ignore[misc]


async def group_of_its_own(input: Any, context: Context) -> None:
    raise BaseExceptionGroup("cancelled, all of them", [asyncio.CancelledError()])


async def played(handler: Callable[..., Any], after: AfterStep) -> Stage:
    workflow = define_workflow(name="w", max_retries=1)(handler)
    stage = Stage(workflow, Event("w", None, "11111111-1111-4111-8111-111111111111"), after)
    return await until_ended(stage, 20)


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("handler", [caught, caught_plainly, beside_another, after_a_group])
async def test_it_has_failed_with_an_error_that_says_so(
    handler: Callable[..., Any], after: AfterStep
) -> None:
    stage = await played(handler, after)
    assert stage.played.completed, stage.played.failure
    assert "gone was not cancelled, but something that it awaited was" in stage.played.result
    assert sorted(stage.played.steps) == sorted({*stage.played.steps})


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("handler", [in_a_group, group_of_its_own])
async def test_a_group_of_such_errors_fails_the_run(
    handler: Callable[..., Any], after: AfterStep
) -> None:
    stage = await played(handler, after)
    assert stage.played.failure
    assert len(stage.played.failures) == 2


async def test_one_that_is_cancelled_is_still_cut_off() -> None:
    async def handler(input: Any, context: Context) -> str:
        try:
            async with asyncio.timeout(0.01):
                await context.step.run("slow", asyncio.sleep, 10)
        except TimeoutError:
            return await context.step.run("told", lambda: "late")
        return "in time"

    for after in AfterStep:
        stage = await played(handler, after)
        assert stage.played.result == "late"
        assert stage.played.steps == ["slow", "told"]


async def test_one_that_begins_when_its_task_was_cancelled_is_cut_off() -> None:
    async def handler(input: Any, context: Context) -> str:
        async def branch() -> None:
            task = asyncio.current_task()
            assert task
            task.cancel()
            await context.step.run("slow", asyncio.sleep, 10)

        with suppress(asyncio.CancelledError):
            await asyncio.create_task(branch())
        return await context.step.run("told", lambda: "cancelled")

    for after in AfterStep:
        stage = await played(handler, after)
        assert stage.played.result == "cancelled"
