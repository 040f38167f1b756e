"""
The three checkpointers are one program: the same end, and the same steps carried out.

Random programs that come to a good end are in `test_programs`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep, Completed, Failed, Suspended
from tests.support.program_trees import Node
from tests.support.program_world import World
from tests.support.programs import Program

if TYPE_CHECKING:
    from conftest import Deliver, Delivered

MODES = pytest.mark.parametrize("after", list(AfterStep))


async def finish(deliver: Deliver, handler: Any, after: AfterStep) -> Delivered:
    """Deliver until the run has ended, well or badly."""
    known: dict[str, Any] = {}
    attempt = 0
    for _ in range(200):
        stage = await deliver(handler, known, after=after, attempt=attempt)
        known = stage.checkpoints
        if isinstance(stage.outcome, Completed) or getattr(stage.outcome, "retry_in", 0) is None:
            return stage
        attempt += isinstance(stage.outcome, Failed)
        assert isinstance(stage.outcome, Failed | Suspended)
    raise AssertionError("the run does not end")


@MODES
async def test_a_long_program_is_carried_out_once(deliver: Deliver, after: AfterStep) -> None:
    steps = tuple(Node("act") for _ in range(10))
    nodes = (*steps, Node("sleep"), Node("gather", 0, (steps, steps)), Node("nested"))
    world = World()

    stage = await finish(deliver, Program(nodes, world).handle, after)

    assert isinstance(stage.outcome, Completed)
    assert len(world.tried) == 30
    assert set(world.tried.values()) == {1}


def raised_alone(bad: Any, good: Any) -> Any:
    return bad()


async def raised_after_a_step(bad: Any, good: Any) -> None:
    await good()
    await bad()


async def raised_beside_a_step(bad: Any, good: Any) -> None:
    await asyncio.gather(good(), bad())


async def collected_and_raised(bad: Any, good: Any) -> None:
    for each in await asyncio.gather(bad(), good(), return_exceptions=True):
        if isinstance(each, Exception):
            raise each


async def raised_as_another(bad: Any, good: Any) -> None:
    try:
        await bad()
    except OSError as error:
        await good()
        raise RuntimeError("in its place") from error


@MODES
@pytest.mark.parametrize(
    ("program", "ends"),
    [
        (raised_alone, ("OSError", "no luck")),
        (raised_after_a_step, ("OSError", "no luck")),
        (raised_beside_a_step, ("OSError", "no luck")),
        (collected_and_raised, ("OSError", "no luck")),
        (raised_as_another, ("RuntimeError", "in its place")),
    ],
)
async def test_what_always_fails_is_tried_five_times_and_what_succeeded_once(
    deliver: Deliver, after: AfterStep, program: Any, ends: tuple[str, str]
) -> None:
    ran: Counter[str] = Counter()

    async def act(name: str) -> None:
        ran[name] += 1
        if name == "bad":
            raise OSError("no luck")

    async def handler(input: Any, context: Context) -> None:
        await program(
            lambda: context.step.run("bad", act, "bad"),
            lambda: context.step.run("good", act, "good"),
        )

    stage = await finish(deliver, handler, after)

    assert isinstance(stage.outcome, Failed)
    assert (stage.outcome.failure.type, stage.outcome.failure.message) == ends
    assert ran["bad"] == 5
    assert ran["good"] == (program is not raised_alone)
