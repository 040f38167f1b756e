"""Waiting for a child run by its handle is refused, in a handler as in a step."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kit.client import blocking
from kit.client.handle import WorkflowRun
from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Failed

if TYPE_CHECKING:
    from conftest import Deliver


CHILD = WorkflowRun("id", "child", SimpleNamespace(name="local"))  # type: ignore[arg-type]


SYNC = blocking.WorkflowRun(CHILD)


async def waits_in_a_handler(input: Any, context: Context) -> Any:
    return await CHILD.result()


async def waits_in_an_async_step(input: Any, context: Context) -> Any:
    return await context.step.run("wait", CHILD.result)


async def waits_in_a_plain_step(input: Any, context: Context) -> Any:
    return await context.step.run("wait", lambda: CHILD.result())


async def waits_in_a_branch(input: Any, context: Context) -> Any:
    return await asyncio.gather(CHILD.result(timeout=5))


async def waits_without_await(input: Any, context: Context) -> Any:
    return SYNC.result()


async def waits_in_an_async_step_without_await(input: Any, context: Context) -> Any:
    async def waits() -> Any:
        return SYNC.result()

    return await context.step.run("wait", waits)


async def waits_in_a_plain_step_without_await(input: Any, context: Context) -> Any:
    return await context.step.run("wait", SYNC.result)


def waits_in_a_plain_handler(input: Any, context: PlainContext) -> Any:
    return SYNC.result()


def waits_in_a_step_of_a_plain_handler(input: Any, context: PlainContext) -> Any:
    return context.step.run("wait", SYNC.result)


@pytest.mark.parametrize(
    "handler",
    [
        waits_in_a_handler,
        waits_in_an_async_step,
        waits_in_a_plain_step,
        waits_in_a_branch,
        waits_without_await,
        waits_in_an_async_step_without_await,
        waits_in_a_plain_step_without_await,
        waits_in_a_plain_handler,
        waits_in_a_step_of_a_plain_handler,
    ],
)
async def test_waiting_for_a_child_run_is_refused_in_one_way(
    deliver: Deliver, handler: Any
) -> None:
    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.code == "NOT_SUPPORTED_WAITING_FOR_A_RUN_WITHIN_A_RUN"
    assert "Let that one send an event when it is done" in stage.outcome.failure.message
    assert stage.outcome.retry_in is None
