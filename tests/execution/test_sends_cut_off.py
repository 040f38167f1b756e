"""Sends of events that are cut off before they have got through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.model.delivery import AfterStep
from kit.model.event import Event
from kit.testing import Stage
from tests.support.delivering import until_ended

RUN_ID = "00000000-0000-4000-8000-000000000001"


class Slow(Stage):
    """A stage from which the first events *hang* on their way, sent or *unsent*."""

    hang = 1
    unsent = False

    async def send(self, event: Event) -> None:
        if self.hang:
            self.hang -= 1
            if not self.unsent:
                await super().send(event)
            await asyncio.Event().wait()
        await super().send(event)


async def played(handler: Any, after: AfterStep, *, hang: int = 1, unsent: bool = False) -> Stage:
    stage = Slow(define_workflow(name="w")(handler), Event("w", None, RUN_ID), after)
    stage.hang, stage.unsent = hang, unsent
    return await until_ended(stage)


async def one() -> int:
    return 1


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("unsent", [False, True])
async def test_a_send_that_is_cut_off_is_cut_off_at_a_replay(
    after: AfterStep, unsent: bool
) -> None:
    async def handler(input: Any, context: Context) -> str:
        came = "sent"
        await context.step.run("first", one)
        try:
            async with asyncio.timeout(0.02):
                await context.send_event("e", {"n": 1})
        except TimeoutError:
            came = "cut off"
            await context.step.run("fallback", one)
        await context.step.sleep("nap", 60)
        await context.step.run("last", one)
        return came

    stage = await played(handler, after, unsent=unsent)

    assert stage.played.completed, stage.played.failure
    assert stage.played.result == "cut off"
    assert stage.played.steps == ["first", "fallback", "last"]
    assert len(stage.played.sent) == (0 if unsent else 1)


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("unsent", [False, True])
async def test_what_was_cut_off_and_is_sent_again_is_one_event(
    after: AfterStep, unsent: bool
) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        ids = []
        for _ in range(4):
            try:
                async with asyncio.timeout(0.02):
                    ids.append(await context.send_event("e", {"n": 1}))
                    break
            except TimeoutError:
                continue
        await context.step.sleep("nap", 60)
        ids.append(await context.send_event("e", {"n": 1}))
        return ids

    stage = await played(handler, after, hang=2, unsent=unsent)

    assert stage.played.completed, stage.played.failure
    assert stage.played.result == [each.id for each in stage.played.sent]
    assert len(stage.played.sent) == 2


async def test_a_send_that_changed_code_cuts_off_no_more_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.05)
    limit: list[float | None] = [0.02]

    async def handler(input: Any, context: Context) -> str:
        came = "cut off"
        try:
            async with asyncio.timeout(limit[0]):
                await context.send_event("e")
                came = "sent"
        except TimeoutError:
            limit[0] = None
        await context.step.sleep("nap", 60)
        return came

    stage = await played(handler, AfterStep.COMMIT, unsent=True)

    assert stage.played.completed, stage.played.failure
    assert stage.played.result == "sent"
    assert len(stage.played.sent) == 1
