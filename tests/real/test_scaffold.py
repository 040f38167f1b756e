"""What `kit init` writes, judged by the tools its owner would use."""

import os
import subprocess
import sys
from pathlib import Path

from kit.project.scaffold import init


def in_project(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        capture_output=True,
        text=True,
        # a user's project has pytest without the plugins that are installed here
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


def test_its_tests_pass(tmp_path: Path) -> None:
    init(tmp_path / "site")
    done = in_project(tmp_path / "site", "pytest", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_its_code_is_formatted_and_typed(tmp_path: Path) -> None:
    init(tmp_path)
    for check in (["ruff", "check"], ["ruff", "format", "--check"]):
        done = in_project(tmp_path, *check, "--no-cache", "functions", "tests")
        assert done.returncode == 0, done.stdout + done.stderr
    strict = ["mypy", "--strict", "--explicit-package-bases", "--cache-dir=/dev/null"]
    done = in_project(tmp_path, *strict, "functions", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
