"""
Values and JSON texts: what may be stored or sent, and how it comes back.

Everything a run remembers passes through JSON. What would come back as something else is refused
when it is stored, with the place in the data, rather than found out at a replay. The handler gets
the value as it will be after a replay from the very first time.
"""

from __future__ import annotations

import json
import math
from typing import Any

from kit.errors import PayloadError
from kit.workflow import Workflow, annotation_of, input_parameter

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer JavaScript keeps exact."""

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


# ---------------------------------------------------------------- JSON texts


def dump(value: Any, what: str = "the value") -> str:
    """
    Return *value* as JSON that reads back as the same value; tuples read back as lists.

    Raises:
        PayloadError: If it would not; the message names the place within *what*.
    """
    return dump_checked(value, what)[0]


def dump_checked(value: Any, what: str) -> tuple[str, Any]:
    """Return *value* as JSON, and what it reads back as. Raises as `dump` does."""
    try:
        text = _encode(value)
        if not text.isascii():
            text = _survives_utf8(text, value)
        back = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        back, text = _explain(value, what, error)
    if back != value:
        _check(value, what, ())
    return text, back


def load(text: str | None) -> Any:
    """Return what a JSON text says; None for none."""
    return None if text is None else json.loads(text)


def dump_result(value: Any) -> str:
    """
    Return a handler's result as JSON; models, dataclasses, dates and the like become plain data.

    Raises:
        PayloadError: If it is nothing JSON can hold.
    """
    try:
        return dump(value, "the result")
    except PayloadError:
        if _is_plain(value):
            raise
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return dump(to_jsonable_python(value), "the result")
    except PydanticSerializationError as error:
        msg = f"the result is not JSON: {error}; return plain data or a model"
        raise PayloadError(msg) from error


def _is_plain(value: Any) -> bool:
    return type(value) in (str, int, float, bool, type(None))


def _survives_utf8(text: str, value: Any) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return _encode_ascii(value)  # lone surrogates survive as escapes
    return text


def _explain(value: Any, what: str, error: Exception) -> tuple[Any, str]:
    if isinstance(error, RecursionError) or "Circular" in str(error):
        msg = f"{what} contains itself, or is nested too deeply for JSON"
        raise PayloadError(msg) from error
    _check(value, what, ())
    msg = f"{what} is not JSON: {error}"
    raise PayloadError(msg) from error


def _check(value: Any, what: str, path: tuple[str | int, ...]) -> None:
    """Raise for the first place in *value* that JSON would not keep."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                msg = f"{_at(what, path)} has the key {key!r}: JSON has text keys only"
                raise PayloadError(msg)
            _check(item, what, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, what, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        msg = f"{_at(what, path)} is {value!r}, which JSON does not have; use null or a text"
        raise PayloadError(msg)
    elif not isinstance(value, (str, int, float, bool, type(None))):
        msg = f"{_at(what, path)} is a {type(value).__name__}, which is not JSON"
        raise PayloadError(msg)


def _at(what: str, path: tuple[str | int, ...]) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{what} at {place!r}" if place else what


# ---------------------------------------------------------------- events


def check_travels(value: Any, what: str = "the input") -> str:
    """
    Return *value* as JSON, if it arrives unchanged through JavaScript.

    Raises:
        PayloadError: For integers beyond 2^53, not-a-number, lone surrogates, and what is not
            JSON at all; the message names the place.
    """
    text = dump(value, what)
    _check_travels(value, what, ())
    return text


def _check_travels(value: Any, what: str, path: tuple[str | int, ...]) -> None:
    if isinstance(value, str):
        _check_text(value, what, path)
    elif isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
        msg = (
            f"{_at(what, path)} is {value}: JavaScript, which carries events, rounds integers"
            " beyond 2^53; send it as a text"
        )
        raise PayloadError(msg)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, what, path)
            _check_travels(item, what, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_travels(item, what, (*path, index))


def _check_text(text: str, what: str, path: tuple[str | int, ...]) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        msg = f"{_at(what, path)} holds half a surrogate pair, which cannot be sent as UTF-8"
        raise PayloadError(msg)


# ---------------------------------------------------------------- input


def to_input(workflow: Workflow[..., Any], value: Any) -> Any:
    """
    Return *value* as JSON-ready data, valid for the workflow's input annotation.

    Raises:
        PayloadError: If it is invalid; the message names each field and why.
    """
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", by_alias=True)
    validate_input(workflow, value)
    return value


def validate_input(workflow: Workflow[..., Any], data: Any) -> Any:
    """
    Return *data* as the handler's annotation wants it.

    Raises:
        PayloadError: If it is invalid.
    """
    parameter = input_parameter(workflow.handler)
    if parameter is None:
        return None
    if data is None and parameter.default is not parameter.empty:
        return parameter.default
    annotation = annotation_of(workflow.handler, parameter.name)
    if annotation is Any or annotation is object:
        return data
    return validated(annotation, data, f"the input of {workflow.event_name!r}")


def validated(annotation: Any, data: Any, what: str) -> Any:
    """
    Return *data* as an instance of *annotation*: anything pydantic's `TypeAdapter` takes.

    Raises:
        PayloadError: If it does not fit; `issues` holds pydantic's findings.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(annotation).validate_python(data)
    except ValidationError as error:
        issues = error.errors(include_url=False, include_context=False, include_input=False)
        lines = [f"  {_field(issue['loc'])}: {issue['msg']}" for issue in issues]
        msg = "\n".join([f"{what} is invalid:", *lines])
        raise PayloadError(msg, issues=[dict(issue) for issue in issues]) from error


def _field(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location) or "(all of it)"
