from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from kit.execution.context import Context, PlainContext
from kit.model.errors import PayloadError
from kit.model.signals import DoNotRetry
from kit.model.workflow import Workflow
from kit.testing.stage import Played, aplay, play

Replay = Literal["always", "pauses"]


class Draft(BaseModel):
    title: str = "Untitled draft"


async def publish_draft(input: Draft | None, context: Context) -> dict[str, Any]:
    title = (input or Draft()).title.strip()
    await context.step.run("persist-title", lambda: title)
    await context.step.sleep("wait-before-publish", "30 days")
    await context.send_event("published", {"title": title})
    return {"provider": context.provider, "title": title}


def publish_plainly(input: Draft | None, context: PlainContext) -> dict[str, Any]:
    title = (input or Draft()).title.strip()
    context.step.run("persist-title", lambda: title)
    context.step.sleep("wait-before-publish", "30 days")
    context.send_event("published", {"title": title})
    return {"provider": context.provider, "title": title}


@pytest.mark.parametrize("handler", [publish_draft, publish_plainly])
@pytest.mark.parametrize(("replay", "invocations"), [("always", 3), ("pauses", 2)])
def test_a_run_is_played_to_its_end(handler: Any, replay: Replay, invocations: int) -> None:
    played = play(Workflow(handler), {"title": " Weekly "}, replay=replay)
    assert played.completed
    assert played.result == {"provider": "local", "title": "Weekly"}
    assert played.steps == ["persist-title"]
    assert played.sleeps == ["wait-before-publish"]
    assert [event.data for event in played.sent] == [{"title": "Weekly"}]
    assert played.elapsed == 30 * 86_400_000
    assert played.invocations == invocations
    assert played.value("persist-title") == "Weekly"


def test_input_may_be_a_model_or_nothing() -> None:
    assert play(Workflow(publish_draft), Draft(title="x")).result["title"] == "x"
    assert play(Workflow(publish_draft)).result["title"] == "Untitled draft"


def test_invalid_input_is_refused_as_when_it_is_sent() -> None:
    with pytest.raises(PayloadError, match="title: Input should be a valid string"):
        play(Workflow(publish_draft), {"title": 5})
    with pytest.raises(PayloadError, match="JavaScript"):
        play(Workflow(lambda input: input), 2**53)


def flaky(fails: int, error: Exception) -> Workflow[..., Any]:
    async def handler(input: Any, context: Context) -> int:
        async def sometimes() -> int:
            if context.attempt < fails:
                raise error
            return context.attempt

        await context.step.run("before", lambda: 1)
        return await context.step.run("flaky", sometimes)

    return Workflow(handler, "flaky")


@pytest.mark.parametrize("replay", ["always", "pauses"])
def test_failed_attempts_are_tried_again_after_their_wait(replay: Replay) -> None:
    played = play(flaky(2, ValueError("x")), replay=replay)
    assert played.result == 2
    assert [failure.step_id for failure in played.failures] == ["flaky", "flaky"]
    assert played.elapsed == 10_000
    assert played.steps == ["before", "flaky", "flaky", "flaky"]


def test_failures_that_keep_checkpoints_are_told_as_well() -> None:
    async def handler(input: Any, context: Context) -> int:
        if not context.attempt:
            await asyncio.gather(context.step.run("a", lambda: 1), context.step.run("b", fail))
        return await context.step.run("a", lambda: 2)

    async def fail() -> None:
        raise ValueError("x")

    played = play(Workflow(handler))
    assert (played.result, played.elapsed) == (1, 5000)
    assert [failure.step_id for failure in played.failures] == ["b"]


def test_a_dead_letter_is_told_with_its_failure() -> None:
    played = play(flaky(9, DoNotRetry("no")))
    assert not played.completed
    assert played.failure == played.failures[0]
    assert played.failure
    assert (played.failure.type, played.failure.message) == ("DoNotRetry", "no")
    assert play(flaky(9, ValueError("x"))).elapsed == 70_000


def test_a_handler_that_changes_its_input_is_given_it_unchanged() -> None:
    async def handler(input: dict[str, int], context: Context) -> list[int]:
        taken = [input.pop("a")]
        await context.step.run("s", lambda: 1)
        return taken

    assert play(Workflow(handler), {"a": 1}).result == [1]


def test_a_run_that_does_not_end_is_given_up() -> None:
    async def handler(input: Any, context: Context) -> None:
        for number in range(100):
            await context.step.sleep(f"s{number}", 1)

    with pytest.raises(RuntimeError, match="has not ended after 10 invocations"):
        play(Workflow(handler, "w"), max_invocations=10)


async def test_in_a_running_loop_it_is_awaited() -> None:
    played = await aplay(Workflow(publish_draft))
    assert isinstance(played, Played)
    with pytest.raises(RuntimeError, match=r"write await aplay\(…\)"):
        play(Workflow(publish_draft))


def test_a_checkpoint_without_a_value_has_none() -> None:
    assert play(Workflow(publish_draft)).value("wait-before-publish") is None
