"""
A step's outcome as text, and back: `{"value": …}`, or `{"error": {…}}` for a caught failure.

The text is made and read by Python only, so large integers and the like stay exact on their way
through a platform that speaks JavaScript.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args
from weakref import WeakKeyDictionary

from kit.model.errors import DoNotRetry, PayloadError, ReplayError, RetryAfter, StepError
from kit.model.failure import text_of
from kit.model.payload import adapter_for, dump_checked, validated
from kit.model.workflow import annotation_of

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_NATIVE = (dict, list, str, int, float, bool, type(None), Any, None, object)
_NATIVE_NAMES = {"dict", "list", "str", "int", "float", "bool", "None", "Any", "object"}
_INNER = ',"inner":true}'
_MICROSECOND = timedelta(microseconds=1)

# functions come and go with closures; an adapter takes far longer to make than a step to store
_adapters: WeakKeyDictionary[Callable[..., Any], Any] = WeakKeyDictionary()


def value_envelope(value: Any, function: Callable[..., Any], step_id: str) -> tuple[str, Any]:
    """
    Return the envelope of a step's value, and the value as a replay will give it.

    A model or another type JSON does not have is kept if the function's return annotation names
    it.

    Raises:
        PayloadError: If the value would come back as something else.
        TypeError: If the value needs an annotation that cannot be resolved.
    """
    if value is None:
        return '{"value":null}', None
    what = f"the value of step {step_id!r}"
    adapter = _adapter(function)
    if adapter is None:
        if hasattr(value, "model_dump") or hasattr(value, "__dataclass_fields__"):
            raise _unannotated(value, function, what)
        text, back = dump_checked(value, what)
        return f'{{"value":{text}}}', back
    from pydantic_core import PydanticSerializationError

    try:
        plain = adapter.dump_python(value, mode="json", warnings=False)
    except PydanticSerializationError as error:
        msg = f"{what} does not fit its annotation: {error}"
        raise PayloadError(msg) from error
    text, back = dump_checked(plain, what)
    return f'{{"value":{text}}}', validated(adapter, back, what)


def value_of(text: str, function: Callable[..., Any], step_id: str) -> Any:
    """
    Return the value in an envelope, as the function's return annotation has it.

    Raises:
        Exception: What the step failed with, if the envelope says so.
        ReplayError: If the value no longer fits the annotation.
    """
    envelope = json.loads(text)
    if "error" in envelope:
        raise revived(envelope["error"], step_id)
    value = envelope.get("value")
    adapter = None if value is None else _adapter(function)
    if adapter is None:
        return value
    try:
        return validated(adapter, value, f"the stored value of step {step_id!r}")
    except PayloadError as error:
        msg = f"{error.message}\nThe annotation was changed while this run was under way"
        raise ReplayError(msg) from error


def as_inner(text: str) -> str:
    """Return an envelope marked as that of a step that ran within another."""
    return text[:-1] + _INNER


def is_inner(text: str | None) -> bool:
    """Tell whether an envelope's step ran within another; the handler need not ask for it."""
    return text is not None and text.endswith(_INNER)


def _adapter(function: Callable[..., Any]) -> Any:
    """Return pydantic's adapter for the function's return annotation, or None if JSON will do."""
    while isinstance(function, functools.partial):
        function = function.func
    stated = getattr(function, "__annotations__", None)
    if not stated or "return" not in stated:
        return None
    raw = stated["return"]
    if (raw in _NATIVE_NAMES) if isinstance(raw, str) else _is_native(raw):
        return None
    function = getattr(function, "__func__", function)  # a method is made anew at each look
    try:
        return _adapters[function]
    except KeyError:
        adapter = _adapters[function] = _made(function)
        return adapter
    except TypeError:  # it cannot be hashed
        return _made(function)


def _made(function: Callable[..., Any]) -> Any:
    try:
        annotation = annotation_of(function, "return")
        return None if _is_native(annotation) else adapter_for(annotation)
    except TypeError:
        return None  # names what is imported for type checkers only
    except Exception as error:
        from pydantic import PydanticUserError

        if isinstance(error, PydanticUserError):
            return None  # Awaitable, a class of its own: the value itself will tell
        raise


def _is_native(annotation: Any) -> bool:
    """Tell whether *annotation* allows only what JSON has, as far as it looks."""
    if getattr(annotation, "__origin__", None) in (dict, list):
        return all(_is_native(argument) for argument in get_args(annotation))
    return annotation in _NATIVE


def _unannotated(value: Any, function: Callable[..., Any], what: str) -> PayloadError:
    annotation_of(function, "return")  # says so if it cannot be resolved
    name = type(value).__name__
    return PayloadError(
        f"{what} is a {name}, which a replay would give back as a dict; annotate the step's"
        f" function with -> {name}, or return plain data"
    )


def error_envelope(error: Exception) -> str:
    """Return the envelope of an exception that a handler has caught."""
    return f'{{"error":{_encode(_as_data(error))}}}'


def portable(error: Exception, step_id: str) -> Exception:
    """
    Return *error* if a replay can raise it again, else what a replay will raise in its place.

    So that `except` clauses around a step decide the same way, and find the same, the first
    time and at a replay.
    """
    data = json.loads(_encode(_as_data(error)))
    replayed = revived(data, step_id)
    same = type(replayed) is type(error) and str(replayed) == data["message"]
    return error if same and vars(replayed) == vars(error) else replayed


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
    except (TypeError, ValueError, RecursionError):
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
