"""
Deliveries: an event arriving at a workflow with its checkpoints, and what comes of it.

Texts named `text` and `result` are JSON, opaque here. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

from kit.model.event import Event
from kit.model.failure import Failure

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class CheckpointKind(StrEnum):
    """What a checkpoint remembers."""

    STEP = "step"
    SLEEP = "sleep"
    SEND = "send"  # an event the workflow sent
    CUT_OFF = "cut-off"  # a step or sleep that was cancelled from within; it has no value
    RETRY = "retry"  # the wait after an attempt that failed with fresh checkpoints in hand


class Checkpoint(NamedTuple):
    """
    A finished step's stored outcome.

    `text` is the JSON envelope of a step: `{"value": …}`, or `{"error": {…}}` if it failed.
    `sequence` is its place among all that the run has recorded; what a first edition of the kit
    has stored on Netlify has none, and is answered in any order.
    """

    step_id: str
    kind: CheckpointKind = CheckpointKind.STEP
    text: str | None = None
    started: int = 0
    ended: int = 0
    sequence: int | None = None


class Sleep(NamedTuple):
    """
    A pause a handler asked for, until it is *due*; or, with another kind, one it did not.

    With `until` it was a moment that was asked for, not a length of time.
    """

    step_id: str
    due: int
    kind: CheckpointKind = CheckpointKind.SLEEP
    until: bool = False


class Delivery(NamedTuple):
    """
    An event arriving at a workflow with its attempt and checkpoints. Attempts count from 0.

    `asleep` holds the sleeps that have begun and are not over yet, by step id: when they are due.
    """

    event: Event
    attempt: int = 0
    checkpoints: Mapping[str, Checkpoint] = _NOTHING
    provider: str = "local"
    asleep: Mapping[str, int] = _NOTHING


class Completed(NamedTuple):
    """The handler returned. `checkpoints` are the last ones nobody has stored yet."""

    result: str
    checkpoints: tuple[Checkpoint, ...] = ()


class Suspended(NamedTuple):
    """
    The invocation ends, the run does not.

    To be stored together: the fresh checkpoints, and what is to be forgotten, by step id. `sleeps`
    are all that the handler is in now: a run goes on when the first of them is over, or at once if
    it `goes_on`, since there is more to do beside them. Where only all sleeps together can be
    waited for, that does no harm. `failure` is set where a failed attempt became a suspension:
    then the only sleep is the wait before the next one.
    """

    checkpoints: tuple[Checkpoint, ...] = ()
    sleeps: tuple[Sleep, ...] = ()
    failure: Failure | None = None
    forgotten: tuple[str, ...] = ()
    goes_on: bool = False


class Failed(NamedTuple):
    """
    The attempt failed. `retry_in` is None when it was the last: the run is a dead letter.

    `forgotten` are the stored checkpoints that are to blame, by step id: they are not to answer in
    another attempt, if there is one.
    """

    failure: Failure
    retry_in: timedelta | None
    checkpoints: tuple[Checkpoint, ...] = ()
    forgotten: tuple[str, ...] = ()


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
        """What happens after a fresh step; asked for each time."""

    @property
    def stopped(self) -> bool:
        """Whether the run is to end at its next step or sleep."""

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        """
        Store *checkpoints* durably; called only with `AfterStep.COMMIT`.

        What waits for it may be cancelled: then they are given again with the next ones.
        """
