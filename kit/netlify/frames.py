"""
What Node and Python say to each other in a deployed function: one JSON object a line.

Node to Python: `prepare` (import what will be asked for), `invoke` (a delivery of an event),
`request` with its `body` frames, `bodyEnd` and `gone` (nobody waits for the answer any more).
Python to Node: `ready` once; `log` at any time; and of each call its end: `completed`, `suspended`
or `failed`, or for a request `head`, `chunk` and `end`. `took` goes both ways and says that one
piece of a body was handed on: it keeps either side from running ahead of the other.

A checkpoint's text goes into the platform's `stepResults` as a JSON *string*, so JavaScript never
touches the numbers in it. What a checkpoint is, its id tells.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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

Frame: TypeAlias = "dict[str, Any]"

_SLEEP_PREFIX = "awl:sleep:"
_NOTHING = '{"value":null}'


@dataclass(frozen=True, slots=True)
class Call:
    """
    What Node asks for, with what holds meanwhile.

    `environ` and `unset` tell what has changed in the environment since the last call. `time_left`
    is what remains of the function's time, in seconds.
    """

    number: int
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)  # there are keys in it
    unset: tuple[str, ...] = ()
    time_left: float | None = None


@dataclass(frozen=True, slots=True)
class Invoke(Call):
    """An event arrives at a workflow: the platform's `item` as it is, and its `size` in bytes."""

    workflow: str = ""
    item: Mapping[str, Any] = field(default_factory=dict, repr=False)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Prepare:
    """An event is about to arrive at a workflow."""

    workflow: str


@dataclass(frozen=True, slots=True)
class Request(Call):
    """An HTTP request arrives at a function; its body, if it `has_body`, follows."""

    function: str = ""
    method: str = "GET"
    url: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    has_body: bool = False
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A piece of a request's body; the last has no data and `is_last`."""

    number: int
    data: bytes = b""
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Took:
    """Node has handed on one piece of a response's body."""

    number: int


@dataclass(frozen=True, slots=True)
class Gone:
    """Nobody waits for a response any more."""

    number: int


Incoming: TypeAlias = Prepare | Invoke | Request | Body | Took | Gone
"""What Node says."""


def decode(line: bytes | bytearray) -> Incoming:
    """
    Return the record of one line from Node.

    Raises:
        ValueError: If it is none: the two sides are of versions that do not fit.
    """
    frame = json.loads(line)
    number = frame.get("call", 0)
    match frame["type"]:
        case "prepare":
            return Prepare(frame["workflow"])
        case "invoke":
            given = {"workflow": frame["workflow"], "item": frame["event"], "size": len(line)}
            return Invoke(**_call(frame), **given)
        case "request":
            return _request(frame)
        case "body":
            return Body(number, b64decode(frame["data"]))
        case "bodyEnd":
            return Body(number, is_last=True)
        case "took":
            return Took(number)
        case "gone":
            return Gone(number)
        case other:
            msg = f"there is no frame of type {other!r}"
            raise ValueError(msg)


def encode(frame: Mapping[str, Any]) -> bytes:
    """Return *frame* as a line; lone surrogates, which UTF-8 has not, go as escapes."""
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def _call(frame: Frame) -> dict[str, Any]:
    return {
        "number": frame["call"],
        "environ": frame.get("env", {}),
        "unset": tuple(frame.get("unset", ())),
        "time_left": frame.get("timeLeft"),
    }


def _request(frame: Frame) -> Request:
    return Request(
        **_call(frame),
        function=frame["function"],
        method=frame["method"],
        url=frame["url"],
        headers=tuple((name, value) for name, value in frame["headers"]),
        params=frame.get("params") or {},
        has_body=bool(frame.get("hasBody")),
        client=frame.get("client"),
    )


# ------------------------------------------------------------ deliveries


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


# ------------------------------------------------------------ outcomes


def outcome_frame(outcome: Outcome, item: Mapping[str, Any], now: int) -> Frame:
    """Return what Node is to tell the platform of *outcome*."""
    if isinstance(outcome, Completed):
        return {"type": "completed", "result": outcome.result}
    if isinstance(outcome, Suspended):
        return suspended_frame(outcome, now)
    return failed_frame(outcome, item)


def suspended_frame(outcome: Suspended, now: int) -> Frame:
    """Return the frame of a suspension: what to store, and how long to sleep."""
    kept = [{"id": each.step_id, "text": each.text or _NOTHING} for each in outcome.checkpoints]
    sleeps = [{"id": each.step_id, "ms": due_at(each.until, now) - now} for each in outcome.sleeps]
    return {"type": "suspended", "checkpoints": kept, "sleeps": sleeps}


def failed_frame(outcome: Failed, item: Mapping[str, Any]) -> Frame:
    """
    Return the frame of a failure.

    `retryIn` is there only where the platform would not wait as long by itself: after
    `RetryAfter`, after failures it has not counted, and with a backoff of a function's own mind.
    """
    frame: Frame = {
        "type": "failed",
        "final": outcome.retry_in is None,
        "error": error_json(outcome.failure),
    }
    if outcome.retry_in is not None:
        wait = max(1, to_milliseconds(outcome.retry_in))
        if wait != planned_wait(item):
            frame["retryIn"] = wait
    return frame


def planned_wait(item: Mapping[str, Any]) -> int:
    """Return how long the platform waits after this attempt if nobody says otherwise, in ms."""
    context = _context(item)
    planned = context.get("nextDelayTime") or 0
    if planned > 0:
        return int(planned)
    return to_milliseconds(default_wait(context.get("attempt") or 0))


def error_json(failure: Failure) -> Frame:
    """Return what is told of an exception."""
    said = {"type": failure.type, "message": failure.message}
    return {**said, "traceback": failure.traceback, "code": failure.code}


# ------------------------------------------------------------ logs and responses


def log_frame(text: str, *, level: str, call: int | None, event_id: str | None) -> Frame:
    """Return a line of log, or several that belong together."""
    return {"type": "log", "call": call, "level": level, "text": text, "eventId": event_id}


def head_frame(call: int, status: int, headers: list[tuple[str, str]], data: bytes) -> Frame:
    """Return the head of a response, with the first piece of its body, which may be all of it."""
    return {**chunk_frame(call, data), "type": "head", "status": status, "headers": headers}


def chunk_frame(call: int, data: bytes) -> Frame:
    """Return a further piece of a response's body."""
    return {"type": "chunk", "call": call, "data": b64encode(data).decode()}


def took_frame(call: int) -> Frame:
    """Return what says that one piece of a request's body was handed on."""
    return {"type": "took", "call": call}
