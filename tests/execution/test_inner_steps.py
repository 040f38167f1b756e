"""Steps within steps."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.branch import State
from kit.execution.context import Context
from kit.model.delivery import AfterStep, Completed, Failed, Suspended
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing import Stage
from tests.support.delivering import until_ended

if TYPE_CHECKING:
    from conftest import Deliver


RUN_ID = "11111111-1111-4111-8111-111111111111"


async def answer(value: Any) -> Any:
    return value


async def slowly(value: Any) -> Any:
    for _ in range(30):
        await asyncio.sleep(0)
    return value


async def nested(input: Any, context: Context) -> int:
    async def outer() -> int:
        one, other = await asyncio.gather(
            context.step.run("in1", answer, 1), context.step.run("in2", slowly, 2)
        )
        return one + other + await context.step.run("in3", answer, 3)

    return await context.step.run("outer", outer) + await context.step.run("after", answer, 10)


async def test_steps_within_a_step_suspend_with_it(deliver: Deliver) -> None:
    stage = await deliver(nested)
    assert set(stage.checkpoints) == {"in1", "in2", "in3", "outer"}
    stage = await deliver(nested, stage.checkpoints)
    assert stage.started == ["after"]
    stage = await deliver(nested, stage.checkpoints)
    assert stage.outcome == Completed("16")


@pytest.mark.parametrize("how", ["failed", "misused"])
async def test_steps_within_a_step_end_though_the_handler_has(deliver: Deliver, how: str) -> None:
    """Else the outer one would wait for them for ever, and the invocation for that."""

    async def handler(input: Any, context: Context) -> None:
        async def outer() -> list[int]:
            begun.set()
            await ended.wait()
            await slowly(None)
            return await asyncio.gather(
                context.step.run("in1", slowly, 1), context.step.run("in2", slowly, 2)
            )

        async def ends() -> None:
            await begun.wait()
            ended.set()
            if how == "misused":
                await context.step.run("", answer, 1)
            raise ValueError

        begun, ended = asyncio.Event(), asyncio.Event()
        await asyncio.gather(context.step.run("outer", outer), ends())

    for after in AfterStep:
        stage = await asyncio.wait_for(deliver(handler, after=after), 20)
        assert {"in1", "in2", "outer"} <= {*stage.checkpoints}
        assert isinstance(stage.outcome, Failed | Suspended)


async def test_an_outer_step_that_failed_keeps_its_inner_steps(deliver: Deliver) -> None:
    fails = [True]

    async def handler(input: Any, context: Context) -> int:
        async def outer() -> int:
            inner = await context.step.run("inner", answer, 1)
            if fails:
                raise ValueError("once")
            return inner + await context.step.run("more", answer, 1)

        return await context.step.run("outer", outer)

    for after in AfterStep:
        fails[:] = [True]
        stage = await deliver(handler, after=after)
        assert set(stage.checkpoints) >= {"inner"}
        assert "outer" not in stage.checkpoints
        fails.clear()
        known = stage.checkpoints
        stage = await deliver(handler, known, after=after)
        assert stage.started == ["outer", "more"]
        assert set(stage.checkpoints) >= {"inner", "outer", "more"}
        stage = await deliver(handler, stage.checkpoints, after=after)
        assert stage.outcome == Completed("2")


async def test_an_inner_failure_is_no_checkpoint_the_handler_must_ask_for(
    deliver: Deliver,
) -> None:
    async def handler(input: Any, context: Context) -> str:
        async def outer() -> None:
            await context.step.run("inner", fail)

        with pytest.raises(ValueError, match="bad"):
            await context.step.run("outer", outer)
        return await context.step.run("after", answer, "x")

    async def fail() -> None:
        raise ValueError("bad")

    for after in AfterStep:
        stage = await deliver(handler, after=after)
        assert set(stage.checkpoints) == {"inner", "outer", "after"}
        stage = await deliver(handler, stage.checkpoints, after=after)
        assert stage.outcome == Completed('"x"')
        assert stage.started == []


async def test_a_sleep_within_a_step_is_refused(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("outer", lambda: context.step.sleep("nap", 1))

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert "sleep 'nap' stands within step 'outer'" in stage.outcome.failure.message
    assert stage.outcome.retry_in is None


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("what", ["failed", "crashed"])
async def test_a_step_within_that_was_cut_off_is_run_again_with_the_outer_one(
    what: str, after: AfterStep
) -> None:
    tries: list[int] = []

    async def handler(input: Any, context: Context) -> str:
        async def outer() -> str:
            tries.append(1)
            value = "late"
            with suppress(TimeoutError):
                async with asyncio.timeout(0.005 if len(tries) == 1 else 60):
                    value = await context.step.run("in1", sleeps, 0.02)
            await context.step.run("in2", answer, 2)
            if len(tries) == 1 and what == "failed":
                raise ValueError
            return value

        return await context.step.run("outer", outer)

    async def sleeps(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "in time"

    stage = Stage(Workflow(handler, "w"), Event("w", None, RUN_ID), after)
    stage.crash_at = 1 if what == "crashed" and after is AfterStep.COMMIT else None
    stage.loses_outcome = what == "crashed" and after is not AfterStep.COMMIT
    await until_ended(stage)
    assert stage.played.result == "in time"
    in_store = what == "failed" or after is AfterStep.COMMIT
    assert stage.played.steps.count("in2") == (1 if in_store else 2)


async def test_an_outer_step_is_still_open_when_one_within_has_ended(deliver: Deliver) -> None:
    states: list[State] = []

    async def handler(input: Any, context: Context) -> None:
        async def outer() -> None:
            await context.step.run("in1", answer, 1)
            states.extend(each.state for each in context._invocation.gate.branches.values())

        await context.step.run("outer", outer)

    await deliver(handler, after=AfterStep.COMMIT)
    assert states == [State.OPEN]
