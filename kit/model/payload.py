"""
Values and JSON texts: what may be stored or sent, and how it comes back.

Everything a run remembers passes through JSON. What would come back as something else is refused
when it is stored, with the place in the data, rather than found out at a replay. The handler gets
the value as it will be after a replay from the very first time.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
from typing import Any

from kit.model.errors import PayloadError
from kit.model.workflow import Workflow, annotation_of, input_parameter

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer JavaScript keeps exact."""

_PLAIN = (dict, list, str, int, float, bool)
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode


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
        back = _decode(text)[0]
        if back != value:
            _check(value, what, ())
    except (TypeError, ValueError, RecursionError) as error:
        raise _explained(value, what, error) from error
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
    if value is None:
        return "null"
    try:
        return dump(value, "the result")
    except PayloadError as error:
        plain = _plain(value)
        if plain is value:
            raise
        refused = error
    try:
        return dump(plain, "the result")
    except PayloadError as error:
        raise error from refused


def _plain(value: Any) -> Any:
    """Return *value* with models, dataclasses, dates and the like as plain data, if that works."""
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value)
    except (ValueError, RecursionError):  # what it cannot do, or a value that contains itself
        return value


def _survives_utf8(text: str, value: Any) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return _encode_ascii(value)  # lone surrogates survive as escapes
    return text


def _explained(value: Any, what: str, error: Exception) -> PayloadError:
    if isinstance(error, RecursionError) or "Circular" in str(error):
        return PayloadError(f"{what} contains itself, or is nested too deeply for JSON")
    try:
        _check(value, what, ())
    except PayloadError as found:
        return found
    return PayloadError(f"{what} is not JSON: {error}")


def _check(value: Any, what: str, path: tuple[str | int, ...]) -> None:
    """Raise for the first place in *value* that JSON would not keep."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, what, path)
            _check(item, what, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, what, (*path, index))
    elif isinstance(value, str):
        _check_pairs(value, what, path)
    elif isinstance(value, float) and not math.isfinite(value):
        msg = f"{_at(what, path)} is {value!r}, which JSON does not have; use null or a text"
        raise PayloadError(msg)
    elif not isinstance(value, (int, float, bool, type(None))):
        msg = f"{_at(what, path)} is a {type(value).__name__}, which is not JSON"
        raise PayloadError(msg)


def _check_key(key: Any, what: str, path: tuple[str | int, ...]) -> None:
    if not isinstance(key, str):
        msg = f"{_at(what, path)} has the key {key!r}: JSON has text keys only"
        raise PayloadError(msg)
    _check_pairs(key, what, path)


def _check_pairs(text: str, what: str, path: tuple[str | int, ...]) -> None:
    if not text.isascii() and _decode(_encode_ascii(text))[0] != text:
        msg = f"{_at(what, path)} holds two halves of a surrogate pair, which JSON would join"
        raise PayloadError(msg)


def _at(what: str, path: tuple[str | int, ...]) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{what} at {place!r}" if place else what


def check_travels(value: Any, what: str = "the input") -> str:
    """
    Return *value* as JSON, if it arrives unchanged through JavaScript.

    Raises:
        PayloadError: For integers beyond 2^53, not-a-number, lone surrogates, and what is not
            JSON at all; the message names the place.
    """
    text = dump(value, what)
    try:
        _check_travels(value, what, ())
    except RecursionError as error:  # pragma: no cover - from 3.12 C goes deeper than Python
        raise _explained(value, what, error) from error
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


def to_input(workflow: Workflow[..., Any], value: Any) -> Any:
    """
    Return *value* as JSON-ready data, valid for the workflow's input annotation.

    Raises:
        PayloadError: If it is invalid; the message names each field and why.
    """
    try:
        _encode(value)
    except TypeError:
        value = _plain(value)
    except (ValueError, RecursionError):
        pass  # whoever sends it will hear which place is no JSON
    validate_input(workflow, value)
    return value


def validate_input(workflow: Workflow[..., Any], data: Any) -> Any:
    """
    Return *data* as the handler's annotation wants it.

    Raises:
        PayloadError: If it is invalid.
        TypeError: If the annotation names something that does not exist.
    """
    parameter, annotation = _input_of(workflow)
    if parameter is None:
        return None
    if data is None and parameter.default is not parameter.empty:
        return parameter.default
    if type(data) is annotation and annotation in _PLAIN:
        return data  # as pydantic would have it, which is not worth importing for that
    adapter = _input_adapter(workflow)
    if adapter is None:
        return data
    return validated(adapter, data, f"the input of {workflow.event_name!r}")


@functools.lru_cache(maxsize=1024)
def _input_of(workflow: Workflow[..., Any]) -> tuple[inspect.Parameter | None, Any]:
    parameter = input_parameter(workflow.handler)
    if parameter is None:
        return None, None
    return parameter, annotation_of(workflow.handler, parameter.name)


@functools.lru_cache(maxsize=1024)  # making an adapter takes far longer than a whole invocation
def _input_adapter(workflow: Workflow[..., Any]) -> Any:
    return adapter_for(_input_of(workflow)[1])


def adapter_for(annotation: Any) -> Any:
    """Return pydantic's adapter for *annotation*, or None if that allows anything."""
    if annotation is Any or annotation is object:
        return None
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


def validated(adapter: Any, data: Any, what: str) -> Any:
    """
    Return *data* as what a pydantic adapter makes of it.

    Raises:
        PayloadError: If it does not fit; `issues` holds pydantic's findings.
    """
    from pydantic import ValidationError

    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        try:  # a strict model takes a date from JSON only, and from there the data comes
            return adapter.validate_json(_encode_ascii(data))
        except (TypeError, ValueError, RecursionError):
            raise _invalid(error.errors(include_url=False, include_input=False), what) from error


def _invalid(issues: list[Any], what: str) -> PayloadError:
    lines = [f"  {_field(issue['loc'])}: {issue['msg']}" for issue in issues]
    kept = [{key: issue[key] for key in ("type", "loc", "msg")} for issue in issues]
    return PayloadError("\n".join([f"{what} is invalid:", *lines]), issues=kept)


def _field(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location) or "(all of it)"
