"""
Events and runs as JSON: records in, dictionaries out. camelCase lives and dies here.

The `TypedDict`s say what each key means and what else holds of it; the JSON Schemas are made from
them, so that the two cannot drift. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, NotRequired, TypedDict

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.event import MAX_NAME_LENGTH, MAX_PRIORITY, Event
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus

_HEX = "[0-9a-fA-F]"
_UUID = {"pattern": f"^{_HEX}{{8}}-{_HEX}{{4}}-4{_HEX}{{3}}-[89abAB]{_HEX}{{3}}-{_HEX}{{12}}$"}
_NAME = {"minLength": 1, "maxLength": MAX_NAME_LENGTH}
_PRIORITY = {"minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY}
_COUNT = {"minimum": 0}


class EventJson(TypedDict):
    """An event as Async Workloads takes it: one item of the array sent to its router."""

    eventName: Annotated[
        str, "The workflow's name; Netlify compares it without regard to case.", _NAME
    ]
    eventId: NotRequired[
        Annotated[str, "A version-4 UUID; the run's id. Made up if absent.", _UUID]
    ]
    data: NotRequired[Annotated[Any, "The workflow's input: any JSON."]]
    delayUntil: NotRequired[
        Annotated[int, "Not before this moment, in ms since the epoch.", _COUNT]
    ]
    priority: NotRequired[Annotated[int, "Higher goes first; 0 when absent.", _PRIORITY]]
    baseUrl: NotRequired[Annotated[str, "The origin it was sent to; not read by the router."]]
    eventChain: NotRequired[
        Annotated[
            list[str], "The events that led here, oldest first, this one last.", {"maxItems": 19}
        ]
    ]


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
    startedAt: Annotated[int | None, "When it began.", _COUNT]
    endedAt: Annotated[int | None, "When it ended; of a sleep, when it ends.", _COUNT]
    value: NotRequired[Annotated[Any, "What the step returned; only where it returned."]]
    error: NotRequired[Annotated[Any, "What the step raised; only where it raised."]]


class AttemptJson(TypedDict):
    """One failed attempt."""

    number: Annotated[int, "Which, from 0.", _COUNT]
    endedAt: Annotated[int, "When it failed.", _COUNT]
    error: Annotated[ErrorJson, "What it failed with."]
    retryIn: Annotated[int | None, "The wait after it, in ms; null after the last.", _COUNT]


class RunJson(TypedDict):
    """A run as `kit runs show --json` prints it."""

    id: Annotated[str, "The run's id, which is its event's.", _UUID]
    workflow: Annotated[str, "The workflow's name.", _NAME]
    status: Annotated[RunStatus, "Where the run is."]
    attempt: Annotated[int, "The current or last attempt, from 0.", _COUNT]
    data: Annotated[Any, "The workflow's input."]
    result: Annotated[Any, "What the workflow returned; null until then."]
    error: Annotated[ErrorJson | None, "What the run failed with, or null."]
    createdAt: Annotated[int, "When the run was asked for, in ms since the epoch.", _COUNT]
    startedAt: Annotated[int | None, "When its first attempt began.", _COUNT]
    endedAt: Annotated[int | None, "When it ended.", _COUNT]
    dueAt: Annotated[
        int | None, "When it goes on by itself, while it is queued or sleeping.", _COUNT
    ]
    priority: Annotated[int, "Higher goes first.", _PRIORITY]
    steps: Annotated[list[StepJson], "What it has finished, in order."]
    attempts: Annotated[list[AttemptJson], "The attempts that failed, in order."]


def event_to_json(event: Event, *, base_url: str | None = None) -> EventJson:
    """
    Return *event* as the router takes it. What was not given is absent, as the client has it;
    but data is always there, so that `None` arrives as null and not as nothing.
    """
    found: EventJson = {"eventName": event.name, "eventId": event.id, "data": event.data}
    if event.due is not None:
        found["delayUntil"] = event.due
    if event.priority:
        found["priority"] = event.priority
    if base_url is not None:
        found["baseUrl"] = base_url
    found["eventChain"] = [*event.chain, event.name]
    return found


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
