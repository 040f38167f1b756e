import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from kit.cli.app import app
from kit.model.errors import ConfigError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", *arguments], catch_exceptions=False)


def test_the_files_go_to_standard_output_and_what_is_next_to_standard_error() -> None:
    result = invoke("my site")
    assert result.exit_code == 0
    paths = result.stdout.splitlines()
    assert "my site/functions/workflows/publish_draft.py" in paths
    assert all(Path(path).is_file() for path in paths)
    assert "cd 'my site'" in result.stderr
    assert "kit run publish-draft" in result.stderr
    assert "pytest" in result.stderr


def test_here_needs_no_change_of_folder() -> None:
    result = invoke(".")
    assert Path("kit.yaml").is_file()
    assert "kit.yaml" in result.stdout.splitlines()
    assert "cd " not in result.stderr


def test_json_lists_the_files(tmp_path: Path) -> None:
    result = invoke("site", "--name", "Other", "--json")
    printed = json.loads(result.stdout)
    assert printed["directory"] == str(tmp_path / "site")
    assert "kit.yaml" in printed["files"]
    assert result.stderr == ""
    assert json.loads(Path("site/package.json").read_text())["name"] == "other"


def test_a_conflict_is_an_error_of_the_projects_own() -> None:
    Path("kit.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"already has kit\.yaml"):
        invoke(".")


def test_a_folder_must_be_named() -> None:
    assert invoke().exit_code == 2
