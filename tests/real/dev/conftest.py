"""`kit dev` as one starts it: a process of a test's own, or one for those who only send."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import respx

from tests.real.dev.project import FAST, make_project
from tests.support.kit_dev import KitDev


@pytest.fixture(autouse=True)
def _outside(network: respx.MockRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in no project; requests to this machine are let through."""
    network.route(host="127.0.0.1").pass_through()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ".git").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def dev(project: Path) -> Iterator[KitDev]:
    """A server of a test's own."""
    with KitDev(project, environ=FAST) as dev:
        yield dev


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KitDev]:
    """A server for those who only send something."""
    with KitDev(make_project(tmp_path_factory.mktemp("served")), environ=FAST) as dev:
        yield dev
