"""`kit config`: every value, where it came from, and never the key."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kit.cli.app import app, run
from kit.cli.commands import config as config_cmd

SECRET = "s3cret-key"


@pytest.fixture(name="root")
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the current folder, and an environment that says nothing."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    return tmp_path


def output(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["config", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    assert SECRET not in result.output
    return result.stdout


def test_every_setting_is_shown_with_where_it_came_from(root: Path) -> None:
    (root / "kit.yaml").write_text("workflow:\n  baseUrl: http://[::1]:8888/x\n  store: blobs\n")
    (root / ".env").write_text(f"WORKFLOW_API_KEY={SECRET}\n")

    lines = [line.split(maxsplit=1) for line in output().splitlines()]

    # the columns are as wide as their widest value; one blank is enough to compare
    assert {name: " ".join(rest.split()) for name, rest in lines} == {
        "SETTING": "VALUE FROM",
        "baseUrl": "http://[::1]:8888 kit.yaml workflow.baseUrl",
        "apiKey": "set (hidden) .env WORKFLOW_API_KEY",
        "provider": "netlify baseUrl is set (kit.yaml workflow.baseUrl)",
        "store": "blobs kit.yaml workflow.store",
        "path": ".kit/runs.db default",
        "durability": "full default",
        "replay": "pauses default",
        "retention": "not set default",
        "concurrency": "100 default",
        "folder": "functions/workflows default",
        "include": "none default",
        "bundle": "shared default",
        "python": "not set default",
        "hosting": "not Netlify none of NETLIFY, NETLIFY_LOCAL, NETLIFY_DEV, KIT_ENTRY is set",
        "file": str(root / "kit.yaml"),
    }


def test_hosting_is_explained(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"NETLIFY": "true", "CONTEXT": "production", "URL": "https://x.example"}
    monkeypatch.setattr("os.environ", {**environ, "AWL_API_KEY": SECRET})

    shown = " ".join(output().split())

    assert "baseUrl https://x.example Netlify (URL)" in shown
    assert "apiKey set (hidden) Netlify (AWL_API_KEY)" in shown
    assert "hosting Netlify, context production NETLIFY is set" in shown
    assert shown.endswith("file none found")


def test_json_says_the_same(root: Path) -> None:
    (root / "kit.yaml").write_text(f"workflow: {{apiKey: {SECRET}}}\n")

    found = json.loads(output("--json"))

    settings = found.pop("settings")
    assert settings["apiKey"] == {"value": "set (hidden)", "origin": "kit.yaml workflow.apiKey"}
    assert settings["baseUrl"] == {"value": None, "origin": "default"}
    assert settings["concurrency"] == {"value": 100, "origin": "default"}
    assert found == {
        "enabled": True,
        "root": str(root),
        "file": "kit.yaml",
        "hosting": {
            "isNetlify": False,
            "reason": "none of NETLIFY, NETLIFY_LOCAL, NETLIFY_DEV, KIT_ENTRY is set",
            "context": None,
        },
    }


def test_workflows_switched_off_are_shown_as_off(root: Path) -> None:
    (root / "kit.yaml").write_text("workflow: false\n")

    assert "workflow false kit.yaml workflow: false" in " ".join(output().split())
    assert json.loads(output("--json"))["enabled"] is False


def test_on_a_terminal_it_is_a_table(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "kit.yaml").write_text("workflow: {baseUrl: 'http://[::1]'}\n")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    config_cmd.config(as_json=False)

    shown = capsys.readouterr().out
    assert "http://[::1]" in shown
    assert "SETTING" in shown


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_wrong_settings_end_with_status_1_and_the_message(
    root: Path,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (root / "kit.yaml").write_text("workflow: {stroe: awl}\n")
    monkeypatch.setattr(sys, "argv", ["kit", "config", *arguments])

    with pytest.raises(SystemExit) as caught:
        run()

    shown = capsys.readouterr()
    assert caught.value.code == 1
    assert "Did you mean store?" in (shown.out if arguments else shown.err)
