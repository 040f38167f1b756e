"""
Runs as JSON: records in, dictionaries out, as `kit runs show --json` and the runs API have them.

The `TypedDict`s say what each key means and what else holds of it; the JSON Schemas are made from
them, so that the two cannot drift. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, NotRequired, TypedDict

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus
from kit.netlify.events import COUNT, NAME, PRIORITY, UUID


class ErrorJson(TypedDict):
    """What an attempt or step failed with."""

    type: Annotated[str, "The exception's class."]
    message: Annotated[str, "What it said."]
    traceback: Annotated[str, "Where it was raised; may be empty."]
    stepId: Annotated[str | None, "The step it came from, if any."]
    code: Annotated[str | None, "The kit's own code for it, if any, such as RUN_TIMED_OUT."]


class StepJson(TypedDict):
    """A finished step, a sleep, an event the workflow sent, or the wait before a retry."""

    id: Annotated[str, "The step's id, unique in its run."]
    kind: Annotated[CheckpointKind, "What it is."]
    status: Annotated[str, "How it stands.", {"enum": ["completed", "failed", "sleeping"]}]
    startedAt: Annotated[int | None, "When it began.", COUNT]
    endedAt: Annotated[int | None, "When it ended; of a sleep, when it ends.", COUNT]
    value: NotRequired[Annotated[Any, "What the step returned; only where it returned."]]
    error: NotRequired[Annotated[Any, "What the step raised; only where it raised."]]


class AttemptJson(TypedDict):
    """One failed attempt."""

    number: Annotated[int, "Which, from 0.", COUNT]
    endedAt: Annotated[int, "When it failed.", COUNT]
    error: Annotated[ErrorJson, "What it failed with."]
    retryIn: Annotated[int | None, "The wait after it, in ms; null after the last.", COUNT]


class RunSummaryJson(TypedDict):
    """A run in a list."""

    id: Annotated[str, "The run's id, which is its event's.", UUID]
    workflow: Annotated[str, "The workflow's name.", NAME]
    status: Annotated[RunStatus, "Where the run is."]
    attempt: Annotated[int, "The current or last attempt, from 0.", COUNT]
    error: Annotated[ErrorJson | None, "What the run failed with, or null."]
    createdAt: Annotated[int, "When the run was asked for, in ms since the epoch.", COUNT]
    startedAt: Annotated[int | None, "When its first attempt began.", COUNT]
    endedAt: Annotated[int | None, "When it ended.", COUNT]
    dueAt: Annotated[
        int | None, "When it goes on by itself, while it is queued or sleeping.", COUNT
    ]
    priority: Annotated[int, "Higher goes first.", PRIORITY]


class RunJson(RunSummaryJson):
    """A run as `kit runs show --json` prints it."""

    data: Annotated[Any, "The workflow's input."]
    result: Annotated[Any, "What the workflow returned; null until then."]
    steps: Annotated[list[StepJson], "What it has finished, in order."]
    attempts: Annotated[list[AttemptJson], "The attempts that failed, in order."]


class RunPageJson(TypedDict):
    """A page of runs, newest first, as the runs API answers it."""

    runs: Annotated[list[RunSummaryJson], "The runs, their errors without tracebacks."]
    next: Annotated[int | None, "What `before` is for the following page; null at the end.", COUNT]


def run_to_json(
    run: Run, checkpoints: Iterable[Checkpoint] = (), attempts: Iterable[Attempt] = ()
) -> RunJson:
    """Return *run* with its steps and failed attempts."""
    waits = run.status in (RunStatus.QUEUED, RunStatus.SLEEPING)
    return {
        "id": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "attempt": run.attempt,
        "data": json.loads(run.data),
        "result": None if run.result is None else json.loads(run.result),
        "error": None if run.failure is None else failure_to_json(run.failure),
        "createdAt": run.created,
        "startedAt": run.started,
        "endedAt": run.ended,
        "dueAt": run.due if waits else None,
        "priority": run.priority,
        "steps": [_step_to_json(checkpoint, run) for checkpoint in checkpoints],
        "attempts": [_attempt_to_json(attempt) for attempt in attempts],
    }


def failure_to_json(failure: Failure) -> ErrorJson:
    """Return *failure* as it appears in runs, attempts and steps."""
    return {
        "type": failure.type,
        "message": failure.message,
        "traceback": failure.traceback,
        "stepId": failure.step_id,
        "code": failure.code,
    }


def _step_to_json(checkpoint: Checkpoint, run: Run) -> StepJson:
    envelope = {} if checkpoint.text is None else json.loads(checkpoint.text)
    found: StepJson = {
        "id": checkpoint.step_id,
        "kind": checkpoint.kind,
        "status": "failed" if "error" in envelope else "completed",
        "startedAt": checkpoint.started or None,
        "endedAt": checkpoint.ended or None,
    }
    if _goes_on(checkpoint, run):
        found["status"] = "sleeping"
    if "value" in envelope:
        found["value"] = envelope["value"]
    if "error" in envelope:
        found["error"] = envelope["error"]
    return found


def _goes_on(checkpoint: Checkpoint, run: Run) -> bool:
    # a sleep is stored when it begins; without a clock, the run's own due time tells
    pauses = checkpoint.kind in (CheckpointKind.SLEEP, CheckpointKind.RETRY)
    waits = run.status in (RunStatus.QUEUED, RunStatus.SLEEPING)
    return pauses and waits and checkpoint.ended >= run.due > 0


def _attempt_to_json(attempt: Attempt) -> AttemptJson:
    return {
        "number": attempt.number,
        "endedAt": attempt.ended,
        "error": failure_to_json(attempt.failure),
        "retryIn": attempt.retry_in,
    }
