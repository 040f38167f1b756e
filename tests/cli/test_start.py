"""What a command loads: what it does not need is not imported, however it comes about."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALLED = """
import sys
sys.argv = ["kit", *sys.argv[1:]]
from kit.cli.__main__ import main
try:
    main()
except SystemExit as exited:
    sys.stderr.write(f"{exited.code or 0}")
sys.stderr.write("\\n" + " ".join(sys.modules))
"""
SERVERS = {"starlette", "uvicorn", "jinja2", "watchfiles", "kit.dev"}
RUNNING = {
    "httpx",
    "rich",
    "kit.engine",
    "kit.execution",
    "kit.client",
    "kit.testing",
    "kit.deploy",
}
READING = {"pydantic", "sqlite3", "yaml", "kit.project", "kit.store", "asyncio", "logging"}
IDLE = {"tomllib"}
COMMANDS = {f"kit.cli.commands.{name}" for name in ("build", "dev", "doctor", "events", "send")}


def loaded(root: Path, *arguments: str, status: str = "0") -> set[str]:
    """Return the modules loaded once `kit` has done what is asked of it in *root*."""
    (root / "pyproject.toml").write_text("[project]\ndependencies = ['netlify-workflow-kit']\n")
    done = subprocess.run(
        [sys.executable, "-c", CALLED, *arguments],
        cwd=root,
        env={"PATH": os.environ["PATH"], "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    exited, modules = done.stderr.splitlines()[-2:]
    assert exited == status, done.stderr
    return set(modules.split())


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (["--version"], SERVERS | RUNNING | READING | COMMANDS | {"kit.cli.commands.runs"}),
        (["--help"], SERVERS | RUNNING | READING | {"kit.cli.commands.runs.showing"}),
        (
            ["runs", "--json"],
            SERVERS | RUNNING | COMMANDS | IDLE | {"kit.cli.commands.runs.stopping"},
        ),
        (["runs"], SERVERS | RUNNING | COMMANDS | IDLE),
        (["config", "--json"], SERVERS | RUNNING | COMMANDS | IDLE | {"kit.cli.commands.runs"}),
        (["list"], SERVERS | COMMANDS | (RUNNING - {"kit.client"})),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_command_loads_nothing_of_what_only_others_need(root, arguments, needless):
    assert loaded(root, *arguments) & needless == set()


def test_running_a_workflow_loads_no_server_no_build_and_no_network(path):
    found = loaded(path.parents[1], "run", "echo", "--fast")
    assert "kit.engine" in found
    assert found & (SERVERS | COMMANDS | {"httpx", "rich", "kit.deploy", "kit.testing"}) == set()


def test_what_sends_loads_httpx_without_the_command_line_it_brings_along(root):
    site = ["--base-url", "http://127.0.0.1:9", "--api-key", "k"]
    found = loaded(root, "events", "delete", "no-id", *site, status="2")
    assert "httpx" in found
    assert found & (SERVERS | {"rich", "pygments", "kit.engine", "kit.store"}) == set()
