from __future__ import annotations

import asyncio
import gc
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.execution.execute import Suspending, execute
from kit.execution.invocation import Invocation
from kit.model.delivery import (
    AfterStep,
    CheckpointKind,
    Completed,
    Delivery,
    Failed,
    Sleep,
    Suspended,
)
from kit.model.event import Event
from kit.model.workflow import Workflow

if TYPE_CHECKING:
    from conftest import Deliver, Delivered


RUN_ID = "11111111-1111-4111-8111-111111111111"


async def three_steps(input: Any, context: Context) -> list[int]:
    async def answer(value: int) -> int:
        return value

    return [await context.step.run(f"s{i}", answer, i) for i in range(3)]


async def test_each_fresh_step_ends_its_invocation(deliver: Deliver) -> None:
    stage = await deliver(three_steps)
    for count in (1, 2, 3):
        assert isinstance(stage.outcome, Suspended)
        assert stage.started == [f"s{count - 1}"]
        assert list(stage.checkpoints) == [f"s{i}" for i in range(count)]
        stage = await deliver(three_steps, stage.checkpoints)
    assert stage.outcome == Completed("[0,1,2]")
    assert stage.started == []


async def test_with_commits_the_handler_goes_on(deliver: Deliver) -> None:
    stage = await deliver(three_steps, after=AfterStep.COMMIT)
    assert stage.outcome == Completed("[0,1,2]")
    assert stage.committed == [("s0",), ("s1",), ("s2",)]


async def test_gathered_checkpoints_are_handed_over_at_the_end(deliver: Deliver) -> None:
    for after in (AfterStep.COMMIT, AfterStep.SUSPEND, AfterStep.GATHER):
        stage = await deliver(three_steps, after=after, checkpoints="gather")
        assert isinstance(stage.outcome, Completed)
        assert [each.step_id for each in stage.outcome.checkpoints] == ["s0", "s1", "s2"]
        assert stage.committed == []


async def test_gathered_checkpoints_are_handed_over_at_a_sleep(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await three_steps(input, context)
        await context.step.sleep("nap", 5)

    stage = await deliver(handler, checkpoints="gather")
    assert isinstance(stage.outcome, Suspended)
    assert [each.step_id for each in stage.outcome.checkpoints] == ["s0", "s1", "s2"]
    assert stage.outcome.sleeps == (Sleep("nap", stage.asked_at["nap"] + 5000),)


async def test_a_checkpoint_tells_when_its_step_ran(deliver: Deliver) -> None:
    stage = await deliver(three_steps)
    checkpoint = stage.checkpoints["s0"]
    assert checkpoint.kind is CheckpointKind.STEP
    assert checkpoint.text == '{"value":0}'
    assert 1000 < checkpoint.started < checkpoint.ended


@pytest.mark.parametrize(
    ("until", "due"),
    [(timedelta(days=30), 2_592_000_000), (datetime(2030, 1, 1, tzinfo=UTC), 1_893_456_000_000)],
)
async def test_a_sleep_suspends_and_is_over_at_the_next_delivery(
    deliver: Deliver, until: timedelta | datetime, due: int
) -> None:
    async def handler(input: Any, context: Context) -> str:
        await context.step.sleep("nap", until)
        return "awake"

    stage = await deliver(handler, after=AfterStep.COMMIT)
    due += stage.asked_at["nap"] if isinstance(until, timedelta) else 0
    asked = Sleep("nap", due, until=isinstance(until, datetime))
    assert stage.outcome == Suspended((), (asked,))
    stage = await deliver(handler, stage.checkpoints)
    assert stage.outcome == Completed('"awake"')


@pytest.mark.parametrize("duration", ["5", "soon", datetime(2030, 1, 1)])  # noqa: DTZ001
async def test_a_malformed_sleep_is_a_dead_letter_at_once(deliver: Deliver, duration: Any) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.sleep("nap", duration)

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.type == "ArgumentError"
    assert stage.outcome.retry_in is None


async def test_a_run_that_is_stopped_ends_at_its_next_step_or_sleep(
    deliver: Deliver, make_stage: type[Delivered]
) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("a", lambda: 1)
        stage.stopped = True
        if input:
            await context.step.run("b", lambda: 1)
        await context.step.sleep("nap", 5)

    for data in (True, False):
        stage = make_stage(AfterStep.COMMIT)
        await deliver(handler, stage=stage, data=data)
        assert stage.outcome == Suspended(goes_on=True)
        assert stage.started == ["a"]


async def test_a_stopped_run_that_gathers_hands_over_what_it_has(
    deliver: Deliver, make_stage: type[Delivered]
) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("a", lambda: 1)
        stage.stopped = True
        await context.step.run("b", lambda: 1)

    stage = make_stage()
    await deliver(handler, stage=stage, checkpoints="gather")
    assert isinstance(stage.outcome, Suspended)
    assert [each.step_id for each in stage.outcome.checkpoints] == ["a"]


async def test_the_context_tells_about_the_run(
    deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(input: Any, context: Context) -> list[Any]:
        context.logger.warning("hello")
        return [context.provider, context.event_id, context.event_name, context.attempt]

    stage = await deliver(handler, attempt=2)
    assert stage.outcome == Completed(json.dumps(["local", RUN_ID, "w", 2], separators=(",", ":")))
    assert caplog.record_tuples == [("kit.workflow.w", logging.WARNING, "hello")]
    assert vars(caplog.records[0])["event_id"] == RUN_ID


async def test_progress_is_told(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("a", lambda: 1)
        with pytest.raises(ValueError, match="bad"):
            await context.step.run("b", fail)
        await context.send_event("e")
        await context.step.sleep("nap", 1)

    def fail() -> None:
        raise ValueError("bad")

    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert stage.seen == [
        ("step-started", {"stepId": "a"}),
        ("step-finished", {"stepId": "a"}),
        ("step-started", {"stepId": "b"}),
        ("step-failed", {"stepId": "b", "error": "bad", "type": "ValueError"}),
        ("event-sent", {"name": "e", "eventId": stage.sent[0].id}),
        ("slept", {"stepId": "nap"}),
    ]


async def test_what_a_step_is_given_is_told_as_it_is(deliver: Deliver) -> None:
    order = object()

    async def handler(input: Any, context: Context) -> None:
        await context.step.run("charge", charge, order, amount=5)

    def charge(order: object, amount: int) -> int:
        return amount

    stage = await deliver(handler, after=AfterStep.COMMIT)
    call = stage.seen[0][1]["call"]
    assert (call.function, call.args, call.kwargs) == (charge, (order,), {"amount": 5})


async def test_nobody_need_watch_store_or_send() -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("a", lambda: 1)
        with pytest.raises(ZeroDivisionError):
            await context.step.run("b", lambda: 1 // 0)
        await context.send_event("e")

    async def once(checkpoints: dict[str, Any]) -> Any:
        delivery = Delivery(Event("w", None, RUN_ID), 0, checkpoints)
        return await execute(Workflow(handler), delivery, Suspending(), now=lambda: 1)

    await Suspending().commit(())
    first = await once({})
    assert isinstance(first, Suspended)
    second = await once({each.step_id: each for each in first.checkpoints})
    assert isinstance(second, Suspended)  # to keep that `b` has failed, which was dealt with
    assert second.failure
    assert second.failure.message == "event 'e' cannot be sent: nothing here sends events"


def everything_plain(input: Any, context: PlainContext) -> list[Any]:
    async def double(value: int) -> int:
        return value * 2

    value = context.step.run("a", lambda: 1)
    event_id = context.send_event("e", delay=1)
    context.step.sleep("nap", "1 hour")
    return [value, context.step.run("b", double, value), event_id, context.attempt]


async def test_a_plain_handler_does_the_same_without_await(deliver: Deliver) -> None:
    stage, sent, rounds = await deliver(everything_plain), [], 0
    while isinstance(stage.outcome, Suspended):
        sent += stage.sent
        rounds += 1
        stage = await deliver(everything_plain, stage.checkpoints)
    assert isinstance(stage.outcome, Completed)
    assert json.loads(stage.outcome.result) == [1, 2, sent[0].id, 0]
    assert (len(sent), rounds) == (1, 3)


async def test_a_completed_invocation_needs_no_garbage_collector(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await asyncio.gather(*(context.step.run(f"s{i}", asyncio.sleep, 0) for i in range(2)))

    gc.collect()
    gc.disable()
    try:
        before = _invocations()
        stage = await deliver(handler, after=AfterStep.COMMIT)
        assert isinstance(stage.outcome, Completed)
        assert _invocations() <= before
    finally:
        gc.enable()


def _invocations() -> set[int]:
    return {id(each) for each in gc.get_objects() if isinstance(each, Invocation)}
