import json
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from kit.cli.app import app
from kit.cli.commands import list as list_cmd
from kit.model.errors import WorkflowDisabledError

DEFINE = "from kit.client.definition import define_workflow\n"
PLAIN = f"{DEFINE}@define_workflow\nasync def run():\n    '''Do it.\n\n    More.'''\n"
RICH = f"""{DEFINE}
@define_workflow(timeout="1.5h", max_retries=1, background=True, checkpoints="gather")
def run(): ...
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workflows folder of an empty project, which is the current folder."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "functions/workflows"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["list", *arguments], catch_exceptions=False)


def test_each_workflow_is_listed_with_file_policy_and_first_line(folder: Path) -> None:
    (folder / "do_it.py").write_text(PLAIN)
    (folder / "rich.py").write_text(RICH)
    result = invoke()
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines == [
        "NAME FILE POLICY WHAT IT DOES",
        "do-it functions/workflows/do_it.py 4 retries Do it.",
        "rich functions/workflows/rich.py 1 retry, timeout 1:30:00, background,"
        " checkpoints gathered",
    ]


def test_columns_are_aligned_in_a_pipe(folder: Path) -> None:
    (folder / "a.py").write_text(PLAIN)
    (folder / "much_longer.py").write_text(PLAIN)
    starts = {line.index(" f" if " f" in line else " F") for line in invoke().stdout.splitlines()}
    assert len(starts) == 1


def test_json_holds_everything(folder: Path) -> None:
    (folder / "broken.py").write_text("(")
    (folder / "rich.py").write_text(RICH)
    result = invoke("--json")
    assert result.exit_code == 1
    assert result.stderr == ""
    printed = json.loads(result.stdout)
    assert printed["workflows"] == [
        {
            "name": "rich",
            "path": "functions/workflows/rich.py",
            "description": "",
            "timeout": 5400.0,
            "maxRetries": 1,
            "background": True,
            "checkpoints": "gather",
        }
    ]
    (error,) = printed["errors"]
    assert error["code"] == "WORKFLOW_IMPORT_FAILED"
    assert error["details"] == {"path": "functions/workflows/broken.py"}


def test_broken_files_come_after_the_others_and_the_exit_status_is_one(folder: Path) -> None:
    (folder / "broken.py").write_text("x = 1\nx.nothing\n")
    (folder / "empty.py").write_text("")
    (folder / "fine.py").write_text(PLAIN)
    result = invoke()
    assert result.exit_code == 1
    assert "fine" in result.stdout
    assert "broken" not in result.stdout
    assert (
        "error: functions/workflows/broken.py cannot be imported: AttributeError" in result.stderr
    )
    assert 'broken.py", line 2' in result.stderr
    assert "error: functions/workflows/empty.py defines no workflow" in result.stderr


def test_no_workflows_says_where_it_looked_and_how_to_begin(folder: Path) -> None:
    result = invoke()
    assert result.exit_code == 0
    assert result.stdout == ""
    assert f"functions/workflows in {folder.parent.parent}" in result.stderr
    assert "kit init" in result.stderr


def test_no_workflows_as_json_is_an_empty_list(folder: Path) -> None:
    assert json.loads(invoke("--json").stdout) == {"workflows": [], "errors": []}


def test_what_a_file_prints_does_not_spoil_the_output(folder: Path) -> None:
    (folder / "noisy.py").write_text(f"print('noise')\n{PLAIN}")
    result = invoke("--json")
    assert json.loads(result.stdout)["workflows"][0]["name"] == "noisy"
    assert "noise" in result.stderr


def test_workflows_switched_off_are_not_listed(folder: Path) -> None:
    (folder.parent.parent / "kit.yaml").write_text("workflow: false\n")
    with pytest.raises(WorkflowDisabledError):
        invoke()


def test_a_terminal_gets_a_table(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "do_it.py").write_text(PLAIN.replace("Do it.", "Do [it]."))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    list_cmd.list_workflows(as_json=False)
    head, row = capsys.readouterr().out.splitlines()
    assert "\x1b[1mNAME" in head
    assert row.split() == ["do-it", "functions/workflows/do_it.py", "4", "retries", "Do", "[it]."]


def test_a_handler_that_takes_its_context_first_is_listed_with_what_a_handler_takes(root, kit):
    (root / "functions/workflows/swapped.py").write_text(
        "from kit import Context, define_workflow\n\n"
        "@define_workflow\nasync def swapped(context: Context, input: dict): ...\n"
    )
    said = kit("list")

    assert said.status == 1
    assert "swapped.py cannot be imported" in said.err
    assert "a handler is called with (input, context), (input) or nothing" in said.err
    assert "pydantic" not in said.err


def test_an_annotation_that_no_input_could_be_checked_against_is_listed_as_wrong(root, kit):
    for name, annotation in {"later": "'Nope'", "five": "5", "own": "Own", "fine": "int"}.items():
        (root / f"functions/workflows/{name}.py").write_text(
            "from kit import define_workflow\nclass Own: ...\n"
            f"@define_workflow\nasync def handler(input: {annotation}): ...\n"
        )
    said = kit("list")

    assert said.status == 1
    for path in ("five.py", "later.py", "own.py"):
        assert f"error: functions/workflows/{path}: its input cannot be checked: " in said.err
    assert "errors.pydantic.dev" not in said.err
    assert [each["details"]["path"][20:] for each in kit("list", "--json").json["errors"]] == [
        "five.py",
        "later.py",
        "own.py",
    ]
    said = kit("run", "own", "--data", "{}")
    assert (said.status, len(said.err.splitlines())) == (1, 1)
    assert "Use a model, a dataclass, a TypedDict or a plain type" in said.err
