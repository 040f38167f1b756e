"""The JSON Schemas: true to what the code takes and gives, and to the files in schemas/."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import ConfigError, PayloadError
from kit.model.event import Event
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus
from kit.model.workflow import Workflow
from kit.netlify.events import event_to_json
from kit.project.config import load
from kit.project.files import camel_case
from kit.project.schemas import (
    SCHEMAS,
    config_schema,
    event_schema,
    file_name,
    has_drifted,
    input_schema,
    run_schema,
    schema_of,
    write,
)
from kit.project.settings import WorkflowConfig
from kit.store.json import run_to_json

PROJECT = Path(__file__).parents[2]
ID = "0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11"
FAILURE = Failure("ValueError", "no", "Traceback …", "a", "STEP_FAILED")


def is_valid(schema: dict[str, Any], value: Any) -> bool:
    # through JSON, as other programs see it
    return Draft202012Validator(schema).is_valid(json.loads(json.dumps(value)))


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_files_in_the_repository_are_up_to_date(name: str) -> None:
    assert not has_drifted(PROJECT, name), "run `make schema`"


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_a_schema_and_names_its_file(name: str) -> None:
    schema = SCHEMAS[name]()

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == file_name(name)
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_is_described(name: str) -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        found = [] if "description" in schema else [path]
        for key, inner in schema.get("properties", {}).items():
            found += undescribed(inner, f"{path}.{key}")
        for inner in schema.get("anyOf", []):
            found += undescribed(inner, f"{path}|")
        return found

    assert undescribed(SCHEMAS[name](), name) == []


def test_writing_changes_only_what_has_drifted(tmp_path: Path) -> None:
    assert has_drifted(tmp_path, "run")
    assert write(tmp_path, "run")

    assert not has_drifted(tmp_path, "run")
    assert not write(tmp_path, "run")
    (tmp_path / "schemas" / "run.schema.json").write_text("{}\n")
    assert has_drifted(tmp_path, "run")


def test_the_schema_has_every_setting_with_its_default() -> None:
    section = config_schema()["properties"]["workflow"]["anyOf"][0]

    defaults = {key: found.get("default") for key, found in section["properties"].items()}
    assert defaults == {
        camel_case(name): [] if field.default == () else field.default
        for name, field in WorkflowConfig.model_fields.items()
    }
    assert section["properties"]["store"]["enum"] == ["awl", "blobs"]


def test_the_repositorys_own_file_is_valid() -> None:
    text = (PROJECT / "kit.yaml").read_text(encoding="utf-8")

    assert text.startswith("# yaml-language-server: $schema=./schemas/kit.schema.json\n")
    assert is_valid(config_schema(), yaml.safe_load(text))
    assert load(PROJECT, environ={}).file == PROJECT / "kit.yaml"


def test_every_commented_setting_of_the_repositorys_file_is_one() -> None:
    lines = (PROJECT / "kit.yaml").read_text(encoding="utf-8").splitlines()
    settings = [
        line.replace("# ", "", 1) for line in lines if line.startswith("  # ") and ": " in line
    ]
    keys = {line.partition(":")[0].strip() for line in settings} & set(
        config_schema()["properties"]["workflow"]["anyOf"][0]["properties"]
    )

    assert keys == {"baseUrl", "provider", "path", "durability", "replay", "concurrency", "folder"}


def test_the_documentation_names_every_setting_and_its_variable() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")

    for name in WorkflowConfig.model_fields:
        assert f"| `{camel_case(name)}` | `WORKFLOW_{name.upper()}` |" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "workflow:",
        "workflow: {}",
        "workflow: false",
        "workflow: {baseUrl: https://x.example, apiKey: k, provider: netlify, store: blobs}",
        "workflow: {baseUrl: 'HTTP://localhost:8888/x'}",
        "workflow: {path: a.db, durability: normal, replay: always, concurrency: 1, folder: f}",
        "workflow: {bundle: per-workflow, python: '3.13'}",
        "workflow: {retention: 30 days}",
        "workflow: {retention: 1.5h}",
        "workflow: {python: '3.11.7'}",
    ],
)
def test_what_the_kit_takes_the_schema_takes(tmp_path: Path, text: str) -> None:
    (tmp_path / "kit.yaml").write_text(text)

    load(tmp_path, environ={})
    assert is_valid(config_schema(), yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "text",
        "workflows: {}",
        "workflow: true",
        "workflow: 1",
        "workflow: []",
        "workflow: {stroe: awl}",
        "workflow: {base_url: https://x.example}",
        "workflow: {store: awll}",
        "workflow: {store: null}",
        "workflow: {store: AWL}",
        "workflow: {provider: vercel}",
        "workflow: {provider: null}",
        "workflow: {concurrency: '5'}",
        "workflow: {concurrency: 0}",
        "workflow: {retention: 30}",
        "workflow: {retention: long}",
        "workflow: {concurrency: 10001}",
        "workflow: {concurrency: 1.5}",
        "workflow: {baseUrl: x.example}",
        "workflow: {baseUrl: ftp://x.example}",
        "workflow: {apiKey: 5}",
        "workflow: {apiKey: ''}",
        "workflow: {path: ''}",
        "workflow: {folder: []}",
        "workflow: {bundle: each}",
        "workflow: {python: 3.13}",
        "workflow: {python: '3.10'}",
        "workflow: {python: '3.13.x'}",
    ],
)
def test_what_the_schema_refuses_the_kit_refuses(tmp_path: Path, text: str) -> None:
    (tmp_path / "kit.yaml").write_text(text)

    assert not is_valid(config_schema(), yaml.safe_load(text))
    with pytest.raises(ConfigError):
        load(tmp_path, environ={})


@pytest.mark.parametrize(
    "event",
    [
        Event(name="a", data=None, id=ID),
        Event(name="päth/name", data=[1, {"b": None}], id=ID, due=5, priority=50, chain=("x",)),
        Event(name="a", data="x", id=ID.upper(), priority=-50),
    ],
)
def test_every_event_fits_its_schema(event: Event) -> None:
    assert is_valid(event_schema(), event_to_json(event, base_url="https://x.example"))
    assert is_valid(event_schema(), event_to_json(event))


@pytest.mark.parametrize(
    "change",
    [
        {"eventName": ""},
        {"eventName": "x" * 382},
        {"eventId": "1"},
        {"eventId": ID.replace("-4", "-5")},
        {"priority": 51},
        {"priority": 1.5},
        {"delayUntil": "5 minutes"},
        {"eventChain": "a"},
        {"event_name": "a"},
    ],
)
def test_a_malformed_event_does_not_fit(change: dict[str, Any]) -> None:
    assert not is_valid(event_schema(), {"eventName": "a", **change})
    assert not is_valid(event_schema(), {"data": 1})


@pytest.mark.parametrize("status", RunStatus)
def test_every_run_fits_its_schema(status: RunStatus) -> None:
    checkpoints = [
        Checkpoint(kind, kind, text, started=1, ended=ended)
        for kind in CheckpointKind
        for text in (None, '{"value":null}', '{"error":{"type":"E"}}')
        for ended in (0, 9)
    ]
    attempts = [Attempt(0, 5, FAILURE, 5000), Attempt(1, 6, FAILURE, None)]
    runs = [
        Run(ID, "w", status, "null"),
        Run(ID, "w", status, "{}", 3, 9, -50, 1, 2, 3, '"x"', FAILURE, ("a",), "key"),
    ]

    for run in runs:
        assert is_valid(run_schema(), run_to_json(run))
        assert is_valid(run_schema(), run_to_json(run, checkpoints, attempts))


@pytest.mark.parametrize(
    "change", [{"status": "done"}, {"attempt": -1}, {"due_at": 1}, {"error": 1}]
)
def test_a_malformed_run_does_not_fit(change: dict[str, Any]) -> None:
    good = dict(run_to_json(Run(ID, "w", RunStatus.QUEUED, "null")))

    assert not is_valid(run_schema(), {**good, **change})
    for key in good:
        assert not is_valid(run_schema(), {k: v for k, v in good.items() if k != key})


def test_a_type_no_record_has_is_a_programming_mistake() -> None:
    assert schema_of(Annotated[int, "How many."]) == {"type": "integer", "description": "How many."}
    with pytest.raises(TypeError, match="no place in a record"):
        schema_of(bytes)


class Draft(BaseModel):
    title: str = Field("Untitled draft", description="What it is called.")


def takes_model(input: Draft | None, context: Any) -> None: ...
def takes_anything(input, context): ...  # type: ignore[no-untyped-def]
def takes_nothing() -> None: ...
def takes_code(input: inspect.Signature) -> None: ...
def takes_what_is_not_there(input: Missing) -> None: ...  # type: ignore[name-defined] # noqa: F821


def test_a_workflows_input_has_the_schema_of_its_annotation() -> None:
    schema = input_schema(Workflow(takes_model, name="publish-draft"))

    assert schema["title"] == "Input of publish-draft"
    assert schema["$defs"]["Draft"]["properties"]["title"]["description"] == "What it is called."
    assert is_valid(schema, {"title": "x"})
    assert is_valid(schema, None)
    assert not is_valid(schema, {"title": 1})


def test_an_input_without_annotation_may_be_anything() -> None:
    assert is_valid(input_schema(Workflow(takes_anything)), {"a": [1]})


def test_a_workflow_without_input_takes_null() -> None:
    schema = input_schema(Workflow(takes_nothing))

    assert is_valid(schema, None)
    assert not is_valid(schema, {})


@pytest.mark.parametrize("handler", [takes_code, takes_what_is_not_there])
def test_an_input_json_cannot_have_is_refused_naming_the_workflow(handler: Any) -> None:
    with pytest.raises(PayloadError, match=r"the input of 'takes-.*' has no JSON Schema"):
        input_schema(Workflow(handler))
