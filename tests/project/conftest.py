"""A project's folder, and what `load` makes of its settings."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kit.model.errors import ConfigError
from kit.project.config import Config, load


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's folder; the `.git` keeps the search from leaving it."""
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.fixture
def read() -> Callable[..., Config]:
    """Load the settings of a project whose kit.yaml is the given text."""
    return _read


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Return what `load` says of settings it refuses; the key is never in it."""
    return _refusal


def _read(
    root: Path, text: str = "", environ: Mapping[str, str] | None = None, **arguments: Any
) -> Config:
    if text:
        (root / "kit.yaml").write_text(text, encoding="utf-8")
    return load(root, environ=environ or {}, **arguments)


def _refusal(
    root: Path, text: str = "", environ: Mapping[str, str] | None = None, **arguments: Any
) -> str:
    with pytest.raises(ConfigError) as caught:
        _read(root, text, environ, **arguments)
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown + repr(caught.value.__context__)
    return caught.value.message


@pytest.fixture
def left_as_it_was() -> Iterator[None]:
    """Put back what importing a project's files has done to this process."""
    path, meta = list(sys.path), list(sys.meta_path)
    yield
    sys.path[:], sys.meta_path[:] = path, meta
