"""What happened in a run, a row each: attempts, steps, sleeps, waits, events it sent; in order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kit.dev.runs import Details, LogLine
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.failure import Failure
from kit.model.run import Attempt, RunStatus

Kind = Literal["step", "sleep", "send", "wait", "cut", "attempt"]
State = Literal["done", "failed", "running", "sleeping", "past"]

_NEAR = 50
"""Milliseconds within which a stored wait is the one that an attempt's failure speaks of."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a row is drawn, in percent of the axis."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """
    One line of the timeline.

    `state` is how it stands: `past` is a wait that is over. `ended` is None while it goes on; of a
    sleep it is when it ends. `number` counts rows from 1, of those that are drawn; of an attempt,
    attempts from 0. `text` is
    a checkpoint's envelope. `sent` is the id of an event that was sent, which is that of its run.
    `given` is the call that a step has made, where that is known.
    """

    kind: Kind
    state: State
    label: str
    started: int
    ended: int | None
    bar: Bar = Bar(0, 0)
    number: int = 0
    step_id: str | None = None
    text: str | None = None
    sent: str | None = None
    failure: Failure | None = None
    given: str = ""
    logs: tuple[LogLine, ...] = ()

    @property
    def took(self) -> int | None:
        """How long it took, in milliseconds; None while it goes on."""
        return None if self.ended is None else max(0, self.ended - self.started)

    @property
    def is_open(self) -> bool:
        """Whether it goes on now."""
        return self.state in ("running", "sleeping")


def rows_of(details: Details, now: int) -> list[Row]:
    """Return all rows as they are read: by time, an attempt before what began with it."""
    rows = [*map(_stored_row, details.checkpoints, itertools.repeat(details)), *_begun(details)]
    if details.attempts or details.run.attempt:
        rows += [*_attempts(details, now), *_waits(details)]
    # sorting is stable: what began in the same millisecond stays as it was stored
    rows.sort(key=lambda row: (row.started, row.kind != "attempt"))
    return rows


_INNER = ',"inner":true}'
"""How the envelope of a step ends that ran within another; more than the value is in it."""


def value_of(text: str | None) -> str | None:
    """Return the JSON text of the value in a checkpoint's envelope; None if it holds none."""
    prefix = '{"value":'
    if text is None or text.startswith('{"error"'):
        return None
    if text.startswith(prefix) and not text.endswith(_INNER):
        return text[len(prefix) : -1]
    envelope = json.loads(text)
    return json.dumps(envelope["value"]) if "value" in envelope else None


def _stored_row(checkpoint: Checkpoint, details: Details) -> Row:
    kind = _KINDS.get(checkpoint.kind, "step")
    run, error = details.run, _error_in(checkpoint)
    started = checkpoint.started or checkpoint.ended or run.created
    waits = run.status in (RunStatus.SLEEPING, RunStatus.QUEUED)
    state: State = "failed" if error else "past" if kind == "cut" else "done"
    if kind in ("sleep", "wait"):
        state = "sleeping" if waits and checkpoint.ended >= run.due > 0 else "past"
    ended: int | None = checkpoint.ended or started
    if kind == "sleep" and run.ended is not None:
        ended = min(checkpoint.ended, run.ended)  # it was stopped in its sleep
    label, sent = _names(checkpoint)
    return Row(
        kind,
        state,
        label,
        started,
        ended,
        step_id=checkpoint.step_id if kind == "step" else None,
        text=checkpoint.text,
        sent=sent,
        failure=error,
    )


_KINDS: dict[str, Kind] = {
    "step": "step",
    "sleep": "sleep",
    "send": "send",
    "retry": "wait",
    "cut-off": "cut",  # cancelled from within, by a timeout or a sibling
}


def _names(checkpoint: Checkpoint) -> tuple[str, str | None]:
    """Return what a checkpoint goes by, and the id of the event that it says was sent."""
    name = checkpoint.step_id
    if checkpoint.kind is CheckpointKind.RETRY:
        return "wait before the next attempt", None
    if checkpoint.kind is not CheckpointKind.SEND:
        return name, None
    # a name and how many went before, or the event's id; then its name is the value
    sent, _, last = name.removeprefix("kit:send:").rpartition(":")
    if sent:
        return sent, None
    text = value_of(checkpoint.text)
    return (f"event {last[:8]}" if text is None else str(json.loads(text))), last


def _error_in(checkpoint: Checkpoint) -> Failure | None:
    if checkpoint.text is None or not checkpoint.text.startswith('{"error"'):
        return None
    error = json.loads(checkpoint.text)["error"]
    return Failure(
        str(error.get("type", "Error")),
        str(error.get("message", "")),
        str(error.get("traceback") or ""),
        checkpoint.step_id,
    )


def _begun(details: Details) -> Iterator[Row]:
    for step in details.begun:
        yield Row(
            "step",
            "running",
            step.step_id,
            step.started,
            None,
            step_id=step.step_id,
        )


def _attempts(details: Details, now: int) -> Iterator[Row]:
    run = details.run
    started = run.started or run.created
    for attempt in details.attempts:
        yield Row(
            "attempt",
            "failed",
            f"attempt {attempt.number}",
            started,
            attempt.ended,
            number=attempt.number,
            failure=attempt.failure,
        )
        started = attempt.ended + (attempt.retry_in or 0)
    if _goes_on(details, now, started):
        number = max(run.attempt, len(details.attempts))
        state: State = "done" if run.status is RunStatus.COMPLETED else "past"
        state = state if run.status.is_final else "running"
        label = f"attempt {number}"
        yield Row("attempt", state, label, started, run.ended, number=number)


def _goes_on(details: Details, now: int, started: int) -> bool:
    """Tell whether there is an attempt after the last failed one."""
    run = details.run
    if run.status is RunStatus.FAILED:
        return not details.attempts
    if run.status is RunStatus.QUEUED:
        return any(each.started >= started for each in details.checkpoints)
    return run.status is not RunStatus.CANCELLED or (run.ended or now) > started


def _waits(details: Details) -> Iterator[Row]:
    """Yield the waits after failed attempts, but for those that are stored as checkpoints."""
    stored = [each for each in details.checkpoints if each.kind is CheckpointKind.RETRY]
    for attempt in details.attempts:
        if attempt.retry_in and not any(_is_wait_of(each, attempt) for each in stored):
            yield _wait(attempt, details)


def _is_wait_of(checkpoint: Checkpoint, attempt: Attempt) -> bool:
    return abs(checkpoint.started - attempt.ended) <= _NEAR


def _wait(attempt: Attempt, details: Details) -> Row:
    run, ends = details.run, attempt.ended + (attempt.retry_in or 0)
    waits = run.status is RunStatus.QUEUED and attempt is details.attempts[-1] and ends >= run.due
    return Row(
        "wait",
        "sleeping" if waits else "past",
        "wait before the next attempt",
        attempt.ended,
        ends if run.ended is None else min(ends, run.ended),
    )
