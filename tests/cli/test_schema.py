"""`kit schema`: prints, writes and compares the JSON Schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from kit.cli.app import app
from kit.model.errors import WorkflowNotFoundError
from kit.project.schemas import SCHEMAS

FILES = [f"schemas/{name}.schema.json" for name in ("kit", "event", "run", "runs")]
WORKFLOW = '''
from pydantic import BaseModel
from kit.model.workflow import Workflow

class Draft(BaseModel):
    title: str

def publish(input: Draft) -> None:
    """Publish."""

workflow = Workflow(publish)
'''


@pytest.fixture(name="root", autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the current folder, and an environment that says nothing."""
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kit(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(app, ["schema", *arguments], **options)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_printed(name: str) -> None:
    result = kit(name)

    assert result.exit_code == 0
    assert json.loads(result.stdout) == SCHEMAS[name]()


def test_the_schema_of_a_workflows_input_is_printed(root: Path) -> None:
    folder = root / "functions" / "workflows"
    folder.mkdir(parents=True)
    (folder / "schema_cmd_draft.py").write_text(WORKFLOW)

    result = kit("schema-cmd-draft")

    assert result.exit_code == 0, result
    assert json.loads(result.stdout)["required"] == ["title"]


def test_a_name_that_is_neither_is_not_found() -> None:
    assert isinstance(kit("nothing").exception, WorkflowNotFoundError)


def test_all_files_are_written_below_the_project(root: Path, monkeypatch: Any) -> None:
    (root / "below").mkdir()
    monkeypatch.chdir(root / "below")

    result = kit("--write")

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [f"{file}: written" for file in FILES]
    assert all((root / file).is_file() for file in FILES)
    assert kit("--write").stderr == "every schema is up to date\n"
    assert kit("--check").exit_code == 0


def test_one_file_is_written() -> None:
    assert json.loads(kit("run", "--write", "--json").stdout) == {"written": [FILES[2]]}
    assert kit("run", "--check").exit_code == 0
    assert kit("event", "--check").exit_code == 1


def test_a_check_names_the_file_that_has_drifted(root: Path) -> None:
    kit("--write")
    (root / FILES[1]).write_text("{}")

    result = kit("--check")

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{FILES[1]}: drifted",
        "error: run `kit schema --write` and commit what it changes",
    ]
    as_json = kit("--check", "--json")
    assert (as_json.exit_code, as_json.stderr) == (1, "")
    assert json.loads(as_json.stdout) == {"drifted": [FILES[1]]}


def test_only_the_files_that_are_there_are_compared_and_those_that_are_named(root: Path) -> None:
    assert json.loads(kit("--check", "--json").stdout) == {"drifted": [], "missing": FILES}
    kit("config", "--write")

    assert kit("--check").exit_code == 0
    result = kit("event", "--check")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == f"{FILES[1]}: missing"

    (root / FILES[0]).write_text("{}")
    assert kit("--check").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name one of config, event, run, runs or a workflow"),
        (["--write", "--check"], "exclude each other"),
        (["publish-draft", "--write"], "is not kept as a file"),
    ],
)
def test_wrong_use_ends_with_status_2(arguments: list[str], says: str) -> None:
    result = kit(*arguments, env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
