"""Handlers that are carried out in every mode, and whose process ends at every point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kit.model.delivery import AfterStep
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing.stage import Played, Stage

RUN_ID = "11111111-1111-4111-8111-111111111111"


BOTH = (AfterStep.COMMIT, AfterStep.SUSPEND)


def stage_of(handler: Any, after: AfterStep, **policy: Any) -> Stage:
    return Stage(Workflow(handler, "w", **policy), Event("w", None, RUN_ID), after)


async def finish(stage: Stage) -> Played:
    """Deliver until the run has ended."""
    for _ in range(100):
        if stage.has_ended:
            return stage.played
        await stage.deliver()
        stage.pass_time()
    raise AssertionError("it does not end")


def killed(make: Callable[[AfterStep], Stage]) -> Iterator[Stage]:
    """Yield a stage for every mode and every point at which the process could end."""
    for after in BOTH:
        yield make(after)
    for commit in range(1, 8):
        stage = make(AfterStep.COMMIT)
        stage.crash_at = commit
        yield stage
    for number in range(6):
        stage = make(AfterStep.SUSPEND)
        deliver, count = stage.deliver, iter(range(100))

        async def losing(
            stage: Stage = stage, deliver: Any = deliver, count: Any = count, number: int = number
        ) -> Any:
            stage.loses_outcome = next(count) == number
            return await deliver()

        stage.deliver = losing  # type: ignore[method-assign]
        yield stage
