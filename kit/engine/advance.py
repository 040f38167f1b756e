"""What an invocation's outcome makes of a run: from values to values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kit.model.delivery import (
    Checkpoint,
    CheckpointKind,
    Completed,
    Failed,
    Outcome,
    Sleep,
    Suspended,
)
from kit.model.duration import due_at, to_milliseconds
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus


@dataclass(frozen=True, slots=True)
class Next:
    """
    The run as it is now, and what is to be stored with it.

    `asleep` is how long it was to sleep, in milliseconds, whether or not that is skipped.
    """

    run: Run
    checkpoints: tuple[Checkpoint, ...]
    attempt: Attempt | None = None
    asleep: int = 0


def after(run: Run, outcome: Outcome, now: int, *, fast: bool) -> Next:
    """Return what *outcome* makes of *run*; with *fast*, what waits is due at once."""
    if isinstance(outcome, Completed):
        ended = replace(run, status=RunStatus.COMPLETED, ended=now, result=outcome.result)
        return Next(ended, outcome.checkpoints)
    if isinstance(outcome, Suspended) and outcome.failure is None:
        return _suspended(run, outcome, now, fast=fast)
    if isinstance(outcome, Suspended):
        wait = max(due_at(sleep.until, now) for sleep in outcome.sleeps) - now
        return _tried_again(run, outcome.failure, wait, outcome.checkpoints, now, fast=fast)
    if outcome.retry_in is None:
        return _dead(run, outcome, now)
    wait = to_milliseconds(outcome.retry_in)
    return _tried_again(run, outcome.failure, wait, outcome.checkpoints, now, fast=fast)


def _suspended(run: Run, outcome: Suspended, now: int, *, fast: bool) -> Next:
    wakes = max([now, *(due_at(sleep.until, now) for sleep in outcome.sleeps)])
    due = now if fast else wakes
    status = RunStatus.SLEEPING if outcome.sleeps else RunStatus.QUEUED
    slept = tuple(_slept(sleep, now, due) for sleep in outcome.sleeps)
    sleeping = replace(run, status=status, due=due)
    return Next(sleeping, (*outcome.checkpoints, *slept), asleep=wakes - now)


def _slept(sleep: Sleep, now: int, due: int) -> Checkpoint:
    return Checkpoint(sleep.step_id, CheckpointKind.SLEEP, None, now, due)


def _tried_again(
    run: Run,
    failure: Failure | None,
    wait: int,
    checkpoints: tuple[Checkpoint, ...],
    now: int,
    *,
    fast: bool,
) -> Next:
    due = now if fast else now + wait
    waiting = replace(run, status=RunStatus.QUEUED, due=due, attempt=run.attempt + 1)
    attempt = Attempt(run.attempt, now, failure, wait) if failure else None
    return Next(waiting, checkpoints, attempt)


def _dead(run: Run, outcome: Failed, now: int) -> Next:
    dead = replace(run, status=RunStatus.FAILED, ended=now, failure=outcome.failure)
    return Next(dead, outcome.checkpoints, Attempt(run.attempt, now, outcome.failure, None))


def before_failure(checkpoints: Mapping[str, Checkpoint]) -> list[str]:
    """Return the ids of the checkpoints a retry by hand keeps: those before a caught failure."""
    kept = []
    for step_id, checkpoint in checkpoints.items():
        if (checkpoint.text or "").startswith('{"error":'):
            break
        kept.append(step_id)
    return kept
