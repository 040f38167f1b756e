"""The ids of steps within steps are not for others."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.testing import play


async def sleeps_between(context: Context) -> None:
    await context.step.sleep("z", "100 ms")


async def goes_on(context: Context) -> None:
    await asyncio.sleep(0)


async def uses_an_inner_id(context: Context) -> None:
    await context.step.run("fetch", lambda: "of another")


async def uses_it_within_another(context: Context) -> None:
    async def charge() -> str:
        return await context.step.run("fetch", lambda: "account of bob")

    await context.step.run("charge-bob", charge)


async def uses_it_for_a_sleep(context: Context) -> None:
    await context.step.sleep("fetch", 1)


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize("between", [sleeps_between, goes_on])
@pytest.mark.parametrize("uses", [uses_an_inner_id, uses_it_within_another, uses_it_for_a_sleep])
def test_the_id_of_a_step_within_a_step_is_not_for_another(
    replay: Any, between: Any, uses: Any
) -> None:
    async def deep(context: Context) -> str:
        async def charge() -> str:
            return await context.step.run("fetch", lambda: "account of ann")

        return await context.step.run("deep", charge)

    @define_workflow
    async def charges(input: Any, context: Context) -> None:
        await context.step.run("charge-ann", deep, context)
        await between(context)
        await uses(context)

    played = play(charges, replay=replay)
    assert played.failure is not None
    assert played.failure.type == "StepUsageError"
    assert "'fetch' is used twice in one invocation" in played.failure.message


@pytest.mark.parametrize("replay", ["pauses", "always"])
def test_the_id_of_a_step_that_was_cut_off_within_a_step_is_not_for_another(replay: Any) -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    @define_workflow
    async def charges(input: Any, context: Context) -> None:
        async def charge() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    await context.step.run("fetch", slow)

        await context.step.run("charge", charge)
        await sleeps_between(context)
        await uses_an_inner_id(context)

    played = play(charges, replay=replay)
    assert played.failure is not None
    assert "'fetch' is used twice in one invocation" in played.failure.message


@pytest.mark.parametrize("replay", ["pauses", "always"])
def test_a_step_that_is_tried_again_finds_the_steps_within_it(replay: Any) -> None:
    calls: list[str] = []

    @define_workflow
    async def charges(input: Any, context: Context) -> str:
        async def charge() -> str:
            account = await context.step.run("fetch", lambda: calls.append("fetch") or "ann")
            calls.append("charge")
            if calls.count("charge") < 3:
                raise ValueError("not yet")
            return account

        return await context.step.run("charge", charge)

    assert play(charges, replay=replay).result == "ann"
    assert calls == ["fetch", "charge", "charge", "charge"]
