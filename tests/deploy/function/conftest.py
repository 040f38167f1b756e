"""A bundle, and the streams that a child puts its own in the place of."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from tests.support.function_child import write_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path)


@pytest.fixture(autouse=True)
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give back what the child puts in the place of the process's own."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    monkeypatch.setattr(sys, "path", [*sys.path])
    level = logging.getLogger("kit").level
    monkeypatch.setattr(logging.getLogger("kit"), "level", level)
