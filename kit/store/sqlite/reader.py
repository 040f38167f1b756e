"""Reading a run file: any number of processes may, while one writes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import RunNotFoundError, StoreError
from kit.model.run import Attempt, Run, RunStatus
from kit.store.sqlite.connection import Connection
from kit.store.sqlite.lease import is_held
from kit.store.sqlite.place import place
from kit.store.sqlite.rows import (
    DAMAGED,
    RUN_COLUMNS,
    damage,
    row_to_attempt,
    row_to_checkpoint,
    row_to_run,
)
from kit.store.sqlite.schema import UNFINISHED, connect_to_read, explain
from kit.store.sqlite.watched_file import LOST

_SELECT_LEFT = f"SELECT {RUN_COLUMNS}, root, driver FROM runs WHERE {UNFINISHED}"  # noqa: S608
_THESE_AND_THEIRS = (
    "SELECT value FROM json_each(?) UNION"  # noqa: S608
    f" SELECT id FROM runs WHERE {UNFINISHED} AND root IN (SELECT value FROM json_each(?))"
)
_FIRST = (-(2**63), "")
_KINDS = ", ".join(f"'{kind}'" for kind in CheckpointKind)
_DAMAGED_CHECKPOINTS = (
    "SELECT DISTINCT run_id FROM checkpoints WHERE run_id IN (SELECT value FROM json_each(?))"  # noqa: S608
    f" AND (kind NOT IN ({_KINDS}) OR"
    "  text IS NOT NULL AND NOT (typeof(text) = 'text' AND json_valid(text)))"
)


class RunRequest(NamedTuple):
    """What is asked about a run: `stop`, `drive` or `refused`; of, or by, the *driver*."""

    run_id: str
    what: str
    driver: str | None = None
    fast: int = 0


class LeftRun(NamedTuple):
    """An unfinished run, the run it belongs to, and who executes it on the side, or last did."""

    run: Run
    root: str | None
    driver: str | None


MANY = 10_000
_LOOKED_AT = 200
"""Runs that are counted at most, and of these so many are looked at for damage."""


class PagedRun(NamedTuple):
    """An unfinished run as `Reader.page` gives it; `left` is None if it is damaged."""

    run_id: str
    due: int
    left: LeftRun | None


class Unfinished(NamedTuple):
    """How many runs have not ended; those that are damaged count apart."""

    whole: int
    damaged: int


class Reader:
    """
    Reads the run file at *path*. A file that is not there yet holds no runs.

    Raises:
        StoreError: If the file cannot be read, or is not a run file.
    """

    def __init__(self, path: Path) -> None:
        self.path = place(path)
        self._connection: Connection | None = None
        self._connect()

    def find(self, run_id: str) -> Run | None:
        """Return the run with *run_id*, or None."""
        rows = self._rows(f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?", (run_id,))  # noqa: S608
        return row_to_run(rows[0]) if rows else None

    def get(self, run_id: str) -> Run:
        """
        Return the run with *run_id*, which may be cut to its first characters if they tell it.

        Raises:
            RunNotFoundError: If there is none, or several begin so.
        """
        if not run_id:  # every id begins so
            msg = "an id is needed, or its first characters, not ''; `kit runs` lists them"
            raise RunNotFoundError(msg, run_id=run_id)
        rows = self._rows(
            f"SELECT {RUN_COLUMNS} FROM runs WHERE id >= ? AND id < ? LIMIT 2",  # noqa: S608
            (run_id, run_id + "\U0010ffff"),
        )
        exact = [row for row in rows if row[0] == run_id]
        if len(exact or rows) == 1:
            return row_to_run((exact or rows)[0])
        what = f"several runs have ids that begin with {run_id!r}" if rows else f"no run {run_id!r}"
        msg = f"{what} in {self.path}; `kit runs` lists them"
        raise RunNotFoundError(msg, run_id=run_id)

    def runs(
        self,
        *,
        workflow: str | None = None,
        statuses: Sequence[RunStatus] = (),
        limit: int = 1000,
    ) -> list[Run]:
        """Return the latest *limit* runs, newest first: of *workflow*, in *statuses*, if given."""
        parts, given = ["1"], list[object]()
        if workflow is not None:
            parts.append("lower(workflow) = ?")
            given.append(workflow.lower())
        if statuses:
            parts.append(f"status IN ({','.join('?' * len(statuses))})")
            given += statuses
        where = " AND ".join(parts)
        sql = f"SELECT {RUN_COLUMNS} FROM runs WHERE {where} ORDER BY created DESC, id LIMIT ?"  # noqa: S608
        return [row_to_run(row) for row in self._rows(sql, (*given, limit))]

    def unfinished_ids(self) -> list[str]:
        """Return the id of every run that has not ended, damaged ones too."""
        return [row[0] for row in self._rows(f"SELECT id FROM runs WHERE {UNFINISHED}")]  # noqa: S608

    def unfinished(self) -> list[Run]:
        """Return every run that has not ended, in the order in which they go on."""
        return [each.run for each in self.left()]

    def count_unfinished(self) -> Unfinished:
        """Count the runs that have not ended: `MANY` at most, and of many not who is damaged."""
        some = f"SELECT 1 FROM runs WHERE {UNFINISHED} LIMIT {MANY}"  # noqa: S608
        rows = self._rows(f"SELECT count(*) FROM ({some})")  # noqa: S608
        count, looked_at = rows[0][0] if rows else 0, self.page(None, _LOOKED_AT)
        ids = json.dumps([each.run_id for each in looked_at if each.left is not None])
        damaged = len(self._rows(_DAMAGED_CHECKPOINTS, (ids,)))
        damaged += sum(each.left is None for each in looked_at)
        return Unfinished(count - damaged, damaged)

    def check_whole(self, run: Run) -> None:
        """
        Make sure that all that is stored of *run* makes sense.

        Raises:
            StoreError: With code `RUN_DAMAGED`, if it does not.
        """
        if run.status is RunStatus.UNKNOWN and run.failure is not None:
            raise StoreError(run.failure.message, path=str(self.path), code=DAMAGED)
        self.checkpoints(run.id)
        self.attempts(run.id)

    def checkpoints(self, run_id: str, *, check: bool = True) -> dict[str, Checkpoint]:
        """
        Return the run's checkpoints by step id, in order; sleeps that are not over come last.

        Raises:
            StoreError: With code `RUN_DAMAGED`, if one makes no sense; its values are looked at
                with *check* only.
        """
        sql = (
            "SELECT step_id, kind, text, started, ended, seq FROM checkpoints"
            " WHERE run_id = ? ORDER BY seq < 0, seq"
        )
        with self._damages(run_id):
            found = {row[0]: row_to_checkpoint(row) for row in self._rows(sql, (run_id,))}
            for each in found.values() if check else ():
                if each.text is not None:
                    json.loads(each.text)
            return found

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return the run's failed attempts, oldest first; raises as `checkpoints` does."""
        sql = (
            "SELECT number, ended, failure, retry_in FROM attempts WHERE run_id = ? ORDER BY rowid"
        )
        with self._damages(run_id):
            return [row_to_attempt(row) for row in self._rows(sql, (run_id,))]

    @contextlib.contextmanager
    def _damages(self, run_id: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            msg = damage(run_id, error).message
            raise StoreError(msg, path=str(self.path), code=DAMAGED) from error

    def requests(self) -> list[RunRequest]:
        """Return what is asked of whoever executes runs."""
        return [
            RunRequest(*row)
            for row in self._rows("SELECT run_id, what, driver, fast FROM requests")
        ]

    def stops(self) -> list[str]:
        """Return the runs that are asked to stop."""
        return [row[0] for row in self._rows("SELECT run_id FROM requests WHERE what = 'stop'")]

    def refused(self, token: str) -> dict[str, int]:
        """Return when the driver with this token has refused which runs, not knowing a workflow."""
        sql = "SELECT run_id, at FROM requests WHERE what = 'refused' AND driver = ?"
        return dict(self._rows(sql, (token,)))

    def drivers(self) -> dict[int, str]:
        """Return the token of the engine that holds, or last held, the lease of each lane."""
        return {row[0]: row[1] for row in self._rows("SELECT lane, token FROM drivers")}

    def living(self) -> set[str]:
        """Return the tokens of the engines that execute runs, or may; this process's own too."""
        return {token for lane, token in self.drivers().items() if is_held(self.path, lane)}

    def driver(self) -> str:
        """Return the token of the driver, or of the last one; nothing if there was none."""
        return self.drivers().get(0, "")

    def left(self, run_ids: Iterable[str] | None = None) -> list[LeftRun]:
        """
        Return the unfinished among these runs and those they started, or all, as they go on.

        A damaged run is left out: nobody can go on with it.
        """
        which = ""
        parameters: tuple[str, ...] = ()
        if run_ids is not None:
            ids = json.dumps(list(run_ids))
            which, parameters = f" AND id IN ({_THESE_AND_THEIRS})", (ids, ids)
        rows = self._rows(f"{_SELECT_LEFT}{which} ORDER BY due", parameters)
        return [left for row in rows if (left := _left_of(row)) is not None]

    def page(self, after: tuple[int, str] | None, limit: int) -> list[PagedRun]:
        """Return the next *limit* unfinished runs, as they go on, *after* one by its due and id."""
        given = (*(after or _FIRST), limit)
        rows = self._rows(f"{_SELECT_LEFT} AND (due, id) > (?, ?) ORDER BY due, id LIMIT ?", given)
        return [PagedRun(row[0], row[5], _left_of(row)) for row in rows]

    def next_due(self, after: tuple[int, str] | None) -> int | None:
        """Return when the first unfinished run is due *after* one by its due and id; or None."""
        sql = (
            f"SELECT due FROM runs WHERE {UNFINISHED} AND (due, id) > (?, ?)"  # noqa: S608
            " AND typeof(due) = 'integer'"
        )
        rows = self._rows(f"{sql} ORDER BY due, id LIMIT 1", after or _FIRST)
        return rows[0][0] if rows else None

    def root(self, run_id: str) -> str | None:
        """Return the run that a run belongs to; None if that is itself."""
        rows = self._rows("SELECT root FROM runs WHERE id = ?", (run_id,))
        return rows[0][0] if rows else None

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()

    def _connect(self) -> Connection | None:
        if self._connection is None and (first := connect_to_read(self.path)) is not None:
            made = [first]
            self._connection = Connection(lambda: made.pop() if made else self._reopened())
        return self._connection

    def _reopened(self) -> sqlite3.Connection:
        again = connect_to_read(self.path)
        if again is None:
            msg = f"{self.path} has been deleted"
            raise StoreError(msg, path=str(self.path), code=LOST)
        return again

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        connection = self._connect()
        if connection is None:
            return []
        try:
            with connection as sqlite:
                return sqlite.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error


def _left_of(row: tuple[Any, ...]) -> LeftRun | None:
    run = row_to_run(row[:-2])
    return None if run.status is RunStatus.UNKNOWN else LeftRun(run, *row[-2:])
