"""What is meant to end a program fails an attempt, and nothing else."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Failed, Suspended

from .handlers import one

if TYPE_CHECKING:
    from conftest import Deliver


async def exits() -> None:
    sys.exit(3)


async def exiting(input: Any, context: Context) -> None:
    sys.exit("bye")


async def exiting_in_a_step(input: Any, context: Context) -> None:
    await asyncio.gather(context.step.run("a", exits), context.step.run("b", one))


def exiting_plainly(input: Any, context: PlainContext) -> None:
    sys.exit(1)


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (exiting, "exiting called sys.exit('bye'); raise an error instead"),
        (exiting_in_a_step, "exits called sys.exit(3); raise an error instead"),
        (exiting_plainly, "exiting_plainly called sys.exit(1); raise an error instead"),
    ],
)
async def test_sys_exit_fails_the_attempt_and_nothing_else(
    deliver: Deliver, handler: Any, said: str
) -> None:
    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Failed | Suspended)
    assert stage.outcome.failure
    assert stage.outcome.failure.message == said


class PanicError(BaseException):
    """As libraries in other languages raise them, or gevent's timeouts."""


async def panics() -> None:
    raise PanicError("no way on")


def panics_plainly() -> None:
    raise KeyboardInterrupt("of its own")


async def panicking(input: Any, context: Context) -> None:
    await panics()


async def panicking_in_a_step(input: Any, context: Context) -> None:
    await context.step.run("a", panics)


async def panicking_in_a_plain_step(input: Any, context: Context) -> None:
    await context.step.run("a", panics_plainly)


async def panicking_in_a_group(input: Any, context: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(panics())


async def closing_itself(input: Any, context: Context) -> None:
    raise GeneratorExit("enough")


GROUP = "BaseExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)"


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (panicking, "panicking raised PanicError: no way on"),
        (panicking_in_a_step, "panics raised PanicError: no way on"),
        (panicking_in_a_plain_step, "panics_plainly raised KeyboardInterrupt: of its own"),
        (panicking_in_a_group, f"panicking_in_a_group raised {GROUP}"),
        (closing_itself, "closing_itself raised GeneratorExit: enough"),
    ],
)
async def test_what_is_meant_to_end_a_program_fails_the_attempt_and_nothing_else(
    deliver: Deliver, handler: Any, said: str
) -> None:
    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Failed | Suspended)
    assert stage.outcome.failure
    assert stage.outcome.failure.message == (
        f"{said}, which is meant to end a program; raise an Exception instead"
    )
