"""What to say of a write that failed: of a locked file, also which process may hold it."""

from __future__ import annotations

import os
from pathlib import Path

from kit.model.errors import StoreError
from kit.store.sqlite.lease import holder
from kit.store.sqlite.schema import explain, is_locked


def explain_write(error: Exception, path: Path) -> StoreError:
    """
    Return *error*, of a write to the file at *path*, as a `StoreError` that says what to do.

    Who holds SQLite's lock cannot be asked for. The driver writes more than any other, and one
    that is suspended in a transaction holds it until it is woken; so it is named, unless it is this
    process.
    """
    told = explain(error, path)
    pid = holder(path) if is_locked(error) else 0
    if pid in (0, os.getpid()):
        return told
    who = f"process {pid} drives its runs: `kill -CONT {pid}` wakes it if it is suspended"
    return StoreError(f"{told.message}; {who}", path=str(path))
