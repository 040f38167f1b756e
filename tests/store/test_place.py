"""Where a run file lies that is named by a symbolic link."""

import os
from pathlib import Path

import pytest

from kit.model.errors import StoreError
from kit.store.sqlite.place import place
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.schema import connect

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need rights there")


def test_a_file_that_is_no_link_lies_where_it_is_named(path: Path) -> None:
    assert place(path) == path
    assert place(Path("runs.db")) == Path("runs.db")


def test_a_link_to_a_link_lies_at_the_end_of_both_if_anything_is_there_or_not(path: Path) -> None:
    path.with_name("second").symlink_to("sub/runs.db")
    path.symlink_to("second")
    assert place(path) == path.parent.resolve() / "sub" / "runs.db"


def test_a_loop_of_links_is_told_when_it_is_opened(path: Path) -> None:
    path.symlink_to(path.name)
    assert place(path) == path
    with pytest.raises(StoreError):
        Reader(path)


def test_who_reads_by_the_link_reads_the_target(path: Path) -> None:
    connect(path).close()
    link = path.with_name("link.db")
    link.symlink_to(path.name)
    reader = Reader(link)
    assert reader.path == path.resolve()
    reader.close()
