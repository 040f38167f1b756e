"""
A step's outcome as text, and back: `{"value": …}`, or `{"error": {…}}` for a caught failure.

The text is made and read by Python only, so large integers and the like stay exact on their way
through a platform that speaks JavaScript.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from kit.execution.values import decode_value, encode_value
from kit.model.errors import StepError
from kit.model.failure import text_of
from kit.model.signals import DoNotRetry, RetryAfter

CUT = '{"cut":true}'
"""The envelope of a step that was cut off."""

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode
_VALUE = '{"value":'
_NULL = '{"value":null}'
_CUT_VALUE = '{"cut":true,"value":'
_INNER = ',"inner":true}'
_MICROSECOND = timedelta(microseconds=1)


def value_envelope(value: Any, function: Callable[..., Any], step_id: str) -> tuple[str, Any]:
    """
    Return the envelope of a step's value, and the value as a replay will give it.

    Raises:
        PayloadError: If JSON cannot carry it; the message says what to change.
    """
    if value is None:
        return _NULL, None
    text, back = encode_value(value, function, f"the value of step {step_id!r}")
    return f'{{"value":{text}}}', back


def value_of(text: str, function: Callable[..., Any], step_id: str) -> Any:
    """
    Return the value in an envelope, as the function's return annotation has it.

    Raises:
        Exception: What the step failed with, if the envelope says so.
        ReplayError: If the value no longer fits the annotation.
    """
    if text.startswith(_VALUE):  # as all are that the kit has made, but failures
        return decode_value(
            _decode(text, len(_VALUE))[0], function, f"the stored value of step {step_id!r}"
        )
    envelope = json.loads(text)
    if "error" in envelope:
        raise revived(envelope["error"], step_id)
    return decode_value(envelope.get("value"), function, f"the stored value of step {step_id!r}")


def as_inner(text: str, outer: str) -> str:
    """Return an envelope marked as that of a step that ran within another, *outer*."""
    return f'{text[:-1]},"outer":{_encode(outer)}{_INNER}'


def as_cut(text: str) -> str:
    """Return an envelope marked as that of a step that was cut off when it had just ended."""
    return f"{CUT[:-1]},{text[1:]}"


def uncut(text: str | None) -> str | None:
    """Return the envelope of the value that a step had when it was cut off; None if it had none."""
    return _VALUE + text[len(_CUT_VALUE) :] if text and text.startswith(_CUT_VALUE) else None


def is_inner(text: str | None) -> bool:
    """Tell whether an envelope's step ran within another; the handler need not ask for it."""
    return text is not None and text.endswith(_INNER)


def outer_of(text: str | None) -> str | None:
    """Return the step in which an envelope's step ran, if it ran within one and says which."""
    if text is None or not is_inner(text):
        return None
    outer: str | None = json.loads(text).get("outer")  # a first edition did not say it
    return outer


def error_envelope(
    error: Exception, within: Iterable[str] = (), *, is_hopeless: bool = False
) -> str:
    """
    Return the envelope of an exception that a handler has caught.

    *within* are the steps within the step that has failed whose failures it came from; one that
    *is_hopeless* is not to be tried again.
    """
    data = _as_data(error)
    if steps := list(within):
        data["within"] = steps
    if is_hopeless:
        data["hopeless"] = True
    return f'{{"error":{_encode(data)}}}'


def is_hopeless(text: str) -> bool:
    """Tell whether the failure in an envelope is not to be tried again."""
    return json.loads(text)["error"].get("hopeless") is True


def failed_within(text: str) -> list[str]:
    """Return the steps within the failed step of an envelope whose failures its own came from."""
    steps: list[str] = json.loads(text)["error"].get("within", [])
    return steps


def portable(error: Exception, step_id: str) -> Exception:
    """
    Return *error* if a replay can raise it again, else what a replay will raise in its place.

    So that `except` clauses around a step decide the same way, and find the same, the first
    time and at a replay.
    """
    data = json.loads(_encode(_as_data(error)))
    replayed = revived(data, step_id)
    try:
        same = type(replayed) is type(error) and str(replayed) == data["message"]
        return error if same and vars(replayed) == vars(error) else replayed
    except Exception:  # noqa: BLE001 - of what an attribute has to say about being compared
        return replayed


def revived(data: dict[str, Any], step_id: str) -> Exception:
    """Return the exception that *data* describes, or one that stands for it if it cannot be."""
    module, _, name = data["type"].partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    arguments = data.get("args")
    if not (isinstance(found, type) and issubclass(found, Exception)) or arguments is None:
        return _stand_in(data, step_id)
    try:
        error: Exception = found.__new__(found, *arguments)
        if not error.args:
            error.args = tuple(arguments)
        error.__dict__.update(data.get("attributes", {}))
        if isinstance(error, RetryAfter):
            error.delay = _MICROSECOND * data["delay"]
        str(error)
    except Exception:  # noqa: BLE001 - a class with a constructor of its own mind
        return _stand_in(data, step_id)
    return error


def _as_data(error: Exception) -> dict[str, Any]:
    """Return what there is to keep of *error*; less, if its own code raises."""
    try:
        data = _all_data(error)
        _encode(data)
    except Exception:  # noqa: BLE001 - a failure that is not recorded would be lost
        kind = type(error)
        data = {"type": f"{kind.__module__}:{kind.__qualname__}", "message": text_of(error)}
        if isinstance(error, DoNotRetry):
            data["final"] = True
    return data


def _all_data(error: Exception) -> dict[str, Any]:
    kind = type(error)
    data: dict[str, Any] = {
        "type": f"{kind.__module__}:{kind.__qualname__}",
        "message": text_of(error),
    }
    # the name of a file is in neither args nor attributes, but in what pickle would be given
    arguments = list(error.__reduce__()[1] if isinstance(error, OSError) else error.args)
    if _keeps(arguments):
        data["args"] = arguments
    kept = {name: value for name, value in vars(error).items() if _keeps(value)}
    if kept:
        data["attributes"] = kept
    if isinstance(error, RetryAfter):
        data["delay"] = error.delay // _MICROSECOND
        data["force"] = error.force
    elif isinstance(error, DoNotRetry):
        data["final"] = True
    return data


def _keeps(value: Any) -> bool:
    plain = list(value) if isinstance(value, tuple) else value
    try:
        return bool(json.loads(_encode(plain)) == plain)
    except Exception:  # noqa: BLE001 - of JSON's, or what the value has to say about being compared
        return False


def _stand_in(data: dict[str, Any], step_id: str) -> Exception:
    """Return what stands for an exception: it decides the same about being tried again."""
    kind = data["type"].partition(":")[2]
    said = f"step {step_id!r} failed: {kind}: {data['message']}"
    if data.get("final"):
        return DoNotRetry(said)
    if "delay" in data:
        return RetryAfter(_MICROSECOND * data["delay"], said, force=data["force"])
    return StepError(said, step_id=step_id)
