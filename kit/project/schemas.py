"""
JSON Schemas (draft 2020-12) of the configuration, of events, of runs, and of a workflow's input.

Each is made from what the code itself goes by: the settings' model, the `TypedDict`s of events and
runs, a handler's annotation. The files in `schemas/` are copies for editors and other programs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    NotRequired,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from pydantic import PydanticUserError, TypeAdapter

from kit.model.errors import PayloadError
from kit.model.workflow import Workflow, annotation_of, input_parameter
from kit.netlify.events import EventJson
from kit.project.files import camel_case
from kit.project.settings import WorkflowConfig
from kit.store.json import RunJson, RunPageJson

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = "schemas"
Schema = dict[str, Any]

_TYPES = {str: "string", int: "integer", NoneType: "null"}


def config_schema() -> Schema:
    """Return the schema of `kit.yaml`; `[tool.kit]` has the same shape."""
    model = WorkflowConfig.model_json_schema()
    section = {
        "type": ["object", "null"],
        "description": "The settings.",
        "properties": {camel_case(k): _setting(v) for k, v in model["properties"].items()},
        "additionalProperties": False,
    }
    off = {"const": False, "description": "Switches workflows off: nothing is built or sent."}
    return {
        **_head("kit", "Netlify Workflow Kit", "Settings: kit.yaml, or [tool.kit]."),
        "type": ["object", "null"],
        "properties": {
            "workflow": {
                "description": "The settings of workflows, or false to switch them off.",
                "anyOf": [section, off],
            }
        },
        "additionalProperties": False,
    }


def event_schema() -> Schema:
    """Return the schema of an event on its way to a Netlify site."""
    return {**_head("event", "Event", ""), **schema_of(EventJson)}


def run_schema() -> Schema:
    """Return the schema of a run, as `kit runs show --json` prints it."""
    return {**_head("run", "Run", ""), **schema_of(RunJson)}


def runs_schema() -> Schema:
    """Return the schema of a page of runs, as the runs API of a site answers it."""
    return {**_head("runs", "Runs", ""), **schema_of(RunPageJson)}


SCHEMAS: Mapping[str, Callable[[], Schema]] = {
    "config": config_schema,
    "event": event_schema,
    "run": run_schema,
    "runs": runs_schema,
}
"""The schemas kept as files, by the name `kit schema` knows them under."""


def input_schema(workflow: Workflow[..., Any]) -> Schema:
    """
    Return the schema of what *workflow* takes as its input.

    Raises:
        PayloadError: If the input's annotation has no JSON form.
    """
    name = workflow.event_name
    head = {"$schema": DIALECT, "title": f"Input of {name}"}
    parameter = input_parameter(workflow.handler)
    if parameter is None:
        return {**head, "description": "The workflow takes no input.", "type": "null"}
    try:
        adapter = TypeAdapter(annotation_of(workflow.handler, parameter.name))
        return {**adapter.json_schema(), **head}
    except (PydanticUserError, TypeError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        msg = f"the input of {name!r} has no JSON Schema: {reason}. Annotate it with a model"
        raise PayloadError(msg) from error


def schema_of(shape: Any) -> Schema:
    """
    Return the schema of a `TypedDict`, or of what one may hold.

    In `Annotated`, a text is the description and a dictionary holds further keywords.

    Raises:
        TypeError: If *shape* is something no record on the wire has.
    """
    if get_origin(shape) is Annotated:
        return _annotated(shape)
    if is_typeddict(shape):
        return _typed_dict(shape)
    if shape is Any:
        return {}
    if isinstance(shape, type) and issubclass(shape, StrEnum):
        return {"type": "string", "enum": [member.value for member in shape]}
    if get_origin(shape) is list:
        return {"type": "array", "items": schema_of(get_args(shape)[0])}
    if get_origin(shape) is UnionType:
        return _nullable(schema_of(get_args(shape)[0]))
    if shape in _TYPES:
        return {"type": _TYPES[shape]}
    msg = f"{shape!r} has no place in a record on the wire"
    raise TypeError(msg)


def file_name(name: str) -> str:
    """Return the name of the file that keeps the schema *name*."""
    return f"{'kit' if name == 'config' else name}.schema.json"


def text_of(schema: Schema) -> str:
    """Return *schema* as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(root: Path, name: str) -> bool:
    """Write the schema *name* below *root*; tell whether the file was changed."""
    if not has_drifted(root, name):
        return False
    path = root / FOLDER / file_name(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text_of(SCHEMAS[name]()), encoding="utf-8", newline="\n")
    return True


def is_there(root: Path, name: str) -> bool:
    """Tell whether there is a file of the schema *name*."""
    return (root / FOLDER / file_name(name)).is_file()


def has_drifted(root: Path, name: str) -> bool:
    """Tell whether the file of the schema *name* is missing or says something else."""
    path = root / FOLDER / file_name(name)
    return not is_there(root, name) or path.read_text(encoding="utf-8") != text_of(SCHEMAS[name]())


def _head(name: str, title: str, description: str) -> Schema:
    head = {"$schema": DIALECT, "$id": file_name(name), "title": title}
    return {**head, "description": description} if description else head


def _setting(found: Schema) -> Schema:
    """Say what pydantic says of a field the way a file has it: plain, and without null."""
    (kind, *_) = found.pop("anyOf", [{}])
    merged = {**kind, **found}
    if merged.get("default", "") is None:
        del merged["default"]  # absent, which a file says by leaving the key out
    for noise in ("title", "format", "writeOnly"):
        merged.pop(noise, None)
    return merged


def _annotated(shape: Any) -> Schema:
    inner, *notes = get_args(shape)
    found = schema_of(inner)
    for note in notes:
        found |= {"description": note} if isinstance(note, str) else note
    return found


def _typed_dict(shape: Any) -> Schema:
    hints = get_type_hints(shape, include_extras=True)
    optional = {key for key, hint in hints.items() if get_origin(hint) is NotRequired}
    return {
        "type": "object",
        "description": shape.__doc__,
        "properties": {
            key: schema_of(get_args(hint)[0] if key in optional else hint)
            for key, hint in hints.items()
        },
        "required": [key for key in hints if key not in optional],
        "additionalProperties": False,
    }


def _nullable(found: Schema) -> Schema:
    return {**found, "type": [found["type"], "null"]}
