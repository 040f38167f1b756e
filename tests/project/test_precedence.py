"""Settings: of all sources, which one counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kit.project.config import WorkflowConfig, load

NETLIFY = {"NETLIFY": "true", "CONTEXT": "production"}
SOURCES = ["argument", "environment", ".env", "file", "hosting", "default"]
VALUES: dict[str, tuple[str, Any, Any]] = {
    # field: how the value of the source X reads, what it becomes, the default
    "base_url": ("https://{}.example", "https://{}.example", None),
    "api_key": ("key-{}", "key-{}", None),
    "path": ("{}.db", "{}.db", ".kit/runs.db"),
    "folder": ("{}", "{}", "functions/workflows"),
}
ORIGINS = {
    "argument": "argument {field}",
    "environment": "environment WORKFLOW_{variable}",
    ".env": ".env WORKFLOW_{variable}",
    "file": "kit.yaml workflow.{camel}",
    "hosting": "Netlify ({found})",
    "default": "default",
}
FOUND = {"base_url": "URL", "api_key": "AWL_API_KEY"}
CAMEL = {"base_url": "baseUrl", "api_key": "apiKey"}


def _cases() -> list[tuple[str, list[str]]]:
    found = []
    for field in VALUES:
        known = [source for source in SOURCES if source != "hosting" or field in FOUND]
        found += [(field, known[start:]) for start in range(len(known))]
    return found


@pytest.mark.parametrize(("field", "given"), _cases())
def test_the_first_source_that_speaks_counts(
    root: Path, field: str, given: list[str], read: Any
) -> None:
    spelling, outcome, default = VALUES[field]
    value = {source: spelling.format(source.strip(".")) for source in SOURCES}
    camel, variable = CAMEL.get(field, field), field.upper()
    environ = dict(NETLIFY) if "hosting" in given else {}
    if "hosting" in given:
        environ[FOUND[field]] = value["hosting"]
    if "environment" in given:
        environ[f"WORKFLOW_{variable}"] = value["environment"]
    if ".env" in given:
        (root / ".env").write_text(f"WORKFLOW_{variable}={value['.env']}\n")
    text = f"workflow:\n  {camel}: {value['file']}\n" if "file" in given else ""
    arguments = {field: value["argument"]} if "argument" in given else {}

    found = read(root, text, environ, **arguments)

    actual = getattr(found.get_workflow(), field)
    actual = actual.get_secret_value() if isinstance(actual, SecretStr) else actual
    winner = given[0]
    assert actual == (default if winner == "default" else outcome.format(winner.strip(".")))
    assert str(found.origins[field]) == ORIGINS[winner].format(
        field=field, variable=variable, camel=camel, found=FOUND.get(field)
    )
    assert found.origins[field].kind == winner


def test_sources_complete_each_other(root: Path, read: Any) -> None:
    (root / ".env").write_text("export WORKFLOW_API_KEY='k'\nOTHER=x\n")

    found = read(
        root,
        "workflow:\n  store: blobs\n  concurrency: 5\n",
        {"WORKFLOW_DURABILITY": "normal", "WORKFLOW_CONCURRENCY": "7"},
        replay="always",
    )

    assert found.workflow == WorkflowConfig(
        api_key=SecretStr("k"), store="blobs", durability="normal", concurrency=7, replay="always"
    )


@pytest.mark.parametrize("name", ["BASE_URL", "NAME", "STORE", "PATH", "baseUrl", "workflow_store"])
def test_a_variable_without_the_prefix_fills_no_field(root: Path, name: str, read: Any) -> None:
    assert read(root, "", {name: "leak"}).workflow == WorkflowConfig()


def test_the_shell_leaks_nothing_when_an_environment_is_given(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Any,
) -> None:
    monkeypatch.setenv("WORKFLOW_STORE", "leak")
    (root / ".env").write_text("WORKFLOW_PATH=${WORKFLOW_STORE}.db\n")

    found = read(root)

    assert found.get_workflow().store == "awl"
    assert found.get_workflow().path == "${WORKFLOW_STORE}.db"


def test_without_arguments_the_process_speaks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"WORKFLOW_STORE": "blobs"})
    monkeypatch.chdir(root)

    found = load()

    assert found.get_workflow().store == "blobs"
    assert found.root.samefile(root)


def test_unknown_and_empty_variables_are_nobodys_error(root: Path, read: Any) -> None:
    environ = {"WORKFLOW_ID": "of another tool", "WORKFLOW_STORE": "", "WORKFLOW_API_KEY": ""}
    (root / ".env").write_text("WORKFLOW_OTHER=1\nWORKFLOW_REPLAY=\nWORKFLOW_PATH\n")

    assert read(root, "", environ).workflow == WorkflowConfig()


def test_an_argument_that_is_none_counts_as_not_given(root: Path, read: Any) -> None:
    found = read(root, "workflow: {store: blobs}", store=None)

    assert found.get_workflow().store == "blobs"


def test_an_argument_that_is_no_setting_is_a_programming_mistake(root: Path) -> None:
    with pytest.raises(TypeError, match=r"'base_ur'. Did you mean base_url\?"):
        load(root, environ={}, base_ur="https://x.example")
