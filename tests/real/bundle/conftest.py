"""Projects that are not built, or to be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.bundle import project as projects
from tests.real.bundle.project import Project


@pytest.fixture
def new(demo: Project, tmp_path: Path) -> Project:
    """The same project, not built; but its interpreter is at hand."""
    project = projects.new(tmp_path / "somewhere" / "else", demo.builder)
    projects.share_cache(demo.root, project.root)
    return project


@pytest.fixture
def site(demo: Project, tmp_path: Path) -> Project:
    """
    A copy of the built project, to be changed: what stays the same is not built again.

    Interpreter and packages are the same files: a build makes them anew, or gives them other times.
    """
    return demo.copy(tmp_path / "site", shared=True)
