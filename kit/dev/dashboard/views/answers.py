"""What was entered in a form, as a value; and what is wrong with it, at the field it concerns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from kit.dev.dashboard.views.fields import Field, form_of, pointer_of
from kit.dev.dashboard.views.schemas import MISSING, Kind, Path, Plain, Schema, Schemas
from kit.model.text import MAX_DEPTH, is_too_deep

Entries = Mapping[str, str]
"""
What a form sends, by the names of its fields: `input:` or `json:` and a pointer. `count:` says how
many items a list has, `on:` that an optional group is there; of two with one name, the last holds.
"""

_MOST_ITEMS = 1_000
"""Items a list in a form may have; more are entered as JSON."""


class Answers:
    """
    A form as it was sent: `value` is what was entered, `problems` says by path what is no answer.

    `value` holds `MISSING` where an item of a list was left open; there is a problem for each.
    """

    def __init__(self, schema: Schema | None, entries: Entries) -> None:
        self.problems: dict[Path, str] = {}
        self._schema = schema
        self._entries = entries
        if "json:" in entries or schema is None:
            self.value = self._from_json((), entries.get("json:", ""))
        else:
            self._schemas = Schemas(schema)
            self.value = self._value(self._schemas.plain(schema), (), 0, is_required=True)

    @property
    def input(self) -> Any:
        """The value as it is sent; None if nothing was entered."""
        return None if self.value is MISSING else self.value

    @property
    def mistakes(self) -> dict[Path, str]:
        """The problems with what was entered; not those with what was not, as yet."""
        typed = {
            name.partition(":")[2] for name, text in self._entries.items() if text and ":" in name
        }
        return {path: said for path, said in self.problems.items() if pointer_of(path) in typed}

    def form(
        self,
        issues: Sequence[Mapping[str, Any]] = (),
        *,
        is_sent: bool = True,
        as_json: bool = False,
    ) -> Field:
        """
        Return the form as it was filled, with what is wrong at the fields it concerns: problems,
        and *issues*, which are pydantic's. Until it *is_sent*, an empty field is not wrong.
        """
        whole = form_of(None if as_json else self._schema, self.value)
        paths = {field.path for field in whole.everything()}
        problems = self.problems if is_sent else self.mistakes
        said: dict[Path, list[str]] = {path: [text] for path, text in problems.items()}
        for issue in issues:
            place = _nearest(tuple(issue.get("loc", ())), paths)
            said.setdefault(place, []).append(str(issue.get("msg", "invalid")))
        return self._refilled(whole, {path: "; ".join(texts) for path, texts in said.items()})

    def _refilled(self, field: Field, said: Mapping[Path, str]) -> Field:
        """Put back what was typed where it was no answer, and say why it was not."""
        problem = said.get(field.path, "")
        if field.path in self.problems:
            kind: Kind = "json" if f"json:{field.pointer}" in self._entries else field.kind
            field = replace(field, kind=kind)
            field = replace(field, text=self._entries.get(field.name, field.text))
        inner = tuple(self._refilled(each, said) for each in field.fields)
        return replace(field, problem=problem, fields=inner)

    # reading

    def _value(self, plain: Plain, path: Path, depth: int, *, is_required: bool) -> Any:
        pointer = pointer_of(path)
        if f"json:{pointer}" in self._entries:
            return self._from_json(path, self._entries[f"json:{pointer}"], is_required)
        kind = plain.kind(depth)
        if kind == "group":
            return self._group(plain, path, depth, is_required=is_required)
        if kind == "list":
            return self._list(plain, path, depth, is_required=is_required)
        if kind == "fixed":
            return plain.schema.get("const", None if is_required else MISSING)
        text = self._entries.get(f"input:{pointer}")
        if text is None:  # the field was not there: a new item's
            return plain.default
        if not text.strip() and (kind not in ("text", "lines") or not text):
            return self._nothing(plain, kind, path, is_required=is_required)
        return self._read(plain, kind, path, text)

    def _group(self, plain: Plain, path: Path, depth: int, *, is_required: bool) -> Any:
        is_optional = bool(path) and (plain.is_nullable or not is_required)
        if (
            is_optional
            and isinstance(path[-1], str)
            and f"on:{pointer_of(path)}" not in self._entries
        ):
            return None if plain.is_nullable else MISSING
        required = plain.schema.get("required", ())
        found = {
            key: self._value(
                self._schemas.plain(inner), (*path, key), depth + 1, is_required=key in required
            )
            for key, inner in plain.schema["properties"].items()
        }
        return {key: value for key, value in found.items() if value is not MISSING}

    def _list(self, plain: Plain, path: Path, depth: int, *, is_required: bool) -> Any:
        text = self._entries.get(f"count:{pointer_of(path)}")
        if text is None:
            return plain.default
        count = min(int(text), _MOST_ITEMS) if text.isdecimal() else 0
        if not count and not is_required and plain.default in (MISSING, None, []):
            return MISSING
        items = self._schemas.plain(plain.schema["items"])
        found = [self._value(items, (*path, i), depth + 1, is_required=True) for i in range(count)]
        for index, value in enumerate(found):
            if value is MISSING:
                self.problems.setdefault((*path, index), "Field required")
        return found

    def _nothing(self, plain: Plain, kind: Kind, path: Path, *, is_required: bool) -> Any:
        """Return what an empty field means."""
        is_default = plain.default is MISSING or plain.default is None
        if plain.is_nullable:
            return MISSING if not is_required and is_default else None
        if kind in ("text", "lines") and (is_required or not is_default):
            return ""
        if is_required:
            self.problems[path] = "Field required"
        return MISSING

    def _read(self, plain: Plain, kind: Kind, path: Path, text: str) -> Any:
        if kind in ("integer", "number"):
            return self._number(kind, path, text.strip())
        if kind == "yes-no":
            return text == "true"
        if kind == "choice":
            choices = plain.schema["enum"]
            known = text.isdecimal() and int(text) < len(choices)
            return choices[int(text)] if known else self._refused(path, "Choose one of these")
        return text.replace("\r\n", "\n")

    def _number(self, kind: Kind, path: Path, text: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        allowed = int if kind == "integer" else (int, float)
        is_number = isinstance(value, allowed) and not isinstance(value, bool)
        if not is_number or (isinstance(value, float) and not math.isfinite(value)):
            what = "a whole number" if kind == "integer" else "a number, such as 1.5"
            return self._refused(path, f"This is to be {what}")
        return value

    def _from_json(self, path: Path, text: str, is_required: bool = False) -> Any:
        if not text.strip():
            return self._refused(path, "Field required") if is_required else MISSING
        try:
            value = json.loads(text, parse_constant=_no_constant)
            is_deep = is_too_deep(value, text.count("[") + text.count("{"))
        except ValueError as error:
            return self._refused(path, f"This is no JSON: {error}")
        except RecursionError:
            is_deep = True
        if is_deep:
            return self._refused(path, f"This is nested more than {MAX_DEPTH} deep")
        return value

    def _refused(self, path: Path, why: str) -> Any:
        self.problems[path] = why
        return MISSING


def with_item(entries: Entries, pointer: str) -> Entries:
    """Return *entries* with one more item in the list at *pointer*."""
    count = entries.get(f"count:{pointer}", "0")
    return {**entries, f"count:{pointer}": str((int(count) if count.isdecimal() else 0) + 1)}


def without_item(entries: Entries, pointer: str) -> Entries:
    """Return *entries* without the item at *pointer*; those after it move up."""
    parent, _, last = pointer.rpartition("/")
    count = entries.get(f"count:{parent}", "")
    if not (last.isdecimal() and count.isdecimal() and int(last) < int(count)):
        return entries
    kept = dict(_moved(entries, parent, int(last)))
    return {**kept, f"count:{parent}": str(int(count) - 1)}


def _moved(entries: Entries, parent: str, removed: int) -> Iterator[tuple[str, str]]:
    inside = re.compile(rf"([a-z]+:){re.escape(parent)}/(\d+)(/.*)?", re.DOTALL)
    for name, text in entries.items():
        found = inside.fullmatch(name)
        if found is None or int(found[2]) < removed:
            yield name, text
        elif int(found[2]) > removed:
            yield f"{found[1]}{parent}/{int(found[2]) - 1}{found[3] or ''}", text


def _nearest(location: Path, paths: AbstractSet[Path]) -> Path:
    """
    Return the field a location of pydantic's is about, or the one around it.

    Its locations name the branches of unions besides keys and indexes; a form does not.
    """
    found: Path = ()
    for part in location:
        found = (*found, part) if (*found, part) in paths else found
    return found


def _no_constant(name: str) -> Any:
    msg = f"{name} is not in JSON"
    raise ValueError(msg)
