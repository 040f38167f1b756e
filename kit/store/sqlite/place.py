"""What lies where a run file is to be: nothing yet, a file that may be one, or something else."""

from __future__ import annotations

import stat
from pathlib import Path

from kit.model.errors import StoreError

_SMALLEST = 512
"""Bytes. SQLite takes a file that is smaller for an empty one, and writes over what is in it."""

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def place(path: Path) -> Path:
    """
    Return where the run file at *path* lies: a symbolic link, also a dangling one, is its target.

    SQLite writes its log beside the target. So whoever uses the link, and whoever uses the target,
    has to look for log and leases there.
    """
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError):  # a loop: whoever opens it is told
        return path


def is_taken(path: Path) -> bool:
    """
    Tell whether there is a file at *path*; it is not opened.

    Raises:
        StoreError: If what is there cannot be a run file.
        OSError: If that cannot be told.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            raise _refusal(path, f"is {kind}, not a run file")
    if 0 < found.st_size < _SMALLEST:
        raise _refusal(path, "is not a SQLite file")
    return True


def _refusal(path: Path, what: str) -> StoreError:
    msg = f"{path} {what}; move it away, or set workflow.path to another file"
    return StoreError(msg, path=str(path))
