"""What the server adds to each run: counted in calls, which a busy machine does not change."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

from kit.dev.local import LocalRuns
from kit.engine.engine import Engine
from kit.execution.context import Context
from kit.model.event import Event
from kit.model.run import Run
from kit.model.workflow import Workflow

RUNS = 60


async def handler(input: None, context: Context) -> int:
    return await context.step.run("one", step)


async def step() -> int:
    return 1


FLOW = Workflow(handler, name="flow")


async def calls(
    submit: Callable[[Event], Awaitable[object]], wait: Callable[[str], Awaitable[Run]]
) -> int:
    """Return how many functions are called in this thread for `RUNS` runs, one after another."""

    async def one() -> None:
        event = Event("flow", None, str(uuid4()))
        await submit(event)
        await wait(event.id)

    await one()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(RUNS):
        await one()
    profile.disable()
    return int(vars(pstats.Stats(profile))["total_calls"])


async def test_the_server_adds_less_than_a_tenth_to_what_the_engine_does(
    runs: LocalRuns, tmp_path: Path
) -> None:
    async with Engine(tmp_path / "alone.db", {"flow": FLOW}.get, durability="normal") as engine:
        alone = await calls(engine.submit, engine.wait)
    runs.live.admit(FLOW)
    served = await calls(runs.driving.submit, runs.driving.wait)

    assert served < 1.1 * alone, served / alone
