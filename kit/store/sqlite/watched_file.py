"""
Whether the run file is still the one that was opened.

Who deletes or replaces the file, or its write-ahead log, takes away what an engine goes on writing:
SQLite does not notice, and every commit succeeds into nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from kit.model.errors import StoreError

LOST = "STORE_LOST"
"""The code of the error that nothing written to the file would be found again."""

_SECOND = 1_000_000_000
_COARSE, _FINE = 3 * _SECOND, _SECOND // 10
"""
Nanoseconds: what the time of a folder may be rounded to, and more. A kernel's tick is 10 ms at
most; where whole seconds are kept, they are one or two.
"""

_Folder: TypeAlias = "tuple[int, int, int]"


class WatchedFile:
    """The run file at *path*, as it is now; with it are its log and its leases, in one folder."""

    def __init__(self, path: Path, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._path = path
        self._name, self._log_name = str(path), f"{path}-wal"
        self._file = identity(self._name)
        self._log: tuple[int, int] | None = None
        self._opened = 0
        self._folder_name = str(path.parent)
        self._whole: _Folder | None = None

    def check(self, opened: int, also: Callable[[], None] = lambda: None) -> None:
        """
        Make sure that what was just committed is in the file; *also* checks what lies beside it.

        *opened* counts how often the connection was opened: each may have a new log. Where nothing
        was made, deleted or renamed in the folder since all was in order, that is seen in one look
        instead of three.

        Raises:
            StoreError: If the file or its log has been deleted or replaced.
        """
        folder = self._folder()
        if folder is None or folder != self._whole or opened != self._opened:
            self._check(opened)
            also()
            self._whole = folder

    def _check(self, opened: int) -> None:
        log = identity(self._log_name)
        if self._opened != opened:
            self._opened, self._log = opened, log
        if log is None or log != self._log or identity(self._name) != self._file:
            msg = (
                f"{self._path} was deleted or replaced while an engine had it open: what is written"
                " now would be lost. Put it back if you can, and start again"
            )
            raise StoreError(msg, path=str(self._path), code=LOST)

    def _folder(self) -> _Folder | None:
        """
        Return what tells whether the folder has changed; None if that cannot be told.

        One that has just changed is not believed: what happens next in it may get the same time.
        """
        try:
            found = os.stat(self._folder_name)  # noqa: PTH116 - as in `identity`
        except OSError:
            return None
        settles = _FINE if found.st_mtime_ns % _SECOND else _COARSE
        if self._now() - found.st_mtime_ns <= settles or sys.platform == "win32":
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns


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
