"""
What Node and Python say to each other in a deployed function: one JSON object a line.

Node to Python: `prepare` (import what will be asked for), `invoke` (a delivery of an event),
`request` with its `body` frames, `bodyEnd` and `gone` (nobody waits for the answer any more).
Python to Node: `ready` once; `log` at any time; and of each call its end: `completed`, `suspended`
or `failed` (as kit/netlify/deliveries.py has them), or for a request `head`, `chunk` and `end`.
Of a run with a record there is `commit` besides, which Node answers (see `recording`).
`took` goes both ways and says that one piece of a body was handed on: it keeps either side from
running ahead of the other.

Named tuples, since every cold start makes these classes: a dataclass takes eight times as long.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from kit.model.errors import PayloadError
from kit.model.text import MAX_DEPTH, is_too_deep

Frame: TypeAlias = "dict[str, Any]"


class Invoke(NamedTuple):
    """
    An event arrives at a workflow: the platform's `item` as it is, and its `size` in bytes.

    `run` is what the run's record says, where it has one.

    `environ` and `unset` tell what has changed in the environment since the last call. `time_left`
    is what remains of the function's time, in seconds.
    """

    number: int
    environ: Mapping[str, str] = {}
    unset: tuple[str, ...] = ()
    time_left: float | None = None
    workflow: str = ""
    item: Mapping[str, Any] = {}
    size: int = 0
    run: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Invoke({self.number}, workflow={self.workflow!r})"  # there are keys in the rest


class Request(NamedTuple):
    """
    An HTTP request arrives at a function; its body, if it `has_body`, follows.

    The environment and the time are told as with `Invoke`.
    """

    number: int
    environ: Mapping[str, str] = {}
    unset: tuple[str, ...] = ()
    time_left: float | None = None
    function: str = ""
    method: str = "GET"
    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    params: Mapping[str, str] = {}
    has_body: bool = False
    client: str | None = None

    def __repr__(self) -> str:
        return f"Request({self.number}, function={self.function!r}, method={self.method!r})"


class Prepare(NamedTuple):
    """An event is about to arrive at a workflow."""

    workflow: str


class Body(NamedTuple):
    """A piece of a request's body; the last has no data and `is_last`."""

    number: int
    data: bytes = b""
    is_last: bool = False


class Took(NamedTuple):
    """Node has handed on one piece of a response's body."""

    number: int


class Gone(NamedTuple):
    """Nobody waits for a response any more."""

    number: int


class Said(NamedTuple):
    """What Node says of a run's record: in answer to a `commit`, or, without one, by itself."""

    number: int
    what: str
    commit: int | None = None


Incoming: TypeAlias = Prepare | Invoke | Request | Body | Took | Gone | Said
"""What Node says."""

_OF_BODIES = ("body", "bodyEnd", "took", "gone")
_OF_RECORDS = ("ack", "stopped", "timed-out", "lost", "unstored", "stop")


def decode(line: bytes | bytearray) -> Incoming:
    """
    Return the record of one line from Node.

    Raises:
        PayloadError: If it is nested too deeply.
        ValueError, LookupError, TypeError: If it is none: the two sides' versions do not fit.
    """
    frame = _parsed(line)
    if frame["type"] in _OF_RECORDS:
        return Said(frame["call"], frame.get("why", frame["type"]), frame.get("commit"))
    if frame["type"] in _OF_BODIES:
        return _piece(frame)
    match frame["type"]:
        case "prepare":
            return Prepare(frame["workflow"])
        case "invoke":
            given = {"workflow": frame["workflow"], "item": frame["event"], "size": len(line)}
            return Invoke(**_call(frame), **given, run=frame.get("run"))
        case "request":
            return _request(frame)
        case other:
            msg = f"there is no frame of type {other!r}"
            raise ValueError(msg)


def _piece(frame: Frame) -> Body | Took | Gone:
    """Return the record of a frame that is about a body."""
    number = frame["call"]
    match frame["type"]:
        case "body":
            return Body(number, a2b_base64(frame["data"]))
        case "bodyEnd":
            return Body(number, is_last=True)
        case "took":
            return Took(number)
        case _:
            return Gone(number)


def call_of(line: bytes | bytearray) -> int | None:
    """Return the number of the call that a line from Node begins, even if it cannot be read."""
    found = re.match(rb'\{"type":"[a-zA-Z]+","call":([0-9]+)[,}]', line)
    return int(found[1]) if found else None


def encode(frame: Mapping[str, Any]) -> bytes:
    """Return *frame* as a line; lone surrogates, which UTF-8 has not, go as escapes."""
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes | bytearray) -> Any:
    try:
        frame = json.loads(line)
        is_deep = is_too_deep(_data_of(frame), line.count(b"[") + line.count(b"{"))
    except RecursionError:
        is_deep = True
    if is_deep:
        msg = f"the event is nested more than {MAX_DEPTH} deep; send flatter data"
        raise PayloadError(msg)
    return frame


def _data_of(frame: Any) -> Any:
    event = frame.get("event") if isinstance(frame, dict) else None
    return event.get("data") if isinstance(event, dict) else None


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


def log_frame(text: str, *, level: str, call: int | None, event_id: str | None) -> Frame:
    """Return a line of log, or several that belong together."""
    return {"type": "log", "call": call, "level": level, "text": text, "eventId": event_id}


def head_frame(call: int, status: int, headers: list[tuple[str, str]], data: bytes) -> Frame:
    """Return the head of a response, with the first piece of its body, which may be all of it."""
    return {**chunk_frame(call, data), "type": "head", "status": status, "headers": headers}


def chunk_frame(call: int, data: bytes) -> Frame:
    """Return a further piece of a response's body."""
    return {"type": "chunk", "call": call, "data": b2a_base64(data, newline=False).decode()}


def took_frame(call: int) -> Frame:
    """Return what says that one piece of a request's body was handed on."""
    return {"type": "took", "call": call}
