"""Events that a handler sends: once, under ids of what they say."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import (
    AfterStep,
    Completed,
    Failed,
    Suspended,
)
from kit.model.errors import SendError
from kit.model.event import Event, check_id

if TYPE_CHECKING:
    from conftest import Deliver, Delivered


async def sends(input: Any, context: Context) -> list[str]:
    one = await context.send_event("e", {"n": 1}, delay="1 minute", priority=5)
    await context.step.run("a", lambda: 1)
    other = await context.send_event("e", {"n": 2}, delay_until=datetime(2030, 1, 1, tzinfo=UTC))
    await context.step.sleep("nap", 1)
    return [one, other]


async def test_an_event_is_sent_once_however_often_the_handler_runs(deliver: Deliver) -> None:
    stage, sent = await deliver(sends), []
    while isinstance(stage.outcome, Suspended):
        sent += stage.sent
        stage = await deliver(sends, stage.checkpoints)
    assert isinstance(stage.outcome, Completed)
    assert [event.data["n"] for event in sent] == [1, 2]
    assert json.loads(stage.outcome.result) == [event.id for event in sent]
    assert all(check_id(event.id) and event.chain == ("w",) for event in sent)
    assert (sent[0].priority, sent[0].due) == (5, 61_001)
    assert sent[1].due == 1_893_456_000_000


async def test_an_event_travels_with_the_next_checkpoint(deliver: Deliver) -> None:
    stage = await deliver(sends, after=AfterStep.COMMIT)
    one, other = (f"kit:send:{event.name}:{event.id}" for event in stage.sent)
    assert stage.committed == [(one, "a")]
    assert list(stage.checkpoints) == [one, "a", other, "nap"]


async def test_a_retry_that_sends_again_sends_the_same_event(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.send_event("e")
        raise ValueError

    first, again = await deliver(handler), await deliver(handler, attempt=1)
    assert isinstance(first.outcome, Failed)
    assert first.sent == again.sent


async def test_a_handler_that_tries_again_sends_the_same_event(
    deliver: Deliver, make_stage: type[Delivered]
) -> None:
    tried: list[str] = []

    async def handler(input: Any, context: Context) -> None:
        with pytest.raises(SendError):
            await context.send_event("e")
        await context.send_event("e")
        await context.step.run("a", lambda: 1)

    class Unreliable(make_stage):  # type: ignore[misc, valid-type]
        async def send(self, event: Event) -> None:
            tried.append(event.id)
            if len(tried) == 1:
                raise SendError("not now")

    stage = await deliver(handler, stage=Unreliable())
    assert tried[0] == tried[1]
    assert list(stage.checkpoints) == [f"kit:send:e:{tried[0]}", "a"]


async def test_a_send_that_fails_behind_another_keeps_its_place(
    deliver: Deliver, make_stage: type[Delivered]
) -> None:
    tried: list[str] = []
    failing = asyncio.Event()

    async def handler(input: Any, context: Context) -> None:
        first = asyncio.create_task(context.send_event("e"))
        await asyncio.sleep(0)
        await context.send_event("e")
        failing.set()
        with pytest.raises(SendError):
            await first
        await context.send_event("e")

    class Unreliable(make_stage):  # type: ignore[misc, valid-type]
        async def send(self, event: Event) -> None:
            tried.append(event.id)
            if len(tried) == 1:
                await failing.wait()
                raise SendError("not now")
            await super().send(event)

    stage = await deliver(handler, stage=Unreliable())
    assert isinstance(stage.outcome, Completed)
    assert tried[2] == tried[0] != tried[1]
    assert {event.id for event in stage.sent} == set(tried)


async def test_an_event_sent_within_a_step_depends_on_the_step(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        for step_id in ("a", "b"):
            await context.step.run(step_id, lambda: context.send_event("e"))

    stage = await deliver(handler, after=AfterStep.COMMIT)
    one, other = stage.sent
    assert one.id != other.id
    assert list(stage.checkpoints) == ["a", "b"]
    again = await deliver(handler, after=AfterStep.COMMIT)
    assert again.sent == [one, other]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": ""}, "is no event name"),
        ({"data": 2**53}, "the data of event 'e' is 9007199254740992"),
        ({"priority": 99}, "is no priority"),
        ({"delay": 1, "delay_until": datetime(2030, 1, 1, tzinfo=UTC)}, "give either delay or"),
        ({"delay": "5"}, "has no unit"),
    ],
)
async def test_an_event_that_cannot_be_sent_fails_before_it_is(
    deliver: Deliver, options: dict[str, Any], said: str
) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.send_event(**{"name": "e", **options})

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert said in stage.outcome.failure.message
    assert stage.sent == []
