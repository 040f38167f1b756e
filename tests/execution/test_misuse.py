"""What must not look like success: things forgotten, and things that cannot work."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kit import define_workflow
from kit.client import blocking
from kit.client.handle import WorkflowRun
from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Completed, Failed
from kit.model.errors import StepUsageError
from kit.testing import play

if TYPE_CHECKING:
    from conftest import Deliver


async def one() -> int:
    return 1


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
