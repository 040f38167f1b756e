"""
A step's outcome as text, and back: `{"value": …}`, or `{"error": {…}}` for a caught failure.

The text is made and read by Python only, so large integers and the like stay exact on their way
through a platform that speaks JavaScript.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

from kit.errors import DoNotRetry, PayloadError, RetryAfter, StepError, WorkflowError
from kit.payload import dump, dump_checked, validated
from kit.run import Failure
from kit.workflow import annotation_of

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_NATIVE = (dict, list, str, int, float, bool, type(None), Any, None, object)
_NATIVE_NAMES = {"dict", "list", "str", "int", "float", "bool", "None", "Any", "object"}


def value_envelope(value: Any, function: Callable[..., Any], step_id: str) -> tuple[str, Any]:
    """
    Return the envelope of a step's value, and the value as a replay will give it.

    A model or another type JSON does not have is kept if the function's return annotation names
    it.

    Raises:
        PayloadError: If the value would come back as something else.
    """
    what = f"the value of step {step_id!r}"
    if value is None:
        return '{"value":null}', None
    annotation = _typed(function)
    if annotation is None:
        text, back = dump_checked(_unannotated(value, what), what)
        return f'{{"value":{text}}}', back
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic_core import PydanticSerializationError

    try:
        plain = TypeAdapter(annotation).dump_python(value, mode="json", warnings=False)
    except (PydanticSerializationError, PydanticUserError) as error:
        msg = f"{what} does not fit its annotation: {error}"
        raise PayloadError(msg) from error
    text, back = dump_checked(plain, what)
    return f'{{"value":{text}}}', validated(annotation, back, what)


def value_of(text: str, function: Callable[..., Any], step_id: str) -> Any:
    """
    Return the value in an envelope, as the function's return annotation has it.

    Raises:
        Exception: What the step failed with, if the envelope says so.
        PayloadError: If the value no longer fits the annotation.
    """
    envelope = json.loads(text)
    if "error" in envelope:
        raise revived(envelope["error"], step_id)
    value = envelope.get("value")
    annotation = None if value is None else _typed(function)
    if annotation is None:
        return value
    return validated(annotation, value, f"the stored value of step {step_id!r}")


def with_nested(text: str, nested: list[str]) -> str:
    """Return an envelope that also names the steps that ran within its step."""
    return f'{text[:-1]},"within":{dump(nested)}}}' if nested else text


def nested_in(text: str | None) -> list[str]:
    """Return the ids of the steps that ran within an envelope's step."""
    if text is None or '"within":' not in text:
        return []
    found: list[str] = json.loads(text).get("within", [])
    return found


def _typed(function: Callable[..., Any]) -> Any:
    """Return the function's return annotation if pydantic is needed to keep it, else None."""
    stated = getattr(function, "__annotations__", None)
    if not stated or "return" not in stated:
        return None
    raw = stated["return"]
    if raw in _NATIVE or (isinstance(raw, str) and raw.split("[")[0].strip() in _NATIVE_NAMES):
        return None
    if getattr(raw, "__origin__", None) in (dict, list):
        return None
    annotation = annotation_of(function, "return")
    return None if annotation in _NATIVE else annotation


def _unannotated(value: Any, what: str) -> Any:
    if hasattr(value, "model_dump") or hasattr(value, "__dataclass_fields__"):
        name = type(value).__name__
        msg = (
            f"{what} is a {name}, which a replay would give back as a dict; annotate the step's"
            f" function with -> {name}, or return plain data"
        )
        raise PayloadError(msg)
    return value


# ---------------------------------------------------------------- exceptions


def error_envelope(error: Exception) -> str:
    """Return the envelope of an exception that a handler has caught."""
    return f'{{"error":{_encode(_as_data(error))}}}'


def portable(error: Exception, step_id: str) -> Exception:
    """
    Return *error* if a replay can raise it again, else a `StepError` that stands for it.

    So that `except` clauses around a step decide the same way the first time and at a replay.
    """
    if isinstance(error, (DoNotRetry, RetryAfter)):
        return error
    if type(revived(_as_data(error), step_id)) is type(error):
        return error
    stand_in = _stand_in(_as_data(error), step_id)
    stand_in.__cause__ = error
    return stand_in


def revived(data: dict[str, Any], step_id: str) -> Exception:
    """Return the exception that *data* describes, or a `StepError` if its class is not loaded."""
    module, _, name = data["type"].partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    arguments = data.get("args")
    if not (isinstance(found, type) and issubclass(found, Exception)) or arguments is None:
        return _stand_in(data, step_id)
    try:
        error: Exception = found.__new__(found, *arguments)
        error.args = tuple(arguments)
        error.__dict__.update(data.get("attributes", {}))
    except Exception:  # noqa: BLE001 - a class with a constructor of its own mind
        return _stand_in(data, step_id)
    return error


def _as_data(error: Exception) -> dict[str, Any]:
    kind = type(error)
    data: dict[str, Any] = {"type": f"{kind.__module__}:{kind.__qualname__}", "message": str(error)}
    if _keeps(list(error.args)):
        data["args"] = list(error.args)
    kept = {name: value for name, value in vars(error).items() if _keeps(value)}
    return {**data, "attributes": kept} if kept else data


def _keeps(value: Any) -> bool:
    try:
        return bool(json.loads(_encode(value)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


def _stand_in(data: dict[str, Any], step_id: str) -> StepError:
    kind = data["type"].partition(":")[2]
    return StepError(f"step {step_id!r} failed: {kind}: {data['message']}", step_id=step_id)


def failure_of(error: BaseException, step_id: str | None = None) -> Failure:
    """Return *error* as a record, with a traceback that leaves the kit's own frames out."""
    whole = traceback.TracebackException.from_exception(error)
    _cut(whole, set())
    return Failure(
        type=type(error).__qualname__,
        message=str(error),
        traceback="".join(whole.format()),
        step_id=step_id or getattr(error, "step_id", None),
        code=error.code if isinstance(error, WorkflowError) else None,
    )


def _cut(part: traceback.TracebackException | None, seen: set[int]) -> None:
    if part is None or id(part) in seen:
        return
    seen.add(id(part))
    own = __file__.rpartition("envelope.py")[0]
    theirs = [frame for frame in part.stack if not frame.filename.startswith(own)]
    part.stack = traceback.StackSummary.from_list(theirs)
    for other in (part.__cause__, part.__context__, *(part.exceptions or ())):
        _cut(other, seen)
