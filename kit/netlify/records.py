"""
A run's record, as the function's JavaScript keeps it in Netlify Blobs: from it to a delivery, and
from an outcome to what becomes of it.

The record's form is described where it is kept, in `deploy/function/runtime/record.mjs`. A
checkpoint's text stays a JSON *string* throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kit.model.delivery import (
    Checkpoint,
    CheckpointKind,
    Completed,
    Delivery,
    Failed,
    Outcome,
    Suspended,
)
from kit.model.duration import to_milliseconds
from kit.model.failure import Failure
from kit.netlify.deliveries import JsonObject, delivery_of


def recorded_delivery(item: Mapping[str, Any], run: Mapping[str, Any]) -> Delivery:
    """
    Return the delivery of an event whose *run* has a record.

    Raises:
        ValueError: If the event's name or id is none that the platform itself could keep.
    """
    checkpoints = {each["id"]: _checkpoint(each) for each in run["checkpoints"]}
    asleep = {each["id"]: each["due"] for each in run["asleep"] if each["kind"] == "sleep"}
    event = delivery_of({**item, "stepResults": []}).event
    return Delivery(event, run["attempt"], checkpoints, provider="netlify", asleep=asleep)


def _checkpoint(entry: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(
        entry["id"],
        CheckpointKind(entry["kind"]),
        entry.get("text"),
        entry.get("startedAt") or 0,
        entry.get("endedAt") or 0,
        entry.get("sequence"),
    )


def entry_json(checkpoint: Checkpoint) -> JsonObject:
    """Return *checkpoint* as an entry of a record."""
    return {
        "id": checkpoint.step_id,
        "kind": checkpoint.kind,
        "text": checkpoint.text,
        "startedAt": checkpoint.started,
        "endedAt": checkpoint.ended,
        "sequence": checkpoint.sequence,
    }


def recorded_outcome(outcome: Outcome, left: Sequence[Checkpoint] = ()) -> JsonObject:
    """Return what is to become of the record, to which what is *left* comes first."""
    entries = [entry_json(each) for each in (*left, *outcome.checkpoints)]
    told: JsonObject = {"entries": entries, "forget": []}
    if isinstance(outcome, Completed):
        return {**told, "type": "completed", "result": outcome.result}
    told["forget"] = list(outcome.forgotten)
    if isinstance(outcome, Suspended):
        return {**told, **_suspended(outcome)}
    return {**told, **_failed(outcome)}


def _suspended(outcome: Suspended) -> JsonObject:
    sleeps = [{"id": each.step_id, "kind": each.kind, "due": each.due} for each in outcome.sleeps]
    told: JsonObject = {"type": "suspended", "sleeps": sleeps, "goesOn": outcome.goes_on}
    if outcome.failure is not None:
        told["error"] = failure_json(outcome.failure)
    return told


def _failed(outcome: Failed) -> JsonObject:
    error = failure_json(outcome.failure)
    told: JsonObject = {"type": "failed", "final": outcome.retry_in is None, "error": error}
    if outcome.retry_in is not None:
        told["retryIn"] = max(0, to_milliseconds(outcome.retry_in))
    return told


def failure_json(failure: Failure) -> JsonObject:
    """Return what is kept of an exception."""
    return {
        "type": failure.type,
        "message": failure.message,
        "traceback": failure.traceback,
        "stepId": failure.step_id,
        "code": failure.code,
    }


def goes_on(outcome: Outcome) -> Outcome:
    """Return *outcome*, or if it was cut off by the time limit, that it goes on in another one."""
    if isinstance(outcome, Failed) and outcome.failure.code == "FUNCTION_TIMED_OUT":
        return Suspended(outcome.checkpoints, goes_on=True)
    return outcome
