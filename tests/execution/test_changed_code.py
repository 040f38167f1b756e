"""Code that was changed does not fit what is recorded, and that is said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep, Failed, Suspended
from kit.model.event import Event
from kit.model.workflow import Workflow

from .handlers import one
from .killed import BOTH, RUN_ID, stage_of


def changed(kind: str) -> Any:
    """Return a handler of which *kind* tells what was changed, in one of its branches."""

    async def handler(input: Any, context: Context) -> None:
        async def branch(*names: str) -> None:
            for name in names:
                await context.step.run(name, one)

        names = {
            "as it was": ("a1", "a2"),
            "removed": ("a2", "a3"),
            "renamed": ("a1-new", "a2"),
            "added": ("a0", "a1", "a2"),
        }[kind]
        if input == "gather":
            await asyncio.gather(branch(*names), branch("b1", "b2"))
        elif input == "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(branch(*names))
                group.create_task(branch("b1", "b2"))
        else:
            await branch(*names)
        await context.step.sleep("nap", 1)

    return handler


@pytest.mark.parametrize("after", BOTH)
@pytest.mark.parametrize("where", ["gather", "group", "alone"])
@pytest.mark.parametrize(
    ("kind", "named"), [("removed", "a1"), ("renamed", "a1-new"), ("added", "a0")]
)
async def test_code_that_was_changed_is_a_replay_error_that_names_the_step(
    after: AfterStep, where: str, kind: str, named: str
) -> None:
    stage = stage_of(changed("as it was"), after)
    stage.event = Event("w", where, RUN_ID)
    while not isinstance(stage.outcome, Suspended) or stage.outcome.goes_on:
        await stage.deliver()
    stage.pass_time()
    stage.workflow = Workflow(changed(kind), "w")

    outcome = await stage.deliver()

    assert isinstance(outcome, Failed)
    assert outcome.failure.type == "ReplayError"
    assert repr(named) in outcome.failure.message
    assert outcome.retry_in is None
    assert stage.started == []
