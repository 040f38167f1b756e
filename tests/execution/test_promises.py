"""What a handler asks for without awaiting it, of the functions that users call."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import warnings
from typing import Any

import pytest
from starlette.background import BackgroundTask

import kit
from kit import define_workflow
from kit.execution.context import Context
from kit.testing import play

from .handlers import one


@define_workflow(name="child")
async def child(input: Any) -> None: ...


def runs(context: Context) -> None:
    kit.run_workflow("child")


def runs_one_that_is_defined(context: Context) -> None:
    kit.run_workflow(child, {"a": 1})


def defers(context: Context) -> None:
    kit.defer_workflow(workflow="child")


def sends(context: Context) -> None:
    kit.send_event("paid", {"sum": 1})


def sends_several(context: Context) -> None:
    kit.send_events([("paid", 1), ("shipped", 2)])


def starts(context: Context) -> None:
    child.start(None)


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize("is_in_a_step", [False, True])
@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (runs, "run_workflow 'child'"),
        (runs_one_that_is_defined, "run_workflow 'child'"),
        (defers, "defer_workflow 'child'"),
        (sends, "send_event 'paid'"),
        (sends_several, "send_events \"of [('paid', 1), ('shipped', 2)]\""),
        (starts, "start 'child'"),
    ],
)
def test_a_send_that_is_never_awaited_is_an_error_that_names_it(
    ask: Any, what: str, is_in_a_step: bool, replay: Any
) -> None:
    @define_workflow
    async def handler(input: Any, context: Context) -> str:
        async def asks() -> None:
            ask(context)

        await context.step.sleep("nap", 1)
        await (context.step.run("asks", asks) if is_in_a_step else asks())
        return "as if it had happened"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        played = play(handler, replay=replay)

    assert played.failure is not None
    assert played.failure.type == "StepUsageError"
    who = "step 'asks'" if is_in_a_step else "the handler"
    assert played.failure.message.startswith(f"{who} ended with {what} never awaited")
    assert len(played.failures) == 1


async def asks_in_a_task(context: Context) -> None:
    await asyncio.gather(kit.send_event("paid"), asyncio.create_task(kit.send_event("shipped")))


async def asks_within_a_step(context: Context) -> None:
    await context.step.run("asks", asks_in_a_task, context)


async def asks_by_a_step(context: Context) -> None:
    await context.step.run("paid", kit.send_event, "paid")
    await context.step.run("shipped", kit.send_event, "shipped")


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize("ask", [asks_in_a_task, asks_within_a_step, asks_by_a_step])
def test_what_is_awaited_somewhere_is_sent_once(ask: Any, replay: Any) -> None:
    @define_workflow
    async def handler(input: Any, context: Context) -> None:
        await ask(context)
        await context.step.sleep("nap", 1)

    played = play(handler, replay=replay)

    assert played.completed, played.failure
    assert {each.name for each in played.sent} == {"paid", "shipped"}
    assert len(played.sent) == 2


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize("catches", [False, True])
def test_a_step_that_forgets_a_step_or_an_event_within_it_is_named(
    replay: Any, catches: bool
) -> None:
    @define_workflow
    async def handler(input: Any, context: Context) -> str:
        async def forgets() -> None:
            context.step.run("inner", one)
            context.send_event("paid")

        try:
            await context.step.run("outer", forgets)
        except Exception:
            if not catches:
                raise
        return "done"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        played = play(handler, replay=replay)

    assert played.failure is not None
    assert played.failure.message.startswith(
        "step 'outer' ended with step 'inner', event 'paid' never awaited"
    )
    assert played.steps == ["outer"]


@pytest.mark.parametrize(
    "function", [kit.run_workflow, kit.defer_workflow, kit.send_event, kit.send_events, child.start]
)
def test_they_are_async_functions_to_whoever_asks(function: Any) -> None:
    assert inspect.iscoroutinefunction(function)
    assert inspect.iscoroutinefunction(functools.partial(function, "child"))
    assert BackgroundTask(function).is_async  # or Starlette would call it in a thread, in vain
    assert asyncio.iscoroutinefunction(function)
    assert repr(function).startswith(("<function ", "<bound method "))


def test_they_are_described_and_pickled_as_functions_are() -> None:
    assert list(inspect.signature(kit.run_workflow).parameters)[:3] == ["workflow", "input", "id"]
    assert (inspect.getdoc(kit.run_workflow) or "").startswith("Start a workflow: send")
    assert pickle.loads(pickle.dumps(kit.run_workflow)) is kit.run_workflow


async def test_outside_of_a_run_nothing_is_noted() -> None:
    with pytest.warns(RuntimeWarning, match="never awaited"):
        kit.send_event("paid")
