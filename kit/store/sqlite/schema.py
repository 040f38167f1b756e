"""
The tables of a run file, how it is opened, and what goes wrong then.

    runs         one row a run: where it is and when it goes on
    checkpoints  one row a finished step or sleep, in the order of `seq`; -1 is a sleep not over
    attempts     one row a failed attempt
    requests     what is asked of the driver, by any process; gone only together with its effect
    drivers      who holds, or last held, the lease of each lane

In `runs`, `root` is the run whose handler, or whose child's, sent the event; null for itself. In
`driver` stands who drives the run on the side; see `engine.driving`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
import time
from pathlib import Path

from kit.model.errors import StoreError
from kit.store.sqlite.place import is_taken

APPLICATION_ID = 0x6B697431  # "kit1": tells our file from another program's SQLite file
VERSION = 2

UNFINISHED = "(status = 'queued' OR status = 'running' OR status = 'sleeping')"
"""
What holds of a run that has not ended. Indexes and queries say it alike: only so they go together.

Not with IN: of a list of three SQLite makes a table in memory, for each index, each time a row is
written. Those tables took 120 of the 125 µs that the last UPDATE of a run took.
"""

TABLES = """
CREATE TABLE runs (
  id TEXT PRIMARY KEY, workflow TEXT NOT NULL, status TEXT NOT NULL, data TEXT NOT NULL,
  attempt INTEGER NOT NULL, due INTEGER NOT NULL, priority INTEGER NOT NULL,
  created INTEGER NOT NULL, started INTEGER, ended INTEGER,
  result TEXT, failure TEXT, chain TEXT NOT NULL, key TEXT, root TEXT, driver TEXT
) WITHOUT ROWID;
CREATE INDEX runs_created ON runs (created);
CREATE TABLE checkpoints (
  run_id TEXT NOT NULL, step_id TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
  text TEXT, started INTEGER NOT NULL, ended INTEGER NOT NULL, PRIMARY KEY (run_id, step_id)
) WITHOUT ROWID;
CREATE TABLE attempts (
  run_id TEXT NOT NULL, number INTEGER NOT NULL, ended INTEGER NOT NULL,
  failure TEXT NOT NULL, retry_in INTEGER
);
CREATE INDEX attempts_of_run ON attempts (run_id);
"""
_TABLES_OF_2 = """
CREATE TABLE requests (
  run_id TEXT NOT NULL, what TEXT NOT NULL, at INTEGER NOT NULL, driver TEXT,
  fast INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run_id, what)
) WITHOUT ROWID;
CREATE TABLE drivers (
  lane INTEGER PRIMARY KEY, token TEXT NOT NULL, pid INTEGER NOT NULL,
  everything INTEGER NOT NULL, since INTEGER NOT NULL
);
"""
_FROM_1_TO_2 = """
ALTER TABLE runs ADD COLUMN root TEXT;
ALTER TABLE runs ADD COLUMN driver TEXT;
ALTER TABLE requests RENAME TO requests_of_1;
"""
_KEEP_STOPS = """
INSERT OR IGNORE INTO requests (run_id, what, at)
  SELECT run_id, what, at FROM requests_of_1 WHERE what = 'stop';
DROP TABLE requests_of_1;
"""

_INDEXES = f"""
DROP INDEX IF EXISTS runs_unfinished;
DROP INDEX IF EXISTS runs_of_root;
CREATE INDEX IF NOT EXISTS runs_by_due ON runs (due) WHERE {UNFINISHED};
CREATE INDEX IF NOT EXISTS runs_by_root ON runs (root) WHERE root IS NOT NULL AND {UNFINISHED}
"""
"""Files of this format that were made without them work as well, if slowly; they get them."""

BUSY_SECONDS = 5.0
"""How long a write waits for another process that is writing."""


def connect(path: Path, *, synchronous: str = "FULL") -> sqlite3.Connection:
    """
    Open the run file at *path* for writing; make it, and its folder, if it is not there.

    Raises:
        StoreError: If that cannot be done; the message says why and what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_taken(path):
            _create(path)
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS
        )
    except (OSError, sqlite3.Error, StoreError) as error:
        raise explain(error, path) from error
    try:
        if not _is_empty(connection):
            _check(connection, path)  # before anything is changed in a file that is not ours
        _use_log(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        _prepare(connection, path)
    except (sqlite3.Error, StoreError) as error:
        connection.close()
        raise explain(error, path) from error
    return connection


def _use_log(connection: sqlite3.Connection) -> None:
    """
    Let the file have a write-ahead log from now on.

    Where two do so in the same moment, SQLite refuses one of them at once, patience or not.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _create(path: Path) -> None:
    """
    Make an empty file that only its owner can read; SQLite gives its other files the same mode.

    It is made under another name and closed before it gets its own: to close a file that SQLite
    has open, in whatever thread, takes SQLite's locks on it away.
    """
    file, name = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
    os.close(file)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    except OSError:  # a file system without links
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    finally:
        os.unlink(name)  # noqa: PTH108 - as mkstemp gave it


def connect_to_read(path: Path) -> sqlite3.Connection | None:
    """
    Open the run file at *path* for reading; None if there is none yet.

    Raises:
        StoreError: If the file is there but cannot be read, or is not a run file.
    """
    try:
        if not is_taken(path):
            return None
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_SECONDS,
        )
    except (OSError, sqlite3.Error, StoreError) as error:
        raise explain(error, path) from error
    try:
        if _is_empty(connection):  # somebody is about to make its tables
            connection.close()
            return None
        _check(connection, path)
    except (sqlite3.Error, StoreError) as error:
        connection.close()
        raise explain(error, path) from error
    return connection


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _has_indexes(connection: sqlite3.Connection) -> bool:
    sql = "SELECT count(*) FROM sqlite_master WHERE name = 'runs_by_root'"
    return bool(connection.execute(sql).fetchone()[0])


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _has_indexes(connection) and _version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection):
            _run(connection, TABLES + _TABLES_OF_2)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif _version(connection) == 1:
            _run(connection, _FROM_1_TO_2 + _TABLES_OF_2 + _KEEP_STOPS)
        _run(connection, _INDEXES)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Execute *statements* within the transaction that is open (`executescript` would end it)."""
    for statement in statements.split(";"):
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        msg = f"{path} is a SQLite file of another program; set workflow.path to another file"
        raise StoreError(msg, path=str(path))
    version = _version(connection)
    if not 1 <= version <= VERSION:
        msg = (
            f"{path} was written by another version of the kit (format {version}, this is"
            f" {VERSION}); use that version, or set workflow.path to another file"
        )
        raise StoreError(msg, path=str(path))


def explain(error: Exception, path: Path) -> StoreError:
    """Return *error* as a `StoreError` that says what to do."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorname", None) or _OS_CODES.get(getattr(error, "errno", 0), "")
    what = next((what for begin, what in _SITUATIONS.items() if code.startswith(begin)), None)
    return StoreError(f"{path} {what or 'cannot be used'} ({error})", path=str(path))


def is_locked(error: Exception) -> bool:
    """Tell whether *error* says that somebody else holds a lock on the file."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


_OS_CODES = {
    errno.EACCES: "SQLITE_READONLY",
    errno.EPERM: "SQLITE_READONLY",
    errno.EROFS: "SQLITE_READONLY",
    errno.ENOSPC: "SQLITE_FULL",
    errno.ENOTDIR: "SQLITE_CANTOPEN",
    errno.EEXIST: "SQLITE_CANTOPEN",
    errno.ENAMETOOLONG: "SQLITE_CANTOPEN",
}
_SITUATIONS = {
    "SQLITE_NOTADB": "is not a SQLite file; move it away, or set workflow.path to another",
    "SQLITE_CORRUPT": "is damaged; move it away, or set workflow.path to another file",
    "SQLITE_READONLY": "cannot be written: the file, its folder or its disk is read-only; set"
    " workflow.path to a place that is yours",
    "SQLITE_FULL": "cannot be written: the disk is full. What was accepted before is safe, and goes"
    " on once there is room",
    "SQLITE_CANTOPEN": "cannot be opened: check that its folder exists and is yours, or set"
    " workflow.path to another",
    "SQLITE_BUSY": "is locked: another program has been writing to it for long and has not ended"
    " its transaction; close what has it open",
}
"""What to say of SQLite's result codes, by how they begin."""
