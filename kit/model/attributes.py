"""What a value holds: its fields, and what has been set on it beside them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import date, time, timedelta
from functools import cached_property
from typing import Any

_BUILTINS = (
    str, int, float, complex, bytes, bytearray, dict, list, tuple, set, frozenset, date, time,
    timedelta,
)  # fmt: skip
_HOMES = ("builtins", "datetime", "collections")


def declared(kind: type) -> dict[str, Any]:
    """Return the fields of a model's class, with what pydantic knows of each."""
    fields = getattr(kind, "__pydantic_fields__", None)
    return fields if isinstance(fields, dict) else {}


def fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of a model or dataclass; nothing of anything else."""
    kind = type(value)
    names = declared(kind) or getattr(kind, "__dataclass_fields__", None) or ()
    fields = {name: getattr(value, name, None) for name in names}
    return {**fields, **(getattr(value, "__pydantic_extra__", None) or {})}


def has_declared_fields(value: Any) -> bool:
    """Tell whether *value* is a model or dataclass; its fields may be none."""
    return hasattr(type(value), "__pydantic_validator__") or hasattr(
        type(value), "__dataclass_fields__"
    )


def attributes_of(value: Any) -> dict[str, Any]:
    """
    Return what is set on a dataclass, or on a value of a subclass of `int` and the like, beside
    what is stored of it; as far as it is data.

    What is private is not, unless a property of that name shows it; nor is what the class makes of
    the rest when it is asked for; nor what pydantic can make no JSON of, such as a lock.
    """
    kind = type(value)
    fields = getattr(kind, "__dataclass_fields__", None)
    if fields is not None:
        beside, stored = getattr(value, "__dict__", {}), fields
    elif kind.__module__ in _HOMES or not isinstance(value, _BUILTINS):
        return {}
    else:
        beside = {**getattr(value, "__dict__", {}), **_in_slots(value)}
        stored = value if isinstance(value, dict) else {}
    if beside.keys() <= stored.keys() or isinstance(value, enum.Enum):
        return {}
    return {
        name: item
        for name, item in beside.items()
        if name not in stored and _is_shown(kind, name) and _is_data(item)
    }


def private_of(value: Any) -> dict[str, Any]:
    """Return the private attributes of a model that can be compared."""
    private = getattr(value, "__pydantic_private__", None) or {}
    return {name: item for name, item in private.items() if is_comparable(item)}


def is_comparable(value: Any) -> bool:
    """Tell whether values of that type are equal by more than being the same object."""
    compares: Any = type(value).__eq__
    return compares is not object.__eq__


def plain_kind(kind: type) -> str:
    """Return the name of Python's own type that *kind* is a subclass of."""
    return next(each.__name__ for each in kind.__mro__ if each.__module__ in _HOMES)


def _in_slots(value: Any) -> dict[str, Any]:
    slots = (
        name
        for each in type(value).__mro__
        if each.__module__ not in _HOMES
        for name in _names(each.__dict__.get("__slots__", ()))
    )
    return {name: getattr(value, name) for name in slots if hasattr(value, name)}


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


def _is_shown(kind: type, name: str) -> bool:
    if name.startswith("_"):
        return isinstance(getattr(kind, name.lstrip("_"), None), property)
    return not isinstance(getattr(kind, name, None), cached_property)


def _is_data(value: Any) -> bool:
    from pydantic_core import to_json

    try:
        to_json(value)
    except (ValueError, RecursionError):
        return False
    return True
