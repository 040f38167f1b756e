"""A workflow file that starts something while it is imported is refused at once."""

import subprocess
import sys
from pathlib import Path

import pytest

PLAIN = "sync.run_workflow('work', 1)"
WAYS = {
    "by_name": PLAIN,
    "a_definition": "sync.run_workflow(work, 1)",
    "an_event": "sync.send_event('work', 1)",
    "asking": "sync.get_workflow_run('0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11')",
    "listing": "sync.list_workflows()",
    "by_what_it_imports": "import helper",
    "on_a_loop": "asyncio.run(kit.run_workflow(work, 1))",
}
FILE = """
import asyncio, kit
from kit import define_workflow, sync

@define_workflow
def work(input: int):
    return input

{}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "kit.yaml").write_text("workflow:\n  durability: normal\n")
    (tmp_path / "functions/workflows").mkdir(parents=True)
    (tmp_path / "helper.py").write_text("from kit import sync\nsync.run_workflow('work', 1)\n")
    return tmp_path


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=project, timeout=50
    )


def test_it_is_refused_naming_the_file_and_the_line_as_is_what_it_imports(project: Path) -> None:
    for name, way in WAYS.items():
        (project / f"functions/workflows/{name}.py").write_text(FILE.format(way))
    done = python(project, "-m", "kit.cli", "list")

    assert done.returncode == 1
    for name in WAYS:
        assert f"{name}.py cannot be imported" in done.stderr
        assert f"{name}.py line 9 starts or asks for runs while the file is imported" in done.stderr


def test_a_program_that_imports_such_a_file_hears_the_same(project: Path) -> None:
    (project / "functions/workflows/work.py").write_text(FILE.format(PLAIN))
    done = python(project, "-c", "import functions.workflows.work")

    assert done.returncode == 1
    assert "work.py line 9 starts or asks" in done.stderr


def test_a_module_that_is_no_workflow_file_may(project: Path) -> None:
    (project / "functions/workflows/work.py").write_text(FILE.format(""))
    done = python(project, "-c", "import helper; print('started')")

    assert done.stdout == "started\n"


def test_a_workflow_file_that_is_run_as_a_program_may(project: Path) -> None:
    main = "if __name__ == '__main__':\n    print(sync.run_workflow(work, 1).result(50))"
    (project / "functions/workflows/work.py").write_text(FILE.format(main))
    done = python(project, "functions/workflows/work.py")

    assert (done.stdout, done.stderr) == ("1\n", "")
