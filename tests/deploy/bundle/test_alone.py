import os
from pathlib import Path

import pytest

from kit.deploy.bundle.alone import alone
from kit.deploy.bundle.build import build
from kit.deploy.bundle.options import BuildOptions
from kit.model.errors import BuildError
from kit.project.config import load


def test_a_second_build_is_told_who_is_at_work(tmp_path: Path) -> None:
    says = rf"another kit build \(process {os.getpid()}\) is at work here"
    with alone(tmp_path / ".kit"):
        with pytest.raises(BuildError, match=says) as refused, alone(tmp_path / ".kit"):
            pass  # pragma: no cover - not reached
        assert refused.value.code == "BUILD_UNDERWAY"
        with alone(tmp_path / "other"):
            pass


def test_a_build_that_has_ended_or_failed_is_in_nobodys_way(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone(tmp_path):
        raise ZeroDivisionError
    with alone(tmp_path):
        pass


def test_a_lock_that_nobody_has_signed_yet_is_one(tmp_path: Path) -> None:
    with alone(tmp_path):
        os.truncate(tmp_path / "build.lock", 0)
        with pytest.raises(BuildError, match="a process that has just begun"), alone(tmp_path):
            pass  # pragma: no cover - not reached


def test_where_there_are_no_locks_nobody_is_kept_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with alone(tmp_path), alone(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".kit").write_text("")
    with (
        pytest.raises(BuildError, match=r"build\.lock cannot be written"),
        alone(tmp_path / ".kit"),
    ):
        pass  # pragma: no cover - not reached


def test_a_build_keeps_others_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    options = BuildOptions(load(), {})
    with alone(tmp_path / ".kit"), pytest.raises(BuildError, match="at work here"):
        build(options)
