"""
Runs: one workflow answering one event until its end, and what an invocation of it comes to.

Texts named `text`, `result` and `data` are JSON, opaque here: made and read in `payload`.
Times are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from kit.model.event import Event


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


class CheckpointKind(StrEnum):
    """What a checkpoint remembers."""

    STEP = "step"
    SLEEP = "sleep"
    SEND = "send"  # an event the workflow sent
    RETRY = "retry"  # the wait after an attempt that failed with fresh checkpoints in hand


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    A finished step's stored outcome.

    `text` is the JSON envelope: `{"value": …}`, or `{"error": {…}}` for a failure the handler
    caught; None for a sleep.
    """

    step_id: str
    kind: CheckpointKind = CheckpointKind.STEP
    text: str | None = None
    started: int = 0
    ended: int = 0


@dataclass(frozen=True, slots=True)
class Sleep:
    """A pause a handler asked for: for a while, or until a moment."""

    step_id: str
    until: timedelta | datetime
    kind: CheckpointKind = CheckpointKind.SLEEP


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception, as data: its type, message and traceback, and the step it came from."""

    type: str
    message: str
    traceback: str = ""
    step_id: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event arriving at a workflow with its attempt and checkpoints. Attempts count from 0."""

    event: Event
    attempt: int = 0
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    provider: str = "local"


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned. `checkpoints` are the last ones nobody has stored yet."""

    result: str
    checkpoints: tuple[Checkpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspended:
    """
    The invocation ends, the run does not.

    To be stored together: the fresh checkpoints and the sleeps. The run goes on when the longest
    sleep is over. `failure` is set where a failed attempt became a suspension.
    """

    checkpoints: tuple[Checkpoint, ...] = ()
    sleeps: tuple[Sleep, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. `retry_in` is None when it was the last: the run is a dead letter."""

    failure: Failure
    retry_in: timedelta | None
    checkpoints: tuple[Checkpoint, ...] = ()


Outcome: TypeAlias = Completed | Suspended | Failed
"""What an invocation came to."""


class After(StrEnum):
    """What happens after a fresh step: the one choice that tells local and deployed apart."""

    SUSPEND = "suspend"  # the invocation ends and the handler is delivered again
    COMMIT = "commit"  # it is written to a store at once, and the handler goes on
    GATHER = "gather"  # the handler goes on; all is handed over at the next pause


class Checkpointer(Protocol):
    """Stores checkpoints, or leaves that to whoever receives the outcome."""

    @property
    def after_step(self) -> After:
        """What happens after a fresh step."""

    @property
    def stopped(self) -> bool:
        """Whether the run is to end at its next step or sleep."""

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Store *checkpoints* durably; called only with `After.COMMIT`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Something happened in a run, told to whoever watches.

    `what` is one of: run-started, step-started, step-finished, step-failed, slept, run-sleeps,
    event-sent, attempt-failed, run-ended. `data` depends on it and is JSON-ready.
    """

    what: str
    run_id: str
    workflow: str
    at: int
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed attempt: its number from 0, when it ended, why, and the wait after it."""

    number: int
    ended: int
    failure: Failure
    retry_in: int | None  # milliseconds; None: the run is a dead letter


@dataclass(frozen=True, slots=True)
class Run:
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
