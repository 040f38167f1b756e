"""What cannot succeed however often it is tried, and what is said of it only once."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Completed, Failed, Suspended

if TYPE_CHECKING:
    from conftest import Deliver


async def sleeps(context: Context) -> None:
    await context.step.sleep("nap", "10 parsecs")


async def sends(context: Context) -> None:
    await context.send_event("")


async def sends_late(context: Context) -> None:
    await context.send_event("e", delay="soon")


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("ask", [sleeps, sends, sends_late])
@pytest.mark.parametrize("is_wrapped", [False, True])
async def test_an_argument_that_can_be_none_is_a_dead_letter_at_once(
    deliver: Deliver, after: AfterStep, ask: Any, is_wrapped: bool
) -> None:
    async def handler(input: Any, context: Context) -> None:
        try:
            await ask(context)
        except ValueError as error:
            if is_wrapped:
                raise RuntimeError("wrapped") from error
            raise

    stage = await deliver(handler, after=after)

    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is None


async def test_an_argument_that_can_be_none_may_be_put_right(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> str:
        try:
            await sleeps(context)
        except ValueError:
            return "awake"
        return "asleep"

    stage = await deliver(handler)

    assert stage.outcome == Completed('"awake"')


async def test_an_argument_that_a_step_made_is_tried_again(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        async def asks() -> None:
            await sends(context)

        await context.step.run("asks", asks)

    stage = await deliver(handler)

    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is not None


async def test_a_plain_handlers_argument_that_can_be_none_is_a_dead_letter_at_once(
    deliver: Deliver,
) -> None:
    def handler(input: Any, context: PlainContext) -> None:
        context.step.sleep("nap", "10 parsecs")

    stage = await deliver(handler)

    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is None


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_step_whose_annotation_nobody_can_read_is_a_dead_letter_at_once(
    deliver: Deliver, after: AfterStep
) -> None:
    async def step() -> Any: ...

    step.__annotations__["return"] = "list[int"

    async def handler(input: Any, context: Context) -> None:
        await context.step.run("step", step)

    stage = await deliver(handler, after=after)

    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is None
    assert "no expression of Python's" in stage.outcome.failure.message


async def test_a_task_that_gathers_sleeps_ends_with_the_invocation_without_a_word(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    async def naps(context: Context) -> None:
        await asyncio.gather(*(context.step.sleep(f"nap-{n}", 60) for n in range(2)))

    async def handler(input: Any, context: Context) -> None:
        together = asyncio.create_task(naps(context))
        await context.step.sleep("nap", 60)
        await together

    with caplog.at_level(logging.ERROR, "asyncio"):
        stage = await deliver(handler)
        gc.collect()
        await asyncio.sleep(0)

    assert isinstance(stage.outcome, Suspended)
    assert not caplog.records
