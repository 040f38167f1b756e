"""Whether the run file is still the one that was opened, seen at the cost of one look."""

import os
import shutil
from pathlib import Path

import pytest

from kit.model.errors import StoreError
from kit.store.sqlite.watched_file import WatchedFile

SECOND = 10**9
NOW = 1_795_000_000 * SECOND


class Looks:
    """Counts how often it was looked more closely; raises when told to."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = False

    def __call__(self) -> None:
        self.count += 1
        if self.fails:
            raise StoreError("no", path="")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "kit").mkdir()
    return tmp_path / "kit" / "runs.db"


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def watched(path: Path) -> WatchedFile:
    for each in (path, log_of(path)):
        each.touch()
    set_changed(path.parent, NOW - 4 * SECOND)
    return WatchedFile(path, lambda: NOW)


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def set_changed(folder: Path, when: int) -> None:
    os.utime(folder, ns=(when, when))


@pytest.mark.skipif(os.name == "nt", reason="folders are not believed there")
def test_a_folder_in_which_nothing_happens_is_believed(watched: WatchedFile, looks: Looks) -> None:
    watched.check(1, looks)
    watched.check(1, looks)
    assert looks.count == 1
    watched.check(2, looks)
    assert looks.count == 2, "the file was opened again"


@pytest.mark.parametrize(
    "when", [NOW + SECOND, NOW, NOW - SECOND // 100 - 1, NOW - 2 * SECOND, NOW + SECOND // 3]
)
def test_a_folder_that_has_just_changed_is_not_believed(
    path: Path, watched: WatchedFile, looks: Looks, when: int
) -> None:
    """What happens next in it may get the same time, the longer where whole seconds are kept."""
    set_changed(path.parent, when)
    for _ in range(3):
        watched.check(1, looks)
    assert looks.count == 3


def test_a_folder_in_which_something_is_amiss_is_looked_at_again(
    watched: WatchedFile, looks: Looks
) -> None:
    looks.fails = True
    for _ in range(2):
        with pytest.raises(StoreError):
            watched.check(1, looks)


@pytest.mark.parametrize("which", ["file", "log", "folder"])
@pytest.mark.parametrize("replaced", [False, True])
def test_what_is_deleted_or_replaced_in_a_folder_that_was_believed_is_told(
    path: Path, watched: WatchedFile, which: str, replaced: bool
) -> None:
    watched.check(1)
    lost = {"file": path, "log": log_of(path), "folder": path.parent}[which]
    lost.rename(lost.with_name("elsewhere"))
    if replaced:
        elsewhere = lost.with_name("elsewhere")
        (shutil.copytree if elsewhere.is_dir() else shutil.copy)(elsewhere, lost)
    for _ in range(2):
        with pytest.raises(StoreError, match="deleted or replaced"):
            watched.check(1)
