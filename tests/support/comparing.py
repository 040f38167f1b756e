"""A program with and without durability, and what must be the same of both."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from kit.model.delivery import AfterStep, Completed
from kit.model.event import Event
from kit.model.retry import RetryPolicy
from kit.model.workflow import Workflow
from kit.testing.stage import Stage
from tests.support.program_trees import DAY, Node
from tests.support.program_world import World
from tests.support.programs import Program

RUN_ID = "11111111-1111-4111-8111-111111111111"


class _Direct:
    """A context without durability: steps are called, sleeps are over, events are noted."""

    def __init__(self) -> None:
        self.step = self
        self.sent: list[tuple[str, Any]] = []

    async def run(self, step_id: str, function: Callable[..., Any], *args: Any) -> Any:
        value = function(*args)
        return await value if asyncio.iscoroutine(value) else value

    async def sleep(self, step_id: str, duration: float) -> None:
        await asyncio.sleep(3600 if duration == DAY else 0)

    async def send_event(self, name: str, data: Any, **_when: Any) -> None:
        self.sent.append((name, data))


async def reference(nodes: tuple[Node, ...]) -> tuple[Any, Counter[tuple[str, Any]]]:
    """Return what a program comes to if it is simply begun again when it fails; and its events."""
    world = World()
    for _ in range(100):
        context = _Direct()
        world.seen = {}
        try:
            result = await Program(nodes, world).handle(None, context)
        except Exception:  # noqa: BLE001 - it is tried again, as a run is
            continue
        return json.loads(json.dumps(result)), Counter(context.sent)
    raise AssertionError


async def durable(
    nodes: tuple[Node, ...], after_step: AfterStep, crashes: random.Random | None = None
) -> tuple[Any, Counter[tuple[str, Any]]]:
    """Return what a program comes to on a stage, with a crash at one in seven commits."""
    world = World()
    program = Program(nodes, world)
    workflow = Workflow(program.handle, "w", retry=RetryPolicy(90))
    stage = Stage(workflow, Event("w", None, RUN_ID), after_step)
    world.is_recorded = stage.checkpoints.__contains__
    world.is_kept = lambda step_id: (
        (kept := stage.checkpoints.get(step_id)) is not None
        and (kept.text or "").startswith('{"value":')
    )
    for _ in range(1000):
        if crashes is not None and crashes.random() < 0.5:
            stage.crash_at = len(stage.committed) + crashes.randint(1, 7)
        failures = len(stage.played.failures)
        world.asked = {}
        await stage.deliver()
        world.has_failed = bool(stage.played.failures)
        if stage.outcome is None or len(stage.played.failures) > failures:
            world.seen = {}  # what was lost, or is tried again, may go another way
        elif not getattr(stage.outcome, "goes_on", False):
            # else what was passed over may have been asked for ahead of what is held, and is
            # asked for after it the next time: nothing new begins after that
            world.seen = world.asked | world.seen
        if stage.has_ended:
            assert not world.problems, world.problems
            assert isinstance(stage.outcome, Completed), stage.played.failure
            sent = [(each.name, each.data) for each in stage.played.sent]
            return stage.played.result, Counter(sent)
        assert not world.problems, world.problems
        stage.pass_time()
    raise AssertionError("it does not end")


async def compare(nodes: tuple[Node, ...], crashes: random.Random) -> None:
    """
    Carry out a program in all ways.

    Raises:
        AssertionError: If they differ.
    """
    result, sent = await reference(nodes)
    ways: tuple[tuple[AfterStep, random.Random | None], ...] = (
        (AfterStep.COMMIT, None),
        (AfterStep.COMMIT, crashes),
        (AfterStep.SUSPEND, None),
        (AfterStep.GATHER, None),
    )
    for after_step, crashing in ways:
        got = await asyncio.wait_for(durable(nodes, after_step, crashing), 60)
        assert got[0] == result, (after_step, crashing is not None)
        assert got[1] == sent, (after_step, crashing is not None, got[1], sent)
