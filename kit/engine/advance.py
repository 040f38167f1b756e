"""What an invocation's outcome makes of a run: from values to values."""

from __future__ import annotations

from dataclasses import dataclass

from kit.model.delivery import Checkpoint, Completed, Failed, Outcome, Sleep, Suspended
from kit.model.duration import to_milliseconds
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus


@dataclass(frozen=True, slots=True)
class Next:
    """
    The run as it is now, and what is to be stored with it.

    `sleeps` are all that it is in, or None if those stay as they are. `asleep` is how long it was
    to sleep, in milliseconds, whether or not that is skipped.
    """

    run: Run
    checkpoints: tuple[Checkpoint, ...] = ()
    forgotten: tuple[str, ...] = ()
    sleeps: tuple[Sleep, ...] | None = None
    attempt: Attempt | None = None
    asleep: int = 0


def after(run: Run, outcome: Outcome, now: int, *, fast: bool) -> Next:
    """Return what *outcome* makes of *run*; with *fast*, what waits is due at once."""
    if isinstance(outcome, Completed):
        ended = run._replace(status=RunStatus.COMPLETED, ended=now, result=outcome.result)
        return Next(ended, outcome.checkpoints)
    if isinstance(outcome, Suspended) and outcome.failure is None:
        return _suspended(run, outcome, now, fast=fast)
    if isinstance(outcome, Suspended):
        wait = max(sleep.due for sleep in outcome.sleeps) - now
        return _tried_again(run, outcome, outcome.failure, wait, now, fast=fast)
    if outcome.retry_in is None:
        return _dead(run, outcome, now)
    wait = to_milliseconds(outcome.retry_in)
    return _tried_again(run, outcome, outcome.failure, wait, now, fast=fast)


def _suspended(run: Run, outcome: Suspended, now: int, *, fast: bool) -> Next:
    dues = [sleep.due for sleep in outcome.sleeps]
    is_asleep = bool(dues) and not outcome.goes_on
    wakes = max(now, min(dues)) if is_asleep else now
    status = RunStatus.SLEEPING if is_asleep else RunStatus.QUEUED
    waiting = run._replace(status=status, due=now if fast else wakes)
    return Next(waiting, outcome.checkpoints, outcome.forgotten, outcome.sleeps, asleep=wakes - now)


def _tried_again(
    run: Run,
    outcome: Suspended | Failed,
    failure: Failure | None,
    wait: int,
    now: int,
    *,
    fast: bool,
) -> Next:
    due = now if fast else now + max(0, wait)
    waiting = run._replace(status=RunStatus.QUEUED, due=due, attempt=run.attempt + 1)
    attempt = Attempt(run.attempt, now, failure, wait) if failure else None
    return Next(waiting, outcome.checkpoints, outcome.forgotten, attempt=attempt)


def _dead(run: Run, outcome: Failed, now: int) -> Next:
    dead = run._replace(status=RunStatus.FAILED, ended=now, failure=outcome.failure)
    attempt = Attempt(run.attempt, now, outcome.failure, None)
    return Next(dead, outcome.checkpoints, outcome.forgotten, attempt=attempt)
