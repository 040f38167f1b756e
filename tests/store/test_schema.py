"""Files that are no run files, or cannot be used: what is said, and that they are left alone."""

import errno
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.model.errors import StoreError
from kit.model.run import Run, RunStatus
from kit.store.sqlite import statements
from kit.store.sqlite.direct import cancel
from kit.store.sqlite.reader import Reader, RunRequest
from kit.store.sqlite.schema import UNFINISHED, connect, connect_to_read, explain


def sql(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows
    finally:
        connection.close()


def test_a_file_and_its_folders_are_made_when_they_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "runs.db"
    connect(path).close()
    assert sql(path, "PRAGMA journal_mode") == [("wal",)]
    connect(path).close()


def test_a_file_that_is_not_there_holds_no_runs(path: Path) -> None:
    assert connect_to_read(path) is None
    reader = Reader(path)
    assert reader.runs() == []
    reader.close()
    assert not path.exists()


def test_a_file_whose_tables_are_about_to_be_made_holds_no_runs(path: Path) -> None:
    path.touch()
    assert connect_to_read(path) is None


@pytest.mark.parametrize("opening", [connect, connect_to_read])
def test_a_file_that_is_not_sqlite_is_refused_and_left_alone(path: Path, opening: object) -> None:
    content = b"these are my notes, not a database\n" * 100
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is not a SQLite file"):
        opening(path)  # type: ignore[operator]
    assert path.read_bytes() == content


@pytest.mark.parametrize("opening", [connect, connect_to_read])
def test_the_file_of_another_program_is_refused_and_left_alone(path: Path, opening: object) -> None:
    sql(path, "CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="of another program"):
        opening(path)  # type: ignore[operator]
    assert path.read_bytes() == before


@pytest.mark.parametrize("opening", [connect, connect_to_read])
def test_the_file_of_another_version_is_refused(path: Path, opening: object) -> None:
    connect(path).close()
    sql(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="format 99, this is 2"):
        opening(path)  # type: ignore[operator]


def test_a_folder_in_its_place_is_told(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="is a folder"):
        connect(path)
    with pytest.raises(StoreError, match="is a folder"):
        connect_to_read(path)


@pytest.mark.parametrize("opening", [connect, connect_to_read])
@pytest.mark.parametrize("content", [b"x", b"my notes\n", b"x" * 511])
def test_a_small_file_is_not_written_over(path: Path, opening: object, content: bytes) -> None:
    """SQLite itself takes it for an empty one."""
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is not a SQLite file; move it away"):
        opening(path)  # type: ignore[operator]
    assert path.read_bytes() == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("opening", [connect, connect_to_read])
def test_what_is_no_file_is_told(path: Path, opening: object) -> None:
    os.mkfifo(path)
    with pytest.raises(StoreError, match="is a pipe, not a run file; move it away, or set"):
        opening(path)  # type: ignore[operator]
    with pytest.raises(StoreError, match="/dev/null is a device, not a run file"):
        opening(Path("/dev/null"))  # type: ignore[operator]


@pytest.mark.parametrize("opening", [connect, connect_to_read])
def test_a_name_that_is_too_long_is_told(path: Path, opening: object) -> None:
    with pytest.raises(StoreError, match=r"cannot be opened: .* too long"):
        opening(path.with_name("x" * 300))  # type: ignore[operator]


def test_a_file_where_its_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "full locked file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        connect(tmp_path / "full locked file" / "runs.db")


def test_a_failed_first_opening_leaves_no_half_made_file(path: Path) -> None:
    sqlite3.connect(path).close()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("PRAGMA journal_mode = WAL")
    blocker.execute("CREATE TABLE requests (mine TEXT)")
    blocker.execute("DROP TABLE requests")
    blocker.close()
    connect(path).close()
    assert ("runs",) in sql(path, "SELECT name FROM sqlite_master")


def test_tables_somebody_makes_at_the_same_moment_are_taken_as_they_are(path: Path) -> None:
    from kit.store.sqlite.schema import _prepare

    late = sqlite3.connect(path, isolation_level=None)
    connect(path).close()
    _prepare(late, path)  # found nothing when it looked, and something once it had the lock
    sql(path, "PRAGMA application_id = 1")
    sql(path, "PRAGMA user_version = 1")
    with pytest.raises(sqlite3.OperationalError, match="duplicate column"):
        _prepare(late, path)
    assert not late.in_transaction
    late.close()


FORMAT_1 = """
CREATE TABLE runs (
  id TEXT PRIMARY KEY, workflow TEXT NOT NULL, status TEXT NOT NULL, data TEXT NOT NULL,
  attempt INTEGER NOT NULL, due INTEGER NOT NULL, priority INTEGER NOT NULL,
  created INTEGER NOT NULL, started INTEGER, ended INTEGER,
  result TEXT, failure TEXT, chain TEXT NOT NULL, key TEXT
) WITHOUT ROWID;
CREATE TABLE requests (run_id TEXT NOT NULL, what TEXT NOT NULL, at INTEGER NOT NULL);
INSERT INTO runs VALUES ('a', 'flow', 'queued', 'null', 0, 1, 0, 1, null, null, null, null, '[]',
  null);
INSERT INTO requests VALUES ('a', 'stop', 5);
INSERT INTO requests VALUES ('a', 'stop', 6);
PRAGMA application_id = 1802073137;
PRAGMA user_version = 1;
"""


def test_a_file_of_the_format_before_keeps_its_runs_and_requests(path: Path) -> None:
    old = sqlite3.connect(path)
    old.executescript(FORMAT_1)
    old.close()
    reader = Reader(path)
    assert [run.id for run in reader.runs()] == ["a"], "to look at it changes nothing"
    connect(path).close()
    connect(path).close()
    assert [run.id for run in reader.runs()] == ["a"]
    assert reader.requests() == [RunRequest("a", "stop")]
    assert sql(path, "SELECT root, driver FROM runs") == [(None, None)]
    reader.close()


def plan(path: Path, statement: str) -> str:
    connection = sqlite3.connect(path)
    found = connection.execute(f"EXPLAIN {statement}", [None] * statement.count("?")).fetchall()
    query = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * statement.count("?"))
    said = f"{found} {query.fetchall()}"
    connection.close()
    return said


def test_unfinished_runs_are_found_by_their_indexes(path: Path) -> None:
    connect(path).close()
    unfinished = f"SELECT id FROM runs WHERE {UNFINISHED}"
    assert "runs_by_due" in plan(path, f"{unfinished} AND (due, id) > (?, ?) ORDER BY due, id")
    assert "runs_by_root" in plan(
        path, f"{unfinished} AND root IN (SELECT value FROM json_each(?))"
    )


def test_no_table_is_made_to_write_a_row(path: Path) -> None:
    """It took twenty times as long as the row itself."""
    connect(path).close()
    now = Run("a", "flow", RunStatus.COMPLETED, "null")
    ((insert, _),) = statements.inserted(now, None, None)
    ((end, _),) = statements.ended(now, (), (), None)
    for statement in (insert, end, statements.begun("a", 1)[0]):
        assert "OpenEphemeral" not in plan(path, statement)


def test_a_file_with_the_indexes_of_before_gets_those_of_today(path: Path) -> None:
    connect(path).close()
    sql(path, "DROP INDEX runs_by_due")
    sql(path, "DROP INDEX runs_by_root")
    sql(path, "CREATE INDEX runs_unfinished ON runs (due) WHERE status IN ('queued', 'running')")
    connect(path).close()
    indexes = {
        name for (name,) in sql(path, "SELECT name FROM sqlite_master WHERE sql LIKE '%INDEX%'")
    }
    assert indexes == {"runs_by_due", "runs_by_root", "runs_created", "attempts_of_run"}


def test_the_files_are_their_owners_alone(path: Path) -> None:
    opened = connect(path)
    opened.execute("DELETE FROM requests")
    opened.execute("INSERT INTO requests (run_id, what, at) VALUES ('a', 'stop', 1)")
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    opened.close()
    assert modes == {"runs.db": 0o600, "runs.db-wal": 0o600, "runs.db-shm": 0o600}


def test_a_write_the_file_refuses_is_told(path: Path) -> None:
    connect(path).close()
    sql(path, "DROP TABLE runs")
    with pytest.raises(StoreError, match="no such table"):
        cancel(path, "id", 0)
    reader = Reader(path)
    with pytest.raises(StoreError, match="no such table"):
        reader.runs()
    reader.close()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "read-only"),
        (errno.EACCES, "read-only"),
        (errno.ENOSPC, "disk is full"),
        (errno.EISDIR, "cannot be used"),
    ],
)
def test_what_the_system_refuses_is_said_in_words(path: Path, number: int, said: str) -> None:
    assert said in explain(OSError(number, "no"), path).message


def test_a_locked_file_is_told(path: Path) -> None:
    connect(path).close()
    holder, other = (sqlite3.connect(path, isolation_level=None, timeout=0) for _ in range(2))
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as caught:
        other.execute("BEGIN IMMEDIATE")
    assert "is locked: another program" in explain(caught.value, path).message
    holder.close()
    other.close()


def test_a_new_file_may_be_opened_by_many_in_the_same_moment(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / f"{number}.db"
        start = threading.Barrier(8)

        def open_it(path: Path = path, start: threading.Barrier = start) -> None:
            start.wait(10)
            connect(path).close()

        with ThreadPoolExecutor(8) as pool:
            for opening in [pool.submit(open_it) for _ in range(8)]:
                opening.result(50)
        assert ("runs",) in sql(path, "SELECT name FROM sqlite_master")
    assert {each.suffix for each in tmp_path.iterdir()} == {".db"}
