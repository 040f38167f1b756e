"""Whether a failure was caught is known by what the handler does next."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep, Failed, Suspended

if TYPE_CHECKING:
    from conftest import Deliver
from .handlers import Boom, fail, one


async def test_a_failure_that_ends_the_handler_is_no_checkpoint(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        with pytest.raises(Boom):
            await context.step.run("caught", fail)
        await context.step.run("good", one)
        await context.step.run("fatal", fail)

    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Failed)
    assert stage.committed == [("caught", "good")]


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_failure_is_not_taken_for_caught_while_the_handler_cleans_up(
    deliver: Deliver, after: AfterStep
) -> None:
    async def handler(input: Any, context: Context) -> None:
        async def branch() -> None:
            await context.step.run("b1", one)
            await asyncio.sleep(0.02)
            await context.step.run("b2", one)

        try:
            await asyncio.gather(context.step.run("bad", late), branch())
        finally:
            await asyncio.sleep(0.1)  # closes a connection, say

    async def late() -> None:
        await asyncio.sleep(0.01)
        raise Boom

    stage = await deliver(handler, after=after)
    assert "bad" not in stage.checkpoints
    failure = getattr(stage.outcome, "failure", None)
    assert failure is not None
    assert failure.step_id == "bad"


async def test_nor_while_a_sibling_sleeps(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        try:
            await asyncio.gather(context.step.run("bad", fail), context.step.sleep("nap", 1))
        finally:
            await asyncio.sleep(0.1)

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in == timedelta(seconds=5)


async def test_a_handler_busy_for_long_is_taken_to_have_caught_it(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.05)

    async def handler(input: Any, context: Context) -> None:
        nap = asyncio.create_task(context.step.sleep("nap", 1))
        with pytest.raises(Boom):
            await asyncio.gather(context.step.run("bad", fail))
        await asyncio.sleep(3600)
        await nap

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert set(stage.checkpoints) == {"bad", "nap"}


async def test_a_new_failure_does_not_ride_on_the_landing_of_another(deliver: Deliver) -> None:
    """The second failure ends the handler just as a sibling finds the first one caught."""

    async def turns(count: int, then: bool) -> int:
        for _ in range(count):
            await asyncio.sleep(0)
        if then:
            raise Boom("second")
        return 1

    for count in range(8, 30):

        async def handler(input: Any, context: Context, count: int = count) -> None:
            async def sibling() -> None:
                with pytest.raises(Boom):
                    await asyncio.gather(context.step.run("first", fail))
                await context.step.run("b", one)

            await asyncio.gather(context.step.run("second", turns, count, True), sibling())

        stage = await deliver(lambda i, c, h=handler: h(i, c), after=AfterStep.COMMIT)
        assert "second" not in stage.checkpoints
