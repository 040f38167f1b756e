import os
import stat
from pathlib import Path

import pytest

from kit.deploy.bundle.tree import (
    EPOCH,
    Size,
    copy_file,
    digest_of,
    discard,
    files_in,
    move_into_place,
    settle,
    sizes,
    stamp,
)


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "b").mkdir(parents=True)
    (tree / "b" / "c.txt").write_text("c")
    (tree / "a.txt").write_text("a" * 1000)
    return tree


def test_files_come_in_order(tree: Path) -> None:
    assert list(files_in(tree)) == ["a.txt", "b/c.txt"]


def test_settled_files_have_one_time_and_plain_modes(tree: Path) -> None:
    (tree / "a.txt").chmod(0o600)
    (tree / "b" / "c.txt").chmod(0o700)
    (tree / "empty" / "emptier").mkdir(parents=True)

    settle(tree)

    modes = {path: stat.S_IMODE((tree / path).stat().st_mode) for path in files_in(tree)}
    assert modes == {"a.txt": 0o644, "b/c.txt": 0o755}
    assert {path.stat().st_mtime for path in tree.rglob("*")} == {EPOCH}
    assert not (tree / "empty").exists()


def test_a_copy_keeps_whether_a_file_can_be_executed(tree: Path, tmp_path: Path) -> None:
    (tree / "a.txt").chmod(0o4775)

    copy_file(tree / "a.txt", tmp_path / "new" / "a")

    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == 0o755


def test_a_stamp_changes_with_any_touch(tree: Path) -> None:
    before = stamp(tree)
    assert stamp(tree) == before

    os.utime(tree / "a.txt", (EPOCH, EPOCH))

    assert stamp(tree) != before


def test_a_digest_tells_names_and_contents_apart() -> None:
    digests = {
        digest_of([("a", b"b")]),
        digest_of([("ab", b"")]),
        digest_of([("a", b""), ("b", b"")]),
        digest_of([]),
    }
    assert len(digests) == 4


def test_what_was_in_a_place_is_gone(tree: Path, tmp_path: Path) -> None:
    place = tmp_path / "place" / "it"
    (place / "old").mkdir(parents=True)

    move_into_place(tree, place)

    assert list(files_in(place)) == ["a.txt", "b/c.txt"]
    assert not tree.exists()


def test_links_are_removed_and_not_followed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)

    discard(tmp_path / "link")
    discard(tmp_path / "nothing")

    assert list(files_in(tree)) == ["a.txt", "b/c.txt"]


def test_sizes_are_told_by_owner(tree: Path) -> None:
    found = sizes(tree, {"b": "package b"}, "other")

    assert set(found) == {"package b", "other"}
    assert found["other"].unzipped == 1000
    assert found["other"].zipped < 200
    assert found["package b"] + Size(1, 1) == Size(2, found["package b"].zipped + 1)
