import functools
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from kit.cli import app
from tests.support.cli_runs import WORKFLOWS


class Said(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> object:
        return json.loads(self.out)


Kit = Callable[..., Said]

# typer reads the signatures of all commands whenever it is called: once is enough for a process
_get_command = functools.cache(typer.main.get_command)


@pytest.fixture(name="root")
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the current folder."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "functions/workflows").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {"PATH": "", "TERM": "xterm"})
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture(name="kit")
def _kit(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kit:
    """Calls `kit` in the project, as the installed command does."""

    monkeypatch.setattr("typer.main.get_command", _get_command)

    def kit(*arguments: str, stdin: bytes = b"", terminal: bool = False) -> Said:
        monkeypatch.setattr(sys, "argv", ["kit", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
        with pytest.raises(SystemExit) as exited:
            app.run()
        captured = capsys.readouterr()
        return Said(int(exited.value.code or 0), captured.out, captured.err)

    return kit


@pytest.fixture(name="path")
def _path(root: Path) -> Path:
    """The run file of a project with workflows."""
    for name, text in WORKFLOWS.items():
        (root / f"functions/workflows/{name}.py").write_text(text)
    return root / ".kit/runs.db"
