"""
An event that Async Workloads delivers becomes a delivery, and an outcome what it is to be told.

What it is told, in the words that the function's JavaScript passes on: `completed`, `suspended`
with `checkpoints` and `sleeps`, or `failed`, which may be `final`.

A checkpoint's text goes into the platform's `stepResults` as a JSON *string*, so JavaScript never
touches the numbers in it. What a checkpoint is, its id tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from kit.model.delivery import (
    Checkpoint,
    CheckpointKind,
    Completed,
    Delivery,
    Failed,
    Outcome,
    Suspended,
)
from kit.model.duration import due_at, to_milliseconds
from kit.model.event import MAX_PRIORITY, Event
from kit.model.failure import Failure
from kit.model.retry import default_wait

JsonObject: TypeAlias = "dict[str, Any]"

_SLEEP_PREFIX = "awl:sleep:"
_NOTHING = '{"value":null}'


def delivery_of(item: Mapping[str, Any]) -> Delivery:
    """
    Return the delivery in a request of Async Workloads.

    Raises:
        ValueError: If its name or id is none that the platform itself could keep.
    """
    chain = item.get("eventChain") or ()
    event = Event(
        item.get("eventName", ""),
        item.get("data"),
        item.get("eventId", ""),
        priority=_priority(item.get("priority")),
        chain=tuple(chain[:-1]),  # its last is this event itself
    )
    attempt = _context(item).get("attempt") or 0
    checkpoints: dict[str, Checkpoint] = {}
    for checkpoint in _checkpoints(item):
        checkpoints.setdefault(checkpoint.step_id, checkpoint)  # as on the platform, the first wins
    return Delivery(event, attempt, checkpoints, provider="netlify")


def _context(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return item.get("attemptContext") or {}


def _priority(value: Any) -> int:
    # senders other than the kit may have put anything there; it has had its effect already
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and abs(value) <= MAX_PRIORITY else 0


def _checkpoints(item: Mapping[str, Any]) -> Iterator[Checkpoint]:
    for each in item.get("stepResults") or ():
        step_id = each["stepId"]
        if step_id.startswith(_SLEEP_PREFIX):
            step_id = step_id.removeprefix(_SLEEP_PREFIX)
            is_retry = step_id.startswith("kit:retry:")
            kind = CheckpointKind.RETRY if is_retry else CheckpointKind.SLEEP
            yield Checkpoint(step_id, kind)
        elif step_id.startswith("kit:send:"):
            yield Checkpoint(step_id, CheckpointKind.SEND)
        else:
            yield Checkpoint(step_id, text=_envelope(each.get("stepResult")))


def _envelope(result: str | None) -> str:
    """Return the envelope in a `stepResult`, which a workload in JavaScript would not have made."""
    value = None if result is None else json.loads(result)
    if isinstance(value, str) and value.startswith(('{"value":', '{"error":')):
        return value
    return json.dumps({"value": value}, separators=(",", ":"))


def outcome_json(outcome: Outcome, item: Mapping[str, Any], now: int) -> JsonObject:
    """Return what Node is to tell the platform of *outcome*."""
    if isinstance(outcome, Completed):
        return {"type": "completed", "result": outcome.result}
    if isinstance(outcome, Suspended):
        return suspended_json(outcome, now)
    return failed_json(outcome, item)


def suspended_json(outcome: Suspended, now: int) -> JsonObject:
    """Return what is told of a suspension: what to store, and how long to sleep."""
    kept = [{"id": each.step_id, "text": each.text or _NOTHING} for each in outcome.checkpoints]
    sleeps = [{"id": each.step_id, "ms": due_at(each.until, now) - now} for each in outcome.sleeps]
    return {"type": "suspended", "checkpoints": kept, "sleeps": sleeps}


def failed_json(outcome: Failed, item: Mapping[str, Any]) -> JsonObject:
    """
    Return what is told of a failure.

    `retryIn` is there only where the platform would not wait as long by itself: after
    `RetryAfter`, after failures it has not counted, and with a backoff of a function's own mind.
    """
    told: JsonObject = {
        "type": "failed",
        "final": outcome.retry_in is None,
        "error": error_json(outcome.failure),
    }
    if outcome.retry_in is not None:
        wait = max(1, to_milliseconds(outcome.retry_in))
        if wait != planned_wait(item):
            told["retryIn"] = wait
    return told


def planned_wait(item: Mapping[str, Any]) -> int:
    """Return how long the platform waits after this attempt if nobody says otherwise, in ms."""
    context = _context(item)
    planned = context.get("nextDelayTime") or 0
    if planned > 0:
        return int(planned)
    return to_milliseconds(default_wait(context.get("attempt") or 0))


def error_json(failure: Failure) -> JsonObject:
    """Return what is told of an exception."""
    said = {"type": failure.type, "message": failure.message}
    return {**said, "traceback": failure.traceback, "code": failure.code}
