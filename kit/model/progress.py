"""What is told of a run while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple


class ProgressKind(StrEnum):
    """What may happen in a run; and what `Progress.data` then has."""

    RUN_STARTED = "run-started"  # attempt
    STEP_STARTED = (
        "step-started"  # stepId; `call` if it is given arguments: its function, args, kwargs
    )
    STEP_FINISHED = "step-finished"  # stepId
    STEP_FAILED = "step-failed"  # stepId, error, type
    SLEPT = "slept"  # stepId; said when the sleep begins
    RUN_SLEEPS = "run-sleeps"  # dueAt, asleep
    EVENT_SENT = "event-sent"  # name, eventId
    ATTEMPT_FAILED = "attempt-failed"  # attempt, error, retryIn
    RUN_ENDED = "run-ended"  # status


class Progress(NamedTuple):
    """
    Something happened in a run, told to whoever watches; `data` is JSON-ready, but for a `call`.

    It is not `own` if the run is executed only because another process asks for it.
    """

    what: ProgressKind
    run_id: str
    workflow: str
    at: int
    data: Mapping[str, Any] = MappingProxyType({})
    own: bool = True
