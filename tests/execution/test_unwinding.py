from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Completed, Failed, Suspended
from kit.model.signals import Suspend

if TYPE_CHECKING:
    from conftest import Deliver, Delivered
from .handlers import one


async def test_except_exception_does_not_swallow_a_suspension(deliver: Deliver) -> None:
    after: list[str] = []

    async def handler(input: Any, context: Context) -> None:
        try:
            await context.step.run("a", one)
        except Exception:  # noqa: BLE001
            after.append("swallowed")
        finally:
            after.append("finally")

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert after == ["finally"]


async def test_a_suspension_in_a_group_and_around_it_changes_nothing(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(context.step.run("a", one))
                group.create_task(context.step.sleep("nap", 1))
        except* Suspend:
            pass
        return "swallowed"

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert set(stage.checkpoints) == {"a", "nap"}


async def test_clean_up_may_take_its_time(deliver: Deliver) -> None:
    cleaned: list[str] = []

    async def handler(input: Any, context: Context) -> None:
        try:
            await asyncio.gather(context.step.sleep("nap", 1), context.step.sleep("rest", 1))
        finally:
            await asyncio.sleep(0.1)
            cleaned.append("up")

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert cleaned == ["up"]


async def test_clean_up_that_takes_too_long_is_cancelled(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.execute.CLEAN_UP_SECONDS", 0.05)

    async def handler(input: Any, context: Context) -> None:
        try:
            await context.step.sleep("nap", 1)
        finally:
            await asyncio.sleep(3600)

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)


async def test_a_handler_that_waits_elsewhere_is_cancelled_in_the_end(
    deliver: Deliver, make_stage: type[Delivered], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.05)

    async def handler(input: Any, context: Context) -> None:
        nap = asyncio.create_task(context.step.sleep("nap", 1))
        await asyncio.sleep(3600)
        await nap

    stage = make_stage()
    stage.linger = 0.05
    await deliver(handler, stage=stage)
    assert isinstance(stage.outcome, Suspended)


async def test_a_handler_cancelled_from_within_has_failed(deliver: Deliver) -> None:
    async def by_itself(input: Any, context: Context) -> None:
        task = asyncio.current_task()
        assert task
        task.cancel()
        await asyncio.sleep(0)

    async def by_raising(input: Any, context: Context) -> None:
        raise asyncio.CancelledError

    def plainly(input: Any, context: PlainContext) -> None:
        raise asyncio.CancelledError

    def by_a_step(input: Any, context: PlainContext) -> None:
        context.step.run("a", cancels_itself)

    async def cancels_itself() -> None:
        await by_itself(None, None)  # type: ignore[arg-type]

    for handler in (by_itself, by_a_step):
        stage = await deliver(handler)
        assert isinstance(stage.outcome, Failed | Suspended)
        assert stage.outcome.failure
        assert stage.outcome.failure.message == "the handler was cancelled from within"
    for handler, name in ((by_raising, "by_raising"), (plainly, "plainly")):
        stage = await deliver(handler)
        assert isinstance(stage.outcome, Failed)
        assert f"{name} was not cancelled, but something" in stage.outcome.failure.message


@pytest.mark.parametrize("where", ["step", "parked", "elsewhere"])
async def test_a_cancelled_execution_unwinds_the_handler(deliver: Deliver, where: str) -> None:
    unwound: list[type[BaseException] | None] = []

    async def handler(input: Any, context: Context) -> None:
        async def forever() -> None:
            reached.set()
            await asyncio.sleep(3600)

        try:
            if where == "step":
                await context.step.run("a", forever)
            elif where == "parked":
                await asyncio.gather(context.step.sleep("nap", 1), context.step.run("a", forever))
            else:
                await forever()
        finally:
            unwound.append(sys.exc_info()[0])
            await asyncio.sleep(0.01)

    reached = asyncio.Event()
    before = asyncio.all_tasks()
    executing = asyncio.create_task(deliver(handler))
    await reached.wait()
    executing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await executing
    assert len(unwound) == 1
    assert asyncio.all_tasks() == before


async def test_a_plain_handler_that_suspends_has_unwound_before_the_outcome(
    deliver: Deliver,
) -> None:
    unwound: list[str] = []

    def handler(input: Any, context: PlainContext) -> None:
        try:
            context.step.sleep("nap", 1)
        finally:
            time.sleep(0.05)
            unwound.append("done")

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert unwound == ["done"]


async def test_a_plain_handler_that_cannot_be_stopped_is_not_waited_for_for_ever(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.execute.CLEAN_UP_SECONDS", 0.05)
    go_on = threading.Event()

    def handler(input: Any, context: PlainContext) -> None:
        go_on.wait()

    stage = await deliver(handler, time_left=0.02)
    assert isinstance(stage.outcome, Failed)
    go_on.set()


async def test_a_step_coroutine_driven_by_hand_is_refused(deliver: Deliver) -> None:

    async def handler(input: Any, context: Context) -> Any:
        answer: list[str] = []

        def drive() -> None:
            try:
                context.step.run("a", one).send(None)
            except RuntimeError as error:
                answer.append(str(error))

        asyncio.get_running_loop().call_soon(drive)
        await asyncio.sleep(0.01)
        return answer

    stage: Delivered = await deliver(handler, after=AfterStep.COMMIT)
    assert stage.outcome == Completed('["a step was asked for outside of any task; await it"]')


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_branch_that_only_waits_for_others_goes_on_no_more_than_they_do(
    deliver: Deliver, after: AfterStep
) -> None:
    went_on: list[Any] = []

    async def handler(input: Any, context: Context) -> None:
        async def both() -> None:
            nap = context.step.sleep("nap", 60)
            went_on.append(await asyncio.gather(nap, return_exceptions=True))

        async def around() -> None:
            await asyncio.wait([asyncio.create_task(both())])
            went_on.append("around")

        await asyncio.gather(around(), context.step.sleep("other", 60))

    stage = await deliver(handler, after=after)

    assert isinstance(stage.outcome, Suspended)
    assert went_on == []
