"""Reading a JSON Schema as far as a form needs it: what kind of field asks for what it allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]

Kind = Literal[
    "text", "lines", "number", "integer", "yes-no", "choice", "date", "time", "group", "list",
    "json", "fixed",
]  # fmt: skip
"""Kinds of fields. What no other fits is asked for as `json`; `fixed` asks for nothing."""

_DEEPEST = 6
"""Levels of groups and lists; what lies deeper, such as a tree, is asked for as JSON."""

_LONG = 200
"""Characters from which a text has a field of several lines."""


class _Missing:
    """No value at all, which null is not."""


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Plain:
    """A schema without references and without null; `is_nullable` says that null was allowed."""

    schema: Mapping[str, Any]
    is_nullable: bool

    @property
    def default(self) -> Any:
        """What a value is if nobody says, or `MISSING`."""
        return self.schema.get("default", MISSING)

    def kind(self, depth: int, value: Any = MISSING) -> Kind:
        """
        Return what kind of field asks for this, *depth* levels below the whole.

        A field for *value* must be able to show it: what the schema does not foresee is JSON.
        """
        kind = "json" if depth >= _DEEPEST else _kind(self.schema)
        if value is MISSING or kind in ("choice", "fixed"):
            return kind
        if not _shows(kind, value) or (kind == "group" and not self._knows_all(value)):
            return "json"
        is_long = kind == "text" and ("\n" in value or len(value) > _LONG)
        return "lines" if is_long else kind

    def _knows_all(self, value: Mapping[str, Any]) -> bool:
        return set(value) <= set(self.schema["properties"])


@dataclass(frozen=True, slots=True)
class Schemas:
    """A schema's root, to which the references within it belong."""

    root: Schema

    def plain(self, schema: Schema) -> Plain:
        """Return *schema*, which is the root or lies in it, in its plain form."""
        found, nullable = self._dereferenced(dict(schema)), False
        for key in ("anyOf", "oneOf"):
            options = found.get(key)
            if isinstance(options, list):
                kept = [each for each in options if each.get("type") != "null"]
                nullable = nullable or len(kept) < len(options)
                if len(kept) == 1:
                    del found[key]
                    found = self._dereferenced({**kept[0], **found})
        types = found.get("type")
        if isinstance(types, list):
            named = [each for each in types if each != "null"]
            nullable = nullable or len(named) < len(types)
            found["type"] = named[0] if len(named) == 1 else named
        return Plain(found, nullable)

    def _dereferenced(self, schema: dict[str, Any]) -> dict[str, Any]:
        alternatives = schema.get("allOf")
        if isinstance(alternatives, list) and len(alternatives) == 1:
            del schema["allOf"]
            schema = {**alternatives[0], **schema}
        for _ in range(_DEEPEST):
            reference = schema.pop("$ref", None)
            if not isinstance(reference, str):
                break
            schema = {**self._target(reference), **schema}
        return schema

    def _target(self, reference: str) -> Schema:
        found: Any = self.root
        for part in reference.removeprefix("#").split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
        return found if isinstance(found, Mapping) else {}


def _kind(schema: Schema) -> Kind:
    if "const" in schema or schema.get("type") == "null":
        return "fixed"
    if isinstance(schema.get("enum"), list):
        return "choice"
    reader = _READERS.get(str(schema.get("type")))
    return reader(schema) if reader else "json"


def _kind_of_text(schema: Schema) -> Kind:
    # a moment is a text: the browser's own field for it would drop the time zone
    if schema.get("format") in ("date", "time"):
        return "date" if schema["format"] == "date" else "time"
    return "lines" if schema.get("maxLength", 0) > _LONG else "text"


def _kind_of_object(schema: Schema) -> Kind:
    properties = schema.get("properties")
    return "group" if isinstance(properties, Mapping) and properties else "json"


def _kind_of_array(schema: Schema) -> Kind:
    items = schema.get("items")
    return (
        "list" if isinstance(items, Mapping) and items and "prefixItems" not in schema else "json"
    )


_READERS: Mapping[str, Any] = {
    "string": _kind_of_text,
    "integer": lambda _: "integer",
    "number": lambda _: "number",
    "boolean": lambda _: "yes-no",
    "object": _kind_of_object,
    "array": _kind_of_array,
}

_SHOWN: Mapping[Kind, type | tuple[type, ...]] = {
    "text": str,
    "lines": str,
    "date": str,
    "time": str,
    "integer": int,
    "number": (int, float),
    "yes-no": bool,
    "group": Mapping,
    "list": list,
}


def _shows(kind: Kind, value: Any) -> bool:
    if isinstance(value, bool) and kind != "yes-no":
        return kind == "json"
    return isinstance(value, _SHOWN.get(kind, object))
