from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.execution.envelope import error_envelope
from kit.model.delivery import AfterStep, Checkpoint, CheckpointKind, Completed, Failed
from kit.model.errors import ReplayError, StepUsageError

from .handlers import one

if TYPE_CHECKING:
    from conftest import Deliver


def step(step_id: str, text: str = '{"value":1}') -> Checkpoint:
    return Checkpoint(step_id, CheckpointKind.STEP, text)


def known(*checkpoints: Checkpoint) -> dict[str, Checkpoint]:
    return {each.step_id: each for each in checkpoints}


async def a_then_b(input: Any, context: Context) -> int:
    return await context.step.run("a", one) + await context.step.run("b", one)


def a_then_b_plainly(input: Any, context: PlainContext) -> int:
    return context.step.run("a", lambda: 1) + context.step.run("b", lambda: 1)


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("handler", [a_then_b, a_then_b_plainly])
async def test_a_step_that_is_gone_is_reported_before_a_new_one_runs(
    deliver: Deliver, handler: Any, after: AfterStep
) -> None:
    stage = await asyncio.wait_for(
        deliver(handler, known(step("a"), step("renamed")), after=after), 1
    )
    assert isinstance(stage.outcome, Failed)
    failure = stage.outcome.failure
    assert (failure.type, failure.code) == ("ReplayError", "REPLAY_MISMATCH")
    assert failure.message.startswith(
        "the handler asks for 'b' as a new step, but never for 'renamed', which the run has"
        " recorded: the workflow was changed while this run was under way."
    )
    assert stage.outcome.retry_in is None
    assert stage.started == []


async def test_a_renamed_first_step_does_not_run(deliver: Deliver) -> None:
    stage = await deliver(a_then_b, known(step("old-a"), step("b")))
    assert isinstance(stage.outcome, Failed)
    assert "asks for 'a' as a new step, but never for 'old-a', 'b'" in stage.outcome.failure.message
    assert stage.started == []


async def test_a_step_that_is_gone_is_reported_at_a_new_sleep_or_event(deliver: Deliver) -> None:
    async def handler(input: bool, context: Context) -> None:
        if input:
            await context.step.sleep("nap", 1)
        await context.send_event("e")

    for data in (True, False):
        stage = await deliver(handler, known(step("gone")), data=data)
        assert isinstance(stage.outcome, Failed)
        assert "but never for 'gone'" in stage.outcome.failure.message
        assert stage.sent == []


async def test_a_step_that_is_gone_is_reported_at_the_end(deliver: Deliver) -> None:
    nap = Checkpoint("nap", CheckpointKind.SLEEP)
    stage = await deliver(a_then_b, known(step("a"), step("b"), step("c"), nap))
    assert isinstance(stage.outcome, Failed)
    assert "ended without asking for 'c', 'nap'" in stage.outcome.failure.message
    assert stage.outcome.retry_in is None


async def test_a_branch_that_asks_for_something_else_is_reported_in_time(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.05)

    async def handler(input: Any, context: Context) -> None:
        await asyncio.gather(context.step.run("x", one), context.step.run("y", one))

    stage = await deliver(handler, known(step("x"), step("old-y")))
    assert isinstance(stage.outcome, Failed)
    assert "asks for 'y' as a new step, but never for 'old-y'" in stage.outcome.failure.message
    assert stage.started == []


async def test_a_branch_still_waiting_when_the_handler_ends_does_not_begin(
    deliver: Deliver,
) -> None:
    async def handler(input: Any, context: Context) -> None:
        branch = asyncio.create_task(context.step.run("new", one))
        await asyncio.sleep(input)
        assert not branch.done()
        raise ValueError("of its own")

    for seconds in (0, 0.05):
        stage = await deliver(handler, known(step("old")), data=seconds)
        assert isinstance(stage.outcome, Failed)
        assert stage.outcome.failure.message == "of its own"
        assert stage.started == []


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (
            Checkpoint("a", CheckpointKind.SLEEP),
            "asks for the step 'a', but the run recorded a sleep",
        ),
        (step("nap"), "asks for the sleep 'nap', but the run recorded a step of that id"),
    ],
)
async def test_a_sleep_where_a_step_was_is_reported_and_the_other_way_round(
    deliver: Deliver, recorded: Checkpoint, said: str
) -> None:
    async def handler(input: Any, context: Context) -> None:
        if recorded.step_id == "a":
            await context.step.run("a", one)
        else:
            await context.step.sleep("nap", 1)

    stage = await deliver(handler, known(recorded))
    assert isinstance(stage.outcome, Failed)
    assert said in stage.outcome.failure.message
    assert (stage.outcome.retry_in, stage.started) == (None, [])


async def twice(input: Any, context: Context) -> None:
    await context.step.run("a", one)
    await context.step.run("a", one)


async def twice_at_once(input: Any, context: Context) -> None:
    await asyncio.gather(context.step.run("a", one), context.step.run("a", one))


async def step_and_sleep(input: Any, context: Context) -> None:
    await context.step.run("a", one)
    await context.step.sleep("a", 1)


async def within_itself(input: Any, context: Context) -> None:
    await context.step.run("a", lambda: context.step.run("a", one))


@pytest.mark.parametrize("handler", [twice, twice_at_once, step_and_sleep, within_itself])
async def test_an_id_used_twice_in_one_invocation_is_an_error_that_names_it(
    deliver: Deliver, handler: Any
) -> None:
    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Failed)
    failure = stage.outcome.failure
    assert (failure.type, failure.step_id) == ("StepUsageError", "a")
    assert "the step id 'a' is used twice in one invocation" in failure.message
    assert stage.outcome.retry_in is None


async def test_an_id_used_twice_is_found_at_a_replay_too(deliver: Deliver) -> None:
    stage = await deliver(twice, known(step("a")))
    assert isinstance(stage.outcome, Failed)
    assert "used twice" in stage.outcome.failure.message


@pytest.mark.parametrize(
    ("step_id", "said"),
    [
        ("", "must not be empty"),
        (None, "must be a text, not None"),
        ("x" * 10_000, "a step id of 10000 characters is too long: at most 255"),
        ("a\ud800", "holds half of a surrogate pair"),
        ("kit:retry:0", "begins with a prefix that is kept"),
        ("awl:sleep:x", "begins with a prefix that is kept"),
    ],
)
async def test_a_text_that_cannot_name_a_step_is_refused(
    deliver: Deliver, step_id: Any, said: str
) -> None:
    async def handler(input: Any, context: Context) -> None:
        with pytest.raises(StepUsageError):
            await context.step.run(step_id, one)

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert said in stage.outcome.failure.message
    assert len(stage.outcome.failure.message) < 200
    assert stage.outcome.retry_in is None


async def test_a_handler_cannot_live_on_past_a_replay_error(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> str:
        with pytest.raises(ReplayError):
            await context.step.run("a", one)
        await context.step.run("b", one)
        return "as if nothing had happened"

    async def dawdling(input: Any, context: Context) -> None:
        with pytest.raises(ReplayError):
            await context.step.run("a", one)
        await asyncio.sleep(3600)

    async def swallowing(input: Any, context: Context) -> str:
        with pytest.raises(ReplayError):
            await context.step.run("a", one)
        return "as if nothing had happened"

    for each in (handler, dawdling, swallowing):
        stage = await deliver(each, known(step("gone")))
        assert isinstance(stage.outcome, Failed)
        assert stage.outcome.failure.type == "ReplayError"
        assert stage.started == []


async def test_a_step_error_raised_beside_open_siblings_waits_for_them(deliver: Deliver) -> None:
    async def slow() -> int:
        await asyncio.sleep(0.01)
        return 1

    async def handler(input: Any, context: Context) -> None:
        await asyncio.gather(
            context.step.run("slow", slow), context.step.run("", one), return_exceptions=True
        )

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert [each.step_id for each in stage.outcome.checkpoints] == ["slow"]


async def test_checkpoints_may_be_asked_for_in_another_order(deliver: Deliver) -> None:
    stage = await deliver(a_then_b, known(step("b", '{"value":5}'), step("a")))
    assert stage.outcome == Completed("6")


async def test_a_recorded_failure_is_raised_again(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> str:
        try:
            await context.step.run("a", one)
        except KeyError as error:
            return f"caught {error.args}"
        return "nothing raised"

    recorded = step("a", error_envelope(KeyError("k", 1)))
    stage = await deliver(handler, known(recorded))
    assert stage.outcome == Completed("\"caught ('k', 1)\"")


async def test_a_recorded_failure_that_ends_the_run_tells_its_step(deliver: Deliver) -> None:
    recorded = step("a", error_envelope(KeyError("k")))
    stage = await deliver(a_then_b, known(recorded), attempt=4)
    assert isinstance(stage.outcome, Failed)
    assert (stage.outcome.failure.step_id, stage.outcome.failure.type) == ("a", "KeyError")
    assert stage.outcome.forgotten == ("a",)


async def test_a_step_asked_for_outside_its_outer_step_is_answered(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> int:
        return await context.step.run("inner", one)

    inner = step("inner", '{"value":4,"inner":true}')
    stage = await deliver(handler, known(inner))
    assert stage.outcome == Completed("4")


async def test_checkpoints_of_sends_and_retries_need_not_be_asked_for(deliver: Deliver) -> None:
    recorded = [
        Checkpoint("kit:send:e:0", CheckpointKind.SEND),
        Checkpoint("kit:retry:0", CheckpointKind.RETRY),
    ]

    async def handler(input: Any, context: Context) -> int:
        return context.attempt

    stage = await deliver(handler, known(*recorded), attempt=2)
    assert stage.outcome == Completed("3")
