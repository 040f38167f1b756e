"""
An event that Async Workloads delivers becomes a delivery, and an outcome what it is to be told.

What it is told, in the words that the function's JavaScript passes on: `completed`, `suspended`
with `checkpoints` and `sleeps`, or `failed`, which may be `final`.

A checkpoint's text goes into the platform's `stepResults` as a JSON *string*, so JavaScript never
touches the numbers in it. What a checkpoint is, its id tells. `stored` has what stands in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from kit.model.delivery import (
    Completed,
    Delivery,
    Failed,
    Outcome,
    Suspended,
)
from kit.model.duration import to_milliseconds
from kit.model.event import MAX_PRIORITY, Event
from kit.model.failure import Failure
from kit.model.retry import default_wait
from kit.netlify.stored import checkpoints_of, stored_json

JsonObject: TypeAlias = "dict[str, Any]"


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
    return Delivery(event, attempt, checkpoints_of(item), provider="netlify")


def _context(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return item.get("attemptContext") or {}


def _priority(value: Any) -> int:
    # senders other than the kit may have put anything there; it has had its effect already
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and abs(value) <= MAX_PRIORITY else 0


def outcome_json(outcome: Outcome, item: Mapping[str, Any], now: int) -> JsonObject:
    """Return what Node is to tell the platform of *outcome*."""
    if isinstance(outcome, Completed):
        return {"type": "completed", "result": outcome.result}
    if isinstance(outcome, Suspended):
        return suspended_json(outcome, item, now)
    return failed_json(outcome, item)


def suspended_json(outcome: Suspended, item: Mapping[str, Any], now: int) -> JsonObject:
    """Return what is told of a suspension: what to store, and how long to sleep."""
    kept = stored_json(outcome.checkpoints, outcome.forgotten, item)
    sleeps = [{"id": each.step_id, "ms": max(0, each.due - now)} for each in outcome.sleeps]
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
