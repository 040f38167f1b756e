"""A rehearsal of Netlify replays after every step at first, then in proportion to what there is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.execution.rehearsing import after_step
from kit.model.delivery import AfterStep
from kit.testing import play

from .handlers import one


@pytest.mark.parametrize(
    ("recorded", "commits"), [(0, 0), (63, 0), (64, 1), (127, 1), (128, 2), (6400, 100)]
)
def test_an_invocation_goes_on_for_a_64th_part_of_what_was_recorded(
    recorded: int, commits: int
) -> None:
    after = [after_step(recorded, committed) for committed in range(commits + 1)]
    assert after == [AfterStep.COMMIT] * commits + [AfterStep.SUSPEND]


def asked(count: int) -> tuple[int, int]:
    """Return how often *count* steps one after another are asked for, in how many invocations."""
    times = 0

    @define_workflow(name="long")
    async def long(input: Any, context: Context) -> int:
        nonlocal times
        total = 0
        for number in range(count):
            times += 1
            total += await context.step.run(f"s{number}", one)
        return total

    played = play(long)
    assert played.result == count
    assert len(played.steps) == count
    return times, played.invocations


def test_each_of_the_first_steps_is_followed_by_a_replay() -> None:
    assert asked(64) == (sum(range(1, 65)) + 64, 65)


def test_how_often_a_step_is_asked_for_does_not_grow_with_their_number() -> None:
    for count in (300, 600, 1200):
        times, _ = asked(count)
        assert times < count * 65


def test_branches_are_replayed_in_their_order_however_often_that_is() -> None:
    @define_workflow(name="branches")
    async def branches(input: Any, context: Context) -> list[str]:
        order: list[str] = []

        async def branch(name: str) -> None:
            for number in range(60):
                await context.step.run(f"{name}{number}", one)
                order.append(f"{name}{number}")

        await asyncio.gather(*(branch(each) for each in "abc"))
        return order

    played = play(branches)
    assert sorted(played.steps) == sorted(f"{name}{n}" for name in "abc" for n in range(60))
    assert played.result == played.steps
    assert played.invocations < 100
