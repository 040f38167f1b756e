"""What must not look like success: things forgotten, and things that cannot work."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from kit import define_workflow
from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Completed, Failed
from kit.model.errors import StepUsageError
from kit.testing import play

if TYPE_CHECKING:
    from conftest import Deliver
from .handlers import one


def plain_one() -> int:
    return 1


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda context: context.step.run("a", one), "step 'a'"),
        (lambda context: context.step.sleep("nap", 1), "sleep 'nap'"),
        (lambda context: context.send_event("e"), "event 'e'"),
    ],
)
async def test_what_is_never_awaited_is_an_error_that_names_it(
    deliver: Deliver, after: AfterStep, ask: Any, what: str
) -> None:
    async def handler(input: Any, context: Context) -> str:
        ask(context)
        return "as if it had happened"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stage = await deliver(handler, after=after)

    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.type == "StepUsageError"
    assert stage.outcome.failure.message.startswith(f"the handler ended with {what} never awaited")
    assert stage.outcome.retry_in is None


async def test_what_is_given_to_a_task_or_awaited_later_is_not_forgotten(
    deliver: Deliver,
) -> None:
    async def handler(input: Any, context: Context) -> int:
        first = context.step.run("first", one)
        task = asyncio.create_task(context.step.run("second", one))
        return await task + await first

    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert stage.outcome == Completed("2")


async def test_a_failure_counts_for_more_than_what_was_forgotten(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        context.step.run("a", one)
        raise ValueError("first of all")

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.message == "first of all"


async def calls_too_early(input: Any, context: Context) -> None:
    await context.step.run("x", one())  # type: ignore[call-overload]


async def calls_a_plain_one_too_early(input: Any, context: Context) -> None:
    await context.step.run("x", plain_one())  # type: ignore[call-overload]


def calls_too_early_plainly(input: Any, context: PlainContext) -> None:
    context.step.run("x", plain_one())  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (calls_too_early, "Write step.run('x', one) and its arguments, not one(…)"),
        (calls_a_plain_one_too_early, "step 'x' is given 1, not a function; did you forget"),
        (calls_too_early_plainly, "step 'x' is given 1, not a function; did you forget"),
    ],
)
async def test_a_call_in_the_place_of_a_function_says_so(
    deliver: Deliver, handler: Any, said: str
) -> None:
    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert said in stage.outcome.failure.message
    assert stage.outcome.retry_in is None
    assert stage.started == []


async def goes_elsewhere(asked: Any) -> None:
    with contextlib.suppress(StepUsageError):  # whatever the handler makes of it
        await asyncio.to_thread(lambda: asyncio.run(asked))


async def goes_elsewhere_in_a_step(asked: Any, context: Context) -> None:
    await context.step.run("outer", lambda: asyncio.run(asked))


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize("is_within", [False, True])
@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda context, ran: context.step.run("t", ran.append, 1), "step 't'"),
        (lambda context, ran: context.step.sleep("t", 1), "sleep 't'"),
        (lambda context, ran: context.send_event("t"), "event 't'"),
    ],
)
def test_what_is_awaited_in_another_event_loop_is_refused_there(
    replay: Any, is_within: bool, ask: Any, what: str
) -> None:
    ran: list[int] = []

    @define_workflow
    async def strays(input: Any, context: Context) -> None:
        if is_within:
            await goes_elsewhere_in_a_step(ask(context, ran), context)
        else:
            await goes_elsewhere(ask(context, ran))

    played = play(strays, replay=replay)
    assert played.failure is not None
    assert played.failure.type == "StepUsageError"
    assert played.failure.message.startswith(f"{what} is awaited in another event loop")
    assert played.failure.message.endswith("event loop of their handler; await it there")
    assert (ran, played.sent, played.invocations) == ([], [], 1)


async def returns_a_step(input: Any, context: Context) -> Any:
    return context.step.run("x", one)


async def returns_a_sleep_deep_down(input: Any, context: Context) -> Any:
    return {"all": [context.step.sleep("x", 1)]}


async def lets_a_step_return_one(input: Any, context: Context) -> Any:
    async def outer() -> Any:
        return {"inner": context.step.run("x", one)}

    return await context.step.run("outer", outer)


async def lets_a_step_return_an_event(input: Any, context: Context) -> Any:
    async def outer() -> Any:
        return context.send_event("e")

    return await context.step.run("outer", outer)


async def gives_a_step_to_a_step(input: Any, context: Context) -> Any:
    await context.step.run("outer", context.step.run("x", one))  # type: ignore[call-overload]


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (returns_a_step, "the result is a coroutine: did you forget to await step.run('x', …)?"),
        (
            returns_a_sleep_deep_down,
            "the result at '.all[0]' is a coroutine: did you forget to await step.sleep('x', …)?",
        ),
        (lets_a_step_return_one, "step 'outer' ended with step 'x' never awaited, so that"),
        (lets_a_step_return_an_event, "step 'outer' ended with event 'e' never awaited, so that"),
        (gives_a_step_to_a_step, "step 'outer' is given what step.run('x', …) returns, not a"),
    ],
)
async def test_what_was_not_awaited_is_called_as_its_user_wrote_it(
    deliver: Deliver, handler: Any, said: str, after: AfterStep
) -> None:
    stage = await deliver(handler, after=after)

    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.message.startswith(said)
    assert stage.outcome.retry_in is None


async def returns_a_coroutine() -> Any:
    return one()


async def in_a_step(input: Any, context: Context) -> None:
    await context.step.run("x", returns_a_coroutine)


async def as_a_result(input: Any, context: Context) -> Any:
    return one()


@pytest.mark.parametrize("handler", [in_a_step, as_a_result])
async def test_a_coroutine_in_the_place_of_a_value_says_so(deliver: Deliver, handler: Any) -> None:
    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert "is a coroutine: did you forget to await one(…)" in stage.outcome.failure.message
    assert stage.outcome.retry_in is None
