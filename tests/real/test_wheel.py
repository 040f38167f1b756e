"""The built wheel, alone in an empty environment: as a user has it after `pip install`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.deploy.bundle import uv

REPOSITORY = Path(__file__).parents[2]
KEPT = (
    "PATH",
    "HOME",
    "PIP_",
    "UV_",
    "SSL_",
    "HTTP",
    "http",
    "NO_PROXY",
    "no_proxy",
    "LANG",
    "TMPDIR",
)
PROGRAM = """
import kit, kit.sync, kit.testing, sys

for module in (kit, kit.sync, kit.testing):
    for name in module.__all__:
        assert getattr(module, name) is not None, name

@kit.define_workflow
async def greet(input: str, context: kit.Context) -> str:
    name = await context.step.run("name", lambda: input.title())
    await context.step.sleep("pause", "1 millisecond")
    return f"Hello, {name}"

assert kit.testing.play(greet, "ada").result == "Hello, Ada"
run = kit.sync.run_workflow(greet, "grace")
assert run.result(60) == "Hello, Grace"
assert not {"typer", "starlette", "pytest"} & set(sys.modules)
print(kit.__file__)
"""
WORKFLOW = """
from kit import define_workflow

@define_workflow
def greet(input: str) -> str:
    return f"Hello, {input}"
"""


def tell(*command: str | Path, cwd: Path) -> str:
    """Run *command* as a shell without any of this environment would, and return what it says."""
    environ = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    tell(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=REPOSITORY)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path) -> Path:
    """An environment with the wheel and what it depends on, and nothing else."""
    return install(wheel.parent / "alone", str(wheel))


def install(environment: Path, requirement: str) -> Path:
    """Install with uv, which takes a fifth of pip's processor time for the same."""
    if not environment.exists():
        tell(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment.parent)
    environ = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    where = ["--python", str(environment / "bin" / "python"), "--link-mode", "copy"]
    arguments = ["pip", "install", *where, *uv.indexes(environ), requirement]
    uv.run(arguments, cwd=environment.parent, environ=environ)
    return environment


def test_it_imports_and_runs_a_workflow_with_nothing_else_installed(
    environment: Path, tmp_path: Path
) -> None:
    said = tell(environment / "bin" / "python", "-c", PROGRAM, cwd=tmp_path)

    assert Path(said.strip()).is_relative_to(environment)


def test_its_command_says_what_it_needs(environment: Path, tmp_path: Path) -> None:
    done = subprocess.run([environment / "bin" / "kit"], capture_output=True, text=True)

    assert done.returncode != 0
    assert "netlify-workflow-kit[dev]" in done.stderr


@pytest.fixture(scope="module")
def commands(wheel: Path) -> Path:
    """Where the commands of its extra are."""
    return install(wheel.parent / "command", f"{wheel}[dev]") / "bin"


def test_with_its_extra_the_command_helps_and_runs(commands: Path, tmp_path: Path) -> None:
    kit = commands / "kit"
    (tmp_path / "functions/workflows").mkdir(parents=True)
    (tmp_path / "functions/workflows/greet.py").write_text(WORKFLOW)

    assert "build" in tell(kit, "--help", cwd=tmp_path)
    assert tell(kit, "run", "greet", "--data", '"Ada"', cwd=tmp_path) == '"Hello, Ada"\n'


def test_with_its_extra_the_first_steps_of_the_readme_succeed(
    commands: Path, tmp_path: Path
) -> None:
    tell(commands / "kit", "init", "my-workflows", cwd=tmp_path)
    project = tmp_path / "my-workflows"
    data = '{"title": "Ship weekly digest"}'
    said = tell(commands / "kit", "run", "publish-draft", "--data", data, "--fast", cwd=project)

    assert '"title": "Ship weekly digest"' in said
    assert "2 passed" in tell(commands / "pytest", cwd=project)
