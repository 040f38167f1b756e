"""One build of a project at a time: another would take away what this one is making."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kit.model.errors import BuildError

_LOCK = "build.lock"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """
    Be the only build that keeps its work in *folder*, within the block.

    It is a lock of an open file (`flock`), gone with the process however it ends. Where the file
    system has no locks, nobody is kept away.

    Raises:
        BuildError: If another process is building here, or the folder cannot be written.
    """
    import fcntl  # Windows has none, and builds nothing

    file = _opened(folder / _LOCK)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _underway(file) from None
        except OSError:
            yield
            return
        os.ftruncate(file, 0)
        os.pwrite(file, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}. Check who may write there"
        raise BuildError(msg, code="BUILD_UNWRITABLE") from error


def _underway(file: int) -> BuildError:
    pid = os.pread(file, 20, 0).decode("ascii", "replace").strip()
    process = f"process {pid}" if pid.isdecimal() else "a process that has just begun"
    msg = f"another kit build ({process}) is at work here; wait for it to end, or end it"
    return BuildError(msg, code="BUILD_UNDERWAY")
