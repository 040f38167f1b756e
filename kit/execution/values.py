"""
A step's value as JSON, and back.

By the function's return annotation where it has one, else in the form that pydantic gives it: a
datetime is ISO text, a model a dict. The handler gets that form the first time, too. What pydantic
cannot encode, or would not keep whole, is refused. Plain data needs no pydantic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from kit.execution.returns import adapter_of, why_unused
from kit.model.annotations import validated
from kit.model.errors import PayloadError, ReplayError
from kit.model.losses import check_lossless, check_private, is_ambiguous, is_exact
from kit.model.roundtrip import Location, check_whole
from kit.model.text import call_of, dump_checked

_FORMS: tuple[dict[str, bool], ...] = (
    {"by_alias": True, "round_trip": True},
    {"by_alias": False, "round_trip": True},
    {"by_alias": True},
)
"""How pydantic may write a value, in the order in which it is tried to read it again."""


def encode_value(value: Any, function: Callable[..., Any], what: str) -> tuple[str, Any]:
    """
    Return the value of a step's *function* as JSON, and the value as a replay will give it.

    Raises:
        PayloadError: If JSON cannot carry it; the message says what to change.
    """
    if isinstance(value, CoroutineType):
        msg = f"{what} is a coroutine: did you forget to await {call_of(value)} in its function?"
        value.close()
        raise PayloadError(msg)
    adapter = adapter_of(function)
    if adapter is not None:
        return _annotated(value, adapter, what)
    try:
        text, back = dump_checked(value, what)
    except PayloadError as refused:
        encoded = _unannotated(value, what, refused)
        _warn_of_unused(function, what)
        return encoded
    if not is_exact(value):
        check_lossless(value, what)
        _warn_of_unused(function, what)
    return text, back


def decode_value(plain: Any, function: Callable[..., Any], what: str) -> Any:
    """
    Return a stored value as the function's return annotation has it.

    Raises:
        ReplayError: If it does not fit any more.
    """
    adapter = None if plain is None else adapter_of(function)
    if adapter is None:
        return plain
    try:
        return validated(adapter, plain, what)
    except PayloadError as error:
        msg = (
            f"{error.message}\nThe annotation was changed while this run was under way; let it"
            " accept what is stored, or retry the run from its start"
        )
        raise ReplayError(msg) from error


def _unannotated(value: Any, what: str, refused: PayloadError) -> tuple[str, Any]:
    from pydantic_core import to_jsonable_python

    try:
        plain = to_jsonable_python(value)
    except RecursionError:
        raise refused from None
    except ValueError as error:
        if "contains itself" in refused.message or "did you forget" in refused.message:
            raise refused from error
        raise _unencodable(what, error) from refused
    check_lossless(value, what)
    check_private(value, what)
    _warn_of_ambiguity(value, what)
    return dump_checked(plain, what)


def _annotated(value: Any, adapter: Any, what: str) -> tuple[str, Any]:
    """Return *value* in the first of pydantic's forms that it can read again."""
    from kit.model.choices import check_choices  # which needs what pydantic has imported

    refused: PayloadError | None = None
    for form in _FORMS:
        text, plain = _written(value, adapter, form, what)
        try:
            back = validated(adapter, plain, what)
        except PayloadError as error:
            refused = refused or error
            continue
        check_lossless(value, what, comes_back=True)
        check_whole(value, back, Location(what))
        check_choices(value, back, adapter, what)
        _warn_of_ambiguity(value, what)
        return text, back
    assert refused is not None  # noqa: S101 - there is more than one form
    raise _unreadable(refused)


def _written(value: Any, adapter: Any, form: dict[str, bool], what: str) -> tuple[str, Any]:
    try:
        plain = adapter.dump_python(value, mode="json", warnings=False, **form)
    except ValueError as error:
        raise _unencodable(what, error) from error
    return dump_checked(plain, what)


def _warn_of_ambiguity(value: Any, what: str) -> None:
    if is_ambiguous(value):
        logging.getLogger("kit").warning(
            "%s holds a time with fold=1 and no time zone, and is stored without the fold: which of"
            " two hours of that name it is, only a time with a zone can tell",
            what,
        )


def _warn_of_unused(function: Callable[..., Any], what: str) -> None:
    why = why_unused(function)
    if why:
        logging.getLogger("kit").warning(
            "%s is stored as if its function had no return annotation, and the handler gets plain"
            " data: %s",
            what,
            why,
        )


def _unreadable(refused: PayloadError) -> PayloadError:
    msg = (
        f"{refused.message}\nThat is what its annotation makes of the JSON it would be stored as;"
        " annotate the step's function with what it returns, or return plain data"
    )
    return PayloadError(msg, issues=refused.issues)


def _unencodable(what: str, error: Exception) -> PayloadError:
    msg = (
        f"{what} cannot be stored: {error}; return plain data, a model or a dataclass, or what"
        " finds it again"
    )
    return PayloadError(msg)
