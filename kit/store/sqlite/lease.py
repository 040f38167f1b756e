"""
The right to execute the runs of a file: one process has it at a time.

The lease is a lock on a small file beside the run file: held while the process lives, gone with it
however it ends, with nothing to renew or to expire. It is a lock of the open file (`flock`), which
no other reader of the file in the same process can lose; a forked child lets go of its copy.
There is one for the driver, and further *lanes* for those who drive on the side; see
`engine.driving`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from kit.model.errors import StoreError, StoreInUseError
from kit.store.sqlite.schema import explain
from kit.store.sqlite.watched_file import LOST, identity

_PATIENCE = 0.1
"""Seconds. One who only looks whether there is a holder may be in the way, for a moment."""

_LOCKED_BYTE = 1 << 20
"""On Windows a lock keeps others from reading what it covers; nothing is ever written there."""


class Lease:
    """
    The right to drive on the file at *path*, in one *lane*; taken at once.

    Raises:
        StoreInUseError: If another engine holds it.
        StoreError: If the lease file cannot be written.
    """

    def __init__(self, path: Path, lane: int = 0, *, patience: float = _PATIENCE) -> None:
        self.path = path
        self.lane = lane
        self._beside = lease_path(path, lane)
        try:
            self._beside.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._taken(time.monotonic() + patience)
            self._name, self._identity = str(self._beside), identity(self._file)
        except OSError as error:
            raise explain(error, path) from error
        _registry.add(self)

    def _taken(self, deadline: float) -> int:
        while True:
            file = os.open(self._beside, os.O_RDWR | os.O_CREAT, 0o600)
            if _lock(file) and _is_at(file, self._beside):
                os.ftruncate(file, 0)
                os.lseek(file, 0, os.SEEK_SET)
                os.write(file, b"%d\n" % os.getpid())
                return file
            os.close(file)
            if time.monotonic() >= deadline:
                raise self._refusal()
            time.sleep(0.01)

    def _refusal(self) -> StoreInUseError:
        pid = _pid_in(self._beside)
        msg = (
            f"{self.path} is in use: process {pid or '(unknown)'} drives its runs. Only one can;"
            " end that process, or set workflow.path (WORKFLOW_PATH) to another file"
        )
        return StoreInUseError(msg, path=str(self.path), pid=pid)

    def check(self) -> None:
        """
        Make sure that the lease is still what keeps others away.

        Raises:
            StoreError: If its file has been deleted or replaced, or it has been released.
        """
        if self._file < 0 or identity(self._name) != self._identity:
            msg = (
                f"{self._beside} was deleted or replaced while an engine ran, so another process"
                " may be driving the same runs; end both and start again"
            )
            raise StoreError(msg, path=str(self.path), code=LOST)

    def release(self) -> None:
        """Give the lease back. Doing it twice does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def holder(path: Path, lane: int = 0) -> int:
    """Return the id of the process that holds the lease of a *lane*, 0 if none is known."""
    return _pid_in(lease_path(path, lane)) if is_held(path, lane) else 0


def is_held(path: Path, lane: int = 0) -> bool:
    """Tell whether some process, this one included, holds the lease of a *lane*."""
    try:
        file = os.open(lease_path(path, lane), os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock(file, shared=True)
    finally:
        os.close(file)


def lease_path(path: Path, lane: int = 0) -> Path:
    """Return where the lease of a *lane* lies."""
    return path.with_name(f"{path.name}-lease{f'-{lane}' if lane else ''}")


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _pid_in(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_bytes()[:20])
    return 0


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int, *, shared: bool = False) -> bool:
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: int, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_registry: WeakSet[Lease] = WeakSet()


def _in_child() -> None:
    for lease in list(_registry):
        lease.release()  # the parent's lock stays: it goes with the last copy of its file
    _registry.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
