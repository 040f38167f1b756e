"""A process that has a run file open may fork at any moment; neither side spoils the other's."""

import contextlib
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from kit.store.sqlite.connection import Connection
from kit.store.sqlite.reader import Reader, RunRequest
from kit.store.sqlite.schema import connect
from tests.support.children import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def insert(path: Path, run_id: str) -> None:
    with contextlib.closing(connect(path)) as sqlite:
        sqlite.execute("INSERT INTO requests (run_id, what, at) VALUES (?, 'stop', 1)", (run_id,))


def locks_of_this_process() -> list[str]:
    lines = Path("/proc/locks").read_text().splitlines()
    return [line for line in lines if f" {os.getpid()} " in line]


def test_parent_and_child_go_on_with_connections_of_their_own(path: Path) -> None:
    connection = Connection(lambda: connect(path))
    reader = Reader(path)
    assert reader.requests() == []

    def act() -> None:
        insert(path, "child")
        assert reader.requests() == [RunRequest("child", "stop")]
        if Path("/proc/locks").exists():
            assert locks_of_this_process(), "the child writes without a lock"

    assert in_child(act) == 0
    with connection as sqlite:
        sqlite.execute("INSERT INTO requests (run_id, what, at) VALUES ('parent', 'stop', 1)")
    assert connection.opened == 2
    assert len(reader.requests()) == 2
    reader.close()
    connection.close()


def test_a_fork_waits_for_the_transaction_of_another_thread(path: Path) -> None:
    connection = Connection(lambda: connect(path))
    begun, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with connection as sqlite:
            sqlite.execute("BEGIN IMMEDIATE")
            begun.set()
            go_on.wait(50)
            sqlite.execute("INSERT INTO requests (run_id, what, at) VALUES ('a', 'stop', 1)")
            sqlite.execute("COMMIT")

    writing = threading.Thread(target=write)
    writing.start()
    begun.wait(50)
    later = threading.Timer(0.1, go_on.set)
    later.start()
    assert in_child(lambda: insert(path, "b")) == 0
    writing.join()
    later.join()
    reader = Reader(path)
    assert {each.run_id for each in reader.requests()} == {"a", "b"}
    reader.close()
    connection.close()


def test_a_closed_connection_stays_closed(path: Path) -> None:
    connection = Connection(lambda: connect(path))
    connection.close()
    connection.close()
    assert in_child(lambda: None) == 0
    with pytest.raises(sqlite3.ProgrammingError, match="closed"), connection:
        pass
