"""
Deliveries: an event arriving at a workflow with its checkpoints, and what comes of it.

Texts named `text` and `result` are JSON, opaque here. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias

from kit.model.event import Event
from kit.model.failure import Failure


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


class AfterStep(StrEnum):
    """What happens after a fresh step: the one choice that tells local and deployed apart."""

    SUSPEND = "suspend"  # the invocation ends and the handler is delivered again
    COMMIT = "commit"  # it is written to a store at once, and the handler goes on
    GATHER = "gather"  # the handler goes on; all is handed over at the next pause


class Checkpointer(Protocol):
    """Stores checkpoints, or leaves that to whoever receives the outcome."""

    @property
    def after_step(self) -> AfterStep:
        """What happens after a fresh step."""

    @property
    def stopped(self) -> bool:
        """Whether the run is to end at its next step or sleep."""

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Store *checkpoints* durably; called only with `AfterStep.COMMIT`."""
