"""
The one thread that writes: it commits whatever has gathered while the last commit went on.

Many runs share one disk flush, and nothing waits for company: a lone write is committed at once.
A future is resolved only after its COMMIT, so what has been answered is on disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from kit.model.errors import StoreError
from kit.store.sqlite.connection import Connection
from kit.store.sqlite.locked import explain_write
from kit.store.sqlite.schema import connect
from kit.store.sqlite.statements import Statement
from kit.store.sqlite.watched_file import LOST, WatchedFile

_ALONG_SECONDS = 0.05
"""How long news that nobody waits for may wait for company."""


Then: TypeAlias = "Callable[[int, StoreError | None], None]"
"""Is told how many rows were changed, or why nothing could be written."""


class _Write:
    __slots__ = ("changed", "future", "statements", "then")

    def __init__(
        self,
        statements: Sequence[Statement],
        future: asyncio.Future[int] | None,
        then: Then | None = None,
    ) -> None:
        self.statements = statements
        self.future = future
        self.then = then
        self.changed = 0


_Answer: TypeAlias = "tuple[_Write, Exception | None]"


class Writer:
    """
    Writes to the run file at *path*, from a thread of its own.

    *on_foreign* is called on the loop when another process has written to the file: where that was
    before a write, also before its future is resolved. *check* is called after a COMMIT where
    anything in the file's folder has changed, in the thread: what it raises is what becomes of the
    writes. `is_alone` tells whether there is nothing to wait for that may be written in the same
    turn of the loop. `on_lost` is told on the loop, each time, that what was written is lost with
    the file; `lost` is what to raise once it is closed for that. `answered` is when, by
    `time.monotonic`, a write was last answered: what others had written before it is known by then.

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
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.is_alone: Callable[[], bool] = lambda: False
        self.on_lost: Callable[[StoreError], None] = lambda error: None
        self.lost: StoreError | None = None
        self._path = path
        self._check = check
        self._loop = loop
        self._on_foreign = on_foreign
        self._connection = Connection(lambda: connect(path, synchronous=synchronous))
        self._file = WatchedFile(path)
        self._version = (0, 0)
        self._version = self._found = self._data_version()
        self.answered = 0.0
        self._inbox: SimpleQueue[Sequence[_Write] | None] = SimpleQueue()
        self._later: list[Statement] = []
        self._gathered: list[_Write] = []
        self._closed = False
        self._watch: float | None = None
        self._ended: list[Callable[[], object]] = []
        self._thread = threading.Thread(target=self._work, name="kit-writer", daemon=True)
        self._thread.start()

    def write(self, *statements: Statement, then: Then | None = None) -> asyncio.Future[int]:
        """
        Write *statements* together; the future gives how many rows the last one changed.

        Who cancels the future does not learn of it; written they are all the same. *then* is told
        in any case, at once: whoever awaits the future goes on in the loop's next turn only.

        Raises (from the future):
            StoreError: If they could not be written; then none of them was.
        """
        future: asyncio.Future[int] = self._loop.create_future()
        if self._closed:
            msg = f"{self._path} was closed: the engine that had it open has ended"
            error = self.lost or StoreError(msg, path=str(self._path))
            future.set_exception(error)
            if then is not None:
                self._loop.call_soon(then, 0, error)
        else:
            self._gather(_Write(statements, future, then))
        return future

    def write_along(self, statement: Statement) -> None:
        """Write *statement* with whatever is written next: news that nobody waits for."""
        self._later.append(statement)
        if len(self._later) == 1:
            self._loop.call_later(_ALONG_SECONDS, self._gather)

    def watch(self, seconds: float | None) -> None:
        """
        Look this often whether another process has written; None: not at all.

        Nothing can wake the thread for that. A look is one PRAGMA on an open connection, no query.
        """
        if self._watch != seconds:
            self._watch = seconds
            self._inbox.put(())  # it may be waiting without end

    async def close(self) -> None:
        """Write what is left, end the thread, and close the file."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        self._ended.append(partial(loop.call_soon_threadsafe, ended.set_result, None))
        if not self._closed:
            self._gather()
            self._hand_over()
            self._closed = True
            self._inbox.put(None)
        elif not self._thread.is_alive():
            return
        # not in a thread of the loop's pool, which an interpreter that ends has closed already
        await ended
        self._thread.join()

    def _gather(self, *writes: _Write) -> None:
        if self._later:
            writes = (_Write(self._later, None), *writes)
            self._later = []
        if writes and not self._closed:
            is_first = not self._gathered
            self._gathered += writes
            if is_first and self.is_alone():
                self._hand_over()
            elif is_first:
                # what is written in one turn of the loop goes to the thread at once
                self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._gathered:
            self._inbox.put(self._gathered)
            self._gathered = []

    def _work(self) -> None:
        while True:
            batch, ending = self._take()
            if batch:
                answers = self._commit_all(batch)
                self._tell_foreign()  # first: who goes on may have been asked to stop
                self._on_loop(self._resolve, answers)
            else:
                self._found = self._data_version()
                self._tell_foreign()
            if ending:
                self._close_file()
                for tell in self._ended:
                    tell()
                return

    def _tell_foreign(self) -> None:
        if self._found != self._version:
            self._version = self._found
            self._on_loop(self._on_foreign)

    def _close_file(self) -> None:
        """Bring all that is committed from the log into the file itself, and close it."""
        with suppress(sqlite3.Error, StoreError), self._connection as sqlite:
            sqlite.execute("PRAGMA wal_checkpoint(PASSIVE)")
        with suppress(sqlite3.Error):
            self._connection.close()

    def _take(self) -> tuple[list[_Write], bool]:
        """Wait for writes, and return all there are; and whether these are the last ones."""
        try:
            first = self._inbox.get(timeout=self._watch)
        except Empty:
            return [], False
        batch: list[_Write] = []
        while first is not None:
            batch.extend(first)
            try:
                first = self._inbox.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _commit_all(self, batch: Sequence[_Write]) -> list[_Answer]:
        """Commit *batch*; if one in it may be what the others suffer from, each alone."""
        error = self._commit(batch)
        if error is None or len(batch) == 1 or _is_of_the_file(error):
            return [(write, error) for write in batch]
        return [(write, self._commit([write])) for write in batch]

    def _commit(self, batch: Sequence[_Write]) -> Exception | None:
        try:
            with self._connection as sqlite:
                opened = self._connection.opened
                self._found = opened, _transact(sqlite.cursor(), batch)
            self._file.check(self._connection.opened, self._check)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread has to go on
            return error
        return None

    def _data_version(self) -> tuple[int, int]:
        """Return what changes when another connection has written, as SQLite counts for each."""
        try:
            with self._connection as sqlite:
                version = int(sqlite.execute("PRAGMA data_version").fetchone()[0])
        except (sqlite3.Error, StoreError):
            return self._version  # the next write will tell what is wrong
        return self._connection.opened, version

    def _resolve(self, answers: Sequence[_Answer]) -> None:
        now = time.monotonic()
        for write, reason in answers:
            error = None
            if reason is None:
                self.answered = now
            else:
                error = self._explained(reason)
            future = write.future
            if future is not None and not future.done():
                if error is None:
                    future.set_result(write.changed)
                else:
                    future.set_exception(error)
            if write.then is not None:
                self._tell(write.then, write.changed, error)

    def _explained(self, reason: Exception) -> StoreError:
        error = explain_write(reason, self._path)
        if error.code == LOST:
            self.on_lost(error)
        return error

    def _tell(self, then: Then, changed: int, error: StoreError | None) -> None:
        try:
            then(changed, error)
        except Exception as raised:  # noqa: BLE001 - it is no business of the other writes
            said = {"message": "what follows a write has failed", "exception": raised}
            self._loop.call_exception_handler(said)

    def _on_loop(self, function: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            return  # the loop is closed: whoever waited has gone with it


def _transact(cursor: sqlite3.Cursor, batch: Sequence[_Write]) -> int:
    """Commit *batch*; return the data version before it: all that others wrote until then."""
    execute = cursor.execute  # one for all: making a cursor takes as long as some statements
    try:
        execute("BEGIN IMMEDIATE")
        version = int(execute("PRAGMA data_version").fetchone()[0])
        for write in batch:
            for sql, parameters in write.statements:
                execute(sql, parameters)
            write.changed = cursor.rowcount
        execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has rolled back by itself after some errors
            execute("ROLLBACK")
        raise
    return version


def _is_of_the_file(error: Exception) -> bool:
    """Tell whether *error* is about the file itself: it would be the same for any other write."""
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorname != "SQLITE_FULL"  # a smaller write may find room
    return isinstance(error, StoreError)
