"""`RunStore`: what an engine writes about its runs; and the few writes made without one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from kit.model.delivery import Checkpoint
from kit.model.run import Attempt, Run
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.rows import RUN_COLUMNS, failure_to_text, run_to_row
from kit.store.sqlite.schema import connect, explain
from kit.store.sqlite.writer import Statement, Writer

Durability = Literal["full", "normal"]
"""`full` survives a power failure; `normal` a killed process, and is several times faster."""

_INSERT_RUN = (
    f"INSERT OR IGNORE INTO runs ({RUN_COLUMNS})"  # noqa: S608
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_CHECKPOINT = (
    "INSERT OR REPLACE INTO checkpoints"
    " (run_id, step_id, seq, kind, text, started, ended) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ATTEMPT = (
    "INSERT INTO attempts (run_id, number, ended, failure, retry_in) VALUES (?, ?, ?, ?, ?)"
)
_END = "UPDATE runs SET status = ?, ended = ?, result = ?, failure = ?, attempt = ? WHERE id = ?"
_WAIT = "UPDATE runs SET status = ?, due = ?, attempt = ? WHERE id = ?"
_BEGIN = "UPDATE runs SET status = 'running', started = coalesce(started, ?) WHERE id = ?"
_QUEUE_AGAIN = (
    "UPDATE runs SET status = 'queued', attempt = 0, due = ?, started = NULL, ended = NULL,"
    " result = NULL, failure = NULL"
    " WHERE id = ? AND status NOT IN ('queued', 'running', 'sleeping')"
)
_IF_ENDED = (
    "EXISTS (SELECT 1 FROM runs WHERE id = ? AND status NOT IN ('queued', 'running', 'sleeping'))"
)
_FORGET = (
    "DELETE FROM checkpoints WHERE run_id = ?"  # noqa: S608
    f" AND step_id NOT IN (SELECT value FROM json_each(?)) AND {_IF_ENDED}"
)


class RunStore:
    """
    The run file at *path*, open for one engine.

    Raises:
        StoreError: If the file cannot be opened.
    """

    def __init__(
        self, path: Path, *, durability: Durability, on_foreign: Callable[[], None]
    ) -> None:
        self.path = path
        self._writer = Writer(
            path,
            synchronous=durability.upper(),
            loop=asyncio.get_running_loop(),
            on_foreign=on_foreign,
        )
        self.reader = Reader(path)

    def insert(self, run: Run) -> asyncio.Future[int]:
        """Store a new run; the future gives 0 if one with its id exists."""
        return self._writer.write((_INSERT_RUN, run_to_row(run)))

    def begin(self, run_id: str, now: int) -> None:
        """Note that an invocation of the run has begun."""
        self._writer.write_along((_BEGIN, (now, run_id)))

    def commit(
        self, run_id: str, first: int, checkpoints: Sequence[Checkpoint]
    ) -> asyncio.Future[int]:
        """Store *checkpoints*, of which the first is the run's *first*-th."""
        return self._writer.write(*_checkpoints(run_id, first, checkpoints))

    def wait(
        self,
        run: Run,
        first: int,
        checkpoints: Sequence[Checkpoint],
        attempt: Attempt | None = None,
    ) -> asyncio.Future[int]:
        """Store that the run goes on later, as *run* says, and the failed attempt before it."""
        return self._writer.write(
            *_checkpoints(run.id, first, checkpoints),
            *_attempt(run.id, attempt),
            (_WAIT, (run.status.value, run.due, run.attempt, run.id)),
        )

    def end(
        self,
        run: Run,
        first: int,
        checkpoints: Sequence[Checkpoint],
        attempt: Attempt | None = None,
    ) -> asyncio.Future[int]:
        """Store that the run has ended, as *run* says."""
        failure = failure_to_text(run.failure)
        row = (run.status.value, run.ended, run.result, failure, run.attempt, run.id)
        return self._writer.write(
            *_checkpoints(run.id, first, checkpoints), *_attempt(run.id, attempt), (_END, row)
        )

    def answer(self, run_id: str, what: str) -> asyncio.Future[int]:
        """Store that a request of another process has been seen to."""
        statement = ("DELETE FROM requests WHERE run_id = ? AND what = ?", (run_id, what))
        return self._writer.write(statement)

    def queue_again(self, run_id: str, keep: Sequence[str], now: int) -> asyncio.Future[int]:
        """
        Store that an ended run is to start again, with only the checkpoints in *keep*.

        The future gives 0, and nothing is changed, if there is no such run or it has not ended.
        """
        return self._writer.write(*_again(run_id, keep, now))

    async def close(self) -> None:
        """Write what is left, and close the file."""
        await self._writer.close()
        self.reader.close()


def request(path: Path, run_id: str, what: Literal["stop", "retry"], now: int) -> None:
    """
    Ask the process that runs the engine on *path* to stop or retry a run.

    Raises:
        StoreError: If the file cannot be written.
    """
    _write_once(
        path,
        ("INSERT OR IGNORE INTO requests (run_id, what, at) VALUES (?, ?, ?)", (run_id, what, now)),
    )


def delete(path: Path, run_id: str) -> bool:
    """
    Delete an ended run and all that is stored of it; tell whether there was one.

    A run that has not ended is left alone: an engine may be at it.

    Raises:
        StoreError: If the file cannot be written.
    """
    tables = ("checkpoints", "attempts", "requests")
    both = (run_id, run_id)
    parts = [(f"DELETE FROM {each} WHERE run_id = ? AND {_IF_ENDED}", both) for each in tables]  # noqa: S608
    last = (f"DELETE FROM runs WHERE id = ? AND {_IF_ENDED}", both)  # noqa: S608
    return bool(_write_once(path, *parts, last))


def cancel(path: Path, run_id: str, now: int) -> bool:
    """
    Mark an unfinished run as cancelled, and tell whether there was one.

    Only for a file on which no engine runs; take the lease meanwhile.

    Raises:
        StoreError: If the file cannot be written.
    """
    sql = (
        "UPDATE runs SET status = 'cancelled', ended = ?"
        " WHERE id = ? AND status IN ('queued', 'running', 'sleeping')"
    )
    return bool(_write_once(path, (sql, (now, run_id))))


def _write_once(path: Path, *statements: Statement) -> int:
    """Write *statements* together, and return how many rows the last one changed."""
    changed = 0
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        for sql, parameters in statements:
            changed = connection.execute(sql, parameters).rowcount
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise explain(error, path) from error
    finally:
        connection.close()
    return changed


def _checkpoints(run_id: str, first: int, checkpoints: Sequence[Checkpoint]) -> list[Statement]:
    return [
        (
            _INSERT_CHECKPOINT,
            (run_id, c.step_id, first + n, c.kind.value, c.text, c.started, c.ended),
        )
        for n, c in enumerate(checkpoints)
    ]


def _attempt(run_id: str, attempt: Attempt | None) -> list[Statement]:
    if attempt is None:
        return []
    failure = failure_to_text(attempt.failure)
    row = (run_id, attempt.number, attempt.ended, failure, attempt.retry_in)
    return [(_INSERT_ATTEMPT, row)]


def _again(run_id: str, keep: Sequence[str], now: int) -> list[Statement]:
    # as one JSON text: a list of any length, where SQLite bounds the number of parameters
    kept = json.dumps(list(keep))
    return [(_FORGET, (run_id, kept, run_id)), (_QUEUE_AGAIN, (now, run_id))]
