"""
The one thread that writes: it commits whatever has gathered while the last commit went on.

Many runs share one disk flush, and nothing waits for company: a lone write is committed at once.
A future is resolved only after its COMMIT, so what has been answered is on disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from kit.errors import StoreError
from kit.store.schema import connect, explain

Statement: TypeAlias = "tuple[str, Sequence[Any]]"

_WATCH_SECONDS = 1.0
"""How often an idle writer looks whether another process has written a request: nothing can wake
it for that. One PRAGMA on an open connection, no query."""


class _Write:
    __slots__ = ("changed", "future", "statements")

    def __init__(self, statements: Sequence[Statement], future: asyncio.Future[int] | None) -> None:
        self.statements = statements
        self.future = future
        self.changed = 0


class Writer:
    """
    Writes to the run file at *path*, from a thread of its own.

    *on_foreign* is called on the loop when another process has written to the file.

    Raises:
        StoreError: If the file cannot be opened for writing.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str,
        loop: asyncio.AbstractEventLoop,
        on_foreign: Callable[[], None],
    ) -> None:
        self._path = path
        self._loop = loop
        self._on_foreign = on_foreign
        self._connection = connect(path, synchronous=synchronous)
        self._version = self._data_version()
        self._inbox: SimpleQueue[_Write | None] = SimpleQueue()
        self._later: list[Statement] = []
        self._thread = threading.Thread(target=self._work, name="kit-writer", daemon=True)
        self._thread.start()

    def write(self, *statements: Statement) -> asyncio.Future[int]:
        """
        Write *statements* together; the future gives how many rows the last one changed.

        Raises (from the future):
            StoreError: If they could not be written; then none of them was.
        """
        if self._later:
            statements = (*self._later, *statements)
            self._later = []
        future: asyncio.Future[int] = self._loop.create_future()
        self._inbox.put(_Write(statements, future))
        return future

    def write_along(self, statement: Statement) -> None:
        """Write *statement* with whatever is written next: news that nobody waits for."""
        self._later.append(statement)
        if len(self._later) == 1:
            self._loop.call_later(0.05, self._flush)

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._flush()
        self._inbox.put(None)
        self._thread.join()
        self._connection.close()

    def _flush(self) -> None:
        if self._later:
            self._inbox.put(_Write(self._later, None))
            self._later = []

    # ------------------------------------------------------------ in the thread

    def _work(self) -> None:
        while True:
            batch, ending = self._take()
            if batch:
                error = self._commit(batch)
                self._on_loop(_resolve, batch, error)
            if self._data_version() != self._version:
                self._version = self._data_version()
                self._on_loop(self._on_foreign)
            if ending:
                return

    def _take(self) -> tuple[list[_Write], bool]:
        try:
            first = self._inbox.get(timeout=_WATCH_SECONDS)
        except Empty:
            return [], False
        batch: list[_Write] = []
        while first is not None:
            batch.append(first)
            try:
                first = self._inbox.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Write]) -> StoreError | None:
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            for write in batch:
                for sql, parameters in write.statements:
                    write.changed = execute(sql, parameters).rowcount
            execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            return explain(error, self._path)
        return None

    def _data_version(self) -> int:
        """Return a number that changes when another connection has written (SQLite's own)."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _on_loop(self, function: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            return  # the loop is closed: whoever waited has gone with it


def _resolve(batch: list[_Write], error: StoreError | None) -> None:
    for write in batch:
        if write.future is None or write.future.done():
            continue
        if error is None:
            write.future.set_result(write.changed)
        else:
            write.future.set_exception(error)
