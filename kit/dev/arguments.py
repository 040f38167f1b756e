"""
What a step is given, as a text: the call that the step makes, such as `charge(Order(id=7), 5)`.

Only what is plain data is read. Nothing of the user's is called for it, not even a `__repr__`: that
might ask a database, or take as long as it likes, in the middle of a run.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

LONGEST = 2_000
"""Characters of a call, about; the rest is an ellipsis."""

_DEEPEST = 6
_MOST = 200
"""Items of a list or fields of a model that are looked at."""

_PLAIN = (bool, float, type(None), datetime.date, datetime.datetime, datetime.time,
          datetime.timedelta, decimal.Decimal, uuid.UUID)  # fmt: skip


def call_text(function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the call of *function* with these arguments, `LONGEST` characters or a little more."""
    given = chain((("", each) for each in args), ((f"{key}=", kwargs[key]) for key in kwargs))
    pieces, size = [_name_of(function), "("], 0
    for piece in chain(_joined(given, 0), [")"]):
        size += len(piece)
        if size > LONGEST:
            return "".join([*pieces, "…"])
        pieces.append(piece)
    return "".join(pieces)


def _name_of(function: Any) -> str:
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def _joined(items: Iterable[tuple[str, Any]], depth: int) -> Iterator[str]:
    """Yield the pieces of *items*, each a label and a value, with commas between."""
    for number, (label, value) in enumerate(items):
        if number:
            yield ", "
        if number == _MOST:
            yield "…"
            return
        yield label
        yield from _pieces(value, depth)


def _pieces(value: Any, depth: int) -> Iterator[str]:
    kind = type(value)
    if kind in _PLAIN:
        yield repr(value)
    elif kind in (str, bytes):
        yield repr(value[:LONGEST]) + ("…" if len(value) > LONGEST else "")
    elif kind is int:
        yield repr(value) if value.bit_length() < 4_000 else f"<int of {value.bit_length()} bits>"
    elif isinstance(value, enum.Enum):
        yield f"{kind.__name__}.{value._name_}"
    elif isinstance(value, pathlib.PurePath):
        yield f"{kind.__name__}({str(value)[:LONGEST]!r})"
    elif depth >= _DEEPEST:
        yield "…"
    else:
        yield from _composed(value, kind, depth + 1)


def _composed(value: Any, kind: type, depth: int) -> Iterator[str]:
    if kind is dict:
        keys = [_key(key, depth) for key in islice(value, _MOST + 1)]
        yield from ("{", *_joined(zip(keys, value.values(), strict=False), depth), "}")
    elif kind in _BRACKETS:
        left, right = _BRACKETS[kind]
        items = (("", each) for each in islice(value, _MOST + 1))
        alone = "," if kind is tuple and len(value) == 1 else ""
        yield from (left, *_joined(items, depth), alone, right)
    elif (fields := _fields_of(value)) is not None:
        items = ((f"{name}=", each) for name, each in fields)
        yield from (f"{kind.__name__}(", *_joined(items, depth), ")")
    else:
        yield f"<{_name_of(value) if callable(value) else kind.__name__}>"


_BRACKETS = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def _key(key: Any, depth: int) -> str:
    return "".join(_pieces(key, depth)) + ": "


def _fields_of(value: Any) -> list[tuple[str, Any]] | None:
    """Return the fields of a model or dataclass, where they are stored; None if it is neither."""
    kind = type(value)
    if any("__pydantic_fields__" in vars(each) for each in kind.__mro__):
        stored = object.__getattribute__(value, "__dict__")
        known = kind.__pydantic_fields__.items()
        return [(name, stored[name]) for name, field in known if field.repr and name in stored]
    if not dataclasses.is_dataclass(kind):
        return None
    names = [each.name for each in dataclasses.fields(kind) if each.repr]
    try:
        return [(name, object.__getattribute__(value, name)) for name in names]
    except AttributeError:  # not initialised yet
        return None
