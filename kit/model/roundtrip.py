"""
Whether a value that is made anew from its JSON, by an annotation, is the one that it was.

The annotation may make another type of it: a date of a text, a model of a dictionary, a set of a
list. What is of the annotation's type already comes back equal, or is refused: an object of a class
with all its fields, and the same in each.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from kit.model.article import with_article
from kit.model.attributes import (
    attributes_of,
    fields_of,
    has_declared_fields,
    is_comparable,
    private_of,
)
from kit.model.errors import PayloadError

PLAIN = frozenset({str, int, float, bool, type(None)})
SEQUENCES = (list, tuple, deque)


class Location(NamedTuple):
    """Where in a value something is; and whether that is of an object of a class."""

    what: str
    path: tuple[str | int, ...] = ()
    is_made: bool = False

    def at(self, part: str | int) -> Location:
        """Return the place of a part of it."""
        return Location(self.what, (*self.path, part), self.is_made)

    def __str__(self) -> str:
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return f"{self.what} at {''.join(parts)!r}" if self.path else self.what


def check_whole(value: Any, back: Any, place: Location) -> None:
    """
    Accept *back* as what an annotation gives for *value* if it has all of it.

    Raises:
        PayloadError: If it has less, as where *value* is of a subclass with more fields than the
            annotation's class; or another value, as where a class makes one of what it is given.
    """
    kind = type(value)
    if kind in PLAIN:
        _check_plain(value, back, place)
        return
    if isinstance(value, dict) and isinstance(back, dict):
        _check_items(value, back, place)
        _check_length(value, back, place)
    elif isinstance(value, SEQUENCES) and isinstance(back, SEQUENCES):
        _check_length(value, back, place)
        _check_parts(zip(count(), value, back, strict=False), place)
    elif (fields := fields_of(value)) or has_declared_fields(value):
        _check_fields(value, fields, back, place)
    elif kind is type(back) and _differ(value, back):
        raise _changed(value, back, place)
    _check_beside(value, back, place)


def _check_plain(value: Any, back: Any, place: Location) -> None:
    if type(back) is type(value):
        is_changed = value != back
    else:  # beyond 2^53 some have no float
        is_changed = type(value) is int and type(back) is float and value != back
    if is_changed:
        raise _changed(value, back, place)


def _check_length(value: Any, back: Any, place: Location) -> None:
    if len(value) != len(back) and type(value) is type(back):
        raise _changed(value, back, place)


def _check_parts(parts: Iterable[tuple[Any, Any, Any]], place: Location) -> None:
    for part, item, other in parts:
        kind = type(item)
        if kind is not type(other) or kind not in PLAIN or item != other:
            check_whole(item, other, place.at(part))


def _check_items(value: dict[Any, Any], back: dict[Any, Any], place: Location) -> None:
    gone = [key for key in value if key not in back]
    if gone:
        msg = f"{place} has the key {gone[0]!r}, which its annotation does not; add it there"
        raise PayloadError(msg)
    _check_parts(((key, item, back[key]) for key, item in value.items()), place)


def _check_fields(value: Any, fields: dict[str, Any], back: Any, place: Location) -> None:
    kind, others = type(value), fields_of(back)
    if not others and not has_declared_fields(back):  # plain data of it, which is all there
        return
    if type(back) is not kind:
        gone = next((name for name in fields if name not in others), None)
        is_other = not fields or not (isinstance(value, type(back)) or isinstance(back, kind))
        if gone is not None or is_other:
            raise _of_another_class(kind.__name__, type(back).__name__, gone, place)
    within = Location(place.what, place.path, is_made=True)
    _check_parts(((name, item, others[name]) for name, item in fields.items()), within)


def _check_beside(value: Any, back: Any, place: Location) -> None:
    """Compare what is set on *value* beside what it holds."""
    if isinstance(value, deque) and isinstance(back, deque) and value.maxlen != back.maxlen:
        raise _changed(value, back, place)
    if (
        isinstance(value, defaultdict)
        and isinstance(back, defaultdict)
        and value.default_factory is not back.default_factory
    ):
        raise _changed(value, back, place)
    attributes = attributes_of(value)
    others = attributes_of(back) if attributes else {}
    for name, item in attributes.items():
        if _differ(item, others.get(name)):
            raise _changed(item, others.get(name), place.at(name))
    private = private_of(value)
    others = private_of(back) if private else {}
    for name, item in private.items():
        if _differ(item, others.get(name)):
            raise _without_private(name, place)


def _differ(value: Any, other: Any) -> bool:
    """Tell whether two values differ, as far as they can be compared."""
    if not is_comparable(value):
        return False
    if isinstance(value, (set, frozenset)) and not all(map(is_comparable, value)):
        return len(value) != len(other)
    try:
        if isinstance(value, datetime) and value.utcoffset() is not None:
            value, other = value.astimezone(UTC), other.astimezone(UTC)  # whatever zones are named
        return bool(value != other) and bool(value == value)  # some are no number
    except Exception:  # noqa: BLE001 - a comparison of the user's, or of arrays
        return False


def _changed(value: Any, back: Any, place: Location) -> PayloadError:
    remedy = (
        "class make the same of that (fields that its constructor takes, validators that leave"
        " alone what is valid), or return plain data"
        if place.is_made
        else "annotation leave alone what is valid (in its validators, constraints, serializers),"
        " or do within the step what they do"
    )
    return PayloadError(
        f"{place} is {value!r:.100}, and would be {back!r:.100} after a replay, when it is made"
        f" anew from its JSON. Let its {remedy}"
    )


def _without_private(name: str, place: Location) -> PayloadError:
    return PayloadError(
        f"{place} has the private attribute {name!r}, which pydantic leaves out, and which its"
        " class would not make the same of the rest; let what is to be kept be a field"
    )


def _of_another_class(name: str, other: str, gone: str | None, place: Location) -> PayloadError:
    if gone is None:
        return PayloadError(
            f"{place} is {with_article(name)}, and would be {with_article(other)} after a replay,"
            " which has the same fields; give both a field that tells them apart (a discriminator)"
        )
    where = f"that field with {name}" if place.is_made else f"the step's function with -> {name}"
    return PayloadError(
        f"{place} is {with_article(name)}, and its annotation says {other}, which has no {gone!r};"
        f" annotate {where}"
    )
