"""A form made from a JSON Schema and a value: which field asks for what, and what stands in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from kit.dev.dashboard.views.schemas import MISSING, Kind, Path, Plain, Schema, Schemas
from kit.dev.dashboard.views.values import set_in_lines


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field, or a group or list of them.

    `path` is its place in the value. `text` is what stands in it: of a `yes-no`, `true`, `false` or
    nothing; of a `choice`, the index in `choices`. `may_be_left_out` is true of an optional group,
    and `is_left_out` if it is. `problem` is what is wrong with it.
    """

    kind: Kind
    path: Path
    label: str
    text: str = ""
    description: str = ""
    hint: str = ""
    is_required: bool = False
    may_be_nothing: bool = False
    may_be_left_out: bool = False
    is_left_out: bool = False
    choices: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    problem: str = ""

    @property
    def pointer(self) -> str:
        """Its place in the value, as a JSON pointer."""
        return pointer_of(self.path)

    @property
    def name(self) -> str:
        """Its name in the form."""
        return f"{'json' if self.kind == 'json' else 'input'}:{self.pointer}"

    @property
    def id(self) -> str:
        """Its id in the page, made of characters that need no care."""
        return "-".join(["field", *(_plain(str(part)) for part in self.path)])

    def everything(self) -> Iterator[Field]:
        """Yield it and all below it."""
        yield self
        for field in self.fields:
            yield from field.everything()


def pointer_of(path: Path) -> str:
    """Return *path* as a JSON pointer: `/items/0`; nothing for the whole."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def form_of(schema: Schema | None, value: Any = MISSING) -> Field:
    """Return the form for *schema*, filled with *value*, else with defaults; JSON without one."""
    if schema is None:
        return Field("json", (), "Input", _json(value), hint="JSON; empty for no input")
    schemas = Schemas(schema)
    plain = schemas.plain(schema)
    given = plain.default if value is MISSING else value
    return replace(_Maker(schemas).field(plain, (), "Input", given, 0), is_required=True)


@dataclass(frozen=True, slots=True)
class _Maker:
    schemas: Schemas

    def field(self, plain: Plain, path: Path, label: str, value: Any, depth: int) -> Field:
        if value is None and plain.is_nullable:
            value = MISSING
        kind = plain.kind(depth, value)
        schema = plain.schema
        found = Field(
            kind,
            path,
            label,
            _text(kind, schema, value),
            str(schema.get("description") or ""),
            _hint(kind, schema),
            may_be_nothing=plain.is_nullable,
            choices=tuple(map(_choice, schema["enum"])) if kind == "choice" else (),
        )
        if kind == "group":
            return replace(found, fields=tuple(self._members(schema, path, value, depth)))
        if kind == "list":
            return replace(found, fields=tuple(self._items(schema, path, value, depth)))
        return found

    def _members(self, schema: Schema, path: Path, value: Any, depth: int) -> Iterator[Field]:
        given = {} if value is MISSING else value
        for key, inner in schema["properties"].items():
            plain, is_required = self.schemas.plain(inner), key in schema.get("required", ())
            # a referenced model's own title says less than the key
            label = str(inner.get("title") or key.replace("_", " ").capitalize())
            inside = given.get(key, plain.default)
            found = self.field(plain, (*path, key), label, inside, depth + 1)
            is_group = found.kind == "group" and (plain.is_nullable or not is_required)
            yield replace(
                found,
                is_required=is_required,
                may_be_nothing=plain.is_nullable or (not is_required and plain.default is MISSING),
                may_be_left_out=is_group,
                is_left_out=is_group and (inside is MISSING or inside is None),
            )

    def _items(self, schema: Schema, path: Path, value: Any, depth: int) -> Iterator[Field]:
        plain = self.schemas.plain(schema["items"])
        for index, item in enumerate([] if value is MISSING else value):
            found = self.field(plain, (*path, index), f"Item {index + 1}", item, depth + 1)
            yield replace(found, is_required=True)


def _plain(part: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in part)


def _text(kind: Kind, schema: Schema, value: Any) -> str:
    if kind == "fixed":
        return json.dumps(schema.get("const"), ensure_ascii=False)
    if value is MISSING or kind in ("group", "list"):
        return ""
    if kind == "choice":
        same = [i for i, each in enumerate(schema["enum"]) if repr(each) == repr(value)]
        return str(same[0]) if same else ""
    return value if isinstance(value, str) and kind != "json" else _json(value)


def _json(value: Any) -> str:
    if value is MISSING:
        return ""
    # an item of a list that was left open is null
    return set_in_lines(json.dumps(value, ensure_ascii=False, default=lambda _: None))


def _choice(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minLength", "{} characters or more"),
    ("maxLength", "{} characters at most"),
    ("minItems", "{} or more"),
    ("maxItems", "{} at most"),
    ("pattern", "matches {}"),
)
_EXAMPLES = {
    "date-time": "such as 2027-01-31T09:00:00Z",
    "email": "an e-mail address",
    "uri": "an address, with https://",
    "uuid": "a UUID",
    "duration": "such as PT30S",
}


def _hint(kind: Kind, schema: Schema) -> str:
    said = [text.format(schema[key]) for key, text in _BOUNDS if key in schema]
    example = _EXAMPLES.get(str(schema.get("format")))
    return ", ".join([*said, *filter(None, [example]), *(["JSON"] if kind == "json" else [])])
