"""Forgetting runs that have ended, many at once, and giving back the room they took."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.model.run import RunStatus
from kit.store.sqlite.locked import explain_write
from kit.store.sqlite.schema import UNFINISHED, connect

_AT_ONCE = 5_000
"""Runs deleted in one transaction: others wait for the lock no longer than that takes."""

_FREE_PAGES = 256
"""Of the file's free pages, so many are kept: it will grow again."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Which ended runs: those in *statuses*, if given; that ended *before* a moment, if given."""

    statuses: Sequence[RunStatus] = ()
    before: int | None = None

    @property
    def where(self) -> tuple[str, tuple[object, ...]]:
        """The condition in SQL, and its parameters. A run nobody can read counts by its row."""
        sql = f"NOT {UNFINISHED}"
        parameters: tuple[object, ...] = ()
        if self.statuses:
            sql += " AND status IN (SELECT value FROM json_each(?))"
            parameters += (json.dumps(list(self.statuses)),)
        if self.before is not None:
            sql += " AND ended < ?"
            parameters += (self.before,)
        return sql, parameters


def count_ended(path: Path, which: Ended) -> int:
    """
    Return how many runs there are to forget.

    Raises:
        StoreError: If the file cannot be used.
    """
    where, parameters = which.where
    with _open(path) as sqlite:
        sql = f"SELECT count(*) FROM runs WHERE {where}"  # noqa: S608
        return int(sqlite.execute(sql, parameters).fetchone()[0])


def delete_ended(path: Path, which: Ended) -> list[str]:
    """
    Delete runs and all that is stored of them, shrink the file, and return their ids.

    An engine may be at work meanwhile; what it has under way has not ended.

    Raises:
        StoreError: If the file cannot be written; what was deleted until then is deleted.
    """
    deleted: list[str] = []
    with _open(path) as sqlite:
        while some := _delete_some(sqlite, which):
            deleted += some
        if deleted:
            _shrink(sqlite)
    return deleted


def _delete_some(sqlite: sqlite3.Connection, which: Ended) -> list[str]:
    where, parameters = which.where
    sqlite.execute("BEGIN IMMEDIATE")
    sql = f"SELECT id FROM runs WHERE {where} LIMIT {_AT_ONCE}"  # noqa: S608
    ids = [row[0] for row in sqlite.execute(sql, parameters)]
    given = (json.dumps(ids),)
    for statement in _DELETES:
        sqlite.execute(statement, given)
    sqlite.execute("COMMIT")
    return ids


_GIVEN = "IN (SELECT value FROM json_each(?))"
_DELETES = (
    f"DELETE FROM checkpoints WHERE run_id {_GIVEN}",  # noqa: S608
    f"DELETE FROM attempts WHERE run_id {_GIVEN}",  # noqa: S608
    f"DELETE FROM requests WHERE run_id {_GIVEN}",  # noqa: S608
    f"DELETE FROM runs WHERE id {_GIVEN}",  # noqa: S608
)


def _shrink(sqlite: sqlite3.Connection) -> None:
    """Give the room back, if it is much; somebody who is writing just now may keep us from it."""
    free, pages = (
        sqlite.execute(f"PRAGMA {each}").fetchone()[0] for each in ("freelist_count", "page_count")
    )
    with contextlib.suppress(sqlite3.OperationalError):
        if free > _FREE_PAGES and free > pages // 4:
            sqlite.execute("VACUUM")
        sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    sqlite = connect(path)
    try:
        yield sqlite
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):
            sqlite.execute("ROLLBACK")
        raise explain_write(error, path) from error
    finally:
        sqlite.close()
