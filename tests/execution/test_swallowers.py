"""Handlers that swallow whatever should end them."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Completed, Suspended

if TYPE_CHECKING:
    from conftest import Deliver
from .handlers import one


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
async def test_so_is_a_branch_that_does(
    deliver: Deliver, after: AfterStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.execute.CLEAN_UP_SECONDS", 0.2)
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
