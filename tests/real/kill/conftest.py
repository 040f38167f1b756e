"""A project of a test's own, of which no process is left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.kill.project import Project


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    for process in project.started:
        if process.poll() is None:
            process.kill()
        process.communicate()
