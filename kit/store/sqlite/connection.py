"""
Connections to a run file that their process can fork with.

SQLite must not be carried across a fork. A child that opens the file anew while an inherited
connection is open believes that its process holds that connection's locks, so it takes none
(seen in /proc/locks): another process may then delete the write-ahead log it writes to, or find
it locked for ever. Leaving the inherited connection alone does not help; so none is inherited:
before a fork every connection is closed as soon as nobody is using it, and whoever uses it next,
in the parent or in the child, opens it again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from types import TracebackType
from weakref import WeakSet

_PATIENCE = 30.0
"""Seconds a fork waits for a transaction to end."""


class Connection:
    """
    One SQLite connection, used by one thread at a time: `with connection as sqlite:`.

    *open* makes it: now, and again where a fork has come between two uses. `opened` counts how
    often that has been.

    Raises:
        StoreError: Whatever *open* raises, here or when the connection is used.
    """

    def __init__(self, open: Callable[[], sqlite3.Connection]) -> None:  # noqa: A002 - what it does
        self.opened = 1
        self._open = open
        self._lock = threading.Lock()
        self._closed = False
        self._sqlite: sqlite3.Connection | None = open()
        with _registry_lock:
            _registry.add(self)

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        if self._sqlite is not None:
            return self._sqlite
        try:
            if self._closed:
                msg = "Cannot operate on a closed database."
                raise sqlite3.ProgrammingError(msg)
            self._sqlite = self._open()
        except BaseException:
            self._lock.release()
            raise
        self.opened += 1
        return self._sqlite

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def close(self) -> None:
        """Close it for good."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None

    def before_fork(self) -> bool:
        """Close it until after the fork; tell whether that could be done."""
        taken = self._lock.acquire(timeout=_PATIENCE)
        if taken:
            self._let_go()
        return taken

    def after_fork(self) -> None:
        """Let it be used again, in the parent."""
        self._lock.release()

    def in_child(self) -> None:
        """Let it be used again, in the child, whoever used it in the parent."""
        self._lock = threading.Lock()


_registry: WeakSet[Connection] = WeakSet()
_registry_lock = threading.Lock()
_held: list[Connection] = []


def _before_fork() -> None:
    _registry_lock.acquire()
    _held[:] = [each for each in list(_registry) if each.before_fork()]


def _after_fork_in_parent() -> None:
    for each in _held:
        each.after_fork()
    _held.clear()
    _registry_lock.release()


def _after_fork_in_child() -> None:
    global _registry_lock
    _registry_lock = threading.Lock()
    _held.clear()
    for each in list(_registry):
        each.in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
