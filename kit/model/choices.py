"""
Whether a value under an annotation with a union comes back as the type that it was.

JSON has one text for a UUID and the text of one, and one number for a `Decimal` and a float: read
again, a union may choose the other. It is seen in what the annotation makes of the value itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from kit.model.article import with_article
from kit.model.attributes import fields_of, has_declared_fields
from kit.model.errors import PayloadError
from kit.model.roundtrip import PLAIN, SEQUENCES, Location

_CLASSES = {
    "date": date, "datetime": datetime, "time": time, "timedelta": timedelta, "uuid": UUID,
    "decimal": Decimal, "fraction": Fraction, "bytes": bytes, "complex": complex, "list": list,
    "tuple": tuple, "deque": deque, "set": set, "frozenset": frozenset,
}  # fmt: skip
"""What pydantic's schemas of these types are called; others name their class."""
_INNER = ("schema", "lax_schema", "strict_schema", "json_schema", "python_schema")
_SETS = (set, frozenset)

_known: WeakKeyDictionary[Any, frozenset[type]] = WeakKeyDictionary()


def check_choices(value: Any, back: Any, adapter: Any, what: str) -> None:
    """
    Accept *back* if the unions in an adapter's annotation chose the types that *value* has.

    Raises:
        PayloadError: If they chose another; it names the place within *what*, and what to do.
    """
    try:
        named = _known[adapter]
    except KeyError:
        named = _known[adapter] = frozenset(_named(adapter.core_schema))
    if not named:
        return
    try:
        direct = adapter.validate_python(value)
    except Exception:  # noqa: BLE001 - it takes this from JSON only, or has been used up
        return
    _compare(direct, back, named, Location(what))


def _compare(direct: Any, back: Any, named: frozenset[type], place: Location) -> None:
    kind = type(direct)
    if kind in PLAIN:
        return
    if type(back) is not kind and not named.isdisjoint(kind.__mro__):
        raise _of_another_type(kind.__name__, type(back).__name__, place)
    within = place._replace(is_made=True) if has_declared_fields(direct) else place
    for part, item, other in _parts(direct, back):
        _compare(item, other, named, within.at(part))
    if isinstance(direct, _SETS) and isinstance(back, _SETS):
        _compare_kinds(direct, back, named, place)


def _parts(direct: Any, back: Any) -> Iterable[tuple[Any, Any, Any]]:
    """Yield what is at the same place of both, and where."""
    if isinstance(direct, dict) and isinstance(back, dict):
        return ((key, item, back[key]) for key, item in direct.items() if key in back)
    if isinstance(direct, SEQUENCES) and isinstance(back, SEQUENCES):
        return ((at, *pair) for at, pair in enumerate(zip(direct, back, strict=False)))
    if has_declared_fields(direct) and has_declared_fields(back):
        others = fields_of(back)
        return (
            (name, item, others[name]) for name, item in fields_of(direct).items() if name in others
        )
    return ()


def _compare_kinds(
    direct: Iterable[Any], back: Iterable[Any], named: frozenset[type], place: Location
) -> None:
    kinds = {*map(type, back)}
    for item in direct:
        if type(item) not in kinds and not named.isdisjoint(type(item).__mro__):
            other = next(iter(kinds), type(None))
            raise _of_another_type(type(item).__name__, other.__name__, place)


def _named(schema: Any) -> Iterator[type]:
    """Yield the classes between which the unions of one of pydantic's schemas choose."""
    definitions: dict[str, Any] = {}
    nodes = [schema]
    unions = []
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if "choices" in node:
                unions.append(node)
            if "ref" in node:
                definitions[node["ref"]] = node
            nodes.extend(item for key, item in node.items() if key != "metadata")
        elif isinstance(node, (list, tuple)):
            nodes.extend(node)
    for union in unions:
        for choice in _choices(union):
            yield from _classes(choice, definitions)


def _choices(union: Any) -> Iterable[Any]:
    choices = union["choices"]
    each = choices.values() if isinstance(choices, dict) else choices
    return (choice[0] if isinstance(choice, tuple) else choice for choice in each)


def _classes(node: Any, definitions: dict[str, Any]) -> Iterator[type]:
    """Yield the classes that a choice stands for, not those of what it holds."""
    if not isinstance(node, dict):
        return
    if node.get("type") == "definition-ref":
        node = definitions.get(node["schema_ref"], {})
    found = _CLASSES.get(node.get("type", "")) or node.get("cls") or node.get("function")
    if isinstance(found, type):
        yield found
        return
    for inner in [*(node.get(key) for key in _INNER), *node.get("steps", ())]:
        yield from _classes(inner, definitions)


def _of_another_type(name: str, other: str, place: Location) -> PayloadError:
    where = "that field" if place.is_made else "the step's function"
    return PayloadError(
        f"{place} is {with_article(name)}, and would be {with_article(other)} after a replay: its"
        f" annotation allows both, and JSON does not tell them apart. Annotate {where} with"
        f" what it is ({name}), or return a model with a field that says which it is"
    )
