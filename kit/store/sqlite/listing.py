"""
Runs as a list shows them: page by page, filtered, without reading what is large.

One connection, used by one thread at a time; each thread that wants to look takes its turn.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.model.failure import Failure
from kit.model.run import RunStatus
from kit.store.sqlite.rows import text_to_failure
from kit.store.sqlite.schema import connect_to_read, explain

_PREVIEW = 200
_LONGEST_ERROR = 300

# without the traceback, which a line has no room for; a damaged failure costs its run nothing else
_FAILURE = (
    "CASE WHEN json_valid(failure) THEN json_set(failure, '$.traceback', '') ELSE failure END"
)
_COLUMNS = (
    "id, workflow, status, attempt, due, priority, created, started, ended, key,"
    f" substr(data, 1, {_PREVIEW}), {_FAILURE}"
)
_SEARCHED = ("id", "workflow", "key", "data", "result", "failure")


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in a list; `preview` is the beginning of its data, `failure` has no traceback."""

    id: str
    workflow: str
    status: RunStatus
    attempt: int
    due: int
    priority: int
    created: int
    started: int | None
    ended: int | None
    key: str | None
    preview: str
    failure: Failure | None

    @property
    def error(self) -> str | None:
        """What it failed with, in one line."""
        if self.failure is None:
            return None
        text = f"{self.failure.type}: {self.failure.message}"
        return text.partition("\n")[0][:_LONGEST_ERROR]


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Which runs are wanted: of one workflow, in some statuses, with a text in them; created at
    *since* or later, *before* a moment.
    """

    workflow: str | None = None
    statuses: tuple[RunStatus, ...] = ()
    text: str = ""
    since: int | None = None
    before: int | None = None

    @property
    def is_choosy(self) -> bool:
        """Whether it is known of no run, before it is looked at, that it is wanted."""
        return bool(self.workflow is not None or self.statuses or self.text)

    def where(self) -> tuple[str, list[object]]:
        """Return the condition in SQL, and its parameters."""
        parts, given = ["1"], list[object]()
        if self.workflow is not None:
            parts.append("lower(workflow) = ?")
            given.append(self.workflow.lower())
        if self.statuses:
            parts.append(f"status IN ({', '.join('?' * len(self.statuses))})")
            given += [status.value for status in self.statuses]
        for moment, condition in ((self.since, "created >= ?"), (self.before, "created < ?")):
            if moment is not None:
                parts.append(condition)
                given.append(moment)
        if self.text:
            patterns = _patterns(self.text)
            found = [f"{each} LIKE ? ESCAPE '\\'" for each in _SEARCHED for _ in patterns]
            parts.append(f"({' OR '.join(found)})")
            given += patterns * len(_SEARCHED)
        return " AND ".join(parts), given


class Listing:
    """
    Lists the runs of the file at *path*. A file that is not there yet holds none.

    Every method may be called from any thread, and raises `StoreError` if the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def page(
        self, wanted: Wanted, *, after: tuple[int, str] | None = None, limit: int = 50
    ) -> list[Listed]:
        """Return at most *limit* runs, newest first, those older than *after* (created, id)."""
        condition, given = wanted.where()
        if after is not None:
            condition += " AND created <= ? AND (created < ? OR id < ?)"
            given += [after[0], after[0], after[1]]
        # the newest first is what the index gives; but where few fit, it would look up every run by
        # it, which takes fifteen times as long as reading the table from end to end
        order = "+created" if wanted.is_choosy else "created"
        sql = (
            f"SELECT {_COLUMNS} FROM runs WHERE {condition}"  # noqa: S608 - made of our own words
            f" ORDER BY {order} DESC, id DESC LIMIT ?"
        )
        return [_listed(row) for row in self._rows(sql, [*given, limit])]

    def count(self, wanted: Wanted) -> int:
        """Return how many runs are wanted."""
        condition, given = wanted.where()
        rows = self._rows(f"SELECT count(*) FROM runs WHERE {condition}", given)  # noqa: S608
        return int(rows[0][0]) if rows else 0

    def version(self) -> int:
        """Return a number that changes when anybody has written to the file."""
        rows = self._rows("PRAGMA data_version", [])
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Close the file; it is opened again if it is needed."""
        with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _rows(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._turn:
            if self._connection is None:
                self._connection = connect_to_read(self.path)
            if self._connection is None:
                return []
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise explain(error, self.path) from error


def _listed(row: tuple[Any, ...]) -> Listed:
    shown = list(row)
    known = row[2] in RunStatus.__members__.values()
    shown[2] = RunStatus(row[2]) if known else RunStatus.UNKNOWN
    shown[-1] = _failure(row[-1])
    return Listed(*shown)


def _failure(text: str | None) -> Failure | None:
    try:
        return text_to_failure(text)
    except (ValueError, TypeError):
        return Failure("damaged", text or "")


def _patterns(text: str) -> list[str]:
    """Return *text* as LIKE has it: as it is, and as JSON may have written it."""
    escaped = json.dumps(text)[1:-1]
    return [f"%{_plain(each)}%" for each in dict.fromkeys((text, escaped))]


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
