"""
Whether the run file is still the one that was opened.

Who deletes or replaces the file, or its write-ahead log, takes away what an engine goes on writing:
SQLite does not notice, and every commit succeeds into nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from kit.model.errors import StoreError


class WatchedFile:
    """The run file at *path*, as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name, self._log_name = str(path), f"{path}-wal"
        self._file = identity(self._name)
        self._log: tuple[int, int] | None = None
        self._opened = 0

    def check(self, opened: int) -> None:
        """
        Make sure that what was just committed is in the file.

        *opened* counts how often the connection was opened: each may have a new log.

        Raises:
            StoreError: If the file or its log has been deleted or replaced.
        """
        log = identity(self._log_name)
        if self._opened != opened:
            self._opened, self._log = opened, log
        if log is None or log != self._log or identity(self._name) != self._file:
            msg = (
                f"{self._path} was deleted or replaced while an engine had it open: what is written"
                " now would be lost. Put it back if you can, and start again"
            )
            raise StoreError(msg, path=str(self._path), code="STORE_LOST")


def identity(path: str | Path | int) -> tuple[int, int] | None:
    """
    Return what tells the file at *path* from one that takes its place; None if it is gone.

    It is asked for at each COMMIT, so the path is a text: a `Path` takes twice as long.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - see above
    except OSError:
        return None
    return found.st_dev, found.st_ino
