"""
One engine at a time on a run file.

The lease is a write lock on a small SQLite file beside it: held while the process lives, gone with
it however it ends, on every platform, with nothing to renew or to expire.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from kit.model.errors import StoreError, StoreInUseError
from kit.store.sqlite.schema import explain, is_locked

_PATIENCE = 0.1
"""Seconds. One who only looks up the holder may be in the way of a COMMIT, for a moment."""


class Lease:
    """
    The right to run an engine on the file at *path*, taken at once.

    Raises:
        StoreInUseError: If another engine holds it.
        StoreError: If the lease file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        beside = _beside(path)
        try:
            beside.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                beside, isolation_level=None, timeout=_PATIENCE, check_same_thread=False
            )
        except (sqlite3.Error, OSError) as error:
            raise explain(error, path) from error
        try:
            self._take()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._refusal(error) from error

    def _take(self) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE IF NOT EXISTS holder (pid INTEGER)")
        connection.execute("DELETE FROM holder")
        connection.execute("INSERT INTO holder VALUES (?)", (os.getpid(),))
        connection.execute("COMMIT")  # so that others can read who it is …
        connection.execute("BEGIN IMMEDIATE")  # … while this keeps them from writing

    def _refusal(self, error: sqlite3.Error) -> StoreError:
        if not is_locked(error):
            return explain(error, self.path)
        pid = holder(self.path)
        msg = (
            f"{self.path} is in use: process {pid or '(unknown)'} runs an engine on it. Only one"
            " can; end that process, or set workflow.path (WORKFLOW_PATH) to another file"
        )
        return StoreInUseError(msg, path=str(self.path), pid=pid)

    def release(self) -> None:
        """Give the lease back. Doing it twice does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def holder(path: Path) -> int:
    """Return the id of the process that last took the lease, 0 if none is known."""
    try:
        connection = sqlite3.connect(f"{_beside(path).absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0
    try:
        row = connection.execute("SELECT pid FROM holder").fetchone()
    except sqlite3.Error:
        return 0
    finally:
        connection.close()
    return int(row[0]) if row else 0


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}-lease")
