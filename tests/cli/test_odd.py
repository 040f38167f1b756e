"""What a user meets whose input, files or workflows are odd."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.model.run import Run
from tests.cli.conftest import Kit, Said
from tests.support.stored import Stored

HEAD = """
from pathlib import Path
from kit.client.definition import define_workflow

def note(line):
    with open("log", "a") as log:
        log.write(line + "\\n")

"""
ECHO = "@define_workflow\ndef echo(input): return len(input)\n"


class Project:
    """A project in the current folder, and the command in it."""

    def __init__(self, root: Path, kit: Kit) -> None:
        self.root = root
        self.path = root / ".kit/runs.db"
        self.kit: Callable[..., Said] = kit

    def workflow(self, name: str, text: str) -> None:
        (self.root / f"functions/workflows/{name}.py").write_text(HEAD + text)

    def log(self) -> list[str]:
        file = self.root / "log"
        return file.read_text().splitlines() if file.exists() else []

    def run(self) -> Run:
        run: Run
        (run,) = Stored(self.path).runs()
        return run


@pytest.fixture(name="project")
def _project(root: Path, kit: Kit) -> Project:
    return Project(root, kit)


def test_a_mebibyte_of_input_is_nothing_special(project: Project) -> None:
    project.workflow("echo", ECHO)
    (project.root / "big.json").write_text(json.dumps("x" * 2**20))
    done = project.kit("run", "echo", "--data", "@big.json")
    assert (done.status, done.out) == (0, f"{2**20}\n")
    shown = project.kit("runs", "show", project.run().id).out
    assert len(shown) < 2000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("workflow:\n\tpath: x\n", "kit.yaml line 2.*tab"),
        ("workflow:\n  concurrency: many\n", "kit.yaml line 2.*concurrency.*whole number"),
        ("workflow:\n  conurrency: 5\n", "kit.yaml line 2.*Did you mean concurrency"),
    ],
)
def test_settings_that_are_wrong_say_where_and_how(project: Project, text: str, why: str) -> None:
    project.workflow("echo", ECHO)
    (project.root / "kit.yaml").write_text(text)
    for command in (["run", "echo"], ["runs"], ["runs", "resume"]):
        done = project.kit(*command)
        assert done.status == 1
        assert re.search(why, done.err, re.IGNORECASE)
        assert "Traceback" not in done.err
    assert not project.path.parent.exists()


def test_a_file_that_is_no_run_file_is_left_alone(project: Project) -> None:
    project.workflow("echo", ECHO)
    project.path.parent.mkdir()
    project.path.write_bytes(b"my only copy " * 1000)
    for command in (["run", "echo", "--data", '""'], ["runs"]):
        done = project.kit(*command)
        assert done.status == 1
        assert "is not a SQLite file" in done.err
        assert "Traceback" not in done.err
    assert project.path.read_bytes() == b"my only copy " * 1000


def test_a_file_of_another_program_is_left_alone(project: Project) -> None:
    project.workflow("echo", ECHO)
    project.path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(project.path)) as connection:
        connection.execute("CREATE TABLE precious (thing)")
    for command in (["run", "echo", "--data", '""'], ["runs"]):
        done = project.kit(*command)
        assert done.status == 1
        assert "is a SQLite file of another program" in done.err
    with contextlib.closing(sqlite3.connect(project.path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]


def test_a_step_id_that_is_too_long_is_not_tried_twice(project: Project) -> None:
    text = "await context.step.run('x' * 10_000, note, 'ran')"
    project.workflow("long", f"@define_workflow\nasync def long(input, context):\n    {text}\n")
    done = project.kit("run", "long")
    assert done.status == 1
    assert "a step id of 10000 characters is too long: at most 255" in done.err
    assert len(done.err) < 3000
    assert project.log() == []
    assert project.run().attempt == 0


SWALLOWS = """
@define_workflow
async def swallows(input, context):
    for n in range(3):
        try:
            await context.step.sleep(f"nap-{n}", 0.01)
            await context.step.run(f"step-{n}", note, str(n))
        except BaseException:
            pass
    return "done"
"""


def test_a_handler_that_swallows_everything_still_comes_to_its_end(project: Project) -> None:
    project.workflow("swallows", SWALLOWS)
    done = project.kit("run", "swallows")
    assert (done.status, done.out) == (0, '"done"\n')
    assert project.log() == ["0", "1", "2"]


DIES = """
@define_workflow(max_retries=2, backoff=["10 ms"])
async def dies(input, context):
    await context.step.run("once", note, "once")
    def boom():
        note(f"attempt {context.attempt}")
        if not Path("mended").exists():
            raise LookupError("nothing there")
        return "mended"
    return await context.step.run("boom", boom)
"""


def test_what_always_fails_is_a_dead_letter_and_may_be_retried(project: Project) -> None:
    project.workflow("dies", DIES)
    assert project.kit("run", "dies").status == 1
    assert project.log() == ["once", "attempt 0", "attempt 1", "attempt 2"]
    (dead,) = json.loads(project.kit("runs", "--status", "failed", "--json").out)
    assert dead["error"]["message"] == "nothing there"
    shown = project.kit("runs", "show", dead["id"]).out
    assert shown.count("LookupError: nothing there") >= 3
    assert 'dies.py", line' in shown
    assert project.kit("runs", "retry", dead["id"]).status == 1
    (project.root / "mended").touch()
    done = project.kit("runs", "retry", dead["id"])
    assert (done.status, done.out) == (0, '"mended"\n')
    assert project.log().count("once") == 1
    assert project.log().count("attempt 0") == 3
