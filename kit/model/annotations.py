"""
Values by annotation: what a handler takes and returns, checked and converted as pydantic has it.

Plain data for a plain annotation is accepted without pydantic, which takes longer to load than
most handlers take to run.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, NamedTuple

from kit.model.errors import PayloadError
from kit.model.losses import check_lossless, is_exact
from kit.model.text import call_of, check_travels, dump, encode_ascii
from kit.model.workflow import Workflow, annotation_of, input_parameter

_PLAIN = (dict, list, str, int, float, bool)
_AS_IT_IS = (str, int, float, set, frozenset, bytes, bytearray, memoryview)


def dump_result(value: Any) -> str:
    """
    Return a handler's result as JSON; models, dataclasses, dates and the like become plain data.

    Raises:
        PayloadError: If it is nothing JSON can hold.
    """
    if value is None:
        return "null"
    if inspect.iscoroutine(value):
        msg = f"the result is a coroutine: did you forget to await {call_of(value)}?"
        value.close()
        raise PayloadError(msg)
    try:
        text = dump(value, "the result")
    except PayloadError as refused:
        plain = _plain(value)
        if plain is value:
            raise
        check_lossless(value, "the result")
        try:
            text = dump(plain, "the result")
        except PayloadError as error:
            raise error from refused
    else:
        if not is_exact(value):
            check_lossless(value, "the result")
    return text


def _plain(value: Any) -> Any:
    """Return *value* with models, dataclasses, dates and the like as plain data, if that works."""
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value)
    except (ValueError, RecursionError):  # what it cannot do, or a value that contains itself
        return value


class Encoded(NamedTuple):
    """Plain data about to be sent, and the JSON it is sent as."""

    data: Any
    text: str


def encode_data(value: Any, what: str) -> Encoded:
    """
    Return *value* as plain data and its JSON; models, dataclasses, dates and the like become plain.

    Raises:
        PayloadError: If it would not arrive unchanged; the message names the place within *what*.
    """
    try:
        encoded = Encoded(value, check_travels(value, what))
    except PayloadError as refused:
        plain = _without_models(value)
        try:
            encoded = Encoded(plain, check_travels(plain, what))
        except PayloadError as error:
            raise error from refused
    if not is_exact(value):
        check_lossless(value, what)
    return encoded


def encode_input(workflow: Workflow[..., Any], value: Any) -> Encoded:
    """
    Return *value* as plain data, valid for the workflow's input annotation, and its JSON.

    Raises:
        PayloadError: If it is invalid, or would not arrive unchanged; the message says where.
    """
    encoded = encode_data(value, f"the input of {workflow.event_name!r}")
    validate_input(workflow, encoded.data)
    return encoded


def _without_models(value: Any) -> Any:
    """
    Return *value* with what has a JSON form of its own, such as a model, as plain data.

    Sets and bytes have none: they would come back as lists and texts.
    """
    if value is None or isinstance(value, _AS_IT_IS):
        return value
    try:
        if isinstance(value, dict):
            return {key: _without_models(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [_without_models(item) for item in value]
    except RecursionError:  # it contains itself, as whoever encodes it will say
        return value
    return _plain(value)


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


def check_annotation(workflow: Workflow[..., Any]) -> None:
    """
    Refuse a workflow whose input could never be checked.

    Raises:
        TypeError: If the annotation of its input names something that does not exist, or is none.
    """
    if _input_of(workflow)[1] not in _PLAIN:
        _input_adapter(workflow)


def adapter_for(annotation: Any) -> Any:
    """
    Return pydantic's adapter for *annotation*, or None if that allows anything.

    Raises:
        TypeError: If pydantic can make nothing of it.
    """
    if annotation is Any or annotation is object:
        return None
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, NameError) as error:  # whose texts are pages
        why = str(error).splitlines()[0].partition(". ")[0].rstrip(".")
        msg = (
            f"values cannot be checked against the annotation {annotation!r}: {why}. Use a model, a"
            " dataclass, a TypedDict or a plain type"
        )
        raise TypeError(msg) from error


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
            return adapter.validate_json(encode_ascii(data))
        except (TypeError, ValueError, RecursionError):
            raise _invalid(error.errors(include_url=False, include_input=False), what) from error


def _invalid(issues: list[Any], what: str) -> PayloadError:
    lines = [f"  {_field(issue['loc'])}: {issue['msg']}" for issue in issues]
    kept = [{key: issue[key] for key in ("type", "loc", "msg")} for issue in issues]
    return PayloadError("\n".join([f"{what} is invalid:", *lines]), issues=kept)


def _field(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location) or "(all of it)"
