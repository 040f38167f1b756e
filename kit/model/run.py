"""
Runs: one workflow answering one event until its end.

Texts named `result` and `data` are JSON, opaque here: made and read in `text`.
Times are milliseconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.failure import Failure


class RunStatus(StrEnum):
    """Where a run is. A `str`, so it goes into JSON as it is."""

    QUEUED = "queued"  # waits for its first attempt, its delay, or a retry
    RUNNING = "running"
    SLEEPING = "sleeping"  # in a step.sleep
    COMPLETED = "completed"
    FAILED = "failed"  # a dead letter: no attempt is left
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # the provider cannot tell

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed attempt: its number from 0, when it ended, why, and the wait after it."""

    number: int
    ended: int
    failure: Failure
    retry_in: int | None  # milliseconds; None: the run is a dead letter


class Run(NamedTuple):
    """
    What is known of a run.

    `data` and `result` are JSON texts. `attempt` is the current one, from 0. `due` is when the run
    goes on by itself; meaningful while it is queued or sleeping.
    """

    id: str
    workflow: str
    status: RunStatus
    data: str
    attempt: int = 0
    due: int = 0
    priority: int = 0
    created: int = 0
    started: int | None = None
    ended: int | None = None
    result: str | None = None
    failure: Failure | None = None
    chain: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RunDetails:
    """All that is known of a run: itself, its checkpoints in order, and its failed attempts."""

    run: Run
    checkpoints: tuple[Checkpoint, ...] = ()
    attempts: tuple[Attempt, ...] = ()

    @property
    def status(self) -> RunStatus:
        """Where the run is."""
        return self.run.status

    @property
    def steps(self) -> tuple[str, ...]:
        """The ids of finished steps, in order."""
        kept = (each for each in self.checkpoints if each.kind is CheckpointKind.STEP)
        return tuple(each.step_id for each in kept)
