from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Completed, Failed, Suspended
from kit.model.signals import Suspend

if TYPE_CHECKING:
    from conftest import Deliver, Delivered


async def one() -> int:
    return 1


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


async def test_a_handler_that_swallows_everything_changes_nothing(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> str:
        try:
            await context.step.run("a", one)
        except BaseException:  # noqa: BLE001
            await context.step.run("b", one)
        return "as if nothing had happened"

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert list(stage.checkpoints) == stage.started == ["a"]
    assert (await deliver(handler, stage.checkpoints)).outcome == Completed(
        '"as if nothing had happened"'
    )


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


@pytest.mark.unstoppable
async def test_an_endless_loop_that_swallows_everything_is_left_behind(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        number = 0
        while True:
            number += 1
            with contextlib.suppress(BaseException):
                await context.step.run(f"s{number}", one)

    def plainly(input: Any, context: PlainContext) -> None:
        number = 0
        while True:
            number += 1
            with contextlib.suppress(BaseException):
                context.step.run(f"s{number}", lambda: 1)

    for each in (handler, plainly):
        stage = await deliver(each)
        assert isinstance(stage.outcome, Suspended)
        assert stage.started == ["s1"]


@pytest.mark.unstoppable
@pytest.mark.parametrize("after", list(AfterStep))
async def test_so_is_a_branch_that_does(deliver: Deliver, after: AfterStep) -> None:
    went_on: list[str] = []

    async def handler(input: Any, context: Context) -> None:
        async def swallows(name: str) -> None:
            with contextlib.suppress(BaseException):
                await context.step.sleep(name, 1)
            while True:
                went_on.append(name)
                with contextlib.suppress(BaseException):
                    await asyncio.sleep(0.001)

        await asyncio.gather(swallows("a"), swallows("b"), context.step.sleep("c", 1))

    stage = await asyncio.wait_for(deliver(handler, after=after), 20)  # which looks at all tasks
    assert isinstance(stage.outcome, Suspended)
    assert {*went_on} == {"a", "b"}
    went_on.clear()
    await asyncio.sleep(0.05)
    assert went_on == []


@pytest.mark.unstoppable
def test_a_plain_loop_that_swallows_everything_rests_once_its_loop_has_gone(
    deliver: Deliver,
) -> None:
    asked = threading.Semaphore(0)

    def handler(input: Any, context: PlainContext) -> None:
        while True:
            with contextlib.suppress(BaseException):
                context.step.run("s", lambda: 1)
            asked.release()

    asyncio.run(deliver(handler))

    assert asked.acquire(timeout=10)
    while asked.acquire(timeout=0.1):  # else for ever, with a core fully busy
        pass


SWALLOWER = """
    import asyncio, sys
    from kit.execution import execute as execution
    from kit.execution import looking
    from kit.model.workflow import Workflow
    from kit.execution.execute import Suspending, execute
    from kit.model.event import Event
    from kit.model.delivery import Delivery

    async def one():
        return 1

    async def steps(input, context):
        number = 0
        while True:
            number += 1
            try:
                await context.step.run(f"s{number}", one)
            except BaseException:
                pass

    async def elsewhere(input, context):
        nap = asyncio.create_task(context.step.sleep("nap", 1))
        while True:
            try:
                await asyncio.sleep(0.01)
            except BaseException:
                pass

    def plainly(input, context):
        number = 0
        while True:
            number += 1
            try:
                context.step.run(f"s{number}", lambda: 1)
            except BaseException:
                pass

    execution.CLEAN_UP_SECONDS = looking.GRACE_SECONDS = 0.2
    handler = globals()[sys.argv[1]]
    event = Event("w", None, "11111111-1111-4111-8111-111111111111")
    outcome = asyncio.run(
        execute(Workflow(handler), Delivery(event), Suspending(), now=lambda: 1, linger=0.1)
    )
    print(type(outcome).__name__)
"""


@pytest.mark.parametrize("handler", ["steps", "elsewhere", "plainly"])
def test_a_process_with_an_endless_swallower_exits(handler: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(SWALLOWER), handler],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "Suspended", "")


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

    async def in_a_step(input: Any, context: Context) -> None:
        await context.step.run("a", cancelled)

    async def cancelled() -> None:
        raise asyncio.CancelledError

    for handler in (by_itself, by_raising, plainly, in_a_step):
        stage = await deliver(handler)
        assert isinstance(stage.outcome, Failed)
        assert stage.outcome.failure.message == "the handler was cancelled from within"


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
