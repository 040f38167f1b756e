"""Failures that a handler catches, or collects."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Completed, Suspended

from .handlers import Boom, fail, one

if TYPE_CHECKING:
    from conftest import Deliver


async def side_by_side(input: Any, context: Context) -> None:
    await asyncio.gather(context.step.run("good", one), context.step.run("bad", fail))


async def test_a_failure_caught_last_of_all_travels_with_the_result(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> str:
        with pytest.raises(Boom):
            await context.step.run("a", fail)
        return "fine"

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Completed)
    assert list(stage.checkpoints) == ["a"]


def plainly(input: Any, context: PlainContext) -> str:
    def bad() -> None:
        raise Boom("bad")

    for number in range(3):
        with pytest.raises(Boom):
            context.step.run(f"a{number}", bad)
    return str(context.step.run("b", lambda: "fine"))


@pytest.mark.usefixtures("endless_grace")
async def test_a_plain_handler_catches_failures_without_delay(deliver: Deliver) -> None:
    stage = await deliver(plainly, after=AfterStep.COMMIT)
    assert stage.outcome == Completed('"fine"')
    assert stage.committed == [("a0", "a1", "a2", "b")]


async def collecting(input: Any, context: Context) -> list[str]:
    found = await asyncio.gather(
        context.step.run("a", fail),
        context.step.run("b", one),
        context.step.run("c", fail, "worse"),
        return_exceptions=True,
    )
    return [repr(each) for each in found]


@pytest.mark.parametrize("after", list(AfterStep))
async def test_failures_collected_side_by_side_are_remembered(
    deliver: Deliver, after: AfterStep
) -> None:
    stage = await deliver(collecting, after=after)
    assert sorted(stage.checkpoints) == ["a", "b", "c"]
    again = await deliver(collecting, stage.checkpoints, after=after)
    assert again.started == []
    for each in (again,) if after is AfterStep.SUSPEND else (stage, again):
        assert isinstance(each.outcome, Completed)
        assert json.loads(each.outcome.result) == ["Boom('bad')", "1", "Boom('worse')"]


async def test_failures_collected_before_more_steps_are_remembered_with_the_others(
    deliver: Deliver,
) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        found = await collecting(input, context)
        await context.step.run("after", one)
        return found

    stage = await deliver(handler)
    assert sorted(stage.checkpoints) == ["a", "b", "c"]
    stage = await deliver(handler, stage.checkpoints)
    assert isinstance(stage.outcome, Suspended)
    assert stage.outcome.failure is None
    assert stage.started == ["after"]
    stage = await deliver(handler, stage.checkpoints)
    assert isinstance(stage.outcome, Completed)
    assert stage.started == []


async def test_a_failure_found_later_among_successes_is_not_remembered(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        for found in await asyncio.gather(
            context.step.run("a", fail), context.step.run("b", one), return_exceptions=True
        ):
            if isinstance(found, Exception):
                raise found

    stage = await deliver(handler)
    stage = await deliver(handler, stage.checkpoints)
    assert isinstance(stage.outcome, Suspended)
    assert stage.outcome.failure
    assert stage.outcome.forgotten == ("a",)
    assert list(stage.checkpoints) == ["b", "kit:retry:0"]


@pytest.mark.usefixtures("endless_grace")
async def test_many_failures_collected_do_not_slow_down_the_others(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> int:
        async def branch(number: int) -> None:
            await context.step.run(f"a{number}", one)
            await context.step.run(f"b{number}", fail if number % 2 else one)
            await context.step.run(f"c{number}", one)

        found = await asyncio.gather(*map(branch, range(40)), return_exceptions=True)
        return sum(isinstance(each, Boom) for each in found)

    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Completed)
    assert stage.outcome.result == "20"


@pytest.mark.usefixtures("endless_grace")
async def test_a_handler_may_go_on_side_by_side_after_a_failure(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> list[int]:
        with pytest.raises(Boom):
            await side_by_side(input, context)
        return await asyncio.gather(context.step.run("c", one), context.step.run("d", one))

    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert stage.outcome == Completed("[1,1]")
