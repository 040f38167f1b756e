"""Reading a run file: any number of processes may, while one writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kit.model.delivery import Checkpoint
from kit.model.errors import RunNotFoundError, StoreError
from kit.model.run import Attempt, Run, RunStatus
from kit.store.sqlite.connection import Connection
from kit.store.sqlite.rows import RUN_COLUMNS, row_to_attempt, row_to_checkpoint, row_to_run
from kit.store.sqlite.schema import connect_to_read, explain

_UNFINISHED = "status IN ('queued', 'running', 'sleeping')"


class Reader:
    """
    Reads the run file at *path*. A file that is not there yet holds no runs.

    Raises:
        StoreError: If the file cannot be read, or is not a run file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
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

    def runs(self, *, statuses: Sequence[RunStatus] = (), limit: int = 1000) -> list[Run]:
        """Return the latest *limit* runs, newest first; only those in *statuses*, if given."""
        where = f"WHERE status IN ({','.join('?' * len(statuses))})" if statuses else ""
        sql = f"SELECT {RUN_COLUMNS} FROM runs {where} ORDER BY created DESC, id LIMIT ?"  # noqa: S608
        return [row_to_run(row) for row in self._rows(sql, (*statuses, limit))]

    def unfinished(self) -> list[Run]:
        """Return every run that has not ended, in the order in which they go on."""
        sql = f"SELECT {RUN_COLUMNS} FROM runs WHERE {_UNFINISHED} ORDER BY due"  # noqa: S608
        return [row_to_run(row) for row in self._rows(sql)]

    def count_unfinished(self) -> int:
        """Return how many runs have not ended."""
        rows = self._rows(f"SELECT count(*) FROM runs WHERE {_UNFINISHED}")  # noqa: S608
        return int(rows[0][0]) if rows else 0

    def checkpoints(self, run_id: str) -> dict[str, Checkpoint]:
        """Return the run's checkpoints by step id, in the order they were stored."""
        sql = (
            "SELECT step_id, kind, text, started, ended FROM checkpoints"
            " WHERE run_id = ? ORDER BY seq"
        )
        return {row[0]: row_to_checkpoint(row) for row in self._rows(sql, (run_id,))}

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return the run's failed attempts, oldest first."""
        sql = (
            "SELECT number, ended, failure, retry_in FROM attempts WHERE run_id = ? ORDER BY rowid"
        )
        return [row_to_attempt(row) for row in self._rows(sql, (run_id,))]

    def requests(self) -> list[tuple[str, str]]:
        """Return what other processes ask for: pairs of run id and `stop` or `retry`."""
        return [(row[0], row[1]) for row in self._rows("SELECT run_id, what FROM requests")]

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
            raise StoreError(msg, path=str(self.path), code="STORE_LOST")
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
