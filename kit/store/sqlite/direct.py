"""Writes to a run file that need no engine: each opens the file, and closes it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kit.store.sqlite.locked import explain_write
from kit.store.sqlite.schema import connect
from kit.store.sqlite.statements import Statement, cancelled, deleted, stop_requested


def delete(path: Path, run_id: str) -> bool:
    """
    Delete an ended run and all that is stored of it; tell whether there was one.

    A run that has not ended is left alone: an engine may be at it.

    Raises:
        StoreError: If the file cannot be written.
    """
    return bool(_write(path, *deleted(run_id)))


def request_stop(path: Path, run_id: str, now: int) -> bool:
    """
    Ask whoever executes a run to stop it; tell whether it is unfinished, and was not asked before.

    Raises:
        StoreError: If the file cannot be written.
    """
    return bool(_write(path, stop_requested(run_id, now)))


def cancel(path: Path, run_id: str, now: int) -> bool:
    """
    Mark an unfinished run as cancelled, and tell whether there was one.

    Only for a file on which no engine runs; take the lease meanwhile.

    Raises:
        StoreError: If the file cannot be written.
    """
    return bool(_write(path, *cancelled(run_id, now)))


def _write(path: Path, *statements: Statement) -> int:
    """Write *statements* together, and return how many rows the last one changed."""
    changed = 0
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        for sql, parameters in statements:
            changed = connection.execute(sql, parameters).rowcount
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise explain_write(error, path) from error
    finally:
        connection.close()
    return changed
