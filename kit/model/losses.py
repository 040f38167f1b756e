"""
What of a value would be lost if it became JSON, though pydantic can turn it into that.

A normal form is no loss: a set or a deque becomes a list, a model or a dataclass a dictionary of
its fields, a number of a subclass of `int` that number.
"""

from __future__ import annotations

import marshal
import re
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, time, timedelta
from typing import Any

from kit.model.article import with_article
from kit.model.attributes import attributes_of, declared, fields_of, plain_kind, private_of
from kit.model.errors import PayloadError

_MISSING = object()
_EXACT = frozenset({str, int, float, bool, type(None)})
_MINUTE = timedelta(minutes=1)
_PLAIN_FORM = 2  # which notes nothing of what comes twice


def is_exact(value: Any) -> bool:
    """Tell whether *value*, which is JSON, is of Python's own types only: that is all of it."""
    if type(value) in _EXACT:
        return True
    try:
        marshal.dumps(value, _PLAIN_FORM)  # it takes no subclasses, and less time than looking
    except ValueError:
        return False
    return True


def check_lossless(value: Any, what: str, *, comes_back: bool = False) -> None:
    """
    Accept *value* if its JSON form has all of it.

    With *comes_back* it is made anew from that; what has been set on it beside its fields is then
    for `roundtrip` to look at.

    Raises:
        PayloadError: For a secret, a field that is excluded, keys that become one, or attributes
            beside the fields; it names the place within *what*, and what to do.
    """
    for place, found in _walk(value, ""):
        lost = _lost_of(found) or (None if comes_back else _beside(found))
        if lost:
            at = f"{what} at {place!r}" if place else what
            msg = f"{at} is {with_article(type(found).__name__)} {lost}"
            raise PayloadError(msg)


def check_private(value: Any, what: str) -> None:
    """
    Accept *value* if the models in it have no private attributes of their own making.

    Raises:
        PayloadError: For one that its class would not make again; it says what to do.
    """
    for place, found in _walk(value, ""):
        private = private_of(found)
        if private and private != _private_anew(found):
            at = f"{what} at {place!r}" if place else what
            msg = (
                f"{at} is {with_article(type(found).__name__)} with private attributes"
                f" ({', '.join(private)}),"
                " which pydantic leaves out, and which its class would not make the same of the"
                " rest; let what is to be kept be a field"
            )
            raise PayloadError(msg)


def is_ambiguous(value: Any) -> bool:
    """
    Tell whether *value* holds a time without a time zone that is the second of its name that day.

    That is what `fold=1` says; ISO text has no place for it.
    """
    return any(
        isinstance(found, (datetime, time)) and found.fold == 1 and found.tzinfo is None
        for _, found in _walk(value, "")
    )


def _walk(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield all of *value* that may have more to it than JSON has, and where that is."""
    if type(value) in _EXACT:
        return
    yield place, value
    parts: Iterable[tuple[Any, Any]]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        parts, form = enumerate(value), "[{}]"
    else:
        of_it = value if isinstance(value, dict) else fields_of(value)
        parts, form = of_it.items(), ".{}"
    for part, item in parts:
        if type(item) not in _EXACT:
            yield from _walk(item, place + form.format(part))


def _lost_of(found: Any) -> str | None:
    """Return what of a part of a value would be lost, and what to do."""
    if callable(getattr(found, "get_secret_value", None)):
        return (
            "which would be stored as stars; keep secrets elsewhere, or return its"
            " get_secret_value()"
        )
    excluded = _excluded(found)
    if excluded:
        return (
            f"whose field {excluded!r} is excluded from JSON; return what is to be kept as a field"
            " of its own"
        )
    if isinstance(found, dict) and len({_key(each) for each in found}) < len(found):
        return "with keys that are one in JSON, such as 1 and '1'; use texts"
    if isinstance(found, (datetime, time)):
        return _lost_of_time(found)
    if isinstance(found, re.Pattern) and found.flags != re.compile(found.pattern).flags:
        return "with flags, which JSON does not keep; write them into it, as in '(?i)abc'"
    return None


def _lost_of_time(found: datetime | time) -> str | None:
    offset = found.utcoffset()
    if offset is None and found.tzinfo is not None:
        return f"in {found.tzinfo}, which JSON does not keep without a date; return a datetime"
    if offset is not None and offset % _MINUTE:
        return f"that is {offset} from UTC, where ISO text has no seconds; return it in UTC"
    return None


def _beside(found: Any) -> str | None:
    """Return what has been set on a part of a value that its JSON form does not have."""
    for name in attributes_of(found):
        if fields_of(found):
            return f"with the attribute {name!r}, which is no field of it; declare it as one"
        plain = plain_kind(type(found))
        return (
            f"with the attribute {name!r}, of which only the {plain} would be kept; return that"
            f" {plain} alone, or a model or dataclass with a field {name!r}"
        )
    return None


def _private_anew(model: Any) -> dict[str, Any]:
    """Return the private attributes that a model's class makes of its fields."""
    kind = type(model)
    try:
        plain = model.model_dump(by_alias=True, round_trip=True)
        return private_of(kind.model_validate(plain))
    except Exception:  # noqa: BLE001 - a class of the user's that takes other names, say
        return {name: each.default for name, each in kind.__private_attributes__.items()}


def _excluded(value: Any) -> str | None:
    """Return the name of a field that is left out of JSON though it has been set."""
    for name, field in declared(type(value)).items():
        item = getattr(value, name, _MISSING)
        if _leaves_out(field, item) and item != field.get_default(call_default_factory=False):
            return name
    return None


def _leaves_out(field: Any, value: Any) -> bool:
    leaves_out = getattr(field, "exclude_if", None)  # of newer pydantics
    return bool(field.exclude or (leaves_out is not None and leaves_out(value)))


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    from pydantic_core import to_jsonable_python

    return next(iter(to_jsonable_python({key: None})))  # type: ignore[no-any-return]
